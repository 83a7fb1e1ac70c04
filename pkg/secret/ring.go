package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// keyBytes is the size of a ring key; each use derives its own key from it.
const keyBytes = 32

// A Ring holds the keys that seal secrets at rest. The first key seals, every key
// opens, so that keys can be changed while the gateway runs.
type Ring struct{ keys []ringKey }

type ringKey struct {
	ID      string    `json:"id"`
	Key     []byte    `json:"key"` // base64 in the file
	Created time.Time `json:"created"`
}

type ringFile struct {
	Keys []ringKey `json:"keys"` // newest first
}

// NewRing makes a ring with one fresh key.
func NewRing(now time.Time) (*Ring, error) {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a ring key: %w", err)
	}
	id := strings.ToLower(rand.Text()[:8])
	return &Ring{keys: []ringKey{{ID: id, Key: key, Created: now.UTC().Truncate(time.Second)}}}, nil
}

// Format implements fmt.Formatter without the keys, whatever the verb.
func (*Ring) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// Save writes the ring to a new file that only its owner can read; an existing
// file is never overwritten, because losing a ring loses every sealed secret.
func (r *Ring) Save(path string) error {
	text, err := json.MarshalIndent(ringFile{Keys: r.keys}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the key ring: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// LoadRing reads a ring that [Ring.Save] wrote.
func LoadRing(path string) (*Ring, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	var file ringFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s is not a key ring; `sallyport keys init` writes one", path)
	}
	if len(file.Keys) == 0 {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	seen := map[string]bool{}
	for _, k := range file.Keys {
		if k.ID == "" || strings.Contains(k.ID, ".") || seen[k.ID] || len(k.Key) != keyBytes {
			return nil, fmt.Errorf("%s: key %q is damaged or stands twice", path, k.ID)
		}
		seen[k.ID] = true
	}
	return &Ring{keys: file.Keys}, nil
}

// Seal encrypts a secret for one place: purpose names the kind of secret, row the
// record it belongs to. A sealed text moved to another row does not open (N-OT-3).
func (r *Ring) Seal(purpose, row string, t Text) (string, error) {
	aead, err := r.keys[0].aead(purpose)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	sealed := aead.Seal(nonce, nonce, []byte(t.Reveal()), []byte(row))
	return "v1." + r.keys[0].ID + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
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
	aead, err := key.aead(purpose)
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
	return r.keys[0].mac(purpose, parts)
}

// CheckMAC reports in constant time whether mac was made by [Ring.MAC] with a key of
// this ring for the same purpose and parts.
func (r *Ring) CheckMAC(mac, purpose string, parts ...string) bool {
	id, _, _ := strings.Cut(mac, ".")
	key, ok := r.find(id)
	if !ok {
		return false
	}
	want, err := key.mac(purpose, parts)
	return err == nil && hmac.Equal([]byte(want), []byte(mac))
}

func (r *Ring) find(id string) (ringKey, bool) {
	for _, k := range r.keys {
		if k.ID == id {
			return k, true
		}
	}
	return ringKey{}, false
}

func (k ringKey) derive(use, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, k.Key, nil, "sallyport "+use+" "+purpose, keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return key, nil
}

func (k ringKey) aead(purpose string) (cipher.AEAD, error) {
	key, err := k.derive("seal", purpose)
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

func (k ringKey) mac(purpose string, parts []string) (string, error) {
	key, err := k.derive("mac", purpose)
	if err != nil {
		return "", err
	}
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return k.ID + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil
}
