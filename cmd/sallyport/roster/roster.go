// Package roster lists the users, with what keeps them from logging in.
package roster

import (
	"context"
	"io"

	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/pkg/identity"
)

// page is how many users are read at a time.
const page = 500

// Source has the users.
type Source interface {
	// Users returns up to limit users in the order of their ids, those behind the id after.
	Users(ctx context.Context, after string, limit int) ([]identity.User, error)
}

// Row is a user as it is listed.
type Row struct {
	ID            string `json:"id"`
	Username      string `json:"username"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Name          string `json:"name"`
	Disabled      bool   `json:"disabled"`
	Reported      bool   `json:"reported"` // the user said that somebody else logs in
}

// state is what an operator reads of a user: what weighs most.
func (r Row) state() string {
	switch {
	case r.Disabled:
		return "disabled"
	case r.Reported:
		return "reported"
	default:
		return "enabled"
	}
}

// List prints all users.
func List(ctx context.Context, to io.Writer, asJSON bool, from Source) error {
	var rows []Row
	for after := ""; ; {
		users, err := from.Users(ctx, after, page)
		if err != nil {
			return err
		}
		for _, u := range users {
			rows = append(rows, Row{u.ID, u.Username, u.Email, u.EmailVerified, u.Name, u.Blocked, u.Reported})
		}
		if len(users) < page {
			break
		}
		after = users[len(users)-1].ID
	}
	return listing.Print(to, asJSON, rows, "ID USERNAME EMAIL NAME STATE", func(r Row) []string {
		return []string{r.ID, r.Username, r.Email, r.Name, r.state()}
	})
}
