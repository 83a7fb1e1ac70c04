package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

// applied applies the desk's tenant file with texts replaced and returns what is printed.
func (k *desk) applied(replace ...string) string {
	k.t.Helper()
	file := k.write("tenant.yaml", strings.NewReplacer(replace...).Replace(deskTenant))
	return k.want(exitOK, "", "apply", "-f", file)
}

// A file says who is disabled and blocked, and each change is told; lifting that is the
// operator's.
func TestApplyDisablesAndBlocks(t *testing.T) {
	k := readyDesk(t)
	k.applied()
	shut := []string{"type: public", "type: public\n    disabled: true", "username: alice", "username: alice\n    blocked: true"}
	if out := k.applied(shut...); out != "client spa: disabled\nuser auth0|alice: blocked\n" {
		t.Errorf("applied %q", out)
	}
	if out := k.applied(append(shut, "email: alice@", "email: a@")...); out != "user auth0|alice\n" {
		t.Errorf("what was blocked before is told again: %q", out)
	}
	if out := k.applied(); out != "user auth0|alice\n" {
		t.Errorf("applied %q", out)
	}
	for _, what := range []string{"clients", "users"} {
		k.says(" disabled", exitOK, "", what, "list")
	}
	k.want(exitOK, "", "clients", "enable", "spa")
	k.want(exitOK, "", "users", "enable", "auth0|alice")
	if !k.accepts("alice", "correct horse battery staple") {
		t.Error("the user stays blocked")
	}
	want := []string{"client.changed spa disabled", "user.changed auth0|alice blocked"}
	k.database(func(db database) error {
		events, err := db.AuditEvents(t.Context(), 100)
		for _, w := range want {
			if !slices.ContainsFunc(events, func(e audit.Event) bool {
				return e.Grant == "apply" && w == string(e.Type)+" "+e.Subject+e.Client+" "+e.Reason
			}) {
				t.Errorf("%s is not recorded", w)
			}
		}
		return err
	})
}

func TestApplyLeavesTheCommandLinesAlone(t *testing.T) {
	k := readyDesk(t)
	k.want(exitOK, "", "clients", "add", "--id", "spa", "--type", "public", "--grants", "mfa")
	k.want(exitOK, "", "users", "add", "--id", "auth0|alice", "--username", "alice")
	out := k.applied("type: public", "type: public\n    disabled: true", "username: alice", "username: alice\n    blocked: true")
	if strings.Contains(out, "spa") || strings.Contains(out, "alice") {
		t.Errorf("applied %q", out)
	}
	for _, what := range []string{"clients", "users"} {
		if out := k.want(exitOK, "", what, "list"); strings.Contains(out, " disabled") {
			t.Errorf("a file changed what the command line made:\n%s", out)
		}
	}
}

// Each file of a tenant is skipped by its own digest.
func TestApplySkipsEachFile(t *testing.T) {
	k := readyDesk(t)
	k.applied()
	second := k.write("second.yaml", "name: Example\nusers: [{id: b, username: bob, password: correct horse battery staple}]\n")
	k.says("user b (new)", exitOK, "", "apply", "-f", second)
	for _, name := range []string{"tenant.yaml", "second.yaml", "tenant.yaml"} {
		if out := k.want(exitOK, "", "apply", "-f", k.folder+"/"+name); out != "nothing to do\n" {
			t.Errorf("%s is applied again: %q", name, out)
		}
	}
	files := []string{"applied:Example/second.yaml", "applied:Example/tenant.yaml"}
	k.database(func(db database) error {
		for _, f := range files {
			kept, err := db.Setting(t.Context(), f)
			if err != nil || kept == "" {
				t.Errorf("%s is not noted: %v", f, err)
			}
		}
		return nil
	})
}

// The password can be taken out of the file once the user exists, and a user can begin
// without one.
func TestApplyWithoutPassword(t *testing.T) {
	k := readyDesk(t)
	k.applied()
	if out := k.applied("    password: correct horse battery staple\n", ""); out != "nothing to do\n" {
		t.Errorf("applied %q", out)
	}
	if !k.accepts("alice", "correct horse battery staple") {
		t.Error("the password went with its line")
	}
	k.says("user b (new, without a password)", exitOK, "", "apply", "-f", k.write("b.yaml", "name: Example\nusers: [{id: b, username: bob}]\n"))
	k.database(func(db database) error {
		for _, p := range []string{"", " ", "bob"} {
			if _, err := db.Passwords.Verify(t.Context(), identity.Credentials{Username: "bob", Password: secret.New(p)}); err == nil {
				t.Errorf("a user without a password logs in with %q", p)
			}
		}
		return nil
	})
	k.want(exitOK, "a long walk on the shore\n", "users", "set-password", "b", "--password-stdin")
	if !k.accepts("bob", "a long walk on the shore") {
		t.Error("the user cannot log in with the password that was set")
	}
}
