package identity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Whatever an import brings, parsing must not panic, and what is accepted and cheap
// must be computable and not match by accident.
func FuzzParseHash(f *testing.F) {
	for _, seed := range []string{
		"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2i$v=19$m=16,t=1,p=2$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
		"$2a$04$ka955fo8ckIHxqOl4R5C..kjPozs62lvZvWkSndj0WIgl73vBZszS",
		"$pbkdf2-sha256$12$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
		"$pbkdf2-sha512$i=12,l=32$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
		"pbkdf2_sha256$12$seasalt$KmtzjE7Y1gkaoDA3398+Z8C6WAH1qIwq4YKMLnMvlx8=",
		"", "$", "$$", "$2a$", "a$b$c$d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		d, err := parseHash(hash)
		if err != nil {
			if len(hash) > 8 && strings.Contains(err.Error(), hash) {
				t.Error("the error shows the hash")
			}
			return
		}
		if len(hash) > maxHashText {
			t.Errorf("%d bytes are accepted", len(hash))
		}
		if d.params.Check() != nil && d.params != (Params{}) {
			t.Errorf("parameters out of bounds: %+v", d.params)
		}
		// Only small numbers make a hash that is cheap enough to compute here.
		if hasLongNumber(hash) {
			return
		}
		if ok, err := d.matches("no such password"); ok || err != nil {
			t.Errorf("matches = %v, %v", ok, err)
		}
	})
}

// hasLongNumber reports whether a cost in the hash has more than two digits, or is a
// bcrypt cost above 4.
func hasLongNumber(hash string) bool {
	fields := strings.Split(hash, "$")
	if fields[0] == "" && len(fields) > 2 && len(fields[1]) == 2 {
		return fields[2] != "04"
	}
	for _, cost := range fields[:len(fields)-2] {
		for _, n := range strings.FieldsFunc(cost, func(r rune) bool { return r < '0' || r > '9' }) {
			if len(n) > 2 && n != "256" && n != "512" {
				return true
			}
		}
	}
	return false
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"Alice", " alice ", "É\u0301", "ﷺ", "\u0345\u0301α", "İ", "ß", "¨x", "\u1e9e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		form, ok := Normalize(s)
		if !ok {
			if form != "" {
				t.Errorf("refused, but %q", form)
			}
			return
		}
		if again, ok := Normalize(form); !ok || again != form {
			t.Errorf("%q becomes %q, then %q (%v)", s, form, again, ok)
		}
	})
}

// FuzzPolicy: a password that policy lets pass is long enough, can be hashed, and is on no
// list; what is refused is refused with a reason.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{"", "password", "correct horse battery staple", "\x00", "\xff", "aaaaaaaaaaaaaaaa", strings.Repeat("é", 64), "ＰＡＳＳＷＯＲＤ１２３４５６７"} {
		f.Add(seed, "alice", 8)
	}
	f.Fuzz(func(t *testing.T, password, name string, length int) {
		p := Policy{MinLength: length}
		switch err := p.Check(secret.New(password), name); {
		case err == nil && (utf8.RuneCountInString(password) < MinLengthWithFactor || strings.ContainsRune(password, 0)):
			t.Fatalf("%q passes", password)
		case err != nil && fault.Of(err) != fault.BadPassword:
			t.Fatalf("%q: %v", password, err)
		}
	})
}
