package push

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
)

// Rules keep a phone from being bombed (R27, N-OB-5).
type Rules struct {
	Binding    string        `yaml:"binding" enum:"plain|code_to_page" doc:"What ties an approval to the login that it is about: nothing (plain), or a code that the phone shows and the login needs (code_to_page). Plain becomes code_to_page for a user who denied a push, or left several unanswered. A client may have its own."`
	PerMinute  int           `yaml:"per_minute" default:"5" doc:"Pushes of a user in any minute; at most 60."`
	PerHour    int           `yaml:"per_hour" default:"20" doc:"Pushes of a user in any hour; at most 1000."`
	Gateway    int           `yaml:"gateway_per_minute" default:"600" doc:"Pushes of all users at a time; as many more in each minute."`
	CodeAfter  int           `yaml:"code_after" default:"3" doc:"Unanswered or denied pushes in a row after which a code is asked for."`
	PauseAfter int           `yaml:"pause_after" default:"6" doc:"Unanswered or denied pushes in a row after which there is none for a while."`
	Pause      time.Duration `yaml:"pause" default:"30m" doc:"How long that is; at most 24h."`
}

// Validate reports what is wrong, each error as "key: text".
func (r Rules) Validate() error {
	var errs []error
	for _, l := range []struct {
		name       string
		value, max int
	}{
		{"per_minute", r.PerMinute, 60}, {"per_hour", r.PerHour, 1000}, {"gateway_per_minute", r.Gateway, 1_000_000},
		{"code_after", r.CodeAfter, 100}, {"pause_after", r.PauseAfter, 100},
	} {
		if l.value < 1 || l.value > l.max {
			errs = append(errs, fmt.Errorf("%s: must be between 1 and %d", l.name, l.max))
		}
	}
	if r.Pause < time.Minute || r.Pause > 24*time.Hour {
		errs = append(errs, errors.New("pause: must be between 1m and 24h"))
	}
	return errors.Join(errs...)
}

// Limits are those that the store counts by.
func (r Rules) Limits() oob.Limits {
	return oob.Limits{Minute: r.PerMinute, Hour: r.PerHour, Gateway: r.Gateway, Code: r.CodeAfter, Pause: r.PauseAfter, For: r.Pause}
}

// Default is the binding of a client that has none of its own.
func (r Rules) Default() record.Binding { return record.Binding(r.Binding) }
