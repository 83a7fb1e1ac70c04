package identity_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	composed   = "caf\u00e9 au lait, s'il vous pla\u00eet"
	decomposed = "cafe\u0301 au lait, s'il vous plai\u0302t"
)

func TestLogin(t *testing.T) {
	h := newHouse(t)
	h.enroll(t, "alice", "a fine long password")
	for _, connection := range []string{"", identity.DefaultConnection} {
		got, err := h.Verify(t.Context(), identity.Credentials{
			Connection: connection, Username: " ALICE ", Password: secret.New("a fine long password"),
		})
		if err != nil {
			t.Fatal(err)
		}
		want := time.Date(2026, 3, 1, 11, 0, 0, 123_000_000, time.UTC)
		if got.User.ID != "id|alice" || !slices.Equal(got.Methods, []string{"pwd"}) || got.At != want {
			t.Errorf("identity = %+v", got)
		}
	}
	if h.store.replaced != 0 {
		t.Error("a hash of the right form was replaced")
	}
	_, err := h.Verify(t.Context(), identity.Credentials{
		Connection: "elsewhere", Username: "alice", Password: secret.New("a fine long password"),
	})
	if fault.Of(err) != fault.BadRequest {
		t.Errorf("another connection: %v", err)
	}
}

// Whoever counts hashings, and so whoever measures time, cannot tell why a login failed (R24).
func TestR24EveryFailureCostsTheSame(t *testing.T) {
	h := newHouse(t)
	h.enroll(t, "alice", "a fine long password")
	h.add("federated", "")
	h.add("damaged", "$argon2id$v=19$m=8,t=1,p=1$garbage")
	h.enroll(t, "blocked", "a fine long password")
	h.store.rows["blocked"].user.Blocked = true
	passwords := map[string]uint64{
		"wrong":                           1,
		composed:                          1,
		decomposed:                        2, // as typed, then NFKC
		"\uff41\uff42\uff43":              2,
		"":                                1,
		"nul\x00":                         1,
		strings.Repeat("x", 1<<20):        1,
		strings.Repeat("e\u0301", 10_000): 1, // too long, so not tried in two forms
	}
	for password, want := range passwords {
		for _, name := range []string{"alice", "nobody", "federated", "damaged", "blocked", "", "zero\u200bwidth"} {
			if kind, runs := h.login(t, name, password); kind != fault.WrongPassword || runs != want {
				t.Errorf("%q with %.20q: %q after %d hashings, want %q after %d",
					name, password, kind, runs, fault.WrongPassword, want)
			}
		}
	}
	if kind, runs := h.login(t, "alice", "a fine long password"); kind != "" || runs != 1 {
		t.Errorf("success: %q after %d hashings", kind, runs)
	}
}

// While there are imported hashes every refusal pays for one of each cost, so that the
// time tells neither who was imported nor who is nobody (R24).
func TestImportedHashesCostEverybodyTheSame(t *testing.T) {
	h := newHouse(t)
	h.enroll(t, "alice", "a fine long password")
	imported, err := bcrypt.GenerateFromPassword([]byte("another fine password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h.add("bob", string(imported))
	h.add("eve", "pbkdf2_sha256$1000$c2FsdHNhbHQ$"+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	for password, forms := range map[string]uint64{"wrong": 1, decomposed: 2, "": 1} {
		for _, name := range []string{"alice", "bob", "eve", "nobody", "zero\u200bwidth"} {
			if kind, runs := h.login(t, name, password); kind != fault.WrongPassword || runs != 3*forms {
				t.Errorf("%q with %q: %q after %d hashings, want %d", name, password, kind, runs, 3*forms)
			}
		}
	}
	if kind, runs := h.login(t, "alice", "a fine long password"); kind != "" || runs != 1 {
		t.Errorf("success: %q after %d hashings", kind, runs)
	}
	// Once nobody has a hash of that kind any more, nobody pays for it.
	if kind, _ := h.login(t, "bob", "another fine password"); kind != "" {
		t.Fatal(kind)
	}
	*h.later = time.Minute
	if _, runs := h.login(t, "nobody", "wrong"); runs != 2 {
		t.Errorf("%d hashings after the upgrade, want 2", runs)
	}
}

func TestEmptyPasswordNeverMatches(t *testing.T) {
	h := newHouse(t)
	h.add("bob", bcryptHash(t, "2b", ""))
	for _, password := range []string{"", "\x00", strings.Repeat("x", 1<<20)} {
		if kind, _ := h.login(t, "bob", password); kind != fault.WrongPassword {
			t.Errorf("%.5q: %q", password, kind)
		}
	}
}

func TestBlockedOnlyAfterTheRightPassword(t *testing.T) {
	h := newHouse(t)
	h.add("bob", bcryptHash(t, "2b", "bob's old password"))
	h.store.rows["bob"].user.Blocked = true
	if kind, _ := h.login(t, "bob", "wrong"); kind != fault.WrongPassword {
		t.Errorf("wrong password: %q", kind)
	}
	if kind, _ := h.login(t, "bob", "bob's old password"); kind != fault.UserBlocked {
		t.Errorf("right password: %q", kind)
	}
	if h.store.replaced != 0 {
		t.Error("a login that was refused replaced the hash")
	}
}

func TestPasswordsAreComparedInNFKC(t *testing.T) {
	h := newHouse(t)
	for _, chosen := range []string{composed, decomposed} {
		h.enroll(t, "alice", chosen)
		for _, typed := range []string{composed, decomposed} {
			if kind, _ := h.login(t, "alice", typed); kind != "" {
				t.Errorf("chosen %+q, typed %+q: %q", chosen, typed, kind)
			}
		}
	}
	if h.store.replaced != 0 {
		t.Error("a hash of NFKC was replaced")
	}
	h.enroll(t, "alice", "p\u0430ssword in Cyrillic") // the second letter is U+0430
	if kind, _ := h.login(t, "alice", "password in Cyrillic"); kind != fault.WrongPassword {
		t.Errorf("a look-alike letter: %q", kind)
	}
	if kind, _ := h.login(t, "alice", "P\u0430ssword in Cyrillic"); kind != fault.WrongPassword {
		t.Errorf("another case: %q", kind)
	}
	if kind, _ := h.login(t, "alice", "p\u0430ssword in Cyrillic "); kind != fault.WrongPassword {
		t.Errorf("a trailing space: %q", kind)
	}
}

// A hash that was imported of decomposed text answers to nothing else, until its
// owner has logged in once, also when its form and cost are already ours.
func TestImportedHashOfDecomposedText(t *testing.T) {
	const prefix = "$argon2id$v=19$m=8,t=1,p=1$"
	for name, hash := range map[string]string{
		"bcrypt":        bcryptHash(t, "2b", decomposed),
		"our own shape": prefix + argonOf(decomposed, salt, 32),
	} {
		h := newHouse(t)
		h.add("bob", hash)
		if kind, _ := h.login(t, "bob", composed); kind != fault.WrongPassword {
			t.Errorf("%s: composed before the upgrade: %q", name, kind)
		}
		for _, typed := range []string{decomposed, composed, decomposed} {
			if kind, _ := h.login(t, "bob", typed); kind != "" {
				t.Errorf("%s: %+q: %q", name, typed, kind)
			}
		}
		if h.store.replaced != 1 {
			t.Errorf("%s: replaced %d times", name, h.store.replaced)
		}
	}
}

func TestLongPasswordsAreNotCut(t *testing.T) {
	h := newHouse(t)
	first := strings.Repeat("x", 72)
	h.enroll(t, "alice", first+"one")
	if kind, _ := h.login(t, "alice", first+"two"); kind != fault.WrongPassword {
		t.Errorf("the same first 72 bytes: %q", kind)
	}
	for _, n := range []int{64, 128, 1024} {
		password := strings.Repeat("\U0001f6e1", n)
		h.enroll(t, "alice", password)
		if kind, _ := h.login(t, "alice", password); kind != "" {
			t.Errorf("%d code points: %q", n, kind)
		}
		if kind, _ := h.login(t, "alice", password+"x"); kind != fault.WrongPassword {
			t.Errorf("%d code points and one: %q", n, kind)
		}
	}
}

func TestChangedCostRehashesOnce(t *testing.T) {
	h := newHouse(t)
	h.enroll(t, "alice", "a fine long password")
	old := h.store.hash("alice")
	dearer, err := identity.NewPasswords(identity.Options{
		Users: h.store, Gate: h.gate, Params: identity.Params{Memory: 32, Time: 2, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Passwords = dearer
	for range 3 {
		if kind, _ := h.login(t, "alice", "a fine long password"); kind != "" {
			t.Errorf("login: %q", kind)
		}
	}
	if got := h.store.hash("alice"); got == old || !strings.Contains(got, "$m=32,t=2,p=1$") || h.store.replaced != 1 {
		t.Errorf("replaced %d times", h.store.replaced)
	}
}

// An imported argon2id hash of our cost may still have too short a salt or key.
func TestShortSaltOrKeyIsReplaced(t *testing.T) {
	const prefix = "$argon2id$v=19$m=8,t=1,p=1$"
	for name, rest := range map[string]string{
		"salt": argonOf("a fine long password", salt[:8], 32),
		"key":  argonOf("a fine long password", salt, 16),
	} {
		h := newHouse(t)
		h.add("bob", prefix+rest)
		for range 2 {
			if kind, _ := h.login(t, "bob", "a fine long password"); kind != "" {
				t.Errorf("%s: %q", name, kind)
			}
		}
		if h.store.replaced != 1 {
			t.Errorf("short %s: replaced %d times", name, h.store.replaced)
		}
	}
}

func TestLoginSurvivesAFailedUpgrade(t *testing.T) {
	h := newHouse(t)
	hash := bcryptHash(t, "2b", "bob's old password")
	h.add("bob", hash)
	h.store.readOnly = errors.New("read-only transaction")
	var log bytes.Buffer
	var err error
	h.Passwords, err = identity.NewPasswords(identity.Options{
		Users: h.store, Gate: h.gate, Params: cheap, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if kind, _ := h.login(t, "bob", "bob's old password"); kind != "" {
		t.Errorf("login: %q", kind)
	}
	if !strings.Contains(log.String(), "read-only transaction") || !strings.Contains(log.String(), "id|bob") {
		t.Errorf("the log does not tell: %s", &log)
	}
	h.add("carol", "$unheard-of$"+hash)
	if kind, _ := h.login(t, "carol", "bob's old password"); kind != fault.WrongPassword {
		t.Errorf("an unknown form of hash: %q", kind)
	}
	if !strings.Contains(log.String(), "id|carol") {
		t.Errorf("the log does not tell of carol: %s", &log)
	}
	for _, word := range []string{hash, "old password"} {
		if strings.Contains(log.String(), word) {
			t.Error("the log shows a secret")
		}
	}
}

func TestBrokenStoreIsNotAWrongPassword(t *testing.T) {
	h := newHouse(t)
	for _, down := range []error{errors.New("connection refused"), context.DeadlineExceeded} {
		h.store.down = down
		kind, _ := h.login(t, "alice", "password")
		if kind != fault.Unavailable {
			t.Errorf("%v: %q", down, kind)
		}
	}
}
