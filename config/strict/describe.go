package strict

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// Describe writes a table of Markdown with the settings of a section, then the sections
// in it. Where table has a path, that is what it says of the default.
func Describe(out *bytes.Buffer, t reflect.Type, path string, table map[string]string) {
	rows, nested := &bytes.Buffer{}, &bytes.Buffer{}
	for _, f := range Fields(t) {
		at := Join(path, f.Key)
		inner, section := f.Section()
		if element, list := f.Element(); list {
			inner, section, at = element, true, at+"[]"
		}
		if !section {
			fmt.Fprintf(rows, "| `%s` | %s | %s | %s |\n", f.Key, typeOf(f), defaultOf(f, table[at]), cell(describe(f)))
			continue
		}
		fmt.Fprintf(nested, "\n### `%s`\n\n%s\n", at, f.Tag.Get("doc"))
		Describe(nested, inner, at, table)
	}
	if rows.Len() > 0 {
		out.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
		out.Write(rows.Bytes())
	}
	out.Write(nested.Bytes())
}

func describe(f Field) string {
	text := f.Tag.Get("doc")
	if choices := f.Choices(); choices != nil {
		text += " One of " + Code(choices...) + "."
		if f.Type.Kind() == reflect.Slice {
			text = strings.Replace(text, "One of", "Any of", 1)
		}
	}
	switch f.Tag.Get("file") {
	case "":
	case "folder":
		text += " The folder must exist; its path is relative to this file."
	default:
		text += " The file must exist; its path is relative to this file."
	}
	if f.Tag.Get("content") != "" {
		text += " Its path is relative to this file."
	}
	if f.Type == secretType {
		text += " Or `" + f.Key + "_file`: a file that holds it."
	}
	if example := f.Tag.Get("example"); example != "" {
		text += " Example: `" + f.Key + ": " + example + "`."
	}
	return text
}

func typeOf(f Field) string {
	switch t := f.Type; {
	case t == durationType:
		return "duration"
	case t == secretType:
		return "secret"
	case t.Kind() == reflect.Bool:
		return "on/off"
	case t.Kind() == reflect.Map:
		return "map of " + entries(t)
	case t.Kind() == reflect.Slice:
		return "list"
	case f.Tag.Get("file") == "folder":
		return "folder"
	case t.Kind() == reflect.String && f.Tag.Get("file")+f.Tag.Get("content") != "":
		return "file"
	case t.Kind() == reflect.String:
		return "text"
	default:
		return "number"
	}
}

// defaultOf names the default of a setting.
func defaultOf(f Field, known string) string {
	switch {
	case known != "":
		return known
	case f.Tag.Get("required") != "":
		return "required"
	case f.Tag.Get("default") != "":
		return Code(f.Tag.Get("default"))
	default:
		return "none"
	}
}

// Code marks words as code.
func Code(words ...string) string { return "`" + strings.Join(words, "`, `") + "`" }

// cell makes a text fit into a table of Markdown.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
