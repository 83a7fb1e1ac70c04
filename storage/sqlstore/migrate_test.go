package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
	"github.com/sallyport/sallyport/storage/sqlstore"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// execute runs a statement past the store, as an operator or an attacker could.
func execute(t testing.TB, url, statement string, args ...any) {
	t.Helper()
	driver, source := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// However many nodes start together, the migrations run once and all of them serve.
func TestMigrateTogether(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			var nodes sync.WaitGroup
			barrier := make(chan struct{})
			for range 8 {
				s := connect(t, url, ring, time.Now)
				nodes.Go(func() {
					<-barrier
					if err := s.Migrate(t.Context()); err != nil {
						t.Errorf("migrate: %v", err)
					}
					if pending, err := s.Pending(t.Context()); err != nil || pending {
						t.Errorf("pending %v, %v", pending, err)
					}
				})
			}
			close(barrier)
			nodes.Wait()
			s := connect(t, url, ring, time.Now)
			if err := s.Migrate(t.Context()); err != nil {
				t.Errorf("migrate again: %v", err)
			}
			if have, want, err := s.Version(t.Context()); err != nil || have != want || have == 0 {
				t.Errorf("version %d of %d, %v", have, want, err)
			}
		})
	}
}

func TestUnmigratedAndNewer(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url := fresh(t)
			s := connect(t, url, newRing(t), time.Now)
			if pending, err := s.Pending(t.Context()); err != nil || !pending {
				t.Errorf("an empty database: pending %v, %v", pending, err)
			}
			if have, _, err := s.Version(t.Context()); err != nil || have != 0 {
				t.Errorf("an empty database: version %d, %v", have, err)
			}
			if _, err := s.Client(t.Context(), "spa"); fault.Of(err) != fault.Unavailable {
				t.Errorf("a client of an empty database: %v, want Unavailable", err)
			}
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			flag := map[string]string{"SQLite": "1", "PostgreSQL": "true"}[name]
			execute(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, "+flag+")")
			if _, err := s.Pending(t.Context()); err == nil || !strings.Contains(err.Error(), "newer") {
				t.Errorf("a newer database: %v", err)
			}
			if err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "newer") {
				t.Errorf("migrate a newer database: %v", err)
			}
		})
	}
}

// Nodes that open a new database together do not meet in its first setting-up.
func TestOpenTogether(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			var nodes sync.WaitGroup
			barrier := make(chan struct{})
			for range 8 {
				nodes.Go(func() {
					<-barrier
					s, err := sqlstore.Open(t.Context(), sqlstore.Options{
						URL: secret.New(url), Ring: ring, Now: time.Now, Log: slog.New(slog.DiscardHandler),
					})
					if err != nil {
						t.Errorf("open: %v", err)
						return
					}
					if err := errors.Join(s.Migrate(t.Context()), s.Close()); err != nil {
						t.Errorf("migrate and close: %v", err)
					}
				})
			}
			close(barrier)
			nodes.Wait()
		})
	}
}

// A node that waits for another's migration gives up with its context.
func TestMigrateGivesUp(t *testing.T) {
	url := storagetest.Postgres(t)
	s := connect(t, url, newRing(t), time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Migrate(ctx); fault.Of(err) != fault.Unavailable {
		t.Errorf("migrate: %v, want Unavailable", err)
	}
}

// A node goes on while a newer one adds columns: what it prepared names its own.
func TestColumnsAdded(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url := fresh(t)
			s := open(t, url, newRing(t), atNoon)
			for _, round := range []string{"before", "after"} {
				login(t, s, round)
				for _, table := range strings.Fields(`users identifiers passwords user_failures clients client_secrets
					apis authenticators recovery_codes sessions session_proofs access_tokens refresh_families
					refresh_tokens redemptions signing_keys audit_events notices revision settings devices pushes codes
					password_attempts`) {
					execute(t, url, "ALTER TABLE "+table+" ADD COLUMN "+round+" TEXT")
				}
			}
			login(t, s, "last")
		})
	}
}

// login uses most of a store's statements.
func login(t *testing.T, s *sqlstore.Store, n string) {
	t.Helper()
	e := audit.Event{At: noon, Type: audit.UserChanged}
	create(t, s, identity.User{ID: n, Username: n})
	_, client := s.SaveClient(t.Context(), record.Client{ID: n, SecretHashes: []string{n}}, e)
	_, api := s.SaveAPI(t.Context(), record.API{Audience: n}, e)
	_, known := s.Client(t.Context(), n)
	_, _, user := s.UserByIdentifier(t.Context(), identity.DefaultConnection, n)
	a := mfa.Authenticator{
		ID: n, Subject: n, Type: mfa.RecoveryCode, Codes: []mfa.LookupSecret{{Hash: n}}, Handle: n,
		CreatedAt: noon, ConfirmedAt: noon,
	}
	associate := s.Associate(t.Context(), halfway(t, s, n), nil, []mfa.Authenticator{a}, e)
	count := s.Attempt(t.Context(), throttle.Attempt{Subject: n, Authenticators: []string{n}, Wrong: true, Event: e}, throttle.Limits{Free: 9, Daily: 9, Disable: 9})
	c := oob.Challenge{ID: n, Subject: n, ExpiresAt: noon.Add(time.Hour)}
	_, admit := s.Admit(t.Context(), oob.Ask{Challenge: c, Event: e}, oob.Limits{Minute: 9, Hour: 9, Gateway: 9, Pause: 9, For: time.Hour})
	answer := s.Answer(t.Context(), oob.Answer{Challenge: c, Approved: true, Event: e})
	send := s.AdmitCode(t.Context(), oob.CodeAsk{Challenge: oob.Challenge{ID: "code " + n, Subject: n, ExpiresAt: noon}, Authenticator: a, Event: e})
	code := s.Attempt(t.Context(), throttle.Attempt{Subject: n, Authenticators: []string{n}, Challenge: "code " + n, Event: e}, throttle.Limits{Free: 9, Daily: 9, Disable: 9})
	issue := s.Issue(t.Context(), record.Issuance{
		At: noon,
		Session: record.Session{
			ID: n, Subject: n, Client: n, CreatedAt: noon, Proofs: []record.Proof{{Methods: []string{n}, Authenticator: n, At: noon}},
		},
		Consumes: []record.Consumption{
			record.Redemption{Kind: "mfa_token", Hash: n, ExpiresAt: noon}, record.CodeUse{Authenticator: n, Hash: n},
			record.BindingCode{Authenticator: n, Challenge: "code " + n, ExpiresAt: noon},
		},
		Access:  record.AccessToken{ID: n, ExpiresAt: noon.Add(time.Hour)},
		Refresh: &record.RefreshToken{Hash: n, Family: n, ExpiresAt: noon.Add(time.Hour)},
		Event:   e,
	})
	all, list := s.Authenticators(t.Context(), n, noon)
	active, token := s.AccessTokenActive(t.Context(), n, noon)
	_, _, failures := s.UserFailures(t.Context(), n)
	_, events := s.AuditEvents(t.Context(), 10)
	_, keys := s.SigningKeys(t.Context())
	set := s.SetSetting(t.Context(), n, n)
	_, get := s.Setting(t.Context(), n)
	err := errors.Join(client, api, known, user, associate, count, issue, list, token, failures, events, keys, set, get, admit, answer, send, code)
	if err != nil || len(all) != 1 || !active {
		t.Errorf("login %s: %d authenticators, active %v, %v", n, len(all), active, err)
	}
}
