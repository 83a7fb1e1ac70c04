package push

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	terminal "github.com/sallyport/sallyport/pkg/guardian/provider"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/pushtest"
)

// TestTerminalProvider: what plays the services for phones in terminals takes messages as
// the services do, and phones get what their SDKs read.
func TestTerminalProvider(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	keys, err := terminal.NewKeys(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	account, err1 := keys.ServiceAccount(url)
	key, err2 := keys.APNsKey()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p := terminal.New(url, keys, time.Now)
	go p.Serve(t.Context(), l) //nolint:errcheck // it ends with the test
	s, err := New(Config{
		FCM:  &FCMConfig{CredentialsFile: file(t, string(account)), Endpoint: url},
		APNs: &APNsConfig{KeyFile: file(t, string(key)), KeyID: pushtest.KeyID, TeamID: pushtest.TeamID, Topic: pushtest.Topic, Endpoint: url},
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}

	m := login()
	m.ExpiresAt = time.Now().Add(time.Minute)
	sent(t, s, android, m)
	got, err := p.Next(t.Context(), android.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	onAndroid := map[string]string{}
	if err := json.Unmarshal(got.Payload, &onAndroid); err != nil {
		t.Fatal(err)
	}
	if read, err := parseAndroid(onAndroid); err != nil || read.challenge != m.Challenge || read.browser != m.Browser {
		t.Errorf("%+v, %v", read, err)
	}
	sent(t, s, iphone, m)
	if got, err = p.Next(t.Context(), strings.ToUpper(iphone.Token.Reveal())); err != nil {
		t.Fatal(err)
	}
	if read, err := parseSwift(got.Payload); err != nil || read.challenge != m.Challenge || read.browser != m.Browser {
		t.Errorf("%+v, %v", read, err)
	}
}
