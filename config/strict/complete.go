package strict

import (
	"fmt"
	"reflect"
)

// Complete gives every setting that the file leaves open its default: what the table
// has for its path, else what its tag says. Then it reports what is missing still.
func (r *File) Complete(into any, table map[string]string) {
	walk(reflect.ValueOf(into).Elem(), "", func(f Field, v reflect.Value, path string) {
		r.settle(f, v, path, table)
		if f.Tag.Get("required") != "" && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0) {
			r.Object(path, r.absence(f, path))
		}
	})
}

// walk visits every setting of a section and of the sections in it; those that are
// absent have none.
func walk(section reflect.Value, path string, visit func(Field, reflect.Value, string)) {
	for _, f := range Fields(section.Type()) {
		at, v := Join(path, f.Key), f.In(section)
		_, nested := f.Section()
		_, list := f.Element()
		switch {
		case nested && v.Kind() == reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), at, visit)
			}
		case nested:
			walk(v, at, visit)
		case list:
			for i := range v.Len() {
				walk(v.Index(i), fmt.Sprintf("%s[%d]", at, i), visit)
			}
		default:
			visit(f, v, at)
		}
	}
}

func (r *File) settle(f Field, v reflect.Value, path string, table map[string]string) {
	if _, stands := r.lines[path]; stands {
		return
	}
	text, ok := table[path]
	if !ok {
		text = f.Tag.Get("default")
	}
	if text != "" && v.IsZero() {
		Set(v, text)
	}
}

func (r *File) absence(f Field, path string) string {
	if _, stands := r.lines[path]; stands {
		return "is empty; it must be set"
	}
	return fmt.Sprintf("is missing; set it, as in %s: %s", f.Key, f.Tag.Get("example"))
}
