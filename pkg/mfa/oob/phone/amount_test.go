package phone

import (
	"testing"
	"time"
)

func TestAmounts(t *testing.T) {
	for text, want := range map[string]struct {
		amount Amount
		text   string
	}{
		"0": {0, "0"}, "0.08": {800, "0.08"}, "0.10": {1000, "0.1"}, "100": {1_000_000, "100"}, "0.0001": {1, "0.0001"},
		"12.3400": {123_400, "12.34"}, "1000000": {amountMost, "1000000"}, "10.0100": {100_100, "10.01"},
	} {
		var a Amount
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want.amount || a.String() != want.text {
			t.Errorf("%s is %d, printed %s, %v; want %+v", text, a, a, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.", ".5", "0.00001", "01", "1,5", "1e3", "0x1", "10000000", "1 ", "٣", "NaN", "1_000"} {
		a := Amount(7)
		if err := a.UnmarshalText([]byte(text)); err == nil || a != 7 {
			t.Errorf("%q is %d, %v", text, a, err)
		}
	}
}

// TestPartOfDay: what a message costs of a day is exact to the millisecond, and never less.
func TestPartOfDay(t *testing.T) {
	for _, tt := range []struct {
		price, spend Amount
		want         time.Duration
	}{
		{1000, 1_000_000, 86_400 * time.Millisecond}, // 0.10 of 100: a thousand in a day
		{800, 1_000_000, 69_120 * time.Millisecond},
		{1_000_000, 1_000_000, day},
		{1_000_001, 1_000_000, day + time.Millisecond},
		{1, amountMost, time.Millisecond}, // rounded up
		{3, 7_000_000, 38 * time.Millisecond},
		{amountMost, amountMost, day},
	} {
		if got := tt.price.of(tt.spend); got != tt.want {
			t.Errorf("%s of %s is %v, want %v", tt.price, tt.spend, got, tt.want)
		}
	}
}

// FuzzAmount: an amount is printed as it is read.
func FuzzAmount(f *testing.F) {
	for _, seed := range []string{"0", "0.08", "100", "1000000.0001", "1e3", "-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, again Amount
		if a.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a || a < 0 {
			t.Fatalf("%q is %d, printed %s, read %d", text, a, a, again)
		}
	})
}

// FuzzTwilioAnswer: an answer without an id of Twilio's never counts as accepted, and no
// failure quotes it.
func FuzzTwilioAnswer(f *testing.F) {
	for _, seed := range []string{`{"sid":"SM1","status":"queued"}`, `{"sid":"SM1","status":"failed"}`, `{"code":21211,"message":"x"}`, `{"code":-1}`, "[]", "", `{"sid":1}`} {
		f.Add([]byte(seed), 201)
		f.Add([]byte(seed), 400)
		f.Add([]byte(seed), 503)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		err := accepted(body, verdict(status, 0))
		if err == nil && (status < 200 || status > 299 || len(body) < len(`{"sid":""}`)) {
			t.Fatalf("%d %q was accepted", status, body)
		}
		if err != nil && len(err.Error()) > 120 {
			t.Fatalf("%q is quoted: %v", body, err)
		}
	})
}
