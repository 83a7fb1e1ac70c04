package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// The seed of RFC 6238, appendix B, "12345678901234567890".
const rfcSeed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func TestOTP(t *testing.T) {
	k := newDesk(t)
	for at, want := range map[string]string{
		"59": "287082", "1111111109": "081804", "1111111111": "050471", "1234567890": "005924",
		"2000000000": "279037", "20000000000": "353130", "0": "755224",
	} {
		if out := k.want(exitOK, "", "otp", rfcSeed, "--at", at); out != want+"\n" {
			t.Errorf("at %s: %q, want %s", at, out, want)
		}
	}
	if out := k.want(exitOK, "gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n", "otp", "-", "--at", "59"); out != "287082\n" {
		t.Errorf("as people write it: %q", out)
	}
	for _, args := range [][]string{{"otp", "1"}, {"otp", ""}, {"otp", "-"}, {"otp", rfcSeed, "--at", "-1"}, {"otp", rfcSeed, "--at", "x"}} {
		k.want(exitMisuse, "", args...)
	}
}

func TestOTPWaits(t *testing.T) {
	k := newDesk(t)
	now := time.Unix(59-12, 0)
	k.deps.now = func() time.Time { return now }
	k.deps.wait = func(_ context.Context, d time.Duration) error {
		now = now.Add(d)
		return nil
	}
	if out := k.want(exitOK, "", "otp", rfcSeed); out != "287082\n" {
		t.Errorf("the current one: %q", out)
	}
	code, out, errs := k.run("", "otp", rfcSeed, "--wait")
	if code != exitOK || out != "359152\n" { // step 2: RFC 4226, appendix D
		t.Errorf("the next one: exit code %d, %q", code, out)
	}
	if strings.Count(errs, "\n") != 3 || !strings.Contains(errs, "13 s left") || !now.Equal(time.Unix(60, 0)) {
		t.Errorf("it is %v after %q", now.Unix(), errs)
	}
	k.deps.wait = func(context.Context, time.Duration) error { return context.Canceled }
	k.says("canceled", exitFailed, "", "otp", rfcSeed, "--wait")
}

func TestWait(t *testing.T) {
	if err := wait(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
