package strict

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Limits on what is read at all: a configuration is small, and so is a secret.
const (
	fileLimit   = 4 << 20
	secretLimit = 64 << 10
)

// A File is the reading of one file: its problems, and where its settings stand.
type File struct {
	path     string
	getenv   func(string) (string, bool)
	lines    map[string]int // by path, of all that stands in the file
	problems Problems
	blamed   []string            // paths with a problem: nothing more is said of them later
	omitted  map[string][]string // optional sections that were left out: their unset variables
	bytes    []byte
	filled   []string // what came from outside: variables, secrets in files

	// Absent says what to do when there is no such file; it may be empty.
	Absent string
}

// New prepares the reading of a file whose variables getenv looks up.
func New(path string, getenv func(string) (string, bool)) *File {
	return &File{path: path, getenv: getenv, lines: map[string]int{}, omitted: map[string][]string{}}
}

// Decode reads the file into the struct that into points to. It reports whether the
// file is YAML at all, so that its settings can be judged.
func (r *File) Decode(into any) bool {
	root := r.parse()
	if root == nil {
		return false
	}
	r.section(root, "", reflect.ValueOf(into).Elem())
	return true
}

// Path is the path of the file.
func (r *File) Path() string { return r.path }

// Again is the file without its problems, to judge it once more.
func (r *File) Again() *File { return &File{path: r.path, lines: r.lines} }

// Stands reports whether the setting is in the file, and where.
func (r *File) Stands(path string) (line int, ok bool) {
	line, ok = r.lines[path]
	return line, ok
}

// Omitted names the unset variables for which an optional section was left out; none
// when it was not.
func (r *File) Omitted(path string) []string { return r.omitted[path] }

// fail adds a problem at a line.
func (r *File) fail(line int, path, text string) {
	r.problems = append(r.problems, Problem{File: r.path, Line: line, Path: oneLine(path), Text: oneLine(text)})
	if path != "" {
		r.blamed = append(r.blamed, path)
	}
}

// oneLine keeps what came from a file from spreading over a terminal.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '\uFFFD'
		}
		return c
	}, text)
}

// Object adds a problem with a value that could be read. It stays silent where a value
// could not be read: that has been said, and more would be guessing.
func (r *File) Object(path, text string) {
	if !r.Sound(path) {
		return
	}
	r.fail(r.Line(path), path, text)
}

// Sound reports whether there is no problem with the path, with what it is part of or
// with its parts.
func (r *File) Sound(path string) bool {
	return !slices.ContainsFunc(r.blamed, func(b string) bool { return within(path, b) || within(b, path) })
}

func within(path, section string) bool {
	rest, ok := strings.CutPrefix(path, section)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Line is where the path stands in the file, or else the section it belongs into.
func (r *File) Line(path string) int {
	for path != "" {
		if line, ok := r.lines[path]; ok {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 1
}

// ObjectTo adds the errors of a Validate, each "key: text" relative to prefix.
func (r *File) ObjectTo(prefix string, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			r.ObjectTo(prefix, e)
		}
		return
	}
	key, text, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		key, text = "", err.Error()
	}
	r.Object(Join(prefix, key), text)
}

// parse reads the file and returns the mapping that it is, or nil after a problem.
func (r *File) parse() *yaml.Node {
	content, err := readFile(r.path, fileLimit)
	if _, absent := os.Stat(r.path); errors.Is(absent, os.ErrNotExist) {
		r.fail(0, "", strings.TrimSuffix("there is no such file; "+r.Absent, "; "))
		return nil
	}
	if err != nil {
		r.fail(0, "", err.Error())
		return nil
	}
	r.bytes = content
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		r.fail(1, "", "is empty")
		return nil
	} else if err != nil {
		r.syntax(err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		r.fail(second.Line, "", "a second document begins here; keep one document in a file")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.fail(root.Line, "", "must be a mapping of keys to values")
		return nil
	}
	return root
}

// unquoted is a variable inside of { } or [ ] whose own braces end what it stands in.
var unquoted = regexp.MustCompile(`(?m)^[^"'#\n]*[{\[,][^"'#\n]*\$\{`)

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

func (r *File) syntax(err error) {
	line, text := 1, err.Error()
	if m := yamlError.FindStringSubmatch(text); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	if unquoted.Match(r.bytes) {
		text += "; inside of { } a variable needs quotes, as in {url: \"${NAME}\"}"
	}
	r.fail(line, "", "is not YAML: "+text)
}

// Digest is the SHA-256 of the file and of all that came into it from outside. With
// nothing from outside it is what sha256sum prints.
func (r *File) Digest() string {
	h := sha256.New()
	h.Write(r.bytes)
	for _, s := range r.filled {
		fmt.Fprintf(h, "\x00%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// beside resolves a path that a file names relative to that file.
func (r *File) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(r.path), path)
}

// absent reports whether a path leads nowhere.
func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// fileProblem says why a path is no file that can be read, or nothing.
func fileProblem(path string) string {
	switch at, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		if absent(filepath.Dir(path)) {
			return "there is no file " + path + ", nor its folder"
		}
		return "there is no file " + path
	case err != nil:
		return fmt.Sprintf("cannot read %s: %v", path, errors.Unwrap(err))
	case at.IsDir():
		return path + " is a folder; name a file"
	default:
		return ""
	}
}

// folderProblem says why a path is no folder, or nothing.
func folderProblem(path string) string {
	switch at, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		return "there is no folder " + path
	case err != nil:
		return fmt.Sprintf("cannot read %s: %v", path, errors.Unwrap(err))
	case !at.IsDir():
		return path + " is no folder"
	default:
		return ""
	}
}

// readFile reads a file of at most limit bytes. Its errors name the file.
func readFile(path string, limit int64) ([]byte, error) {
	if text := fileProblem(path); text != "" {
		return nil, errors.New(text)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	defer f.Close() //nolint:errcheck // what was read is read
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is larger than %d KiB", path, limit>>10)
	}
	return content, nil
}
