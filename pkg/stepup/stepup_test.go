package stepup_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/stepup"
)

const invalidToken = `Bearer error="invalid_token"`

// O-50-1: one transport, and a status and a challenge for each way to be refused.
func TestBearer(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token(t, nil)
	const malformed = `Bearer error="invalid_request"`
	for _, c := range []struct {
		name          string
		authorization []string
		status        int
		challenge     string
	}{
		{"none", nil, 401, "Bearer"},
		{"empty", []string{""}, 401, "Bearer"},
		{"good", []string{"Bearer " + token}, 200, ""},
		{"in any case, with more blanks", []string{"bEARER   " + token + " "}, 200, ""},
		{"another scheme", []string{"Basic " + token}, 401, "Bearer"},
		{"DPoP", []string{"DPoP " + token}, 401, "Bearer"},
		{"no scheme", []string{token}, 401, "Bearer"},
		{"no token", []string{"Bearer"}, 400, malformed},
		{"an empty token", []string{"Bearer "}, 400, malformed},
		{"only padding", []string{"Bearer =="}, 400, malformed},
		{"two tokens", []string{"Bearer " + token + " " + token}, 400, malformed},
		{"two in a list", []string{"Bearer " + token + ",Bearer " + token}, 400, malformed},
		{"a letter that no token has", []string{`Bearer "` + token + `"`}, 400, malformed},
		{"two headers", []string{"Bearer " + token, "Bearer " + token}, 400, malformed},
		{"Basic beside it", []string{"Bearer " + token, "Basic d2ViOg=="}, 400, malformed},
		{"garbage", []string{"Bearer garbage"}, 401, invalidToken},
		{"padded", []string{"Bearer " + token + "=="}, 401, invalidToken},
		{"very long", []string{"Bearer " + strings.Repeat("a", 1<<20)}, 401, invalidToken},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things?access_token="+token, strings.NewReader("access_token="+token))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = c.authorization
		rec := w.send(t, stepup.Demand{}, r)
		want(t, c.name, rec, c.status, c.challenge)
		if rec.Body.Len() > 0 != (c.status != 200 && c.challenge != "Bearer") {
			t.Errorf("%s: body %q", c.name, rec.Body)
		}
	}
	var said map[string]string
	if err := json.Unmarshal(w.ask(t, stepup.Demand{}, "garbage").Body.Bytes(), &said); err != nil || said["error"] != "invalid_token" {
		t.Errorf("the body says %v, %v", said, err)
	}
}

// O-JW-2: what a signature is good for is judged by every claim that RFC 9068, section
// 4, names.
func TestClaims(t *testing.T) {
	w := newWorld(t, nil)
	now := w.clock().Unix()
	good := map[string]map[string]any{
		"as it is":             nil,
		"several audiences":    {"aud": []string{"https://login.example.test/userinfo", audience}},
		"expired just now":     {"exp": now - 29},
		"of a clock ahead":     {"iat": now + 30, "nbf": now + 30},
		"without iat and more": {"iat": nil, "jti": nil, "sid": nil, "auth_time": nil, "amr": nil, "scope": nil},
		"with what none knows": {"SUB": "auth0|root", "x": []int{1}},
	}
	for name, change := range good {
		want(t, name, w.ask(t, stepup.Demand{}, w.token(t, change)), 200, "")
	}
	bad := map[string]map[string]any{
		"another issuer":          {"iss": "https://evil.example/"},
		"the issuer without /":    {"iss": strings.TrimSuffix(w.name(), "/")},
		"no issuer":               {"iss": nil},
		"another audience":        {"aud": "https://other.example.test/"},
		"no audience":             {"aud": nil},
		"no audience in the list": {"aud": []string{}},
		"the audience without /":  {"aud": strings.TrimSuffix(audience, "/")},
		"an audience of numbers":  {"aud": []int{1}},
		"no subject":              {"sub": nil},
		"a subject in capitals":   {"sub": nil, "SUB": "auth0|alice"},
		"no client":               {"client_id": nil},
		"Auth0's name for it":     {"client_id": nil, "azp": "spa"},
		"expired":                 {"exp": now - 30},
		"no exp":                  {"exp": nil},
		"exp beyond all times":    {"exp": int64(1<<63 - 1)},
		"exp a text":              {"exp": "soon"},
		"exp null":                {"exp": json.RawMessage("null")},
		"not yet":                 {"nbf": now + 31},
		"of the future":           {"iat": now + 31},
		"bound to a key":          {"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
	}
	for name, change := range bad {
		want(t, name, w.ask(t, stepup.Demand{}, w.token(t, change)), 401, invalidToken)
	}
}

// O-JW-1, O-JW-2: typ, alg and the rest of the header.
func TestHeader(t *testing.T) {
	w := newWorld(t, nil)
	rs, ec := rsaKey(t, "rsa"), w.key
	w.publish(ec, rs)
	thief := ecKey(t, ec.kid)
	header := func(change ...any) map[string]any {
		all := map[string]any{"alg": "ES256", "kid": ec.kid, "typ": "at+jwt"}
		for i := 0; i < len(change); i += 2 {
			if name, _ := change[i].(string); change[i+1] == nil {
				delete(all, name)
			} else {
				all[name] = change[i+1]
			}
		}
		return all
	}
	for name, token := range map[string]string{
		"ES256":          ec.sign(t, header(), w.claims(nil)),
		"RS256":          rs.sign(t, header("alg", "RS256", "kid", "rsa"), w.claims(nil)),
		"the whole type": ec.sign(t, header("typ", "application/AT+JWT"), w.claims(nil)),
	} {
		want(t, name, w.ask(t, stepup.Demand{}, token), 200, "")
	}
	unsigned := ec.sign(t, header("alg", "none"), w.claims(nil))
	for name, token := range map[string]string{
		"typ JWT":            ec.sign(t, header("typ", "JWT"), w.claims(nil)),
		"no typ":             ec.sign(t, header("typ", nil), w.claims(nil)),
		"no kid":             ec.sign(t, header("kid", nil), w.claims(nil)),
		"an unknown kid":     ec.sign(t, header("kid", "other"), w.claims(nil)),
		"another's kid":      ec.sign(t, header("kid", "rsa"), w.claims(nil)),
		"alg none":           unsigned,
		"unsigned":           unsigned[:strings.LastIndexByte(unsigned, '.')+1],
		"alg HS256":          ec.sign(t, header("alg", "HS256"), w.claims(nil)),
		"alg of another key": ec.sign(t, header("alg", "RS256"), w.claims(nil)),
		"alg PS256":          rs.sign(t, header("alg", "PS256", "kid", "rsa"), w.claims(nil)),
		"a key of its own":   thief.sign(t, header("jwk", thief.public()), w.claims(nil)),
		"keys elsewhere":     thief.sign(t, header("jku", "https://evil.example/keys"), w.claims(nil)),
		"crit":               ec.sign(t, header("crit", []string{"exp"}), w.claims(nil)),
		"a thief's":          thief.sign(t, header(), w.claims(nil)),
	} {
		want(t, name, w.ask(t, stepup.Demand{}, token), 401, invalidToken)
	}
}

// An ID token has the issuer, the keys and, in Auth0's dialect, the typ of an access
// token.
func TestIDTokens(t *testing.T) {
	w, lenient := newWorld(t, nil), newWorld(t, func(o *stepup.Options) { o.Auth0 = true })
	jwt := func(w *world, change map[string]any) string {
		return w.key.sign(t, map[string]any{"alg": "ES256", "kid": w.key.kid, "typ": "JWT"}, w.claims(change))
	}
	dialect := map[string]any{"azp": "spa", "gty": "password", "client_id": nil}
	want(t, "Auth0's dialect without the option", w.ask(t, stepup.Demand{}, jwt(w, dialect)), 401, invalidToken)
	want(t, "Auth0's dialect", lenient.ask(t, stepup.Demand{Scopes: []string{"read:things"}}, jwt(lenient, dialect)), 200, "")
	want(t, "RFC 9068 beside it", lenient.ask(t, stepup.Demand{}, lenient.token(t, nil)), 200, "")
	for name, change := range map[string]map[string]any{
		"an ID token":                         {"aud": "spa", "client_id": nil, "at_hash": "x", "nonce": "n"},
		"with azp":                            {"aud": "spa", "client_id": nil, "azp": "spa"},
		"of a client that is called as we":    {"client_id": nil},
		"of such a client, with azp":          {"client_id": nil, "azp": audience},
		"for its client and us":               {"aud": []string{"spa", audience}, "client_id": nil, "azp": "spa"},
		"Auth0's dialect for another API":     {"aud": "https://other.example.test/", "azp": "spa"},
		"Auth0's dialect of another issuer":   {"iss": "https://evil.example/", "azp": "spa"},
		"Auth0's dialect, expired":            {"exp": noon.Unix() - 30, "azp": "spa"},
		"client_id where azp would have been": nil,
	} {
		want(t, name, lenient.ask(t, stepup.Demand{}, jwt(lenient, change)), 401, invalidToken)
		want(t, name+" without the option", w.ask(t, stepup.Demand{}, jwt(w, change)), 401, invalidToken)
	}
}

// O-AC-3: what a valid token lacks, and the challenge that says so.
func TestDemand(t *testing.T) {
	w := newWorld(t, nil)
	const acr = `acr_values="` + stepup.MultiFactor + `"`
	const weak = `Bearer error="insufficient_user_authentication", `
	read, write := []string{"read:things"}, []string{"read:things", "write:things"}
	strong := map[string]any{"acr": stepup.MultiFactor, "amr": []string{"pwd", "otp", "mfa"}, "scope": "read:things write:things"}
	at := func(seconds int64) map[string]any { return map[string]any{"auth_time": w.clock().Unix() + seconds} }
	for _, c := range []struct {
		name      string
		demand    stepup.Demand
		change    map[string]any
		status    int
		challenge string
	}{
		{"nothing", stepup.Demand{}, map[string]any{"scope": nil}, 200, ""},
		{"a scope", stepup.Demand{Scopes: read}, nil, 200, ""},
		{"two scopes", stepup.Demand{Scopes: write}, strong, 200, ""},
		{"a scope that lacks", stepup.Demand{Scopes: write}, nil, 403, `Bearer error="insufficient_scope", scope="read:things write:things"`},
		{"no scope at all", stepup.Demand{Scopes: read}, map[string]any{"scope": nil}, 403, `Bearer error="insufficient_scope", scope="read:things"`},
		{"the beginning of a scope", stepup.Demand{Scopes: read}, map[string]any{"scope": "read:thingsandmore read"}, 403, `Bearer error="insufficient_scope", scope="read:things"`},
		{"acr", stepup.Demand{ACR: stepup.MultiFactor}, strong, 200, ""},
		{"no acr", stepup.Demand{ACR: stepup.MultiFactor}, nil, 401, weak + acr},
		{"another acr", stepup.Demand{ACR: stepup.MultiFactor}, map[string]any{"acr": "0"}, 401, weak + acr},
		{"amr is no acr", stepup.Demand{ACR: stepup.MultiFactor}, map[string]any{"amr": []string{"pwd", "otp", "mfa"}}, 401, weak + acr},
		{"acr and scope", stepup.Demand{ACR: stepup.MultiFactor, Scopes: write}, nil, 401, weak + acr + `, scope="read:things write:things"`},
		{"acr, and the scope is there", stepup.Demand{ACR: stepup.MultiFactor, Scopes: read}, nil, 401, weak + acr},
		{"as old as may be", stepup.Demand{MaxAge: time.Minute}, at(-60), 200, ""},
		{"too old", stepup.Demand{MaxAge: time.Minute}, at(-61), 401, weak + `max_age="60"`},
		{"of a clock ahead", stepup.Demand{MaxAge: time.Minute}, at(30), 200, ""},
		{"of the future", stepup.Demand{MaxAge: time.Minute}, at(31), 401, weak + `max_age="60"`},
		{"beyond all times", stepup.Demand{MaxAge: time.Minute}, map[string]any{"auth_time": int64(1<<63 - 1)}, 401, weak + `max_age="60"`},
		{"of no time", stepup.Demand{MaxAge: time.Minute}, map[string]any{"auth_time": nil}, 401, weak + `max_age="60"`},
		{"old and weak", stepup.Demand{MaxAge: time.Minute, ACR: stepup.MultiFactor}, at(-61), 401, weak + acr + `, max_age="60"`},
		{"fresh and weak", stepup.Demand{MaxAge: time.Minute, ACR: stepup.MultiFactor}, nil, 401, weak + acr + `, max_age="60"`},
		{"all of it", stepup.Demand{MaxAge: time.Minute, ACR: stepup.MultiFactor, Scopes: write}, strong, 200, ""},
	} {
		rec := w.ask(t, c.demand, w.token(t, c.change))
		want(t, c.name, rec, c.status, c.challenge)
		if c.status == 200 {
			continue
		}
		if parsed, ok := stepup.ParseChallenge(rec.Header()); !ok || parsed.String() != c.challenge {
			t.Errorf("%s: a client reads %+v, %v", c.name, parsed, ok)
		}
	}
	// The same token ages.
	token := w.token(t, strong)
	want(t, "young", w.ask(t, stepup.Demand{MaxAge: time.Minute}, token), 200, "")
	w.wind(61 * time.Second)
	want(t, "aged", w.ask(t, stepup.Demand{MaxAge: time.Minute}, token), 401, weak+`max_age="60"`)
}

func TestFromContext(t *testing.T) {
	w := newWorld(t, nil)
	var got stepup.Token
	handler := w.guard.Require(stepup.Demand{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = stepup.FromContext(r.Context())
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if _, ok := stepup.FromContext(r.Context()); ok {
		t.Error("a token where none was shown")
	}
	for _, c := range []struct {
		change map[string]any
		want   stepup.Token
	}{
		{map[string]any{"scope": "a  b", "acr": "strong", "amr": []string{"pwd", "otp"}}, stepup.Token{Subject: "auth0|alice", Client: "spa",
			Scopes: []string{"a", "b"}, ACR: "strong", AMR: []string{"pwd", "otp"}, AuthTime: noon, ExpiresAt: noon.Add(15 * time.Minute)}},
		{map[string]any{"scope": nil, "amr": nil, "auth_time": nil, "sub": "robot", "client_id": "robot"},
			stepup.Token{Subject: "robot", Client: "robot", Scopes: []string{}, ExpiresAt: noon.Add(15 * time.Minute)}},
	} {
		r.Header.Set("Authorization", "Bearer "+w.token(t, c.change))
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("the handler finds %+v, want %+v", got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]stepup.Options{
		"no issuer":         {Audience: audience},
		"no URL":            {Issuer: "login.example.test", Audience: audience},
		"no TLS":            {Issuer: "http://login.example.test/", Audience: audience},
		"another scheme":    {Issuer: "file://localhost/etc/", Audience: audience},
		"with a query":      {Issuer: "https://login.example.test/?x", Audience: audience},
		"with a fragment":   {Issuer: "https://login.example.test/#x", Audience: audience},
		"no audience":       {Issuer: "https://login.example.test/"},
		"a name like local": {Issuer: "http://localhost.example.test/", Audience: audience},
	} {
		if _, err := stepup.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, issuer := range []string{"https://login.example.test", "http://localhost:8976/", "http://127.0.0.1/", "http://[::1]:1/"} {
		if _, err := stepup.New(stepup.Options{Issuer: issuer, Audience: audience}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestRequirePanics(t *testing.T) {
	w := newWorld(t, nil)
	for _, d := range []stepup.Demand{
		{MaxAge: -time.Second}, {MaxAge: time.Millisecond}, {MaxAge: time.Minute + 1}, {Scopes: []string{""}},
		{Scopes: []string{"read write"}}, {Scopes: []string{`a"b`}}, {ACR: "a\r\nSet-Cookie: x"}, {ACR: `a\b`}, {ACR: "ä"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: accepted", d)
				}
			}()
			w.guard.Require(d, http.NotFoundHandler())
		}()
	}
}
