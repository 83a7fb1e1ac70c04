package redis

import (
	"testing"
)

// FuzzTransaction: a value is read as what was written under its id, or not at all.
func FuzzTransaction(f *testing.F) {
	for _, seed := range []string{`{"v":1,"transaction":{"ID":"a"}}`, `{"v":1,"transaction":{"ID":"b"}}`, `{"v":2,"transaction":{"ID":"a"}}`,
		`{"v":1,"transaction":null}`, `{"v":1,"v":2}`, "{}", "", "null", `{"v":1,"transaction":{"ID":"a","ExpiresAt":"2026-03-04T12:00:00Z"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := readTransaction(text, "a")
		if err == nil && read.ID != "a" || err != nil && read.ID != "" {
			t.Fatalf("%s is read as %+v, %v", text, read, err)
		}
	})
}

// FuzzChallenge: as with transactions.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{`{"v":1,"challenge":{"id":"a","answered":true}}`, `{"v":1,"challenge":{"id":"b"}}`, `{"v":2,"challenge":{"id":"a"}}`,
		`{"v":1,"challenge":null}`, "{}", "", "null", `{"v":1,"challenge":{"id":"a","expires_at":"2026-03-04T12:00:00Z","scopes":[1]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := readChallenge(text, "a")
		if err == nil && read.ID != "a" || err != nil && read.ID != "" {
			t.Fatalf("%s is read as %+v, %v", text, read, err)
		}
	})
}

// FuzzTicket: as with transactions.
func FuzzTicket(f *testing.F) {
	for _, seed := range []string{`{"v":1,"ticket":{"hash":"a","challenge":"c"}}`, `{"v":1,"ticket":{"hash":"b"}}`, `{"v":2,"ticket":{"hash":"a"}}`,
		`{"v":1,"ticket":null}`, "{}", "", "null", `{"v":1,"ticket":{"hash":"a","expires_at":"soon"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := readTicket(text, "a")
		if err == nil && read.Hash != "a" || err != nil && read.Hash != "" {
			t.Fatalf("%s is read as %+v, %v", text, read, err)
		}
	})
}
