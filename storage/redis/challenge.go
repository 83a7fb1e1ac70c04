package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

var _ oob.Store = (*Store)(nil)

// challengeVersion is that of the value's form, as transactionVersion is.
const challengeVersion = 1

// A challengeValue is what the field "value" of a key holds, as JSON. What changes has
// fields of its own.
type challengeValue struct {
	Version   int           `json:"v"`
	Challenge oob.Challenge `json:"challenge"`
}

func challengeKey(id string) string { return "oob:{" + id + "}" }

// offset is by how many milliseconds the clock of a test is ahead. Outside of tests it is
// 0: scripts go by the server's clock, so that nodes agree whose own clocks do not.
func (s *Store) offset() int64 {
	real := time.Now()
	return s.now().Sub(real).Round(time.Millisecond).Milliseconds()
}

// CreateChallenge implements oob.Store.
func (s *Store) CreateChallenge(ctx context.Context, c oob.Challenge) error {
	lifetime := c.ExpiresAt.Sub(s.now())
	if lifetime <= 0 {
		return errors.New("redis: create challenge: it has expired already")
	}
	value, err := json.Marshal(challengeValue{Version: challengeVersion, Challenge: c})
	if err != nil {
		return fmt.Errorf("redis: create challenge: %w", err)
	}
	var interval time.Duration
	if c.Answered {
		interval = oob.Interval
	}
	return s.created(ctx, "challenge", s.scripts.challenge.create, challengeKey(c.ID),
		s.offset(), value, lifetime.Milliseconds(), c.Authenticator, interval.Milliseconds(), flag(c.Bound()))
}

// Challenge implements oob.Store.
func (s *Store) Challenge(ctx context.Context, id string) (oob.Challenge, oob.State, error) {
	found, err := s.ask(ctx, "challenge", s.scripts.challenge.load, id)
	if err != nil {
		return oob.Challenge{}, "", err
	}
	text, ok := found[1].(string)
	if !ok {
		return oob.Challenge{}, "", errors.New("redis: challenge: it has no value")
	}
	c, err := readChallenge([]byte(text), id)
	if err != nil {
		return oob.Challenge{}, "", err
	}
	state, err := readState(found[0])
	return c, state, err
}

// readChallenge reads the value of the key with the id.
func readChallenge(text []byte, id string) (oob.Challenge, error) {
	var value challengeValue
	if err := json.Unmarshal(text, &value); err != nil {
		return oob.Challenge{}, fmt.Errorf("redis: challenge: %w", err)
	}
	if value.Version != challengeVersion || value.Challenge.ID != id {
		return oob.Challenge{}, fmt.Errorf("redis: challenge: a value of version %d, want %d with the id of its key",
			value.Version, challengeVersion)
	}
	return value.Challenge, nil
}

// readState takes no state that the gateway does not know: a later one may write it.
func readState(found any) (oob.State, error) {
	text, _ := found.(string)
	switch state := oob.State(text); state {
	case oob.Pending, oob.Approved, oob.Denied, oob.Superseded, oob.Expired:
		return state, nil
	default:
		return "", fmt.Errorf("redis: challenge: it is %q", text)
	}
}

// flag is how scripts know a yes from a no.
func flag(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Poll implements oob.Store.
func (s *Store) Poll(ctx context.Context, p oob.Poll) (oob.Polled, error) {
	found, err := s.ask(ctx, "poll", s.scripts.challenge.poll, p.ID, p.Waiter, flag(p.Woken), flag(p.Bare))
	if err != nil {
		return oob.Polled{}, err
	}
	return readPolled(found)
}

// readPolled reads what a poll answered: state, milliseconds to wait, a word, and whose
// answer it is if there is one.
func readPolled(found []any) (oob.Polled, error) {
	if len(found) < 3 {
		return oob.Polled{}, fmt.Errorf("redis: poll: %d answers", len(found))
	}
	state, err := readState(found[0])
	if err != nil {
		return oob.Polled{}, err
	}
	wait, _ := found[1].(int64)
	p := oob.Polled{
		State: state, Wait: time.Duration(wait) * time.Millisecond,
		TooSoon: found[2] == wordSoon, Waiting: found[2] == wordWaits, Answered: found[2] != wordOpen,
	}
	if len(found) > 3 {
		p.Authenticator, _ = found[3].(string)
	}
	return p, nil
}

// Decide implements oob.Store.
func (s *Store) Decide(ctx context.Context, id string, state oob.State) error {
	switch state {
	case oob.Approved, oob.Denied, oob.Superseded:
	default:
		return fmt.Errorf("redis: decide: nobody decides that it is %q", state)
	}
	_, err := s.ask(ctx, "decide", s.scripts.challenge.decide, id, string(state))
	return err
}

// ask runs a script of a challenge, which answers nothing when there is none.
func (s *Store) ask(ctx context.Context, what string, script *goredis.Script, id string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args = append([]any{s.offset(), id}, args...)
	found, err := script.Run(ctx, s.client, []string{challengeKey(id)}, args...).Slice()
	if err != nil {
		return nil, unavailable(what, err)
	}
	if len(found) == 0 {
		return nil, notFound(what)
	}
	return found, nil
}
