package config

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// The types that are one value in the file, whatever they are made of.
var (
	secretType   = reflect.TypeFor[secret.Text]()
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
)

// A field is a setting: a key of a section, and the struct field behind it.
type field struct {
	key string
	reflect.StructField
	index []int // through sections that are not written in the file
}

// fields returns the settings of a section in their order.
func fields(t reflect.Type) []field {
	var out []field
	for f := range visible(t) {
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, inner := range fields(f.Type) {
				inner.index = append([]int{f.Index[0]}, inner.index...)
				out = append(out, inner)
			}
		case key != "" && key != "-":
			out = append(out, field{key: key, StructField: f, index: f.Index})
		}
	}
	return out
}

func visible(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// in returns the field's value in a section.
func (f field) in(section reflect.Value) reflect.Value { return section.FieldByIndex(f.index) }

// section returns the type of the section that the field is, if it is one.
func (f field) section() (reflect.Type, bool) { return sectionType(f.Type) }

// element returns the type of the sections that the field is a list of, if it is one.
func (f field) element() (reflect.Type, bool) {
	if f.Type.Kind() != reflect.Slice {
		return nil, false
	}
	return sectionType(f.Type.Elem())
}

func sectionType(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && t != secretType && t != prefixType
}

// choices are the values that a field, or each entry of it, may have; nil: any.
func (f field) choices() []string {
	if enum := f.Tag.Get("enum"); enum != "" {
		return strings.Split(enum, "|")
	}
	return nil
}

// setting finds a setting of the file by its path.
func setting(section reflect.Value, path string) (field, reflect.Value, bool) {
	key, rest, deeper := strings.Cut(path, ".")
	for _, f := range fields(section.Type()) {
		if f.key == key && deeper {
			return setting(f.in(section), rest)
		}
		if f.key == key {
			return f, f.in(section), true
		}
	}
	return field{}, reflect.Value{}, false
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
