package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/secret"
)

func TestRotateSecret(t *testing.T) {
	k := readyDesk(t)
	tenant := strings.Replace(deskTenant, "users:", "  - {id: filed, type: confidential, secret: "+strings.Repeat("f", 32)+", grants: [client_credentials]}\nusers:", 1)
	k.want(exitOK, "", "apply", "-f", k.write("tenant.yaml", tenant))
	live := func(want ...string) {
		t.Helper()
		var hashes []string
		for _, s := range want {
			hashes = append(hashes, secret.Hash(secret.New(s)))
		}
		k.database(func(db database) error {
			c, err := db.Client(t.Context(), "m")
			if !slices.Equal(c.SecretHashes, hashes) {
				t.Errorf("live are %q, want %q", c.SecretHashes, hashes)
			}
			return err
		})
	}
	old := shown(t, k.want(exitOK, "", "clients", "add", "--id", "m", "--type", "confidential", "--grants", "client_credentials"))
	k.says("nothing to do", exitOK, "", "clients", "rotate-secret", "m", "--finish")
	out := k.want(exitOK, "", "clients", "rotate-secret", "m")
	fresh := shown(t, out)
	if len(fresh) != 43 || fresh == old || !strings.Contains(out, "rotate-secret --finish m") {
		t.Errorf("printed %q", out)
	}
	live(fresh, old)
	k.says("two secrets of m are good already", exitFailed, "", "clients", "rotate-secret", "m")
	k.says("the old secret of m is refused now", exitOK, "", "clients", "rotate-secret", "--finish", "m")
	live(fresh)

	for problem, id := range map[string]string{
		"there is no client x": "x", "comes from a tenant file": "filed",
	} {
		k.says(problem, exitFailed, "", "clients", "rotate-secret", id)
		k.says(problem, exitFailed, "", "clients", "rotate-secret", id, "--finish")
	}
	want := []string{"clients add: client.changed m", "clients rotate-secret: client.changed m", "clients rotate-secret: client.changed m"}
	if got := k.recorded(); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestClientWithKeys(t *testing.T) {
	k := readyDesk(t)
	keys := k.write("client.json", `{"keys":[{"kty":"EC","crv":"P-256","x":"MLqYw2x1d1oExW4gv-XuP36YKj0PIDjy8zavQj-7xgo","y":"aKNSeEUOun7vGUCyHs4TYBoawKgLlyqPEfVK12Nbsho"}]}`)
	add := []string{"clients", "add", "--type", "confidential", "--grants", "client_credentials"}
	if out := k.want(exitOK, "", append(add, "--id", "m", "--jwks-file", keys)...); out != "added the client m\n" {
		t.Errorf("printed %q", out)
	}
	k.database(func(db database) error {
		c, err := db.Client(t.Context(), "m")
		if len(c.SecretHashes) != 0 || !strings.Contains(string(c.Keys), "P-256") {
			t.Errorf("kept %+v", c)
		}
		return err
	})
	k.says("has no secret that could be replaced", exitFailed, "", "clients", "rotate-secret", "m")
	for problem, file := range map[string]string{
		"--jwks-file there is no file":                   k.folder + "/none",
		"--jwks-file cannot be used: it is not JSON":     k.write("text", "x"),
		"--jwks-file cannot be used: key 1 is no public": k.write("oct", `{"keys":[{"kty":"oct","k":"AAAA"}]}`),
	} {
		k.says(problem, exitMisuse, "", append(add, "--id", "x", "--jwks-file", file)...)
	}
}
