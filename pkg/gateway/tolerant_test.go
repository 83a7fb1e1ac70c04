package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A variant is one way in which clients write the same parameters (check A11).
type variant struct {
	name, contentType string
	body              func(t *testing.T, members map[string]string) string
	refused           bool
}

func asForm(extra string) func(*testing.T, map[string]string) string {
	return func(_ *testing.T, members map[string]string) string {
		text := ""
		for _, name := range slices.Sorted(maps.Keys(members)) {
			text += name + "=" + escape(members[name]) + "&"
		}
		return strings.TrimSuffix(text, "&") + extra
	}
}

// escape writes every byte as three characters, as a form may.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte('%')
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

// asJSON writes an object with further members.
func asJSON(before string, more map[string]any) func(*testing.T, map[string]string) string {
	return func(t *testing.T, members map[string]string) string {
		t.Helper()
		all := map[string]any{}
		for name, value := range members {
			all[name] = value
			if name == "authenticator_types" {
				all[name] = []string{value}
			}
		}
		for name, value := range more {
			if _, ok := all[name]; !ok {
				all[name] = value
			}
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return before + string(text)
	}
}

// absent are parameters that some client sends without a value.
var absent = []string{"realm", "scope", "audience", "challenge_type", "authenticator_id", "client_secret", "oob_channels", "phone_number", "email", "otp", "binding_code"}

func variants() []variant {
	const form, object = "application/x-www-form-urlencoded", "application/json"
	nulls, empty, unknown := map[string]any{}, map[string]any{}, map[string]any{
		"redirect_uri": "https://app.example.test/", "nested": map[string]any{"a": []int{1}}, "list": []string{"a", "b"}, "flag": true, "number": 1}
	blanks := ""
	for _, name := range absent {
		nulls[name], empty[name] = nil, ""
		blanks += "&" + name + "="
	}
	return []variant{
		{name: "form", contentType: form, body: asForm("")},
		{name: "form with charset", contentType: form + "; charset=UTF-8", body: asForm("")},
		{name: "form in capitals", contentType: "Application/X-WWW-Form-URLEncoded;Charset=utf-8", body: asForm("")},
		{name: "form with empty strings", contentType: form, body: func(t *testing.T, m map[string]string) string {
			return asForm(without(blanks, m))(t, m)
		}},
		{name: "form with unknown parameters", contentType: form, body: asForm("&redirect_uri=x&foo=1&foo=2&foo[]=3")},
		{name: "JSON", contentType: object, body: asJSON("", nil)},
		{name: "JSON with charset", contentType: object + "; charset=utf-8", body: asJSON("", nil)},
		{name: "JSON in capitals", contentType: "APPLICATION/JSON;charset=\"UTF-8\"", body: asJSON("", nil)},
		{name: "JSON with null", contentType: object, body: asJSON("", nulls)},
		{name: "JSON with empty strings", contentType: object, body: asJSON("", empty)},
		{name: "JSON with unknown members", contentType: object, body: asJSON("", unknown)},
		{name: "a brace under form", contentType: form, body: asJSON(" \r\n\t", nil)},
		{name: "a brace under nothing", body: asJSON("", nil)},
		{name: "a brace under text", contentType: "text/plain", body: asJSON("", nil)},

		{name: "form under JSON", contentType: object, body: asForm(""), refused: true},
		{name: "form under nothing", body: asForm(""), refused: true},
		{name: "another charset", contentType: form + "; charset=iso-8859-1", body: asForm(""), refused: true},
		{name: "parts", contentType: "multipart/form-data; boundary=x", body: asForm(""), refused: true},
		{name: "JSON cut short", contentType: object, refused: true, body: func(t *testing.T, m map[string]string) string {
			return strings.TrimSuffix(asJSON("", nil)(t, m), "}")
		}},
		{name: "two JSON objects", contentType: object, refused: true, body: func(t *testing.T, m map[string]string) string {
			return asJSON("", nil)(t, m) + "{}"
		}},
	}
}

// without leaves out of a form what a request has already.
func without(form string, m map[string]string) string {
	for name := range m {
		form = strings.Replace(form, "&"+name+"=", "", 1)
	}
	return form
}

// Check A11: JSON, form, null, empty-string and charset variants of every POST.
func TestEveryPostIsTolerant(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		recovery := alice.Recovery
		for _, v := range variants() {
			send := func(path, bearer string, members map[string]string) gatewaytest.Reply {
				r := gatewaytest.Request{Method: http.MethodPost, Path: path, ContentType: v.contentType, Body: v.body(t, members)}
				if bearer != "" {
					r.Header = gatewaytest.Bearer(bearer)
				}
				return w.Do(t, r)
			}
			want := func(r gatewaytest.Reply, status int, code string) gatewaytest.Reply {
				t.Helper()
				if v.refused {
					status, code = http.StatusBadRequest, "invalid_request"
				}
				if r.Status != status || r.Text("error") != code {
					t.Fatalf("%s: got %d %s, want %d %q", v.name, r.Status, r.Body, status, code)
				}
				return r
			}
			token := func() string { return ask(t, w, "spa", "alice") }
			first := want(send("/oauth/token", "", map[string]string{"grant_type": "password", "client_id": "spa",
				"username": "alice", "password": gatewaytest.Password}), http.StatusForbidden, "mfa_required").Text("mfa_token")
			if v.refused {
				first = token()
			}
			want(send("/mfa/challenge", "", map[string]string{"client_id": "spa", "mfa_token": first}), http.StatusOK, "")
			w.Clock.Wind(30 * time.Second)
			want(send("/oauth/token", "", map[string]string{"grant_type": gatewaytest.GrantOTP, "client_id": "spa",
				"mfa_token": first, "otp": w.Code(t, alice.Seed, 0)}), http.StatusOK, "")
			used := want(send("/oauth/token", "", map[string]string{"grant_type": gatewaytest.GrantRecovery, "client_id": "spa",
				"mfa_token": token(), "recovery_code": recovery}), http.StatusOK, "")
			if !v.refused {
				recovery = used.Text("recovery_code")
			}
			want(send("/mfa/associate", ask(t, w, "kiosk", "carol"), map[string]string{"authenticator_types": "otp"}), http.StatusOK, "")
			w.Clock.Wind(5 * time.Minute) // so that what waits for carol never reaches its limit
		}
	})
}

// What RFC 6749 and the contract want refused, whatever the body looks like.
func TestEveryPostRefuses(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		const form, object = "application/x-www-form-urlencoded", "application/json"
		const good = "token=x&grant_type=password&client_id=spa&username=carol&password=correct+horse+battery+staple"
		token := ask(t, w, "kiosk", "carol")
		refuse := func(name, path string, r gatewaytest.Request) {
			t.Helper()
			r.Method, r.Path = http.MethodPost, path+r.Path
			if path == "/mfa/associate" {
				header := gatewaytest.Bearer(token)
				maps.Copy(header, r.Header)
				r.Header = header
			}
			if got := w.Do(t, r); got.Status != http.StatusBadRequest || got.Text("error") != "invalid_request" {
				t.Errorf("%s at %s: %d %s", name, path, got.Status, got.Body)
			}
		}
		for name, r := range map[string]gatewaytest.Request{
			"an array":             {ContentType: object, Body: `[]`},
			"no UTF-8":             {ContentType: form, Body: good + "\xff"},
			"a bad escape":         {ContentType: form, Body: good + "&scope=%zz"},
			"client_id in the URL": {Path: "?client_id=spa", ContentType: form, Body: good},
			"compressed":           {ContentType: form, Body: good, Header: map[string]string{"Content-Encoding": "gzip"}},
			"deeply nested":        {ContentType: object, Body: `{"x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`},
			"a hundred parameters": {ContentType: form, Body: good + strings.Repeat("&x=1", 100)},
			"client_id twice":      {ContentType: form, Body: good + "&client_id=web"},
			"a member twice":       {ContentType: object, Body: `{"client_id":"spa","client_id":"spa"}`},
			"a list for a value":   {ContentType: object, Body: `{"client_id":["spa"]}`},
			"an object":            {ContentType: object, Body: `{"client_id":{"a":"spa"}}`},
			"a control character":  {ContentType: object, Body: `{"client_id":"spa\u0000"}`},
		} {
			for _, path := range []string{"/oauth/token", "/oauth/revoke", "/mfa/challenge", "/mfa/associate"} {
				refuse(name, path, r)
			}
		}
		refuse("a NUL in a password", "/oauth/token", gatewaytest.Request{ContentType: form, Body: good + "%00"})
		large := w.Form(t, "/oauth/token", "grant_type", strings.Repeat("x", 20<<10))
		refused(t, large, http.StatusRequestEntityTooLarge, "invalid_request", "")

		// GET comes with a Content-Type and without a body (1.1.8); a Bearer header at the
		// token endpoint is not the client's (1.1.12).
		w.Authenticators(t, token).Want(t, http.StatusOK, "")
		w.FormWith(t, "/oauth/token", gatewaytest.Bearer(token), "grant_type", "password", "client_id", "spa", "username", "carol",
			"password", gatewaytest.Password).Want(t, http.StatusOK, "")
		// Methods and paths that are none.
		for path, method := range map[string]string{"/oauth/token": http.MethodGet, "/mfa/associate": http.MethodGet, "/mfa/challenge": http.MethodDelete,
			"/mfa/authenticators": http.MethodPost, "/userinfo": http.MethodPut,
			"/mfa/authenticators/totp%7Cdev_0": http.MethodPost} {
			r := refused(t, w.Do(t, gatewaytest.Request{Method: method, Path: path}), http.StatusMethodNotAllowed, "invalid_request", "")
			if r.Header.Get("Allow") == "" {
				t.Errorf("%s %s: no Allow", method, path)
			}
		}
		for _, path := range []string{"/", "/oauth", "/oauth/token/", "//oauth/token", "/oauth/../oauth/token"} {
			refused(t, w.Do(t, gatewaytest.Request{Method: http.MethodPost, Path: path, ContentType: form, Body: good}), http.StatusNotFound, "not_found", "")
		}
	})
}
