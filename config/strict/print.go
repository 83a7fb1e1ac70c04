package strict

import (
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/pkg/secret"
)

const redacted = "[redacted]"

// Print writes a struct as the YAML that would fill it. Secrets are redacted.
func Print(w io.Writer, from any) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(sectionNode(reflect.ValueOf(from).Elem())); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return enc.Close()
}

func sectionNode(v reflect.Value) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range Fields(v.Type()) {
		value := f.In(v)
		if n := valueNode(f, value); n != nil {
			out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Key}, n)
		}
	}
	return out
}

// valueNode is nil for what is not set at all.
func valueNode(f Field, v reflect.Value) *yaml.Node {
	_, section := sectionType(v.Type())
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil
	case v.Kind() == reflect.Pointer:
		return sectionNode(v.Elem())
	case section:
		if n := sectionNode(v); len(n.Content) > 0 {
			return n
		}
		return nil
	case v.Kind() == reflect.Map:
		return mapNode(f, v)
	case v.Kind() == reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			list.Content = append(list.Content, valueNode(f, v.Index(i)))
		}
		return list
	default:
		return scalarNode(f, v)
	}
}

// mapNode writes a map in the order of its names.
func mapNode(f Field, v reflect.Value) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		key := &yaml.Node{}
		key.SetString(name.String())
		out.Content = append(out.Content, key, valueNode(f, v.MapIndex(name)))
	}
	return out
}

func scalarNode(f Field, v reflect.Value) *yaml.Node {
	text := textOf(v)
	switch {
	case text == "":
		return nil
	case f.Tag.Get("print") == "url":
		text = redactURL(reveal(v))
	}
	n := &yaml.Node{}
	n.SetString(text)
	if v.Kind() != reflect.String && v.Type() != secretType {
		n.Tag, n.Style = "", 0
	}
	return n
}

// textOf writes a value as the file has it; a secret is redacted, an empty one empty.
func textOf(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case secret.Text:
		if value.Empty() {
			return ""
		}
		return redacted
	case time.Duration:
		return Short(value)
	case bool:
		if value {
			return "on"
		}
		return "off"
	default:
		return fmt.Sprint(value)
	}
}

// reveal returns a value in which only a part is secret.
func reveal(v reflect.Value) string {
	if t, ok := v.Interface().(secret.Text); ok {
		return t.Reveal()
	}
	return v.String()
}

// redactURL keeps of a URL what identifies a place and hides what opens it.
func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return redacted
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "redacted")
	}
	u.Fragment = ""
	query := u.Query()
	for name := range query {
		if harmless := []string{"sslmode", "application_name", "connect_timeout"}; !slices.Contains(harmless, strings.ToLower(name)) {
			query.Set(name, "redacted")
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}
