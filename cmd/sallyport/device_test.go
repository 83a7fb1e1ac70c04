package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/phonetest"
)

// A hand is a desk with a phone on it, a provider, and a gateway that sends to it.
type hand struct {
	*desk
	*phonetest.Gateway
	sender   phonetest.Sender
	store    string
	provider string
}

func newHand(t *testing.T, profile string) *hand {
	t.Helper()
	k := newDesk(t)
	h := &hand{desk: k, Gateway: phonetest.NewPlain(t, profile), store: filepath.Join(k.folder, "phone", "device.json")}
	h.sender = phonetest.Sender{Now: time.Now, Credentials: filepath.Join(k.folder, "fcm.json"), APNsKey: filepath.Join(k.folder, "apns.p8")}
	lines, _ := k.begin("waits for pushes at", toStdout, "device", "provider", "--listen", "127.0.0.1:0", "--credentials", h.sender.Credentials, "--apns-key", h.sender.APNsKey)
	_, rest, _ := strings.Cut(lines[len(lines)-1], "waits for pushes at ")
	h.provider, _, _ = strings.Cut(rest, ". ")
	h.sender.Endpoint = h.provider
	if text := strings.Join(lines, "\n"); !strings.Contains(text, "credentials_file: \""+h.sender.Credentials+"\"\n      endpoint: "+h.provider+"\n") {
		t.Errorf("the provider says\n%s", text)
	}
	return h
}

// phone runs a command of the phone.
func (h *hand) phone(text string, code int, args ...string) string {
	h.desk.t.Helper()
	return h.says(text, code, "", append([]string{"device"}, append(args, "--store", h.store)...)...)
}

// enroll enrolls and returns the account.
func (h *hand) enroll() phonetest.Device {
	h.desk.t.Helper()
	uri, _ := h.Barcode()
	out := h.phone("for auth0|u1 at Acme", exitOK, "enroll", uri, "--url", h.URL(), "--profile", h.Profile, "--name", "Ann's terminal")
	id, _, _ := strings.Cut(strings.TrimPrefix(out, "enrolled "), " ")
	d, ok := h.Device(id)
	if !ok || d.Name != "Ann's terminal" {
		h.desk.t.Fatalf("the gateway does not have %q of %s", id, out)
	}
	return d
}

// push sends a push to an account over the service that it named.
func (h *hand) push(d phonetest.Device, change ...string) (challenge string) {
	h.desk.t.Helper()
	members := h.Push(d.ID)
	for i := 0; i < len(change); i += 2 {
		members[change[i]] = change[i+1]
	}
	status, body := 0, ""
	if d.Service == "APNS" {
		status, body = h.sender.APNs(h.desk.t, d.Token, time.Now().Add(time.Minute), phonetest.Alert(members))
	} else {
		status, body = h.sender.FCM(h.desk.t, d.Token, "120s", members)
	}
	if status != http.StatusOK {
		h.desk.t.Fatal(status, body)
	}
	return members["c"]
}

func (h *hand) decided(challenge string, want phonetest.Decision) {
	h.desk.t.Helper()
	if got, ok := h.Decision(challenge); !ok || got != want {
		h.desk.t.Errorf("the gateway was answered %+v, want %+v", got, want)
	}
}

func (h *hand) wait(text string, code int, args ...string) string {
	h.desk.t.Helper()
	return h.phone(text, code, append([]string{"wait", "--provider", h.provider}, args...)...)
}

func TestDevice(t *testing.T) {
	for _, profile := range []string{"android", "android-0.2", "swift", "swift-0.1", "web"} {
		t.Run(profile, func(t *testing.T) {
			h := newHand(t, profile)
			h.phone("ID", exitOK, "list")
			d := h.enroll()
			service := "GCM"
			if strings.HasPrefix(profile, "swift") {
				service = "APNS"
			}
			if d.Service != service {
				t.Errorf("it enrolled for %s", d.Service)
			}
			challenge := h.push(d)
			out := h.wait("Is it you", exitOK)
			wanted := []string{
				"account   auth0|u1 at Acme", "client    Shop", "device    Chrome 143.0 on Windows 11", "place     Lyon, FR - 203.0.113.7", "device approve", "device deny",
			}
			if !strings.Contains(profile, "0.") {
				wanted = append(wanted, "message   493-021", "audience  https://api.example.com", "scope     openid", `"amount":100`)
			}
			for _, want := range wanted {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not on the screen:\n%s", want, out)
				}
			}
			h.phone("for an answer", exitOK, "list")
			h.phone("approved the login of auth0|u1", exitOK, "approve")
			h.decided(challenge, phonetest.Decision{Accepted: true})
			h.phone("no push waits", exitFailed, "deny")

			challenge = h.push(d)
			h.wait("denied the login", exitOK, "--deny", "--reason", "hacked")
			h.decided(challenge, phonetest.Decision{Reason: "hacked"})
			challenge = h.push(d)
			h.wait("Is it you", exitOK)
			h.phone("denied the login", exitOK, "deny", "--reason", "mistake")
			h.decided(challenge, phonetest.Decision{Reason: "mistake"})
			challenge = h.push(d)
			h.wait("approved the login", exitOK, "--approve")
			h.decided(challenge, phonetest.Decision{Accepted: true})
			h.noSecrets(d)
		})
	}
}

// noSecrets lists the accounts, of which nothing secret may be seen, and looks at who may
// read the store.
func (h *hand) noSecrets(d phonetest.Device) {
	h.desk.t.Helper()
	out := h.phone(d.ID, exitOK, "list", "--json")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0]["profile"] != h.Profile || rows[0]["waits"] != false {
		h.desk.t.Errorf("%v: %s", err, out)
	}
	for _, hidden := range []string{d.Token, "opaque-", "JBSW", "private"} {
		if strings.Contains(out, hidden) {
			h.desk.t.Errorf("%s is listed:\n%s", hidden, out)
		}
	}
	for path, want := range map[string]os.FileMode{h.store: 0o600, filepath.Dir(h.store): 0o700, h.sender.Credentials: 0o600, h.sender.APNsKey: 0o600} {
		if at, err := os.Stat(path); err != nil || at.Mode().Perm() != want {
			h.desk.t.Errorf("%s is %v, want %v (%v)", path, at.Mode(), want, err)
		}
	}
}

// One phone has several accounts, and a push finds its own.
func TestDeviceAccounts(t *testing.T) {
	h := newHand(t, "android")
	first, second := h.enroll(), h.enroll()
	out := h.phone(first.ID, exitOK, "list")
	if !strings.Contains(out, second.ID) || first.Token == second.Token {
		t.Errorf("the accounts are\n%s", out)
	}
	for _, d := range []phonetest.Device{first, second, first} {
		challenge := h.push(d)
		h.wait("approved", exitOK, "--approve")
		h.decided(challenge, phonetest.Decision{Accepted: true})
	}
	h.push(first)
	h.wait("Is it you", exitOK)
	h.enroll() // leaves what waits
	h.phone("approved", exitOK, "approve")
}

func TestDeviceCode(t *testing.T) {
	h := newHand(t, "web")
	d := h.enroll()
	challenge := h.push(d, "gw_bind", "enter")
	h.wait("shows a code", exitOK)
	h.phone("add it with --code", exitMisuse, "approve")
	h.phone("approved", exitOK, "approve", "--code", "493021")
	h.decided(challenge, phonetest.Decision{Accepted: true, Code: "493021"})

	h = newHand(t, "android")
	d = h.enroll()
	h.push(d, "gw_bind", "enter")
	h.wait("sends no codes", exitMisuse, "--approve", "--code", "493021")
}

// A gateway whose certificate nobody else trusts is reached with SSL_CERT_FILE, which only
// a process of its own looks at.
func TestDeviceOverTLS(t *testing.T) {
	k := newDesk(t)
	g := phonetest.New(t, "swift")
	trusted := k.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Server.Certificate().Raw})))
	uri, _ := g.Barcode()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for certificates, want := range map[string]string{trusted: "enrolled dev_", k.write("none.pem", ""): "certificate"} {
		cmd := exec.CommandContext(t.Context(), self, "device", "enroll", uri, "--url", g.URL(), "--profile", "swift")
		cmd.Env = append(os.Environ(), clockVariable+"="+filepath.Join(k.folder, "clock"), "SSL_CERT_FILE="+certificates, "SSL_CERT_DIR="+k.folder+"/none",
			"HOME="+k.folder, "XDG_CONFIG_HOME="+filepath.Join(k.folder, "settings"))
		if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), want) {
			t.Errorf("with %s: %s", certificates, out)
		}
	}
	if g.Devices() != 1 {
		t.Errorf("the gateway has %d devices", g.Devices())
	}
	k.says("swift", exitOK, "", "device", "list", "--store", filepath.Join(k.folder, "settings", "sallyport", "device.json"))
}

// What the gateway says is told with what to do next.
func TestDeviceRefused(t *testing.T) {
	h := newHand(t, "swift")
	h.wait("device enroll", exitFailed)
	h.phone("let the client ask for another one", exitFailed, "enroll", "Kq3vT0mZ8cXyB1nR5sWd2fGh7jLp9aQe", "--url", h.URL(), "--profile", "swift")
	uri, ticket := h.Barcode()
	out := h.says("enrolled", exitOK, ticket+"\n", "device", "enroll", "-", "--url", h.URL(), "--profile", "swift", "--store", h.store)
	if strings.Contains(out, ticket) {
		t.Errorf("it prints the ticket: %s", out)
	}
	h.phone("let the client ask", exitFailed, "enroll", uri, "--url", h.URL(), "--profile", "swift") // used up
	h.phone("no push waits", exitFailed, "approve")
	id, _, _ := strings.Cut(strings.TrimPrefix(out, "enrolled "), " ")
	d, _ := h.Device(id)

	h.push(d)
	h.Answer("/resolve-transaction", phonetest.Refused(http.StatusServiceUnavailable, "unavailable"))
	h.wait("Is it you", exitOK)
	h.phone("503", exitFailed, "approve") // it may be tried again
	h.Answer("/resolve-transaction", phonetest.Refused(http.StatusNotFound, "login_transaction_not_found"))
	h.phone("another one took its place", exitFailed, "approve")
	h.phone("no push waits", exitFailed, "approve")

	challenge := h.push(d, "dai", "") // is passed over, and so is what the app cannot read
	h.push(d, "d", "2026-01-02T03:04:05Z")
	h.wait("no push came within", exitFailed, "--timeout", "300ms")
	if _, ok := h.Decision(challenge); ok {
		t.Error("it was answered")
	}
	h.push(d, "txlnkid", "gone")
	h.wait("the app shows no buttons", exitFailed)
	h.phone("no push waits", exitFailed, "approve")
	h.wait("the provider does not answer", exitFailed, "--provider", "http://127.0.0.1:1")
	another := httptest.NewServer(http.NotFoundHandler())
	defer another.Close()
	h.wait("is another server at", exitFailed, "--provider", another.URL)
}

func TestDeviceMisuse(t *testing.T) {
	k := newDesk(t)
	store := filepath.Join(k.folder, "device.json")
	for text, args := range map[string][]string{
		"name one of enroll":             {"bogus"},
		"--url is missing":               {"enroll", "ticket"},
		"--profile must be one of":       {"enroll", "ticket", "--url", "https://gw.example.com", "--profile", "windows", "--store", store},
		"no barcode_uri":                 {"enroll", "a:b", "--url", "https://gw.example.com", "--store", store},
		"accepts 1 arg":                  {"enroll"},
		"exclude each other":             {"wait", "--approve", "--deny"},
		"--reason goes with --deny":      {"wait", "--reason", "x"},
		"--code goes with --approve":     {"wait", "--code", "x"},
		"--timeout must be longer":       {"wait", "--timeout", "0s"},
		"--credentials is missing":       {"provider"},
		"loopback alone":                 {"provider", "--credentials", "x", "--listen", "0.0.0.0:0"},
		"--listen must be host:port":     {"provider", "--credentials", "x", "--listen", "x"},
		"unknown flag: --reason":         {"approve", "--reason", "x"},
		"unknown command \"now\" for":    {"deny", "now"},
		"unknown command \"bogus\" for ": {"list", "bogus"},
	} {
		k.says(text, exitMisuse, "", append([]string{"device"}, args...)...)
	}
	k.says("phones call by https alone", exitFailed, "", "device", "enroll", "ticket", "--url", "http://gw.example.com", "--store", store)
	k.write("device.json", "x")
	k.says("is not as `sallyport device` wrote it", exitFailed, "", "device", "list", "--store", store)
	k.says("it stays as it is", exitFailed, "", "device", "provider", "--listen", "127.0.0.1:0", "--credentials", store)
	if text, err := os.ReadFile(store); err != nil || string(text) != "x" {
		t.Errorf("the file became %q, %v", text, err)
	}
	k.write("device.json", `{"accounts":[{"id":"x"}]}`)
	k.says("no profile that is known", exitFailed, "", "device", "list", "--store", store)
}

// A provider that is started again knows the gateway that runs.
func TestProviderStartsAgain(t *testing.T) {
	k := newDesk(t)
	file := filepath.Join(k.folder, "fcm.json")
	var files [2][]byte
	for i := range files {
		_, stop := k.begin("waits for pushes", toStdout, "device", "provider", "--listen", "127.0.0.1:0", "--credentials", file)
		if code := stop(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		files[i] = readSecretFile(t, file)
	}
	if len(files[0]) == 0 || string(files[0]) != string(files[1]) {
		t.Error("the key is another one")
	}
}

// readSecretFile is the private_key of a service account.
func readSecretFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var account struct {
		Key string `json:"private_key"`
	}
	if err := json.Unmarshal(text, &account); err != nil {
		t.Fatal(err)
	}
	return []byte(account.Key)
}
