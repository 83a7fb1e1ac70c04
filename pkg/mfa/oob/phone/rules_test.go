package phone_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rules are those of the profile recommended.
func rules() phone.Rules {
	return phone.Rules{PerUser: 10, PerNumber: 10, PerRange: 50, PerCountry: 500, PerGateway: 1000,
		Spend: 1_000_000, Price: 1000, Prices: map[string]phone.Amount{"+49": 800, "+4930": 0, "+1876": 2500}}
}

// A meter counts messages in buckets as a store does.
type meter struct {
	*phone.Line
	full map[string]time.Time
	now  time.Time
}

func newMeter(t *testing.T, channel string, r phone.Rules, countries ...string) *meter {
	t.Helper()
	l, err := phone.NewLine(channel, channel, phone.Config{
		Service: phone.Service{Driver: "twilio", AccountSID: "AC1"}, Countries: countries,
	}, r, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return &meter{Line: l, full: map[string]time.Time{}, now: noon}
}

// send reports whether a message goes out. One that is answered leaves no trace where only
// unanswered ones count.
func (m *meter) send(t *testing.T, subject, to string, answered bool) bool {
	t.Helper()
	budgets, err := m.Budgets(at(subject, to))
	if err != nil {
		t.Fatal(err)
	}
	var all []throttle.Bucket
	for _, b := range budgets {
		all = append(all, b.Bucket)
	}
	if throttle.Wait(all, m.full, m.now) > 0 {
		return false
	}
	for _, b := range budgets {
		if m.full[b.Name].Before(m.now) {
			m.full[b.Name] = m.now
		}
		if !answered || !b.Unanswered {
			m.full[b.Name] = m.full[b.Name].Add(b.Every)
		}
	}
	return true
}

// at is an authenticator that nobody confirmed.
func at(subject, number string) mfa.Authenticator {
	return mfa.Authenticator{Subject: subject, Address: secret.New(number)}
}

// german is one of ten thousand numbers of a range.
func german(n int) string {
	return "+491555010" + string([]byte{byte('0' + n/1000%10), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// only are rules with one limit beside that of users.
func only(set func(*phone.Rules)) phone.Rules {
	r := phone.Rules{PerUser: 1000}
	set(&r)
	return r
}

// TestBudgets: each level stops what comes too often, and is as wide again an hour later;
// calls and text messages count together (S-1).
func TestBudgets(t *testing.T) {
	texts, calls := newMeter(t, "sms", only(func(*phone.Rules) {})), newMeter(t, "voice", only(func(*phone.Rules) {}))
	user, _ := texts.Budgets(at("alice", fixture))
	same, _ := calls.Budgets(at("alice", german(1)))
	other, _ := texts.Budgets(at("bob", fixture))
	if len(user) != 1 || user[0] != same[0] || user[0] == other[0] || user[0].Unanswered {
		t.Errorf("alice has %+v and %+v, bob %+v", user, same, other)
	}
	for name, tt := range map[string]struct {
		rules      phone.Rules
		subject    func(int) string
		to         func(int) string
		size, hour int
		elsewhere  string // is not stopped
	}{
		"user": {phone.Rules{PerUser: 10}, func(int) string { return "alice" }, german, 10, 1, ""},
		"number": {only(func(r *phone.Rules) { r.PerNumber = 10 }), func(n int) string { return german(n) },
			func(int) string { return fixture }, 10, 1, german(43)},
		"range":   {only(func(r *phone.Rules) { r.PerRange = 50 }), german, german, 50, 50, "+4915550110042"},
		"country": {only(func(r *phone.Rules) { r.PerCountry = 500 }), german, german, 500, 500, "+43664123456"},
		"gateway": {only(func(r *phone.Rules) { r.PerGateway = 1000 }), german, german, 500, 500, ""}, // the other half is for who confirmed
	} {
		m := newMeter(t, "sms", tt.rules)
		count := func(from int) (sent int) {
			for i := range 1100 {
				if m.send(t, tt.subject(from+i), tt.to(from+i), false) {
					sent++
				}
			}
			return sent
		}
		if sent := count(0); sent != tt.size {
			t.Errorf("%s: %d were sent, want %d", name, sent, tt.size)
		}
		if tt.elsewhere != "" && !m.send(t, "bob", tt.elsewhere, false) {
			t.Errorf("%s: others are stopped too", name)
		}
		m.now = m.now.Add(time.Hour)
		if sent := count(2000); sent != tt.hour {
			t.Errorf("%s: %d were sent an hour later, want %d", name, sent, tt.hour)
		}
	}
}

// TestWhoConfirmed: strangers who enter somebody's number, or many of their own, use up
// nothing that who confirmed it lives on.
func TestWhoConfirmed(t *testing.T) {
	m := newMeter(t, "sms", only(func(r *phone.Rules) { r.PerNumber, r.PerGateway = 3, 10 }))
	owner := at("alice", fixture)
	owner.ConfirmedAt = noon
	for i := range 20 {
		m.send(t, german(i), fixture, false)
		m.send(t, german(i), german(i+100), false)
	}
	if m.send(t, "bob", fixture, false) {
		t.Error("the number is still open")
	}
	budgets, err := m.Budgets(owner)
	if err != nil {
		t.Fatal(err)
	}
	var all []throttle.Bucket
	for _, b := range budgets {
		all = append(all, b.Bucket)
	}
	if wait := throttle.Wait(all, m.full, m.now); wait > 0 {
		t.Errorf("its owner waits %v", wait)
	}
}

// TestAnsweredMessages: who brings codes back is no pump (S-4).
func TestAnsweredMessages(t *testing.T) {
	m := newMeter(t, "sms", only(func(r *phone.Rules) { r.PerRange, r.PerCountry = 50, 60 }))
	for i := range 1000 {
		if !m.send(t, german(i), german(i), true) {
			t.Fatalf("answered message %d was stopped", i)
		}
	}
	for i := range 50 {
		if !m.send(t, german(i), german(i), false) {
			t.Fatalf("unanswered message %d was stopped", i)
		}
	}
	if m.send(t, "bob", german(51), false) {
		t.Error("the range is still open")
	}
}

// TestSpend: the day's money is one, whatever each message costs; what costs nothing is not
// stopped by it.
func TestSpend(t *testing.T) {
	r := rules()
	m := newMeter(t, "sms", only(func(o *phone.Rules) { o.Spend, o.Price, o.Prices = r.Spend, r.Price, r.Prices }))
	var spent phone.Amount
	for i := range 5000 {
		to, price := []string{fixture, "+18765550123", "+12025550123"}[i%3], []phone.Amount{800, 2500, 1000}[i%3]
		if m.send(t, german(i), to, true) {
			spent += price
		}
	}
	if spent > r.Spend/2 || spent < r.Spend/2-2500 {
		t.Errorf("%s was spent of half of %s", spent, r.Spend)
	}
	if !m.send(t, "bob", "+4930123456", false) {
		t.Error("what costs nothing is stopped")
	}
	m.now = m.now.Add(12 * time.Hour)
	half := 0
	for i := range 5000 {
		if m.send(t, german(i), "+12025550123", true) {
			half++
		}
	}
	if half < 480 || half > 520 {
		t.Errorf("%d messages of 0.10 after half a day, want about 500", half)
	}
}

// TestBudgetsHideNumbers: no name of a bucket tells whose it is.
func TestBudgetsHideNumbers(t *testing.T) {
	m := newMeter(t, "sms", rules())
	all, err := m.Budgets(at("alice", fixture))
	if err != nil || len(all) != 6 {
		t.Fatalf("%+v, %v", all, err)
	}
	seen := map[string]bool{}
	for _, b := range all {
		if len(b.Name) != 64 || seen[b.Name] || strings.Contains(b.Name, "15550100042") {
			t.Errorf("%+v", b)
		}
		seen[b.Name] = true
	}
}

// TestCountries: a number of another country is as bad as none, and one that was enrolled
// before is not written to any more.
func TestCountries(t *testing.T) {
	m := newMeter(t, "sms", rules(), "DE", "AT")
	enroll := func(to string) (oob.Address, error) {
		return m.Address(mfa.Enrolling{Params: map[string]string{"phone_number": to}})
	}
	a, err := enroll("+49 155 50100042")
	if err != nil || a.To.Reveal() != fixture || a.Name != "XXXXXXXXX0042" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := enroll("+12025550123"); fault.Of(err) != fault.BadPhoneNumber || err.Error() != fault.BadPhoneNumber.Error() {
		t.Errorf("another country: %v", err)
	}
	if _, err := m.Budgets(at("alice", "+12025550123")); fault.Of(err) != fault.BadPhoneNumber {
		t.Errorf("another country, enrolled before: %v", err)
	}
	if _, err := enroll(""); fault.Of(err) != fault.MissingParameter || !strings.Contains(err.Error(), "missing_parameter") {
		t.Errorf("no number: %v", err)
	}
}
