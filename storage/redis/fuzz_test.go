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
