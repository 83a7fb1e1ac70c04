package identity_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

var salt = []byte("sixteen bytes ok")

func b64(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

func phcArgon2(kind string, key []byte) string {
	return fmt.Sprintf("$%s$v=19$m=64,t=2,p=2$%s$%s", kind, b64(salt), b64(key))
}

func bcryptHash(t *testing.T, version, password string) string {
	t.Helper()
	made, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(made), "$2a$", "$"+version+"$", 1)
}

func pbkdf2Key(t *testing.T, h func() hash.Hash, password string, size int) string {
	t.Helper()
	key, err := pbkdf2.Key(h, password, salt, 1000, size)
	if err != nil {
		t.Fatal(err)
	}
	return b64(key)
}

// stored are hashes that other programs made, by name: the password first.
func stored(t *testing.T) map[string][2]string {
	const pw = "hunter2, but longer"
	return map[string][2]string{
		// Published vectors: the argon2 reference program, passlib's tests.
		"argon2id reference":  {"password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
		"argon2i reference":   {"password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"},
		"passlib sha256":      {"password", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"},
		"passlib sha512":      {"password", "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww"},
		"passlib documented":  {"toomanysecrets", "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk"},
		"django":              {"lètmein", "pbkdf2_sha256$1200$seasalt$KmtzjE7Y1gkaoDA3398+Z8C6WAH1qIwq4YKMLnMvlx8="},
		"bcrypt of a fixture": {"bob's imported password", "$2a$10$ka955fo8ckIHxqOl4R5C..kjPozs62lvZvWkSndj0WIgl73vBZszS"},
		// Made here.
		"argon2id":         {pw, phcArgon2("argon2id", argon2.IDKey([]byte(pw), salt, 2, 64, 2, 24))},
		"argon2i":          {pw, phcArgon2("argon2i", argon2.Key([]byte(pw), salt, 2, 64, 2, 32))},
		"bcrypt 2a":        {pw, bcryptHash(t, "2a", pw)},
		"bcrypt 2b":        {pw, bcryptHash(t, "2b", pw)},
		"bcrypt 2y":        {pw, bcryptHash(t, "2y", pw)},
		"bcrypt, 72 bytes": {strings.Repeat("é", 36), bcryptHash(t, "2b", strings.Repeat("é", 36))},
		"PHC sha256":       {pw, "$pbkdf2-sha256$i=1000,l=32$" + b64(salt) + "$" + pbkdf2Key(t, sha256.New, pw, 32)},
		"PHC, no length":   {pw, "$pbkdf2-sha256$i=1000$" + b64(salt) + "$" + pbkdf2Key(t, sha256.New, pw, 32)},
		"PHC sha512":       {pw, "$pbkdf2-sha512$i=1000,l=64$" + b64(salt) + "$" + pbkdf2Key(t, sha512.New, pw, 64)},
		"PHC, padded":      {pw, "$pbkdf2-sha256$i=1000,l=32$" + b64(salt) + "==$" + pbkdf2Key(t, sha256.New, pw, 32) + "="},
	}
}

func TestImportedHashes(t *testing.T) {
	for name, c := range stored(t) {
		password, hash := c[0], c[1]
		t.Run(name, func(t *testing.T) {
			if !identity.Known(hash) {
				t.Fatal("the form is not known")
			}
			h := newHouse(t)
			h.add("bob", hash)
			if kind, _ := h.login(t, "bob", password+"!"); kind != fault.WrongPassword {
				t.Errorf("wrong password: %q", kind)
			}
			if h.store.replaced != 0 {
				t.Error("a wrong password replaced the hash")
			}
			// The second login goes by the hash that the first one put in place.
			for range 2 {
				if kind, _ := h.login(t, "bob", password); kind != "" {
					t.Errorf("right password: %q", kind)
				}
			}
			if kind, _ := h.login(t, "bob", password+"!"); kind != fault.WrongPassword {
				t.Errorf("wrong password after the upgrade: %q", kind)
			}
			if h.store.replaced != 1 || !strings.HasPrefix(h.store.hash("bob"), "$argon2id$v=19$m=8,t=1,p=1$") {
				t.Errorf("replaced %d times, want once, by an argon2id hash", h.store.replaced)
			}
		})
	}
}

func TestRefusedHashes(t *testing.T) {
	const s, k = "c2l4dGVlbiBieXRlcyBvaw", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	salt53 := strings.Repeat("a", 53)
	for _, hash := range []string{ // what the refused ones below were before they were spoiled
		"$argon2id$v=19$m=64,t=1,p=1$" + s + "$" + k, "$argon2id$v=19$m=1048576,t=4,p=16$" + s + "$" + k,
		"$2a$04$" + salt53, "$2a$16$" + salt53, "$pbkdf2-sha256$10000000$" + s + "$" + k,
		"$pbkdf2-sha256$5000000$" + s + "$" + k + strings.Repeat("A", 21), "pbkdf2_sha256$1000$salt$" + k + "=",
	} {
		if !identity.Known(hash) {
			t.Errorf("%q is not known", hash)
		}
	}
	for _, hash := range []string{
		"", "$", "$$$$", "plain", "{SSHA}abc", "5f4dcc3b5aa765d61d8327deb882cf99",
		"$argon2d$v=19$m=64,t=1,p=1$" + s + "$" + k,
		"$argon2id$v=16$m=64,t=1,p=1$" + s + "$" + k,
		"$argon2id$m=64,t=1,p=1$" + s + "$" + k,
		"$argon2id$v=19$t=1,m=64,p=1$" + s + "$" + k,
		"$argon2id$v=19$m=64,t=0,p=1$" + s + "$" + k,
		"$argon2id$v=19$m=64,t=1,p=0$" + s + "$" + k,
		"$argon2id$v=19$m=64,t=1,p=256$" + s + "$" + k,
		"$argon2id$v=19$m=64,t=1,p=17$" + s + "$" + k,
		"$argon2id$v=19$m=7,t=1,p=1$" + s + "$" + k,
		"$argon2id$v=19$m=1048577,t=1,p=1$" + s + "$" + k,    // over 1 GiB
		"$argon2id$v=19$m=1048576,t=5,p=1$" + s + "$" + k,    // too many passes over it
		"$argon2id$v=19$m=4294967360,t=1,p=1$" + s + "$" + k, // 64 in 32 bits
		"$argon2id$v=19$m=-64,t=1,p=1$" + s + "$" + k,
		"$argon2id$v=19$m=64,t=1,p=1$" + s + "$",
		"$argon2id$v=19$m=64,t=1,p=1$" + s + "$AAAA",
		"$argon2id$v=19$m=64,t=1,p=1$$" + k,
		"$argon2id$v=19$m=64,t=1,p=1$" + s + "$" + strings.Repeat("A", 600),
		"$argon2id$v=19$m=64,t=1,p=1$" + s + "$" + k + "$",
		"$argon2id$v=19$m=64,t=1,p=1,keyid=Zm9v$" + s + "$" + k,
		"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 2000) + "$" + k,
		"$2x$10$" + salt53, "$2$10$" + salt53, "$2a$03$" + salt53, "$2a$17$" + salt53,
		"$2a$31$" + salt53, "$2a$1$" + salt53 + "a", "$2a$10$" + salt53[1:] + "!", "$2a$10$" + salt53 + "a",
		"$pbkdf2$1000$" + s + "$" + k, "$pbkdf2-md5$1000$" + s + "$" + k,
		"$pbkdf2-sha256$0$" + s + "$" + k, "$pbkdf2-sha256$i=1000,l=64$" + s + "$" + k,
		"$pbkdf2-sha256$10000001$" + s + "$" + k, "$pbkdf2-sha256$i=1000,l=32,x=1$" + s + "$" + k,
		"$pbkdf2-sha256$6000000$" + s + "$" + k + strings.Repeat("A", 21), // two blocks each
		"pbkdf2_sha1$1000$salt$" + k + "=", "pbkdf2_sha256$1000$$" + k + "=", "pbkdf2_sha256$1000$salt$AAAA",
		"pbkdf2_sha256$10000001$salt$" + k + "=",
	} {
		if identity.Known(hash) {
			t.Errorf("%q is taken for a hash", hash)
		}
	}
}

// A program that cut passwords made this hash of the first 72 bytes; taking it would
// let in every password that begins with them (N-PW-2).
func TestBcryptNeverTakesMoreThan72Bytes(t *testing.T) {
	h := newHouse(t)
	first := strings.Repeat("x", 72)
	h.add("bob", bcryptHash(t, "2b", first))
	if kind, runs := h.login(t, "bob", first+"tail"); kind != fault.WrongPassword || runs != 2 {
		t.Errorf("a longer password: %q after %d hashings", kind, runs)
	}
	if kind, _ := h.login(t, "bob", first); kind != "" {
		t.Errorf("the password itself: %q", kind)
	}
}

// Bcrypt repeats a password and its closing NUL: to it these two are the same.
func TestBcryptCannotBeFooledByNUL(t *testing.T) {
	h := newHouse(t)
	made := bcryptHash(t, "2b", "abc")
	if bcrypt.CompareHashAndPassword([]byte(made), []byte("abc\x00abc")) != nil {
		t.Fatal("the trap that this test is about is gone")
	}
	h.add("bob", made)
	if kind, _ := h.login(t, "bob", "abc\x00abc"); kind != fault.WrongPassword {
		t.Errorf("a password with NUL: %q", kind)
	}
}

func TestHashIsSaltedArgon2id(t *testing.T) {
	p, err := identity.NewPasswords(identity.Options{Users: &people{}})
	if err != nil {
		t.Fatal(err)
	}
	a, err1 := p.Hash(t.Context(), secret.New("the same password"))
	b, err2 := p.Hash(t.Context(), secret.New("the same password"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	const prefix = "$argon2id$v=19$m=19456,t=2,p=1$"
	if !strings.HasPrefix(a, prefix) || len(a) != len(prefix)+22+1+43 {
		t.Errorf("a default hash does not look like %s + 16 bytes + 32 bytes", prefix)
	}
	if a == b || a[:len(prefix)+22] == b[:len(prefix)+22] {
		t.Error("two hashes share their salt")
	}
	if !identity.Known(a) {
		t.Error("our own form is not known")
	}
}

func TestHashRefusesWhatCannotLogIn(t *testing.T) {
	h := newHouse(t)
	for _, password := range []string{"", "with\x00NUL", strings.Repeat("x", 16*1024+1)} {
		if _, err := h.Hash(t.Context(), secret.New(password)); fault.Of(err) != fault.BadPassword {
			t.Errorf("%d bytes: %v", len(password), err)
		}
	}
}

func TestParamsAreBounded(t *testing.T) {
	for _, p := range []identity.Params{
		{Memory: 19456, Time: 2}, {Memory: 19456, Threads: 1}, {Time: 2, Threads: 1},
		{Memory: 15, Time: 1, Threads: 2}, {Memory: 1<<20 + 1, Time: 1, Threads: 1},
		{Memory: 1 << 20, Time: 5, Threads: 1}, {Memory: 19456, Time: 2, Threads: 17},
	} {
		if _, err := identity.NewPasswords(identity.Options{Users: &people{}, Params: p}); err == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if err := identity.DefaultParams().Check(); err != nil {
		t.Error(err)
	}
}

// argonOf is the salt and key of a hash at the cost of cheap.
func argonOf(password string, salt []byte, size uint32) string {
	key := argon2.IDKey([]byte(password), salt, cheap.Time, cheap.Memory, cheap.Threads, size)
	return b64(salt) + "$" + b64(key)
}
