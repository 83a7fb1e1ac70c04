package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	// maxPassword is the greatest length in bytes of a password that is tried. A new
	// password has at most 1024 code points in NFKC, 4096 bytes; the same password
	// typed in a decomposed form takes up to three times as many.
	maxPassword = 16 * 1024

	methodPassword = "pwd" // RFC 8176
)

var _ Verifier = (*Passwords)(nil)

// Options are what [NewPasswords] needs.
type Options struct {
	Users  UserStore
	Gate   *Gate            // nil means NewGate(0, -1)
	Params Params           // of new hashes; zero means DefaultParams
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means slog.Default
}

// Passwords checks and makes the passwords of the gateway's own users.
type Passwords struct {
	users  UserStore
	gate   *Gate
	params Params
	now    func() time.Time
	log    *slog.Logger
	decoy  digest
	costs  costs
}

// NewPasswords makes a verifier for [DefaultConnection]. It fails when Params are
// out of bounds.
func NewPasswords(o Options) (*Passwords, error) {
	if o.Gate == nil {
		o.Gate = NewGate(0, -1)
	}
	if o.Params == (Params{}) {
		o.Params = DefaultParams()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := o.Params.Check(); err != nil {
		return nil, err
	}
	return &Passwords{
		users: o.Users, gate: o.Gate, params: o.Params, now: o.Now, log: o.Log,
		decoy: o.Params.decoy(),
	}, nil
}

// Hash makes the hash to store for a new password: argon2id of its NFKC form
// (N-PW-5), as a PHC string. It does not ask [Policy]; it fails with
// fault.BadPassword only for a password that could never log in, and with
// fault.Overloaded.
func (p *Passwords) Hash(ctx context.Context, password secret.Text) (string, error) {
	text := password.Reveal()
	if reason := unusable(text); reason != "" {
		return "", fault.Param(fault.BadPassword, reason)
	}
	var hash string
	err := p.gate.Do(ctx, func() { hash = p.params.hash(norm.NFKC.String(text)) })
	return hash, err
}

// Verify implements [Verifier]. A connection other than [DefaultConnection] or none
// is fault.BadRequest. Whatever is wrong, an unknown user, one without a password, a
// wrong or an impossible password, the same hashes are computed and the answer is
// fault.WrongPassword (R24).
func (p *Passwords) Verify(ctx context.Context, c Credentials) (Identity, error) {
	if c.Connection != "" && c.Connection != DefaultConnection {
		return Identity{}, fault.Param(fault.BadRequest, "realm")
	}
	user, hash, err := p.find(ctx, c.Username)
	if err != nil {
		return Identity{}, err
	}
	stored := p.parse(ctx, user, hash)
	forms := spellings(c.Password.Reveal())
	form, err := p.try(ctx, stored, forms)
	if err != nil {
		return Identity{}, err
	}
	if form < 0 || unusable(c.Password.Reveal()) != "" {
		if err := p.level(ctx, stored, forms); err != nil {
			return Identity{}, err
		}
		return Identity{User: user}, fault.WrongPassword
	}
	if user.Blocked {
		return Identity{User: user}, fault.UserBlocked
	}
	if last := len(forms) - 1; stored.params != p.params || form != last {
		p.upgrade(ctx, user.ID, hash, forms[last])
	}
	at := p.now().UTC().Truncate(time.Millisecond)
	return Identity{User: user, Methods: []string{methodPassword}, At: at}, nil
}

// find returns no user and no hash when there is none; an identifier that names
// nobody is not looked for.
func (p *Passwords) find(ctx context.Context, identifier string) (User, string, error) {
	normalized, ok := Normalize(identifier)
	if !ok {
		return User{}, "", nil
	}
	user, hash, err := p.users.UserByIdentifier(ctx, DefaultConnection, normalized)
	if errors.Is(err, fault.NotFound) {
		return User{}, "", nil
	}
	if err != nil {
		err = fault.Because(fault.Unavailable, err)
		return User{}, "", fmt.Errorf("find a user: %w", err)
	}
	return user, hash, nil
}

// parse returns the decoy, which matches nothing, where there is no usable hash.
func (p *Passwords) parse(ctx context.Context, user User, hash string) digest {
	if hash == "" {
		return p.decoy
	}
	stored, err := parseHash(hash)
	if err != nil {
		p.log.ErrorContext(ctx, "this user cannot log in with a password", "user", user.ID, "err", err)
		return p.decoy
	}
	return stored
}

// spellings are the forms of a password that are tried, NFKC last. An imported hash
// may be made of the password as it was typed, ours are made of NFKC. What
// cannot be a password is replaced by nothing, which costs the same to hash.
func spellings(password string) []string {
	if unusable(password) != "" {
		return []string{""}
	}
	if nfkc := norm.NFKC.String(password); nfkc != password {
		return []string{password, nfkc}
	}
	return []string{password}
}

// try returns the index of the form that matches, or -1. The number of hashes that a
// failure costs depends on the password alone, not on the user.
func (p *Passwords) try(ctx context.Context, stored digest, forms []string) (int, error) {
	for i, form := range forms {
		var ok bool
		var failed error
		if err := p.gate.Do(ctx, func() { ok, failed = stored.matches(form) }); err != nil {
			return -1, err
		}
		if failed != nil {
			return -1, fault.Because(fault.Internal, failed)
		}
		if ok {
			return i, nil
		}
	}
	return -1, nil
}

// upgrade replaces a hash that is foreign, was made at another cost than is now
// configured (N-PW-6) or not of NFKC. The login does not depend on it; the next one
// tries again.
func (p *Passwords) upgrade(ctx context.Context, userID, from, nfkc string) {
	var to string
	err := p.gate.Do(ctx, func() { to = p.params.hash(nfkc) })
	if err == nil {
		err = p.users.ReplacePasswordHash(ctx, userID, from, to)
	}
	if err != nil {
		p.log.WarnContext(ctx, "a password hash was not upgraded", "user", userID, "err", err)
	}
}

// unusable says why no login with this password can succeed, "" if one can. NUL is
// the end of a password to bcrypt, which takes "a" and "a\x00a" for the same.
func unusable(password string) string {
	switch {
	case password == "":
		return TooShort
	case len(password) > maxPassword:
		return TooLong
	case strings.ContainsRune(password, 0):
		return ForbiddenCharacter
	}
	return ""
}
