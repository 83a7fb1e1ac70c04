package storagetest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/sallyport/sallyport/storage/storagetest"
)

func TestRedisStopsAndStarts(t *testing.T) {
	s := storagetest.NewRedis(t)
	options, err := redis.ParseURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries, options.DialerRetries = -1, 1
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Set(t.Context(), "a", "b", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.HSet(t.Context(), "h", "field", "value").Err(); err != nil {
		t.Fatal(err)
	}
	if dump := s.Dump(t); !strings.Contains(dump, "a b") || !strings.Contains(dump, "field:value") {
		t.Errorf("dump lacks what was set: %q", dump)
	}
	s.FlushAll(t)
	if dump := s.Dump(t); dump != "" {
		t.Errorf("after a flush: %q", dump)
	}
	s.Stop(t)
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("a stopped server answers")
	}
	s.Start(t)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestRedisWantsItsPassword(t *testing.T) {
	options, err := redis.ParseURL(storagetest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	options.Password = ""
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without a password: %v, want NOAUTH", err)
	}
}

// Each call gives a database of its own; neither sees the other's table.
func TestPostgresGivesFreshDatabases(t *testing.T) {
	for range 2 {
		url := storagetest.Postgres(t)
		db, err := gorm.Open(postgres.Open(url), &gorm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("CREATE TABLE mark (word text)").Error; err != nil {
			t.Error(err)
		}
		if err := db.Exec("INSERT INTO mark VALUES ('pomegranate')").Error; err != nil {
			t.Error(err)
		}
		if !strings.Contains(storagetest.PostgresDump(t, url), "pomegranate") {
			t.Error("the dump lacks the row")
		}
	}
}

func TestSQLiteNamesANewFile(t *testing.T) {
	a, b := storagetest.SQLite(t), storagetest.SQLite(t)
	if a == b {
		t.Errorf("twice %q", a)
	}
	path, ok := strings.CutPrefix(a, "sqlite://")
	if !ok || !strings.HasPrefix(path, "/") {
		t.Fatalf("got %q, want sqlite:///folder/file", a)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is there already: %v", err)
	}
}
