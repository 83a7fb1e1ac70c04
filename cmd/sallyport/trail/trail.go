// Package trail prints the audit for programs, a JSON object for each record and line, and
// what came of verifying it for people.
package trail

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/sallyport/sallyport/pkg/audit"
)

const (
	page = 500 // records that are read at a time
	// followInterval is how often new records are looked for.
	followInterval = 500 * time.Millisecond
	// followBack is how many records are shown before what is new.
	followBack = 10
)

// line is a record as it is printed; what is empty is left out. Its seal comes last: with
// the line before, anybody can compute the hash again.
type line struct {
	ID             string   `json:"id"`
	At             string   `json:"at"`
	Type           string   `json:"type"`
	Success        bool     `json:"success"`
	Reason         string   `json:"reason,omitempty"`
	Subject        string   `json:"subject,omitempty"`
	Client         string   `json:"client,omitempty"`
	Session        string   `json:"session,omitempty"`
	Transaction    string   `json:"transaction,omitempty"`
	Authenticators []string `json:"authenticators,omitempty"`
	Grant          string   `json:"grant,omitempty"`
	Address        string   `json:"address,omitempty"`
	Seq            int64    `json:"seq,omitempty"`
	Hash           string   `json:"hash,omitempty"`
}

// printRecords prints a line for each record.
func printRecords(to io.Writer, records []audit.Record) error {
	w := bufio.NewWriter(to)
	for _, r := range records {
		e := r.Event
		text, err := encode(line{
			ID: r.ID, At: e.At.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Type: string(e.Type), Success: e.Success, Reason: e.Reason,
			Subject: e.Subject, Client: e.Client, Session: e.Session, Transaction: e.Transaction,
			Authenticators: e.Authenticators, Grant: e.Grant, Address: e.Address, Seq: r.Seal.Seq, Hash: r.Seal.Hash,
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(w, text) // its error is that of Flush
	}
	return w.Flush()
}

// encode writes JSON in which whatever could move the cursor of a terminal, or turn the
// text around it, is escaped (ASVS 16.4.1).
func encode(l line) (string, error) {
	var raw bytes.Buffer
	out := json.NewEncoder(&raw)
	out.SetEscapeHTML(false)
	if err := out.Encode(l); err != nil {
		return "", fmt.Errorf("print a record: %w", err)
	}
	var text strings.Builder
	for _, r := range strings.TrimSuffix(raw.String(), "\n") {
		if unicode.IsPrint(r) {
			text.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&text, `\u%04x`, unit)
		}
	}
	return text.String(), nil
}

// Records reads the record by time.
type Records interface {
	Records(ctx context.Context, q audit.Query) ([]audit.Record, error)
}

// Export prints what a query chooses, a page after the other.
func Export(ctx context.Context, to io.Writer, from Records, q audit.Query) error {
	q.Limit = page
	for {
		records, err := from.Records(ctx, q)
		if err != nil {
			return err
		}
		if err := printRecords(to, records); err != nil {
			return err
		}
		if len(records) < page {
			return nil
		}
		q.After = records[page-1].ID
	}
}

// Follow prints the last records, or all behind a place, and then what is sealed, until
// ctx ends. It goes by the order of seals: so nothing is left out that was committed
// late.
func Follow(ctx context.Context, to io.Writer, from audit.Trail, after int64, wait func(context.Context, time.Duration) error) error {
	if after < 0 {
		head, err := from.Head(ctx)
		if err != nil {
			return err
		}
		after = max(0, head.Seq-followBack)
	}
	for ctx.Err() == nil {
		records, err := from.Sealed(ctx, after, page)
		if err == nil {
			err = printRecords(to, records)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if n := len(records); n > 0 {
			after = records[n-1].Seal.Seq
			continue
		}
		_ = wait(ctx, followInterval) // it ends early with ctx, as this does
	}
	return nil
}

// Time reads a bound of a query: a moment as RFC 3339 has it, a day, which begins at
// midnight UTC, or how long ago.
func Time(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2026-03-01, 2026-03-01T12:00:00Z, or 24h for a day ago", text)
}
