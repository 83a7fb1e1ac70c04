package push

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// both reads a message in both forms, each with the parser of its SDK.
func both(t *testing.T, m Message) (onAndroid, onSwift seen) {
	t.Helper()
	body, err := m.forFCM(android.Token, began)
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		Message struct{ Data map[string]string }
	}
	if err := json.Unmarshal(body, &request); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if onAndroid, err = parseAndroid(request.Message.Data); err != nil {
		t.Fatalf("Android: %v in %s", err, body)
	}
	payload, err := m.forAPNs()
	if err != nil {
		t.Fatal(err)
	}
	if onSwift, err = parseSwift(payload); err != nil {
		t.Fatalf("Swift: %v in %s", err, payload)
	}
	if len(body) > sizeLimit || len(payload) > sizeLimit {
		t.Fatalf("%d and %d bytes", len(body), len(payload))
	}
	return onAndroid, onSwift
}

// TestReadByBoth: what the SDKs read is what was meant.
func TestReadByBoth(t *testing.T) {
	want := seen{
		token: "eyJ...", device: "dev_Q3x9L2mZ7aVb0Kc1", challenge: "chl_7hQ2", host: "https://gw.example.com/", at: began,
		browser: Software{"Chrome", "143.0"}, os: Software{"Windows", "11"},
		place: "Lyon, FR", located: true, latitude: 45.76, longitude: 4.84, consent: "cns_01",
	}
	for name, tc := range map[string]struct {
		message func(*Message)
		seen    func(*seen)
	}{
		"all":        {func(*Message) {}, func(*seen) {}},
		"no consent": {func(m *Message) { m.Consent = "" }, func(s *seen) { s.consent = "" }},
		"no version": {func(m *Message) { m.OS.Version = "" }, func(s *seen) { s.os.Version = "" }},
		"no browser": {func(m *Message) { m.Browser = Software{Version: "1"} }, func(s *seen) { s.browser = Software{} }},
		"no source":  {func(m *Message) { m.Browser, m.OS = Software{}, Software{} }, func(s *seen) { s.browser, s.os = Software{}, Software{} }},
		"no coordinates": {func(m *Message) { m.Location.Latitude = "" },
			func(s *seen) { s.located, s.latitude, s.longitude = false, 0, 0 }},
		"odd coordinates": {func(m *Message) { m.Location.Latitude = "NaN" },
			func(s *seen) { s.located, s.latitude, s.longitude = false, 0, 0 }},
		"no location": {func(m *Message) { m.Location = Place{} },
			func(s *seen) { s.place, s.located, s.latitude, s.longitude = "", false, 0, 0 }},
		"south west":   {func(m *Message) { m.Location.Longitude = "-179.5" }, func(s *seen) { s.longitude = -179.5 }},
		"Unicode":      {func(m *Message) { m.Location.Name = "Œdenburg – 東京 📱" }, func(s *seen) { s.place = "Œdenburg – 東京 📱" }},
		"quotes":       {func(m *Message) { m.Browser.Name = `a"b\c<d>&` }, func(s *seen) { s.browser.Name = `a"b\c<d>&` }},
		"turned over":  {func(m *Message) { m.OS.Name = "a\u202eb\x00c\n" }, func(s *seen) { s.os.Name = "abc" }},
		"not UTF-8":    {func(m *Message) { m.OS.Name = "a\xffb" }, func(s *seen) { s.os.Name = "ab" }},
		"long":         {func(m *Message) { m.OS.Name = strings.Repeat("é", 200) }, func(s *seen) { s.os.Name = strings.Repeat("é", 100) }},
		"another zone": {func(m *Message) { m.At = m.At.In(time.FixedZone("", 7200)) }, func(*seen) {}},
		"whole second": {func(m *Message) { m.At = began.Truncate(time.Second) }, func(s *seen) { s.at = began.Truncate(time.Second) }},
		"nanoseconds":  {func(m *Message) { m.At = began.Add(999) }, func(*seen) {}},
	} {
		t.Run(name, func(t *testing.T) {
			m, want := login(), want
			tc.message(&m)
			tc.seen(&want)
			onAndroid, onSwift := both(t, m)
			if onAndroid != want {
				t.Errorf("Android sees %+v, want %+v", onAndroid, want)
			}
			if onSwift != want {
				t.Errorf("Swift sees %+v, want %+v", onSwift, want)
			}
		})
	}
}

// TestServiceHost: a host alone at the standard port, a URL otherwise; both SDKs make the
// same address of it.
func TestServiceHost(t *testing.T) {
	for service, want := range map[string]string{
		"https://gw.example.com/":                "gw.example.com",
		"https://gw.example.com":                 "gw.example.com",
		"https://gw.example.com:443/":            "gw.example.com",
		"https://gw.example.com:8443/":           "https://gw.example.com:8443",
		"https://gw.example.com/tenants/acme/":   "https://gw.example.com/tenants/acme",
		"https://gw.example.com:8443/tenants/a":  "https://gw.example.com:8443/tenants/a",
		"http://127.0.0.1:3000/":                 "http://127.0.0.1:3000",
		"http://localhost/":                      "http://localhost",
		"https://httpgw.example.com/":            "https://httpgw.example.com", // iOS would take it for a URL
		"https://[2001:db8::1]/":                 "https://[2001:db8::1]",
		"https://bücher.example/":                "bücher.example",
		"https://user:word@gw.example.com/?q#f/": "gw.example.com",
	} {
		m := login()
		m.Service = service
		r, err := m.required()
		if err != nil || r.Host != want {
			t.Errorf("%s: %q, %v, want %q", service, r.Host, err, want)
		}
		if onAndroid, onSwift := both(t, m); onAndroid.host != onSwift.host && want != "bücher.example" {
			t.Errorf("%s: Android calls %s, Swift %s", service, onAndroid.host, onSwift.host)
		}
	}
}

// TestNoPush: what a device would ignore without a word is refused.
func TestNoPush(t *testing.T) {
	for name, spoil := range map[string]func(*Message){
		"no token":     func(m *Message) { m.Token = secret.Text{} },
		"no device":    func(m *Message) { m.Device = "" },
		"no challenge": func(m *Message) { m.Challenge = "" },
		"no time":      func(m *Message) { m.At = time.Time{} },
		"no service":   func(m *Message) { m.Service = "" },
		"no scheme":    func(m *Message) { m.Service = "gw.example.com:8443" },
		"no web":       func(m *Message) { m.Service = "ftp://gw.example.com/" },
		"long token":   func(m *Message) { m.Token = secret.New(strings.Repeat("x", tokenLimit+1)) },
		"long consent": func(m *Message) { m.Consent = strings.Repeat("x", sizeLimit) },
	} {
		t.Run(name, func(t *testing.T) {
			m := login()
			spoil(&m)
			_, onFCM := m.forFCM(android.Token, began)
			_, onAPNs := m.forAPNs()
			failed(t, onFCM, fault.Undeliverable, nil)
			failed(t, onAPNs, fault.Undeliverable, nil)
		})
	}
}

// TestFits: however long and odd the texts are, both services take the message.
func TestFits(t *testing.T) {
	for _, sign := range []string{"x", "é", "📱", `"`, `\`, "<", "\u2028"} {
		long := strings.Repeat(sign, 3000)
		m := login()
		m.Token = secret.New(strings.Repeat("t", tokenLimit))
		m.Browser, m.OS, m.Location.Name = Software{long, long}, Software{long, long}, long
		m.Issuer, m.Account, m.Client = long, long, long
		onAndroid, onSwift := both(t, m)
		for _, s := range []seen{onAndroid, onSwift} {
			if s.browser.Name == "" || !strings.HasPrefix(long, s.browser.Name) || s.place == "" {
				t.Errorf("%q: %+v", sign, s)
			}
		}
	}
}

// TestTimeLeft: a push is no good after its transaction.
func TestTimeLeft(t *testing.T) {
	for left, want := range map[time.Duration]string{
		2 * time.Minute: "120s", 1500 * time.Millisecond: "1s", 0: "0s", -time.Hour: "0s",
	} {
		body, err := login().forFCM(android.Token, began.Add(2*time.Minute-left))
		if err != nil || !strings.Contains(string(body), `"ttl":"`+want+`"`) {
			t.Errorf("%v: %v, want %s in %s", left, err, want, body)
		}
	}
}

// TestNOB7NoCode: a locked screen shows a push, so there is no place in it for a code, a
// number or a seed. What has a place is listed here whole.
func TestNOB7NoCode(t *testing.T) {
	m := login()
	m.Client = "Shop"
	body, err := m.forFCM(android.Token, began)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := m.forAPNs()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		text []byte
		want []string
	}{
		{body, []string{
			"message.android.priority", "message.android.ttl", "message.data.c", "message.data.d", "message.data.dai",
			"message.data.gw_client", "message.data.l.lat", "message.data.l.long", "message.data.l.n", "message.data.s.b.n",
			"message.data.s.b.v", "message.data.s.os.n", "message.data.s.os.v", "message.data.sh", "message.data.txlnkid",
			"message.data.txtkn", "message.token",
		}},
		{payload, []string{
			"aps.alert.body", "aps.alert.subtitle", "aps.alert.title", "aps.category", "aps.sound", "mfa.c", "mfa.d", "mfa.dai",
			"mfa.l.lat", "mfa.l.long", "mfa.l.n", "mfa.s.b.n", "mfa.s.b.v", "mfa.s.os.n", "mfa.s.os.v", "mfa.sh", "mfa.txlnkid",
			"mfa.txtkn",
		}},
	} {
		if got := members(t, "", string(tc.text)); !slices.Equal(got, tc.want) {
			t.Errorf("%q\nwant %q", got, tc.want)
		}
	}
}

// members are the paths of all strings in JSON, also of JSON in a string.
func members(t *testing.T, path, text string) (all []string) {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%s: %v in %s", path, err, text)
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		at, value := strings.TrimPrefix(path+"."+key, "."), ""
		switch err := json.Unmarshal(object[key], &value); {
		case err != nil:
			all = append(all, members(t, at, string(object[key]))...)
		case strings.HasPrefix(value, "{"):
			all = append(all, members(t, at, value)...)
		default:
			all = append(all, at)
		}
	}
	return all
}

// FuzzMessage: whatever strangers choose, both SDKs read the push, and read what was
// meant as far as there is room.
func FuzzMessage(f *testing.F) {
	f.Add("https://gw.example.com/", "Chrome", "143.0", "Lyon, FR", "45.76", "4.84", "ann@example.com", int64(1767323045678))
	f.Add("http://127.0.0.1:8443/x", "", "", "", "", "", "", int64(0))
	f.Add("https://httpbin.example", "\u202e", "\x00", strings.Repeat("📱", 999), "-0", "1e3", `"\`, int64(-1))
	f.Fuzz(func(t *testing.T, service, name, version, place, lat, long, account string, at int64) {
		const year9999 = 253402300799999
		m := login()
		service = service[:min(len(service), 300)] // the operator's; it may not fill the push
		m.Service, m.At, m.Location = service, time.UnixMilli(max(0, min(at, year9999))), Place{place, lat, long}
		m.Browser, m.OS = Software{name, version}, Software{version, name}
		m.Account, m.Issuer, m.Client = account, place, name
		if _, err := m.required(); err != nil {
			if fault.Of(err) != fault.Undeliverable {
				t.Fatal(err)
			}
			return
		}
		onAndroid, onSwift := both(t, m)
		for _, s := range []seen{onAndroid, onSwift} {
			if !s.at.Equal(m.At) || s.token != "eyJ..." || s.consent != m.Consent {
				t.Fatalf("%+v of %+v", s, m)
			}
			for _, text := range [][2]string{{s.browser.Name, name}, {s.os.Name, version}, {s.place, place}} {
				if err := told(text[0], text[1]); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// told checks a text that a device shows against the one that was meant.
func told(got, want string) error {
	odd := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
	plain := utf8.ValidString(want) && !strings.ContainsFunc(want, odd)
	switch {
	case !utf8.ValidString(got) || strings.ContainsFunc(got, odd) || utf8.RuneCountInString(got) > textLimit:
		return fmt.Errorf("a device shows %q", got)
	case plain && !strings.HasPrefix(want, got):
		return fmt.Errorf("a device shows %q for %q", got, want)
	case plain && len(want) <= 20 && got != want:
		return fmt.Errorf("a device shows %q for %q though there was room", got, want)
	}
	return nil
}
