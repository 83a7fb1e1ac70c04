package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// demoDesk has a clock that waiting turns, and a folder for temporary files that the
// demo must leave empty.
func demoDesk(t *testing.T) (*desk, clock) {
	t.Helper()
	k, c := newDesk(t), newClock(t)
	k.deps.now, k.deps.wait = c.now, c.wait
	// A time step has just begun, so that the second login comes within the first's.
	begins := c.now().Truncate(otpPeriod).Add(otpPeriod)
	if err := c.wait(t.Context(), begins.Sub(c.now())); err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Cleanup(func() {
		left, err := os.ReadDir(temporary)
		if err != nil || len(left) > 0 {
			t.Errorf("the demo left %v, %v", left, err)
		}
	})
	return k, c
}

func TestDemoPlaysItself(t *testing.T) {
	k, c := demoDesk(t)
	before := c.ahead()
	code, out, errs := k.run("", "demo", "--run", "--listen", "127.0.0.1:0")
	if code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for text, times := range map[string]int{
		"The tokens verified.": 1, "exp and amr hold": 7, `"error": "mfa_required"`: 7, "HTTP 200\n": 17, "\nPOST /oauth/token ": 15,
		`"binding_method": "prompt"`: 2, `"text": "`: 2, `"access_token": "eyJhbGci..."`: 7,
		`"challenge_type": "otp"`: 1, `"sub": "demo|ada"`: 1, `"recovery_code": "`: 1, "\nsallyport device ": 2,
		`"error": "authorization_pending"`: 1, "account   demo|grace at Sallyport demo": 1, "approved the login of demo|grace": 1,
	} {
		if got := strings.Count(out, text); got != times {
			t.Errorf("%q is printed %d times, want %d", text, got, times)
		}
	}
	if !strings.Contains(errs, "waiting for the next one-time password") || c.ahead() <= before || c.ahead()-before > otpPeriod+5*time.Second {
		t.Errorf("waited for %v and said %q", c.ahead()-before, errs)
	}
}

func TestDemoFails(t *testing.T) {
	k, _ := demoDesk(t)
	k.deps.wait = func(context.Context, time.Duration) error { return context.Canceled }
	code, out, errs := k.run("", "demo", "--run", "--listen", "127.0.0.1:0")
	if code != exitFailed || strings.Contains(out, "The tokens verified") || !strings.Contains(errs, "6. Each one-time password") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

func TestDemoInShells(t *testing.T) {
	for _, program := range []string{"curl", "sed"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("SALLYPORT_REQUIRE") == "all" {
			t.Fatalf("%s not found, run make deps", program)
		} else if err != nil {
			t.Skipf("skipped: %s not found, run make deps", program)
		}
	}
	for _, shell := range []string{"sh", "dash", "bash", "zsh"} {
		path, err := exec.LookPath(shell)
		if err != nil && shell != "sh" {
			continue // the walk-through must work where there is one
		}
		t.Run(shell, func(t *testing.T) { pasteInto(t, path) })
	}
}

// pasteInto runs all that the demo prints, line by line as if it were typed.
func pasteInto(t *testing.T, shell string) {
	k, c := demoDesk(t)
	lines, stop := k.begin("Ctrl-C", toStdout, "demo", "--listen", "127.0.0.1:0")
	cmd := exec.CommandContext(t.Context(), shell)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	// The test binary is its own one-time password command.
	cmd.Env = append(os.Environ(), clockVariable+"="+c.file)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &errs)
	}
	for text, times := range map[string]int{
		`"access_token":"`: 7, `"id_token":"`: 7, `"mfa_required"`: 7, `"error"`: 8, `"recovery_codes":["`: 3, `"recovery_code":"`: 1,
		`"binding_method":"prompt"`: 2, `"text":"`: 2,
		`"kty":"RSA"`: 1, `"sub":"demo|ada"`: 1, `"authorization_pending"`: 1, "approved the login of demo|grace": 1,
	} {
		if got := strings.Count(out.String(), text); got != times {
			t.Errorf("%s is answered %d times, want %d\n%s", text, got, times, &out)
		}
	}
	for line := range strings.Lines(errs.String()) {
		if !strings.HasPrefix(line, "waiting for the next one-time password") {
			t.Errorf("the shell said %s", line)
		}
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d after a signal", code)
	}
}

// The inbox is the demo's: no configuration names one.
func TestNoInboxOutsideTheDemo(t *testing.T) {
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	config := fmt.Sprintf(deskConfig, 0, 0, k.folder)
	for text, want := range map[string]string{
		"delivery: {sms: {driver: inbox}}": "delivery.sms.driver: must be", "delivery: {voice: {driver: inbox}}": "delivery.voice.driver: must be",
		"delivery: {email: {driver: inbox, host: localhost, port: 25, from: a@b.test}}": "delivery.email.driver: must be",
		"delivery: {inbox: {listen: \"127.0.0.1:0\"}}":                                  "delivery.inbox: ", "inbox: {}": "inbox: ",
	} {
		k.write("sallyport.yaml", config+text+"\n")
		for _, command := range [][]string{{"serve"}, {"config", "check"}} {
			k.says(want, exitMisuse, "", command...)
		}
	}
}

func TestDemoListensOnLoopbackAlone(t *testing.T) {
	k, _ := demoDesk(t)
	for _, address := range []string{"0.0.0.0:8976", ":8976", "[::]:8976", "192.0.2.1:8976", "example.com:8976"} {
		k.says("loopback", exitMisuse, "", "demo", "--listen", address)
	}
	k.says("host:port", exitMisuse, "", "demo", "--listen", "8976")
}

func TestDemoPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	l, err := listenLoopback(t.Context(), address, true)
	if err != nil {
		t.Fatal(err)
	}
	if l.Addr().String() == address || l.Close() != nil {
		t.Errorf("listens on %s", l.Addr())
	}
	k, _ := demoDesk(t)
	k.says("name another port with --listen", exitFailed, "", "demo", "--listen", address)
}
