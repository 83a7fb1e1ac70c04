package oob_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
)

// the ID of a message tells the gateway what it was sent for, and tells nobody else; it
// is of one channel and has one spelling, and nobody else can make one.
func TestReference(t *testing.T) {
	ring, err := secret.NewRing(mfatest.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	want := oob.Reference{Transaction: strings.Repeat("0f", 32), Until: mfatest.Epoch.Add(time.Millisecond)}
	id, err := want.Seal(ring, "sms")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := oob.OpenReference(ring, "sms", id); err != nil || got.Transaction != want.Transaction || !got.Until.Equal(want.Until) {
		t.Errorf("%+v, %v", got, err)
	}
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~" // RFC 3986, 2.3, without what Standard Webhooks separate by
	if again, err := want.Seal(ring, "sms"); err != nil || again == id || strings.Trim(id, unreserved) != "" || len(id) > 200 {
		t.Errorf("%q, then %q, %v", id, again, err)
	}
	other, err := secret.NewRing(mfatest.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (oob.Reference, error){
		"another channel": func() (oob.Reference, error) { return oob.OpenReference(ring, "voice", id) },
		"another gateway": func() (oob.Reference, error) { return oob.OpenReference(other, "sms", id) },
		"none":            func() (oob.Reference, error) { return oob.OpenReference(ring, "sms", "") },
		"a part":          func() (oob.Reference, error) { return oob.OpenReference(ring, "sms", id[:len(id)-1]) },
		"more":            func() (oob.Reference, error) { return oob.OpenReference(ring, "sms", id+"AccountSidAC0") },
		"a line more":     func() (oob.Reference, error) { return oob.OpenReference(ring, "sms", id+"\n") },
		"a line within":   func() (oob.Reference, error) { return oob.OpenReference(ring, "sms", id[:20]+"\r\n"+id[20:]) },
		"as it is sealed": func() (oob.Reference, error) { return oob.OpenReference(ring, "sms", strings.ReplaceAll(id, "~", ".")) },
	} {
		if got, err := open(); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// The last character has bits that stand for nothing: each of them is another spelling.
	spellings := 0
	for _, last := range unreserved {
		if _, err := oob.OpenReference(ring, "sms", id[:len(id)-1]+string(last)); err == nil {
			spellings++
		}
	}
	if spellings != 1 {
		t.Errorf("there are %d spellings", spellings)
	}
}

// Of each try of a message it is told what came of it.
func TestVia(t *testing.T) {
	type told struct {
		provider string
		outcome  oob.Outcome
	}
	for _, c := range []struct {
		err  error
		want oob.Outcome
	}{{nil, oob.Accepted}, {fault.Undeliverable, oob.Refused}, {fault.Unavailable, oob.Unavailable}, {context.DeadlineExceeded, oob.Unavailable}} {
		var got []told
		m := oob.Message{Told: func(p string, o oob.Outcome) { got = append(got, told{p, o}) }}
		err := m.Via(oob.ProviderName("sms", 2), func(context.Context) error { return c.err }).Offer(t.Context())
		if !errors.Is(err, c.err) || len(got) != 1 || got[0] != (told{"sms.fallback[1]", c.want}) {
			t.Errorf("%v: %v, told %v", c.err, err, got)
		}
	}
	if err := (oob.Message{}).Via("sms", func(context.Context) error { return fault.Unavailable }).Offer(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
