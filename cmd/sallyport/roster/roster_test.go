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

	"github.com/sallyport/sallyport/cmd/sallyport/roster"
	"github.com/sallyport/sallyport/pkg/identity"
)

// people are users in the order of their ids.
type people struct {
	all   []identity.User
	reads int
	fails int // the read that fails
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

// Every user is listed once, however many reads that takes, and none if one of them fails.
func TestEveryUserOnce(t *testing.T) {
	for _, c := range []struct{ users, reads int }{{0, 1}, {1, 1}, {499, 1}, {500, 2}, {1001, 3}} {
		p := &people{}
		for i := range c.users {
			p.all = append(p.all, identity.User{ID: fmt.Sprintf("auth0|%05d", i)})
		}
		var out bytes.Buffer
		if err := roster.List(t.Context(), &out, true, p); err != nil {
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
		if err := roster.List(t.Context(), &out, true, &people{all: p.all, fails: c.reads}); err == nil || out.Len() > 0 {
			t.Errorf("%d users, and a read that fails: %v, %d bytes", c.users, err, out.Len())
		}
	}
}

// Who is disabled logs in as little after a report as before, and that is what counts.
func TestState(t *testing.T) {
	var out bytes.Buffer
	err := roster.List(t.Context(), &out, false, &people{all: []identity.User{
		{ID: "a", Username: "anna"}, {ID: "b", Blocked: true}, {ID: "c", Reported: true}, {ID: "d", Blocked: true, Reported: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"ID USERNAME EMAIL NAME STATE", "a anna - - enabled", "b - - - disabled", "c - - - reported", "d - - - disabled"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
