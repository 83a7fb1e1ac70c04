package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestConfigCheck(t *testing.T) {
	k := newDesk(t)
	k.says("secrets.key_file: there is no file", exitMisuse, "", "config", "check")
	k.want(exitOK, "", "keys", "init")
	if out := k.want(exitOK, "", "config", "check"); out != "ok\n" {
		t.Errorf("printed %q", out)
	}

	good, err := os.ReadFile(filepath.Join(k.folder, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	warned := k.write("warned.yaml", string(good)+"dialects: [axonize]\n")
	out := k.says("dialects: valid, but not served", exitOK, "", "config", "check", "--config", warned)
	if !strings.HasSuffix(out, "\nok\n") {
		t.Errorf("printed %q", out)
	}

	bad := k.write("bad.yaml", strings.Replace(string(good), "listen: 127.0.0.1:18080", "listne: 1\nprofile: lax", 1))
	for _, command := range [][]string{{"config", "check"}, {"config", "print"}, {"serve"}, {"users", "list"}, {"migrate"}} {
		out := k.want(exitMisuse, "", append(command, "--config", bad)...)
		for _, problem := range []string{"bad.yaml:2: listne: ", "bad.yaml:3: profile: "} {
			if !strings.Contains(out, problem) {
				t.Errorf("%v: %q is not in\n%s", command, problem, out)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(k.folder, "sallyport.db")); !os.IsNotExist(err) {
		t.Errorf("a configuration with problems made a database: %v", err)
	}
	k.says("there is no such file; name the configuration with --config", exitMisuse, "", "config", "check", "--config", filepath.Join(k.folder, "none.yaml"))
}

func TestConfigPrintAndReference(t *testing.T) {
	k := newDesk(t)
	// It needs no configuration file at all.
	k.says("`secrets`", exitOK, "", "config", "reference", "--config", "/none.yaml")
	k.want(exitOK, "", "keys", "init")
	path := filepath.Join(k.folder, "sallyport.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k.write("sallyport.yaml", strings.Replace(string(text), "embedded:", "redis://:hush@127.0.0.1:1/0", 1))
	if out := k.says("access_token: 15m", exitOK, "", "config", "print"); strings.Contains(out, "hush") {
		t.Errorf("a password is printed:\n%s", out)
	}
}

func TestKeysInit(t *testing.T) {
	k := newDesk(t)
	k.says("keys.json", exitOK, "", "keys", "init")
	path := filepath.Join(k.folder, "keys.json")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k.says("stays as it is", exitFailed, "", "keys", "init")
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the key ring was touched: %v", err)
	}
	if at, err := os.Stat(path); err != nil || at.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", at.Mode(), err)
	}
	// --out needs no configuration.
	other := filepath.Join(k.folder, "other.json")
	k.says(other, exitOK, "", "keys", "init", "--config", "/none.yaml", "--out", other)
	k.says("there is no such file", exitMisuse, "", "keys", "init", "--config", "/none.yaml")
	k.says("install -d -m 700 "+filepath.Join(k.folder, "none"), exitFailed, "", "keys", "init", "--out", filepath.Join(k.folder, "none/keys.json"))
}

func TestVersion(t *testing.T) {
	k := newDesk(t)
	if long, short := k.says("go        go1.", exitOK, "", "version"), k.want(exitOK, "", "--version"); short != long {
		t.Errorf("--version prints %q, version %q", short, long)
	}
	got := versions(&debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}})
	if want := "sallyport v1.2.3\nrevision  abc (modified)\ngo        go1.26.0\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
