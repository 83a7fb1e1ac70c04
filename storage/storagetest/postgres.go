package storagetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A cluster is a running PostgreSQL: one for a test binary, because initdb takes
// longer than most tests.
type cluster struct {
	programs string // the folder of initdb, postgres, createdb
	folder   string // where its files are
	port     int
	address  string              // postgres://user:password@127.0.0.1:port
	as       *syscall.Credential // nil: the user of the test
}

// sharedCluster is the one cluster of this test binary; it ends with it.
var sharedCluster = sync.OnceValues(startCluster)

// Postgres makes an empty database for one test and returns its URL:
// postgres://user:password@127.0.0.1:port/name?sslmode=disable.
func Postgres(t testing.TB) string {
	t.Helper()
	if postgresPrograms() == "" {
		Missing(t, "initdb (PostgreSQL)")
	}
	c, err := sharedCluster()
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ToLower(rand.Text())
	if err := c.run(t.Context(), "createdb", "--maintenance-db="+c.url("postgres"), name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.run(context.Background(), "dropdb", "--force", "--maintenance-db="+c.url("postgres"), name); err != nil {
			t.Error(err)
		}
	})
	return c.url(name)
}

// PostgresDump returns the whole content of a database as SQL, for a test that
// searches it for secrets.
func PostgresDump(t testing.TB, url string) string {
	t.Helper()
	sql, err := exec.CommandContext(t.Context(), filepath.Join(postgresPrograms(), "pg_dump"), url).Output()
	if err != nil {
		t.Fatalf("storagetest: pg_dump: %v", err)
	}
	return string(sql)
}

// postgresPrograms finds the folder of the server's programs: that of the initdb on
// PATH, which may be a link into it, or the newest of those that Debian keeps, one for
// each major version. Empty: there is none.
func postgresPrograms() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return ""
	}
	major := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // what is no number is old
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(major(a), major(b)) }))
}

// startCluster makes a cluster in a temporary folder and starts it. It trades safety
// in a crash for speed; nothing here has to survive one.
func startCluster() (*cluster, error) {
	c, err := newCluster()
	if err != nil {
		return nil, err
	}
	_, err = c.start(c.folder, "max_connections=300", "synchronous_commit=off", "full_page_writes=off")
	return c, err
}

// newCluster makes the files of a cluster.
func newCluster() (*cluster, error) {
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	password := rand.Text()
	c := &cluster{programs: postgresPrograms(), as: as, port: port,
		address: fmt.Sprintf("postgres://sallyport:%s@127.0.0.1:%d", password, port)}
	return c, c.initialize(password)
}

// start starts the server of a cluster; working is the folder that goes with it.
func (c *cluster) start(working string, settings ...string) (*process, error) {
	args := []string{filepath.Join(c.programs, "postgres"), "-D", filepath.Join(c.folder, "pg")}
	for _, setting := range append([]string{
		"port=" + strconv.Itoa(c.port), "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off",
	}, settings...) {
		args = append(args, "-c", setting)
	}
	p := program{folder: working, signal: "QUIT", as: c.as, args: args}
	return p.start(func(ctx context.Context) error {
		return c.run(ctx, "pg_isready", "--quiet", "--dbname="+c.url("postgres"))
	})
}

// newFolder makes a temporary folder that the server may write to.
func (c *cluster) newFolder() (string, error) {
	folder, err := os.MkdirTemp("", "sallyport-postgres-")
	if err == nil && c.as != nil {
		err = os.Chown(folder, int(c.as.Uid), int(c.as.Gid))
	}
	if err != nil {
		return "", fmt.Errorf("storagetest: %w", err)
	}
	return folder, nil
}

// initialize makes the cluster's files.
func (c *cluster) initialize(password string) error {
	var err error
	if c.folder, err = c.newFolder(); err != nil {
		return err
	}
	file := filepath.Join(c.folder, "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		return fmt.Errorf("storagetest: %w", err)
	}
	if c.as != nil {
		if err := os.Chown(file, int(c.as.Uid), int(c.as.Gid)); err != nil {
			return fmt.Errorf("storagetest: %w", err)
		}
	}
	cmd := exec.Command(filepath.Join(c.programs, "initdb"), "--pgdata="+filepath.Join(c.folder, "pg"),
		"--username=sallyport", "--pwfile="+file, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir = c.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(c.folder)
		return fmt.Errorf("storagetest: initdb: %w\n%s", err, out)
	}
	return nil
}

// unprivileged is the user PostgreSQL runs as when the test runs as root, whom it
// refuses; nil when the test does not.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no credential is what exec wants for one's own
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("storagetest: a user for PostgreSQL: %w", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := cmp.Or(errUID, errGID); err != nil {
		return nil, fmt.Errorf("storagetest: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (c *cluster) url(database string) string {
	return c.address + "/" + database + "?sslmode=disable"
}

// run runs one of PostgreSQL's own client programs.
func (c *cluster) run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(c.programs, program), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("storagetest: %s: %w\n%s", program, err, out)
	}
	return nil
}
