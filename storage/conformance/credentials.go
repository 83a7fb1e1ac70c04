package conformance

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

func credentialTests() map[string]func(*testing.T, *databaseSuite) {
	tests := map[string]func(*testing.T, *databaseSuite){
		"nothing changes behind the end of a credential": raceCredential,
		"what nobody issued is no credential":            credentialUnknown,
		"a revoked token confirms nothing":               credentialRevoked,
	}
	for _, e := range endings() {
		tests["a credential ends: "+e.name] = func(t *testing.T, s *databaseSuite) { credentialEnds(t, s, e) }
	}
	return tests
}

// An ending is something that ends what alice has.
type ending struct {
	name string
	ends []string // which credentials
	end  func(t *testing.T, s *databaseSuite, n string) error
}

// endings end the credentials that are named n.
func endings() []ending {
	const password, refresh, access = "password", "refresh", "access"
	return []ending{
		{"the user is blocked", []string{password, refresh, access}, func(t *testing.T, s *databaseSuite, _ string) error {
			return s.b.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice))
		}},
		{"the user is deleted", []string{password, refresh, access}, func(t *testing.T, s *databaseSuite, _ string) error {
			return s.b.Removals.DeleteUser(t.Context(), alice, s.changed(alice))
		}},
		{"the client is disabled", []string{password, refresh, access}, func(t *testing.T, s *databaseSuite, _ string) error {
			return s.b.Tenant.SetClientDisabled(t.Context(), spa, true, s.changed(""))
		}},
		{"the password changes", []string{password, refresh, access}, func(t *testing.T, s *databaseSuite, _ string) error {
			s.pass(time.Second)
			return s.b.People.SetPassword(t.Context(), alice, "another hash", s.changed(alice))
		}},
		{"the factors are reset", []string{refresh, access}, func(t *testing.T, s *databaseSuite, _ string) error {
			_, err := s.b.Removals.ResetFactors(t.Context(), alice, s.changed(alice))
			return err
		}},
		{"it is redeemed", []string{password, refresh}, func(t *testing.T, s *databaseSuite, n string) error {
			return s.b.Records.Issue(t.Context(), s.issuance(alice, "next", s.redemption(n)))
		}},
		{"it is revoked", []string{access}, func(t *testing.T, s *databaseSuite, n string) error {
			return s.b.Revoker.Revoke(t.Context(), s.revocation(spa, "jti-"+n, ""))
		}},
		{"its login is revoked", []string{refresh, access}, func(t *testing.T, s *databaseSuite, n string) error {
			return s.b.Revoker.Revoke(t.Context(), s.revocation(spa, "", "refresh-"+n))
		}},
		{"its refresh token is used", []string{refresh}, func(t *testing.T, s *databaseSuite, n string) error {
			return s.b.Records.Issue(t.Context(), s.rotates(s.issuance(alice, n), "next", 0))
		}},
		{"it expires", []string{access}, func(_ *testing.T, s *databaseSuite, _ string) error {
			s.pass(time.Hour)
			return nil
		}},
	}
}

// halfway is the mfa_token of a login that has come as far as the first factor.
func halfway(subject, n string) mfa.Credential {
	l := mfa.Login{Subject: subject, Client: spa, Proofs: []record.Proof{{Methods: []string{"pwd"}, PasswordAt: epoch}}}
	return mfa.Credential{Subject: subject, Client: spa, Handle: "tx-" + n, Transaction: &mfa.Transaction{ID: "tx-" + n, Login: l}}
}

// refreshing is the mfa_token that the refresh token of an issuance was answered with.
func refreshing(subject, n string) mfa.Credential {
	c := halfway(subject, n)
	c.Transaction.Login.Proofs[0].PasswordAt = time.Time{}
	c.Transaction.Login.Session, c.Transaction.Login.Rotates = "session-"+n, &record.Rotation{Hash: "refresh-" + n}
	return c
}

// managing is the access token of an issuance.
func managing(subject, n string) mfa.Credential {
	return mfa.Credential{Subject: subject, Client: spa, Handle: "jti-" + n, Session: record.Session{ID: "session-" + n}}
}

// add associates one more authenticator of alice's by a node, beside what it sees.
func (s *databaseSuite) add(t *testing.T, n Node, c mfa.Credential, id string) error {
	t.Helper()
	seen, err := n.Authenticators.Authenticators(t.Context(), alice, s.now())
	if err != nil {
		return err
	}
	return n.Authenticators.Associate(t.Context(), c, seen, []mfa.Authenticator{s.pending(id, alice, c.Handle)}, s.changed(alice))
}

// changeless wants a credential to be good for nothing any more.
func (s *databaseSuite) changeless(t *testing.T, c mfa.Credential) {
	t.Helper()
	before := s.a.State.Dump(t)
	for i := range 2 {
		if err := s.add(t, s.node(i), c, "totp|late"); fault.Of(err) != fault.BadBearer {
			t.Errorf("associate: %v, want BadBearer", err)
		}
		err := s.node(i).Authenticators.Remove(t.Context(), c, s.authenticators(t, c.Subject), []string{"totp|a"}, s.changed(alice))
		if fault.Of(err) != fault.BadBearer {
			t.Errorf("remove: %v, want BadBearer", err)
		}
	}
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("something was left behind:\n%s", difference(before, after))
	}
}

// What a password or a refresh reached, and what a token for /mfa/ may do, is over with
// what it rests on, also for a request that looked before.
func credentialEnds(t *testing.T, s *databaseSuite, e ending) {
	s.enroll(t, alice, "totp|a")
	s.issue(t, s.issuance(alice, "one"))
	all := map[string]mfa.Credential{
		"password": halfway(alice, "one"), "refresh": refreshing(alice, "one"), "access": managing(alice, "one"),
	}
	for name, c := range all {
		s.alive(t, c, true)
		if err := s.add(t, s.a, c, "totp|"+name); err != nil {
			t.Fatal(err)
		}
		if err := s.b.Authenticators.Remove(t.Context(), c, s.authenticators(t, alice), []string{"totp|" + name}, s.changed(alice)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.end(t, s, "one"); err != nil {
		t.Fatal(err)
	}
	for name, c := range all {
		over := slices.Contains(e.ends, name)
		s.alive(t, c, !over)
		if over {
			s.changeless(t, c)
		}
	}
}

// alive wants the transaction of a credential, if it is of one, to be so or not.
func (s *databaseSuite) alive(t *testing.T, c mfa.Credential, want bool) {
	t.Helper()
	if c.Transaction == nil {
		return
	}
	if got, err := s.b.Authenticators.Alive(t.Context(), *c.Transaction); err != nil || got != want {
		t.Errorf("%+v alive: %v, %v, want %v", c.Transaction.Login, got, err, want)
	}
}

func credentialUnknown(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	s.issue(t, s.issuance(alice, "one"))
	for _, c := range []mfa.Credential{{}, {Subject: alice}, managing(alice, "nobody"), managing("auth0|nobody", "one"), halfway("auth0|nobody", "one")} {
		s.changeless(t, c)
	}
	stranger := halfway(alice, "one")
	stranger.Transaction.Login.Client = "nobody"
	s.changeless(t, stranger)
}

// What an access token associated is not confirmed once it was revoked, though its session
// goes on.
func credentialRevoked(t *testing.T, s *databaseSuite) {
	confirms := func(n string) record.Issuance {
		i := s.issuance(alice, "confirm-"+n, record.Confirmation{Authenticator: "totp|" + n, Handle: "jti-" + n, First: true})
		i.Session.ID, i.Session.CreatedAt, i.Refresh = "session-"+n, time.Time{}, nil
		return i
	}
	for _, n := range []string{"good", "over"} {
		s.issue(t, s.issuance(alice, n))
		if err := s.add(t, s.a, managing(alice, n), "totp|"+n); err != nil {
			t.Fatal(err)
		}
	}
	s.revoke(t, "jti-over", "")
	s.refuse(t, confirms("over"), fault.MalformedMFAToken)
	s.issue(t, confirms("good"))
}

// Of those who change something while their credential ends, none does so afterwards.
func raceCredential(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	for run, c := range []mfa.Credential{managing(alice, "one"), halfway(alice, "one")} {
		there := -1
		atBarrier(func(i int) {
			if i == parallel/2 {
				err := s.b.Revoker.Revoke(t.Context(), s.revocation(spa, "jti-one", ""))
				if c.Transaction != nil {
					err = s.b.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice))
				}
				if err != nil {
					t.Errorf("end: %v", err)
				}
				all, err := s.b.Authenticators.Authenticators(t.Context(), alice, s.now())
				if err != nil {
					t.Errorf("list: %v", err)
				}
				there = len(all)
				return
			}
			for try := range 10 {
				err := s.add(t, s.node(i), c, "totp|"+numbered(run)+numbered(i)+numbered(try))
				if fault.Of(err) == fault.BadBearer {
					return
				}
				// Fifty at once may be more than one writer serves in time, which it says.
				if err != nil && !errors.Is(err, mfa.ErrChanged) && fault.Of(err) != fault.Unavailable {
					t.Errorf("associate: %v", err)
				}
			}
		})
		if now := len(s.listed(t, alice)); now != there {
			t.Errorf("%s: %d authenticators, %d when it had ended", c.Handle, now, there)
		}
	}
}
