package strict

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/pkg/secret"
)

// plain refuses what makes a file read differently from how it looks.
func (r *File) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n.Line, path, "anchors and aliases are not understood here; write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n.Line, path, "tags are not understood here; write the value alone")
	default:
		return true
	}
	return false
}

// variable is a place in a value that the environment fills; anything else that begins
// like one is a mistake worth reporting.
var variable = regexp.MustCompile(`\$\{([^}]*)\}?`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fill returns a scalar with its variables filled in.
// When a variable is not set, the tag "unset" of its field says what to do.
func (r *File) fill(n *yaml.Node, path string, f Field) (string, bool) {
	good := true
	text := variable.ReplaceAllStringFunc(n.Value, func(place string) string {
		name := variable.FindStringSubmatch(place)[1]
		if !variableName.MatchString(name) || !strings.HasSuffix(place, "}") {
			r.fail(n.Line, path, "only ${NAME} is understood, with a name of letters, digits and _; keep a value that holds ${ otherwise in a variable or a file")
			good = false
			return ""
		}
		value, ok := r.getenv(name)
		if !ok {
			r.fail(n.Line, path, "the environment variable "+name+" is not set; "+cmp.Or(f.Tag.Get("unset"), "set it, or write a value here"))
			good = false
		}
		r.filled = append(r.filled, value)
		return value
	})
	return text, good
}

// variables returns the variables in all values below a node: those that are set to
// something, and those that are not.
func (r *File) variables(n *yaml.Node) (set, missing []string) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		s, m := r.variables(child)
		set, missing = append(set, s...), append(missing, m...)
	}
	if n.Kind == yaml.ScalarNode {
		for _, m := range variable.FindAllStringSubmatch(n.Value, -1) {
			if value, ok := r.getenv(m[1]); ok && value != "" {
				set = append(set, m[1])
			} else {
				missing = append(missing, m[1])
			}
		}
	}
	return set, missing
}

// scalar decodes a single value.
func (r *File) scalar(n *yaml.Node, path string, f Field, v reflect.Value) {
	text, ok := r.fill(n, path, f)
	if !ok {
		return
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	if number := v.Kind() != reflect.String && v.Type() != secretType && v.Type() != prefixType; number && quoted && text == n.Value {
		r.fail(n.Line, path, "must be "+kindOf(v.Type())+", without quotes")
		return
	}
	if f.Tag.Get("content") != "" {
		if content, ok := r.content(n, path, text); ok {
			v.SetString(content)
		}
		return
	}
	if problem := Set(v, text); problem != "" {
		r.fail(n.Line, path, problem)
		return
	}
	problem := misfit(f, v)
	if problem == "" && f.Tag.Get("file") != "" && text != "" {
		v.SetString(r.beside(text))
		problem = noFile(f, v.String())
	}
	if problem != "" {
		r.fail(n.Line, path, problem)
	}
}

// noFile says what is wrong with a file. When it is not there, the tag "absent" of its field
// says what to do.
func noFile(f Field, name string) string {
	problem := fileProblem(name)
	if f.Tag.Get("file") == "folder" {
		problem = folderProblem(name)
	}
	if next := f.Tag.Get("absent"); problem != "" && next != "" && absent(name) {
		problem += "; " + next
	}
	return problem
}

// Set gives a value its text, or says what it must be instead.
func Set(v reflect.Value, text string) string {
	var err error
	own, reads := v.Addr().Interface().(Value)
	switch {
	case reads:
		err = own.UnmarshalText([]byte(text))
	case v.Type() == secretType:
		v.Set(reflect.ValueOf(secret.New(text)))
	case v.Type() == prefixType:
		var p netip.Prefix
		p, err = netip.ParsePrefix(text)
		v.Set(reflect.ValueOf(p))
	case v.Type() == durationType:
		var d time.Duration
		d, err = time.ParseDuration(text)
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		on := slices.Contains([]string{"on", "true"}, text)
		if !on && !slices.Contains([]string{"off", "false"}, text) {
			err = os.ErrInvalid
		}
		v.SetBool(on)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
	default:
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	}
	if err != nil {
		return "must be " + kindOf(v.Type())
	}
	return ""
}

// kindOf names what a value is, for people.
func kindOf(t reflect.Type) string {
	if own, ok := reflect.New(t).Interface().(Value); ok {
		return own.Kind()
	}
	switch {
	case t == durationType:
		return "a duration such as 90s, 10m or 24h"
	case t == prefixType:
		return "a CIDR such as 10.0.0.0/8"
	case t == secretType, t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "on or off"
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<t.Bits()-1)
	default:
		return "a whole number"
	}
}

// misfit says which values a field may have when it has another.
func misfit(f Field, v reflect.Value) string {
	choices := f.Choices()
	if choices == nil || slices.Contains(choices, v.String()) {
		return ""
	}
	text := "must be one of " + strings.Join(choices, ", ")
	if len(choices) == 1 {
		text = "must be " + choices[0]
	}
	if near, ok := nearest(v.String(), choices); ok {
		text += "; did you mean " + near + "?"
	}
	return text
}

// Short writes a duration without the parts that are zero.
func Short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
