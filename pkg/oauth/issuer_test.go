package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// names are the sorted member names of claims.
func names(claims map[string]any) string {
	return strings.Join(slices.Sorted(maps.Keys(claims)), " ")
}

func TestAccessTokenOfEachDialect(t *testing.T) {
	for _, c := range []struct {
		dialect  Dialect
		alg, typ string
		members  string
		own      map[string]any
	}{
		{RFC9068, "ES256", "at+jwt", "acr amr aud auth_time client_id exp iat iss jti scope sid sub", map[string]any{"client_id": "spa"}},
		{Auth0, "RS256", "JWT", "acr amr aud auth_time azp exp gty iat iss jti scope sid sub", map[string]any{"azp": "spa", "gty": "mfa-otp"}},
	} {
		t.Run(string(c.dialect), func(t *testing.T) {
			h := newHouse()
			tokens, err := h.issuer(func(o *Options) { o.Dialect = c.dialect }).
				Issue(t.Context(), h.clearance(t, alice("read:things", things)))
			if err != nil {
				t.Fatal(err)
			}
			header, claims := decode(t, tokens.Access)
			if header["alg"] != c.alg || header["typ"] != c.typ || header["kid"] == nil || len(header) != 3 {
				t.Errorf("header %v", header)
			}
			want := map[string]any{
				"iss": issuerURL, "sub": "auth0|alice", "aud": things, "scope": "read:things",
				"iat": float64(noon.Unix()), "exp": float64(noon.Add(15 * time.Minute).Unix()), "auth_time": float64(noon.Add(-time.Second).Unix()),
				"amr": []any{"pwd", "otp", "mfa"}, "acr": record.MultiFactor,
				"jti": h.issued[0].Access.ID, "sid": h.issued[0].Session.ID,
			}
			maps.Copy(want, c.own)
			if !reflect.DeepEqual(claims, want) || names(claims) != c.members {
				t.Errorf("claims %v\nwant %v", claims, want)
			}
			if tokens.Type != "Bearer" || tokens.Lifetime != 15*time.Minute || !tokens.ID.Empty() || !tokens.Refresh.Empty() {
				t.Errorf("answer %+v", tokens)
			}
			if err := newSigner().Verify(t.Context(), tokens.Access.Reveal(), c.typ, &claims); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLifetimes(t *testing.T) {
	for _, c := range []struct {
		audience []string
		want     time.Duration
	}{
		{[]string{things, userinfo}, 15 * time.Minute},
		{[]string{"https://other.test/"}, time.Hour}, // the API says nothing
		{[]string{userinfo}, time.Hour},              // no API at all
		{[]string{manage, userinfo}, 10 * time.Minute},
	} {
		h := newHouse()
		tokens, err := h.issuer().Issue(t.Context(), h.clearance(t, alice("openid", c.audience...)))
		if err != nil || tokens.Lifetime != c.want {
			t.Errorf("%v: %v, %v", c.audience, tokens.Lifetime, err)
		}
		_, claims := decode(t, tokens.Access)
		if got := claims["exp"].(float64) - claims["iat"].(float64); got != c.want.Seconds() {
			t.Errorf("%v: the token holds for %v seconds", c.audience, got)
		}
		if len(c.audience) > 1 && !reflect.DeepEqual(claims["aud"], []any{c.audience[0], c.audience[1]}) {
			t.Errorf("aud %v", claims["aud"])
		}
	}
}

func TestIDToken(t *testing.T) {
	const own = "acr amr at_hash aud auth_time exp iat iss sid sub"
	for _, c := range []struct {
		scope, members string
	}{
		{"openid", own},
		{"openid email", "acr amr at_hash aud auth_time email email_verified exp iat iss sid sub"},
		{"openid phone", "acr amr at_hash aud auth_time exp iat iss phone_number sid sub"},
		{"openid profile", "acr amr at_hash aud auth_time exp iat iss name preferred_username sid sub updated_at"},
		{"openid address admin", own},
	} {
		for _, dialect := range []Dialect{RFC9068, Auth0} {
			h := newHouse()
			tokens, err := h.issuer(func(o *Options) { o.Dialect = dialect }).
				Issue(t.Context(), h.clearance(t, alice(c.scope, userinfo)))
			if err != nil {
				t.Fatal(err)
			}
			header, claims := decode(t, tokens.ID)
			if header["alg"] != "RS256" || header["typ"] != "JWT" {
				t.Errorf("header %v", header)
			}
			if names(claims) != c.members {
				t.Errorf("%s: %s\nwant %s", c.scope, names(claims), c.members)
			}
			// OIDC Core, 3.1.3.6: the left half of the hash of the access token as text.
			sum := sha256.Sum256([]byte(tokens.Access.Reveal()))
			_, access := decode(t, tokens.Access)
			want := map[string]any{
				"iss": issuerURL, "aud": "spa", "sub": "auth0|alice", "iat": float64(noon.Unix()), "exp": float64(noon.Add(10 * time.Hour).Unix()),
				"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
				// The same in every token (O-AC-1).
				"sid": access["sid"], "auth_time": access["auth_time"], "amr": access["amr"], "acr": access["acr"],
			}
			for name, value := range want {
				if !reflect.DeepEqual(claims[name], value) || value == nil {
					t.Errorf("%s: %v, want %v", name, claims[name], value)
				}
			}
		}
	}
}

// A subject without claims has no empty ones.
func TestIDTokenOfABareUser(t *testing.T) {
	h := newHouse()
	l := alice("openid profile email phone", userinfo)
	l.Subject = "auth0|bare"
	tokens, err := h.issuer().Issue(t.Context(), h.clearance(t, l))
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := decode(t, tokens.ID); names(claims) != "acr amr at_hash aud auth_time exp iat iss sid sub" {
		t.Errorf("claims %v", claims)
	}
}

func TestAuthenticationMethods(t *testing.T) {
	pwd := record.Proof{Methods: []string{"pwd"}, At: noon}
	for _, c := range []struct {
		name   string
		amr    bool
		proofs []record.Proof
		want   map[string]any
	}{
		{"one factor", true, []record.Proof{pwd}, map[string]any{"amr": []any{"pwd"}}},
		{"switched off", false, alice("").Proofs, map[string]any{}},
		{"two of one class", true, []record.Proof{pwd, {Methods: []string{"pin"}, At: noon}}, map[string]any{"amr": []any{"pwd", "pin"}}},
		{"a recovery code", true, []record.Proof{pwd, {Methods: []string{"recovery_code"}, At: noon}},
			map[string]any{"amr": []any{"pwd", "recovery_code", "mfa"}, "acr": record.MultiFactor}},
	} {
		h := newHouse()
		l := alice("openid", userinfo)
		l.Proofs = c.proofs
		tokens, err := h.issuer(func(o *Options) { o.AMR = c.amr }).Issue(t.Context(), h.clearance(t, l))
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []secret.Text{tokens.Access, tokens.ID} {
			_, claims := decode(t, token)
			for _, name := range []string{"amr", "acr"} {
				if !reflect.DeepEqual(claims[name], c.want[name]) {
					t.Errorf("%s: %s is %v, want %v", c.name, name, claims[name], c.want[name])
				}
			}
			if claims["auth_time"] != float64(record.AuthTime(c.proofs).Unix()) {
				t.Errorf("%s: auth_time %v", c.name, claims["auth_time"])
			}
		}
	}
}

// What is kept: hashes, whole milliseconds, the session with its proofs, the event.
func TestIssuanceIsWhole(t *testing.T) {
	h := newHouse()
	l := alice("openid offline_access", things, userinfo)
	tokens, err := h.issuer().Issue(t.Context(), h.clearance(t, l))
	if err != nil {
		t.Fatal(err)
	}
	i, at := h.issued[0], noon.Truncate(time.Millisecond)
	if i.At != at || i.Session.CreatedAt != at || i.Event.At != at {
		t.Errorf("times %v %v %v", i.At, i.Session.CreatedAt, i.Event.At)
	}
	if i.Session.Subject != l.Subject || i.Session.Client != "spa" || !reflect.DeepEqual(i.Session.Proofs, l.Proofs) || len(i.Session.ID) != 43 {
		t.Errorf("session %+v", i.Session)
	}
	if want := (audit.Event{At: at, Type: audit.TokensIssued, Success: true, Subject: l.Subject, Client: "spa", Session: i.Session.ID,
		Authenticators: []string{"totp|dev_1"}, Grant: "mfa-otp", Address: "192.0.2.1"}); !reflect.DeepEqual(i.Event, want) {
		t.Errorf("event %+v", i.Event)
	}
	r := i.Refresh
	if r == nil || r.Hash != secret.Hash(tokens.Refresh) || r.Family == "" || r.Family == tokens.Refresh.Reveal() ||
		r.ExpiresAt != at.Add(720*time.Hour) || !reflect.DeepEqual(r.Scopes, l.Scopes) || !reflect.DeepEqual(r.Audience, l.Audience) {
		t.Errorf("refresh %+v", r)
	}
	if len(tokens.Refresh.Reveal()) != 43 {
		t.Error("a refresh token has 256 bits")
	}
	again, err := h.issuer().Issue(t.Context(), h.clearance(t, l))
	if err != nil || again.Refresh.Equal(tokens.Refresh) || h.issued[1].Access.ID == i.Access.ID || h.issued[1].Session.ID == i.Session.ID {
		t.Errorf("a second login got the first one's: %v", err)
	}
	l.Session = "known"
	if _, err := h.issuer().Issue(t.Context(), h.clearance(t, l)); err != nil || h.issued[2].Session.ID != "known" {
		t.Errorf("a session in hand was not kept: %v", err)
	}
}

// Nothing is issued unless all of it is.
func TestIssueRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*house, *Options)
		want   fault.Kind
	}{
		{"the store is down", func(h *house, _ *Options) { h.storeDown = errDown }, fault.Unavailable},
		{"spent", func(h *house, _ *Options) { h.storeDown = fault.UsedOTP }, fault.UsedOTP},
		{"blocked meanwhile", func(h *house, _ *Options) { h.storeDown = fault.UserBlocked }, fault.UserBlocked},
		{"the registry is down", func(h *house, _ *Options) { h.registryDown = errDown }, fault.Unavailable},
		{"the users are down", func(h *house, _ *Options) { h.usersDown = errDown }, fault.Unavailable},
		{"no chance at all", func(_ *house, o *Options) { o.Random = bytes.NewReader(nil) }, fault.Internal},
		{"chance for ids alone", func(_ *house, o *Options) { o.Random = io.LimitReader(o.Random, 64) }, fault.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse()
			i := h.issuer(func(o *Options) { c.change(h, o) })
			tokens, err := i.Issue(t.Context(), h.clearance(t, alice("openid offline_access", things)))
			if err == nil || fault.Of(err) != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !reflect.DeepEqual(tokens, record.Tokens{}) || len(h.issued) > 0 {
				t.Error("something was issued")
			}
		})
	}
	t.Run("no clearance", func(t *testing.T) {
		h := newHouse()
		tokens, err := h.issuer().Issue(t.Context(), mfa.Clearance{})
		if err == nil || fault.Of(err) != fault.Internal || !reflect.DeepEqual(tokens, record.Tokens{}) || len(h.issued) > 0 {
			t.Errorf("tokens without a clearance: %v", err)
		}
	})
}
