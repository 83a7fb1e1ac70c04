package phone_test

import (
	"crypto/rand"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/guardian/phonetest"
)

func app(t testing.TB, p phone.Profile) *phone.Phone {
	t.Helper()
	made, err := phone.New(phone.Options{Profile: p, Client: &http.Client{}, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// data is the push of section 7.2.
func data(change ...string) map[string]string {
	all := map[string]string{
		"txtkn": "eyJ", "dai": "dev_1", "c": "chl_1", "d": "2026-01-02T03:04:05.678Z", "sh": "gw.example.com",
		"s": `{"b":{"n":"Chrome","v":"143.0"},"os":{"n":"Windows","v":"11"}}`, "l": `{"n":"Lyon, FR","lat":"45.76","long":"4.84"}`,
		"txlnkid": "cns_01",
	}
	for i := 0; i < len(change); i += 2 {
		all[change[i]] = change[i+1]
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "-" })
	return all
}

func TestNotifications(t *testing.T) {
	for _, p := range phone.Profiles() {
		sent := data("gw_client", "Shop", "gw_bind", "enter", "other", "x")
		n, err := app(t, p).FromFCM(sent)
		if err != nil || n == nil {
			t.Fatal(n, err)
		}
		same, err := app(t, p).FromAPNs(phonetest.Alert(sent))
		if err != nil || !reflect.DeepEqual(n, same) {
			t.Errorf("by APNs %+v, %v", same, err)
		}
		want := phone.Notification{
			Transaction: n.Transaction, Account: "dev_1", Challenge: "chl_1", Started: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Host: "gw.example.com",
			Browser: phone.Part{Name: "Chrome", Version: "143.0"}, OS: phone.Part{Name: "Windows", Version: "11"},
			Place: phone.Place{Name: "Lyon, FR", Latitude: "45.76", Longitude: "4.84"}, Link: "cns_01", Client: "Shop", Bind: "enter",
		}
		if strings.HasPrefix(string(p), "android") {
			want.Host = "https://gw.example.com/"
		}
		if old(p) {
			want.Link = "" // it came in 0.7 and 1.2
		}
		if !reflect.DeepEqual(*n, want) || n.Transaction.Reveal() != "eyJ" {
			t.Errorf("%s: %+v, want %+v", p, n, want)
		}
	}
}

// What the parsers of the two SDKs drop, keep and crash on; section 7.1.
func TestNotificationTraps(t *testing.T) {
	const dropped, kept, crash = "dropped", "kept", "crash"
	tests := []struct {
		name           string
		data           map[string]string
		android, swift string
	}{
		{"no txtkn", data("txtkn", "-"), dropped, dropped},
		{"no dai", data("dai", "-"), dropped, dropped},
		{"no c", data("c", "-"), dropped, dropped},
		{"no d", data("d", "-"), dropped, dropped},
		{"no sh", data("sh", "-"), dropped, dropped},
		{"no s", data("s", "-"), kept, kept},
		{"empty s", data("s", "{}"), kept, kept},
		{"s that is none", data("s", "x"), kept, kept},
		{"no l", data("l", "-"), kept, kept},
		{"no decimals", data("d", "2026-01-02T03:04:05Z"), dropped, dropped},
		{"seven decimals", data("d", "2026-01-02T03:04:05.6789012Z"), kept, dropped},
		{"an offset", data("d", "2026-01-02T03:04:05.678+00:00"), dropped, dropped},
		{"a comma", data("d", "2026-01-02T03:04:05,678Z"), dropped, dropped},
		{"a short hour", data("d", "2026-01-02T3:04:05.678Z"), dropped, dropped},
		{"no date", data("d", "2026-13-02T03:04:05.678Z"), dropped, dropped},
		{"a port", data("sh", "gw.example.com:8443"), crash, kept},
		{"a URL", data("sh", "https://gw.example.com:8443/acme"), kept, kept},
	}
	for _, tt := range tests {
		for p, want := range map[phone.Profile]string{phone.Android: tt.android, phone.Swift: tt.swift} {
			n, err := app(t, p).FromFCM(tt.data)
			got := kept
			switch {
			case err != nil:
				got = crash
			case n == nil:
				got = dropped
			}
			if got != want {
				t.Errorf("%s is %s by %s, want %s (%v)", tt.name, got, p, want, err)
			}
		}
	}
	n, err := app(t, phone.Android).FromFCM(data("d", "2026-01-02T03:04:05.6789012Z"))
	if want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(6789012 * time.Millisecond); err != nil || !n.Started.Equal(want) {
		t.Errorf("seven decimals: %v, want %v", n.Started, want)
	}
}

func TestParts(t *testing.T) {
	tests := []struct {
		s, l, browser, os string
		place             phone.Place
	}{
		{`{"b":{"v":"1"},"os":{"n":"Mac OS"}}`, `{"n":"Lyon","lat":45.76,"long":4.84}`, "", "Mac OS", phone.Place{Name: "Lyon", Latitude: "45.76", Longitude: "4.84"}},
		{`{"b":{"n":"Safari","v":26}}`, `{"lat":"45.76","long":4.84}`, "Safari", "", phone.Place{}},
		{`{"b":{"n":7},"os":null}`, `{"n":"Lyon","lat":45.76}`, "", "", phone.Place{Name: "Lyon"}},
		{`[]`, `7`, "", "", phone.Place{}},
	}
	for _, tt := range tests {
		n, err := app(t, phone.Android).FromFCM(data("s", tt.s, "l", tt.l))
		if err != nil || n == nil || n.Browser.String() != tt.browser || n.OS.String() != tt.os || n.Place != tt.place {
			t.Errorf("%s %s: %+v, %v", tt.s, tt.l, n, err)
		}
	}
}

func TestAPNsIgnores(t *testing.T) {
	whole := string(phonetest.Alert(data()))
	for name, payload := range map[string]string{
		"another category": strings.Replace(whole, "com.auth0", "com.example", 1),
		"no alert of ours": strings.Replace(whole, `"mfa"`, `"fma"`, 1),
		"no JSON":          whole[1:],
		"a number":         strings.Replace(whole, `"dev_1"`, "1", 1),
	} {
		if n, err := app(t, phone.Swift).FromAPNs([]byte(payload)); n != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	plain := strings.Replace(whole, `{"subtitle":"","title":"Acme"}`, `"Acme"`, 1)
	if n, err := app(t, phone.Swift).FromAPNs([]byte(plain)); n == nil || err != nil || n.Client != "" || plain == whole {
		t.Errorf("an alert that is text: %+v, %v", n, err)
	}
}

// How each app reads a QR code; section 4.
func TestScan(t *testing.T) {
	const start = "otpauth://totp/Acme:ann%40example.com?secret=JBSW&"
	tests := []struct{ text, android, swift string }{ // "" is refused
		{start + "enrollment_tx_id=Kq3v&issuer=Acme", "Kq3v", "Kq3v"},
		{"Kq3v", "Kq3v", "Kq3v"},
		{" Kq3v\n", "Kq3v", "Kq3v"},
		{start + "enrollment_tx_id=a&enrollment_tx_id=b", "a", "b"},
		{start + "enrollment_tx_id=a+b", "a b", "a+b"},
		{start + "enrollment_tx_id=a%2Fb", "a/b", "a/b"},
		{start + "enrollment_tx_id=a%2", "", ""},
		{start + "issuer=Acme", start + "issuer=Acme", ""},
		{start + "enrollment_tx_id=", "", ""},
		{"OTPAUTH://totp/A?enrollment_tx_id=a", "a", ""},
		{"otpauth://TOTP/A?enrollment_tx_id=a", "a", "a"},
		{"otpauth://hotp/A?enrollment_tx_id=a", "a", ""},
		{"https://gw.example.com/?enrollment_tx_id=a#enrollment_tx_id=b", "a", ""},
		{"otpauth://totp/A b?enrollment_tx_id=a", "a", ""},
		{"otpauth://totp/auth0|u1?enrollment_tx_id=a", "a", ""},
		{"otpauth://totp/ü?enrollment_tx_id=a", "a", ""},
		{"a:b", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		for p, want := range map[phone.Profile]string{
			phone.Android: tt.android, phone.Android02: tt.android, phone.Web: tt.android, phone.Swift: tt.swift, phone.Swift01: tt.swift,
		} {
			got, err := app(t, p).Scan(tt.text)
			if got.Reveal() != want && want != "" || (err == nil) != (want != "") {
				t.Errorf("%s of %q: %q, %v; want %q", p, tt.text, got.Reveal(), err, want)
			}
		}
	}
}

// FuzzNotification: a push is whole, or it is none.
func FuzzNotification(f *testing.F) {
	apps := []*phone.Phone{app(f, phone.Android), app(f, phone.Swift)}
	f.Fuzz(func(t *testing.T, payload []byte) {
		text := string(payload)
		fcm := map[string]string{"txtkn": "t", "dai": "d", "c": "c", "d": text, "sh": text, "s": text, "l": text}
		for _, a := range apps {
			for _, read := range []func() (*phone.Notification, error){
				func() (*phone.Notification, error) { return a.FromAPNs(payload) },
				func() (*phone.Notification, error) { return a.FromFCM(fcm) },
			} {
				n, err := read()
				if n != nil && err != nil {
					t.Errorf("%+v, %v", n, err)
				}
			}
		}
	})
}

// FuzzScan: what is scanned is a ticket or refused, and needs no more of the text than is
// there.
func FuzzScan(f *testing.F) {
	apps := []*phone.Phone{app(f, phone.Android), app(f, phone.Swift)}
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range apps {
			ticket, err := a.Scan(text)
			if ticket.Empty() != (err != nil) && err == nil || len(ticket.Reveal()) > len(text) {
				t.Errorf("%q, %v", ticket.Reveal(), err)
			}
		}
	})
}
