package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	for setting, ports := range map[string][2]int{"listen": {port, 0}, "management.listen": {0, port}} {
		k.write("sallyport.yaml", fmt.Sprintf(deskConfig, ports[0], ports[1], k.folder))
		want := fmt.Sprintf("sallyport serve: %s: 127.0.0.1:%d is taken by another program", setting, port)
		k.says(want, exitFailed, "", "serve")
	}
}

func TestForeignKeyRing(t *testing.T) {
	k := newDesk(t)
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder))
	k.want(exitOK, "", "keys", "init")
	_, stop := k.begin(`"msg":"serving"`, toStderr, "serve")
	if code := stop(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	if err := os.Rename(filepath.Join(k.folder, "keys.json"), filepath.Join(k.folder, "old.json")); err != nil {
		t.Fatal(err)
	}
	k.want(exitOK, "", "keys", "init")
	k.says("secrets.key_file is not the ring that this database was sealed with; put the old one back", exitFailed, "", "serve")
}

func TestNoFolderForTheDatabase(t *testing.T) {
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	none := filepath.Join(k.folder, "none")
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, none))
	for _, command := range [][]string{{"serve"}, {"config", "check"}} {
		k.says("sallyport.yaml:6: database.url: there is no folder "+none, exitMisuse, "", command...)
	}
	k.says("database.url: there is no folder "+none+"; make it", exitFailed, "", "migrate")
}

func TestWarningsOfTenants(t *testing.T) {
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder)+"tenant_files: [tenant.yaml]\n")
	k.write("tenant.yaml", strings.Replace(deskTenant, "[password, mfa]", "[password, mfa, authorization_code]\n    redirect_uris: [https://app.example.test/]", 1))
	k.says("clients[0].grants[2]: valid, but not served", exitOK, "", "config", "check")
	lines, stop := k.begin(`"msg":"serving"`, toStderr, "serve")
	if log := strings.Join(lines, "\n"); !strings.Contains(log, "clients[0].grants[2]: valid, but not served") {
		t.Errorf("the log does not warn:\n%s", log)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// A terminal that closes ends the demo, whose folder goes with it, and a gateway.
func TestHangup(t *testing.T) {
	hangups := make(chan os.Signal, 1) // under nohup(1), what is started would ignore them
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	k, c := demoDesk(t)
	k.want(exitOK, "", "keys", "init")
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder))
	for text, args := range map[string][]string{
		"Ctrl-C":  {"demo", "--listen", "127.0.0.1:0"},
		"serving": {"serve", "--config", filepath.Join(k.folder, "sallyport.yaml")},
	} {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, args...)
		cmd.Env = append(os.Environ(), clockVariable+"="+c.file)
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		found := false
		for in := bufio.NewScanner(r); !found && in.Scan(); {
			found = strings.Contains(in.Text(), text)
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil || !found {
			t.Errorf("%v: ready %v, %v", args, found, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		_ = r.Close()
	}
}
