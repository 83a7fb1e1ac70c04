package pkg_test

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// sizes: a file and a package fit into a reader's head. A limit is a signal to divide by
// meaning, not to cut at a line.
func sizes(h house) (broken []string) {
	const fileLimit, testLimit, packageLimit = 400, 600, 1500
	total := map[string]int{}
	for _, s := range h.files {
		limit := fileLimit
		if s.test() || supports(s.folder()) {
			limit = testLimit
		}
		if s.lines > limit {
			broken = append(broken, fmt.Sprintf("%s has %d lines, at most %d are allowed: divide it by meaning", s.path, s.lines, limit))
		}
		if !s.test() && !supports(s.folder()) {
			total[s.folder()] += s.lines
		}
	}
	for folder, lines := range total {
		if lines > packageLimit && folder != "storage/sqlstore" { // one file per record, each simple
			broken = append(broken, fmt.Sprintf("package %s has %d lines, at most %d are allowed: it holds more than one idea", folder, lines, packageLimit))
		}
	}
	return broken
}

// interfaces: an interface asks for five methods at most; those it embeds are not counted.
func interfaces(h house) (broken []string) {
	const limit = 5
	for _, s := range h.files {
		if s.test() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			asks, ok := spec.Type.(*ast.InterfaceType)
			if !ok {
				return true
			}
			methods := 0
			for _, field := range asks.Methods.List {
				methods += len(field.Names)
			}
			if methods > limit {
				broken = append(broken, fmt.Sprintf("%s: interface %s has %d methods, at most %d are allowed: further ability is a second interface", s.path, spec.Name.Name, methods, limit))
			}
			return true
		})
	}
	return broken
}

// comments: every package says what it is for.
func comments(h house) (broken []string) {
	said := map[string]bool{}
	for _, s := range h.files {
		said[s.folder()] = said[s.folder()] || documents(s.file)
	}
	for folder, ok := range said {
		if !ok {
			broken = append(broken, fmt.Sprintf("package %s has no comment that begins with \"Package %s\" (a command: with its name): it is where a reader starts", folder, path.Base(folder)))
		}
	}
	return broken
}

// documents reports whether the file carries the comment of its package.
func documents(file *ast.File) bool {
	text := file.Doc.Text()
	return strings.HasPrefix(text, "Package "+file.Name.Name+" ") || file.Name.Name == "main" && text != ""
}

// noInit: values are complete when they are made, and importing a package does nothing.
func noInit(h house) (broken []string) {
	for _, s := range h.files {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				broken = append(broken, fmt.Sprintf("%s has an init function: importing a package must do nothing", s.path))
			}
		}
	}
	return broken
}

// seeds: a fuzz target keeps what it begins with, and what was once found, where the
// ordinary tests run it.
func seeds(h house) (broken []string) {
	for _, s := range h.files {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !s.test() || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			folder := path.Join(s.folder(), "testdata/fuzz", f.Name.Name)
			if kept, err := os.ReadDir(filepath.Join("..", folder)); err != nil || len(kept) == 0 {
				broken = append(broken, fmt.Sprintf("%s: there are no seeds in %s: fuzzing begins with what is known to be hard", s.path, folder))
			}
		}
	}
	return broken
}

// vague are words that say nothing about what they name.
var vague = []string{
	"util", "utils", "common", "helper", "helpers", "base", "impl", "shared", "misc", "types", "manager", "data", "info",
}

// specified are names that a specification gave: they stay as they are.
var specified = strings.NewReplacer(
	"GrantTypes", "", "ResponseTypes", "", // RFC 7591, section 2
	"SubjectTypes", "", // OpenID Connect Discovery 1.0, section 3
	"UserInfo", "", // OpenID Connect Core 1.0, section 5.3
)

// commands are names of a protocol that an interface of another module has: the DATA of
// SMTP (RFC 5321, section 4.1.1.4).
var commands = []string{"Data"}

// names: package names and exported names are words of a specification or of the domain.
func names(h house) (broken []string) {
	for _, s := range h.files {
		if s.test() {
			continue
		}
		for _, name := range append(exported(s.file), s.file.Name.Name) {
			if word := vagueWord(name); word != "" {
				broken = append(broken, fmt.Sprintf("%s: %q in the name %s says nothing: name it after what it holds or does", s.path, word, name))
			}
		}
	}
	return broken
}

// vagueWord is the first vague word in a name, "" if it has none.
func vagueWord(name string) string {
	if strings.Contains(strings.ToLower(name), "2fa") {
		return "2fa"
	}
	if slices.Contains(commands, name) {
		return ""
	}
	for _, word := range words(specified.Replace(name)) {
		if slices.Contains(vague, word) {
			return word
		}
	}
	return ""
}

// words splits a name where its case changes: "MFATokenStore" is mfa, token, store;
// digits belong to the word before them.
func words(name string) []string {
	var all []string
	letters, start := []rune(name), 0
	for i := 1; i <= len(letters); i++ {
		if i < len(letters) && !begins(letters, i) {
			continue
		}
		if word := strings.Trim(string(letters[start:i]), "_"); word != "" {
			all = append(all, strings.ToLower(word))
		}
		start = i
	}
	return all
}

// begins reports whether a word begins at letter i.
func begins(letters []rune, i int) bool {
	before, here := letters[i-1], letters[i]
	switch {
	case before == '_':
		return true
	case !unicode.IsUpper(here):
		return false
	case !unicode.IsUpper(before):
		return true
	default: // the last capital of a run begins the next word
		return i+1 < len(letters) && unicode.IsLower(letters[i+1])
	}
}

// exported are all exported names that a file declares: constants, variables, types,
// their fields and methods, functions.
func exported(file *ast.File) (all []string) {
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				all = append(all, id.Name)
			}
		}
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			add(f.Name)
			continue
		}
		for _, spec := range d.(*ast.GenDecl).Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				add(spec.Names...)
			case *ast.TypeSpec:
				add(spec.Name)
				ast.Inspect(spec.Type, func(n ast.Node) bool {
					if field, ok := n.(*ast.Field); ok {
						add(field.Names...)
					}
					return true
				})
			}
		}
	}
	return all
}

// decided: every direct dependency has a line in docs/decisions that says why it is
// there, and the list names none that is gone.
func decided(h house) (broken []string) {
	const list = "0002-dependencies.md"
	var text strings.Builder
	for _, page := range h.decisions {
		text.WriteString(page)
	}
	for _, m := range h.direct {
		if !strings.Contains(text.String(), "`"+m+"`") {
			broken = append(broken, fmt.Sprintf("go.mod requires %s and no page in docs/decisions says why: add a line to %s", m, list))
		}
	}
	for line := range strings.Lines(h.decisions[list]) {
		rest, ok := strings.CutPrefix(line, "| `")
		if m, _, _ := strings.Cut(rest, "`"); ok && !slices.Contains(h.direct, m) {
			broken = append(broken, fmt.Sprintf("%s gives a reason for %s, which go.mod does not require directly: remove the line", list, m))
		}
	}
	return broken
}

// TestRulesBite breaks each rule once, and shows it something innocent beside.
func TestRulesBite(t *testing.T) {
	long := strings.Repeat("//\n", 401)
	tests := []struct {
		rule  string
		house house
		want  string // "" where nothing is wrong
	}{
		{"layers", files(t, "pkg/mfa/a.go", `import "`+module+`/grants"`), "only rows below are allowed"},
		{"layers", files(t, "pkg/oauth/a.go", `import "`+module+`/grants"`), "(row 7) imports grants (row 7)"},
		{"layers", files(t, "grants/a.go", `import "`+module+`/pkg/mfa"`), ""},
		{"layers", files(t, "pkg/mfa/a_test.go", `import "`+module+`/storage/memory"`), ""},
		{"layers", files(t, "pkg/elsewhere/a.go", ``), "has no row"},
		{"layers", files(t, "grants/a.go", `import "`+module+`/elsewhere"`), "which has no row"},
		{"layers", files(t, "pkg/gateway/a.go", `import "`+module+`/storage/conformance"`), "is for tests"},
		{"strangers", files(t, "pkg/server/a.go", `import "`+module+`/pkg/mfa/otp"`), "one line in the gateway"},
		{"strangers", files(t, "cmd/sallyport/a.go", `import "`+module+`/storage/sqlstore"`), "only the gateway chooses"},
		{"strangers", files(t, "pkg/gateway/a.go", `import "`+module+`/storage/sqlstore"`), ""},
		{"strangers", files(t, "pkg/gateway/a.go", `import "`+module+`/cmd/sallyport/demo/inbox"`), "shows codes to everybody"},
		{"strangers", files(t, "cmd/sallyport/a.go", `import "`+module+`/cmd/sallyport/demo/inbox"`), "shows codes to everybody"},
		{"strangers", files(t, "cmd/sallyport/demo/a.go", `import "`+module+`/cmd/sallyport/demo/inbox"`), ""},
		{"strangers", files(t, "docs/examples/x/a.go", `import "`+module+`/storage/sqlstore"`), ""},
		{"siblings", files(t, "pkg/mfa/otp/a_test.go", `import "`+module+`/pkg/mfa/recovery"`), "siblings do not meet"},
		{"siblings", files(t, "pkg/mfa/otp/a_test.go", `import "`+module+`/pkg/mfa/mfatest"`), ""},
		{"siblings", files(t, "pkg/mfa/oob/sms/a.go", `import "`+module+`/pkg/mfa/oob/wording"`), ""},
		{"siblings", files(t, "pkg/mfa/oob/sms/a.go", `import "`+module+`/pkg/mfa/oob/voice"`), "siblings do not meet"},
		{"outside", files(t, "pkg/server/routes.go", `import "github.com/ory/fosite/compose"`), "not the center"},
		{"outside", files(t, "pkg/server/token_json.go", `import "github.com/ory/fosite"`), ""},
		{"outside", files(t, "pkg/mfa/a.go", `import "github.com/pquerna/otp/totp"`), "belongs in pkg/mfa/otp"},
		{"outside", files(t, "pkg/mfa/a.go", `import "example.com/left-pad"`), "no door"},
		{"outside", files(t, "pkg/gateway/a_test.go", `import "github.com/lestrrat-go/jwx/v2/jwt"`), ""},
		{"domain", house{graph: map[string][]string{module + "/pkg/mfa/otp": {"a"}, "a": {"fmt", "net/http"}}}, "a -> net/http"},
		{"domain", house{graph: map[string][]string{module + "/pkg/mfa/oob/sms": {"net/http"}, module + "/grants": {"net/http"}}}, ""},
		{"domain", house{graph: map[string][]string{module + "/pkg/mfa": {module + "/storage/memory"}}}, "storage implements it"},
		{"depth", stairs(t, 9), "imports are 9 deep"},
		{"depth", stairs(t, 8), ""},
		{"sizes", files(t, "grants/a.go", long), "grants/a.go has 402 lines"},
		{"sizes", files(t, "grants/a_test.go", long), ""},
		{"sizes", files(t, "grants/a.go", long, "grants/b.go", long, "grants/c.go", long, "grants/d.go", long), "package grants has 1608 lines"},
		{"interfaces", files(t, "grants/a.go", `type I interface{ A(); B(); C(); D(); E(); F() }`), "I has 6 methods"},
		{"interfaces", files(t, "grants/a.go", `type I interface{ J; K; A(); B(); C(); D() }`), ""},
		{"comments", files(t, "grants/a.go", ``), "package grants has no comment"},
		{"names", files(t, "grants/a.go", `type TokenManager int`), `"manager" in the name TokenManager`},
		{"names", files(t, "grants/a.go", `type t struct{ UserData string }`), `"data"`},
		{"names", files(t, "grants/a.go", `func (t) Verify2FA() {}`), `"2fa"`},
		{"names", files(t, "grants/a.go", `func (t) Data() {}`), ""},
		{"names", files(t, "grants/a.go", `type Database struct{ GrantTypes []string; data int; Base32 string }`), ""},
		{"init", files(t, "grants/a.go", `func init() {}`), "importing a package must do nothing"},
		{"seeds", files(t, "grants/a_test.go", `func FuzzNothing() {}`), "no seeds in grants/testdata/fuzz/FuzzNothing"},
		{"seeds", files(t, "grants/a_test.go", `func FuzzWish() {}`), ""},
		{"decisions", house{direct: []string{"example.com/a"}}, "no page in docs/decisions says why"},
		{"decisions", house{decisions: map[string]string{"0002-dependencies.md": "| `example.com/a` | why |\n"}}, "remove the line"},
		{"decisions", house{direct: []string{"example.com/a"}, decisions: map[string]string{"0002-dependencies.md": "| `example.com/a` | why |\n"}}, ""},
	}
	tried := map[string]bool{}
	for _, tt := range tests {
		got := strings.Join(rules[tt.rule](tt.house), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s said %q, want %q", tt.rule, got, tt.want)
		}
		tried[tt.rule] = tried[tt.rule] || tt.want != ""
	}
	for name := range rules {
		if !tried[name] {
			t.Errorf("no case breaks the rule %s", name)
		}
	}
}

// files makes a house of paths and the text that follows their package clause.
func files(t *testing.T, pathsAndTexts ...string) house {
	t.Helper()
	var h house
	for pair := range slices.Chunk(pathsAndTexts, 2) {
		name := path.Base(path.Dir(pair[0]))
		h.files = append(h.files, parse(t, pair[0], "package "+name+"\n"+pair[1]))
	}
	return h
}

// stairs makes a house with a chain of so many imports.
func stairs(t *testing.T, links int) house {
	t.Helper()
	var pathsAndTexts []string
	for i := range links {
		pathsAndTexts = append(pathsAndTexts, fmt.Sprintf("p%d/a.go", i), fmt.Sprintf("import %q", fmt.Sprintf("%s/p%d", module, i+1)))
	}
	return files(t, pathsAndTexts...)
}
