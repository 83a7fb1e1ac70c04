package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
)

// seal does what a gateway that serves does twice a second.
func (k *desk) seal() {
	k.t.Helper()
	k.database(func(db database) error { return db.Seal(k.t.Context()) })
}

// logins records half a login and a whole one.
func (k *desk) logins(at time.Time) {
	k.t.Helper()
	k.database(func(db database) error {
		for _, e := range []audit.Event{
			{Type: audit.FactorDemanded, Success: true, Transaction: "left", Client: "spa"},
			{Type: audit.FactorDemanded, Success: true, Transaction: "finished", Client: "spa"},
			{Type: audit.TokensIssued, Success: true, Transaction: "finished", Client: "s\x1b[2J\u009b\u202e\U000e0001pa", Authenticators: []string{"totp|a"}},
		} {
			e.At, e.Subject, e.Address = at, "auth0|alice", "192.0.2.1"
			if err := db.Append(k.t.Context(), e); err != nil {
				return err
			}
		}
		return nil
	})
}

// exported is what audit export prints, a map for each line.
func (k *desk) exported(args ...string) []map[string]any {
	k.t.Helper()
	var rows []map[string]any
	for line := range strings.Lines(k.want(exitOK, "", append([]string{"audit", "export"}, args...)...)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			k.t.Fatalf("%v: %s", err, line)
		}
		rows = append(rows, row)
	}
	return rows
}

func TestAuditVerify(t *testing.T) {
	k := readyDesk(t)
	k.says("nothing is sealed yet", exitFailed, "", "audit", "head")
	if out := k.want(exitOK, "", "audit", "verify"); out != "0 sealed records hold\n" {
		t.Errorf("an empty audit: %q", out)
	}
	k.logins(time.Now())
	if out := k.says("0 sealed records hold", exitOK, "", "audit", "verify"); !strings.Contains(out, "3 more are not sealed") {
		t.Errorf("before it is sealed: %q", out)
	}
	k.seal()
	head := k.want(exitOK, "", "audit", "head")
	if out := k.want(exitOK, "", "audit", "verify"); out != "3 sealed records hold\nhead: "+head {
		t.Errorf("verified %q, the head is %q", out, head)
	}
	k.logins(time.Now())
	k.seal()
	k.says("6 sealed records hold", exitOK, "", "audit", "verify", "--head", strings.TrimSpace(head))
	other := k.want(exitOK, "", "audit", "head")
	k.says("is no head", exitMisuse, "", "audit", "verify", "--head", "6")

	wrong := "5" + strings.TrimSpace(other)[1:]
	k.says("record 5 is not the one of the head", exitDamage, "", "audit", "verify", "--head", wrong)
	k.says("records 7 to 9 are cut off", exitDamage, "", "audit", "verify", "--head", "9"+wrong[1:])

	ring, err := secret.NewRing(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Save(k.folder + "/other.json"); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(strings.Replace(deskConfig, "%d", "18080", 1), "%d", "19090", 1)
	k.write("sallyport.yaml", strings.Replace(strings.Replace(text, "%s", k.folder, 1), "keys.json", "other.json", 1))
	out := k.says("records 1 to 6 are sealed with a key that the key ring lacks", exitDamage, "", "audit", "verify")
	if !strings.Contains(out, "docs/operations.md") {
		t.Errorf("nothing says what to do: %s", out)
	}
	k.says("does not hold", exitFailed, "", "audit", "head")
}

func TestAuditExport(t *testing.T) {
	k := readyDesk(t)
	began := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	k.deps.now = func() time.Time { return began.Add(24 * time.Hour) }
	k.logins(began)
	k.seal()
	k.logins(began.Add(24 * time.Hour))
	rows := k.exported()
	if len(rows) != 6 || rows[3]["seq"] != nil || rows[3]["hash"] != nil {
		t.Fatalf("exported %v", rows)
	}
	head := strings.TrimSpace(k.want(exitOK, "", "audit", "head"))
	hash, _ := rows[2]["hash"].(string)
	if rows[2]["seq"] != 3.0 || head != "3."+hash {
		t.Errorf("the head %q is not in %v", head, rows[2])
	}
	delete(rows[2], "hash")
	delete(rows[2], "id")
	got, err := json.Marshal(rows[2])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"address":"192.0.2.1","at":"2026-03-01T12:00:00.005Z","authenticators":["totp|a"],"client":"s\u001b[2J` +
		"\u009b\u202e\U000e0001" + `pa","seq":3,"subject":"auth0|alice","success":true,"transaction":"finished","type":"tokens.issued"}`
	if string(got) != want {
		t.Errorf("exported\n%s, want\n%s", got, want)
	}
	if out := k.want(exitOK, "", "audit", "export"); strings.ContainsAny(out, "\x1b\u009b\u202e\U000e0001") {
		t.Errorf("the terminal is moved by %q", out)
	}
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"--since", "2026-03-02"}, 3},
		{[]string{"--since", "2026-03-01T12:00:00.005Z", "--until", "2026-03-02T12:00:00.005Z"}, 3},
		{[]string{"--since", "1h"}, 3},
		{[]string{"--since", "25h"}, 6},
		{[]string{"--until", "2026-03-01"}, 0},
		{[]string{"--abandoned"}, 1}, // the other one may still be finished
		{[]string{"--abandoned", "--since", "2026-03-02"}, 0},
	} {
		if got := len(k.exported(tt.args...)); got != tt.want {
			t.Errorf("%v: %d records, want %d", tt.args, got, tt.want)
		}
	}
	k.says("is no time", exitMisuse, "", "audit", "export", "--since", "yesterday")
	k.says("is no time", exitMisuse, "", "audit", "export", "--until", "-1h")
}

// Tail shows the last ten, then each record once it is sealed.
func TestAuditTail(t *testing.T) {
	k := readyDesk(t)
	for range 4 {
		k.logins(time.Now())
	}
	k.seal()
	lines, stop := k.begin(`"seq":12,`, toStdout, "audit", "tail")
	if len(lines) != 10 || !strings.Contains(lines[0], `"seq":3,`) {
		t.Errorf("the last ten are\n%s", strings.Join(lines, "\n"))
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	k.logins(time.Now())
	path, _ := k.deps.getenv("SALLYPORT_CONFIG")
	beside := k.deps
	beside.stderr = os.Stderr
	k.deps.wait = func(ctx context.Context, _ time.Duration) error { // a gateway seals meanwhile
		err := beside.withDatabase(ctx, path, func(db database) error { return db.Seal(ctx) })
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		return err
	}
	lines, stop = k.begin(`"seq":15,`, toStdout, "audit", "tail", "--after", "11")
	var seqs []string
	for _, line := range lines {
		seqs = append(seqs, line[strings.Index(line, `"seq":`)+6:][:2])
	}
	if want := []string{"12", "13", "14", "15"}; !slices.Equal(seqs, want) {
		t.Errorf("followed %q, want %q", seqs, want)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// A gateway that stops leaves nothing behind that could be changed unseen.
func TestSealedAtTheEnd(t *testing.T) {
	k := readyDesk(t)
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder))
	_, stop := k.begin(`"msg":"serving"`, toStderr, "serve")
	k.logins(time.Now())
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if out := k.says("sealed records hold", exitOK, "", "audit", "verify"); strings.Contains(out, "not sealed") {
		t.Errorf("after the end: %s", out)
	}
}
