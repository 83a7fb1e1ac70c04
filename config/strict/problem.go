package strict

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	File string
	Line int    // from 1; 0 when the file could not be read
	Path string // "redis.url", "clients[2].secret"; empty for the file as a whole
	Text string // what is wrong, and what to do
}

// String returns "file.yaml:12: redis.url: what is wrong".
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where += fmt.Sprintf(":%d", p.Line)
	}
	if p.Path != "" {
		where += ": " + p.Path
	}
	return where + ": " + p.Text
}

// Problems is everything that is wrong, in the order of the files and their lines.
type Problems []Problem

// Error returns one problem a line. No text holds a secret.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Problems returns the problems of one file in the order of its lines.
func (r *File) Problems() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return r.problems
}

// Err is nil when there are no problems: a nil Problems in an error is not nil.
func (r *File) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return r.Problems()
}
