package grants

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A mint notes in which order it is used up and minted.
type mint struct {
	order      []string
	used       []record.Issuance
	minted     []mfa.Login
	commitDown error
	mintDown   error
}

func (m *mint) Issue(_ context.Context, i record.Issuance) error {
	if m.commitDown == nil {
		m.order, m.used = append(m.order, "commit"), append(m.used, i)
	}
	return m.commitDown
}

func (*mint) AccessTokenActive(context.Context, string, time.Time) (bool, error) {
	return false, errDown
}

func (m *mint) mint(_ context.Context, l mfa.Login) (record.Tokens, error) {
	m.order, m.minted = append(m.order, "mint"), append(m.minted, l)
	if m.mintDown != nil {
		return record.Tokens{}, m.mintDown
	}
	return record.Tokens{Access: secret.New("their own"), Type: "Bearer", Lifetime: time.Minute, Scopes: l.Scopes}, nil
}

// minting has the grants of begun issue by a Minter.
func minting(t *testing.T, m *mint) (*house, *MFA, url.Values) {
	t.Helper()
	h, g, token := begun(t, "scope", "openid")
	g.Issuer = &Minter{Store: m, Mint: m.mint, Now: func() time.Time { return noon }, Random: rand.Reader}
	return h, g, url.Values{"grant_type": {"mfa-otp"}, "mfa_token": {token}, "otp": {"otp"}}
}

// What the login uses up is committed, whole, before a token is made.
func TestMinter(t *testing.T) {
	m := &mint{}
	h, g, form := minting(t, m)
	got, _, err := run(t, g, "spa", form)
	if err != nil || got["access_token"] != "their own" || got["scope"] != "openid" {
		t.Fatalf("got %v, %v", got, err)
	}
	if !slices.Equal(m.order, []string{"commit", "mint"}) {
		t.Fatalf("the order is %v", m.order)
	}
	used, login := m.used[0], m.minted[0]
	if len(used.Consumes) != 2 || used.Consumes[1] != (record.StepUse{Authenticator: "totp|dev_1", Step: 1}) {
		t.Errorf("consumed %+v", used.Consumes)
	}
	if used.Access.ID != "" || used.Refresh != nil {
		t.Error("a token of the gateway was made")
	}
	s := used.Session
	if len(s.ID) != 43 || s.Subject != "auth0|alice" || s.Client != "spa" || !s.CreatedAt.Equal(noon) || !reflect.DeepEqual(s.Proofs, login.Proofs) || len(s.Proofs) != 2 {
		t.Errorf("session %+v", s)
	}
	redeemed, _ := used.Consumes[0].(record.Redemption)
	want := audit.Event{At: noon, Type: audit.TokensIssued, Success: true, Subject: "auth0|alice", Client: "spa", Session: s.ID,
		Authenticators: []string{"totp|dev_1"}, Grant: "mfa-otp", Address: "192.0.2.1", Transaction: redeemed.Hash}
	if !reflect.DeepEqual(used.Event, want) {
		t.Errorf("audited %+v, want %+v", used.Event, want)
	}
	if len(h.transactions) != 1 {
		t.Error("an answer with a recovery code cannot be asked for again")
	}
}

// Who loses the race, or meets a store that is down, has nothing minted. One whose minting
// fails has used up the login: no token, and the record says so.
func TestMinterRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		mint   mint
		want   fault.Kind
		minted int
	}{
		"used before":           {mint{commitDown: fault.UsedOTP}, fault.UsedOTP, 0},
		"the commit is unknown": {mint{commitDown: errDown}, fault.Unavailable, 0},
		"minting fails":         {mint{mintDown: errDown}, fault.Unavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h, g, form := minting(t, &c.mint)
			got, _, err := run(t, g, "spa", form)
			if fault.Of(err) != c.want || got != nil || len(c.mint.minted) != c.minted {
				t.Errorf("got %v, %v; minted %d", got, err, len(c.mint.minted))
			}
			if e := h.events[len(h.events)-1]; e.Type != audit.TokensRefused || e.Reason != string(c.want) {
				t.Errorf("audited %+v", e)
			}
		})
	}
}

func TestMinterNeedsClearance(t *testing.T) {
	m := &mint{}
	minter := &Minter{Store: m, Mint: m.mint, Now: func() time.Time { return noon }, Random: rand.Reader}
	if got, err := minter.Issue(t.Context(), mfa.Clearance{}); err == nil || !got.Access.Empty() || len(m.order) > 0 {
		t.Errorf("got %v, %v, after %v", got, err, m.order)
	}
}

// A session whose id could be guessed is none.
func TestMinterWithoutChance(t *testing.T) {
	m := &mint{}
	_, g, form := minting(t, m)
	g.Issuer = &Minter{Store: m, Mint: m.mint, Now: func() time.Time { return noon }, Random: bytes.NewReader(make([]byte, 31))}
	if _, _, err := run(t, g, "spa", form); !errors.Is(err, io.ErrUnexpectedEOF) || len(m.order) > 0 {
		t.Errorf("%v, after %v", err, m.order)
	}
}
