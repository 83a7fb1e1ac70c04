package push

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

const badDeviceToken = "BadDeviceToken"

// apnsVerdicts are the reasons that APNs gives. A device of another app is no dead one:
// the gateway may have got the wrong topic.
var apnsVerdicts = map[string]verdict{
	badDeviceToken:                gone,
	"Unregistered":                gone,
	"ExpiredToken":                gone,
	"DeviceTokenNotForTopic":      misconfigured,
	"BadTopic":                    misconfigured,
	"MissingTopic":                misconfigured,
	"TopicDisallowed":             misconfigured,
	"ExpiredProviderToken":        misconfigured,
	"InvalidProviderToken":        misconfigured,
	"MissingProviderToken":        misconfigured,
	"BadCertificateEnvironment":   misconfigured,
	"PayloadTooLarge":             final,
	"TooManyRequests":             later,
	"TooManyProviderTokenUpdates": later,
	"InternalServerError":         later,
	"ServiceUnavailable":          later,
	"Shutdown":                    later,
}

// apns sends over the Apple Push Notification service.
type apns struct {
	endpoints []string // the second is asked about a device that the first does not know
	topic     string
	provider  *provider
	client    *http.Client
	now       func() time.Time
}

func newAPNs(c APNsConfig, now func() time.Time) (*apns, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	// APNs speaks HTTP/2 alone, and so does what stands in for it on loopback without TLS.
	protocols := &http.Protocols{}
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	a := &apns{
		endpoints: []string{strings.TrimRight(c.Endpoint, "/")}, topic: c.Topic,
		provider: &provider{key: key, keyID: c.KeyID, teamID: c.TeamID}, client: newClient(protocols), now: now,
	}
	if c.SecondEndpoint != "" {
		a.endpoints = append(a.endpoints, strings.TrimRight(c.SecondEndpoint, "/"))
	}
	return a, nil
}

// Send implements [Sender].
func (a *apns) Send(ctx context.Context, e oob.Endpoint, m Message) error {
	device := e.Token.Reveal()
	if !deviceToken(device) { // nor must it lead to another path
		return refused("the device token is not the hex of one", ErrEndpointGone)
	}
	body, err := m.forAPNs()
	if err != nil {
		return err
	}
	bearer, err := a.provider.token(a.now())
	if err != nil {
		return err
	}
	for _, endpoint := range a.endpoints {
		r, failed := request(ctx, endpoint+"/3/device/"+device, body)
		if failed != nil {
			return failed
		}
		r.Header.Set("authorization", "bearer "+bearer)
		r.Header.Set("apns-topic", a.topic)
		a.describe(r.Header, m)
		var word string
		if word, err = a.ask(r); word != badDeviceToken {
			break
		}
	}
	return err
}

// describe says how long a message is good and what it replaces.
func (a *apns) describe(h http.Header, m Message) {
	h.Set("apns-push-type", "alert")
	h.Set("apns-priority", "10")
	h.Set("apns-expiration", strconv.FormatInt(m.ExpiresAt.Unix(), 10))
	h.Set("apns-collapse-id", collapseID(m.ID))
	h.Set("apns-id", messageID(m))
}

// ask returns the reason why a message was not taken, and the failure.
func (a *apns) ask(r *http.Request) (string, error) {
	got, err := call(a.client, "APNs", r, a.now())
	if err != nil || got.status == http.StatusOK {
		return "", err
	}
	var said struct{ Reason string }
	_ = json.Unmarshal(got.body, &said) // without a reason the status decides
	return said.Reason, got.err("APNs", said.Reason, apnsVerdicts)
}

// deviceToken reports whether a text has the form of one. Apple sets no length; today
// there are 64 characters.
func deviceToken(s string) bool {
	const longest = 200
	_, err := hex.DecodeString(s)
	return err == nil && s != "" && len(s) <= longest
}

// collapseID is a transaction's id, or its hash where that is too long.
func collapseID(id string) string {
	if len(id) <= hex.EncodedLen(sha256.Size) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// messageID names a message in the reports of APNs: a UUID (RFC 9562, version 8), the same
// for each try.
func messageID(m Message) string {
	sum := sha256.Sum256([]byte(m.ID + "\x00" + m.Device + "\x00" + m.Challenge))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// A provider signs who sends. APNs takes a token for an hour, and no other within twenty
// minutes on a connection.
type provider struct {
	key           *ecdsa.PrivateKey
	keyID, teamID string

	mu   sync.Mutex
	made time.Time
	text string
}

// reuse is how long a token is used, between the twenty minutes and the hour.
const reuse = 40 * time.Minute

// token is the provider token in use, or the next one. A clock that was set back makes
// the next one too: APNs takes none from the future.
func (p *provider) token(now time.Time) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := now.Sub(p.made); p.text != "" && age >= 0 && age < reuse {
		return p.text, nil
	}
	text, err := p.sign(now)
	if err == nil {
		p.text, p.made = text, now
	}
	return text, err
}

// sign makes a JWT with ES256 (RFC 7518, 3.4).
func (p *provider) sign(now time.Time) (string, error) {
	part := base64.RawURLEncoding.EncodeToString
	text := part(encode(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}{"ES256", p.keyID})) + "." + part(encode(struct {
		Issuer   string `json:"iss"`
		IssuedAt int64  `json:"iat"`
	}{p.teamID, now.Unix()}))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign a provider token: %w", err)
	}
	const half = 32
	signature := make([]byte, 2*half)
	r.FillBytes(signature[:half])
	s.FillBytes(signature[half:])
	return text + "." + part(signature), nil
}
