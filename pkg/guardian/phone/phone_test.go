package phone_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/guardian/phonetest"
	"github.com/sallyport/sallyport/pkg/secret"
)

// moment is when the tests are: Swift writes its parts of a second.
var moment = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// A world is a gateway and a phone of one profile.
type world struct {
	*phonetest.Gateway
	phone *phone.Phone
}

func newWorld(t *testing.T, p phone.Profile) world {
	t.Helper()
	g := phonetest.New(t, string(p))
	g.Now = func() time.Time { return moment }
	made, err := phone.New(phone.Options{Profile: p, Client: g.Server.Client(), Now: g.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return world{g, made}
}

const pushToken = "A1B2/C3=D4"

func (w world) enroll(ctx context.Context, p phone.Profile) (phone.Account, error) {
	uri, _ := w.Barcode()
	ticket, err := w.phone.Scan(uri)
	if err != nil {
		return phone.Account{}, err
	}
	return w.phone.Enroll(ctx, phone.Enrollment{
		URL: w.URL(), Ticket: ticket, Name: "Ann's Pixel <ü>",
		Push: phone.PushCredentials{Service: p.Service(), Token: secret.New(pushToken)},
	})
}

func (w world) enrolled(t *testing.T, p phone.Profile) phone.Account {
	t.Helper()
	a, err := w.enroll(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w world) push(t *testing.T, a phone.Account) phone.Notification {
	t.Helper()
	n, err := w.phone.FromFCM(w.Push(a.ID))
	if err != nil || n == nil {
		t.Fatal(n, err)
	}
	return *n
}

// old reports whether the app is from before rich consents.
func old(p phone.Profile) bool { return p == phone.Android02 || p == phone.Swift01 }

// Each profile goes the whole way; the gateway holds every call to the rows of that
// profile.
func TestProfiles(t *testing.T) {
	for _, p := range phone.Profiles() {
		t.Run(string(p), func(t *testing.T) {
			w := newWorld(t, p)
			a := w.enrolled(t, p)
			d, ok := w.Device(a.ID)
			if !ok || d.Name != "Ann's Pixel <ü>" || d.Token != pushToken || d.Identifier != a.Identifier || d.Service != p.Service() {
				t.Errorf("the gateway has %+v of %+v", d, a)
			}
			if a.Issuer != "Acme" || a.UserID != "auth0|u1" || a.TOTP == nil || a.TOTP.Digits != 6 || a.TOTP.Period != 30 || a.TOTP.Algorithm != "sha1" {
				t.Errorf("the account is %+v", a)
			}
			n := w.push(t, a)
			c, err := w.phone.Consent(t.Context(), a, n)
			if err != nil || old(p) != (c == nil) {
				t.Fatal(c, err)
			}
			if c != nil && (c.BindingMessage != "493-021" || c.Audience != "https://api.example.com" || c.Scope[0] != "openid" || c.AuthorizationDetails[0]["type"] != "payment") {
				t.Errorf("consent %+v", c)
			}
			if err := w.phone.Allow(t.Context(), a, n, secret.Text{}); err != nil {
				t.Fatal(err)
			}
			w.decided(t, n, phonetest.Decision{Accepted: true})
			n = w.push(t, a)
			if err := w.phone.Reject(t.Context(), a, n, "hacked"); err != nil {
				t.Fatal(err)
			}
			w.decided(t, n, phonetest.Decision{Reason: "hacked"})
			w.change(t, a)
		})
	}
}

func (w world) decided(t *testing.T, n phone.Notification, want phonetest.Decision) {
	t.Helper()
	if got, ok := w.Decision(n.Challenge); !ok || got != want {
		t.Errorf("the gateway was answered %+v, want %+v", got, want)
	}
}

// change updates and deletes an account.
func (w world) change(t *testing.T, a phone.Account) {
	t.Helper()
	name := "New"
	b, err := w.phone.Update(t.Context(), a, phone.Change{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := w.Device(a.ID); d.Name != name || b.Name != name || d.Token != pushToken || d.Identifier != a.Identifier {
		t.Errorf("changed to %+v, the gateway has %+v", b, d)
	}
	other := "other"
	push := phone.PushCredentials{Service: "GCM", Token: secret.New("new")}
	if b, err = w.phone.Update(t.Context(), b, phone.Change{Identifier: &other, Push: &push}); err != nil {
		t.Fatal(err)
	}
	if d, _ := w.Device(a.ID); d.Name != name || d.Token != "new" || d.Identifier != other || b.Identifier != other || b.Push.Service != "GCM" {
		t.Errorf("changed to %+v, the gateway has %+v", b, d)
	}
	for range 2 { // the second time it is gone
		if err := w.phone.Delete(t.Context(), b); err != nil {
			t.Error(err)
		}
	}
	if w.Devices() != 0 {
		t.Error("the gateway has it still")
	}
}

func TestCode(t *testing.T) {
	for _, p := range phone.Profiles() {
		w := newWorld(t, p)
		a := w.enrolled(t, p)
		n := w.push(t, a)
		err := w.phone.Allow(t.Context(), a, n, secret.New("493021"))
		if p.SendsCodes() != (err == nil) || p.SendsCodes() != (p == phone.Web) {
			t.Fatal(p, err)
		}
		if err == nil {
			w.decided(t, n, phonetest.Decision{Accepted: true, Code: "493021"})
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, phone.Android)
	ctx := t.Context()
	_, err := w.phone.Enroll(ctx, phone.Enrollment{URL: w.URL(), Ticket: secret.New("unknown")})
	wantRefusal(t, err, http.StatusNotFound, "enrollment_transaction_not_found")
	a := w.enrolled(t, phone.Android)
	n := w.push(t, a)
	if err := w.phone.Allow(ctx, a, n, secret.Text{}); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, w.phone.Reject(ctx, a, n, ""), http.StatusNotFound, "login_transaction_not_found")
	_, ticket := w.Barcode()
	again, err := w.phone.Enroll(ctx, phone.Enrollment{URL: w.URL(), Ticket: secret.New(ticket), Key: a.Key})
	if err != nil || !reflect.DeepEqual(again.Key, a.Key) {
		t.Error("another key", err)
	}
	other := a
	other.ID = "dev_other"
	if err := w.phone.Allow(ctx, other, n, secret.Text{}); err == nil || !strings.Contains(err.Error(), "dev_other") {
		t.Error(err)
	}
	w.Answer("/resolve-transaction", phonetest.Canned{Status: http.StatusFound})
	wantRefusal(t, w.phone.Allow(ctx, a, w.push(t, a), secret.Text{}), http.StatusFound, "")
	w.Answer(a.ID, phonetest.Refused(http.StatusUnauthorized, "invalid_token"))
	wantRefusal(t, w.phone.Delete(ctx, a), http.StatusUnauthorized, "invalid_token")
	if _, err := phone.New(phone.Options{Profile: "windows", Client: &http.Client{}}); err == nil {
		t.Error("there is an app for windows")
	}
}

func wantRefusal(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *phone.Refusal
	if !errors.As(err, &refused) || refused.Status != status || refused.Code != code {
		t.Errorf("%v, want %d %s", err, status, code)
	}
}

// What each app understands of an error body; section 3.3.
func TestErrorBodies(t *testing.T) {
	const union = `{"statusCode":429,"error":"Too Many","message":"M","description":"D","errorCode":"too_many_pn"}`
	tests := []struct {
		profile       phone.Profile
		body          string
		code, message string
	}{
		{phone.Android, union, "too_many_pn", "Too Many"},
		{phone.Swift, union, "too_many_pn", "D"},
		{phone.Web, union, "too_many_pn", "M"},
		{phone.Web, `{"error_code":"too_many_pn"}`, "too_many_pn", ""},
		{phone.Android, `{"error":{},"errorCode":"too_many_pn"}`, "", ""},
		{phone.Android, `{"error":"E","errorCode":7}`, "", ""},
		{phone.Android, `<html>`, "", ""},
		{phone.Swift, `{"description":"D"}`, "", ""},
		{phone.Swift, `{"errorCode":"c","description":7}`, "c", ""},
	}
	for _, tt := range tests {
		w := newWorld(t, tt.profile)
		w.Answer("/enroll", phonetest.Canned{Status: http.StatusTooManyRequests, Type: "application/json", Body: tt.body})
		_, err := w.enroll(t.Context(), tt.profile)
		var refused *phone.Refusal
		if !errors.As(err, &refused) || *refused != (phone.Refusal{Status: 429, Code: tt.code, Message: tt.message}) {
			t.Errorf("%s of %s: %v", tt.profile, tt.body, err)
		}
	}
}

// How strictly each app reads a consent; section 9.
func TestConsents(t *testing.T) {
	const whole = `{"id":"c","requested_details":{"audience":"a","scope":["s"],"binding_message":"b"},"created_at":"x","expires_at":"y"}`
	with := func(name, value string) phonetest.Canned {
		return phonetest.Canned{Status: http.StatusOK, Type: "application/json", Body: strings.Replace(whole, name, value, 1)}
	}
	tests := []struct {
		name   string
		answer phonetest.Canned
		takes  string
	}{
		{"whole", with("", ""), "android swift web"},
		{"a date as a number", with(`"x"`, "1767323045"), "android"},
		{"no scope", with(`"scope":["s"],`, ""), "swift web"},
		{"a scope that is text", with(`["s"]`, `"s"`), ""},
		{"no message", with(`"b"`, "null"), "android swift web"},
		{"a message that is none", with(`"b"`, "7"), ""},
		{"details", with(`"b"`, `"b","authorization_details":[{"type":"t"}]`), "android swift web"},
		{"details without a type", with(`"b"`, `"b","authorization_details":[{}]`), "swift web"},
		{"details that are none", with(`"b"`, `"b","authorization_details":{}`), ""},
		{"no audience", with(`"audience":"a",`, ""), ""},
		{"no id", with(`"id":"c",`, ""), ""},
		{"nothing requested", with("requested_details", "requested"), ""},
		{"no JSON", with("{", ""), ""},
		{"gone", phonetest.Refused(http.StatusNotFound, "consent_not_found"), "android"}, // its buttons show all the same
		{"forbidden", phonetest.Refused(http.StatusForbidden, "invalid_dpop_assertion"), ""},
	}
	for _, p := range []phone.Profile{phone.Android, phone.Swift, phone.Web} {
		w := newWorld(t, p)
		a := w.enrolled(t, p)
		n := w.push(t, a)
		for _, tt := range tests {
			w.Answer(n.Link, tt.answer)
			_, err := w.phone.Consent(t.Context(), a, n)
			if takes := strings.Contains(" "+tt.takes+" ", " "+string(p)+" "); takes != (err == nil) {
				t.Errorf("%s: %s says %v", tt.name, p, err)
			}
		}
	}
}

func TestUpdateAnswers(t *testing.T) {
	w := newWorld(t, phone.Swift)
	a := w.enrolled(t, phone.Swift)
	for body, fine := range map[string]bool{
		`{}`: true, `{"push_credentials":null}`: true, `{"push_credentials":{"service":"APNS"}}`: false, `{"push_credentials":7}`: false, `x`: false,
	} {
		w.Answer(a.ID, phonetest.Canned{Status: http.StatusOK, Type: "application/json", Body: body})
		if _, err := w.phone.Update(t.Context(), a, phone.Change{}); fine != (err == nil) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestKeepAndRecall(t *testing.T) {
	for _, p := range []phone.Profile{phone.Android, phone.Web} {
		w := newWorld(t, p)
		a := w.enrolled(t, p)
		text, err := a.Keep()
		if err != nil {
			t.Fatal(err)
		}
		again, err := phone.Recall(text)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Keep(); err != nil || string(twice) != string(text) {
			t.Errorf("it keeps another text the second time: %v", err)
		}
		// What a key has computed for itself is not the same each time.
		one, two := a, again
		if one.Key, two.Key = (phone.Key{}), (phone.Key{}); !reflect.DeepEqual(one, two) {
			t.Errorf("%+v became %+v", a, again)
		}
		n := w.push(t, again)
		if err := w.phone.Allow(t.Context(), again, n, secret.Text{}); err != nil {
			t.Error(err)
		}
		shown := fmt.Sprintf("%v %+v %#v", a, a, a)
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("account", "account", a)
		for _, hidden := range []string{a.Token.Reveal(), pushToken, a.TOTP.Secret.Reveal()} {
			if strings.Contains(shown+log.String(), hidden) {
				t.Errorf("%s is in %s %s", hidden, shown, &log)
			}
		}
		if strings.Count(shown, "[redacted]") != 9 {
			t.Errorf("it is %s", shown)
		}
	}
	for _, text := range []string{"", "{}", `{"profile":"android","id":"x"}`, `{"profile":"android","id":"x","private_key":"AAAA"}`, `{"profile":"windows","id":"x"}`} {
		if _, err := phone.Recall([]byte(text)); err == nil {
			t.Errorf("recalled %q", text)
		}
	}
}
