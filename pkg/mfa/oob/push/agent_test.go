package push

import (
	"strings"
	"testing"
)

// FuzzAgent: whatever a browser calls itself, the login goes on, and its versions are made
// of what it said.
func FuzzAgent(f *testing.F) {
	for _, seed := range []string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.5.0", "(", ")(", "/", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		browser, system := origin(agent)
		for _, version := range []string{browser.Version, system.Version} {
			if len(version) > agentLimit || strings.Trim(version, strings.ToValidUTF8(agent, "")+"_.") != "" {
				t.Fatalf("%q of %q", version, agent)
			}
		}
	})
}

// TestEnter: a device that has to send the code of the page is told so, others hear nothing
// of it.
func TestEnter(t *testing.T) {
	for _, enter := range []bool{false, true} {
		m := login()
		m.Enter = enter
		fcm, err := m.forFCM(android.Token, m.At)
		if err != nil {
			t.Fatal(err)
		}
		apns, err := m.forAPNs()
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range [][]byte{fcm, apns} {
			if strings.Contains(string(body), `"gw_bind":"enter"`) != enter || strings.Contains(string(body), "gw_bind") != enter {
				t.Errorf("%s", body)
			}
		}
	}
}
