package secret_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/pkg/secret"
)

// FuzzLoadRing: a file is a ring whose keys seal and open, or it is refused.
func FuzzLoadRing(f *testing.F) {
	const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, seed := range []string{`{"keys":[{"id":"a","key":"` + key + `"}]}`, `{"keys":[{"id":"a","key":"AA=="}]}`, `{"keys":[]}`, "{}", "", "null",
		`{"keys":[{"id":"a.b","key":"` + key + `"}]}`, `{"keys":[{"id":"a","key":"` + key + `"},{"id":"a","key":"` + key + `"}]}`} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "ring.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := secret.LoadRing(file)
		if err != nil {
			return
		}
		sealed, err := r.Seal("seed", "row", secret.New("x"))
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := r.Open("seed", "row", sealed); err != nil || opened.Reveal() != "x" {
			t.Fatalf("sealed with %s, and %v", text, err)
		}
	})
}
