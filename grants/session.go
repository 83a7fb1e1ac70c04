package grants

import (
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

// Session carries one token request through fosite's two calls: what the first one
// cleared, the second one issues. It is never stored.
type Session struct {
	Address   string        // the end user's address, for the record
	Forwarded string        // the same as the client puts it; empty: it does not
	Wait      time.Duration // how long the client waits for an answer that is given elsewhere
	Resume    func()        // unless nil, is told when that is over
	attempt   *mfa.Attempt  // that was looked at before fosite
	clearance mfa.Clearance
	own       record.OwnAccess // of a client that acts for itself
}

var _ fosite.Session = (*Session)(nil)

// SetExpiresAt does nothing: no decision about time is left to fosite.
func (*Session) SetExpiresAt(fosite.TokenType, time.Time) {}

// GetExpiresAt implements fosite.Session.
func (*Session) GetExpiresAt(fosite.TokenType) time.Time { return time.Time{} }

// GetUsername implements fosite.Session.
func (*Session) GetUsername() string { return "" }

// GetSubject implements fosite.Session.
func (s *Session) GetSubject() string { return s.clearance.Login().Subject }

// Clone implements fosite.Session.
func (s *Session) Clone() fosite.Session {
	clone := *s
	return &clone
}
