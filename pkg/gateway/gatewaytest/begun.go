package gatewaytest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/storage/storagetest"
)

// begun is what the first gateway of tenant.yaml leaves behind: tables, users, clients
// and signing keys. It is made once for a kind of database, and worlds begin with a copy
// of it, because making it takes longer than most tests. See [Setting.Empty].
type begun struct {
	mu   sync.Mutex
	ring []byte // the key ring that it is sealed with; nil: it is not made yet
	from string // the URL of the database on PostgreSQL, the database itself on SQLite
}

// Of a test binary, as its PostgreSQL is.
var begunSQLite, begunPostgres begun

// begins reports whether a line of the configuration is about what is copied.
func begins(line string) bool {
	return strings.HasPrefix(line, "database:") || strings.HasPrefix(line, "tenant_files:")
}

// make has a gateway start on an empty database, and end.
func (b *begun) make(t testing.TB, database string) {
	t.Helper()
	w := New(t, Setting{Name: "begun", Nodes: 1, Empty: true, open: func(testing.TB, bool) backends {
		return backends{database: database, redis: "embedded:"}
	}})
	w.nodes[0].stop()
	ring, err := os.ReadFile(w.File("keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.ring, b.from = ring, database
}

// openSQLite makes a database for a test; its key ring is nil when it is empty.
func openSQLite(t testing.TB, empty bool) (database string, ring []byte) {
	t.Helper()
	database = storagetest.SQLite(t)
	if empty {
		return database, nil
	}
	b := &begunSQLite
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ring == nil {
		first := storagetest.SQLite(t)
		b.make(t, first)
		content, err := os.ReadFile(strings.TrimPrefix(first, "sqlite://"))
		if err != nil {
			t.Fatal(err)
		}
		b.from = string(content)
	}
	if err := os.WriteFile(strings.TrimPrefix(database, "sqlite://"), []byte(b.from), 0o600); err != nil {
		t.Fatal(err)
	}
	return database, b.ring
}

// openPostgres is openSQLite on PostgreSQL.
func openPostgres(t testing.TB, empty bool) (database string, ring []byte) {
	t.Helper()
	if empty {
		return storagetest.Postgres(t), nil
	}
	b := &begunPostgres
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ring == nil {
		// The database of a test goes with it; the one that is copied stays.
		first := beside(t, storagetest.Postgres(t), "begun")
		execute(t, beside(t, first, "postgres"), "DROP DATABASE IF EXISTS begun", "CREATE DATABASE begun")
		b.make(t, first)
	}
	name, server := "w"+strings.ToLower(rand.Text()), beside(t, b.from, "postgres")
	execute(t, server, "CREATE DATABASE "+name+" TEMPLATE begun")
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	return beside(t, server, name), b.ring
}

// beside is the URL of another database of the same server.
func beside(t testing.TB, database, name string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// execute runs statements on a PostgreSQL, also when the test is over.
func execute(t testing.TB, database string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
