package notice_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/notice"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// What changes how somebody logs in concerns them, and what was only tried does not.
func TestConcerns(t *testing.T) {
	always := []audit.Type{audit.Confirmed, audit.CodeUsed, audit.PasswordChanged, audit.Removed, audit.Disabled}
	for _, kind := range []audit.Type{
		audit.TokensIssued, audit.TokensRevoked, audit.TokensReused, audit.TokensRefused, audit.PasswordRefused, audit.FactorDemanded,
		audit.FactorRefused, audit.Confirmed, audit.CodeUsed, audit.PasswordChanged, audit.Disabled, audit.Associated, audit.Removed,
		audit.UserChanged, audit.ClientChanged, audit.APIChanged, audit.KeyCreated, audit.KeyChosen, audit.KeyRemoved,
	} {
		told := notice.Concerns(audit.Event{Type: kind, Success: true})
		tried := notice.Concerns(audit.Event{Type: kind, Reason: "not_removable"})
		if told != slices.Contains(always, kind) || tried && kind != audit.Disabled {
			t.Errorf("%s concerns %t, tried %t", kind, told, tried)
		}
		if told && notice.Silence(kind) != 0 {
			t.Errorf("%s is kept silent", kind)
		}
	}
	for reason, want := range map[fault.Kind]bool{fault.TooManyFailures: true, fault.WrongOTP: false, fault.UsedOTP: false} {
		if got := notice.Concerns(audit.Event{Type: audit.FactorRefused, Reason: reason.Error()}); got != want {
			t.Errorf("a factor that was refused for %s concerns %t", reason, got)
		}
	}
	if notice.Silence(audit.FactorDemanded) < 24*time.Hour || notice.Silence(audit.FactorRefused) < 24*time.Hour {
		t.Error("somebody with the password can flood its owner")
	}
}

func TestWait(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute, 6: 32 * time.Minute,
		7: time.Hour, 11: time.Hour, 100: time.Hour} {
		if got := notice.Wait(attempt); got != want {
			t.Errorf("after attempt %d: %v, want %v", attempt, got, want)
		}
	}
}

// The log names the user by id, and repeats nothing that anybody typed.
func TestLogger(t *testing.T) {
	var log strings.Builder
	l := notice.Logger{Log: slog.New(slog.NewTextHandler(&log, nil))}
	err := l.Notify(t.Context(), notice.Notice{
		ID: "0a", Type: audit.Confirmed, At: noon, Subject: "auth0|alice", Client: "spa", Address: "192.0.2.1", Grant: "mfa-otp",
		Authenticators: []notice.Authenticator{{Type: "otp", Name: "Alice's phone"}}, Attempt: 1,
	})
	const want = "msg=notice type=authenticator.confirmed event=0a at=2026-03-01T12:00:00.000Z subject=auth0|alice client=spa address=192.0.2.1 authenticators=[otp]\n"
	if err != nil || !strings.HasSuffix(log.String(), want) {
		t.Errorf("%v, %s", err, log.String())
	}
}

// A queue has some notices, and counts what is ended.
type queue struct {
	waiting, ended []string
}

func (q *queue) ClaimNotice(context.Context) (notice.Notice, error) {
	if len(q.waiting) == 0 {
		return notice.Notice{}, fault.NotFound
	}
	n := notice.Notice{ID: q.waiting[0], At: noon}
	q.waiting = q.waiting[1:]
	return n, nil
}

func (q *queue) EndNotice(ctx context.Context, id string) error {
	q.ended = append(q.ended, id)
	return ctx.Err()
}

// stopping is a gateway that is stopped while its first notice is told.
type stopping struct{ stop func() }

func (s stopping) Notify(ctx context.Context, _ notice.Notice) error {
	s.stop()
	return ctx.Err()
}

// What was begun to be told when a gateway stops is finished, or another one would tell it
// again; the rest is left to that one.
func TestTellerStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	q := &queue{waiting: []string{"one", "two"}}
	teller := notice.Teller{Store: q, Notifier: stopping{stop}, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)}
	if err := teller.Tell(ctx); err != nil || !slices.Equal(q.ended, []string{"one"}) || len(q.waiting) != 1 {
		t.Errorf("%v: %q are ended, %q wait", err, q.ended, q.waiting)
	}
}
