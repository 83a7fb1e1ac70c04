package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/cmd/sallyport/roster"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

// recorded returns the audit rows of commands, oldest first.
func (k *desk) recorded() []string {
	k.t.Helper()
	var rows []string
	k.database(func(db database) error {
		events, err := db.AuditEvents(k.t.Context(), 100)
		for _, e := range slices.Backward(events) {
			if e.Grant != "apply" {
				rows = append(rows, fmt.Sprintf("%s: %s %s%s", e.Grant, e.Type, e.Subject, e.Client))
			}
		}
		return err
	})
	return rows
}

// accepts reports whether a password opens the door.
func (k *desk) accepts(username, password string) bool {
	k.t.Helper()
	ok := false
	k.database(func(db database) error {
		_, err := db.Passwords.Verify(k.t.Context(), identity.Credentials{Username: username, Password: secret.New(password)})
		ok = err == nil
		return nil
	})
	return ok
}

func TestMigrateAndApply(t *testing.T) {
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	tenant := k.folder + "/tenant.yaml"
	for _, args := range [][]string{{"users", "list"}, {"clients", "list"}, {"apply", "-f", tenant}} {
		k.says("sallyport migrate", exitFailed, "", args...)
	}
	k.says("from version 0", exitOK, "", "migrate")
	k.says("nothing to do", exitOK, "", "migrate")

	out := k.want(exitOK, "", "apply", "-f", tenant)
	want := "tenant name: Example\napi https://api.example.test/\nclient spa\nuser auth0|alice (new)\n"
	if out != want {
		t.Errorf("applied %q, want %q", out, want)
	}
	if out := k.want(exitOK, "", "apply", "-f", tenant); out != "nothing to do\n" {
		t.Errorf("applied once more: %q", out)
	}
	k.write("tenant.yaml", deskTenant+"    blocked: true\n    phone: 1\n")
	k.says("users[0].phone: ", exitMisuse, "", "apply", "-f", tenant)
	k.write("tenant.yaml", strings.Replace(deskTenant, "https://api.example.test/", "http://login.localhost/mfa/", 1))
	k.says("apis[0].audience: ", exitMisuse, "", "apply", "-f", tenant)
}

var printed = regexp.MustCompile(`(?m)^(?:password|secret): (\S+)$`)

// shown is the secret that a command printed.
func shown(t *testing.T, out string) string {
	t.Helper()
	m := printed.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no secret is printed: %s", out)
	}
	return m[1]
}

func TestUsers(t *testing.T) {
	k := readyDesk(t)
	out := k.says("added the user auth0|bob", exitOK, "", "users", "add", "--id", "auth0|bob", "--username", "Bob", "--name", "B\x1b[2J")
	if !k.accepts("bob", shown(t, out)) {
		t.Error("the generated password is not the user's")
	}
	k.says("--username is another", exitFailed, "", "users", "add", "--id", "auth0|other", "--username", "BOB")
	k.says("there is a user auth0|bob already", exitFailed, "", "users", "add", "--id", "auth0|bob", "--username", "other")
	k.says("--email must be", exitMisuse, "", "users", "add", "--id", "auth0|x", "--email", "x")
	k.says("--username is missing", exitMisuse, "", "users", "add", "--id", "auth0|x")

	if out := k.want(exitOK, "", "users", "list"); strings.Contains(out, "\x1b") || !strings.Contains(out, "enabled") {
		t.Errorf("listed %q", out)
	}
	k.want(exitOK, "", "users", "disable", "auth0|bob")
	var rows []roster.Row
	if err := json.Unmarshal([]byte(k.want(exitOK, "", "users", "list", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	if want := (roster.Row{ID: "auth0|bob", Username: "Bob", Name: "B\x1b[2J", Disabled: true}); len(rows) != 1 || rows[0] != want {
		t.Errorf("listed %+v", rows)
	}
	k.want(exitOK, "", "users", "enable", "auth0|bob")
	for _, command := range []string{"disable", "enable", "delete", "reset-factors", "set-password"} {
		k.says("there is no user nobody", exitFailed, "", "users", command, "nobody")
	}
	k.says("deleted the user auth0|bob", exitOK, "", "users", "delete", "auth0|bob")
	if k.accepts("bob", shown(t, out)) {
		t.Error("a deleted user logs in")
	}
	k.says("is never given again", exitFailed, "", "users", "add", "--id", "auth0|bob", "--username", "bob")
	want := []string{"users add: user.changed auth0|bob", "users disable: user.changed auth0|bob", "users enable: user.changed auth0|bob", "users delete: user.changed auth0|bob"}
	if got := k.recorded(); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestUsersPassword(t *testing.T) {
	k := readyDesk(t)
	list := k.write("blocklist.txt", "a phrase everybody here knows\n")
	path, _ := k.deps.getenv("SALLYPORT_CONFIG")
	k.write("tenant.yaml", strings.Replace(deskTenant, "grants: [password, mfa]", "grants: [password, mfa]\n    mfa: required", 1)) // so that 8 are enough
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 1, 2, k.folder)+"passwords:\n  min_length: 8\n  blocklist_file: "+list+"\n")
	k.want(exitOK, "", "apply", "-f", k.folder+"/tenant.yaml", "--config", path)

	for password, why := range map[string]string{
		"a NUL \x00 in many words":      "cannot be typed",
		"short":                         "at least 8 characters",
		"baseball":                      "tried first",
		"a phrase everybody here knows": "tried first",
		"alicealice":                    "the name of the user",
		"exampleexample":                "the name of the user or of the service", // the tenant's
		"login.localhost":               "the name of the user or of the service",
	} {
		k.says(why, exitMisuse, password+"\n", "users", "set-password", "auth0|alice", "--password-stdin")
	}
	if !k.accepts("alice", "correct horse battery staple") {
		t.Fatal("a refused password replaced the old one")
	}
	out := k.want(exitOK, "  a long walk on the shore \r\n", "users", "set-password", "auth0|alice", "--password-stdin")
	if !k.accepts("alice", "  a long walk on the shore ") || k.accepts("alice", "correct horse battery staple") {
		t.Error("the chosen password is not the user's")
	}
	if strings.Contains(out, "shore") {
		t.Errorf("the chosen password is printed: %s", out)
	}
	if !k.accepts("alice", shown(t, k.want(exitOK, "", "users", "set-password", "auth0|alice"))) {
		t.Error("the generated password is not the user's")
	}
	k.want(exitOK, "a new phrase for her", "users", "add", "--id", "x", "--email", "x@example.test", "--password-stdin")
	if !k.accepts("X@example.test", "a new phrase for her") {
		t.Error("the new user cannot log in")
	}
	k.says("holds more than", exitMisuse, strings.Repeat("a", stdinLimit+1), "users", "set-password", "x", "--password-stdin")
}

func TestResetFactors(t *testing.T) {
	k := readyDesk(t)
	k.want(exitOK, "", "apply", "-f", k.folder+"/tenant.yaml")
	ctx := context.Background()
	now := k.deps.now()
	k.database(func(db database) error {
		half := mfa.Transaction{Login: mfa.Login{Subject: "auth0|alice", Client: "spa"}}
		return db.Associate(ctx, mfa.Credential{Subject: "auth0|alice", Transaction: &half}, nil, []mfa.Authenticator{
			{ID: "totp|dev_1", Subject: "auth0|alice", Type: mfa.OTP, Secret: secret.New("GEZDGNBVGY3TQOJQ"), Algorithm: "SHA1",
				Digits: 6, Period: otpPeriod, Handle: "h", CreatedAt: now, ExpiresAt: now.Add(otpPeriod)},
		}, audit.Event{At: now, Type: audit.Associated, Success: true, Subject: "auth0|alice", Grant: "test"})
	})
	out := k.want(exitOK, "", "users", "reset-factors", "auth0|alice")
	if want := "removed totp|dev_1 (otp)\n1 second factors of auth0|alice are gone\n"; out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	k.says("0 second factors", exitOK, "", "users", "reset-factors", "auth0|alice")
	if got := k.recorded(); !slices.Contains(got, "users reset-factors: authenticator.removed auth0|alice") {
		t.Errorf("recorded %q", got)
	}
}

func TestClients(t *testing.T) {
	k := readyDesk(t)
	k.want(exitOK, "", "apply", "-f", k.folder+"/tenant.yaml")
	out := k.want(exitOK, "", "clients", "add", "--id", "m", "--type", "confidential", "--grants", "client_credentials",
		"--name", `"a: b" ${HOME}`, "--audiences", "https://api.example.test/")
	made := shown(t, out)
	if len(made) != 43 {
		t.Errorf("the secret has %d characters", len(made))
	}
	k.database(func(db database) error {
		c, err := db.Client(t.Context(), "m")
		scopes, has := c.Audiences["https://api.example.test/"]
		if !slices.Equal(c.SecretHashes, []string{secret.Hash(secret.New(made))}) || c.ManagedBy != "api" ||
			c.Name != `"a: b" ${HOME}` || !has || len(scopes) != 0 {
			t.Errorf("kept %+v", c)
		}
		return err
	})
	k.want(exitOK, "", "clients", "add", "--id", "p", "--type", "public", "--first-party", "--grants", "password,mfa",
		"--mfa", "required", "--origins", "https://app.example.test")
	for _, id := range []string{"m", "spa"} {
		k.says("there is a client "+id, exitFailed, "", "clients", "add", "--id", id, "--type", "public", "--grants", "mfa")
		k.says(id+" is a client's id", exitFailed, "", "users", "add", "--id", id, "--username", "other")
	}
	for problem, args := range map[string][]string{
		"--type is missing":       {"--id", "x", "--grants", "mfa"},
		"--type must be one of":   {"--id", "x", "--grants", "mfa", "--type", "secret"},
		"--grants is missing":     {"--id", "x", "--type", "public"},
		"--first-party is need":   {"--id", "x", "--type", "public", "--grants", "password,mfa"},
		"--redirect-uris is miss": {"--id", "x", "--type", "public", "--grants", "authorization_code,mfa"},
		"--mfa must be one of":    {"--id", "x", "--type", "public", "--grants", "mfa", "--mfa", "maybe"},
	} {
		k.says(problem, exitMisuse, "", append([]string{"clients", "add"}, args...)...)
	}
	k.says("there is no client x", exitFailed, "", "clients", "disable", "x")
	k.want(exitOK, "", "clients", "disable", "m")
	var rows []clientRow
	if err := json.Unmarshal([]byte(k.want(exitOK, "", "clients", "list", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0].ID != "m" || !rows[0].Disabled || rows[1].Disabled || rows[2].ManagedBy != "file" {
		t.Errorf("listed %+v", rows)
	}
	k.want(exitOK, "", "clients", "enable", "m")
	k.says("client_credentials", exitOK, "", "clients", "list")
	want := []string{"clients add: client.changed m", "clients add: client.changed p", "clients disable: client.changed m", "clients enable: client.changed m"}
	if got := k.recorded(); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	k := readyDesk(t)
	for _, what := range []string{"users", "clients"} {
		if out := k.want(exitOK, "", what, "list", "--json"); out != "[]\n" {
			t.Errorf("%s: %q", what, out)
		}
	}
}
