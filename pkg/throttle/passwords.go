package throttle

import (
	"context"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// How fast a full bucket of password attempts empties: as much in a day as there are of
// these. Each attempt for a user from one address takes 240 a day at most, and all from
// one address 2400.
const (
	userEvery    = 6 * time.Minute
	addressEvery = 36 * time.Second
)

// A Bucket holds what was done, and leaks: wrong passwords, messages that were sent. It is
// as full as FullUntil, in the store, is ahead of the clock.
type Bucket struct {
	Name  string        // a hash: who did what from where is not kept in the clear
	Size  int           // how many it holds
	Every time.Duration // in which one leaks out
}

// wait is how long it is until the bucket holds one more.
func (b Bucket) wait(fullUntil, now time.Time) time.Duration {
	return max(fullUntil.Sub(now), 0) - time.Duration(b.Size-1)*b.Every
}

// Wait is the longest of what any of the buckets has to leak first.
func Wait(all []Bucket, fullUntil map[string]time.Time, now time.Time) time.Duration {
	var longest time.Duration
	for _, b := range all {
		longest = max(longest, b.wait(fullUntil[b.Name], now))
	}
	return longest
}

// BucketStore keeps buckets.
type BucketStore interface {
	// Buckets returns until when each bucket is full; those that are not in it are empty.
	Buckets(ctx context.Context, all []Bucket) (map[string]time.Time, error)
	// Fill adds one wrong password to each bucket, with the event, all or nothing; if one of
	// them is too full only that is recorded, and it fails with fault.TooManyAttempts and the
	// time that is left. Of any number of concurrent ones each sees those before it. The one
	// after which others have to wait has a second event, for those leave none: strangers
	// must not fill the database.
	Fill(ctx context.Context, all []Bucket, now time.Time, e audit.Event) error
	// Drain empties a bucket.
	Drain(ctx context.Context, b Bucket) error
}

// Passwords limits wrong passwords.
type Passwords struct {
	Store   BucketStore
	User    int // wrong passwords at a time for a user from one address
	Address int // and for all users from one address
	Now     func() time.Time
}

// Try is one attempt to log in with a password.
type Try struct {
	Username string // in its normal form, whether anybody is called so or not (R24)
	Subject  string // whose name it is; empty before the password was looked at, or if nobody's
	Address  string
}

func (p *Passwords) buckets(t Try) []Bucket {
	from := network(t.Address)
	name := func(parts string) string { return secret.Hash(secret.New(parts)) }
	all := []Bucket{
		{Name: name("address\x00" + from), Size: p.Address, Every: addressEvery},
		{Name: name("name\x00" + t.Username + "\x00" + from), Size: p.User, Every: userEvery},
	}
	if t.Subject != "" { // who has several names has one limit
		all = append(all, Bucket{Name: name("user\x00" + t.Subject + "\x00" + from), Size: p.User, Every: userEvery})
	}
	return all
}

// Allow fails with fault.TooManyAttempts while one more must not be looked at. It is asked
// before the password is hashed, which spares the machine, and when it was right, for by
// then others may have been counted.
func (p *Passwords) Allow(ctx context.Context, t Try) error {
	all := p.buckets(t)
	full, err := p.Store.Buckets(ctx, all)
	if err != nil {
		return fault.Because(fault.Unavailable, err)
	}
	return TooMany(fault.TooManyAttempts, Wait(all, full, p.Now()))
}

// Wrong counts a wrong password, with its event.
func (p *Passwords) Wrong(ctx context.Context, t Try, e audit.Event) error {
	if err := p.Store.Fill(ctx, p.buckets(t), p.Now(), e); err != nil {
		return fault.Because(fault.Unavailable, err)
	}
	return nil
}

// Right fails as Allow does; else the user's buckets are empty again. That of the address is
// not: who has one account must not gain attempts at another.
func (p *Passwords) Right(ctx context.Context, t Try) error {
	all := p.buckets(t)
	full, err := p.Store.Buckets(ctx, all)
	if err == nil {
		if refusal := TooMany(fault.TooManyAttempts, Wait(all, full, p.Now())); refusal != nil {
			return refusal
		}
		for _, b := range all[1:] {
			if _, some := full[b.Name]; some && err == nil {
				err = p.Store.Drain(ctx, b)
			}
		}
	}
	return fault.Because(fault.Unavailable, err)
}

// network is what one household or machine has of addresses: all of an IPv4 address, and
// the first half of an IPv6 one.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
