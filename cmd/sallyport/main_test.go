package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clockVariable names the file of a test's clock. A test binary that finds it is the
// command itself, for tests that need one as a process.
const clockVariable = "SALLYPORT_TEST_CLOCK"

func TestMain(m *testing.M) {
	if file, ok := os.LookupEnv(clockVariable); ok {
		c := clock{file}
		os.Exit(run(context.Background(), deps{
			stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
			getenv: os.LookupEnv, now: c.now, wait: c.wait, random: rand.Reader,
		}, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A clock is the real one, and what was waited for in any process is added at once.
type clock struct{ file string }

func newClock(t *testing.T) clock {
	t.Helper()
	return clock{filepath.Join(t.TempDir(), "clock")}
}

func (c clock) ahead() time.Duration {
	text, err := os.ReadFile(c.file)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	n, errParse := strconv.ParseInt(string(text), 10, 64)
	if err := errors.Join(err, errParse); err != nil {
		panic(err)
	}
	return time.Duration(n)
}

func (c clock) now() time.Time { return time.Now().Add(c.ahead()) }

func (c clock) wait(_ context.Context, d time.Duration) error {
	next := c.file + ".next"
	err := os.WriteFile(next, strconv.AppendInt(nil, int64(c.ahead()+d), 10), 0o600)
	return errors.Join(err, os.Rename(next, c.file))
}

// A desk is a folder with a configuration, and a person who runs commands there.
type desk struct {
	t      *testing.T
	folder string
	deps   deps
}

const deskConfig = `public_url: http://login.localhost/
listen: 127.0.0.1:%d
management:
  listen: 127.0.0.1:%d
database:
  url: sqlite://%s/sallyport.db
redis:
  url: "embedded:"
secrets:
  key_file: keys.json
`

const deskTenant = `name: Example
apis:
  - audience: https://api.example.test/
    scopes: [read]
clients:
  - id: spa
    type: public
    first_party: true
    grants: [password, mfa]
users:
  - id: auth0|alice
    username: alice
    email: alice@example.test
    password: correct horse battery staple
`

// newDesk makes a desk with a configuration and without a key ring.
func newDesk(t *testing.T) *desk {
	t.Helper()
	k := &desk{t: t, folder: t.TempDir()}
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 18080, 19090, k.folder))
	k.write("tenant.yaml", deskTenant)
	k.deps = deps{
		getenv: func(name string) (string, bool) {
			return filepath.Join(k.folder, "sallyport.yaml"), name == "SALLYPORT_CONFIG"
		},
		now: time.Now, wait: newClock(t).wait, random: rand.Reader,
	}
	return k
}

// readyDesk makes a desk with a database.
func readyDesk(t *testing.T) *desk {
	t.Helper()
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	k.want(exitOK, "", "migrate")
	return k
}

func (k *desk) write(name, text string) string {
	k.t.Helper()
	path := filepath.Join(k.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

// run runs a command line and returns its exit code and what it printed.
func (k *desk) run(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	d := k.deps
	d.stdin, d.stdout, d.stderr = strings.NewReader(stdin), &out, &errs
	code = run(k.t.Context(), d, args)
	return code, out.String(), errs.String()
}

// want runs a command line that must end with the code, and returns all it printed.
func (k *desk) want(code int, stdin string, args ...string) string {
	k.t.Helper()
	got, out, errs := k.run(stdin, args...)
	if got != code {
		k.t.Fatalf("sallyport %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	if (code == exitOK) != (errs == "") {
		k.t.Errorf("sallyport %s: exit code %d with %q on standard error", strings.Join(args, " "), got, errs)
	}
	return out + errs
}

// says is want, and a part of what must be printed.
func (k *desk) says(text string, code int, stdin string, args ...string) string {
	k.t.Helper()
	out := k.want(code, stdin, args...)
	if !strings.Contains(out, text) {
		k.t.Errorf("sallyport %s: %q is not in\n%s", strings.Join(args, " "), text, out)
	}
	return out
}

// database opens the desk's database beside the commands.
func (k *desk) database(do func(database) error) {
	k.t.Helper()
	d := k.deps
	d.stderr = os.Stderr
	path, _ := d.getenv("SALLYPORT_CONFIG")
	if err := d.withDatabase(k.t.Context(), path, do); err != nil {
		k.t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	k := newDesk(t)
	for _, args := range [][]string{
		{"bogus"}, {"--bogus"}, {"serve", "bogus"}, {"users"}, {"users", "bogus"}, {"users", "disable"},
		{"keys"}, {"config"}, {"audit"}, {"audit", "tail", "bogus"}, {"clients", "list", "bogus"}, {"apply"}, {"otp"}, {"otp", "A", "--at", "1", "--wait"},
	} {
		k.says("--help says more", exitMisuse, "", args...)
	}
	if out := k.want(exitOK, ""); !strings.Contains(out, "sallyport demo") {
		t.Errorf("without arguments: %s", out)
	}
}
