package guardian_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/guardian"
)

const accounts = "/appliance-mfa/api/device-accounts/"

// bearer is a token that a device signs for its account.
func (w *world) bearer(d *device, e guardian.Enrolled, change func(claims map[string]any)) string {
	now := w.clock.Now().Unix()
	claims := map[string]any{"iss": e.ID, "sub": e.Subject, "aud": w.base() + "/appliance-mfa/api/device-accounts", "iat": now, "exp": now + 7200}
	if change != nil {
		change(claims)
	}
	return "Bearer " + d.sign(d.header(), claims)
}

// TestUpdate: any part of an account changes, the rest stays, and the answer says what there
// is (section 6).
func TestUpdate(t *testing.T) {
	d := android()
	w := newWorld(t)
	e := w.enrolled(d)
	for _, tt := range []struct{ body, authorization, want, event string }{
		{`{}`, "Bearer " + e.Token, `"identifier":"a1b2c3d4e5f60718","name":"Ann's Pixel","push_credentials":{"service":"GCM","token":"registration"}`, "enrolled"},
		{`{"name":"New\/name","unknown":1}`, w.bearer(d, e, nil), `"identifier":"a1b2c3d4e5f60718","name":"New/name","push_credentials":{"service":"GCM","token":"registration"}`, "name"},
		{`{"identifier":"new-id","name":null}`, "bearer " + e.Token, `"identifier":"new-id","name":"New/name","push_credentials":{"service":"GCM","token":"registration"}`, "identifier"},
		{`{"push_credentials":{"service":"APNS","token":"ABCD"}}`, w.bearer(d, e, func(c map[string]any) {
			c["aud"], c["iat"], c["exp"] = "https://gw.example.com/api/device-accounts", 1767323045.5, 1767330245.5
		}), `"identifier":"new-id","name":"New/name","push_credentials":{"service":"APNS","token":"ABCD"}`, "push_credentials"},
	} {
		got := w.request("PATCH", accounts+e.ID, tt.body, "Authorization", tt.authorization)
		if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/json" || got.Body.String() != `{"id":"`+e.ID+`",`+tt.want+`}` {
			t.Errorf("%s: %d %s", tt.body, got.Code, got.Body)
		}
		if ev := last(t, w); ev.Type != audit.DeviceChanged || ev.Reason != tt.event || strings.Contains(ev.Reason, "ABCD") {
			t.Errorf("%+v", ev)
		}
	}
	for body, code := range map[string]string{
		`{"push_credentials":{"service":"WEBPUSH","token":"x"}}`: "feature_disabled",
		`{"push_credentials":{"service":"GCM"}}`:                 "invalid_body",
		`{"push_credentials":"x"}`:                               "invalid_body",
		`{"name":1}`:                                             "invalid_body",
		`{"identifier":""}`:                                      "invalid_body",
		`{"name":"a","name":"b"}`:                                "invalid_body",
		``:                                                       "invalid_body",
	} {
		refused(t, w.request("PATCH", "/api/device-accounts/"+e.ID, body, "Authorization", "Bearer "+e.Token), map[string]int{"feature_disabled": 403, "invalid_body": 400}[code], code)
	}
	if kept, err := w.store.Device(t.Context(), e.ID); err != nil || kept.Identifier != "new-id" || kept.Endpoint.Token.Reveal() != "ABCD" {
		t.Errorf("%+v %v", kept, err)
	}
}

// TestRemove: the device itself may, and nobody else (section 6).
func TestRemove(t *testing.T) {
	d, other := android(), approver(t)
	w := newWorld(t)
	e, theirs := w.enrolled(d), w.enrolled(other)
	set := func(name string, value any) string {
		return w.bearer(d, e, func(c map[string]any) { c[name] = value })
	}
	now := w.clock.Now().Unix()
	for authorization, code := range map[string]string{
		"":                           "invalid_bearer_format",
		"Bearer ":                    "invalid_bearer_format", // a phone that could not sign
		"Ticket id=x":                "invalid_bearer_format",
		"Bearer x":                   "invalid_token",
		"Bearer " + theirs.Token:     "invalid_token",
		w.bearer(other, e, nil):      "invalid_token",
		w.bearer(other, theirs, nil): "invalid_token",
		set("iss", d.identifier):     "invalid_token",
		set("sub", "auth0|bob"):      "invalid_token",
		set("aud", "https://gw.example.com/appliance-mfa/api/device-accounts/"+e.ID): "invalid_token",
		set("aud", "https://gw.example.com"):                                         "invalid_token",
		set("aud", "https://other.example/api/device-accounts"):                      "invalid_token",
		set("exp", now+7201): "invalid_token",
		set("iat", now+121):  "invalid_token",
		w.bearer(d, e, func(c map[string]any) { c["iat"], c["exp"] = now-7321, now-121 }): "invalid_token",
	} {
		refused(t, w.request("DELETE", accounts+e.ID, "", "Authorization", authorization), 401, code)
	}
	m, _ := w.ask(e, "")
	refused(t, w.request("DELETE", accounts+e.ID, "", "Authorization", "Bearer "+m.Token.Reveal()), 401, "invalid_token")
	refused(t, w.request("DELETE", accounts+"dev_Unknown", "", "Authorization", "Bearer "+e.Token), 404, "enrollment_not_found")
	w.store.Down = errors.New("no connection")
	refused(t, w.request("DELETE", accounts+e.ID, "", "Authorization", "Bearer "+e.Token), 503, "temporarily_unavailable")
	w.store.Down = nil

	if got := w.request("DELETE", accounts+e.ID, "", "Authorization", w.bearer(d, e, nil)); got.Code != http.StatusNoContent || got.Body.Len() != 0 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if ev := last(t, w); ev.Type != audit.Removed || !ev.Success || ev.Subject != subject || ev.Address != "203.0.113.7" {
		t.Errorf("%+v", ev)
	}
	refused(t, w.request("DELETE", accounts+e.ID, "", "Authorization", "Bearer "+e.Token), 404, "enrollment_not_found")
	// Android 0.2 knows no prefix and no signed token.
	if got := w.request("DELETE", "/api/device-accounts/"+theirs.ID, "", "Authorization", "Bearer "+theirs.Token); got.Code != http.StatusNoContent {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
