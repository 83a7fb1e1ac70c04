// Package pkg_test keeps the shape of the house: who may import whom, how large things
// may grow, what they may be called. Each failure is a sentence that says why.
//
// A rule that stands in the way may be wrong: change it here, and say why in
// docs/decisions.
package pkg_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sallyport/sallyport"

// A house is what the rules look at.
type house struct {
	files     []source
	graph     map[string][]string // imports of pkg/mfa/... and of all that it reaches
	direct    []string            // the direct requirements of go.mod
	decisions map[string]string   // docs/decisions: file name, text
}

// A source is one Go file.
type source struct {
	path  string // "pkg/mfa/otp/otp.go"
	lines int
	file  *ast.File
}

// folder is the file's package, as a path inside the module.
func (s source) folder() string { return path.Dir(s.path) }

// test reports whether the file is compiled for tests alone.
func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports are the paths that the file imports.
func (s source) imports() []string {
	var all []string
	for _, spec := range s.file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser let it pass
		}
		all = append(all, name)
	}
	return all
}

// ours is an import path inside the module, shortened to its folder; false for others.
func ours(imported string) (string, bool) { return strings.CutPrefix(imported, module+"/") }

// supports reports whether a package is there for tests only: mfatest, conformance.
func supports(folder string) bool {
	name := path.Base(folder)
	return strings.HasSuffix(name, "test") || name == "conformance"
}

// matches reports whether one of the patterns of path.Match fits the name.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// rows are the layers from the ground up. A package imports only from rows below its own.
var rows = []struct {
	row      int
	packages []string
	why      string
}{
	{0, []string{"pkg/fault", "pkg/secret"}, "the ground stands on the standard library alone"},
	{1, []string{"pkg/audit", "pkg/signer", "pkg/handle", "pkg/form"}, "the record of events, keys, handles and forms know only faults and secrets"},
	{2, []string{"pkg/throttle", "pkg/identity", "pkg/record", "pkg/notice"}, "the domain's ground does not know who builds on it"},
	{3, []string{"pkg/stepup"}, "whoever guards an API links it, and should not link a gateway"},
	{3, []string{"pkg/mfa"}, "the heart must be readable, and usable, without transport, database and OAuth library"},
	{4, []string{"pkg/mfa/*"}, "a factor knows the heart and no other factor"},
	{4, []string{"pkg/guardian/*"}, "a phone is a client: it speaks the contract and does not know the gateway"},
	{5, []string{"pkg/mfa/oob/wording"}, "words know no channel"},
	{5, []string{"pkg/mfa/oob/phone"}, "what text messages and calls share knows neither"},
	{6, []string{"pkg/mfa/oob/*"}, "a channel knows out-of-band and no other channel"},
	{7, []string{"grants", "pkg/oauth"}, "the adapters to fosite do not know the transport, nor each other: the gateway joins them"},
	{8, []string{"pkg/server", "pkg/dialect/*", "storage", "storage/*", "config/*"}, "transport, storage and the reading of files meet only above"},
	{8, []string{"pkg/guardian"}, "the contract with phones is transport: it and the server meet in the gateway"},
	{8, []string{"pkg/receipt"}, "what providers call is transport: it and the server meet in the gateway"},
	{8, []string{"config/strict"}, "the reader of files knows no setting"},
	{8, []string{"pkg/health", "pkg/metrics", "pkg/tracing"}, "what asks, counts and traces knows nothing of what it watches: the gateway joins them"},
	{9, []string{"pkg/observer"}, "what the parts tell and what counts it meet here, and no setting does"},
	{9, []string{"config"}, "configuration is made of each package's own Config and decides nothing"},
	{10, []string{"pkg/gateway"}, "the gateway joins everything and is known by the command alone"},
	{10, []string{"cmd/sallyport/listing"}, "what prints rows does not know what is in them"},
	{11, []string{"pkg/mfa/oob/*/*test"}, "what stands in for a service in tests knows no gateway"},
	{11, []string{"cmd/sallyport/demo/inbox"}, "what messages of a demo arrive in knows no gateway"},
	{11, []string{"pkg/gateway/*", "cmd/sallyport/*"}, "what serves one command, or the tests, does not know the command"},
	{11, []string{"docs/examples/*", "docs/examples/*/*"}, "an example uses the library as other programs do"},
	{12, []string{"cmd/sallyport"}, "the command is the top"},
}

// rowOf is the index in rows of a package, -1 if it has none.
func rowOf(folder string) int {
	for i, r := range rows {
		if matches(r.packages, folder) {
			return i
		}
	}
	return -1
}

// layers: a package imports only from rows below its own. Tests may look anywhere, but
// nothing outside tests imports what is there for tests.
func layers(h house) (broken []string) {
	for _, s := range h.files {
		if s.test() {
			continue
		}
		from := rowOf(s.folder())
		if from < 0 {
			broken = append(broken, fmt.Sprintf("%s: package %s has no row: add it to rows in pkg/layers_test.go", s.path, s.folder()))
			continue
		}
		for _, imported := range s.imports() {
			folder, ok := ours(imported)
			if !ok {
				continue
			}
			to := rowOf(folder)
			switch {
			case to < 0:
				broken = append(broken, fmt.Sprintf("%s imports %s, which has no row", s.path, folder))
			case to >= from:
				broken = append(broken, fmt.Sprintf("%s (row %d) imports %s (row %d); only rows below are allowed: %s",
					s.path, rows[from].row, folder, rows[to].row, rows[from].why))
			case supports(folder) && !supports(s.folder()):
				broken = append(broken, fmt.Sprintf("%s imports %s, which is for tests: a product does not carry its tests along", s.path, folder))
			}
		}
	}
	return broken
}

// concrete are the packages that only some may know by name.
var concrete = []struct {
	packages, known []string
	why             string
}{
	{[]string{"pkg/mfa/*"}, []string{"pkg/mfa/oob/*", "pkg/guardian", "pkg/receipt", "storage/*", "config", "pkg/gateway", "pkg/gateway/*", "cmd/sallyport", "cmd/sallyport/*", "docs/examples/*"},
		"factors are used through the interfaces of pkg/mfa, so that a new one is one line in the gateway; storage implements what they keep"},
	{[]string{"storage/*"}, []string{"config", "pkg/gateway", "pkg/gateway/*", "docs/examples/*"},
		"only the gateway chooses a backend; others state what they need as an interface"},
	{[]string{"cmd/sallyport/demo/inbox"}, []string{"cmd/sallyport/demo"},
		"it shows codes to everybody: no gateway and no configuration but the demo's can have it"},
}

// shared are packages that lie among factors and channels, and are none.
var shared = []string{"pkg/mfa/enrollment", "pkg/mfa/oob/phone", "pkg/mfa/oob/wording"}

// strangers: only the gateway, config for their settings, and examples, which are other
// programs, know factors and backends.
func strangers(h house) (broken []string) {
	for _, s := range h.files {
		for _, imported := range s.imports() {
			folder, ok := ours(imported)
			if !ok || s.test() || supports(s.folder()) {
				continue
			}
			for _, c := range concrete {
				if matches(c.packages, folder) && !matches(c.known, s.folder()) && !slices.Contains(shared, folder) {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", s.path, folder, c.why))
				}
			}
		}
	}
	return broken
}

// siblings: a factor does not import a factor, a channel no channel, not even in tests.
func siblings(h house) (broken []string) {
	for _, s := range h.files {
		parent := path.Dir(s.folder())
		if parent != "pkg/mfa" && parent != "pkg/mfa/oob" {
			continue
		}
		for _, imported := range s.imports() {
			folder, ok := ours(imported)
			if ok && path.Dir(folder) == parent && folder != s.folder() && !supports(folder) && !slices.Contains(shared, folder) {
				broken = append(broken, fmt.Sprintf("%s imports %s: siblings do not meet, or one cannot be read or removed without the other", s.path, folder))
			}
		}
	}
	return broken
}

// A door lets packages of another module in at some places: packages or files.
type door struct {
	outside string
	places  []string
	why     string
}

// doors are all that there are.
var doors = []door{
	{"github.com/ory/fosite", []string{"grants", "pkg/oauth", "pkg/server/token*.go", "pkg/server/introspect*.go", "pkg/server/revoke*.go", "docs/examples/*"},
		"fosite is an adapter, not the center (docs/decisions/0001-fosite-is-an-adapter.md)"},
	{"github.com/lestrrat-go/jwx/v2", []string{"pkg/signer"}, "its line has ended; behind one package its successor is a small change"},
	{"github.com/redis/go-redis/v9", []string{"storage/redis"}, "the rest of the house knows stores, not Redis"},
	{"gorm.io", []string{"storage/sqlstore"}, "the rest of the house knows stores, not SQL"},
	{"github.com/glebarez", []string{"storage/sqlstore"}, "the rest of the house knows stores, not SQL"},
	{"github.com/pressly/goose/v3", []string{"storage/sqlstore"}, "the rest of the house knows stores, not SQL"},
	{"github.com/jackc/pgx/v5", []string{"storage/sqlstore"}, "the rest of the house knows stores, not SQL"},
	{"github.com/pquerna/otp", []string{"pkg/mfa/otp", "docs/examples/*/client"}, "one-time passwords are one factor's business, and that of an example that plays the user's app"},
	{"github.com/nyaruka/phonenumbers", []string{"pkg/mfa/oob/phone"}, "which numbers there are matters where messages are sent to them"},
	{"github.com/wneessen/go-mail", []string{"pkg/mfa/oob/email"}, "mail is one channel's business"},
	{"github.com/mileusna/useragent", []string{"pkg/mfa/oob/push"}, "what software a login comes from matters where a person is asked about it"},
	{"golang.org/x/crypto", []string{"pkg/identity"}, "password hashing is the first factor's business; the rest uses the standard library"},
	{"golang.org/x/oauth2", []string{"pkg/mfa/oob/push"}, "access tokens for what the gateway itself calls; those that it issues come from elsewhere"},
	{"golang.org/x/text", []string{"pkg/identity", "pkg/mfa/oob/wording"}, "normal forms matter where passwords and names are compared, languages where people are written to"},
	{"github.com/emersion/go-smtp", []string{"cmd/sallyport/demo/inbox"}, "the gateway hands mail to servers and takes none"},
	{"github.com/gorilla/mux", []string{"pkg/server", "pkg/dialect/*"}, "routes belong to the transport"},
	{"github.com/rs/cors", []string{"pkg/server"}, "what web pages may call belongs to the transport"},
	{"go.yaml.in/yaml/v3", []string{"config", "config/*", "pkg/mfa/oob/wording"}, "one decoder, so that every file is read equally strictly"},
	{"github.com/prometheus/client_golang", []string{"pkg/metrics"}, "the rest of the house is watched through small functions and knows no metrics"},
	{"go.opentelemetry.io/otel", []string{"pkg/tracing"}, "the rest of the house is watched through small functions and knows no traces"},
	{"github.com/spf13/cobra", []string{"cmd/sallyport", "cmd/sallyport/device"}, "flags belong to the command"},
}

// outside: every package from another module comes in by its own door.
func outside(h house) (broken []string) {
	for _, s := range h.files {
		if s.test() || supports(s.folder()) {
			continue
		}
		for _, imported := range s.imports() {
			first, _, _ := strings.Cut(imported, "/")
			if _, ok := ours(imported); ok || !strings.Contains(first, ".") {
				continue
			}
			i := slices.IndexFunc(doors, func(d door) bool {
				return imported == d.outside || strings.HasPrefix(imported, d.outside+"/")
			})
			switch {
			case i < 0:
				broken = append(broken, fmt.Sprintf("%s imports %s, which no door in pkg/layers_test.go lets in: few modules, each well kept", s.path, imported))
			case !matches(doors[i].places, s.folder()) && !matches(doors[i].places, s.path):
				broken = append(broken, fmt.Sprintf("%s imports %s, which belongs in %s: %s", s.path, imported, strings.Join(doors[i].places, ", "), doors[i].why))
			}
		}
	}
	return broken
}

// unreachable is what pkg/mfa/... must not reach, however many imports away.
var unreachable = []struct {
	prefix string
	except []string // packages that may
	why    string
}{
	{"github.com/ory", nil, "the domain must outlive fosite"},
	{"net/http", []string{"pkg/mfa/oob/*", "pkg/mfa/oob/*/*test"}, "factors do not know the transport"},
	{"database/sql", nil, "factors do not know the database"},
	{module + "/storage", nil, "the domain declares what it needs; storage implements it"},
	{module + "/config", nil, "a factor's Config is its own"},
	{module + "/grants", nil, "the grants adapt the domain, not the other way round"},
	{module + "/pkg/server", nil, "the transport is on top of the domain"},
}

// domain: pkg/mfa/... reaches neither transport nor database nor OAuth library.
func domain(h house) (broken []string) {
	for _, from := range slices.Sorted(maps.Keys(h.graph)) {
		folder, ok := ours(from)
		if !ok || folder != "pkg/mfa" && !strings.HasPrefix(folder, "pkg/mfa/") {
			continue
		}
		for _, u := range unreachable {
			if matches(u.except, folder) {
				continue
			}
			if way := chain(h.graph, from, u.prefix); way != nil {
				broken = append(broken, fmt.Sprintf("%s reaches %s: %s (%s)", folder, u.prefix, u.why, strings.Join(way, " -> ")))
			}
		}
	}
	return broken
}

// chain is a shortest way of imports to a package with the prefix, nil if there is none.
func chain(graph map[string][]string, from, prefix string) []string {
	ways, seen := [][]string{{from}}, map[string]bool{from: true}
	for ; len(ways) > 0; ways = ways[1:] {
		for _, next := range graph[ways[0][len(ways[0])-1]] {
			way := append(slices.Clone(ways[0]), next)
			if next == prefix || strings.HasPrefix(next, prefix+"/") {
				return way
			}
			if !seen[next] {
				seen[next] = true
				ways = append(ways, way)
			}
		}
	}
	return nil
}

// depth: no chain of imports inside the module has more than eight links.
func depth(h house) []string {
	const limit = 8
	imports := map[string][]string{}
	for _, s := range h.files {
		for _, imported := range s.imports() {
			if folder, ok := ours(imported); ok && !s.test() && !supports(s.folder()) {
				imports[s.folder()] = append(imports[s.folder()], folder)
			}
		}
	}
	longest := map[string][]string{}
	var measure func(string) []string
	measure = func(folder string) []string {
		if known, ok := longest[folder]; ok {
			return known
		}
		longest[folder] = []string{folder} // ends a cycle, which the compiler refuses anyway
		for _, next := range imports[folder] {
			if way := measure(next); len(way) >= len(longest[folder]) {
				longest[folder] = append([]string{folder}, way...)
			}
		}
		return longest[folder]
	}
	for _, folder := range slices.Sorted(maps.Keys(imports)) {
		if way := measure(folder); len(way)-1 > limit {
			return []string{fmt.Sprintf("imports are %d deep, at most %d are allowed: a reader follows them all (%s)", len(way)-1, limit, strings.Join(way, " -> "))}
		}
	}
	return nil
}

// rules are all rules by name.
var rules = map[string]func(house) []string{
	"layers": layers, "strangers": strangers, "siblings": siblings, "outside": outside, "domain": domain, "depth": depth,
	"sizes": sizes, "interfaces": interfaces, "comments": comments, "names": names, "init": noInit, "decisions": decided, "seeds": seeds,
}

func TestHouse(t *testing.T) {
	h := house{files: readFiles(t), graph: readGraph(t), direct: readModule(t), decisions: readDecisions(t)}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, sentence := range rule(h) {
				t.Error(sentence)
			}
		})
	}
}

// readFiles parses every Go file of the module.
func readFiles(t *testing.T) []source {
	t.Helper()
	var files []source
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && d.Name() != ".."
		if d.IsDir() && (hidden || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || hidden || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel("..", name)
		if err != nil {
			return err
		}
		files = append(files, parse(t, filepath.ToSlash(inside), string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: name, lines: strings.Count(text, "\n"), file: file}
}

// readGraph asks the go command for the imports of pkg/mfa/... and all below.
func readGraph(t *testing.T) map[string][]string {
	t.Helper()
	graph := map[string][]string{}
	list := json.NewDecoder(bytes.NewReader(goCommand(t, "list", "-e", "-deps", "-json=ImportPath,Imports", "./pkg/mfa/...")))
	for list.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := list.Decode(&p); err != nil {
			t.Fatal(err)
		}
		graph[p.ImportPath] = p.Imports
	}
	return graph
}

// readModule lists the direct requirements of go.mod.
func readModule(t *testing.T) []string {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct
}

// readDecisions reads docs/decisions.
func readDecisions(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("../docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(page)] = string(text)
	}
	return texts
}

// goCommand runs the go command at the root of the module and returns what it prints.
func goCommand(t *testing.T, arguments ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", arguments...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(arguments, " "), err, &stderr)
	}
	return out
}
