package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
)

func TestKindSurvivesWrapping(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("load transaction: %w", fault.Because(fault.Unavailable, cause))
	if !errors.Is(err, fault.Unavailable) || !errors.Is(err, cause) {
		t.Errorf("%v: want both the kind and the cause to be found", err)
	}
	if got := fault.Of(err); got != fault.Unavailable {
		t.Errorf("Of = %q, want %q", got, fault.Unavailable)
	}
}

func TestBecauseKeepsTheFirstKind(t *testing.T) {
	err := fault.Because(fault.Unavailable, fmt.Errorf("verify: %w", fault.WrongOTP))
	if got := fault.Of(err); got != fault.WrongOTP {
		t.Errorf("Of = %q, want %q: a wrong code must not look like an outage", got, fault.WrongOTP)
	}
	if fault.Because(fault.Unavailable, nil) != nil {
		t.Error("Because(nil) is not nil")
	}
}

func TestUnknownErrorsAreInternal(t *testing.T) {
	if got := fault.Of(errors.New("surprise")); got != fault.Internal {
		t.Errorf("Of = %q, want %q", got, fault.Internal)
	}
}
