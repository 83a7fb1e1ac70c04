package sqlstore

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// stamp is a time as a column holds it: milliseconds since 1970, 0 for the zero time.
// A number means the same to both databases; their own types for time do not.
type stamp int64

func at(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	return stamp(t.UnixMilli())
}

func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(s)).UTC()
}

// stamps is a list of moments as a column holds it: a JSON array.
type stamps []stamp

func stampsOf(all []time.Time) stamps {
	out := make(stamps, len(all))
	for i, t := range all {
		out[i] = at(t)
	}
	return out
}

func (l stamps) times() []time.Time {
	out := make([]time.Time, len(l))
	for i, s := range l {
		out[i] = s.time()
	}
	return out
}

// Value implements driver.Valuer.
func (l stamps) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]stamp(l))
	return string(text), err
}

// Scan implements sql.Scanner.
func (l *stamps) Scan(v any) error { return scanJSON(v, (*[]stamp)(l)) }

// list is a list of words as a column holds it: a JSON array.
type list []string

// Value implements driver.Valuer.
func (l list) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]string(l))
	return string(text), err
}

// Scan implements sql.Scanner.
func (l *list) Scan(v any) error { return scanJSON(v, (*[]string)(l)) }

func scanJSON(v, to any) error {
	var text []byte
	switch v := v.(type) {
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return fmt.Errorf("a list cannot be read from a %T", v)
	}
	return json.Unmarshal(text, to)
}

// text is what a column holds that may be NULL.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// optional is a column that is NULL when there is nothing to say.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
