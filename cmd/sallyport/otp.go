package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/secret"
)

// The one-time passwords of authenticator apps (RFC 6238).
const (
	otpAlgorithm = "SHA1"
	otpDigits    = 6
	otpPeriod    = 30 * time.Second
)

// stdinLimit bounds what is read from standard input: a secret or a password.
const stdinLimit = 4 << 10

func otpCommand(d deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "otp SECRET",
		Short: "Print the current one-time password of a secret, as an authenticator app does",
		Long: "Otp prints the one-time password of a base32 secret: six digits that change every 30 seconds.\n" +
			"SECRET \"-\" is read from standard input, where no list of processes shows it.",
		Args: cobra.ExactArgs(1),
	}
	next := cmd.Flags().Bool("wait", false, "wait for the next one: the gateway takes each only once")
	at := cmd.Flags().Int64("at", 0, "print that of a moment, in seconds since 1970")
	cmd.MarkFlagsMutuallyExclusive("wait", "at")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		seed, err := d.seed(args[0])
		if err != nil {
			return err
		}
		step := otp.Step(d.now(), otpPeriod)
		switch {
		case cmd.Flags().Changed("at"):
			if *at < 0 {
				return misused("--at must not be negative")
			}
			step = otp.Step(time.Unix(*at, 0), otpPeriod)
		case *next:
			if step, err = d.nextStep(cmd.Context(), step); err != nil {
				return err
			}
		}
		code, err := otpCode(seed, step)
		if err != nil {
			return misused("the secret must be base32, as an authenticator app takes it: letters A to Z and digits 2 to 7")
		}
		d.printf("%s\n", code)
		return nil
	}
	return cmd
}

// otpCode is the one-time password of a seed at a step.
func otpCode(seed secret.Text, step int64) (string, error) {
	return otp.Code(seed, step, otpAlgorithm, otpDigits)
}

// seed reads a base32 secret the way people copy it.
func (d deps) seed(argument string) (secret.Text, error) {
	if argument == "-" {
		line, err := d.readStdin()
		if err != nil {
			return secret.Text{}, err
		}
		argument = line.Reveal()
	}
	text := strings.NewReplacer(" ", "", "-", "", "=", "", "\n", "", "\t", "").Replace(strings.ToUpper(argument))
	if text == "" {
		return secret.Text{}, misused("the secret is empty")
	}
	return secret.New(text), nil
}

// readStdin reads one secret without the end of its line.
func (d deps) readStdin() (secret.Text, error) {
	text, err := io.ReadAll(io.LimitReader(d.stdin, stdinLimit+1))
	if err != nil {
		return secret.Text{}, fmt.Errorf("read standard input: %w", err)
	}
	if len(text) > stdinLimit {
		return secret.Text{}, misused("standard input holds more than %d bytes; write the secret alone into it", stdinLimit)
	}
	line, _ := strings.CutSuffix(string(text), "\n")
	line, _ = strings.CutSuffix(line, "\r")
	return secret.New(line), nil
}

// nextStep waits until the step after used has begun, says so every five seconds (every
// second at a terminal), and returns the step that is current then.
func (d deps) nextStep(ctx context.Context, used int64) (int64, error) {
	begins := time.Unix((used+1)*int64(otpPeriod.Seconds()), 0)
	beat, end := 5*time.Second, "\n"
	if d.terminal() {
		beat, end = time.Second, "\r"
	}
	for {
		now := d.now()
		left := begins.Sub(now)
		if left <= 0 {
			if d.terminal() {
				fmt.Fprintln(d.stderr)
			}
			return otp.Step(now, otpPeriod), nil
		}
		seconds := int64((left + time.Second - 1) / time.Second)
		fmt.Fprintf(d.stderr, "waiting for the next one-time password: %2d s left%s", seconds, end)
		if err := d.wait(ctx, min(left, beat)); err != nil {
			return 0, fmt.Errorf("wait for the next one-time password: %w", err)
		}
	}
}
