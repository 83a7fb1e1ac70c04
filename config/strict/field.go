package strict

import (
	"encoding"
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

// A Value is one value in the file that its own package reads: an amount of money, say.
type Value interface {
	encoding.TextUnmarshaler
	Kind() string // what it must be, for people
}

// A Field is a setting: a key of a section, and the struct field behind it.
type Field struct {
	Key string
	reflect.StructField
	index []int // through sections that are not written in the file
}

// Fields returns the settings of a section in their order.
func Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, inner := range Fields(f.Type) {
				inner.index = append([]int{f.Index[0]}, inner.index...)
				out = append(out, inner)
			}
		case key != "" && key != "-":
			out = append(out, Field{Key: key, StructField: f, index: f.Index})
		}
	}
	return out
}

// In returns the field's value in a section.
func (f Field) In(section reflect.Value) reflect.Value { return section.FieldByIndex(f.index) }

// Section returns the type of the section that the field is, if it is one.
func (f Field) Section() (reflect.Type, bool) { return sectionType(f.Type) }

// Element returns the type of the sections that the field is a list of, if it is one.
func (f Field) Element() (reflect.Type, bool) {
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

// Choices are the values that a field, or each entry of it, may have; nil: any.
func (f Field) Choices() []string {
	if enum := f.Tag.Get("enum"); enum != "" {
		return strings.Split(enum, "|")
	}
	return nil
}

// Setting finds a setting of the file by its path.
func Setting(section reflect.Value, path string) (Field, reflect.Value, bool) {
	key, rest, deeper := strings.Cut(path, ".")
	for _, f := range Fields(section.Type()) {
		if f.Key == key && deeper {
			return Setting(f.In(section), rest)
		}
		if f.Key == key {
			return f, f.In(section), true
		}
	}
	return Field{}, reflect.Value{}, false
}

// Join is the path of a key in a section.
func Join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
