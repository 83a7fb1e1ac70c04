package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/guardian/provider"
)

// state is what the phone keeps from one command to the next.
type state struct {
	Accounts []json.RawMessage `json:"accounts"` // as phone.Account.Keep writes them
	Waiting  *waiting          `json:"waiting,omitempty"`

	accounts []phone.Account
}

// waiting is the last push, until it is answered.
type waiting struct {
	Account string        `json:"account"`
	Push    provider.Push `json:"push"`
}

func (s *state) add(a phone.Account) error {
	text, err := a.Keep()
	if err != nil {
		return err
	}
	s.Accounts = append(s.Accounts, text)
	return nil
}

// owner is the account that pushes to a token are for.
func (s state) owner(p provider.Push) (phone.Account, bool) {
	i := slices.IndexFunc(s.accounts, func(a phone.Account) bool {
		return a.Push.Service == p.Service && a.Push.Token.Reveal() == p.Token
	})
	if i < 0 {
		return phone.Account{}, false
	}
	return s.accounts[i], true
}

// storePath is the file that a flag names, or the usual one.
func storePath(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%w; name a file with --store", err)
	}
	return filepath.Join(folder, "sallyport", "device.json"), nil
}

// readState reads the store; a file that is not there yet is empty.
func readState(path string) (s state, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read the phone's accounts: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("read the phone's accounts: %s is not as `sallyport device` wrote it: %w", path, err)
	}
	for _, kept := range s.Accounts {
		a, err := phone.Recall(kept)
		if err != nil {
			return state{}, fmt.Errorf("%s: %w", path, err)
		}
		s.accounts = append(s.accounts, a)
	}
	return s, nil
}

// change reads the store anew, changes it, and puts it in the place of the old one.
func change(path string, do func(*state) error) error {
	s, err := readState(path)
	if err != nil {
		return err
	}
	if err := do(&s); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the phone's accounts: %w", err)
	}
	const private = 0o700
	if err := os.MkdirAll(filepath.Dir(path), private); err != nil {
		return fmt.Errorf("write the phone's accounts: %w", err)
	}
	if err := replace(path, append(text, '\n')); err != nil {
		return fmt.Errorf("write the phone's accounts: %w", err)
	}
	return nil
}

// replace writes a file that nobody else may read, whole or not at all.
func replace(path string, text []byte) (err error) {
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(next.Name()))
		}
	}()
	_, err = next.Write(text)
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}
