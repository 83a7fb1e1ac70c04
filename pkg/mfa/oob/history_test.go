package oob_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestR27Limits: what the limits say of a history. That it outlasts everything is the
// store's, see storage/conformance.
func TestR27Limits(t *testing.T) {
	l := oob.Limits{Minute: 2, Hour: 3, Gateway: 60, Pause: 2, For: 30 * time.Minute}
	ago := func(all ...time.Duration) (h oob.History) {
		for _, d := range all {
			h.Recent = append(h.Recent, noon.Add(-d))
		}
		return h
	}
	refused := func(n int, since time.Duration) oob.History {
		return oob.History{Refusals: n, RefusedAt: noon.Add(-since)}
	}
	both := ago(time.Minute, time.Second)
	both.Refusals, both.RefusedAt = 2, noon.Add(-30*time.Minute+time.Second)
	for name, tt := range map[string]struct {
		h    oob.History
		want time.Duration
	}{
		"none":               {oob.History{}, 0},
		"one":                {ago(0), 0},
		"two in a minute":    {ago(59*time.Second, 0), time.Second},
		"one a minute ago":   {ago(time.Minute, 0), 0},
		"three in an hour":   {ago(59*time.Minute, 30*time.Minute, 2*time.Minute), time.Minute},
		"the longer one":     {ago(2*time.Minute, time.Second, 0), 58 * time.Minute},
		"more than allowed":  {ago(time.Minute, 40*time.Second, 20*time.Second, 0), 59*time.Minute + 20*time.Second},
		"refused once":       {refused(1, 0), 0},
		"refused twice":      {refused(2, time.Minute), 29 * time.Minute},
		"refused again":      {refused(7, 0), 30 * time.Minute},
		"a pause that ended": {refused(2, 30*time.Minute), 0},
		"a pause that ends":  {both, time.Second},
	} {
		if got := l.Wait(tt.h, noon); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	h := ago(time.Hour, time.Hour-time.Millisecond, 0).Sent(noon)
	if len(h.Recent) != 3 || !h.Recent[2].Equal(noon) {
		t.Errorf("kept %v", h.Recent)
	}
	if b := l.Bucket(); b.Size != 60 || b.Every != time.Second {
		t.Errorf("%+v", b)
	}
}
