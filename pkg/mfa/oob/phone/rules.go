package phone

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Rules bound what is sent to telephones (standards, S-1, S-4). Text messages and calls
// count together.
type Rules struct {
	PerUser    int               `yaml:"per_user" default:"10" doc:"Text messages and calls of a user at a time; one more in each hour. At most 1000."`
	PerNumber  int               `yaml:"per_number" doc:"Text messages and calls to a number at a time, whoever asks; one more in each hour. Who confirmed it has as many alone. 0: as many as there are."`
	PerRange   int               `yaml:"per_range" doc:"Those whose code did not come back, to numbers that differ in the last four digits, at a time; as many more in each hour. 0: as many as there are."`
	PerCountry int               `yaml:"per_country" doc:"Those whose code did not come back, to numbers with one calling code, at a time; as many more in each hour. 0: as many as there are."`
	PerGateway int               `yaml:"per_gateway" doc:"All text messages and calls at a time, half of them to numbers that are not confirmed; as many more in each hour. 0: as many as there are."`
	Spend      Amount            `yaml:"spend" doc:"What text messages and calls may cost at a time, half of it to numbers that are not confirmed; as much more in each day. Without a currency, as the prices. 0: whatever it is."`
	Price      Amount            `yaml:"price" default:"0.10" doc:"What a text message or a call costs to a number that has no price of its own."`
	Prices     map[string]Amount `yaml:"prices" example:"{\"+49\": 0.08, \"+1876\": 0.25}" doc:"What one costs to numbers that begin so; the longest beginning counts. 0: nothing."`
}

const mostMessages = 1_000_000

var beginning = regexp.MustCompile(`^\+[1-9][0-9]{0,14}$`)

// Validate reports what is wrong, each error as "key: text".
func (r Rules) Validate() error {
	var errs []error
	if r.PerUser < 1 || r.PerUser > 1000 {
		errs = append(errs, errors.New("per_user: must be between 1 and 1000"))
	}
	for _, l := range []struct {
		name  string
		value int
	}{{"per_number", r.PerNumber}, {"per_range", r.PerRange}, {"per_country", r.PerCountry}, {"per_gateway", r.PerGateway}} {
		if l.value < 0 || l.value > mostMessages {
			errs = append(errs, fmt.Errorf("%s: must be between 0 and %d", l.name, mostMessages))
		}
	}
	errs = append(errs, r.money("spend", r.Spend, false), r.money("price", r.Price, true))
	for _, prefix := range slices.Sorted(maps.Keys(r.Prices)) {
		at := "prices[" + prefix + "]"
		if !beginning.MatchString(prefix) {
			errs = append(errs, errors.New(at+": must be the beginning of numbers, as in \"+49\""))
			continue
		}
		errs = append(errs, r.money(at, r.Prices[prefix], true))
	}
	return errors.Join(errs...)
}

// money says what is wrong with an amount.
func (r Rules) money(key string, a Amount, price bool) error {
	switch {
	case a < 0 || a > amountMost:
		return fmt.Errorf("%s: must be at most %s", key, Amount(amountMost))
	case price && r.Spend > 0 && a > r.Spend:
		return fmt.Errorf("%s: is more than spend, so that nothing would ever be sent", key)
	}
	return nil
}

// budgets are those that a message to a number takes from. Who confirmed a number has a
// budget of it for themselves, and half of what all have together: whoever enters numbers
// that are not theirs, or has them pumped, uses up neither.
func (r Rules) budgets(a mfa.Authenticator, n Number) []oob.Budget {
	all := []oob.Budget{bucket("user", a.Subject, r.PerUser, time.Hour)}
	whose, share := n.E164, func(size int) int { return (size + 1) / 2 }
	if a.Active() {
		whose, share = n.E164+"\x00"+a.Subject, func(size int) int { return size }
	}
	add := func(b oob.Budget, unanswered bool) {
		if b.Size > 0 {
			b.Unanswered = unanswered
			all = append(all, b)
		}
	}
	add(bucket("number", whose, r.PerNumber, time.Hour), false)
	add(bucket("range", n.block(), r.PerRange, hourly(r.PerRange)), true)
	add(bucket("country", n.Calling, r.PerCountry, hourly(r.PerCountry)), true)
	add(bucket("gateway", "", share(r.PerGateway), hourly(r.PerGateway)), false)
	if price := r.price(n); r.Spend > 0 && price > 0 {
		every := price.of(r.Spend)
		all = append(all, bucket("spend", "", share(int(day/every)), every))
	}
	return all
}

// price is what a message to a number costs.
func (r Rules) price(n Number) Amount {
	price, longest := r.Price, ""
	for prefix, of := range r.Prices {
		if strings.HasPrefix(n.E164, prefix) && len(prefix) > len(longest) {
			price, longest = of, prefix
		}
	}
	return price
}

func hourly(n int) time.Duration { return time.Hour / time.Duration(max(n, 1)) }

// bucket names what it counts by a hash: whose number it is is not kept in the clear.
func bucket(what, whose string, size int, every time.Duration) oob.Budget {
	name := secret.Hash(secret.New("message to a telephone\x00" + what + "\x00" + whose))
	return oob.Budget{Bucket: throttle.Bucket{Name: name, Size: size, Every: every}}
}
