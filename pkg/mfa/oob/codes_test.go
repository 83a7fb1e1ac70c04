package oob_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
	"github.com/sallyport/sallyport/storage/memory"
)

// A pigeon carries codes to lofts.
type pigeon struct {
	name string
	sent []oob.Message
	lost error
}

var _ oob.Carrier = (*pigeon)(nil)

func (p *pigeon) About() oob.About {
	return oob.About{Name: p.name, Kind: "pigeon", Methods: []string{"tel"}}
}

func (p *pigeon) Address(r mfa.Enrolling) (oob.Address, error) {
	loft := r.Params["loft"]
	if loft == "" {
		return oob.Address{}, fault.Param(fault.MissingParameter, "loft")
	}
	return oob.Address{To: secret.New(strings.ToLower(loft)), Name: loft[:1] + "***"}, nil
}

func (p *pigeon) Budgets(a mfa.Authenticator) ([]oob.Budget, error) {
	if a.Address.Reveal() == "burnt" {
		return nil, fault.BadPhoneNumber
	}
	return []oob.Budget{{Bucket: throttle.Bucket{Name: a.Subject, Size: 2, Every: time.Hour}}}, nil
}

func (p *pigeon) Send(_ context.Context, m oob.Message) error {
	p.sent = append(p.sent, m)
	return p.lost
}

// ledger is a CodeStore that writes down what it is asked.
type ledger struct {
	asked  []oob.CodeAsk
	refuse error
}

func (l *ledger) AdmitCode(_ context.Context, a oob.CodeAsk) error {
	l.asked = append(l.asked, a)
	return l.refuse
}

// registered are the clients.
type registered map[string]record.Client

func (r registered) Client(_ context.Context, id string) (record.Client, error) {
	c, ok := r[id]
	if !ok {
		return c, fault.NotFound
	}
	return c, nil
}

// A loft is the factor with two channels for codes to the same addresses.
type loft struct {
	*oob.Factor
	day, night *pigeon
	ledger     *ledger
	clock      *mfatest.Clock
	ring       *secret.Ring
	store      *memory.Store
	counted    []string
}

func newLoft(t testing.TB) *loft {
	t.Helper()
	l := &loft{day: &pigeon{name: "day"}, night: &pigeon{name: "night"}, ledger: &ledger{}, clock: &mfatest.Clock{}}
	var err error
	if l.ring, err = secret.NewRing(l.clock.Now()); err != nil {
		t.Fatal(err)
	}
	l.store = memory.New(memory.Options{Now: l.clock.Now})
	chance := mfatest.Random(t.Name())
	channels := oob.NewCodes(oob.CodesOptions{
		Carriers: []oob.Carrier{l.day, l.night}, Store: l.ledger,
		Clients: registered{"spa": {ID: "spa", Origins: []string{"https://app.example.com:8443", "https://other.example.com"}}, "web": {ID: "web"}},
		URL:     "https://login.example.com/", Service: func() string { return "Example" }, Now: l.clock.Now, Random: chance, Log: slog.New(slog.DiscardHandler),
		Ring: l.ring, Counted: func(channel, provider string, o oob.Outcome) {
			l.counted = append(l.counted, channel+" "+provider+" "+string(o))
		},
	})
	l.Factor = oob.New(oob.Options{
		Channels: channels, Store: l.store, Waiters: oob.NewWaiters(), Ring: l.ring, Lifetime: 5 * time.Minute, Now: l.clock.Now, Random: chance,
	})
	return l
}

var home = mfa.Authenticator{ID: "day|dev_1", Type: mfa.OOB, Channel: "day", Address: secret.New("tower"), ConfirmedAt: mfatest.Epoch}

// ask sends a code and returns the answer and the code.
func (l *loft) ask(t testing.TB, transaction, client string) (map[string]any, mfa.Proof) {
	t.Helper()
	answer, err := l.Challenge(t.Context(), mfa.Asking{
		Transaction:   mfa.Transaction{ID: transaction, Login: mfa.Login{Subject: "auth0|alice", Client: client}},
		Authenticator: home, Address: "192.0.2.7", Locale: "de-AT",
	})
	if err != nil {
		t.Fatal(err)
	}
	code, _ := answer["oob_code"].(string)
	return answer, mfa.Proof{"oob_code": secret.New(code), "binding_code": l.day.sent[len(l.day.sent)-1].Code}
}

// A code that was sent is asked for, and what is kept of it is a hash. Q7: interval and
// expires_in are there.
func TestCode(t *testing.T) {
	l := newLoft(t)
	answer, proof := l.ask(t, "t1", "spa")
	if answer["binding_method"] != "prompt" || answer["expires_in"] != 300 || answer["interval"] != 5 || answer["binding_code"] != nil || len(answer) != 4 {
		t.Errorf("%v", answer)
	}
	m, code := l.day.sent[0], l.day.sent[0].Code.Reveal()
	asked := l.ledger.asked[0]
	m.Told("day.fallback[1]", oob.Refused)
	if len(l.counted) != 1 || l.counted[0] != "day day.fallback[1] refused" {
		t.Errorf("counted %q", l.counted)
	}
	m.Told = nil
	if want := (oob.Message{ID: m.ID, URL: "https://login.example.com/", To: home.Address, Code: m.Code, Service: "Example", Host: "app.example.com", Client: "spa",
		Locale: "de-AT", ExpiresIn: 5 * time.Minute}); !reflect.DeepEqual(m, want) || len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		t.Errorf("sent %+v with %q", m, code)
	}
	if asked.Authenticator.ID != home.ID || len(asked.Budgets) != 1 || !asked.Event.Success || asked.Event.Address != "192.0.2.7" {
		t.Errorf("asked %+v", asked)
	}
	kept, _, err := l.store.Challenge(t.Context(), asked.Challenge.ID)
	if err != nil || kept.Code != "" || strings.Contains(kept.Hash, code) || kept.Answered {
		t.Errorf("kept %+v, %v", kept, err)
	}
	answered, err := l.Await(t.Context(), "t1", proof, 0)
	if err != nil || answered != (mfa.Answered{Authenticator: home.ID, Challenge: asked.Challenge.ID}) {
		t.Errorf("%+v, %v", answered, err)
	}
	got, err := l.Verify(t.Context(), home, proof)
	if err != nil || len(got.Consumes) != 1 || got.Methods[0] != "tel" {
		t.Fatalf("%+v, %v", got, err)
	}
	if use, ok := got.Consumes[0].(record.BindingCode); !ok || use.Challenge != asked.Challenge.ID || use.Authenticator != home.ID || use.Spent() != fault.WrongBindingCode {
		t.Errorf("%+v", got.Consumes[0])
	}
}

// A code is good for as long as it was said to be, and for what it was sent for.
func TestCodeIsRefused(t *testing.T) {
	l := newLoft(t)
	_, proof := l.ask(t, "t1", "web")
	if host := l.day.sent[0].Host; host != "login.example.com" {
		t.Errorf("a client without a page: %q", host)
	}
	refused := func(name string, a mfa.Authenticator, p mfa.Proof, want fault.Kind) {
		t.Helper()
		if _, err := l.Verify(t.Context(), a, p); fault.Of(err) != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	with := func(code string) mfa.Proof {
		return mfa.Proof{"oob_code": proof["oob_code"], "binding_code": secret.New(code)}
	}
	code := proof["binding_code"].Reveal()
	refused("none", home, with(""), fault.MissingParameter)
	for _, wrong := range []string{code[1:], code + "0", " " + code, code + "\n", "٠١٢٣٤٥"} {
		refused(wrong, home, with(wrong), fault.WrongBindingCode)
	}
	refused("another's", mfa.Authenticator{ID: "day|dev_2"}, proof, fault.MalformedOOBCode)
	_, other := l.ask(t, "t2", "web")
	if other["binding_code"].Reveal() != code {
		refused("of another login", home, with(other["binding_code"].Reveal()), fault.WrongBindingCode)
	}
	if _, err := l.Await(t.Context(), "t2", proof, 0); fault.Of(err) != fault.ForeignOOBCode {
		t.Errorf("in another login: %v", err)
	}
	l.clock.Advance(5*time.Minute - time.Second)
	if _, err := l.Verify(t.Context(), home, proof); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	l.clock.Advance(time.Second)
	refused("too late", home, proof, fault.OOBCodeExpired)
}

// Nothing is sent that no budget has room for, and nothing that is not sent looks like it.
func TestCodeIsNotSent(t *testing.T) {
	l := newLoft(t)
	asking := mfa.Asking{Transaction: mfa.Transaction{ID: "t", Login: mfa.Login{Subject: "auth0|alice", Client: "spa"}}, Authenticator: home}
	fails := func(name string, want fault.Kind, sent int) {
		t.Helper()
		answer, err := l.Challenge(t.Context(), asking)
		if fault.Of(err) != want || answer != nil || len(l.day.sent) != sent {
			t.Errorf("%s: %v, %v after %d messages", name, answer, err, len(l.day.sent))
		}
	}
	l.ledger.refuse = &fault.Details{Kind: fault.TooManyMessages, RetryAfter: time.Hour}
	fails("no budget", fault.TooManyMessages, 0)
	l.ledger.refuse = errors.New("connection refused")
	fails("no database", fault.Unavailable, 0)
	l.ledger.refuse, l.day.lost = nil, errors.New("no wind")
	fails("no provider", fault.Unavailable, 1)
	l.day.lost = &fault.Details{Kind: fault.Undeliverable}
	fails("no such loft", fault.Undeliverable, 2)
	asking.Authenticator.Address = secret.New("burnt")
	fails("not served any more", fault.Undeliverable, 2)
	asking.Authenticator, asking.Transaction.Login.Client = home, "gone"
	fails("client gone", fault.NotFound, 2)
}

// Twins share an address: one association makes both, and the message goes by the one that
// was asked for, once what was made is stored.
func TestTwins(t *testing.T) {
	l := newLoft(t)
	r := mfa.Enrolling{Subject: "auth0|alice", Client: "spa", Handle: "t1", Channel: "night", Params: map[string]string{"loft": "Tower"}}
	made, err := l.Enroll(t.Context(), r)
	if err != nil || len(made.Authenticators) != 2 || len(l.night.sent) > 0 || len(l.ledger.asked) > 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	night, day := made.Authenticators[0], made.Authenticators[1]
	if !strings.HasPrefix(night.ID, "night|dev_") || day.ID != "day"+night.ID[5:] || night.Group == "" || day.Group != night.Group ||
		day.Address.Reveal() != "tower" || day.Name != "T***" || day.Channel != "day" {
		t.Errorf("%+v", made.Authenticators)
	}
	if a := made.Reply; a["binding_method"] != "prompt" || a["oob_channel"] != "night" || a["id"] != night.ID || a["interval"] != 5 {
		t.Errorf("%v", a)
	}
	if err := made.Send(t.Context()); err != nil || len(l.night.sent) != 1 || len(l.day.sent) > 0 || l.ledger.asked[0].Authenticator.Subject != "auth0|alice" {
		t.Fatalf("%v, sent %+v", err, l.night.sent)
	}
	code, _ := made.Reply["oob_code"].(string)
	proof := mfa.Proof{"oob_code": secret.New(code), "binding_code": l.night.sent[0].Code}
	if _, err := l.Verify(t.Context(), night, proof); err != nil {
		t.Error(err)
	}
	if _, err := l.Verify(t.Context(), day, proof); fault.Of(err) != fault.MalformedOOBCode {
		t.Errorf("by its twin: %v", err)
	}
	r.Params = nil
	if _, err := l.Enroll(t.Context(), r); fault.Of(err) != fault.MissingParameter {
		t.Errorf("without an address: %v", err)
	}
}

// S-12: codes are spread over all six digits, leading zeros and all.
func TestCodesAreUniform(t *testing.T) {
	l := newLoft(t)
	const n = 3000
	var first [10]int
	for range n {
		_, proof := l.ask(t, "t", "spa")
		first[proof["binding_code"].Reveal()[0]-'0']++
	}
	for digit, got := range first {
		if got < n/10-100 || got > n/10+100 { // six standard deviations
			t.Errorf("%d of %d codes begin with %d", got, n, digit)
		}
	}
}
