package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type ringFile struct {
	Keys []ringKey `json:"keys"` // the first seals until another one is chosen
}

// Save writes the ring to a new file that only its owner can read; an existing
// file is never overwritten, because losing a ring loses every sealed secret.
func (r *Ring) Save(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	return errors.Join(r.write(f), f.Close())
}

func (r *Ring) write(f *os.File) error {
	text, err := json.MarshalIndent(ringFile{Keys: r.held.Load().keys}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the key ring: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Sync())
}

// LoadRing reads a ring that [Ring.Save] or [Rewrite] wrote.
func LoadRing(path string) (*Ring, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key ring: %w", err)
	}
	var file ringFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s is not a key ring; put its copy back, or for a new database write one with `sallyport keys init`", path)
	}
	if len(file.Keys) == 0 {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	seen := map[string]bool{}
	for _, k := range file.Keys {
		if k.ID == "" || strings.Contains(k.ID, ".") || seen[k.ID] || len(k.Key) != keyBytes {
			return nil, fmt.Errorf("%s: key %q is damaged or stands twice", path, k.ID)
		}
		seen[k.ID] = true
	}
	return ringOf(file.Keys), nil
}

// Rewrite changes the ring of a file in one step: whoever reads it, also after a crash,
// finds the old ring or the new one. Owner and mode stay. Of several who change it at
// once one succeeds; the others fail with [os.ErrExist].
func Rewrite(path string, change func(*Ring) (*Ring, error)) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return fmt.Errorf("find the key ring: %w", err)
	}
	fresh := path + ".new" // made by one alone, so it is the lock as well
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(fresh))
		}
	}()
	old, err := LoadRing(path)
	if err != nil {
		return err
	}
	changed, err := change(old)
	if err != nil {
		return err
	}
	if err := keepOwner(f, path); err != nil {
		return fmt.Errorf("keep the owner of the key ring: %w", err)
	}
	if err := changed.write(f); err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// keepOwner gives f the mode and the owner of another file: root may rotate the keys
// that the gateway's user reads.
func keepOwner(f *os.File, path string) error {
	was, err := os.Stat(path)
	if err != nil {
		return err
	}
	if owner, ok := was.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(was.Mode().Perm())
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// WithFreshKey is the ring and one key more, which opens only, until it is chosen.
func (r *Ring) WithFreshKey(now time.Time) (*Ring, error) {
	key, err := freshKey(now)
	if err != nil {
		return nil, err
	}
	keys := r.held.Load().keys
	for _, k := range keys {
		if !key.Created.After(k.Created) { // it is the newest, whatever the clock says
			key.Created = k.Created.Add(time.Second)
		}
	}
	return ringOf(append(slices.Clone(keys), key)), nil
}

// Only is the ring with one of its keys. It fails as [Ring.SealWith] does.
func (r *Ring) Only(id string) (*Ring, error) {
	key, ok := r.find(id)
	if !ok {
		return nil, fmt.Errorf("the ring lacks the key %q: %w", id, ErrSealed)
	}
	return ringOf([]ringKey{key}), nil
}
