package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// LockFile keeps a second gateway away from a SQLite database, until the file is closed: two
// would each keep their own logins under way.
func LockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is held by another gateway; SQLite takes one, use PostgreSQL for more", path), f.Close())
	}
	return f, nil
}
