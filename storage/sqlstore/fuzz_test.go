package sqlstore

import (
	"slices"
	"testing"
)

// FuzzList: a column of words that can be read is written again as the same words.
func FuzzList(f *testing.F) {
	for _, seed := range []string{"[]", `["a","b"]`, "null", `[1]`, `["\ud800"]`, `[["a"]]`, "", "[", `["a"]x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var read, again list
		if read.Scan(text) != nil {
			return
		}
		written, err := read.Value()
		if err != nil || again.Scan(written) != nil || !slices.Equal(read, again) {
			t.Fatalf("%q is read as %q, then as %q (%v)", text, read, again, err)
		}
	})
}
