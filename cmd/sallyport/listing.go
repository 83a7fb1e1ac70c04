package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"
)

// list prints rows for a program, or as columns under a heading for a person.
func list[Row any](d deps, asJSON bool, rows []Row, heading string, columns func(Row) []string) error {
	if asJSON {
		out := json.NewEncoder(d.stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if rows == nil {
			rows = []Row{}
		}
		return out.Encode(rows)
	}
	w := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(heading, " ", "\t"))
	for _, row := range rows {
		cells := columns(row)
		for i := range cells {
			if cells[i] = visible(cells[i]); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// visible keeps what somebody typed as a name from moving the cursor of a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
