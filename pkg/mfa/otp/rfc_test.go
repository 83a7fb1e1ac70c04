package otp_test

import (
	"encoding/base32"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/secret"
)

// vectors are the rows of a file in testdata, split into columns.
func vectors(t *testing.T, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Fields(line))
		}
	}
	return rows
}

// rfcSeed is the secret of both RFCs, repeated to a length in bytes.
func rfcSeed(length int) secret.Text {
	seed := strings.Repeat("1234567890", 7)[:length]
	return secret.New(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(seed)))
}

func TestRFC4226(t *testing.T) {
	rows := vectors(t, "rfc4226.txt")
	if len(rows) != 10 {
		t.Fatalf("%d vectors, appendix D has 10", len(rows))
	}
	for _, row := range rows {
		counter, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := otp.Code(rfcSeed(20), counter, "SHA1", 6); err != nil || got != row[2] {
			t.Errorf("counter %d: %q, %v, want %s", counter, got, err, row[2])
		}
		if !strings.HasSuffix(row[1], strings.TrimLeft(row[2], "0")) {
			t.Errorf("counter %d: %s does not end in %s: the vectors are damaged", counter, row[1], row[2])
		}
	}
}

func TestRFC6238(t *testing.T) {
	rows := vectors(t, "rfc6238.txt")
	if len(rows) != 18 {
		t.Fatalf("%d vectors, appendix B has 18", len(rows))
	}
	length := map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64}
	for _, row := range rows {
		now, err := time.Parse(time.RFC3339, row[1])
		if err != nil {
			t.Fatal(err)
		}
		if strconv.FormatInt(now.Unix(), 10) != row[0] {
			t.Errorf("%s is not %s: the vectors are damaged", row[0], row[1])
		}
		step := otp.Step(now, 30*time.Second)
		if want, err := strconv.ParseInt(row[2], 16, 64); err != nil || step != want {
			t.Errorf("%s: step %X, want %s", row[1], step, row[2])
		}
		if got, err := otp.Code(rfcSeed(length[row[4]]), step, row[4], 8); err != nil || got != row[3] {
			t.Errorf("%s %s: %q, %v, want %s", row[1], row[4], got, err, row[3])
		}
	}
}

func TestCodeSaysWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		seed      secret.Text
		algorithm string
	}{
		"unknown algorithm": {rfcSeed(20), "MD5"},
		"seed not base32":   {secret.New("1!1!1!1!"), "SHA1"},
	} {
		got, err := otp.Code(tt.seed, 1, tt.algorithm, 6)
		if err == nil {
			t.Errorf("%s: made the code %s", name, got)
			continue
		}
		if strings.Contains(err.Error(), tt.seed.Reveal()) {
			t.Errorf("%s: the error tells the seed", name)
		}
	}
}
