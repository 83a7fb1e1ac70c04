package conformance

import (
	"encoding/json"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

func registryTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"clients round trip":               clientRoundTrip,
		"what did not change is not saved": unchangedIsNotSaved,
		"a file undoes nothing":            fileUndoesNothing,
		"APIs round trip":                  apiRoundTrip,
		"nodes see changes":                nodesSeeChanges,
		"a view ages":                      viewAges,
		"origins of enabled clients":       originsOfClients,
		"50 save one client":               raceClient,
		"secrets rotate":                   secretsRotate,
		"50 rotate one secret":             raceSecret,
	}
}

func (s *databaseSuite) save(t *testing.T, c record.Client) bool {
	t.Helper()
	changed, err := s.a.Tenant.SaveClient(t.Context(), c, audit.Event{At: s.now(), Type: audit.ClientChanged, Success: true})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func (s *databaseSuite) wantClient(t *testing.T, n Node, want record.Client) {
	t.Helper()
	got, err := n.Registry.Client(t.Context(), want.ID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func clientRoundTrip(t *testing.T, s *databaseSuite) {
	c := client()
	c.ID, c.Confidential, c.ManagedBy = "web", true, record.ManagedByAPI
	c.Origins, c.RedirectURIs = []string{"https://app.example.test"}, []string{"https://app.example.test/cb"}
	c.Keys = json.RawMessage(`{"keys":[{"kty":"EC"}]}`)
	c.SecretHashes = []string{secret.Hash(secret.New("one")), secret.Hash(secret.New("two"))}
	s.save(t, c)
	got, err := s.b.Registry.Client(t.Context(), "web")
	if err != nil || len(got.SecretHashes) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	c.SecretHashes = got.SecretHashes // saved together, their order is open
	s.wantClient(t, s.b, c)
	c.SecretHashes = c.SecretHashes[:1]
	if !s.save(t, c) {
		t.Error("taking a secret away is no change")
	}
	s.wantClient(t, s.a, c)
	for _, id := range []string{"WEB", "nobody", ""} {
		if _, err := s.b.Registry.Client(t.Context(), id); fault.Of(err) != fault.NotFound {
			t.Errorf("client %q: %v, want NotFound", id, err)
		}
	}
}

func unchangedIsNotSaved(t *testing.T, s *databaseSuite) {
	before := s.a.State.Dump(t)
	s.pass(time.Minute)
	if s.save(t, client()) {
		t.Error("the same client is a change")
	}
	if s.a.State.Dump(t) != before {
		t.Error("something was written though nothing changed")
	}
	c := client()
	c.Name = "Another"
	if !s.save(t, c) || s.events(t, audit.ClientChanged) != 1 {
		t.Error("a change and its event")
	}
}

func fileUndoesNothing(t *testing.T, s *databaseSuite) {
	c := client()
	c.ManagedBy, c.Name = record.ManagedByAPI, "By hand"
	if !s.save(t, c) {
		t.Error("taking over is a change")
	}
	if s.save(t, client()) {
		t.Error("the file changed what was changed by hand")
	}
	s.wantClient(t, s.a, c)
}

func apiRoundTrip(t *testing.T, s *databaseSuite) {
	a := record.API{
		Audience: "https://api.example.test/", Name: "Things", Scopes: []string{"read:things", "write:things"},
		MFAScopes: []string{"write:things"}, AccessTokenLifetime: 15 * time.Minute, ManagedBy: record.ManagedByFile,
	}
	e := audit.Event{At: s.now(), Type: audit.APIChanged, Success: true}
	for _, want := range []bool{true, false} {
		if changed, err := s.a.Tenant.SaveAPI(t.Context(), a, e); err != nil || changed != want {
			t.Errorf("changed %v, %v, want %v", changed, err, want)
		}
	}
	if n := s.events(t, audit.APIChanged); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	if got, err := s.b.Registry.API(t.Context(), a.Audience); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, a)
	}
	if _, err := s.b.Registry.API(t.Context(), "https://api.example.test"); fault.Of(err) != fault.NotFound {
		t.Errorf("an audience without its slash: %v, want NotFound", err)
	}
}

func nodesSeeChanges(t *testing.T, s *databaseSuite) {
	want := client()
	s.wantClient(t, s.a, want)
	s.wantClient(t, s.b, want)
	if err := s.a.Tenant.SetClientDisabled(t.Context(), spa, true, s.changed("")); err != nil {
		t.Fatal(err)
	}
	disabled := want
	disabled.Disabled = true
	s.wantClient(t, s.a, disabled) // at once where it was changed
	s.wantClient(t, s.b, want)     // from memory
	if err := s.b.Tenant.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantClient(t, s.b, disabled)
	if err := s.a.Tenant.SetClientDisabled(t.Context(), "nobody", true, s.changed("")); fault.Of(err) != fault.NotFound {
		t.Errorf("disable nobody: %v, want NotFound", err)
	}
}

// A node that has had no word of the revision for a second does not trust its memory.
func viewAges(t *testing.T, s *databaseSuite) {
	s.wantClient(t, s.b, client())
	if err := s.a.Tenant.SetClientDisabled(t.Context(), spa, true, s.changed("")); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Second)
	disabled := client()
	disabled.Disabled = true
	s.wantClient(t, s.b, disabled)
}

// An origin is open while any client that has it is, and on both nodes.
func originsOfClients(t *testing.T, s *databaseSuite) {
	const shared, own = "https://app.example.test", "http://localhost:3000"
	one, two := client(), client()
	one.ID, one.Origins = "one", []string{shared}
	two.ID, two.Origins = "two", []string{own, shared}
	s.save(t, one)
	s.save(t, two)
	open := func(want bool, origins ...string) {
		t.Helper()
		for _, origin := range origins {
			for _, n := range []Node{s.a, s.b} {
				if got, err := n.Registry.HasOrigin(t.Context(), origin); err != nil || got != want {
					t.Errorf("%q: %v, %v, want %v", origin, got, err, want)
				}
			}
		}
	}
	disable := func(id string) {
		t.Helper()
		if err := s.a.Tenant.SetClientDisabled(t.Context(), id, true, s.changed("")); err != nil {
			t.Fatal(err)
		}
		if err := s.b.Tenant.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	open(true, shared, own)
	open(false, "", "null", "*", shared+"/", shared+".evil.test", "https://APP.example.test", shared+":443", "http://app.example.test", "http://localhost")
	disable("two")
	open(true, shared)
	open(false, own)
	disable("one")
	open(false, shared, own)
}

func raceClient(t *testing.T, s *databaseSuite) {
	var changed atomic.Int64
	atBarrier(func(i int) {
		c := client()
		c.ID = "new"
		did, err := s.node(i).Tenant.SaveClient(t.Context(), c, s.changed(""))
		if err != nil {
			t.Errorf("save: %v", err)
		}
		if did {
			changed.Add(1)
		}
	})
	if changed.Load() != 1 {
		t.Errorf("%d saves of one client changed something, want 1", changed.Load())
	}
}
