package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"reflect"
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

// byProfile names the default of each profile, and what it insists on: "at most `5m`"
// alone where the limit is its default.
func byProfile(w row) string {
	own := w.value(Recommended)
	text := strict.Code(own)
	for i, p := range profiles {
		var parts []string
		h, holds := w.holds[p]
		if holds && h.limit != w.defaults[i] || !holds && w.defaults[i] != own {
			parts = append(parts, strict.Code(w.defaults[i]))
		}
		if holds {
			parts = append(parts, string(h.bound)+" "+strict.Code(h.limit))
		}
		if len(parts) > 0 {
			text += fmt.Sprintf("; %s: %s", p, strings.Join(parts, ", "))
		}
	}
	return text
}
