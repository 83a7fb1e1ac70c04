package main

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/gateway"
)

// database is an open database and the configuration that names it.
type database struct {
	*gateway.Administration
	config *config.Config
}

// withDatabase runs a command on the database of a configuration, whatever version the
// database has.
func (d deps) withDatabase(ctx context.Context, path string, do func(database) error) (err error) {
	c, err := config.Load(path, d.getenv)
	if err != nil {
		return err
	}
	a, err := gateway.Administer(ctx, gateway.Options{Config: c, Log: d.quiet(), Now: d.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return do(database{Administration: a, config: c})
}

// withTables is withDatabase for commands that need every table.
func (d deps) withTables(ctx context.Context, path string, do func(database) error) error {
	return d.withDatabase(ctx, path, func(db database) error {
		pending, err := db.Pending(ctx)
		if err != nil {
			return err
		}
		if pending {
			return errors.New("the database lacks tables of this version; run `sallyport migrate` or start `sallyport serve` first")
		}
		return do(db)
	})
}

// event is the record of a change by a command.
func (d deps) event(t audit.Type, command, reason string) audit.Event {
	return audit.Event{At: d.now().UTC(), Type: t, Success: true, Reason: reason, Grant: command}
}

// param is the parameter that a fault names, empty when there is none.
func param(err error) string {
	var d *fault.Details
	if errors.As(err, &d) {
		return d.Param
	}
	return ""
}
