package roster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/sallyport/roster"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// people are users in the order of their ids.
type people struct {
	all   []identity.User
	reads int
	fails int // the read that fails

	failures map[string]throttle.Failures
	pushes   map[string]oob.History
	broken   error // of what they wait for
	deaf     error
}

// Users implements roster.Source.
func (p *people) Users(_ context.Context, after string, limit int) ([]identity.User, error) {
	if p.reads++; p.reads == p.fails {
		return nil, errors.New("the database does not answer")
	}
	from, found := slices.BinarySearchFunc(p.all, after, func(u identity.User, id string) int { return strings.Compare(u.ID, id) })
	if found {
		from++
	}
	return p.all[from:min(from+limit, len(p.all))], nil
}

// Failures implements roster.Source.
func (p *people) Failures(_ context.Context, ids []string) (map[string]throttle.Failures, error) {
	all := map[string]throttle.Failures{}
	for _, id := range ids {
		all[id] = p.failures[id]
	}
	return all, p.broken
}

// PushHistories implements roster.Source.
func (p *people) PushHistories(_ context.Context, ids []string) (map[string]oob.History, error) {
	all := map[string]oob.History{}
	for _, id := range ids {
		all[id] = p.pushes[id]
	}
	return all, p.deaf
}

var waits = roster.Waits{
	Now:      time.Date(2026, 3, 1, 23, 50, 30, 0, time.UTC),
	Attempts: throttle.Limits{Free: 4, Daily: 25, Disable: 100},
	Pushes:   oob.Limits{Minute: 5, Hour: 20, Gateway: 600, Code: 3, Pause: 6, For: 30 * time.Minute},
}

// Every user is listed once, however many reads that takes, and none if one of them fails.
func TestEveryUserOnce(t *testing.T) {
	for _, c := range []struct{ users, reads int }{{0, 1}, {1, 1}, {499, 1}, {500, 2}, {1001, 3}} {
		p := &people{}
		for i := range c.users {
			p.all = append(p.all, identity.User{ID: fmt.Sprintf("auth0|%05d", i)})
		}
		var out bytes.Buffer
		if err := roster.List(t.Context(), &out, true, p, waits); err != nil {
			t.Fatal(err)
		}
		var rows []roster.Row
		if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(rows, p.all, func(r roster.Row, u identity.User) bool { return r.ID == u.ID }) || p.reads != c.reads {
			t.Errorf("%d users: %d rows after %d reads", c.users, len(rows), p.reads)
		}
		out.Reset()
		if err := roster.List(t.Context(), &out, true, &people{all: p.all, fails: c.reads}, waits); err == nil || out.Len() > 0 {
			t.Errorf("%d users, and a read that fails: %v, %d bytes", c.users, err, out.Len())
		}
	}
}

// Who is disabled logs in as little after a report as before, and that is what counts.
func TestState(t *testing.T) {
	var out bytes.Buffer
	err := roster.List(t.Context(), &out, false, &people{all: []identity.User{
		{ID: "a", Username: "anna"}, {ID: "b", Blocked: true}, {ID: "c", Reported: true}, {ID: "d", Blocked: true, Reported: true},
		{ID: "e"}, {ID: "f"}, {ID: "g"}, {ID: "h", Reported: true}, {ID: "i"},
	}, failures: map[string]throttle.Failures{
		"e": {Count: 4, Last: waits.Now}, "g": {Count: 26, Last: waits.Now}, "h": {Count: 4, Last: waits.Now},
		"i": {Count: 4, Last: waits.Now.Add(-time.Second)},
	}, pushes: map[string]oob.History{
		"f": {Refusals: 6, RefusedAt: waits.Now}, "g": {Refusals: 6, RefusedAt: waits.Now},
	}}, waits)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"ID USERNAME EMAIL NAME STATE", "a anna - - enabled", "b - - - disabled", "c - - - reported", "d - - - disabled",
		"e - - - waiting until 23:51Z", "f - - - pushes paused until 00:21Z", "g - - - waiting until 00:51Z", "h - - - reported", "i - - - enabled"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Where it cannot be read what users wait for, nobody is said to wait for nothing.
func TestWaitsUnknown(t *testing.T) {
	down := errors.New("the database does not answer")
	for _, p := range []*people{{broken: down}, {deaf: down}} {
		p.all = []identity.User{{ID: "a"}}
		var out bytes.Buffer
		if err := roster.List(t.Context(), &out, false, p, waits); !errors.Is(err, down) || out.Len() > 0 {
			t.Errorf("%v, %q", err, out.String())
		}
	}
}
