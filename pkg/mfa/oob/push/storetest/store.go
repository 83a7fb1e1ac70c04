// Package storetest keeps in memory what the channel of push and the protocol of phones keep in
// Redis and SQL, and behaves as those do, for tests.
package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
)

// Store keeps in memory what the channel and the protocol keep in several places, and
// behaves as those do.
type Store struct {
	Now func() time.Time
	// Down is what every method fails with; nil: none does.
	Down error

	mu             sync.Mutex
	authenticators []mfa.Authenticator
	devices        map[string]oob.Device
	tickets        map[string]oob.Ticket
	live           map[string]oob.Challenge // by subject
	asked          []oob.Challenge
	refusals       map[string]int
	denied         map[string]bool
	decided        map[string]bool // challenge: approved
	reported       map[string]bool // subjects
	redeemed       map[record.Redemption]bool
	events         []audit.Event
}

var (
	_ oob.Asks        = (*Store)(nil)
	_ oob.DeviceStore = (*Store)(nil)
	_ oob.TicketStore = (*Store)(nil)
	_ record.Redeemer = (*Store)(nil)
	_ audit.Log       = (*Store)(nil)
)

// NewStore makes an empty store.
func NewStore(now func() time.Time) *Store {
	return &Store{
		Now: now, devices: map[string]oob.Device{}, tickets: map[string]oob.Ticket{}, live: map[string]oob.Challenge{},
		refusals: map[string]int{}, denied: map[string]bool{}, decided: map[string]bool{}, reported: map[string]bool{},
		redeemed: map[record.Redemption]bool{},
	}
}

// Associate adds pending authenticators, as the registrar does with what enrolling made.
func (s *Store) Associate(subject, handle string, made ...mfa.Authenticator) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range made {
		a.Subject, a.Handle, a.CreatedAt, a.ExpiresAt = subject, handle, s.Now(), s.Now().Add(mfa.Window)
		s.authenticators = append(s.authenticators, a)
	}
}

// Confirm makes the authenticators of a group active, as the issuance does.
func (s *Store) Confirm(group string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.authenticators {
		if s.authenticators[i].Group == group {
			s.authenticators[i].ConfirmedAt = s.Now()
		}
	}
}

// Authenticators finds what the subject has, without what is over.
func (s *Store) Authenticators(_ context.Context, subject string, now time.Time) ([]mfa.Authenticator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []mfa.Authenticator
	for _, a := range s.authenticators {
		if a.Subject == subject && (a.Active() || now.Before(a.ExpiresAt)) {
			all = append(all, a)
		}
	}
	return all, s.Down
}

// Client implements push.Clients: each is called as its id is, and "Our" before it.
func (*Store) Client(_ context.Context, id string) (record.Client, error) {
	return record.Client{ID: id, Name: "Our " + id}, nil
}

// Account implements push.Accounts: the name is the end of the subject.
func (s *Store) Account(_ context.Context, subject string) (mfa.Account, error) {
	_, name, _ := strings.Cut(subject, "|")
	return mfa.Account{Name: name + "@example.com"}, s.Down
}

// EnrollDevice implements oob.DeviceStore.
func (s *Store) EnrollDevice(_ context.Context, d oob.Device, now time.Time, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.authenticators, func(a mfa.Authenticator) bool { return a.ID == d.Authenticator })
	known, ok := s.devices[d.ID]
	switch {
	case s.Down != nil:
		return s.Down
	case i < 0 || !s.authenticators[i].Active() && !now.Before(s.authenticators[i].ExpiresAt):
		return fault.NotFound
	case ok && known.Key != d.Key:
		return fault.DeviceConflict
	case ok:
		known.TokenHash = d.TokenHash
		s.devices[d.ID] = known
		return nil
	case s.authenticators[i].Active():
		return fault.NotFound
	}
	s.authenticators[i].Name = d.Name
	s.devices[d.ID], s.events = d, append(s.events, e)
	return nil
}

// Device implements oob.DeviceStore.
func (s *Store) Device(_ context.Context, id string) (oob.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[id]
	if !ok {
		return oob.Device{}, cmp.Or(s.Down, error(fault.NotFound))
	}
	return d, s.Down
}

// UpdateDevice implements oob.DeviceStore.
func (s *Store) UpdateDevice(_ context.Context, d oob.Device, e audit.Event) error {
	return s.change(d.ID, e, func(known *oob.Device) {
		if known.Endpoint.Service != d.Endpoint.Service || !known.Endpoint.Token.Equal(d.Endpoint.Token) {
			known.EndpointGone = time.Time{}
		}
		known.Identifier, known.Name, known.Endpoint = d.Identifier, d.Name, d.Endpoint
	})
}

// DisableEndpoint implements oob.DeviceStore.
func (s *Store) DisableEndpoint(_ context.Context, id string, gone oob.Endpoint, now time.Time, e audit.Event) error {
	return s.change(id, e, func(known *oob.Device) {
		if known.Endpoint.Service == gone.Service && known.Endpoint.Token.Equal(gone.Token) {
			known.EndpointGone = now
		}
	})
}

func (s *Store) change(id string, e audit.Event, do func(*oob.Device)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[id]
	if !ok || s.Down != nil {
		return cmp.Or(s.Down, error(fault.NotFound))
	}
	do(&d)
	s.devices[id], s.events = d, append(s.events, e)
	return nil
}

// RemoveDevice implements oob.DeviceStore.
func (s *Store) RemoveDevice(_ context.Context, id string, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.devices[id]; !ok || s.Down != nil {
		return cmp.Or(s.Down, error(fault.NotFound))
	}
	delete(s.devices, id)
	s.authenticators = slices.DeleteFunc(s.authenticators, func(a mfa.Authenticator) bool { return a.Group == id })
	s.events = append(s.events, e)
	return nil
}

// CreateTicket implements oob.TicketStore.
func (s *Store) CreateTicket(_ context.Context, t oob.Ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickets[t.Hash] = t
	return s.Down
}

// Ticket implements oob.TicketStore.
func (s *Store) Ticket(_ context.Context, hash string) (oob.Ticket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[hash]
	if s.Down != nil || !ok || !s.Now().Before(t.ExpiresAt) {
		return oob.Ticket{}, cmp.Or(s.Down, error(fault.NotFound))
	}
	return t, nil
}

// Admit implements oob.Asks.
func (s *Store) Admit(_ context.Context, a oob.Ask, l oob.Limits) (oob.Admitted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, now := a.Challenge, s.Now()
	if s.Down != nil {
		return oob.Admitted{}, s.Down
	}
	before, ok := s.live[c.Subject]
	_, answered := s.decided[before.ID]
	over := ok && !now.Before(before.ExpiresAt)
	if ok && !answered && !over && (before.Client != c.Client || before.Address != c.Address) {
		return oob.Admitted{}, &fault.Details{Kind: fault.TooManyMessages, RetryAfter: before.ExpiresAt.Sub(now)}
	}
	if ok && !answered && over {
		s.refusals[c.Subject]++
	}
	recent := 0
	for _, other := range s.asked {
		if other.Subject == c.Subject && now.Sub(other.CreatedAt) < time.Minute {
			recent++
		}
	}
	if recent >= l.Minute {
		return oob.Admitted{}, &fault.Details{Kind: fault.TooManyMessages, RetryAfter: time.Minute}
	}
	admitted := oob.Admitted{Refusals: s.refusals[c.Subject], Denied: s.denied[c.Subject]}
	if ok && !answered && !over {
		admitted.Replaced = before.ID
	}
	s.live[c.Subject], s.asked, s.events = c, append(s.asked, c), append(s.events, a.Event)
	return admitted, nil
}

// Withdraw implements oob.Asks.
func (s *Store) Withdraw(_ context.Context, c oob.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[c.Subject].ID == c.ID {
		delete(s.live, c.Subject)
	}
	return s.Down
}

// Answer implements oob.Asks.
func (s *Store) Answer(_ context.Context, a oob.Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := a.Challenge
	if s.Down != nil {
		return s.Down
	}
	before, answered := s.decided[c.ID]
	switch {
	case s.live[c.Subject].ID != c.ID || answered && before != a.Approved:
		return fault.NotFound
	case answered:
		return nil
	}
	s.decided[c.ID], s.events = a.Approved, append(s.events, a.Event)
	if !a.Approved {
		s.refusals[c.Subject]++
		s.denied[c.Subject] = true
	}
	s.reported[c.Subject] = s.reported[c.Subject] || a.Reported
	return nil
}

// Ask makes a challenge the live one of its subject, as if it had been admitted.
func (s *Store) Ask(c oob.Challenge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[c.Subject] = c
}

// Reported says whether somebody said that it was not they who logged in.
func (s *Store) Reported(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reported[subject]
}

// Redeem implements record.Redeemer.
func (s *Store) Redeem(_ context.Context, r record.Redemption) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ExpiresAt = time.Time{}
	first := !s.redeemed[r]
	s.redeemed[r] = true
	return first, s.Down
}

// Append implements audit.Log.
func (s *Store) Append(_ context.Context, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return s.Down
}

// Events is the record, oldest first.
func (s *Store) Events() []audit.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}
