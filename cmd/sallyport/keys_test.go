package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/sallyport/keyring"
)

// listed are the keys as `keys list` shows them to a program, by use and state.
func (k *desk) listed() map[string][]keyring.Key {
	k.t.Helper()
	var keys []keyring.Key
	if err := json.Unmarshal([]byte(k.want(exitOK, "", "keys", "list", "--json")), &keys); err != nil {
		k.t.Fatal(err)
	}
	states := map[string][]keyring.Key{}
	for _, key := range keys {
		states[key.Use+" "+key.State] = append(states[key.Use+" "+key.State], key)
	}
	return states
}

func TestKeysRotate(t *testing.T) {
	k := newDesk(t)
	c := newClock(t)
	k.deps.now = c.now
	k.want(exitOK, "", "keys", "init")
	k.says("sallyport migrate", exitFailed, "", "keys", "rotate")
	k.want(exitOK, "", "migrate")
	k.says("--finish goes with --sealing", exitMisuse, "", "keys", "rotate", "--finish")

	// Twice, a day and more later: as a first rotation finds nothing, each makes two.
	for range 2 {
		k.says("made new signing keys; they are published now, and sign from ", exitOK, "", "keys", "rotate")
		k.says("do not sign yet", exitFailed, "", "keys", "rotate")
		if got := k.listed(); len(got["ES256 waits"]) != 1 || len(got["RS256 waits"]) != 1 {
			t.Errorf("listed %v", got)
		}
		if err := c.wait(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	got := k.listed()
	if len(got["ES256 signs"]) != 1 || len(got["ES256 published"]) != 1 || got["ES256 published"][0].Until == nil || got["ES256 signs"][0].Until != nil {
		t.Errorf("listed %v", got)
	}
	if err := c.wait(t.Context(), 25*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := k.listed(); len(got["RS256 retired"]) != 1 || len(got["RS256 signs"]) != 1 {
		t.Errorf("a day later %v", got)
	}
	if out := k.want(exitOK, "", "keys", "list"); !strings.HasPrefix(out, "ID ") || !strings.Contains(out, "sealing") {
		t.Errorf("listed %s", out)
	}
}

func TestKeysRotateSealing(t *testing.T) {
	k := readyDesk(t)
	path := filepath.Join(k.folder, "keys.json")
	if out := k.want(exitOK, "", "keys", "rotate", "--sealing", "--finish"); out != "nothing to do\n" {
		t.Errorf("finished %q", out)
	}
	k.database(func(db database) error { return db.HoldRing(t.Context(), "behind") })
	k.says("added the key ", exitOK, "", "keys", "rotate", "--sealing")
	k.says("the ring has 2 keys already", exitFailed, "", "keys", "rotate", "--sealing")
	k.says("the node behind seals with ", exitFailed, "", "keys", "rotate", "--sealing", "--finish")
	k.database(func(db database) error { return db.LeaveRing(t.Context(), "behind") })
	k.says("does not seal yet", exitFailed, "", "keys", "rotate", "--sealing", "--finish")
	k.want(exitOK, "", "keys", "rotate") // sealed with the old key
	k.database(func(db database) error { return db.HoldRing(t.Context(), "behind") })
	k.says("is good until ", exitFailed, "", "keys", "rotate", "--sealing", "--finish")
	k.deps.now = func() time.Time { return time.Now().Add(12 * time.Minute) }
	k.says("2 signing keys are sealed with ", exitFailed, "", "keys", "rotate", "--sealing", "--finish")
	got := k.listed()
	if old := got["sealing opens"]; len(old) != 1 || old[0].Sealed != "2 signing keys" || len(got["sealing seals"]) != 1 {
		t.Errorf("listed %v", got)
	}
	k.database(func(db database) error {
		if err := db.FollowRing(t.Context()); err != nil {
			return err
		}
		_, err := db.Reseal(t.Context())
		return err
	})
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k.says("if nobody does, remove "+path+".new", exitFailed, "", "keys", "rotate", "--sealing", "--finish")
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	k.says("took ", exitOK, "", "keys", "rotate", "--sealing", "--finish")
	if got := k.listed(); len(got["sealing opens"]) != 0 || len(got["sealing seals"]) != 1 || got["sealing seals"][0].Sealed != "2 signing keys" {
		t.Errorf("listed %v", got)
	}
	events := k.recorded()
	for _, want := range []string{"keys rotate: key.created ", ": key.chosen ", "keys rotate: key.removed "} {
		if !slices.Contains(events, want) {
			t.Errorf("%q is not recorded: %q", want, events)
		}
	}
}
