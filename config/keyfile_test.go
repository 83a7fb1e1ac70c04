package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/config"
)

func TestKeyFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "sallyport.yaml")
	empty := func(string) (string, bool) { return "", false }
	for name, tt := range map[string]struct{ text, want, problem string }{
		"beside the file":        {"secrets: {key_file: keys.json}", filepath.Join(folder, "keys.json"), ""},
		"whatever else is wrong": {"listen: 1\nwrong: 2\nsecrets: {key_file: /x/keys.json}", "/x/keys.json", ""},
		"missing":                {"listen: 127.0.0.1:1", "", "secrets.key_file: is missing"},
		"a variable unset":       {"secrets:\n  key_file: ${NOWHERE}", "", "NOWHERE is not set"},
		"no YAML":                {"{", "", "is not YAML"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.KeyFile(path, empty)
		if got != tt.want || (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := config.KeyFile(filepath.Join(folder, "none.yaml"), empty); err == nil {
		t.Error("a file that is not there has a key file")
	}
}
