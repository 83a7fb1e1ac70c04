package phone

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Amount is money, in ten-thousandths: a message can cost less than a cent.
type Amount int64

const (
	amountDecimals = 4
	amountUnit     = 10_000
	amountMost     = 1_000_000 * amountUnit
)

var amount = regexp.MustCompile(`^(0|[1-9][0-9]{0,6})(?:\.([0-9]{1,4}))?$`)

// UnmarshalText reads a decimal number.
func (a *Amount) UnmarshalText(text []byte) error {
	m := amount.FindSubmatch(text)
	if m == nil {
		return errors.New("is no amount")
	}
	decimals := string(m[2]) + strings.Repeat("0", amountDecimals-len(m[2]))
	n, err := strconv.ParseInt(string(m[1])+decimals, 10, 64)
	if err != nil {
		return errors.New("is no amount")
	}
	*a = Amount(n)
	return nil
}

// Kind says what an amount is, for people.
func (Amount) Kind() string { return "an amount such as 0.08, with four decimals at most" }

// String writes the amount without zeros at its end.
func (a Amount) String() string {
	if a%amountUnit == 0 {
		return strconv.FormatInt(int64(a/amountUnit), 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%0*d", a/amountUnit, amountDecimals, a%amountUnit), "0")
}

const day = 24 * time.Hour

// of is the part of a day that costs as much of what may be spent in a day, rounded up to
// what stores keep. Of more than that it is longer than a day.
func (a Amount) of(spend Amount) time.Duration {
	if a > spend {
		return day + time.Millisecond
	}
	hi, lo := bits.Mul64(uint64(day), uint64(a))    //nolint:gosec // neither is negative
	part, rest := bits.Div64(hi, lo, uint64(spend)) //nolint:gosec // nor is this
	if rest > 0 {
		part++
	}
	exact := time.Duration(part) //nolint:gosec // a day at most
	return (exact + time.Millisecond - 1).Truncate(time.Millisecond)
}
