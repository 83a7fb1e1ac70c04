package phone

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/sallyport/sallyport/pkg/fault"
)

// A Number is a telephone number that people have.
type Number struct {
	E164    string // "+4915550100042": one form, however it was written
	Country string // ISO 3166: "DE"
	Calling string // the calling code: "+49"
}

// Bounds of E.164, and of what is looked at.
const (
	mostDigits = 15
	longest    = 32 // with separators
	lastDigits = 4  // of a number that are shown, and that those of one range differ in
)

// reachable are the kinds of numbers that a person answers at the price of a call to a
// person. The others cost whoever calls, or reach nobody: premium rate, shared cost, toll
// free, personal numbers, pagers, voice mail, UAN (standards, S-2).
var reachable = []phonenumbers.PhoneNumberType{
	phonenumbers.MOBILE, phonenumbers.FIXED_LINE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.VOIP,
}

// nowhere is the region of calling codes that belong to no country: satellites, +800, +808,
// +878, +882, +883, +888, +979.
const nowhere = "001"

// ParseNumber reads a number in E.164, with spaces and dashes between its digits if need
// be. It fails with fault.BadPhoneNumber, whatever is wrong.
//
// A number has to be valid, not just possible: ranges that were given to nobody are where
// pumped messages go.
func ParseNumber(text string) (Number, error) {
	plain, ok := digits(text)
	if !ok {
		return Number{}, fault.BadPhoneNumber
	}
	n, err := phonenumbers.Parse(plain, "ZZ") // no country to fall back on
	if err != nil || !phonenumbers.IsValidNumber(n) || phonenumbers.Format(n, phonenumbers.E164) != plain {
		return Number{}, fault.BadPhoneNumber
	}
	country := phonenumbers.GetRegionCodeForNumber(n)
	if country == "" || country == nowhere || !slices.Contains(reachable, phonenumbers.GetNumberType(n)) {
		return Number{}, fault.BadPhoneNumber
	}
	national := phonenumbers.GetNationalSignificantNumber(n)
	return Number{E164: plain, Country: country, Calling: strings.TrimSuffix(plain, national)}, nil
}

// digits is a plus and the digits of a text that has nothing else in it but single spaces
// and dashes between digits. What else people write into numbers is not looked at: it can
// stand for a pause, an extension, or a digit that only looks like one.
func digits(text string) (string, bool) {
	if len(text) > longest || !strings.HasPrefix(text, "+") {
		return "", false
	}
	plain := []byte{'+'}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			plain = append(plain, c)
		case c != ' ' && c != '-', i == 1, i == len(text)-1, text[i-1] < '0':
			return "", false
		}
	}
	return string(plain), len(plain) > 1 && len(plain) <= 1+mostDigits
}

// Masked is the number as it may be shown.
func (n Number) Masked() string {
	all := n.E164[1:]
	hidden := max(len(all)-lastDigits, 0)
	return strings.Repeat("X", hidden) + all[hidden:]
}

// block is what the numbers have in common that differ in their last digits alone.
func (n Number) block() string { return n.E164[:max(len(n.E164)-lastDigits, 0)] }

// known reports whether there are telephone numbers of a country, by its ISO code.
func known(country string) bool { return phonenumbers.GetSupportedRegions()[country] }
