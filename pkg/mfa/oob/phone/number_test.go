package phone_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
)

// fixture is the number of the fixtures.
const fixture = "+4915550100042"

// served are numbers that people have, as they may be written.
var served = map[string]phone.Number{
	fixture:              {E164: fixture, Country: "DE", Calling: "+49"},
	"+49 155 5010 0042":  {E164: fixture, Country: "DE", Calling: "+49"},
	"+49-155-501-000-42": {E164: fixture, Country: "DE", Calling: "+49"},
	"+4930123456":        {E164: "+4930123456", Country: "DE", Calling: "+49"}, // a landline can be called
	"+12025550123":       {E164: "+12025550123", Country: "US", Calling: "+1"},
	"+1 416-555-0123":    {E164: "+14165550123", Country: "CA", Calling: "+1"},
	"+18765550123":       {E164: "+18765550123", Country: "JM", Calling: "+1"},
	"+447400123456":      {E164: "+447400123456", Country: "GB", Calling: "+44"},
	"+390612345678":      {E164: "+390612345678", Country: "IT", Calling: "+39"}, // its zero is a part of it
	"+43664123456":       {E164: "+43664123456", Country: "AT", Calling: "+43"},
	"+5511987654321":     {E164: "+5511987654321", Country: "BR", Calling: "+55"},
	"+77012345678":       {E164: "+77012345678", Country: "KZ", Calling: "+7"},
	"+420910123456":      {E164: "+420910123456", Country: "CZ", Calling: "+420"}, // over the internet
}

func TestNumbers(t *testing.T) {
	for text, want := range served {
		if n, err := phone.ParseNumber(text); err != nil || n != want {
			t.Errorf("%s: %+v, %v, want %+v", text, n, err, want)
		}
	}
}

// refused are texts that nobody is written to or called at (standards, S-2, S-3).
var refused = map[string]string{
	"+19005550123":         "premium rate, United States",
	"+449012345678":        "premium rate, United Kingdom",
	"+611900123456":        "premium rate, Australia",
	"+491801234567":        "shared cost, Germany",
	"+448451234567":        "shared cost, United Kingdom",
	"+18005550123":         "toll free, United States",
	"+18335550100":         "toll free, United States",
	"+448001234567":        "toll free, United Kingdom",
	"+81120123456":         "toll free, Japan",
	"+447012345678":        "personal, United Kingdom (070)",
	"+4970012345678":       "personal, Germany",
	"+15005550006":         "personal, United States",
	"+447640123456":        "pager, United Kingdom",
	"+443456789012":        "UAN, United Kingdom",
	"+41860791234567":      "voice mail, Switzerland",
	"+881612345678":        "satellite",
	"+870773123456":        "satellite",
	"+882123456789":        "international network",
	"+883510012345":        "international network",
	"+87810123456789":      "universal personal",
	"+979123456789":        "international premium rate",
	"+80012345678":         "international toll free",
	"+80812345678":         "international shared cost",
	"+888123456789":        "disaster relief",
	"+999123456789":        "no such calling code",
	"+15550100042":         "no such area code",
	"+441632960123":        "a range for films",
	"+110":                 "an emergency number",
	"+1911":                "an emergency number",
	"+4932665":             "a short code",
	"+49":                  "a calling code alone",
	"+":                    "a plus alone",
	"":                     "nothing",
	"4915550100042":        "no plus",
	"004915550100042":      "a prefix of a country",
	"015550100042":         "a national format",
	"(0155) 50100042":      "a national format",
	"+49 (0) 155 50100042": "the zero of a national format",
	"+49015550100042":      "the same",
	"+49155501000421":      "a digit too many for its range",
	"+4915550100042123":    "more than fifteen digits",
	"++4915550100042":      "two signs",
	"+49155+50100042":      "a sign within",
	"+ 4915550100042":      "a space after the sign",
	"+4915550100042 ":      "a space at the end",
	" +4915550100042":      "a space before",
	"+49  15550100042":     "two spaces",
	"+49--15550100042":     "two dashes",
	"+4915550100042-":      "a dash at the end",
	"+49.155.50100042":     "dots",
	"+49/155/50100042":     "slashes",
	"+4915550100042,123":   "a pause",
	"+4915550100042w123":   "a wait",
	"+4915550100042p123":   "a pause",
	"+4915550100042;ext=1": "an extension",
	"+4915550100042x1":     "an extension",
	"+4915550100042#1":     "an extension",
	"+4915550100042*":      "a tone",
	"+4915550100042\r\n":   "a line break",
	"+49155\n50100042":     "a line break within",
	"+49\t15550100042":     "a tab",
	"+4915550100042\x00":   "a zero byte",
	"+1800FLOWERS":         "letters",
	"tel:+4915550100042":   "a URI",
	"+٤٩١٥٥٥٠١٠٠٠٤٢":       "digits of another script",
	"＋4915550100042":       "a sign of another width",
	"+49１5550100042":       "a digit of another width",
	"+49\u00a015550100042": "a space that does not break",
	"+49‑15550100042":      "a dash that does not break",
	"+49\u202e15550100042": "a turn of direction",
}

// TestRefusedNumbers: whatever is wrong, nobody learns more than that.
func TestRefusedNumbers(t *testing.T) {
	_, want := phone.ParseNumber("")
	for text, why := range refused {
		n, err := phone.ParseNumber(text)
		if err == nil || !errors.Is(err, fault.BadPhoneNumber) || err.Error() != want.Error() || n != (phone.Number{}) {
			t.Errorf("%q (%s): %+v, %v", text, why, n, err)
		}
	}
}

// TestMasked: X for each digit but the last four (fixtures).
func TestMasked(t *testing.T) {
	for text, want := range map[string]string{fixture: "XXXXXXXXX0042", "+1 202 555 0123": "XXXXXXX0123", "+4930123456": "XXXXXX3456"} {
		n, err := phone.ParseNumber(text)
		if err != nil || n.Masked() != want {
			t.Errorf("%s is shown as %s, %v, want %s", text, n.Masked(), err, want)
		}
	}
}

// FuzzParseNumber: what is accepted is a plus and at most fifteen digits, has one form, and
// begins with its calling code; what is refused is refused in one way.
func FuzzParseNumber(f *testing.F) {
	for text := range served {
		f.Add(text)
	}
	for text := range refused {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := phone.ParseNumber(text)
		if err != nil {
			if err != fault.BadPhoneNumber { //nolint:errorlint // nothing around it
				t.Fatal(err)
			}
			return
		}
		again, err := phone.ParseNumber(n.E164)
		plain := strings.NewReplacer(" ", "", "-", "").Replace(text)
		if err != nil || again != n || n.E164 != plain || len(n.E164) > 16 || len(n.Country) != 2 || !strings.HasPrefix(n.E164, n.Calling) ||
			strings.Trim(n.E164[1:], "0123456789") != "" || len(n.Masked()) != len(n.E164)-1 {
			t.Fatalf("%q is %+v", text, n)
		}
	})
}
