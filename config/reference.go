package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/config/strict"
)

//go:embed reference.md
var preface string

// Reference writes docs/configuration.md: every setting of the configuration file and
// of a tenant file, as the structs behind them say it.
func Reference(w io.Writer) error {
	defaults := map[string]string{}
	for _, r := range table {
		defaults[r.path] = byProfile(r)
	}
	var out bytes.Buffer
	before, after, _ := strings.Cut(preface, "<!-- tenant -->\n")
	out.WriteString(before)
	strict.Describe(&out, reflect.TypeFor[Config](), "", defaults)
	out.WriteString(after)
	strict.Describe(&out, reflect.TypeFor[Tenant](), "", nil)
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}

// byProfile names the default of each profile, and who insists on it.
func byProfile(w row) string {
	own := w.value(Recommended)
	text := strict.Code(own)
	for i, p := range profiles {
		value := ""
		if w.defaults[i] != own {
			value = strict.Code(w.defaults[i])
		}
		if slices.Contains(w.by, p) {
			value = strings.TrimSpace(string(w.bound) + " " + strict.Code(w.defaults[i]))
		}
		if value != "" {
			text += fmt.Sprintf("; %s: %s", p, value)
		}
	}
	return text
}
