// Package roster lists the users, with what keeps them from logging in.
package roster

import (
	"context"
	"io"
	"time"

	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// page is how many users are read at a time.
const page = 500

// Source has the users.
type Source interface {
	// Users returns up to limit users in the order of their ids, those behind the id after.
	Users(ctx context.Context, after string, limit int) ([]identity.User, error)
	// Failures returns the wrong second factors of those of some users who have any.
	Failures(ctx context.Context, userIDs []string) (map[string]throttle.Failures, error)
	// PushHistories returns what came of the pushes of those of some users who had any.
	PushHistories(ctx context.Context, userIDs []string) (map[string]oob.History, error)
}

// Waits says how long users wait from now on.
type Waits struct {
	Now      time.Time
	Attempts throttle.Limits
	Pushes   oob.Limits
}

// Row is a user as it is listed.
type Row struct {
	ID            string    `json:"id"`
	Username      string    `json:"username"`
	Email         string    `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	Name          string    `json:"name"`
	Disabled      bool      `json:"disabled"`
	Reported      bool      `json:"reported"`                 // the user said that somebody else logs in
	WaitsUntil    time.Time `json:"waits_until,omitzero"`     // no second factor is looked at sooner
	NoPushesUntil time.Time `json:"no_pushes_until,omitzero"` // no phone is asked sooner
}

// state is what an operator reads of a user: what weighs most. Nobody waits for a day, so
// the time of day says when that is over.
func (r Row) state() string {
	const minute = "15:04Z"
	switch {
	case r.Disabled:
		return "disabled"
	case r.Reported:
		return "reported"
	case !r.WaitsUntil.IsZero():
		return "waiting until " + r.WaitsUntil.Format(minute)
	case !r.NoPushesUntil.IsZero():
		return "pushes paused until " + r.NoPushesUntil.Format(minute)
	default:
		return "enabled"
	}
}

// until is when a wait is over, in whole minutes, and not before; zero if there is none.
func (w Waits) until(wait time.Duration) time.Time {
	if wait <= 0 {
		return time.Time{}
	}
	return w.Now.UTC().Add(wait + time.Minute - 1).Truncate(time.Minute)
}

// List prints all users.
func List(ctx context.Context, to io.Writer, asJSON bool, from Source, w Waits) error {
	var rows []Row
	for after := ""; ; {
		users, err := from.Users(ctx, after, page)
		if err != nil {
			return err
		}
		read, err := w.rows(ctx, from, users)
		if err != nil {
			return err
		}
		rows = append(rows, read...)
		if len(users) < page {
			break
		}
		after = users[len(users)-1].ID
	}
	return listing.Print(to, asJSON, rows, "ID USERNAME EMAIL NAME STATE", func(r Row) []string {
		return []string{r.ID, r.Username, r.Email, r.Name, r.state()}
	})
}

// rows are users with what they wait for.
func (w Waits) rows(ctx context.Context, from Source, users []identity.User) ([]Row, error) {
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	failures, err := from.Failures(ctx, ids)
	if err != nil {
		return nil, err
	}
	pushes, err := from.PushHistories(ctx, ids)
	rows := make([]Row, len(users))
	for i, u := range users {
		rows[i] = Row{
			ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name, Disabled: u.Blocked, Reported: u.Reported,
			WaitsUntil:    w.until(w.Attempts.Wait(failures[u.ID], w.Now)),
			NoPushesUntil: w.until(w.Pushes.Wait(pushes[u.ID], w.Now)),
		}
	}
	return rows, err
}
