package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
)

// deadline is the longest that a client waits for a message, with room for slow machines.
const deadline = 10 * time.Second

// undelivered checks the answer to who asked for a message that nobody took.
func undelivered(t *testing.T, what string, send func() gatewaytest.Reply) {
	t.Helper()
	began := time.Now()
	r := refused(t, send(), http.StatusServiceUnavailable, "temporarily_unavailable", "")
	if took := time.Since(began); took > deadline {
		t.Errorf("%s: the answer took %v", what, took)
	}
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 1 {
		t.Errorf("%s: Retry-After %q", what, r.Header.Get("Retry-After"))
	}
	for _, name := range []string{"oob_code", "recovery_codes", "binding_method"} {
		if r.JSON[name] != nil {
			t.Errorf("%s: %s in %s", what, name, r.Body)
		}
	}
}

// a provider that fails or hangs is never a success: 503 in time, nothing stays behind,
// and recovery codes come with the association that succeeds.
func TestX30ProvidersThatFail(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "web", "alice")
		all := func(f *phonetest.Failure) { w.Webhook.Always(f); w.Fallback.Always(f) }
		for name, f := range map[string]phonetest.Failure{
			"500": {Status: 500}, "429": {Status: 429, RetryAfter: "60"}, "hang": {Hang: true}, "400": {Status: 400},
		} {
			all(&f)
			undelivered(t, name, func() gatewaytest.Reply { return w.Associate(t, token, reach("sms", aNumber)) })
			for _, row := range w.Authenticators(t, token).Want(t, http.StatusOK, "").List {
				if row["active"] != true {
					t.Errorf("%s left behind %v", name, row)
				}
			}
		}
		w.Mail.Has(mailtest.Trouble{At: mailtest.AtRecipient, Code: 450})
		undelivered(t, "mail", func() gatewaytest.Reply { return w.Associate(t, token, reach("email", "")) })
		w.Mail.Has(mailtest.Trouble{})
		all(nil)
		if n := len(w.Webhook.Messages()) + len(w.Fallback.Messages()); n != 0 {
			t.Fatalf("%d messages arrived", n)
		}
		c, made := coded{client: "web", token: token}.associate(t, w, "sms", aNumber)
		if codes, _ := made.JSON["recovery_codes"].([]any); len(codes) != 1 {
			t.Errorf("no recovery codes come with what succeeded: %s", made.Body)
		}
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")

		// A challenge fails as honestly, and the one after it succeeds.
		sms := made.Text("id")
		token = ask(t, w, "spa", "alice")
		all(&phonetest.Failure{Status: 500})
		undelivered(t, "challenge", func() gatewaytest.Reply { return w.Challenge(t, token, "authenticator_id", sms) })
		all(nil)
		c = challenged(t, w, "spa", token, sms)
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
	})
}

// X-30, S-6: what one provider does not take another one does, with the same code under the
// same id; what it took without saying so is one message, and one budget's worth.
func TestX30Failover(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		for i, f := range []phonetest.Failure{{Status: 500}, {Status: 429}, {Late: true}} {
			w.Webhook.Always(&f)
			before := len(w.Webhook.Messages())
			token := ask(t, w, "spa", "alice")
			c := challenged(t, w, "spa", token, sms)
			got := w.Fallback.Next(t)
			for _, m := range w.Webhook.Messages()[before:] { // of the one that took it, and answered nothing
				if m != got {
					t.Errorf("%+v and %+v", m, got)
				}
			}
			if n := len(w.Fallback.Messages()); n != i+1 {
				t.Errorf("%d messages from the second provider", n)
			}
			c.redeem(t, w, got.Code).Want(t, http.StatusOK, "")
		}
		// A provider that stumbles once is asked again, with the same.
		w.Webhook.Always(nil)
		w.Fallback.Always(&phonetest.Failure{Status: 503})
		w.Webhook.Fail(phonetest.Failure{Status: 503})
		c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		all := w.Webhook.Messages()
		c.redeem(t, w, all[len(all)-1].Code).Want(t, http.StatusOK, "")
		// Ten messages, however often they were tried: five more are left.
		token := ask(t, w, "spa", "alice")
		for range 5 {
			challenged(t, w, "spa", token, sms)
		}
		overrun(t, w.Challenge(t, token, "authenticator_id", sms))
	})
}

// a message that comes too late is worth nothing; one that comes twice is one.
func TestX31LateAndTwice(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		late := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		w.Clock.Wind(300 * time.Second)
		refused(t, late.redeem(t, w, late.code), http.StatusUnauthorized, "expired_token", expiredOOB)
		twice := challenged(t, w, "spa", late.token, sms)
		twice.redeem(t, w, twice.code).Want(t, http.StatusOK, "")
		refused(t, twice.redeem(t, w, twice.code), http.StatusForbidden, "invalid_grant", "")
		// Nor does it help in the next login.
		next := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		tokenless(t, "the code of before", next.redeem(t, w, next.wrong()))
		next.redeem(t, w, next.code).Want(t, http.StatusOK, "")
	})
}

// where a provider sends the gateway to it does not go, and a name that nobody
// resolves is a provider that is not there.
func TestX34RedirectsAndNames(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		rw.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(inside.Close)
	s := gatewaytest.SQLite()
	s.Messages = true
	w := gatewaytest.New(t, s)
	token := ask(t, w, "web", "alice")
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := &phonetest.Failure{Status: status, Location: inside.URL}
		w.Webhook.Always(f)
		w.Fallback.Always(f)
		undelivered(t, strconv.Itoa(status), func() gatewaytest.Reply { return w.Associate(t, token, reach("sms", aNumber)) })
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
	w.Webhook.Always(nil)
	w.Restart(t, w.Webhook.URL, "https://messages.invalid/send")
	undelivered(t, "a name that nobody resolves", func() gatewaytest.Reply {
		return w.Associate(t, ask(t, w, "web", "alice"), reach("voice", aNumber))
	})
}

// I11, S-5: codes, and where they went, stand in nothing that is kept, logged, measured,
// traced or answered, whatever came of the message.
func TestCodesAreNowhere(t *testing.T) {
	spans, tracing := collect(t)
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		token := ask(t, w, "spa", "alice")
		answers := ""
		address, _ := finds(t, w.Authenticators(t, token), "email")["id"].(string)
		mailed := challenged(t, w, "spa", token, address)
		open := challenged(t, w, "spa", token, sms) // its code is still good
		answers += open.redeem(t, w, open.wrong()).Body
		w.Webhook.Always(&phonetest.Failure{Status: 500, Body: "no way to " + aNumber})
		answers += w.Challenge(t, token, "authenticator_id", strings.Replace(sms, "sms|", "voice|", 1)).Body
		w.Mail.Has(mailtest.Trouble{At: mailtest.AtRecipient, Code: 550})
		answers += refused(t, w.Challenge(t, token, "authenticator_id", address), http.StatusServiceUnavailable, "temporarily_unavailable", "").Body
		answers += w.Associate(t, ask(t, w, "web", "carol"), reach("sms", "+4915550100042 77")).Body
		answers += w.Authenticators(t, token).Body
		_, metrics := scrape(t, w)
		dump := w.Dump(t)
		w.Restart(t)
		if !strings.Contains(dump, "auth0|alice") || !strings.Contains(w.Log.String(), "a message was not delivered") || !strings.Contains(metrics, "sallyport_messages_total") {
			t.Fatal("this test would see nothing")
		}
		shown := map[string]string{"the log": w.Log.String(), "the metrics": metrics, "the spans": spans.String(), "the answers": answers}
		for place, text := range shown {
			for _, address := range []string{aNumber, aNumber[1:], "15550100042", "5550100042", "alice@", "alice%40"} {
				if strings.Contains(text, address) {
					t.Errorf("%s name %s", place, address)
				}
			}
		}
		shown["the stores"] = dump
		codes := []string{mailed.code}
		for _, m := range w.Webhook.Messages() {
			codes = append(codes, m.Code)
		}
		for _, code := range codes {
			// Six digits stand in every dump by chance, but not as a value of their own.
			for _, quoted := range []string{`"` + code + `"`, `'` + code + `'`, "code=" + code, "\t" + code + "\t", "#" + code, code + " is your"} {
				for place, text := range shown {
					if strings.Contains(text, quoted) {
						t.Errorf("a code stands in %s as %s", place, quoted)
					}
				}
			}
		}
	}, tracing)
}
