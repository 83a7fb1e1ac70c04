package grants

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

// A Minter is the [Issuer] of a server whose tokens are in a store of its own, which
// cannot commit together with ours. What a login uses up is committed first, and minting
// follows: if it fails there is no token, and the user logs in again. The other way round
// one proof could yield two. All fields are needed.
type Minter struct {
	Store record.Store
	// Mint makes and keeps the tokens of a login, once for each that is used up.
	Mint   func(ctx context.Context, l mfa.Login) (record.Tokens, error)
	Now    func() time.Time
	Random io.Reader
}

var _ Issuer = (*Minter)(nil)

// Issue implements [Issuer].
func (m *Minter) Issue(ctx context.Context, c mfa.Clearance) (record.Tokens, error) {
	if !c.Valid() {
		return record.Tokens{}, errors.New("no token without a clearance")
	}
	used, err := m.issuance(c)
	if err != nil {
		return record.Tokens{}, err
	}
	if err := m.Store.Issue(ctx, used); err != nil {
		return record.Tokens{}, fault.Because(fault.Unavailable, fmt.Errorf("use up a login: %w", err))
	}
	tokens, err := m.Mint(ctx, c.Login())
	if err != nil {
		return record.Tokens{}, fault.Because(fault.Unavailable, fmt.Errorf("mint: %w", err))
	}
	return tokens, nil
}

// issuance is the login without any token.
func (m *Minter) issuance(c mfa.Clearance) (record.Issuance, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(m.Random, raw); err != nil {
		return record.Issuance{}, fmt.Errorf("use up a login: %w", err)
	}
	return c.Issuance(m.Now().UTC().Truncate(time.Millisecond), base64.RawURLEncoding.EncodeToString(raw)), nil
}
