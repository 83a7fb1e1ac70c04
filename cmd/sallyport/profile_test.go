package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// C-22: clients that were registered while passwords were long are looked at again when
// they may be short; the way out is in the message.
func TestServeLooksAtRegisteredClients(t *testing.T) {
	k := readyDesk(t)
	k.want(exitOK, "", "apply", "-f", k.folder+"/tenant.yaml")
	short := fmt.Sprintf(deskConfig, 0, 0, k.folder) + "passwords: {min_length: 8}\n"
	k.write("sallyport.yaml", short)
	const why = "client spa: mfa: profile recommended takes passwords.min_length 8 only where every login has a second factor"
	out := k.says(why, exitFailed, "", "serve")
	if !strings.Contains(out, "or disable it with `sallyport clients disable spa`") {
		t.Errorf("nothing is said of what to do: %s", out)
	}
	const password = "a walk at dawn"
	k.says("at least 15 characters", exitMisuse, password+"\n", "users", "set-password", "auth0|alice", "--password-stdin")
	k.want(exitOK, "", "clients", "disable", "spa")
	k.want(exitOK, password+"\n", "users", "set-password", "auth0|alice", "--password-stdin")
	k.says(why, exitFailed, "", "clients", "enable", "spa")
	_, stop := k.begin(`"msg":"serving"`, toStderr, "serve")
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder))
	k.want(exitOK, "", "clients", "enable", "spa")
}

// What a client may have of APIs that there are not is said wherever somebody can see it.
func TestUnknownAudiences(t *testing.T) {
	k := readyDesk(t)
	const typo = "\n    audiences: {https://api.exmaple.test/: [], https://api.example.test/: []}"
	k.write("tenant.yaml", strings.Replace(deskTenant, "[password, mfa]", "[password, mfa]"+typo, 1))
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder)+"tenant_files: [tenant.yaml]\n")
	out := k.says("clients[0].audiences[https://api.exmaple.test/]: no tenant file here has this API", exitOK, "", "config", "check")
	if strings.Contains(out, "audiences[https://api.example.test/]") {
		t.Errorf("an API that there is is warned of: %s", out)
	}
	const warning = "client spa: audiences: there is no API https://api.exmaple.test/; the client gets no token for it before a tenant file has it"
	for range 2 { // also when nothing is left to do
		k.says("warning: "+warning, exitOK, "", "apply", "-f", k.folder+"/tenant.yaml")
	}
	lines, stop := k.begin(`"msg":"serving"`, toStderr, "serve")
	if log := strings.Join(lines, "\n"); !strings.Contains(log, warning) {
		t.Errorf("the log does not warn:\n%s", log)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	k.says("--audiences names https://api.exmaple.test/, and there is no such API", exitMisuse, "", "clients", "add", "--id", "x",
		"--type", "confidential", "--audiences", "https://api.example.test/,https://api.exmaple.test/")
	k.want(exitOK, "", "clients", "add", "--id", "x", "--type", "confidential", "--audiences", "https://api.example.test/,http://login.localhost/mfa/")
}

// A client that introspects tokens needs no grant; one that anybody can call as does.
func TestClientWithoutGrants(t *testing.T) {
	k := readyDesk(t)
	k.says("secret: ", exitOK, "", "clients", "add", "--id", "gate", "--type", "confidential")
	k.says("--grants is missing; set it, as in --grants password,refresh_token,mfa", exitMisuse, "", "clients", "add", "--id", "x", "--type", "public")
	out := k.want(exitOK, "", "clients", "list")
	if !regexp.MustCompile(`(?m)^gate +.* command +enabled`).MatchString(out) {
		t.Errorf("listed %s", out)
	}
	var rows []clientRow
	if err := json.Unmarshal([]byte(k.want(exitOK, "", "clients", "list", "--json")), &rows); err != nil || len(rows) != 1 || rows[0].ManagedBy != "command" {
		t.Errorf("listed %+v, %v", rows, err)
	}
}

// What is wrong with flags is said in flags.
func TestMisuseSpeaksFlags(t *testing.T) {
	k := readyDesk(t)
	yaml := regexp.MustCompile(`\b(type|mfa|grants|first_party|redirect_uris): |\[`)
	for want, args := range map[string][]string{
		"--type is missing; set it, as in --type public":                                                 {"--id", "x", "--grants", "mfa"},
		"since only the tenant's own applications may see passwords; say --first-party":                  {"--id", "x", "--type", "public", "--grants", "password,mfa"},
		"--grants client_credentials is for confidential clients; remove it, or say --type confidential": {"--id", "x", "--type", "public", "--grants", "client_credentials"},
		"--grants mfa is missing, and with --mfa enrolled who is asked for a second factor could never answer; add it, or say --mfa off": {
			"--id", "x", "--type", "public", "--first-party", "--grants", "password"},
		"--jwks-file a public client cannot keep a key; remove it, or say --type confidential": {
			"--id", "x", "--type", "public", "--grants", "mfa", "--jwks-file", k.write("keys.jwks", `{"keys":[]}`)},
	} {
		if out := k.says(want, exitMisuse, "", append([]string{"clients", "add"}, args...)...); yaml.MatchString(out) {
			t.Errorf("it speaks YAML: %s", out)
		}
	}
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder)+"passwords: {min_length: 8}\n")
	k.says("say --mfa required, or in the configuration passwords.min_length: 15", exitMisuse, "",
		"clients", "add", "--id", "x", "--type", "public", "--first-party", "--grants", "password,mfa")
	k.says("--email-verified there is no email that could be verified", exitMisuse, "", "users", "add", "--id", "x", "--username", "x", "--email-verified")
}

// An address that is known to be somebody's is, from the command line too (C-10).
func TestUsersWithAVerifiedAddress(t *testing.T) {
	k := readyDesk(t)
	k.want(exitOK, "", "users", "add", "--id", "a", "--email", "a@example.test", "--email-verified")
	k.want(exitOK, "", "users", "add", "--id", "b", "--email", "b@example.test")
	k.database(func(db database) error {
		for id, want := range map[string]bool{"a": true, "b": false} {
			if u, err := db.User(t.Context(), id); err != nil || u.EmailVerified != want {
				t.Errorf("%s: verified %v, %v", id, u.EmailVerified, err)
			}
		}
		return nil
	})
}

// A password of a tenant file is for the first start, and the message says so when its
// variable is gone.
func TestUnsetPasswordVariable(t *testing.T) {
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	k.write("tenant.yaml", strings.Replace(deskTenant, "password: correct horse battery staple", "password: ${ALICE_PASSWORD}", 1))
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder)+"tenant_files: [tenant.yaml]\n")
	k.says("users[0].password: the environment variable ALICE_PASSWORD is not set; set it for the first start; once the user exists, remove this line",
		exitMisuse, "", "config", "check")
}
