package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// saved is the file of a fresh ring.
func saved(t testing.TB) (string, *secret.Ring) {
	t.Helper()
	r, path := ring(t), filepath.Join(t.TempDir(), "ring.json")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	return path, r
}

func load(t testing.TB, path string) *secret.Ring {
	t.Helper()
	r, err := secret.LoadRing(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRingRotates: the fresh key opens at once, seals once it is told to, and does
// without the old one in the end.
func TestRingRotates(t *testing.T) {
	path, _ := saved(t)
	r := load(t, path)
	old, before, made := r.Sealing(), seal(t, r, "seed", "row", "before"), mac(t, r, "p", "x")
	rewrite := func(change func(*secret.Ring) (*secret.Ring, error)) *secret.Ring {
		t.Helper()
		if err := secret.Rewrite(path, change); err != nil {
			t.Fatal(err)
		}
		return load(t, path)
	}
	both := rewrite(func(r *secret.Ring) (*secret.Ring, error) { return r.WithFreshKey(time.Unix(0, 0)) }) // with a late clock
	fresh := both.Newest()
	if fresh == old || both.Sealing() != old || !slices.Equal(both.Keys(), []string{old, fresh}) {
		t.Fatalf("keys %v, sealing %s, newest %s", both.Keys(), both.Sealing(), fresh)
	}
	if err := r.SealWith(fresh); !errors.Is(err, secret.ErrSealed) || r.Sealing() != old {
		t.Errorf("a ring seals with a key that it lacks: %v", err)
	}
	if err := errors.Join(r.Adopt(both), r.SealWith(fresh)); err != nil {
		t.Fatal(err)
	}
	after := seal(t, r, "seed", "row", "after")
	if !strings.HasPrefix(after, secret.SealedBy(fresh)) || !strings.HasPrefix(before, secret.SealedBy(old)) {
		t.Errorf("%q and %q do not begin with their keys", before, after)
	}
	for _, sealed := range []string{before, after} {
		for _, r := range []*secret.Ring{r, both} {
			if _, err := r.Open("seed", "row", sealed); err != nil {
				t.Error(err)
			}
		}
	}
	if !r.CheckMAC(made, "p", "x") || !both.CheckMAC(mac(t, r, "p", "y"), "p", "y") {
		t.Error("a MAC does not hold while both keys are there")
	}
	if again, err := r.MACBeside(made, "p", "x"); err != nil || again != made {
		t.Errorf("beside a MAC of the old key: %q, %v, want %q", again, err, made)
	}
	if other, err := r.MACBeside("none.x", "p", "x"); err != nil || other != mac(t, r, "p", "x") {
		t.Errorf("beside a MAC of nobody: %q, %v", other, err)
	}
	only := rewrite(func(r *secret.Ring) (*secret.Ring, error) { return r.Only(r.Newest()) })
	if err := r.Adopt(only); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open("seed", "row", before); !errors.Is(err, secret.ErrSealed) || r.CheckMAC(made, "p", "x") {
		t.Errorf("the old key opens after it was taken out: %v", err)
	}
	if got, err := r.Open("seed", "row", after); err != nil || got.Reveal() != "after" {
		t.Error(err)
	}
	if err := r.Adopt(ring(t)); !errors.Is(err, secret.ErrSealed) || r.Sealing() != fresh {
		t.Errorf("a ring without the key that seals was adopted: %v", err)
	}
	if _, err := only.Only(old); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("a ring of a key that it lacks: %v", err)
	}
}

// TestRewriteIsOneStep: what cannot be written leaves the ring as it was, and nothing
// beside it; a link and the mode stay.
func TestRewriteIsOneStep(t *testing.T) {
	path, _ := saved(t)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if err := secret.Rewrite(link, func(*secret.Ring) (*secret.Ring, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	if n := len(load(t, path).Keys()); n != 1 {
		t.Errorf("%d keys after a refused change", n)
	}
	if err := secret.Rewrite(link, func(r *secret.Ring) (*secret.Ring, error) { return r.WithFreshKey(time.Now()) }); err != nil {
		t.Fatal(err)
	}
	if n := len(load(t, path).Keys()); n != 2 {
		t.Errorf("%d keys behind the link, want 2", n)
	}
	if file, err := os.Lstat(link); err != nil || file.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if file, err := os.Stat(path); err != nil || file.Mode() != 0o640 {
		t.Errorf("mode %v, %v, want the one of before", file.Mode(), err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%v is left beside the ring, %v", files, err)
	}

	// What another one left, or writes now, is nobody's to take away.
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := secret.Rewrite(path, func(r *secret.Ring) (*secret.Ring, error) { return r, nil }); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".new"); err != nil {
		t.Error(err)
	}
	if err := secret.Rewrite(path+".none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestRewritesAtOnce: no change is lost, and a reader finds a whole ring at any moment.
func TestRewritesAtOnce(t *testing.T) {
	path, _ := saved(t)
	var all sync.WaitGroup
	var done atomic.Int64
	for range 20 {
		all.Go(func() {
			err := secret.Rewrite(path, func(r *secret.Ring) (*secret.Ring, error) { return r.WithFreshKey(time.Now()) })
			if err == nil {
				done.Add(1)
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
			if _, err := secret.LoadRing(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := int64(len(load(t, path).Keys())); n != done.Load()+1 || n < 2 {
		t.Errorf("%d keys after %d changes", n, done.Load())
	}
}
