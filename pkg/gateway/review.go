package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// findings are what a database holds against a configuration: registered under another
// one, or by a file that is applied no longer. Each is a line.
type findings struct {
	refused []string // with any of these nothing may be served
	warned  []string
}

// review reads the clients and APIs of the database. Disabled clients get nothing, and
// so contradict nothing.
func review(ctx context.Context, sql *sqlstore.Store, c *config.Config) (findings, error) {
	clients, err := sql.Clients(ctx)
	if err != nil {
		return findings{}, fmt.Errorf("review the clients: %w", err)
	}
	apis, err := sql.APIs(ctx)
	if err != nil {
		return findings{}, fmt.Errorf("review the APIs: %w", err)
	}
	var f findings
	known := map[string]record.API{}
	for _, a := range apis {
		known[a.Audience] = a
		f.add("api "+a.Audience, c.ContradictionsOfAPI(a), "")
	}
	for _, k := range clients {
		if k.Disabled {
			continue
		}
		f.add("client "+k.ID, c.ContradictionsOfClient(k), fmt.Sprintf("; or disable it with `sallyport clients disable %s`", k.ID))
		for _, text := range unknown(k, known, c) {
			f.warned = append(f.warned, "client "+k.ID+": audiences: "+text)
		}
	}
	return f, nil
}

// add adds contradictions; what else can be done about a refusal is its remedy.
func (f *findings) add(who string, found []config.Contradiction, remedy string) {
	for _, x := range found {
		line := who + ": " + x.Member + ": " + x.Text
		if x.Unserved {
			f.warned = append(f.warned, line+"; until then they are not served")
		} else {
			f.refused = append(f.refused, line+remedy)
		}
	}
}

// unknown says which of a client's audiences and scopes nothing is issued for.
func unknown(k record.Client, known map[string]record.API, c *config.Config) []string {
	var all []string
	for _, audience := range slices.Sorted(maps.Keys(k.Audiences)) {
		api, ok := known[audience]
		switch {
		case c.Owns(audience):
		case !ok:
			all = append(all, fmt.Sprintf("there is no API %s; the client gets no token for it before a tenant file has it", audience))
		default:
			for _, scope := range k.Audiences[audience] {
				if !slices.Contains(api.Scopes, scope) {
					all = append(all, fmt.Sprintf("the API %s has no scope %s; the client never gets it", audience, scope))
				}
			}
		}
	}
	return all
}

// review refuses to serve a database that contradicts the configuration, and warns of
// what will not be served.
func (g *Gateway) review(ctx context.Context) error {
	f, err := review(ctx, g.stores.sql, g.Config)
	if err != nil {
		return err
	}
	for _, w := range f.warned {
		g.Log.WarnContext(ctx, "the database holds what is not served", slog.String("what", w))
	}
	if len(f.refused) == 0 {
		return nil
	}
	return errors.New("what is registered in the database contradicts the configuration:\n" + strings.Join(f.refused, "\n"))
}

// Review names what keeps a gateway with this configuration from serving the database,
// and what it would not serve, a line each.
func (a *Administration) Review(ctx context.Context) ([]string, error) {
	f, err := review(ctx, a.Store, a.options.Config)
	return append(f.refused, f.warned...), err
}

// MayServe fails with the reason why a gateway with this configuration would not serve a
// client, or with fault.NotFound.
func (a *Administration) MayServe(ctx context.Context, id string) error {
	k, err := a.Client(ctx, id)
	if err != nil {
		return err
	}
	var f findings
	f.add("client "+id, a.options.Config.ContradictionsOfClient(k), "")
	if len(f.refused) > 0 {
		return errors.New(strings.Join(f.refused, "\n"))
	}
	return nil
}

// MinLength is how many code points a password has that somebody chooses now:
// passwords.min_length, and no fewer than one has to have that may stand alone while there
// is a client where it does.
func (a *Administration) MinLength(ctx context.Context) (int, error) {
	clients, err := a.Clients(ctx)
	if err != nil {
		return 0, err
	}
	c := a.options.Config
	for _, k := range clients {
		var f findings
		if f.add("", c.ContradictionsOfClient(k), ""); len(f.refused) > 0 && !k.Disabled {
			return max(c.Passwords.MinLength, identity.MinLengthAlone), nil
		}
	}
	return c.Passwords.MinLength, nil
}

// UnknownAPI is an audience of a client that no API has; empty: there is none.
func (a *Administration) UnknownAPI(ctx context.Context, k record.Client) (string, error) {
	for _, audience := range slices.Sorted(maps.Keys(k.Audiences)) {
		if a.options.Config.Owns(audience) {
			continue
		}
		if _, err := a.API(ctx, audience); errors.Is(err, fault.NotFound) {
			return audience, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", nil
}
