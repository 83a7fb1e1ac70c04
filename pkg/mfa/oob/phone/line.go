package phone

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A Line reaches telephones in one way: it is a channel but for its words.
type Line struct {
	about     oob.About
	countries []string
	rules     Rules
	services  []service
}

// A service tries once to have words delivered.
type service interface {
	deliver(ctx context.Context, l letter) error
	// receipt reads what it sent about a message. It fails with fault.NotFound if it sends
	// nothing, with fault.BadReceipt, or with fault.BadRequest.
	receipt(c oob.Callback) (oob.Receipt, error)
}

// A letter is a message in words.
type letter struct {
	oob.Message

	channel  string
	receipts string // where the service sends them
	words    Words
}

// Words are what a person reads or hears.
type Words struct {
	Text     string
	Language string // as BCP 47 has it: "de"
}

// NewLine makes the line of a channel.
func NewLine(channel, method string, c Config, rules Rules, now func() time.Time) (*Line, error) {
	l := &Line{about: oob.About{Name: channel, Kind: "phone", Methods: []string{method}}, countries: c.Countries, rules: rules}
	for i, s := range c.services() {
		made, err := s.open(now)
		if err != nil {
			return nil, fmt.Errorf("service %d of %s: %w", i, channel, err)
		}
		l.services = append(l.services, made)
	}
	return l, nil
}

// open makes what speaks to a service.
func (s Service) open(now func() time.Time) (service, error) {
	if s.Driver == driverTwilio {
		return newTwilio(s, now), nil
	}
	key, err := s.key()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return &webhook{url: s.URL, key: key, client: newClient(), now: now}, nil
}

// About is the first half of an oob.Carrier, as the two methods after it.
func (l *Line) About() oob.About { return l.about }

// Address reads the parameter phone_number. It fails with fault.MissingParameter or
// fault.BadPhoneNumber.
func (l *Line) Address(r mfa.Enrolling) (oob.Address, error) {
	const param = "phone_number"
	if r.Params[param] == "" {
		return oob.Address{}, fault.Param(fault.MissingParameter, param)
	}
	n, err := l.served(r.Params[param])
	if err != nil {
		return oob.Address{}, err
	}
	return oob.Address{To: secret.New(n.E164), Name: n.Masked()}, nil
}

// served reads a number that this line may reach.
func (l *Line) served(text string) (Number, error) {
	n, err := ParseNumber(text)
	if err == nil && len(l.countries) > 0 && !slices.Contains(l.countries, n.Country) {
		return Number{}, fault.BadPhoneNumber
	}
	return n, err
}

// Budgets are those that a message to a number takes from. They fail with
// fault.BadPhoneNumber for one that is not served any more.
func (l *Line) Budgets(a mfa.Authenticator) ([]oob.Budget, error) {
	n, err := l.served(a.Address.Reveal())
	if err != nil {
		return nil, err
	}
	return l.rules.budgets(a, n), nil
}

// Deliver offers a message in words to one service after the other.
func (l *Line) Deliver(ctx context.Context, m oob.Message, words Words) error {
	var providers []oob.Provider
	for i, s := range l.services {
		out := letter{Message: m, channel: l.about.Name, receipts: oob.ReceiptURL(m.URL, l.about.Name, i), words: words}
		providers = append(providers, m.Via(oob.ProviderName(l.about.Name, i), func(ctx context.Context) error { return s.deliver(ctx, out) }))
	}
	return oob.Deliver(ctx, providers...)
}

// Minutes is how long a code is good, as people are told: never too long.
func Minutes(m oob.Message) int { return max(int(m.ExpiresIn/time.Minute), 1) }
