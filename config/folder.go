package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// writable is what access(2) calls the right to write to a folder and to enter it.
const writable = 0x2 | 0x1

// DatabaseFolder says what is wrong with the folder of a SQLite database, and what to
// do; nil for any other database. A SQLite database is made at the first start, but not
// its folder: where that is missing, a disk may not be mounted.
func (c *Config) DatabaseFolder() error {
	file, ok := c.Database.SQLitePath()
	if !ok {
		return nil
	}
	folder := filepath.Dir(file)
	switch at, err := os.Stat(folder); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no folder %[1]s; make it for the user of the gateway with `install -d -m 700 %[1]s`", folder)
	case err != nil:
		return fmt.Errorf("cannot look into the folder %s: %w", folder, errors.Unwrap(err))
	case !at.IsDir():
		return fmt.Errorf("%s is no folder; name a file in one", folder)
	case syscall.Access(folder, writable) != nil:
		return fmt.Errorf("this user may not write to the folder %s, as SQLite has to; give the folder to the user of the gateway, and run this as that user", folder)
	}
	return nil
}
