package oob

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
)

// Limits bound the pushes of a user and of the gateway (R27, N-OB-5). All are positive.
type Limits struct {
	Minute  int           // pushes of a user in any minute
	Hour    int           // and in any hour
	Gateway int           // of all users at once, and in the long run in a minute
	Code    int           // unanswered or denied in a row, then a code is asked for
	Pause   int           // and then there is none for a while
	For     time.Duration // this long
}

// An Ask is a push that shall be sent.
type Ask struct {
	Challenge Challenge
	Event     audit.Event
}

// Admitted says how a push may be sent.
type Admitted struct {
	Replaced string // the id of the challenge that was live, and is not any more
	Refusals int    // unanswered or denied in a row before this one
	// Denied is set when one of them was denied, or the subject reported somebody and has
	// the same password still.
	Denied bool
}

// An Answer is what a device decided about a challenge.
type Answer struct {
	Challenge Challenge
	Approved  bool
	Reported  bool // it was not the user: every login that waits is over
	Event     audit.Event
}

// Asks counts the pushes of users, where no attacker can reset that, and knows for each
// the one that is live.
type Asks interface {
	// Admit makes a challenge the live one of its subject. While another one is live, it
	// takes its place if it is of the same client and address, and else fails with
	// fault.TooManyMessages and the time that is left, as it does beyond the limits. A live
	// one that expired or lost its place without an answer counts as one more that was
	// refused: who asks again and again is not answered either. Both are recorded with the
	// event, which gets the success or the reason. It fails with fault.UserBlocked, and with
	// fault.MalformedMFAToken for what a report has ended.
	Admit(ctx context.Context, a Ask, l Limits) (Admitted, error)
	// Withdraw takes back a challenge that nobody was asked about, because its message did not
	// go out: it is live no more, and nobody refused it. It counts as one that was sent.
	Withdraw(ctx context.Context, c Challenge) error
	// Answer records what a device decided, if the challenge is the live one, and was not
	// answered otherwise; else it fails with fault.NotFound. The same again is no error and
	// changes nothing. A denial uses the challenge up; one that Reported ends everything of
	// the subject that waits for a second factor, and marks the subject.
	Answer(ctx context.Context, a Answer) error
}
