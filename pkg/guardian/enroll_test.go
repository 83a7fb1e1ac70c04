package guardian_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
)

// TestEnroll: a phone enrolls with a ticket, under both prefixes, and the client that polls
// goes on (section 5).
func TestEnroll(t *testing.T) {
	for _, prefix := range []string{"/appliance-mfa", ""} {
		w := newWorld(t)
		ticket, made := w.associate()
		got := w.request("POST", prefix+"/api/enroll", string(encode(android().enrollment())),
			"Authorization", `ticket ID=`+ticket, "Content-Type", "application/json; charset=utf-8", "Accept-Language", "en_US")
		if got.Code != http.StatusCreated || got.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v %s", got.Code, got.Header(), got.Body)
		}
		var body map[string]any
		if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		// The strict readers: six members, totp with all of its own, numbers as numbers,
		// the algorithm in lower case, the token without a dot.
		totp := body["totp"].(map[string]any)
		twin := made.Authenticators[1]
		if body["id"] != twin.Group || body["url"] != "https://gw.example.com" || body["issuer"] != "Acme" || body["user_id"] != subject ||
			len(body["token"].(string)) != 43 || strings.Contains(body["token"].(string), ".") || len(body) != 6 || len(totp) != 4 ||
			totp["secret"] != twin.Secret.Reveal() || totp["algorithm"] != "sha1" || totp["digits"] != 6.0 || totp["period"] != 30.0 {
			t.Errorf("%s", got.Body)
		}
		code := secret.New(made.Reply["oob_code"].(string))
		if id, err := w.factor.Await(t.Context(), "tx", mfa.Proof{"oob_code": code}, 0); err != nil || id.Authenticator != made.Authenticators[0].ID {
			t.Errorf("%q %v", id, err)
		}
		d, err := w.store.Device(t.Context(), twin.Group)
		if err != nil || d.Identifier != "a1b2c3d4e5f60718" || d.Name != "Ann's Pixel" || d.Endpoint.Token.Reveal() != "registration" ||
			strings.Contains(d.Key, `"n":"A`) || d.TokenHash != secret.Hash(secret.New(body["token"].(string))) {
			t.Errorf("%+v %v", d, err)
		}
		if e := w.store.Events(); len(e) != 1 || e[0].Type != audit.DeviceChanged || e[0].Address != "203.0.113.7" || e[0].Subject != subject {
			t.Errorf("%+v", e)
		}
	}
}

// TestEnrollAgain: networks lose answers, so the same phone has a minute; another one has
// none, and what was seen is recorded.
func TestEnrollAgain(t *testing.T) {
	w := newWorld(t)
	ticket, made := w.associate()
	d := android()
	first := w.enroll(ticket, d.enrollment())
	w.store.Confirm(made.Authenticators[0].Group) // the client was faster than the phone
	w.clock.wind(59 * time.Second)
	if again := w.enroll(ticket, d.enrollment()); again.Code != http.StatusCreated || again.Body.String() != first.Body.String() {
		t.Errorf("%d %s, first %s", again.Code, again.Body, first.Body)
	}
	refused(t, w.enroll(ticket, approver(t).enrollment()), 409, "enrollment_conflict")
	w.clock.wind(time.Second)
	refused(t, w.enroll(ticket, d.enrollment()), 409, "enrollment_conflict")
	e := w.store.Events()
	if last := e[len(e)-1]; last.Type != audit.AnswerRefused || last.Success || last.Reason != "device_conflict" || last.Subject != subject {
		t.Errorf("%+v", last)
	}
}

// TestEnrollRefused has each refusal of section 5.
func TestEnrollRefused(t *testing.T) {
	with := func(change func(map[string]any)) map[string]any {
		body := android().enrollment()
		change(body)
		return body
	}
	key := func(name string, value any) map[string]any {
		return with(func(b map[string]any) {
			k := maps.Clone(b["public_key"].(map[string]any))
			k[name] = value
			b["public_key"] = k
		})
	}
	service := func(name string) map[string]any {
		return with(func(b map[string]any) { b["push_credentials"] = map[string]any{"service": name, "token": "x"} })
	}
	for name, tt := range map[string]struct {
		body   map[string]any
		status int
		code   string
	}{
		"no credentials for the service": {service("WEBPUSH"), 403, "feature_disabled"},
		"no token":                       {with(func(b map[string]any) { b["push_credentials"] = map[string]any{"service": "GCM"} }), 400, "invalid_body"},
		"no push_credentials":            {with(func(b map[string]any) { delete(b, "push_credentials") }), 400, "invalid_body"},
		"no identifier":                  {with(func(b map[string]any) { delete(b, "identifier") }), 400, "invalid_body"},
		"identifier is a number":         {with(func(b map[string]any) { b["identifier"] = 1 }), 400, "invalid_body"},
		"name is a number":               {with(func(b map[string]any) { b["name"] = 1 }), 400, "invalid_body"},
		"another case":                   {with(func(b map[string]any) { b["Identifier"] = b["identifier"]; delete(b, "identifier") }), 400, "invalid_body"},
		"no key":                         {with(func(b map[string]any) { delete(b, "public_key") }), 400, "invalid_body"},
		"a private member":               {key("d", "AQAB"), 400, "invalid_body"},
		"a prime":                        {key("p", "AQAB"), 400, "invalid_body"},
		"another algorithm":              {key("alg", "PS256"), 400, "invalid_body"},
		"for encryption":                 {key("use", "enc"), 400, "invalid_body"},
		"even exponent":                  {key("e", "BA"), 400, "invalid_body"},
		"short modulus":                  {key("n", "AO3R19cm-0Bd3V081kFPm170Y_sML1BSfRHtNGhI0Imc"), 400, "invalid_body"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ticket, made := w.associate()
			refused(t, w.enroll(ticket, tt.body), tt.status, tt.code)
			if _, err := w.store.Device(t.Context(), made.Authenticators[0].Group); err == nil {
				t.Error("enrolled")
			}
			// The ticket is good still.
			if got := w.enroll(ticket, android().enrollment()); got.Code != http.StatusCreated {
				t.Errorf("%d %s", got.Code, got.Body)
			}
		})
	}
}

func TestEnrollWithoutTicket(t *testing.T) {
	w := newWorld(t)
	ticket, _ := w.associate()
	body := string(encode(android().enrollment()))
	for _, header := range []string{"", "Ticket", "Ticket id=", `Ticket id=""`, "Bearer " + ticket, "Ticket " + ticket, `Ticket id="a"b"`} {
		refused(t, w.request("POST", "/api/enroll", body, "Authorization", header), 401, "invalid_bearer_format")
	}
	refused(t, w.enroll("another", android().enrollment()), 404, "enrollment_transaction_not_found")
	w.clock.wind(5 * time.Minute)
	refused(t, w.enroll(ticket, android().enrollment()), 404, "enrollment_transaction_not_found")

	ticket, made := w.associate()
	w.challenges.Lose(challengeOf(t, w, made)) // nobody waits any more
	refused(t, w.enroll(ticket, android().enrollment()), 404, "enrollment_transaction_not_found")

	w = newWorld(t)
	ticket, _ = w.associate()
	w.store.Down = errors.New("no connection")
	got := w.enroll(ticket, android().enrollment())
	refused(t, got, 503, "temporarily_unavailable")
	if got.Header().Get("Retry-After") == "" || strings.Contains(got.Body.String(), "connection") {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	w.store.Down, w.challenges.Down = nil, errors.New("no connection")
	refused(t, w.enroll(ticket, android().enrollment()), 503, "temporarily_unavailable")
	w.challenges.Down = nil // the phone comes again, and what was half done is finished
	if got := w.enroll(ticket, android().enrollment()); got.Code != http.StatusCreated {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// challengeOf is the id of the challenge of an association.
func challengeOf(t *testing.T, w *world, made mfa.Enrollment) string {
	t.Helper()
	for _, id := range w.challenges.IDs() {
		c, state, err := w.challenges.Challenge(t.Context(), id)
		if err == nil && state == oob.Pending && c.Authenticator == made.Authenticators[0].ID {
			return id
		}
	}
	t.Fatal("no challenge")
	return ""
}
