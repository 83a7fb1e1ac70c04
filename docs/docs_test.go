// Package docs_test holds the documentation to the code: what a page says of the wire,
// of files, tests and commands must be so.
package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
)

// root is the folder of the module.
const root = ".."

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are all Markdown files that a reader can come to.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md"}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(name, ".md") {
			all = append(all, "docs/"+filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func parseFile(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// constants are the string constants of a file by name, if wanted.
func constants(t *testing.T, name string, wanted func(*ast.ValueSpec) bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	ast.Inspect(parseFile(t, name), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !wanted(spec) {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[spec.Names[0].Name] = value
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has none of the constants that this test looks for", name)
	}
	return found
}

// The table of errors in protocol.md is the catalogue, row by row.
func TestErrors(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9]{3}) \\| `([a-z_]+)` \\| `(.+)` \\|$")
	said := map[string]string{}
	for _, cells := range row.FindAllStringSubmatch(readPage(t, "docs/protocol.md"), -1) {
		if _, twice := said[cells[1]]; twice {
			t.Errorf("%s stands twice in protocol.md", cells[1])
		}
		said[cells[1]] = strings.Join(cells[2:], " ")
	}
	kinds := constants(t, "pkg/fault/fault.go", func(s *ast.ValueSpec) bool {
		kind, ok := s.Type.(*ast.Ident)
		return ok && kind.Name == "Kind"
	})
	for _, kind := range slices.Sorted(maps.Values(kinds)) {
		a := grants.AnswerTo(fault.Param(fault.Kind(kind), "..."))
		if a.Status < http.StatusBadRequest {
			continue // an answer, though it goes the way of a failure
		}
		want := fmt.Sprintf("%d %s %s", a.Status, a.Members["error"], a.Members["error_description"])
		if said[kind] != want {
			t.Errorf("protocol.md says of %s %q, the gateway %q", kind, said[kind], want)
		}
		delete(said, kind)
	}
	for kind := range said {
		t.Errorf("protocol.md names %s, which is no kind of failure", kind)
	}
}

// The table of what is recorded in operations.md has every type of event, and no other.
func TestEvents(t *testing.T) {
	_, table, _ := strings.Cut(readPage(t, "docs/operations.md"), "\n### What is recorded\n")
	table, _, _ = strings.Cut(table, "\n#")
	var said []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.+?) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range strings.Split(row[1], ", ") {
			said = append(said, strings.Trim(name, "`"))
		}
	}
	said = slices.DeleteFunc(said, func(name string) bool { return name == "type" })
	want := slices.Sorted(maps.Values(constants(t, "pkg/audit/audit.go", func(s *ast.ValueSpec) bool {
		kind, ok := s.Type.(*ast.Ident)
		return ok && kind.Name == "Type"
	})))
	if slices.Sort(said); !slices.Equal(said, want) {
		t.Errorf("operations.md names %q, the gateway records %q", said, want)
	}
}

// The table of endpoints in protocol.md is the map of the server.
func TestEndpoints(t *testing.T) {
	var said []string
	row := regexp.MustCompile("(?m)^\\| [A-Z, ]+ \\| `/(.+?)` \\|")
	for _, cells := range row.FindAllStringSubmatch(readPage(t, "docs/protocol.md"), -1) {
		said = append(said, cells[1])
	}
	served := constants(t, "pkg/server/routes.go", func(s *ast.ValueSpec) bool { return strings.HasPrefix(s.Names[0].Name, "path") })
	want := append(slices.Collect(maps.Values(served)), "livez", "readyz", "startupz", "metrics")
	slices.Sort(said)
	slices.Sort(want)
	if !slices.Equal(said, want) {
		t.Errorf("protocol.md names the endpoints %q, the server has %q", said, want)
	}
}

// files are paths in backquotes that look like files or folders of this module.
var files = regexp.MustCompile("`((?:\\.ci|cmd|config|docs|grants|pkg|storage)(?:[/.][A-Za-z0-9_-]+)*/?)`")

// A file or folder that a page names exists, unless it is built, or NAME is yet to be
// chosen. A change note may name what is gone.
func TestFiles(t *testing.T) {
	for _, page := range pages(t) {
		if strings.HasPrefix(page, "docs/changes/") {
			continue
		}
		for _, name := range files.FindAllStringSubmatch(readPage(t, page), -1) {
			written := strings.Contains(readPage(t, page), "```go new "+name[1]+"\n")
			if strings.HasPrefix(name[1], ".ci/bin") || path.Base(name[1]) == "NAME" || written || declared(t, name[1]) {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, name[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", page, name[1])
			}
		}
	}
}

// declared reports whether a name such as pkg/mfa/otp.TestCode is a function of that
// folder.
func declared(t *testing.T, name string) bool {
	t.Helper()
	folder, function, ok := strings.Cut(path.Base(name), ".")
	found, err := filepath.Glob(filepath.Join(root, path.Dir(name), folder, "*.go"))
	if !ok || err != nil {
		return false
	}
	for _, file := range found {
		inside, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parseFile(t, inside).Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == function {
				return true
			}
		}
	}
	return false
}

// Every row of the threat model that names a defense names a test that proves it.
func TestThreatsHaveTests(t *testing.T) {
	proof := regexp.MustCompile("`[a-z/]+\\.[A-Za-z0-9]+`")
	source := regexp.MustCompile("`[a-z_/0-9]+\\.go`")
	rows := 0
	for line := range strings.Lines(readPage(t, "docs/threat-model.md")) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || strings.HasPrefix(cells[1], " requirement ") || strings.HasPrefix(cells[1], "--") {
			continue
		}
		rows++
		if !source.MatchString(cells[4]) {
			t.Errorf("no file defends against:%s", cells[2])
		}
		if !proof.MatchString(cells[5]) {
			t.Errorf("no test proves the defense against:%s", cells[2])
		}
	}
	if rows == 0 {
		t.Error("the threat model has no rows")
	}
}

// A test that is named after a requirement stands in a row of the threat model that is
// about it.
func TestRequirementsAreThreats(t *testing.T) {
	named := regexp.MustCompile(`(?m)^func (Test(R[0-9]+)[A-Z][A-Za-z0-9]*)\(`)
	rows := slices.Collect(strings.Lines(readPage(t, "docs/threat-model.md")))
	tests := 0
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			tests++
			if !slices.ContainsFunc(rows, func(row string) bool {
				about, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
				return slices.Contains(strings.Fields(strings.ReplaceAll(about, ",", " ")), m[2]) && strings.Contains(row, "."+m[1]+"`")
			}) {
				t.Errorf("no row about %s names %s", m[2], m[1])
			}
		}
		return err
	})
	if err != nil || tests == 0 {
		t.Errorf("%d tests, %v", tests, err)
	}
}

// A relative link leads to a file, and its fragment to a heading there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):]+)\)`)
	for _, page := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(readPage(t, page), -1) {
			file, fragment, _ := strings.Cut(found[1], "#")
			target := path.Join(path.Dir(page), file)
			if file == "" {
				target = page
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, found[1])
				continue
			}
			if fragment != "" && !slices.Contains(headings(readPage(t, target)), fragment) {
				t.Errorf("%s: %s has no heading for #%s", page, target, fragment)
			}
		}
	}
}

// headings are the fragments of a page, as they are made from its headings.
func headings(page string) (all []string) {
	for line := range strings.Lines(page) {
		if text, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			word := strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
					return r
				}
				return -1
			}, strings.ToLower(strings.TrimSpace(text)))
			all = append(all, word)
		}
	}
	return all
}

// What the pages say of the program is tried with it.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sallyport")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Run("commands", func(t *testing.T) { commands(t, program) })
	t.Run("first configuration", func(t *testing.T) { firstConfiguration(t, program) })
	t.Run("words of one's own", func(t *testing.T) { changeWords(t, program) })
	t.Run("messages of the demo", func(t *testing.T) { tryMessages(t, program) })
	t.Run("push in the terminal", func(t *testing.T) { tryPush(t, program) })
}

// commands: every command line that a page shows is one that the program has.
func commands(t *testing.T, sallyport string) {
	line := regexp.MustCompile("(?m)(?:`|^ {4,}(?:\\./|\\$ )?)sallyport((?: [a-z][a-z-]*)+)")
	checked := map[string]bool{}
	for _, page := range pages(t) {
		for _, found := range line.FindAllStringSubmatch(readPage(t, page), -1) {
			words := strings.Fields(found[1])
			if checked[found[1]] {
				continue
			}
			checked[found[1]] = true
			out, err := exec.CommandContext(t.Context(), sallyport, append(words, "--help")...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "\n  sallyport"+found[1]) {
				t.Errorf("%s: there is no command \"sallyport%s\": %v\n%s", page, found[1], err, out)
			}
		}
	}
	if len(checked) == 0 {
		t.Error("no page shows a command")
	}
}

// firstConfiguration: the files of README.md are a configuration without a problem, once
// its folder is made.
func firstConfiguration(t *testing.T, sallyport string) (dir string) {
	const folder = "/var/lib/sallyport"
	dir = t.TempDir()
	written := 0
	page := strings.ReplaceAll(readPage(t, "README.md"), folder, filepath.Join(dir, "lib"))
	makes := regexp.MustCompile(`(?m)^ +(install -d -m 700 \S+)`).FindStringSubmatch(page)
	if makes == nil {
		t.Fatal("README.md does not make the folder of the database")
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", makes[1]).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", makes[1], err, out)
	}
	for _, b := range blocks(strings.ReplaceAll(page, "\n   ", "\n")) {
		if name, ok := strings.CutPrefix(b.word, "yaml "); ok {
			written++
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if written != 2 {
		t.Fatalf("README.md has %d files, want 2", written)
	}
	for _, words := range [][]string{{"keys", "init"}, {"config", "check"}} {
		cmd := exec.CommandContext(t.Context(), sallyport, words...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "ALICE_PASSWORD=correct horse battery staple")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("sallyport %s: %v\n%s", strings.Join(words, " "), err, out)
		}
	}
	return dir
}

// Code that a page quotes from a file, which it names behind the fence, stands there.
func TestQuotes(t *testing.T) {
	quoted := 0
	for _, page := range pages(t) {
		for _, b := range blocks(readPage(t, page)) {
			file, ok := strings.CutPrefix(b.word, "go ")
			if !ok || strings.HasPrefix(file, "new ") || strings.HasPrefix(file, "line ") {
				continue // what a reader is to write
			}
			quoted++
			if !strings.Contains(readPage(t, file), "\n"+b.text) {
				t.Errorf("%s:%d: this does not stand in %s", page, b.line, file)
			}
		}
	}
	if quoted == 0 {
		t.Error("no page quotes code")
	}
}
