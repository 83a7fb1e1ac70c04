package sqlstore_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/storage/sqlstore"
	"github.com/sallyport/sallyport/storage/storagetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// No error shows the URL, which may hold a password.
func TestOpenRefuses(t *testing.T) {
	const password = "hunter2"
	missing := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "no", "folder.db"))
	for url, kind := range map[string]fault.Kind{
		"":                              fault.Internal,
		"mysql://u:hunter2@h/d":         fault.Internal,
		"sqlite://relative.db":          fault.Internal,
		"postgres://u:hunter2@h:port/d": fault.Internal,
		"postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable":                   fault.Unavailable,
		"postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable&connect_timeout=x": fault.Unavailable,
		missing: fault.Unavailable,
	} {
		s, err := sqlstore.Open(t.Context(), sqlstore.Options{
			URL: secret.New(url), Ring: newRing(t), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		})
		if err == nil || s != nil || fault.Of(err) != kind {
			t.Errorf("%q: %v, want an error of kind %v", url, err, kind)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("%q: the error shows the password", url)
		}
	}
	if _, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: secret.New(storagetest.SQLite(t))}); err == nil {
		t.Error("a store without a ring")
	}
}

// The file is its owner's alone, survives a crash of the machine, and its name may be
// any.
func TestSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%e.db")
	escaped := strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23", " ", "%20").Replace(filepath.ToSlash(path))
	s := open(t, "sqlite://"+escaped, newRing(t), time.Now)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		file, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if file.Mode() != fs.FileMode(0o600) {
			t.Errorf("mode %v, want 0600", file.Mode())
		}
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			s := open(t, fresh(t), newRing(t), time.Now)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_, user := s.User(t.Context(), "u")
			_, list := s.Authenticators(t.Context(), "u", noon)
			_, keys := s.SigningKeys(t.Context())
			_, client := s.Client(t.Context(), "c")
			_, setting := s.Setting(t.Context(), "n")
			_, _, failures := s.UserFailures(t.Context(), "u")
			_, _, login := s.UserByIdentifier(t.Context(), "c", "u")
			_, device := s.Device(t.Context(), "d")
			_, admit := s.Admit(t.Context(), oob.Ask{}, oob.Limits{})
			for verb, err := range map[string]error{
				"ping": s.Ping(t.Context()), "user": user, "authenticators": list, "keys": keys, "client": client,
				"setting": setting, "failures": failures, "login": login, "refresh": s.Refresh(t.Context()),
				"append": s.Append(t.Context(), audit.Event{}), "issue": s.Issue(t.Context(), record.Issuance{}),
				"device": device, "admit": admit, "send": s.AdmitCode(t.Context(), oob.CodeAsk{}), "answer": s.Answer(t.Context(), oob.Answer{}),
				"enroll":  s.EnrollDevice(t.Context(), oob.Device{}, noon, audit.Event{}),
				"disable": s.DisableEndpoint(t.Context(), "d", oob.Endpoint{}, noon, audit.Event{}),
			} {
				if fault.Of(err) != fault.Unavailable {
					t.Errorf("%s: %v, want Unavailable", verb, err)
				}
			}
		})
	}
}

// A seed that was moved to another row, or is read under another ring, does not open,
// and that is not "no authenticators" (N-OT-3).
func TestSealedRows(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			s := open(t, url, ring, atNoon)
			for _, who := range []string{"a", "b"} {
				create(t, s, identity.User{ID: who, Username: who})
				a := mfa.Authenticator{
					ID: "totp|" + who, Subject: who, Type: mfa.OTP, Secret: secret.New("SEED" + who), Address: secret.New("ADDRESS" + who),
					CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
				}
				if err := s.Associate(t.Context(), halfway(t, s, who), nil, []mfa.Authenticator{a}, audit.Event{}); err != nil {
					t.Fatal(err)
				}
			}
			other := connect(t, url, newRing(t), atNoon)
			if _, err := other.Authenticators(t.Context(), "b", noon); fault.Of(err) != fault.Unavailable {
				t.Errorf("another ring: %v, want Unavailable", err)
			}
			execute(t, url, `UPDATE authenticators SET sealed_secret =
				(SELECT sealed_secret FROM authenticators WHERE id = 'totp|a') WHERE id = 'totp|b'`)
			if all, err := s.Authenticators(t.Context(), "b", noon); fault.Of(err) != fault.Unavailable {
				t.Errorf("a's seed in b's row: %d, %v, want Unavailable", len(all), err)
			}
			execute(t, url, `UPDATE authenticators SET sealed_secret = '', sealed_address =
				(SELECT sealed_address FROM authenticators WHERE id = 'totp|a') WHERE id = 'totp|b'`)
			if all, err := s.Authenticators(t.Context(), "b", noon); fault.Of(err) != fault.Unavailable {
				t.Errorf("a's address in b's row: %d, %v, want Unavailable", len(all), err)
			}
			execute(t, url, `UPDATE authenticators SET sealed_address = sealed_secret WHERE id = 'totp|a'`)
			if all, err := s.Authenticators(t.Context(), "a", noon); fault.Of(err) != fault.Unavailable {
				t.Errorf("a seed as an address: %d, %v, want Unavailable", len(all), err)
			}
			execute(t, url, "UPDATE authenticators SET user_id = 'b' WHERE id = 'totp|a'")
			execute(t, url, "DELETE FROM authenticators WHERE id = 'totp|b'")
			if all, err := s.Authenticators(t.Context(), "b", noon); fault.Of(err) != fault.Unavailable {
				t.Errorf("a's row under b's name: %d, %v, want Unavailable", len(all), err)
			}
		})
	}
}

// What a push service calls a device opens only in the device's own row.
func TestSealedEndpoints(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url := fresh(t)
			s := open(t, url, newRing(t), atNoon)
			seeds(t, s, 2)
			phones(t, s, 2)
			execute(t, url, `UPDATE devices SET sealed_token = (SELECT sealed_token FROM devices WHERE id = 'user000') WHERE id = 'user001'`)
			if _, err := s.Device(t.Context(), "user000"); err != nil {
				t.Errorf("its own: %v", err)
			}
			if _, err := s.Device(t.Context(), "user001"); fault.Of(err) != fault.Unavailable {
				t.Errorf("another's: %v, want Unavailable", err)
			}
		})
	}
}

// The file itself, with what SQLite leaves in free pages and the log, shows no secret.
func TestSQLiteFileShowsNothing(t *testing.T) {
	url := storagetest.SQLite(t)
	s := open(t, url, newRing(t), atNoon)
	create(t, s, identity.User{ID: "a", Username: "alice"})
	a := mfa.Authenticator{
		ID: "totp|a", Subject: "a", Type: mfa.OTP, Secret: secret.New("JBSWY3DPEHPK3PXP"),
		CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}
	if err := s.Associate(t.Context(), halfway(t, s, "a"), nil, []mfa.Authenticator{a}, audit.Event{}); err != nil {
		t.Fatal(err)
	}
	seeds(t, s, 1)
	phones(t, s, 1)
	k := signer.Key{ID: "kid", Algorithm: "ES256", Private: secret.New("PRIVATE-KEY"), CreatedAt: noon}
	if _, err := s.AddFirstSigningKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	var content strings.Builder
	path := strings.TrimPrefix(url, "sqlite://")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		content.Write(text)
	}
	if !strings.Contains(content.String(), "totp|a") {
		t.Error("the files do not hold what was written")
	}
	for _, clear := range []string{"JBSWY3DP", "PRIVATE-KEY", "SEEDuser", "ADDRESSuser", "ENDPOINT"} {
		if strings.Contains(content.String(), clear) {
			t.Errorf("the files show %.4s", clear)
		}
	}
}

// halfway is the mfa_token of a user at a client that there is then.
func halfway(t testing.TB, s *sqlstore.Store, user string) mfa.Credential {
	t.Helper()
	if _, err := s.SaveClient(t.Context(), record.Client{ID: "spa"}, audit.Event{At: noon, Type: audit.ClientChanged}); err != nil {
		t.Fatal(err)
	}
	return mfa.Credential{Subject: user, Transaction: &mfa.Transaction{Login: mfa.Login{Subject: user, Client: "spa"}}}
}

func create(t testing.TB, s *sqlstore.Store, u identity.User) {
	t.Helper()
	if err := s.CreateUser(t.Context(), u, "hash", record.ManagedByFile, audit.Event{At: noon, Type: audit.UserChanged}); err != nil {
		t.Fatal(err)
	}
}

func TestUsersInPages(t *testing.T) {
	s := open(t, storagetest.SQLite(t), newRing(t), atNoon)
	for _, id := range []string{"c", "a", "b"} {
		create(t, s, identity.User{ID: id, Username: id})
	}
	var got []string
	for after, more := "", true; more; {
		page, err := s.Users(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page {
			after, got = u.ID, append(got, u.ID)
		}
		more = len(page) == 2
	}
	if strings.Join(got, "") != "abc" {
		t.Errorf("users %v, want a b c", got)
	}
	if by, err := s.UserManagedBy(t.Context(), "a"); err != nil || by != record.ManagedByFile {
		t.Errorf("managed by %q, %v", by, err)
	}
	if _, err := s.UserManagedBy(t.Context(), "x"); fault.Of(err) != fault.NotFound {
		t.Errorf("nobody is managed: %v, want NotFound", err)
	}
}

func TestSettings(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			s := open(t, fresh(t), newRing(t), atNoon)
			for _, want := range []string{"", "one", "two"} {
				if want != "" {
					if err := s.SetSetting(t.Context(), "tenant.name", want); err != nil {
						t.Fatal(err)
					}
				}
				if got, err := s.Setting(t.Context(), "tenant.name"); err != nil || got != want {
					t.Errorf("setting %q, %v, want %q", got, err, want)
				}
			}
		})
	}
}

// Watch tells other caches of a change that another node made, and ends with its
// context.
func TestWatch(t *testing.T) {
	url, ring := storagetest.SQLite(t), newRing(t)
	a, b := open(t, url, ring, time.Now), open(t, url, ring, time.Now)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	changed, ended := make(chan struct{}), make(chan struct{})
	calls := 0
	go func() {
		defer close(ended)
		b.Watch(ctx, func(ctx context.Context) error {
			select {
			case changed <- struct{}{}:
			case <-ctx.Done():
			}
			if calls++; calls == 2 {
				return errors.New("this cache could not follow")
			}
			return nil
		})
	}()
	for _, name := range []string{"at the first look", "after a change", "again, because it failed"} {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("nothing seen %s", name)
		}
		if name != "at the first look" {
			continue
		}
		c := record.Client{ID: "spa", Name: name}
		if _, err := a.SaveClient(ctx, c, audit.Event{Type: audit.ClientChanged}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-ended
}

// A node that cannot read the revision refuses within a second what it holds in memory,
// so that nothing outlives a revocation; a hiccup is not noticed.
func TestViewWithoutDatabase(t *testing.T) {
	for age, want := range map[time.Duration]bool{0: true, 500 * time.Millisecond: true, time.Second: false, -time.Second: false} {
		var now atomic.Int64
		clock := func() time.Time { return noon.Add(time.Duration(now.Load())) }
		s := open(t, storagetest.SQLite(t), newRing(t), clock)
		if _, err := s.SaveClient(t.Context(), record.Client{ID: "spa"}, audit.Event{Type: audit.ClientChanged}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client(t.Context(), "spa"); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		now.Store(int64(age))
		if _, err := s.Client(t.Context(), "spa"); (err == nil) != want || err != nil && fault.Of(err) != fault.Unavailable {
			t.Errorf("after %v: %v", age, err)
		}
	}
}

// A view is as old as the question whether it holds: what changes while the answer is on
// its way is not in it.
func TestViewIsAsOldAsTheQuestion(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			asked := func() {}
			a := open(t, url, ring, atNoon)
			b := connect(t, url, ring, func() time.Time { asked(); return noon })
			if _, err := a.SaveClient(t.Context(), record.Client{ID: "spa"}, audit.Event{Type: audit.ClientChanged}); err != nil {
				t.Fatal(err)
			}
			if c, err := b.Client(t.Context(), "spa"); err != nil || c.Disabled {
				t.Fatalf("%+v, %v", c, err)
			}
			asked = func() {
				if err := a.SetClientDisabled(t.Context(), "spa", true, audit.Event{Type: audit.ClientChanged}); err != nil {
					t.Error(err)
				}
			}
			if err := b.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			asked = func() {}
			if c, err := b.Client(t.Context(), "spa"); err != nil || !c.Disabled {
				t.Errorf("a view dated after the change does not have it: %+v, %v", c, err)
			}
		})
	}
}
