// Package listing prints what a command lists, for programs or for people.
package listing

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Print prints rows as JSON for a program, or as columns under a heading, its names apart
// by spaces, for a person.
func Print[Row any](to io.Writer, asJSON bool, rows []Row, heading string, columns func(Row) []string) error {
	if asJSON {
		out := json.NewEncoder(to)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if rows == nil {
			rows = []Row{}
		}
		return out.Encode(rows)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(heading, " ", "\t"))
	for _, row := range rows {
		cells := columns(row)
		for i := range cells {
			if cells[i] = Visible(cells[i]); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// Visible keeps what somebody typed as a name from moving the cursor of a terminal.
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
