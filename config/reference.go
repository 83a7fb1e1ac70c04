package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

//go:embed reference.md
var preface string

// Reference writes docs/configuration.md: every setting of the configuration file and
// of a tenant file, as the structs behind them say it.
func Reference(w io.Writer) error {
	var out bytes.Buffer
	before, after, _ := strings.Cut(preface, "<!-- tenant -->\n")
	out.WriteString(before)
	referTo(&out, reflect.TypeFor[Config](), "")
	out.WriteString(after)
	referTo(&out, reflect.TypeFor[Tenant](), "")
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}

// referTo writes the settings of a section, then the sections in it.
func referTo(out *bytes.Buffer, t reflect.Type, path string) {
	table, nested := &bytes.Buffer{}, &bytes.Buffer{}
	for _, f := range fields(t) {
		at := join(path, f.key)
		inner, section := f.section()
		if element, list := f.element(); list {
			inner, section, at = element, true, at+"[]"
		}
		if !section {
			fmt.Fprintf(table, "| `%s` | %s | %s | %s |\n", f.key, typeOf(f), defaultOf(f, at), cell(describe(f)))
			continue
		}
		fmt.Fprintf(nested, "\n### `%s`\n\n%s\n", at, f.Tag.Get("doc"))
		referTo(nested, inner, at)
	}
	if table.Len() > 0 {
		out.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
		out.Write(table.Bytes())
	}
	out.Write(nested.Bytes())
}

func describe(f field) string {
	text := f.Tag.Get("doc")
	if choices := f.choices(); choices != nil {
		text += " One of " + code(choices...) + "."
		if f.Type.Kind() == reflect.Slice {
			text = strings.Replace(text, "One of", "Any of", 1)
		}
	}
	if f.Tag.Get("file") != "" {
		text += " The file must exist; its path is relative to this file."
	}
	if f.Type == secretType {
		text += " Or `" + f.key + "_file`: a file that holds it."
	}
	if example := f.Tag.Get("example"); example != "" {
		text += " Example: `" + f.key + ": " + example + "`."
	}
	return text
}

func typeOf(f field) string {
	switch t := f.Type; {
	case t == durationType:
		return "duration"
	case t == secretType:
		return "secret"
	case t.Kind() == reflect.Bool:
		return "on/off"
	case t.Kind() == reflect.Map:
		return "map of lists"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.String && f.Tag.Get("file") != "":
		return "file"
	case t.Kind() == reflect.String:
		return "text"
	default:
		return "number"
	}
}

// defaultOf names the default; where profiles differ, that of each and who insists.
func defaultOf(f field, path string) string {
	i := slices.IndexFunc(table, func(w row) bool { return w.path == path })
	switch {
	case i >= 0:
		return byProfile(table[i])
	case f.Tag.Get("required") != "":
		return "required"
	case f.Tag.Get("default") != "":
		return code(f.Tag.Get("default"))
	default:
		return "none"
	}
}

func byProfile(w row) string {
	own := w.value(Recommended)
	text := code(own)
	for i, p := range profiles {
		value := ""
		if w.defaults[i] != own {
			value = code(w.defaults[i])
		}
		if slices.Contains(w.by, p) {
			value = strings.TrimSpace(string(w.bound) + " " + code(w.defaults[i]))
		}
		if value != "" {
			text += fmt.Sprintf("; %s: %s", p, value)
		}
	}
	return text
}

func code(words ...string) string { return "`" + strings.Join(words, "`, `") + "`" }

// cell makes a text fit into a table of Markdown.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
