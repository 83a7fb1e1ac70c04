package phonetest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An app is what the rows say of one profile.
type app struct {
	prefix                          string
	audience                        string // behind the URL of the gateway
	agent, language, accept, client string // regular expressions
	typed                           string
	header                          string // how the header of a JWT begins
	fractions, slashes, gson        bool
	opaque, ec                      bool
	identifier                      func(string) bool
}

func capitals(id string) bool {
	return id == strings.ToUpper(id) && uuid.MatchString(strings.ToLower(id))
}

// apps are the rows of the table in section 17.
var apps = map[string]app{
	"android": {
		prefix: "/appliance-mfa", audience: "/appliance-mfa/api/resolve-transaction", agent: `GuardianSDK/0\.10\.2 Android \d+`, language: "en_US",
		client: `eyJuYW1lIjoiR3VhcmRpYW4uQW5kcm9pZCIs[\w-]+`, typed: "application/json; charset=utf-8", header: `{"typ":`, gson: true,
		identifier: android.MatchString,
	},
	"android-0.2": {
		audience: "/", agent: `GuardianSDK/0\.2\.0 Android .*`, language: "en_US", client: `eyJuYW1lIjoiR3VhcmRpYW4uQW5kcm9pZCIs[\w-]+`,
		typed: "application/json; charset=utf-8", header: `{"typ":`, gson: true, opaque: true, identifier: android.MatchString,
	},
	"swift": {
		prefix: "/appliance-mfa", audience: "/appliance-mfa/api/resolve-transaction", agent: ".*CFNetwork.*", language: "en-.*", accept: `\*/\*`,
		client: `eyJuYW1lIjoiR3VhcmRpYW4uc3dpZnQi[\w-]+`, typed: "application/json", header: `{"alg":`, fractions: true, slashes: true, identifier: capitals,
	},
	"swift-0.1": {
		agent: ".*CFNetwork.*", language: "en-.*", accept: `\*/\*`, client: `eyJuYW1lIjoiR3VhcmRpYW4uc3dpZnQi[\w-]+`,
		typed: "application/json", header: `{"alg":`, fractions: true, slashes: true, opaque: true, identifier: capitals,
	},
	"web": {
		prefix: "/appliance-mfa", audience: "/appliance-mfa/api/resolve-transaction", agent: "Mozilla/5.0 .*", language: "en-.*", accept: "application/json",
		typed: "application/json", header: `{"alg":`, ec: true, identifier: uuid.MatchString,
	},
}

// jwk is a public key as it came.
type jwk struct {
	members string // their names
	n, e    []byte
	x, y    []byte
}

func jwkOf(members map[string]string) jwk {
	raw := func(name string) []byte {
		text, err := base64.RawURLEncoding.DecodeString(members[name])
		if err != nil {
			return nil
		}
		return text
	}
	names := slices.Sorted(maps.Keys(members))
	return jwk{strings.Join(names, " ") + ": " + members["kty"] + members["crv"] + members["alg"] + members["use"], raw("n"), raw("e"), raw("x"), raw("y")}
}

// check is the rows of section 5 about keys: five members, and a zero before the modulus.
func (j jwk) check(ec bool) string {
	switch {
	case ec && j.members != "alg crv kty use x y: ECP-256ES256sig", !ec && j.members != "alg e kty n use: RSARS256sig":
		return j.members
	case !ec && (len(j.n) != 257 || j.n[0] != 0):
		return fmt.Sprintf("the modulus has %d bytes", len(j.n))
	case ec && (len(j.x) != 32 || len(j.y) != 32):
		return "the point is short"
	}
	return ""
}

// claims verifies a JWT with a key and returns what is in it.
func (j jwk) claims(token string) (header, claims []byte, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("it is no JWT")
	}
	var raw [3][]byte
	for i, part := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, nil, err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	ok := false
	if len(j.x) > 0 {
		key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(j.x), Y: number(j.y)} //nolint:staticcheck // put together by hand, as others would
		ok = len(raw[2]) == 64 && ecdsa.Verify(key, sum[:], number(raw[2][:32]), number(raw[2][32:]))
	} else {
		ok = rsa.VerifyPKCS1v15(&rsa.PublicKey{N: number(j.n), E: int(number(j.e).Int64())}, crypto.SHA256, sum[:], raw[2]) == nil
	}
	if !ok {
		return nil, nil, errors.New("the signature does not hold")
	}
	return raw[0], raw[1], nil
}

func number(raw []byte) *big.Int { return new(big.Int).SetBytes(raw) }

// times are the dates of a JWT: near now, in the app's own kind of number.
func (g *Gateway) times(claims map[string]any, lifetime float64) {
	a, now := apps[g.Profile], float64(g.Now().UnixMicro())/1e6
	iat, exp := fmt.Sprint(claims["iat"]), fmt.Sprint(claims["exp"])
	issued, err := strconv.ParseFloat(iat, 64)
	if err != nil || issued < now-120 || issued > now+120 {
		g.t.Errorf("iat %s at %f", iat, now)
	}
	if strings.Contains(iat, ".") != a.fractions {
		g.t.Errorf("iat %s is not how the profile %s writes dates", iat, g.Profile)
	}
	if lifetime == 0 {
		return
	}
	if ends, err := strconv.ParseFloat(exp, 64); err != nil || ends-issued < lifetime-0.01 || ends-issued > lifetime+0.01 {
		g.t.Errorf("exp %s after iat %s, want %v s more", exp, iat, lifetime)
	}
}

// signed verifies what a device signed, and holds it to the writing of its app.
func (g *Gateway) signed(key jwk, token, header string) map[string]any {
	first, second, err := key.claims(token)
	if err != nil {
		g.t.Errorf("%s: %v", token, err)
		return nil
	}
	a := apps[g.Profile]
	if !strings.HasPrefix(string(first), a.header) || !strings.Contains(string(first), header) || strings.Contains(string(first), "kid") {
		g.t.Errorf("header %s", first)
	}
	if a.slashes && strings.Contains(strings.ReplaceAll(string(second), `\/`, ""), "/") {
		g.t.Errorf("slashes of %s", second)
	}
	in := json.NewDecoder(bytes.NewReader(second))
	in.UseNumber()
	var claims map[string]any
	if err := in.Decode(&claims); err != nil {
		g.t.Errorf("%s: %v", second, err)
	}
	return claims
}

// want compares claims; nothing else but those named may be there.
func (g *Gateway) want(claims map[string]any, want map[string]any, others ...string) {
	for name, value := range want {
		if claims[name] != value {
			g.t.Errorf("%s is %v, want %v", name, claims[name], value)
		}
	}
	for name := range claims {
		if _, ok := want[name]; !ok && !slices.Contains(others, name) {
			g.t.Errorf("there is a claim %s", name)
		}
	}
}

// resolve is section 8.
func (g *Gateway) resolve(r *http.Request, body []byte) Canned {
	p := g.pushes[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if p == nil || g.devices[p.device] == nil {
		return Refused(http.StatusNotFound, "login_transaction_not_found")
	}
	if _, answered := g.decision[p.challenge]; answered {
		return Refused(http.StatusNotFound, "login_transaction_not_found")
	}
	var sent struct {
		Response string `json:"challenge_response"`
	}
	g.read(body, &sent)
	d := g.devices[p.device]
	claims := g.signed(d.key, sent.Response, `"typ":"JWT"`)
	g.want(claims, map[string]any{
		"iss": d.Identifier, "sub": p.challenge, "aud": g.URL() + apps[g.Profile].audience, "auth0_guardian_method": "push",
	}, "iat", "exp", "auth0_guardian_accepted", "auth0_guardian_reason", "gw_binding_code")
	g.times(claims, 30)
	accepted, ok := claims["auth0_guardian_accepted"].(bool)
	if !ok {
		g.t.Errorf("accepted is %v", claims["auth0_guardian_accepted"])
	}
	reason, _ := claims["auth0_guardian_reason"].(string)
	code, _ := claims["gw_binding_code"].(string)
	if accepted && reason != "" || code != "" && g.Profile != "web" {
		g.t.Errorf("claims %v", claims)
	}
	g.decision[p.challenge] = Decision{accepted, reason, code}
	return Canned{Status: http.StatusNoContent}
}

// bearer is the table of section 6.
func (g *Gateway) bearer(r *http.Request, d *Device) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if apps[g.Profile].opaque {
		if token != "opaque-"+d.ID {
			g.t.Errorf("bearer %q", token)
		}
		return
	}
	claims := g.signed(d.key, token, `"typ":"JWT"`)
	g.want(claims, map[string]any{"iss": d.ID, "sub": "auth0|u1", "aud": g.URL() + apps[g.Profile].prefix + "/api/device-accounts"}, "iat", "exp")
	g.times(claims, 7200)
}

// consent is section 9.
func (g *Gateway) consent(r *http.Request) Canned {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "MFA-DPoP ")
	p := g.pushes[token]
	if p == nil || r.URL.Path != "/rich-consents/"+p.link {
		return Refused(http.StatusNotFound, "consent_not_found")
	}
	d, proof := g.devices[p.device], r.Header.Get("MFA-DPoP")
	claims := g.signed(d.key, proof, `"typ":"dpop+jwt"`)
	sum := sha256.Sum256([]byte(token))
	g.want(claims, map[string]any{"htm": "GET", "htu": g.URL() + r.URL.Path, "ath": base64.RawURLEncoding.EncodeToString(sum[:])}, "iat", "jti")
	g.times(claims, 0)
	id, _ := claims["jti"].(string)
	if !apps[g.Profile].identifier(id) && (g.Profile != "android" || !uuid.MatchString(id)) || g.seen[id] {
		g.t.Errorf("jti %q", id)
	}
	g.seen[id] = true
	first, _, _ := strings.Cut(proof, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(first)
	var header struct {
		JWK map[string]string `json:"jwk"`
	}
	if err := json.Unmarshal(raw, &header); err != nil || !same(jwkOf(header.JWK), d.key) {
		g.t.Errorf("the proof has another key: %s", raw)
	}
	const date = "2006-01-02T15:04:05.000Z"
	now := g.Now().UTC()
	return Canned{http.StatusOK, "application/json", fmt.Sprintf(`{"id":%q,"requested_details":{"audience":"https://api.example.com","scope":["openid"],
		"binding_message":"493-021","authorization_details":[{"type":"payment","amount":100,"currency":"EUR"}]},"created_at":%q,"expires_at":%q}`,
		p.link, now.Format(date), now.Add(2*time.Minute).Format(date))}
}

func same(a, b jwk) bool {
	return a.members == b.members && bytes.Equal(a.n, b.n) && bytes.Equal(a.e, b.e) && bytes.Equal(a.x, b.x) && bytes.Equal(a.y, b.y)
}
