package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// keyBytes is the size of a ring key; each use derives its own key from it.
const keyBytes = 32

// A Ring holds the keys that seal secrets at rest. One of them seals, every one opens,
// so that keys can be changed while the gateway runs ([Ring.Adopt], [Ring.SealWith]).
type Ring struct {
	held    atomic.Pointer[held]
	derived sync.Map // by derivation: deriving costs as much as a MAC, and purposes are few
}

// A derivation is what a key is derived for.
type derivation struct {
	key          [keyBytes]byte
	use, purpose string
}

// held are the keys at one moment. They never change.
type held struct {
	keys    []ringKey
	sealing ringKey
}

type ringKey struct {
	ID      string    `json:"id"`
	Key     []byte    `json:"key"` // base64 in the file
	Created time.Time `json:"created"`
}

// NewRing makes a ring with one fresh key.
func NewRing(now time.Time) (*Ring, error) {
	key, err := freshKey(now)
	if err != nil {
		return nil, err
	}
	return ringOf([]ringKey{key}), nil
}

func freshKey(now time.Time) (ringKey, error) {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return ringKey{}, fmt.Errorf("make a ring key: %w", err)
	}
	id := strings.ToLower(rand.Text()[:8])
	return ringKey{ID: id, Key: key, Created: now.UTC().Truncate(time.Second)}, nil
}

// ringOf makes a ring of keys, the first of which seals.
func ringOf(keys []ringKey) *Ring {
	r := &Ring{}
	r.held.Store(&held{keys: keys, sealing: keys[0]})
	return r
}

// Keys are the ids of the keys, in the order of the file.
func (r *Ring) Keys() []string {
	var ids []string
	for _, k := range r.held.Load().keys {
		ids = append(ids, k.ID)
	}
	return ids
}

// Sealing is the id of the key that seals.
func (r *Ring) Sealing() string { return r.held.Load().sealing.ID }

// Newest is the id of the key that was made last.
func (r *Ring) Newest() string {
	keys := r.held.Load().keys
	newest := keys[0]
	for _, k := range keys {
		if k.Created.After(newest.Created) {
			newest = k
		}
	}
	return newest.ID
}

// SealWith makes another key seal. It fails with [ErrSealed] when the ring does not have
// it, and then nothing changes.
func (r *Ring) SealWith(id string) error { return r.take(r.held.Load().keys, id) }

// Adopt takes the keys of another ring; the key that seals must be among them and goes
// on sealing. It fails as [Ring.SealWith] does. The two are for one goroutine at a time,
// all else for any number.
func (r *Ring) Adopt(other *Ring) error { return r.take(other.held.Load().keys, r.Sealing()) }

func (r *Ring) take(keys []ringKey, sealing string) error {
	i := slices.IndexFunc(keys, func(k ringKey) bool { return k.ID == sealing })
	if i < 0 {
		return fmt.Errorf("the ring lacks the key %q: %w", sealing, ErrSealed)
	}
	r.held.Store(&held{keys: keys, sealing: keys[i]})
	return nil
}

// Format implements fmt.Formatter without the keys, whatever the verb.
func (*Ring) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// SealedBy is how everything begins that a key sealed.
func SealedBy(id string) string { return "v1." + id + "." }

// Seal encrypts a secret for one place: purpose names the kind of secret, row the
// record it belongs to. A sealed text moved to another row does not open (N-OT-3).
func (r *Ring) Seal(purpose, row string, t Text) (string, error) {
	key := r.held.Load().sealing
	aead, err := r.aead(key, purpose)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	sealed := aead.Seal(nonce, nonce, []byte(t.Reveal()), []byte(row))
	return SealedBy(key.ID) + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// ErrSealed is all that is said of a sealed text that does not open.
var ErrSealed = errors.New("a sealed secret does not open: wrong key ring, wrong row, or damaged")

// Open decrypts what [Ring.Seal] made for the same purpose and row.
func (r *Ring) Open(purpose, row, sealed string) (Text, error) {
	version, rest, _ := strings.Cut(sealed, ".")
	id, body, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	key, ok := r.find(id)
	if version != "v1" || err != nil || !ok {
		return Text{}, ErrSealed
	}
	aead, err := r.aead(key, purpose)
	if err != nil {
		return Text{}, err
	}
	if len(raw) < aead.NonceSize() {
		return Text{}, ErrSealed
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(row))
	if err != nil {
		return Text{}, ErrSealed
	}
	return New(string(plain)), nil
}

// MAC is a keyed hash that names its key, "<key id>.<base64url>": for handles that
// prove where they came from, and for six-digit codes, which a bare hash would not
// protect from a reader of the store.
func (r *Ring) MAC(purpose string, parts ...string) (string, error) {
	return r.mac(r.held.Load().sealing, purpose, parts)
}

// MACBy is how every [Ring.MAC] begins that a key made.
func MACBy(id string) string { return id + "." }

// MACBeside is [Ring.MAC] with the key that another MAC names, so that the same comes of
// the same whichever key seals meanwhile; when the ring lacks that key, with the one that
// seals.
func (r *Ring) MACBeside(other, purpose string, parts ...string) (string, error) {
	id, _, _ := strings.Cut(other, ".")
	if key, ok := r.find(id); ok {
		return r.mac(key, purpose, parts)
	}
	return r.MAC(purpose, parts...)
}

// CheckMAC reports in constant time whether mac was made by [Ring.MAC] with a key of
// this ring for the same purpose and parts.
func (r *Ring) CheckMAC(mac, purpose string, parts ...string) bool {
	id, _, _ := strings.Cut(mac, ".")
	key, ok := r.find(id)
	if !ok {
		return false
	}
	want, err := r.mac(key, purpose, parts)
	return err == nil && hmac.Equal([]byte(want), []byte(mac))
}

// Holds reports whether the ring has the key that a MAC names.
func (r *Ring) Holds(mac string) bool {
	id, _, _ := strings.Cut(mac, ".")
	_, ok := r.find(id)
	return ok
}

func (r *Ring) find(id string) (ringKey, bool) {
	for _, k := range r.held.Load().keys {
		if k.ID == id {
			return k, true
		}
	}
	return ringKey{}, false
}

func (r *Ring) derive(k ringKey, use, purpose string) ([]byte, error) {
	what := derivation{[keyBytes]byte(k.Key), use, purpose}
	if key, ok := r.derived.Load(what); ok {
		return key.([]byte), nil //nolint:forcetypeassert // nothing else is stored
	}
	key, err := hkdf.Key(sha256.New, k.Key, nil, "sallyport "+use+" "+purpose, keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	r.derived.Store(what, key)
	return key, nil
}

func (r *Ring) aead(k ringKey, purpose string) (cipher.AEAD, error) {
	key, err := r.derive(k, "seal", purpose)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return aead, nil
}

func (r *Ring) mac(k ringKey, purpose string, parts []string) (string, error) {
	key, err := r.derive(k, "mac", purpose)
	if err != nil {
		return "", err
	}
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return MACBy(k.ID) + base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil
}
