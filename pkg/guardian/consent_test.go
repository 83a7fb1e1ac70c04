package guardian_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/guardian"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/record"
)

// proof is what a device proves its key with; change may spoil it.
func (w *world) proof(d *device, m push.Message, change func(header, claims map[string]any)) string {
	sum := sha256.Sum256([]byte(m.Token.Reveal()))
	header := map[string]any{"typ": "dpop+jwt", "alg": d.algorithm(), "jwk": d.jwk()}
	claims := map[string]any{"htm": "GET", "htu": w.base() + "/rich-consents/" + m.Consent, "ath": b64(sum[:]),
		"jti": "2f0c7a52-7a2b-4b55-9d6e-6a1f0f7f9a10", "iat": float64(w.clock.Now().Unix()) + 0.25}
	if change != nil {
		change(header, claims)
	}
	return d.sign(header, claims)
}

func (w *world) consent(m push.Message, proof string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.request("GET", "/rich-consents/"+m.Consent, "", "Authorization", "MFA-DPoP "+m.Token.Reveal(), "MFA-DPoP", proof)
}

// TestConsent: with code_to_page the phone shows the code, and what the page sends has to
// carry it (14.1).
func TestConsent(t *testing.T) {
	for _, d := range []*device{android(), approver(t)} {
		w := newWorld(t)
		m, polling := w.ask(w.enrolled(d), record.BindingToPage)
		if polling["binding_method"] != "prompt" || polling["binding_code"] != nil || m.Consent == "" {
			t.Fatalf("%v %+v", polling, m)
		}
		got := w.consent(m, w.proof(d, m, nil))
		var c guardian.Consent
		if got.Code != http.StatusOK || json.Unmarshal(got.Body.Bytes(), &c) != nil || got.Header().Get("Content-Type") != "application/json" ||
			got.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", got.Code, got.Header(), got.Body)
		}
		if c.ID != m.Consent || len(c.Requested.Message) != 6 || c.Requested.Audience != "https://api.example.com" ||
			c.Requested.Scope[0] != "openid" || c.CreatedAt != "2026-01-02T03:04:10.000Z" {
			t.Errorf("%s", got.Body)
		}
		refused(t, w.consent(m, w.proof(d, m, nil)), 403, "invalid_dpop_assertion") // the same jti
		if e := last(t, w); e.Reason != fault.BadDeviceProof.Error() || e.Subject != subject {
			t.Errorf("%+v", e)
		}
		again := w.proof(d, m, func(_, c map[string]any) { c["jti"] = "2F0C7A52-7A2B-4B55-9D6E-6A1F0F7F9A10" })
		if got := w.consent(m, again); got.Code != http.StatusOK {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		// It is gone with its transaction.
		w.answer(m, d.sign(d.header(), w.claims(d, m, true)))
		refused(t, w.consent(m, w.proof(d, m, nil)), 404, "consent_not_found")
	}
}

// TestConsentRefused has each check of section 9.
func TestConsentRefused(t *testing.T) {
	d, other := android(), approver(t)
	w := newWorld(t)
	e := w.enrolled(d)
	plain, _ := w.ask(e, record.BindingPlain)
	if plain.Consent != "" {
		t.Error("a consent that nobody needs keeps some apps from answering")
	}
	m, _ := w.ask(e, record.BindingToPage)
	now := w.clock.Now().Unix()
	set := func(name string, value any) func(_, c map[string]any) {
		return func(_, c map[string]any) { c[name] = value }
	}
	for name, change := range map[string]func(header, claims map[string]any){
		"typ":            func(h, _ map[string]any) { h["typ"] = "JWT" },
		"no key":         func(h, _ map[string]any) { delete(h, "jwk") },
		"another's key":  func(h, _ map[string]any) { h["jwk"] = other.jwk() },
		"method":         set("htm", "POST"),
		"another host":   set("htu", "https://attacker.example/rich-consents/"+m.Consent),
		"with prefix":    set("htu", "https://gw.example.com/appliance-mfa/rich-consents/"+m.Consent),
		"with a query":   set("htu", "https://gw.example.com/rich-consents/"+m.Consent+"?a"),
		"another one":    set("htu", "https://gw.example.com/rich-consents/cns_x"),
		"token":          set("ath", b64(make([]byte, 32))),
		"too old":        set("iat", now-121),
		"too new":        set("iat", now+121),
		"no time":        func(_, c map[string]any) { delete(c, "iat") },
		"no id":          func(_, c map[string]any) { delete(c, "jti") },
		"id is a number": set("jti", 1),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, w.consent(m, w.proof(d, m, change)), 403, "invalid_dpop_assertion")
		})
	}
	refused(t, w.consent(m, w.proof(other, m, nil)), 403, "invalid_dpop_assertion")
	refused(t, w.consent(m, "x"), 403, "invalid_dpop_assertion")
	refused(t, w.request("GET", "/rich-consents/"+m.Consent, "", "Authorization", "MFA-DPoP "+m.Token.Reveal()), 403, "invalid_dpop_assertion")
	for _, authorization := range []string{"", "Bearer " + m.Token.Reveal(), "MFA-DPoP"} {
		refused(t, w.request("GET", "/rich-consents/"+m.Consent, "", "Authorization", authorization, "MFA-DPoP", w.proof(d, m, nil)), 401, "invalid_bearer_format")
	}
	refused(t, w.request("GET", "/rich-consents/"+m.Consent, "", "Authorization", "MFA-DPoP x", "MFA-DPoP", w.proof(d, m, nil)), 401, "invalid_token")
	other404 := m
	other404.Consent = "cns_another"
	refused(t, w.consent(other404, w.proof(d, other404, nil)), 404, "consent_not_found")
	w.store.Down = errors.New("no connection")
	refused(t, w.consent(m, w.proof(d, m, nil)), 503, "temporarily_unavailable")
	w.store.Down = nil
	folded := func(_, c map[string]any) { c["htu"] = "HTTPS://GW.example.com:443/rich-consents/" + m.Consent }
	if got := w.consent(m, w.proof(d, m, folded)); got.Code != http.StatusOK {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.clock.wind(5 * time.Minute)
	refused(t, w.consent(m, w.proof(d, m, nil)), 404, "consent_not_found")
	w.clock.wind(time.Minute)
	refused(t, w.consent(m, w.proof(d, m, nil)), 401, "invalid_token")
}
