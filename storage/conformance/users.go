package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
)

func userTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"users by identifier":       usersByIdentifier,
		"identifiers are unique":    identifiersUnique,
		"50 take one name":          raceName,
		"users change":              usersChange,
		"users are blocked":         usersBlocked,
		"password hashes change":    passwordHashes,
		"user times are exact":      userTimes,
		"names that name nobody":    namesNobody,
		"the address is the name":   addressIsName,
		"a user without a password": noPassword,
		"a deleted user":            userDeleted,
	}
}

// byIdentifier looks a user up as a login does.
func (s *databaseSuite) byIdentifier(t *testing.T, typed string) (identity.User, string, error) {
	t.Helper()
	normalized, ok := identity.Normalize(typed)
	if !ok {
		t.Fatalf("%q names nobody", typed)
	}
	return s.b.Users.UserByIdentifier(t.Context(), identity.DefaultConnection, normalized)
}

func (s *databaseSuite) wantUser(t *testing.T, typed, id string) {
	t.Helper()
	u, _, err := s.byIdentifier(t, typed)
	switch {
	case id == "" && fault.Of(err) != fault.NotFound:
		t.Errorf("%q is %s, %v, want NotFound", typed, u.ID, err)
	case id != "" && (err != nil || u.ID != id):
		t.Errorf("%q is %q, %v, want %s", typed, u.ID, err, id)
	}
}

func usersByIdentifier(t *testing.T, s *databaseSuite) {
	u, hash, err := s.byIdentifier(t, "alice@example.test")
	if err != nil || hash != "hash of alice" {
		t.Fatalf("%v, hash %q", err, hash)
	}
	want := identity.User{
		ID: alice, Username: "alice", Email: "alice@example.test", EmailVerified: true,
		PhoneNumber: "+4915550100042", Name: "Alice", UpdatedAt: s.now(), PasswordAt: s.now(),
	}
	if u != want {
		t.Errorf("got  %+v\nwant %+v", u, want)
	}
	strasse := identity.User{ID: "auth0|de", Username: "Straße", Email: "É@example.test"}
	if err := s.a.People.CreateUser(t.Context(), strasse, "h", record.ManagedByAPI, s.changed("auth0|de")); err != nil {
		t.Fatal(err)
	}
	for typed, id := range map[string]string{
		"ALICE": alice, " alice ": alice, "ａｌｉｃｅ": alice, "Alice@Example.TEST": alice,
		"STRASSE": "auth0|de", "e\u0301@example.test": "auth0|de",
		"аlice": "" /* a Cyrillic a */, "alice.": "", "carol": "", "alice%": "",
	} {
		s.wantUser(t, typed, id)
	}
	if _, _, err := s.b.Users.UserByIdentifier(t.Context(), "another-connection", "alice"); fault.Of(err) != fault.NotFound {
		t.Errorf("another connection: %v, want NotFound", err)
	}
}

func identifiersUnique(t *testing.T, s *databaseSuite) {
	for param, u := range map[string]identity.User{
		"id":       {ID: alice, Username: "other"},
		"username": {ID: "auth0|new", Username: "Alice@example.test"}, // somebody's address
		"email":    {ID: "auth0|new", Username: "new", Email: "ALICE"},
	} {
		before := s.a.State.Dump(t)
		err := s.b.People.CreateUser(t.Context(), u, "h", record.ManagedByAPI, s.changed(u.ID))
		wantParam(t, err, param)
		if s.a.State.Dump(t) != before {
			t.Errorf("%s: half a user was left behind", param)
		}
	}
	u := identity.User{ID: bob, Username: "bob", Email: "alice@example.test"}
	_, err := s.b.People.UpdateUser(t.Context(), u, s.changed(bob))
	wantParam(t, err, "email")
	s.wantUser(t, "bob", bob)
}

func wantParam(t *testing.T, err error, param string) {
	t.Helper()
	var d *fault.Details
	if !errors.As(err, &d) || d.Kind != fault.BadRequest || d.Param != param {
		t.Errorf("%v, want BadRequest about %s", err, param)
	}
}

func raceName(t *testing.T, s *databaseSuite) {
	won := make(chan string, parallel)
	atBarrier(func(i int) {
		u := identity.User{ID: "auth0|" + numbered(i), Username: "wanted"}
		switch err := s.node(i).People.CreateUser(t.Context(), u, "h", record.ManagedByAPI, s.changed(u.ID)); {
		case err == nil:
			won <- u.ID
		case fault.Of(err) != fault.BadRequest:
			t.Errorf("loser got %v, want BadRequest", err)
		}
	})
	if len(won) != 1 {
		t.Fatalf("%d users have one name", len(won))
	}
	s.wantUser(t, "wanted", <-won)
}

func usersChange(t *testing.T, s *databaseSuite) {
	u, err := s.a.State.User(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	before := s.a.State.Dump(t)
	if changed, err := s.a.People.UpdateUser(t.Context(), u, s.changed(alice)); err != nil || changed {
		t.Errorf("nothing new: %v, %v", changed, err)
	}
	if s.a.State.Dump(t) != before {
		t.Error("something was written though nothing changed")
	}
	s.pass(time.Minute)
	u.Username, u.Email, u.EmailVerified, u.Name = "alicia", "", false, "Alicia"
	if changed, err := s.a.People.UpdateUser(t.Context(), u, s.changed(alice)); err != nil || !changed {
		t.Errorf("update: %v, %v", changed, err)
	}
	u.UpdatedAt, u.PasswordAt = s.now(), epoch
	if got, _, err := s.byIdentifier(t, "alicia"); err != nil || got != u {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, u)
	}
	s.wantUser(t, "alice", "")
	s.wantUser(t, "alice@example.test", "")
	u.ID = "auth0|nobody"
	if _, err := s.a.People.UpdateUser(t.Context(), u, s.changed("")); fault.Of(err) != fault.NotFound {
		t.Errorf("update of nobody: %v, want NotFound", err)
	}
}

func usersBlocked(t *testing.T, s *databaseSuite) {
	n := s.events(t, audit.UserChanged)
	for range 2 { // the second changes nothing and records nothing
		if err := s.a.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.events(t, audit.UserChanged); got != n+1 {
		t.Errorf("%d events, want 1", got-n)
	}
	if u, _, err := s.byIdentifier(t, "alice"); err != nil || !u.Blocked {
		t.Errorf("blocked %v, %v", u.Blocked, err)
	}
	if err := s.a.People.SetUserBlocked(t.Context(), "auth0|nobody", true, s.changed("")); fault.Of(err) != fault.NotFound {
		t.Errorf("block nobody: %v, want NotFound", err)
	}
}

func passwordHashes(t *testing.T, s *databaseSuite) {
	replace := func(from, to, want string) {
		t.Helper()
		if err := s.a.Users.ReplacePasswordHash(t.Context(), alice, from, to); err != nil {
			t.Error(err)
		}
		if _, hash, err := s.byIdentifier(t, "alice"); err != nil || hash != want {
			t.Errorf("hash %q, %v, want %q", hash, err, want)
		}
	}
	replace("another", "no", "hash of alice")
	replace("hash of alice", "upgraded", "upgraded")
	if err := s.a.People.SetPassword(t.Context(), alice, "chosen", s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	replace("upgraded", "no", "chosen") // a login that began before the change
	if err := s.a.People.SetPassword(t.Context(), "auth0|nobody", "h", s.changed("")); fault.Of(err) != fault.NotFound {
		t.Errorf("password of nobody: %v, want NotFound", err)
	}
}

// Every millisecond survives, whatever the database makes of time.
func userTimes(t *testing.T, s *databaseSuite) {
	for i := range 20 {
		s.pass(7919 * time.Hour / 10)
		s.pass(time.Duration(i) * time.Millisecond)
		u := identity.User{ID: "auth0|" + numbered(i), Username: numbered(i)}
		if err := s.a.People.CreateUser(t.Context(), u, "", record.ManagedByAPI, s.changed(u.ID)); err != nil {
			t.Fatal(err)
		}
		got, err := s.b.State.User(t.Context(), u.ID)
		if err != nil || !got.UpdatedAt.Equal(s.now()) || got.UpdatedAt.Location() != time.UTC {
			t.Errorf("%v, %v, want %v", got.UpdatedAt, err, s.now())
		}
	}
}

func namesNobody(t *testing.T, s *databaseSuite) {
	for param, u := range map[string]identity.User{
		"username": {ID: "auth0|new", Username: "a\u200bb"},
		"email":    {ID: "auth0|new", Username: "new", Email: " "},
	} {
		wantParam(t, s.a.People.CreateUser(t.Context(), u, "h", record.ManagedByAPI, s.changed(u.ID)), param)
	}
}

func addressIsName(t *testing.T, s *databaseSuite) {
	u := identity.User{ID: "auth0|new", Username: "New@example.test", Email: "new@EXAMPLE.test"}
	if err := s.a.People.CreateUser(t.Context(), u, "h", record.ManagedByAPI, s.changed(u.ID)); err != nil {
		t.Fatal(err)
	}
	s.wantUser(t, "new@example.test", u.ID)
}

func noPassword(t *testing.T, s *databaseSuite) {
	u := identity.User{ID: "auth0|new", Username: "new", Blocked: true}
	if err := s.a.People.CreateUser(t.Context(), u, "", record.ManagedByAPI, s.changed(u.ID)); err != nil {
		t.Fatal(err)
	}
	got, hash, err := s.byIdentifier(t, "new")
	if err != nil || hash != "" || !got.Blocked {
		t.Errorf("hash %q, blocked %v, %v", hash, got.Blocked, err)
	}
	if err := s.a.People.SetPassword(t.Context(), u.ID, "first", s.changed(u.ID)); err != nil {
		t.Fatal(err)
	}
	if _, hash, err := s.byIdentifier(t, "new"); err != nil || hash != "first" {
		t.Errorf("hash %q, %v", hash, err)
	}
}

// A deleted user leaves an id that nobody gets again, and what was done on record.
func userDeleted(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	s.pass(time.Second)
	e := s.changed(alice)
	if err := s.a.Removals.DeleteUser(t.Context(), alice, e); err != nil {
		t.Fatal(err)
	}
	s.lives(t, false, "one")
	for _, name := range []string{"alice", "alice@example.test"} {
		if _, _, err := s.byIdentifier(t, name); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dump := s.b.State.Dump(t)
	for _, known := range []string{"alice@example.test", "+4915550100042", "hash of alice"} {
		if strings.Contains(dump, known) {
			t.Errorf("%q is kept", known)
		}
	}
	again := identity.User{ID: alice, Username: "alice"}
	if err := s.b.People.CreateUser(t.Context(), again, "", record.ManagedByAPI, e); fault.Of(err) != fault.SubjectGone {
		t.Errorf("the same id again: %v", err)
	}
	again.ID = "auth0|another"
	if err := s.b.People.CreateUser(t.Context(), again, "", record.ManagedByAPI, e); err != nil {
		t.Errorf("the same name for another: %v", err)
	}
	if err := s.b.Removals.DeleteUser(t.Context(), alice, e); !errors.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if all, err := s.b.State.AuditEvents(t.Context(), 2); err != nil || len(all) < 2 || !equalEvents(all[1], e) {
		t.Errorf("on record: %+v, %v", all, err)
	}
}
