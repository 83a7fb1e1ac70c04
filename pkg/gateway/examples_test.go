package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// An example is a folder of docs/examples whose programs play against a world, and the
// variables that all of them are told.
type example struct {
	folder string
	world  *gatewaytest.World
	env    []string
}

// eachExample runs a test with an example in every setting, over TLS with a certificate
// authority of this test's own.
func eachExample(t *testing.T, folder string, test func(t *testing.T, e example)) {
	t.Helper()
	inSettings(t, folder, func(t *testing.T, s gatewaytest.Setting, packages string) {
		test(t, secured(t, s, packages))
	})
}

// eachExampleWithPhones is eachExample for worlds that send pushes.
func eachExampleWithPhones(t *testing.T, folder string, test func(t *testing.T, e example)) {
	t.Helper()
	inSettings(t, folder, func(t *testing.T, s gatewaytest.Setting, packages string) {
		s.Phones = true
		test(t, secured(t, s, packages))
	})
}

func inSettings(t *testing.T, folder string, test func(t *testing.T, s gatewaytest.Setting, packages string)) {
	t.Helper()
	t.Parallel()
	packages := installed(t, folder)
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			s.Nodes = 1 // the libraries know one address
			test(t, s, packages)
		})
	}
}

// installed is the path of an example whose packages are there; without them the test is
// skipped.
func installed(t *testing.T, folder string) string {
	t.Helper()
	folder = filepath.Join("../../docs/examples", folder)
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
		if os.Getenv("SALLYPORT_REQUIRE") == "all" {
			t.Fatalf("the packages of %s are not installed, run make test", folder)
		}
		t.Skipf("skipped: the packages of %s are not installed, run npm ci there", folder)
	}
	return folder
}

// secured serves TLS at localhost, for an example that is the client "web" and alice, with
// further lines of configuration.
func secured(t *testing.T, s gatewaytest.Setting, folder string, lines ...string) example {
	t.Helper()
	ca, port := newAuthority(t), freePort(t)
	w := gatewaytest.New(t, s, append(lines, "public_url: https://localhost:"+port+"/", "listen: 127.0.0.1:"+port,
		fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key))...)
	return example{folder, w, append([]string{"SALLYPORT_DOMAIN=localhost:" + port, "NODE_EXTRA_CA_CERTS=" + ca.authority,
		"SALLYPORT_USERNAME=alice", "SALLYPORT_PASSWORD=" + gatewaytest.Password}, clientVariables("SALLYPORT_", "web")...)}
}

// clientVariables tell an example which client it is.
func clientVariables(prefix, client string) []string {
	pairs := with(client)
	return []string{prefix + "CLIENT_ID=" + pairs[1], prefix + "CLIENT_SECRET=" + pairs[3]}
}

// asDesk makes the example the confidential client that asks for a second factor who has
// one, with refresh tokens.
func (e *example) asDesk(t *testing.T) {
	t.Helper()
	const grants = "    grants: [password, password-realm, mfa]\n    mfa: enrolled\n"
	e.world.Restart(t, grants, strings.Replace(grants, "mfa]", "refresh_token, mfa]", 1))
	e.env = append(e.env, clientVariables("SALLYPORT_", "desk")...)
}

// play runs a step, given as program and arguments, with further variables, and returns
// the line of JSON that it prints.
func (e example) play(t *testing.T, step string, more ...string) map[string]any {
	t.Helper()
	out, said, err := e.run(t, step, more...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", step, err, said)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		t.Fatalf("%s does not print JSON: %v", step, err)
	}
	return object
}

// run runs a step at the world's time and returns what it prints, and what it complains of.
func (e example) run(t *testing.T, step string, more ...string) (out, said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", strings.Fields(step)...)
	cmd.Dir = e.folder
	cmd.Env = append(append(os.Environ(), e.env...), more...)
	if e.world != nil {
		cmd.Env = append(cmd.Env, "SALLYPORT_OTP_TIME="+strconv.FormatInt(e.world.Clock.Now().Unix(), 10))
	}
	var printed, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &failed
	err = cmd.Run()
	return printed.String(), failed.String(), err
}

// text is a member of what an example printed that must be there.
func text(t *testing.T, said map[string]any, name string) string {
	t.Helper()
	s, _ := said[name].(string)
	if s == "" {
		t.Fatalf("the example does not say its %s", name)
	}
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
