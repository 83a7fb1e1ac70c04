package trail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/pkg/audit"
)

// Damaged is a record that is not as it was sealed.
type Damaged struct{ report audit.Report }

// Error lists the damages and says what to do.
func (d *Damaged) Error() string {
	lines := []string{"the audit is not as it was sealed:"}
	for _, damage := range d.report.Damages {
		lines = append(lines, "  "+damage)
	}
	if d.report.More > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", d.report.More))
	}
	return strings.Join(append(lines,
		"Somebody wrote to the database, or it was restored, or this is not its key ring. Copy it before anything else, and compare with",
		"`sallyport audit export` and heads of before; \"A damaged audit\" in docs/operations.md says how to go on."), "\n")
}

// Verify verifies the whole record, against a head of before unless that is zero, and
// prints where it ends. What does not hold is a [Damaged].
func Verify(ctx context.Context, to io.Writer, from audit.Trail, keys audit.Keys, known audit.Seal) error {
	report, err := audit.Verify(ctx, from, keys, known)
	if err != nil {
		return err
	}
	if len(report.Damages) > 0 {
		return &Damaged{report}
	}
	fmt.Fprintf(to, "%d sealed records hold\n", report.Head.Seq)
	if report.Unsealed > 0 {
		fmt.Fprintf(to, "%d more are not sealed: a gateway that serves does it within a second\n", report.Unsealed)
	}
	if report.Head.Seq > 0 {
		fmt.Fprintf(to, "head: %s\n", report.Head.Head())
	}
	return nil
}

// Head prints the head, to be kept elsewhere.
func Head(ctx context.Context, to io.Writer, from audit.Trail, keys audit.Keys) error {
	head, err := from.Head(ctx)
	switch {
	case err != nil:
		return err
	case head.Seq == 0:
		return errors.New("nothing is sealed yet: a gateway that serves does it within a second")
	case !head.Authentic(keys):
		return errors.New("the head does not hold; run `sallyport audit verify`")
	}
	fmt.Fprintln(to, head.Head())
	return nil
}
