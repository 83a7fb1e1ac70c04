package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/config"
)

// warned loads a configuration and returns its warnings, without the folder.
func warned(t *testing.T, file string, vars map[string]string) string {
	t.Helper()
	c, err := config.Load(file, environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(c.Warnings(), "\n"), filepath.Dir(file)+"/", "")
}

func TestWarnsOfTLSLeftOut(t *testing.T) {
	file, vars := fixture(t)
	delete(vars, "TLS_CERT")
	delete(vars, "TLS_KEY")
	want := "sallyport.yaml:5: tls: left out, because TLS_CERT and TLS_KEY are unset; serving plain http"
	if got := warned(t, file, vars); !strings.Contains(got, want) {
		t.Errorf("%q is not in\n%s", want, got)
	}
	vars["PUBLIC_URL"] = "http://localhost:8443/"
	if got := warned(t, file, vars); strings.Contains(got, ": tls: ") {
		t.Errorf("plain http is what public_url says:\n%s", got)
	}
}

func TestWarnsOfOpenKeys(t *testing.T) {
	file, vars := fixture(t)
	for _, tc := range []struct {
		file, variable string
		mode           os.FileMode
		want           string
	}{
		{"keys.json", "KEY_FILE", 0o640, ": secrets.key_file: others can read the keys in it (mode 0640); run `chmod 600 keys.json`"},
		{"keys.json", "KEY_FILE", 0o600, ""},
		{"tls.key", "TLS_KEY", 0o644, ": tls.key_file: others can read the keys in it (mode 0644); run `chmod 600 tls.key`"},
		{"tls.key", "TLS_KEY", 0o640, ""},
		{"fcm.json", "FCM_CREDENTIALS", 0o640, ": delivery.push.fcm.credentials_file: others can read the keys in it (mode 0640); run `chmod 600 fcm.json`"},
		{"fcm.json", "FCM_CREDENTIALS", 0o600, ""},
	} {
		if err := os.Chmod(vars[tc.variable], tc.mode); err != nil {
			t.Fatal(err)
		}
		got := warned(t, file, vars)
		if tc.want == "" && strings.Contains(got, "others can read") || !strings.Contains(got, tc.want) {
			t.Errorf("%s with mode %o: %q is not in\n%s", tc.file, tc.mode, tc.want, got)
		}
	}
}

// TestAPNsSection: it is there or absent as its variables say, and its key is looked at.
func TestAPNsSection(t *testing.T) {
	_, key := certificate(t)
	dir := folder(t, map[string]string{"apns.p8": key, "c.yaml": minimal +
		"delivery: {push: {apns: {key_file: \"${KEY}\", key_id: ABC123DEFG, team_id: DEF123GHIJ, topic: a.b}}}\n"})
	file, p8 := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "apns.p8")
	if got := warned(t, file, nil); got != "" {
		t.Errorf("a section without its variables warns:\n%s", got)
	}
	if err := os.Chmod(p8, 0o604); err != nil {
		t.Fatal(err)
	}
	if got, want := warned(t, file, map[string]string{"KEY": p8}), ": delivery.push.apns.key_file: others can read the keys"; !strings.Contains(got, want) {
		t.Errorf("%q is not in\n%s", want, got)
	}
}

func TestWarnsOfBindingWithoutPushes(t *testing.T) {
	_, key := certificate(t)
	dir := folder(t, map[string]string{
		"apns.p8": key,
		"t.yaml":  "name: T\nclients:\n  - {id: a, type: public, first_party: true, grants: [password, mfa], mfa: required, push_binding: code_to_page}\n",
		"c.yaml": strings.Replace(minimal, "sqlite:///var/lib/sallyport/", "sqlite:///${PWD}/", 1) + "tenant_files: [t.yaml]\n" +
			"delivery: {push: {apns: {key_file: \"${KEY}\", key_id: ABC123DEFG, team_id: DEF123GHIJ, topic: a.b}}}\n",
	})
	for key, want := range map[string]string{"": "t.yaml:3: clients[0].push_binding: nothing is pushed: delivery.push has no service", filepath.Join(dir, "apns.p8"): ""} {
		c, tenants, err := config.Check(filepath.Join(dir, "c.yaml"), environment(map[string]string{"KEY": key, "PWD": dir}))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(config.Warnings(c, tenants), "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWarnsOfStrict(t *testing.T) {
	dir := folder(t, map[string]string{"c.yaml": minimal + "profile: strict\n"})
	got := warned(t, filepath.Join(dir, "c.yaml"), nil)
	for _, part := range []string{"c.yaml:7: profile: nobody can log in: ", "password grants", "no authorization endpoint yet"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in %q", part, got)
		}
	}
}

func TestWarnsOfTenants(t *testing.T) {
	file, vars := fixture(t)
	_, tenants, err := config.Check(file, environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	got := tenants[0].Warnings()
	want := []string{
		":14: clients[0].grants[3]: valid, but not served by this version: there is no auth", ":16: clients[0].redirect_uris: ",
	}
	if len(got) != len(want) {
		t.Fatalf("warnings:\n%s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], "tenant.yaml"+want[i]) {
			t.Errorf("warning %d = %q, want %q in it", i, got[i], want[i])
		}
	}
}

func TestDatabaseFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		dir:                        "",
		filepath.Join(dir, "none"): "there is no folder " + filepath.Join(dir, "none") + "; make it for the user of the gateway with `install -d -m 700 ",
		filepath.Join(dir, "file"): "is no folder",
		filepath.Join(dir, "shut"): "may not write to the folder",
	}
	if err := os.Mkdir(filepath.Join(dir, "shut"), 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		cases[filepath.Join(dir, "shut")] = "" // root may write everywhere
	}
	for at, want := range cases {
		file := filepath.Join(folder(t, map[string]string{"c.yaml": strings.Replace(minimal, "/var/lib/sallyport", at, 1)}), "c.yaml")
		_, _, err := config.Check(file, environment(nil))
		if want == "" && err != nil {
			t.Errorf("%s: %v", at, err)
		} else if want != "" {
			if err == nil || !strings.Contains(err.Error(), "c.yaml:4: database.url: ") || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", at, err, want)
			}
		}
	}
}

func TestNoConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.yaml")
	want := file + ": there is no such file; name the configuration with --config or SALLYPORT_CONFIG"
	if _, err := config.Load(file, environment(nil)); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := config.LoadTenant(file, environment(nil)); err == nil || err.Error() != file+": there is no such file" {
		t.Errorf("a tenant file: %v", err)
	}
	missing := filepath.Join(folder(t, map[string]string{"c.yaml": strings.Replace(minimal, "keys.json", "none/keys.json", 1)}), "c.yaml")
	if _, err := config.Load(missing, environment(nil)); err == nil || !strings.Contains(err.Error(), "keys.json, nor its folder") {
		t.Errorf("%v", err)
	}
}
