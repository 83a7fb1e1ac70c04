package oauth

import (
	"errors"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// A token is known by what it is: a good access token by its id, everything else by its
// hash, as a refresh token.
func TestRevoke(t *testing.T) {
	for _, dialect := range []Dialect{RFC9068, Auth0} {
		h := newHouse()
		i := h.issuer(func(o *Options) { o.Dialect = dialect })
		tokens, err := i.Issue(t.Context(), h.clearance(t, alice("openid offline_access", things)))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name    string
			token   secret.Text
			access  string
			refresh string
		}{
			{"access token", tokens.Access, h.issued[0].Access.ID, ""},
			{"refresh token", tokens.Refresh, "", h.issued[0].Refresh.Hash},
			{"ID token", tokens.ID, "", secret.Hash(tokens.ID)},
			{"garbage", secret.New("x.y.z"), "", secret.Hash(secret.New("x.y.z"))},
		} {
			h.wishes = nil
			if err := i.Revoke(t.Context(), c.token, "spa", "192.0.2.7"); err != nil {
				t.Fatalf("%s, %s: %v", dialect, c.name, err)
			}
			want := []record.Revocation{{Client: "spa", Access: c.access, Refresh: c.refresh, Event: audit.Event{
				At: noon.Truncate(time.Millisecond), Type: audit.TokensRevoked, Success: true, Client: "spa", Address: "192.0.2.7"}}}
			if !reflect.DeepEqual(h.wishes, want) {
				t.Errorf("%s, %s: %+v, want %+v", dialect, c.name, h.wishes, want)
			}
		}
	}
}

// Nothing that could not be ended is reported as ended.
func TestRevokeFails(t *testing.T) {
	h := newHouse()
	tokens, err := h.issuer().Issue(t.Context(), h.clearance(t, alice("openid", things)))
	if err != nil {
		t.Fatal(err)
	}
	for cause, want := range map[error]fault.Kind{errDown: fault.Unavailable, fault.ForeignToken: fault.ForeignToken} {
		h.storeDown = cause
		for _, token := range []secret.Text{tokens.Access, secret.New("a refresh token")} {
			if err := h.issuer().Revoke(t.Context(), token, "spa", ""); fault.Of(err) != want || !errors.Is(err, cause) {
				t.Errorf("%v: got %v", cause, err)
			}
		}
	}
	// Without keys nobody knows what the token is.
	h.storeDown, h.wishes = nil, nil
	keyless := signer.New(signer.Options{Store: &keys{}, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	err = h.issuer(func(o *Options) { o.Signer = keyless }).Revoke(t.Context(), tokens.Access, "spa", "")
	if fault.Of(err) != fault.Unavailable || len(h.wishes) > 0 {
		t.Errorf("without keys: %v, %v", err, h.wishes)
	}
}
