package gateway_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

const (
	formBody = "application/x-www-form-urlencoded"
	jsonBody = "application/json"
)

// A bad is one row of the corpus of bad input, by its number there.
type bad struct {
	row, name string
	status    int
	code      string
	request   gatewaytest.Request
}

// posted is a row about a POST to the token endpoint, refused as 400 invalid_request.
func posted(row, name, contentType, body string) bad {
	return bad{row, name, http.StatusBadRequest, "invalid_request",
		gatewaytest.Request{Method: http.MethodPost, Path: "/oauth/token", ContentType: contentType, Body: body}}
}

// as changes what a row wants.
func (b bad) as(status int, code string) bad {
	b.status, b.code = status, code
	return b
}

// at changes the path, and maybe the method.
func (b bad) at(method, path string) bad {
	b.request.Method, b.request.Path = method, path
	return b
}

// with adds a header.
func (b bad) with(name, value string) bad {
	b.request.Header = map[string]string{name: value}
	return b
}

// loginForm is a login of carol that would succeed.
const loginForm = "grant_type=password&client_id=spa&username=carol&password=correct+horse+battery+staple"

// forms are rows B-01 to B-10.
func forms() []bad {
	gzip := posted("B-09", "a bomb", formBody, "\x1f\x8b\x08").with("Content-Encoding", "gzip")
	return []bad{
		posted("B-01", "repeated", formBody, loginForm+"&username=alice"),
		posted("B-01", "repeated, alike", formBody, loginForm+"&client_id=spa"),
		posted("B-01", "repeated, empty", formBody, loginForm+"&scope=&scope="),
		posted("B-01", "two audiences", formBody, loginForm+"&audience=a&audience=b"),
		posted("B-02", "in the URL as well", formBody, loginForm).at("POST", "/oauth/token?username=carol"),
		posted("B-02", "a secret in the URL", formBody, loginForm).at("POST", "/oauth/token?client_secret=x"),
		posted("B-02", "all of it in the URL", formBody, "").at("POST", "/oauth/token?"+loginForm),
		posted("B-02", "a name in the URL that is hidden", formBody, loginForm).at("POST", "/oauth/token?x;username=carol"),
		posted("B-02", "an mfa_token in the URL", formBody, "client_id=spa").at("POST", "/mfa/challenge?mfa_token=x"),
		posted("B-03", "semicolon", formBody, loginForm+";scope=x"),
		posted("B-04", "bad escape", formBody, loginForm+"&scope=%zz"),
		posted("B-04", "lone percent", formBody, loginForm+"&scope=%"),
		posted("B-05", "NUL", formBody, loginForm+"&scope=%00"),
		posted("B-05", "NUL in a password", formBody, loginForm+"%00"),
		posted("B-05", "C0", formBody, loginForm+"&scope=%1b"),
		posted("B-05", "C1", formBody, loginForm+"&scope=%C2%9B"),
		posted("B-05", "line separator", formBody, loginForm+"&scope=%E2%80%A8"),
		posted("B-05", "turned around", formBody, loginForm+"&scope=%E2%80%AEx"),
		posted("B-05", "isolated", formBody, loginForm+"&scope=%E2%81%A6x"),
		posted("B-06", "no UTF-8", formBody, loginForm+"&scope=\xff"),
		posted("B-06", "no UTF-8, escaped", formBody, loginForm+"&scope=%ff"),
		posted("B-07", "10,001 parameters", formBody, loginForm+strings.Repeat("&", 10_001)),
		posted("B-07", "65 parameters", formBody, loginForm+strings.Repeat("&x=1", 61)),
		posted("B-07", "a name of 1 MB", formBody, loginForm+"&"+strings.Repeat("x", 1<<20)).as(http.StatusRequestEntityTooLarge, "invalid_request"),
		posted("B-07", "a body of 16 KiB and 1", formBody, loginForm+"&x="+strings.Repeat("x", 16<<10+1-len(loginForm)-3)).as(http.StatusRequestEntityTooLarge, "invalid_request"),
		posted("B-08", "no type", "", loginForm),
		posted("B-08", "text", "text/plain", loginForm),
		posted("B-08", "two types", formBody+", "+jsonBody, loginForm),
		posted("B-08", "UTF-16", formBody+"; charset=utf-16", loginForm),
		posted("B-08", "parts", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\npassword\r\n--x--"),
		posted("B-08", "parts without a boundary", "multipart/form-data", loginForm),
		posted("B-08", "XML", "application/xml", "<!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]><x>&y;</x>"),
		gzip,
		posted("B-10", "encoded twice", formBody, strings.Replace(loginForm, "password&", "%2570assword&", 1)).as(http.StatusBadRequest, "unsupported_grant_type"),
		posted("B-10", "overlong", formBody, loginForm+"&scope=%c0%af"),
	}
}

// objects are rows B-20 to B-27.
func objects() []bad {
	const open = `{"grant_type":"password","client_id":"spa","username":"carol","password":"correct horse battery staple"`
	row := func(row, name, rest string) bad { return posted(row, name, jsonBody, open+rest) }
	return []bad{
		row("B-20", "twice", `,"username":"alice"}`),
		row("B-20", "twice, alike", `,"username":"carol"}`),
		row("B-20", "twice, once escaped", `,"user\u006eame":"alice"}`),
		row("B-20", "twice, unknown", `,"x":1,"x":1}`),
		posted("B-21", "another case", jsonBody, `{"GRANT_TYPE":"password","Client_ID":"spa"}`),
		row("B-22", "no UTF-8", ",\"scope\":\"\xff\"}"),
		row("B-22", "half a pair", `,"scope":"\ud800"}`),
		row("B-23", "a second object", `}{}`),
		row("B-23", "something behind", `}x`),
		row("B-23", "cut short", `,"scope":"a`),
		row("B-24", "a boolean", `,"scope":true}`),
		row("B-24", "an array", `,"scope":["openid"]}`),
		row("B-24", "an object", `,"scope":{"$ne":""}}`),
		row("B-24", "1e400", `,"max_age":1e400}`),
		row("B-24", "-0", `,"max_age":-0}`),
		row("B-24", "64 bits", `,"max_age":9223372036854775808}`),
		row("B-25", "17 deep", `,"x":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`}`),
		row("B-25", "7,000 deep", `,"x":`+strings.Repeat("[", 7000)+strings.Repeat("]", 7000)+`}`),
		row("B-25", "7,000 deep and open", `,"x":`+strings.Repeat(`{"x":`, 3000)),
		row("B-26", "a key of 1 MB", `,"`+strings.Repeat("x", 1<<20)+`":1}`).as(http.StatusRequestEntityTooLarge, "invalid_request"),
		posted("B-27", "a byte order mark", jsonBody, "\ufeff"+open+"}"),
		row("B-27", "a comment", `/* */}`),
		row("B-27", "NaN", `,"max_age":NaN}`),
		row("B-27", "single quotes", `,'scope':'x'}`),
		posted("B-27", "UTF-16", jsonBody+"; charset=utf-16", "{\x00}\x00"),
		posted("B-27", "an array", jsonBody, "["+open+"}]"),
		posted("B-27", "a text", jsonBody, `"`+loginForm+`"`),
	}
}

// meanings are rows B-30 to B-36 that need no login, and those of section 7.6 that a
// client of the standard library can send.
func meanings() []bad {
	name := func(row, what, username string, status int, code string) bad {
		return posted(row, what, formBody, "grant_type=password&client_id=spa&username="+url.QueryEscape(username)+"&password=x").as(status, code)
	}
	wrong := func(row, what, username string) bad {
		return name(row, what, username, http.StatusForbidden, "invalid_grant")
	}
	client := func(row, what, id string) bad {
		return posted(row, what, formBody, "grant_type=password&username=carol&password=x&client_id="+url.QueryEscape(id)).as(http.StatusUnauthorized, "invalid_client")
	}
	path := func(path string) bad {
		return posted("B-74", path, formBody, loginForm).at("POST", path).as(http.StatusNotFound, "not_found")
	}
	method := func(verb, path string) bad {
		return posted("B-68", verb+" "+path, "", "").at(verb, path).as(http.StatusMethodNotAllowed, "invalid_request")
	}
	return []bad{
		wrong("B-30", "a name of 10 kB", strings.Repeat("x", 10_000)),
		wrong("B-30", "zero width", "car\u200bol"), wrong("B-30", "confusable", "c\u0430rol"), wrong("B-30", "a dot at the end", "carol."),
		wrong("B-30", "a space inside", "car ol"), wrong("B-30", "LDAP", "*)(uid=*"), wrong("B-33", "SQL", "carol' OR '1'='1"),
		name("B-30", "empty", "", http.StatusBadRequest, "invalid_request"),
		client("B-34", "quotes", `"'`), client("B-34", "markup", "<script>alert(1)</script>"), client("B-34", "a lookup", "${jndi:ldap://x}"),
		client("B-34", "SQL", "spa' --"), client("B-34", "a wildcard", "%"), client("B-34", "capitals", "SPA"), client("B-34", "a blank", "spa "),
		posted("B-34", "CRLF", formBody, loginForm+"&scope=a%0d%0aSet-Cookie:x"),
		posted("B-34", "CRLF in a client_id", formBody, "grant_type=password&client_id=a%0d%0ab"),
		posted("B-36", "max_age -1", formBody, loginForm+"&max_age=-1"), posted("B-36", "max_age 10^12", formBody, loginForm+"&max_age=1000000000000"),
		posted("B-36", "max_age 1e1", formBody, loginForm+"&max_age=1e1"), posted("B-36", "max_age of other digits", formBody, loginForm+"&max_age=%D9%A1"),
		posted("7", "no grant_type", formBody, "client_id=spa"),
		posted("7", "unknown grant", formBody, "client_id=spa&grant_type=urn:x").as(http.StatusBadRequest, "unsupported_grant_type"),
		posted("7", "unknown audience", formBody, loginForm+"&audience=https%3A%2F%2Fevil.test%2F").as(http.StatusForbidden, "access_denied"),
		method("GET", "/oauth/token"), method("PUT", "/oauth/token"), method("TRACE", "/oauth/token"), method("post", "/oauth/token"), method("FOO", "/oauth/token"),
		method("OPTIONS", "/oauth/introspect"), method("HEAD", "/mfa/challenge"), method("POST", "/mfa/authenticators"), method("DELETE", "/userinfo"),
		method("GET", "/oauth/token").with("X-HTTP-Method-Override", "POST"), // B-69
		posted("B-69", "_method", formBody, "").at("GET", "/oauth/token?_method=POST").as(http.StatusMethodNotAllowed, "invalid_request"),
		path("//oauth/token"), path("/oauth//token"), path("/oauth/./token"), path("/x/../oauth/token"), path("/oauth/token/"), path("/oauth%2ftoken"),
		path("/oauth/tok%65n"), path("/OAuth/Token"), path("/oauth/token;x=1"), path("/oauth/token%00"), path("/mfa"), path("/mfa/"),
		path("/x").with("X-Original-URL", "/oauth/token"), // B-73
		path("/x").with("X-Rewrite-URL", "/oauth/token"),
	}
}

// Section 7: each row gets its answer in the shape of every error, quotes nothing, and
// nobody is logged in by it.
func TestBadInput(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for _, rows := range [][]bad{forms(), objects(), meanings()} {
			for _, b := range rows {
				t.Run(b.row+" "+b.name, func(t *testing.T) {
					r := w.Do(t, b.request)
					if b.request.Method == http.MethodHead {
						if r.Status != b.status || r.Header.Get("Allow") == "" {
							t.Errorf("%d %v", r.Status, r.Header)
						}
						return
					}
					refused(t, r, b.status, b.code, "")
					if r.Status == http.StatusMethodNotAllowed && r.Header.Get("Allow") == "" || r.Header.Get("Location") != "" ||
						r.Header.Get("Set-Cookie") != "" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
						t.Errorf("headers %v", r.Header)
					}
					for _, echo := range []string{"alert(", "jndi", "horse", "evil", "passwd"} {
						if strings.Contains(r.Body, echo) {
							t.Errorf("%s is said in %s", echo, r.Body)
						}
					}
				})
			}
		}
		if log := w.Log.String(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
			t.Errorf("something broke: %s", log)
		}
		// What comes near to being bad is not: B-01, B-05, B-07, B-10, B-26.
		for name, body := range map[string]string{
			"unknown, repeated": loginForm + "&resource=a&resource=b", "a + and a %20": strings.Replace(loginForm, "+", "%20", 1),
			"an empty name": loginForm + "&=x", "64 parameters": loginForm + strings.Repeat("&x=1", 60),
			"one audience": loginForm + "&scope=read:things&audience=" + url.QueryEscape(things), "max_age 0": strings.Replace(loginForm, "spa", "spa&max_age=0", 1),
		} {
			if r := w.Do(t, posted("", name, formBody, body).request); r.Status != http.StatusOK {
				t.Errorf("%s: %d %s", name, r.Status, r.Body)
			}
		}
		// B-30: one form of a name for all that look alike and are alike.
		for _, username := range []string{"CAROL", " carol ", "\uff43\uff41\uff52\uff4f\uff4c", "Carol@Example.TEST"} {
			w.Login(t, username, gatewaytest.Password).Want(t, http.StatusOK, "")
		}
	})
}

// B-31: no code has a second spelling, and what is no code is a wrong one. B-37: no step
// can be left out. B-38: what belongs to one login opens no other.
func TestBadSteps(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		for _, spell := range spellings {
			token, code := ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)
			for _, other := range spell(code) {
				refused(t, w.OTP(t, token, other), http.StatusForbidden, "invalid_grant", invalidOTP)
			}
			w.OTP(t, token, code).Want(t, http.StatusOK, "")
			w.Clock.Wind(30 * time.Second)
		}
		token, code := ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)
		// B-37: before the challenge nothing is waited for; a factor that waits for its first
		// proof counts under its own mfa_token alone; nothing comes after the success.
		carol := ask(t, w, "kiosk", "carol")
		made := w.Associate(t, carol, anOTP).Want(t, http.StatusOK, "")
		other := ask(t, w, "kiosk", "carol")
		seed := made.Text("secret")
		refused(t, w.Token(t, "grant_type", gatewaytest.GrantOTP, "client_id", "kiosk", "mfa_token", other, "otp", w.Code(t, seed, 0)),
			http.StatusUnauthorized, "unsupported_challenge_type", "")
		refused(t, w.Form(t, "/mfa/challenge", "client_id", "kiosk", "mfa_token", carol, "authenticator_id", made.Text("id")),
			http.StatusUnauthorized, "association_required", "")
		refused(t, w.Token(t, "grant_type", gatewaytest.GrantRecovery, "client_id", "kiosk", "mfa_token", other, "recovery_code", "A"), http.StatusUnauthorized, "unsupported_challenge_type", "")
		refused(t, w.Recover(t, alice.Tokens.Text("access_token"), alice.Recovery), http.StatusForbidden, "invalid_grant", malformedToken)
		// B-38: alice's login with carol's proof, carol's client, carol's code.
		refused(t, w.OTP(t, token, w.Code(t, seed, 0)), http.StatusForbidden, "invalid_grant", invalidOTP)
		refused(t, w.Token(t, "grant_type", gatewaytest.GrantOTP, "client_id", "kiosk", "mfa_token", token, "otp", code), http.StatusBadRequest, "invalid_request", foreignToken)
		refused(t, w.Recover(t, token, "AAAAAAAAAAAAAAAAAAAAAAAA"), http.StatusForbidden, "invalid_grant", rejected)
		w.OTP(t, token, code).Want(t, http.StatusOK, "")
		refused(t, w.Challenge(t, token), http.StatusForbidden, "invalid_grant", malformedToken)
		w.Authenticators(t, token).Want(t, http.StatusUnauthorized, "invalid_grant")
	}, "throttle: {free_attempts: 10}")
}

// spellings are others of a right code, as many at a time as are looked at without a wait.
var spellings = []func(code string) []string{
	func(code string) []string {
		moved := func(by rune) string { return strings.Map(func(r rune) rune { return r + by }, code) }
		return []string{moved(0xff10 - '0'), moved(0x660 - '0'), code + "0", code[:5], "0" + code, "+" + code, "-" + code, " " + code, code + " "}
	},
	func(code string) []string {
		return []string{code[:3] + " " + code[3:], code[:3] + "-" + code[3:], "1e5", "0x1", "0b1", "1_0000", code + ".0", "'" + code, strings.Repeat("0", 9000)}
	},
}

// B-33: an id of an authenticator that is another's, of another type or no id at all is
// the same as one that nobody has.
func TestBadAuthenticators(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		mine := w.Authenticators(t, ask(t, w, "spa", "alice")).Want(t, http.StatusOK, "").List
		w.Clock.Wind(30 * time.Second)
		carol := w.Enroll(t, "carol")
		foreign := w.Authenticators(t, ask(t, w, "spa", "carol")).Want(t, http.StatusOK, "").List[0]["id"].(string)
		manage := w.OTP(t, ask(t, w, "spa", "alice", "audience", w.URL+"mfa/", "scope", "remove:authenticators read:authenticators"), w.Code(t, alice.Seed, 0)).
			Want(t, http.StatusOK, "").Text("access_token")
		token := ask(t, w, "spa", "alice")
		for _, id := range []string{foreign, "totp|dev_AAAAAAAAAAAAAAAA", "totp|../../", "recovery-code|", "|", "totp", "' OR 1=1 --", "*", "%", "{{7*7}}",
			`{"$ne":""}`, "totp|dev_A\u2028", strings.ToUpper(mine[0]["id"].(string)), mine[0]["id"].(string) + " ", strings.Repeat("x", 5000)} {
			r := w.Do(t, gatewaytest.Request{Method: http.MethodDelete, Path: "/mfa/authenticators/" + url.PathEscape(id), Header: gatewaytest.Bearer(manage)})
			refused(t, r, http.StatusNotFound, "invalid_authenticator", "Authenticator not found")
			if r := w.Challenge(t, token, "authenticator_id", id); r.Status != http.StatusNotFound && r.Status != http.StatusBadRequest {
				t.Errorf("challenge of %.40q: %d %s", id, r.Status, r.Body)
			}
		}
		for _, path := range []string{"/mfa/authenticators/a/b", "/mfa/authenticators/"} {
			r := w.Do(t, gatewaytest.Request{Method: http.MethodDelete, Path: path, Header: gatewaytest.Bearer(manage)})
			refused(t, r, http.StatusNotFound, "not_found", "")
		}
		if left := w.Authenticators(t, ask(t, w, "spa", "alice")).List; len(left) != len(mine) {
			t.Errorf("%d of %d authenticators are left", len(left), len(mine))
		}
		if r := w.OTP(t, ask(t, w, "spa", "carol"), w.Code(t, carol.Seed, 0)); r.Status != http.StatusOK {
			t.Errorf("carol's is gone: %s", r.Body)
		}
	})
}

// Section 7.4: tokens that are none, wherever one is taken.
func TestBadTokens(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		good := alice.Tokens.Text("access_token")
		parts := strings.Split(good, ".")
		encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		headed := func(header string) string { return encode(header) + "." + parts[1] + "." + parts[2] }
		kid := strings.Split(string(decoded(t, parts[0])), `"kid":"`)[1]
		kid, _, _ = strings.Cut(kid, `"`)
		for name, token := range map[string]string{
			"none": headed(`{"alg":"none","kid":"` + kid + `","typ":"at+jwt"}`), "nOnE": encode(`{"alg":"nOnE","typ":"at+jwt"}`) + "." + parts[1] + ".",
			"no alg":      headed(`{"alg":"","kid":"` + kid + `","typ":"at+jwt"}`),
			"HS256":       headed(`{"alg":"HS256","kid":"` + kid + `","typ":"at+jwt"}`),
			"PS256":       headed(`{"alg":"PS256","kid":"` + kid + `","typ":"at+jwt"}`),
			"ES256K":      headed(`{"alg":"ES256K","kid":"` + kid + `","typ":"at+jwt"}`),
			"kid a path":  headed(`{"alg":"ES256","kid":"../../dev/null","typ":"at+jwt"}`),
			"kid SQL":     headed(`{"alg":"ES256","kid":"' OR 1=1","typ":"at+jwt"}`),
			"jku":         headed(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","jku":"http://127.0.0.1:1/"}`),
			"jwk":         headed(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","jwk":{"kty":"EC"}}`),
			"crit":        headed(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","crit":["x"],"x":1}`),
			"b64":         headed(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","b64":false}`),
			"zip":         headed(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","zip":"DEF"}`),
			"kid twice":   headed(`{"alg":"ES256","kid":"x","kid":"` + kid + `","typ":"at+jwt"}`),
			"JWE":         encode(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AA"}`) + ".AA.AA.AA.AA",
			"dots":        strings.Repeat(".", 8000),
			"padded":      good + "=",
			"r and s 0":   parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
			"DER":         parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString([]byte("\x30\x06\x02\x01\x01\x02\x01\x01")),
			"a tail bit":  good[:len(good)-1] + tail(good),
			"nested":      encode(`{"alg":"ES256","kid":"`+kid+`","typ":"at+jwt","cty":"JWT"}`) + "." + encode(good) + "." + parts[2],
			"an ID token": alice.Tokens.Text("id_token"), "a refresh token": alice.Tokens.Text("refresh_token"), "two": good + " " + good,
		} {
			t.Run(name, func(t *testing.T) {
				w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo", Header: gatewaytest.Bearer(token)}).Want(t, http.StatusUnauthorized, "invalid_token")
				w.Authenticators(t, token).Want(t, http.StatusUnauthorized, "invalid_grant")
				w.Associate(t, token, anOTP).Want(t, http.StatusUnauthorized, "invalid_grant")
				if r := w.Form(t, "/oauth/introspect", with("web", "token", token)...).Want(t, http.StatusOK, ""); !r.Has("active") || r.JSON["active"] != false {
					t.Errorf("introspected: %s", r.Body)
				}
				w.Token(t, with("web", "grant_type", "mfa_token", "access_token", token)...).Want(t, http.StatusUnauthorized, "invalid_token")
			})
		}
		for _, header := range []string{"", "Bearer", "Bearer ", "bearer\t" + good, "Basic " + good, "Token " + good, good} {
			w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo", Header: map[string]string{"Authorization": header}}).Want(t, http.StatusUnauthorized, "invalid_token")
		}
		w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo", Header: gatewaytest.Bearer(good)}).Want(t, http.StatusOK, "")
		if strings.Contains(w.Log.String(), "level=ERROR") {
			t.Error("a bad token broke something")
		}
	})
}

// tail is another last character for a base64 text that stands for the same bytes.
func tail(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, text[len(text)-1])^1])
}

func decoded(t *testing.T, part string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
