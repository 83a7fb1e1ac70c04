package oauth

import (
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
)

// web is what the client "web" has for itself.
func web() record.OwnAccess {
	return record.OwnAccess{Client: "web", Grant: "client_credentials", Audience: things, Scopes: []string{"read:things"}, Address: "192.0.2.1"}
}

func TestIssueToClient(t *testing.T) {
	for _, c := range []struct {
		dialect  Dialect
		alg, typ string
		own      map[string]any
	}{
		{RFC9068, "ES256", "at+jwt", map[string]any{"sub": "web", "client_id": "web"}},
		{Auth0, "RS256", "JWT", map[string]any{"sub": "web@clients", "azp": "web", "gty": "client-credentials"}},
	} {
		t.Run(string(c.dialect), func(t *testing.T) {
			h := newHouse()
			tokens, err := h.issuer(func(o *Options) { o.Dialect = c.dialect }).IssueToClient(t.Context(), web())
			if err != nil {
				t.Fatal(err)
			}
			header, claims := decode(t, tokens.Access)
			if header["alg"] != c.alg || header["typ"] != c.typ {
				t.Errorf("header %v", header)
			}
			want := map[string]any{
				"iss": issuerURL, "aud": things, "scope": "read:things", "jti": h.issued[0].Access.ID,
				"iat": float64(noon.Unix()), "exp": float64(noon.Add(15 * time.Minute).Unix()),
			}
			maps.Copy(want, c.own)
			if !reflect.DeepEqual(claims, want) {
				t.Errorf("claims %v\nwant %v", claims, want)
			}
			if tokens.Type != "Bearer" || tokens.Lifetime != 15*time.Minute || !tokens.ID.Empty() || !tokens.Refresh.Empty() {
				t.Errorf("answer %+v", tokens)
			}
			kept := h.issued[0]
			event := audit.Event{At: noon.Truncate(time.Millisecond), Type: audit.TokensIssued, Success: true, Client: "web",
				Grant: "client_credentials", Address: "192.0.2.1"}
			if !kept.Own() || !reflect.DeepEqual(kept.Session, record.Session{Client: "web"}) || kept.Refresh != nil ||
				len(kept.Consumes) != 0 || !reflect.DeepEqual(kept.Event, event) {
				t.Errorf("kept %+v", kept)
			}
		})
	}
}

func TestIssueToClientRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*house, *record.OwnAccess, *Options)
		want   fault.Kind
	}{
		"a user's subject": {func(h *house, _ *record.OwnAccess, _ *Options) { h.users["web"] = identity.User{ID: "web"} }, fault.GrantNotAllowed},
		"a user's subject, auth0": {func(h *house, _ *record.OwnAccess, o *Options) {
			o.Dialect = Auth0
			h.users["web@clients"] = identity.User{ID: "web@clients"}
		}, fault.GrantNotAllowed},
		"no client":    {func(_ *house, a *record.OwnAccess, _ *Options) { a.Client = "" }, fault.Internal},
		"no API":       {func(_ *house, a *record.OwnAccess, _ *Options) { a.Audience = "" }, fault.Internal},
		"no users":     {func(h *house, _ *record.OwnAccess, _ *Options) { h.usersDown = errDown }, fault.Unavailable},
		"no registry":  {func(h *house, _ *record.OwnAccess, _ *Options) { h.registryDown = errDown }, fault.Unavailable},
		"no store":     {func(h *house, _ *record.OwnAccess, _ *Options) { h.storeDown = errDown }, fault.Unavailable},
		"disabled now": {func(h *house, _ *record.OwnAccess, _ *Options) { h.storeDown = fault.BadClient }, fault.BadClient},
		"no chance":    {func(_ *house, _ *record.OwnAccess, o *Options) { o.Random = exhausted{} }, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			h, a := newHouse(), web()
			tokens, err := h.issuer(func(o *Options) { c.change(h, &a, o) }).IssueToClient(t.Context(), a)
			if err == nil || fault.Of(err) != c.want || !tokens.Access.Empty() || len(h.issued) != 0 {
				t.Errorf("got %v, %+v, want %s", err, tokens, c.want)
			}
		})
	}
}

// exhausted is a source of chance that has run dry.
type exhausted struct{}

func (exhausted) Read([]byte) (int, error) { return 0, errors.New("run dry") }
