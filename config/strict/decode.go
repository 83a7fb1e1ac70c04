package strict

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/pkg/secret"
)

// section decodes a mapping into a struct.
func (r *File) section(n *yaml.Node, path string, v reflect.Value) {
	if !r.plain(n, path) {
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // a section of which nothing is set
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, path, "must be a section with keys of its own")
		return
	}
	known := Fields(v.Type())
	for i := 0; i < len(n.Content); i += 2 {
		r.entry(known, n.Content[i], n.Content[i+1], path, v)
	}
}

// entry decodes one key of a section.
func (r *File) entry(known []Field, key, value *yaml.Node, path string, v reflect.Value) {
	if !r.plain(key, path) {
		return
	}
	f, inFile, ok := match(known, key)
	if !ok {
		r.unknown(known, key, path)
		return
	}
	at := Join(path, f.Key)
	if line, twice := r.lines[at]; twice {
		r.fail(key.Line, Join(path, key.Value), fmt.Sprintf("is set for the second time; line %d has it already", line))
		return
	}
	r.lines[at] = key.Line
	if inFile {
		r.secretFile(value, at, f.In(v))
		return
	}
	r.value(value, at, f, f.In(v))
}

// match finds the field of a key; a secret may also be given as the name of a file.
func match(known []Field, key *yaml.Node) (f Field, inFile, ok bool) {
	if key.Kind != yaml.ScalarNode {
		return Field{}, false, false
	}
	name, suffixed := strings.CutSuffix(key.Value, "_file")
	for _, f := range known {
		if f.Key == key.Value {
			return f, false, true
		}
		if suffixed && f.Key == name && f.Type == secretType {
			return f, true, true
		}
	}
	return Field{}, false, false
}

func (r *File) unknown(known []Field, key *yaml.Node, path string) {
	var names []string
	for _, f := range known {
		names = append(names, f.Key)
		if f.Type == secretType {
			names = append(names, f.Key+"_file")
		}
	}
	near, ok := nearest(key.Value, names)
	if !ok {
		r.fail(key.Line, Join(path, key.Value), "unknown key; known here are "+strings.Join(names, ", "))
		return
	}
	r.fail(key.Line, Join(path, key.Value), fmt.Sprintf("unknown key; did you mean %s?", near))
	// Nobody needs to hear that what is misspelled here is missing as well.
	r.blamed = append(r.blamed, Join(path, near), Join(path, strings.TrimSuffix(near, "_file")))
}

// value decodes any value.
func (r *File) value(n *yaml.Node, path string, f Field, v reflect.Value) {
	if !r.plain(n, path) {
		return
	}
	_, section := sectionType(v.Type())
	switch {
	case v.Kind() == reflect.Pointer:
		r.pointer(n, path, f, v)
	case section:
		r.section(n, path, v)
	case v.Kind() == reflect.Slice:
		r.list(n, path, f, v)
	case v.Kind() == reflect.Map:
		r.mapping(n, path, f, v)
	case n.Kind != yaml.ScalarNode:
		r.fail(n.Line, path, "must be a single value")
	case n.Tag == "!!null":
		r.fail(n.Line, path, "has no value; give it one or remove the key")
	default:
		r.scalar(n, path, f, v)
	}
}

// pointer decodes a section that may be absent. An optional one is absent as well when
// none of its variables is set to anything.
func (r *File) pointer(n *yaml.Node, path string, f Field, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if f.Tag.Get("optional") != "" {
		set, missing := r.variables(n)
		switch {
		case len(missing) > 0 && len(set) == 0:
			r.omitted[path] = missing
			return
		case len(missing) > 0:
			r.fail(r.Line(path), path, fmt.Sprintf("%s is set, but %s is not; set all of them, or none to leave the section out",
				strings.Join(set, ", "), strings.Join(missing, ", ")))
			return
		}
	}
	v.Set(reflect.New(v.Type().Elem()))
	r.section(n, path, v.Elem())
}

func (r *File) list(n *yaml.Node, path string, f Field, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, path, "must be a list, as in [one, two]; write [] for an empty one")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, child := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = child.Line
		r.value(child, at, f, v.Index(i))
		if v.Index(i).Kind() == reflect.String && r.Sound(at) && repeated(v, i) {
			r.fail(child.Line, at, "is in the list already; remove it here")
		}
	}
}

func repeated(list reflect.Value, i int) bool {
	for j := range i {
		if list.Index(j).String() == list.Index(i).String() {
			return true
		}
	}
	return false
}

// mapping decodes a map from names to lists or single values.
func (r *File) mapping(n *yaml.Node, path string, f Field, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, path, "must be a mapping of names to "+entries(v.Type())+"; write {} for an empty one")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i < len(n.Content); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		if !r.plain(key, path) {
			continue
		}
		at := fmt.Sprintf("%s[%s]", path, key.Value)
		if _, twice := r.lines[at]; twice || key.Kind != yaml.ScalarNode || key.Value == "" {
			r.fail(key.Line, at, "must be a name that stands here once")
			continue
		}
		r.lines[at] = key.Line
		entry := reflect.New(v.Type().Elem()).Elem()
		r.value(child, at, f, entry)
		v.SetMapIndex(reflect.ValueOf(key.Value), entry)
	}
}

// entries names what a map holds, for people.
func entries(t reflect.Type) string {
	if t.Elem().Kind() == reflect.Slice {
		return "lists"
	}
	return "single values"
}

// secretFile reads a secret from a file.
func (r *File) secretFile(n *yaml.Node, path string, v reflect.Value) {
	if !r.plain(n, path) {
		return
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.fail(n.Line, path+"_file", "must name a file")
		return
	}
	name, ok := r.fill(n, path+"_file", Field{})
	if !ok {
		r.blamed = append(r.blamed, path)
		return
	}
	content, ok := r.content(n, path+"_file", name)
	if !ok {
		r.blamed = append(r.blamed, path)
		return
	}
	v.Set(reflect.ValueOf(secret.New(content)))
}

// content reads the file that a value names. What is in it counts as a part of the
// configuration: the digest follows it.
func (r *File) content(n *yaml.Node, path, name string) (string, bool) {
	content, err := readFile(r.beside(name), secretLimit)
	text := strings.TrimSpace(string(content))
	if err == nil && text == "" {
		err = fmt.Errorf("%s is empty", r.beside(name))
	}
	if err != nil {
		r.fail(n.Line, path, err.Error())
		return "", false
	}
	r.filled = append(r.filled, text)
	return text, true
}
