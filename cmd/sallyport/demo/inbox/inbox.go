// Package inbox is where the text messages, calls and mails of a demo arrive: it takes the
// signed webhooks and the SMTP of a gateway on the same machine, and shows all of them on a
// page. It is no part of a gateway: no configuration can name it, and what it shows, it
// shows to everybody on the machine.
package inbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// The channels.
const (
	SMS   = "sms"
	Voice = "voice"
	Email = "email"
)

// A Message is what a person would get.
type Message struct {
	ID      string    `json:"id"` // one however often it is delivered
	Channel string    `json:"channel"`
	To      string    `json:"to"`
	At      time.Time `json:"at"`
	Subject string    `json:"subject,omitempty"` // of a mail
	Code    string    `json:"code,omitempty"`
	Text    string    `json:"text"`
	HTML    bool      `json:"html,omitempty"` // it looks better as markup
	markup  string
}

// most is how many messages are kept.
const most = 200

// listen is where the page is when that is free.
const listen = "127.0.0.1:8978"

// An Inbox keeps the latest messages in memory.
type Inbox struct {
	URL  string // of the page, with a slash at its end
	Mail string // host:port that takes SMTP, without TLS

	key []byte // signs the webhooks
	now func() time.Time

	mu       sync.Mutex
	messages []Message     // the oldest first
	dropped  int           // messages that were kept before these
	arrived  chan struct{} // closed when there is another one

	stop  context.CancelFunc
	ended chan error
}

// Open makes an inbox and serves it on loopback until it is closed.
func Open(ctx context.Context, now func() time.Time) (*Inbox, error) {
	web, err := loopback(ctx, listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		web, err = loopback(ctx, "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("make an inbox: %w", err)
	}
	mail, err := loopback(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make an inbox: %w", err), web.Close())
	}
	const keyBytes = 32
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // it never fails
	b := &Inbox{
		URL: "http://" + web.Addr().String() + "/", Mail: mail.Addr().String(),
		key: key, now: now, arrived: make(chan struct{}), ended: make(chan error, 1),
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // as long as the gateway
	b.stop = stop
	go func() { b.ended <- b.serve(serving, web, mail) }()
	return b, nil
}

func loopback(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// Webhook is where a gateway posts text messages and calls.
func (b *Inbox) Webhook() string { return b.URL + webhookPath }

// Secret is what a gateway signs its webhooks with.
func (b *Inbox) Secret() secret.Text {
	return secret.New("whsec_" + base64.StdEncoding.EncodeToString(b.key))
}

// Latest is where the latest message of a channel is that brought a code.
func (b *Inbox) Latest(channel string) string { return b.URL + latestPath + channel }

// Close ends the inbox and everything that is in it.
func (b *Inbox) Close() error {
	b.stop()
	return <-b.ended
}

// keep keeps a message, unless it came before, and wakes the pages that wait.
func (b *Inbox) keep(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.messages, func(old Message) bool { return old.ID == m.ID }) {
		return
	}
	m.At = b.now().UTC().Truncate(time.Second)
	b.messages = append(b.messages, m)
	if more := len(b.messages) - most; more > 0 {
		b.messages = slices.Delete(b.messages, 0, more)
		b.dropped += more
	}
	close(b.arrived)
	b.arrived = make(chan struct{})
}

// after are the messages that are kept of those after the first n, how many came in all,
// and what tells of the next.
func (b *Inbox) after(n int) (messages []Message, all int, arrived <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Message{}, b.messages[max(0, n-b.dropped):]...), b.dropped + len(b.messages), b.arrived
}

// find is the latest message that is wanted.
func (b *Inbox) find(wanted func(Message) bool) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range slices.Backward(b.messages) {
		if wanted(m) {
			return m, true
		}
	}
	return Message{}, false
}
