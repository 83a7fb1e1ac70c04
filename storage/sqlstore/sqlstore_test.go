package sqlstore_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/conformance"
	"github.com/sallyport/sallyport/storage/sqlstore"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// databases are the two that everything is tested on.
func databases() map[string]func(testing.TB) string {
	return map[string]func(testing.TB) string{"SQLite": storagetest.SQLite, "PostgreSQL": storagetest.Postgres}
}

func TestDatabase(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			conformance.RunDatabase(t, func(t testing.TB, now func() time.Time) (conformance.Node, conformance.Node) {
				url, ring := fresh(t), newRing(t)
				return node(url, ring, open(t, url, ring, now)), node(url, ring, open(t, url, ring, now))
			})
		})
	}
}

func newRing(t testing.TB) *secret.Ring {
	t.Helper()
	ring, err := secret.NewRing(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// connect opens a store that ends with the test.
func connect(t testing.TB, url string, ring *secret.Ring, now func() time.Time) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{
		URL: secret.New(url), Ring: ring, Now: now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open is connect and migrate.
func open(t testing.TB, url string, ring *secret.Ring, now func() time.Time) *sqlstore.Store {
	t.Helper()
	s := connect(t, url, ring, now)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// state adds a dump to the store.
type state struct {
	*sqlstore.Store
	url string
}

func node(url string, ring *secret.Ring, s *sqlstore.Store) conformance.Node {
	return conformance.Node{
		Records: s, Revoker: s, Registry: s, Authenticators: s, Limiter: s, Buckets: s, Users: s, Keys: s, Rotator: s, Log: s,
		People: s, Removals: s, Waits: s, Refresh: s, Tenant: s, Secrets: s, Redeemer: s, State: state{s, url},
		Audit: state{s, url}, Notices: s, Devices: s, Pushes: s, Codes: s, Ring: ring,
	}
}

// Execute implements conformance.Audit.
func (s state) Execute(t testing.TB, statement string) {
	t.Helper()
	execute(t, s.url, statement)
}

// Dump implements conformance.State.
func (s state) Dump(t testing.TB) string {
	t.Helper()
	if path, ok := strings.CutPrefix(s.url, "sqlite://"); ok {
		return dumpSQLite(t, path)
	}
	var lines []string
	for _, line := range strings.Split(storagetest.PostgresDump(t, s.url), "\n") {
		// pg_dump guards its script with a random word.
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// dumpSQLite prints every row of every table.
func dumpSQLite(t testing.TB, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var dump strings.Builder
	for _, table := range column(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
		fmt.Fprintf(&dump, "%s\n", table)
		columns := column(t, db, "SELECT 'COALESCE(' || name || ', ''null'')' FROM pragma_table_info('"+table+"')")
		rows := column(t, db, "SELECT "+strings.Join(columns, " || char(9) || ")+" FROM "+table+" ORDER BY 1")
		fmt.Fprintf(&dump, "%s\n", strings.Join(rows, "\n"))
	}
	return dump.String()
}

func column(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
