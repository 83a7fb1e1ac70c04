package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// sealPurpose is what the MACs of seals are made for.
const sealPurpose = "audit-seal"

// Keys make and check the MACs of seals: a key ring.
type Keys interface {
	// MAC makes one with the newest key, and names it.
	MAC(purpose string, parts ...string) (string, error)
	CheckMAC(mac, purpose string, parts ...string) bool
	// Holds reports whether the key that a MAC names is there.
	Holds(mac string) bool
}

// A Record is an event as it stands in the store.
type Record struct {
	ID    string // sorts by time
	Event Event
	Seal  Seal // zero until it is sealed
}

// A Seal links a record to the one that was sealed before it. The hashes need no key,
// so that a head stays good whatever happens to the key ring; the MAC is what nobody can
// make who can only write to the database. A MAC that holds vouches for the hash, and
// with it for every record before: after a key was removed from the ring, the seals of
// its successor go on to prove what it sealed.
type Seal struct {
	Seq  int64  // counts the sealed records from 1
	Hash string // SHA-256 of the hash before, Seq and the record
	MAC  string // of Seq and Hash, names its key
}

// Head is the seal in the form that is kept elsewhere, "<seq>.<hash>": whoever has it can
// tell later that nothing up to there was cut off or written anew.
func (s Seal) Head() string { return strconv.FormatInt(s.Seq, 10) + "." + s.Hash }

// ParseHead reads what [Seal.Head] wrote.
func ParseHead(text string) (Seal, error) {
	number, hash, _ := strings.Cut(strings.TrimSpace(text), ".")
	seq, err := strconv.ParseInt(number, 10, 64)
	raw, errHash := hex.DecodeString(hash)
	if err != nil || seq < 1 || errHash != nil || len(raw) != sha256.Size {
		return Seal{}, fmt.Errorf("%q is no head: a number, a dot and %d hexadecimal digits, as `sallyport audit head` prints it", text, 2*sha256.Size)
	}
	return Seal{Seq: seq, Hash: strings.ToLower(hash)}, nil
}

// Next seals a record behind s, the last seal so far.
func (s Seal) Next(keys Keys, r Record) (Seal, error) {
	next := Seal{Seq: s.Seq + 1}
	next.Hash = r.hash(s.Hash, next.Seq)
	return next.Anew(keys)
}

// Anew is the same seal, made with the key that seals now.
func (s Seal) Anew(keys Keys) (Seal, error) {
	var err error
	s.MAC, err = keys.MAC(sealPurpose, s.parts()...)
	return s, err
}

// Authentic reports whether the seal was made with a key of the keys. The zero seal,
// before the first record, is.
func (s Seal) Authentic(keys Keys) bool {
	return s == Seal{} || keys.CheckMAC(s.MAC, sealPurpose, s.parts()...)
}

func (s Seal) parts() []string { return []string{strconv.FormatInt(s.Seq, 10), s.Hash} }

// hash covers all of a record, its place and what is before it. Each part follows its
// length, so that nothing can move from one field to the next.
func (r Record) hash(before string, seq int64) string {
	e := r.Event
	parts := append([]string{
		"v1", before, strconv.FormatInt(seq, 10), r.ID, strconv.FormatInt(e.At.UnixMilli(), 10), string(e.Type),
		strconv.FormatBool(e.Success), e.Reason, e.Subject, e.Client, e.Session, e.Transaction, e.Grant, e.Address,
	}, e.Authenticators...)
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
