package identity

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Why a new password is refused, as a program can read it: the Param of
// fault.BadPassword.
const (
	TooShort           = "too_short"
	TooLong            = "too_long"
	ForbiddenCharacter = "forbidden_character" // NUL, or bytes that are not UTF-8
	ListedPassword     = "common_password"     // on the blocklist
	ContextualPassword = "contextual_password" // the service's or the user's own name
)

// Lengths of a new password in code points of its NFKC form (N-PW-1, N-PW-2). A sign that
// this form writes out, up to 18 code points for one, is short all the same.
const (
	MinLengthAlone      = 15 // where the password alone may log in
	MinLengthWithFactor = 8  // where a second factor is certain
	MaxLength           = 1024
)

//go:embed blocklist.txt
var commonPasswords string

// A Blocklist holds refused passwords, folded.
type Blocklist map[string]struct{}

// ReadBlocklist returns the common passwords that the gateway comes with and those
// of r, one a line and just as they are typed.
func ReadBlocklist(r io.Reader) (Blocklist, error) {
	list := Blocklist{}
	lines := bufio.NewScanner(io.MultiReader(strings.NewReader(commonPasswords), r))
	for lines.Scan() {
		list[fold(lines.Text())] = struct{}{}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read a password blocklist: %w", err)
	}
	return list, nil
}

// Policy decides which passwords may be chosen. It knows no classes of characters
// and no age (N-PW-3).
type Policy struct {
	MinLength int       // code points; 0 means 15, and less than 8 means 8
	Blocklist Blocklist // nil means the common passwords alone
}

// Check fails with fault.BadPassword and a reason. The whole password is compared,
// so a listed word inside a long phrase is no harm (N-PW-4). The words are the
// service's name and the user's: user name, e-mail address, whose local part counts
// as well; a password may not be one of them, once or over and over.
func (p Policy) Check(password secret.Text, words ...string) error {
	if reason := p.refusal(password.Reveal(), words); reason != "" {
		return fault.Param(fault.BadPassword, reason)
	}
	return nil
}

func (p Policy) refusal(password string, words []string) string {
	if reason := unusable(password); reason != "" {
		return reason
	}
	if !utf8.ValidString(password) {
		return ForbiddenCharacter
	}
	length := utf8.RuneCountInString(norm.NFKC.String(password))
	folded := fold(password)
	switch {
	case min(length, utf8.RuneCountInString(password)) < p.minLength():
		return TooShort
	case length > MaxLength:
		return TooLong
	case p.lists(folded):
		return ListedPassword
	case contextual(folded, words):
		return ContextualPassword
	}
	return ""
}

func (p Policy) minLength() int {
	if p.MinLength == 0 {
		return MinLengthAlone
	}
	return max(p.MinLength, MinLengthWithFactor)
}

func (p Policy) lists(folded string) bool {
	if p.Blocklist != nil {
		_, listed := p.Blocklist[folded]
		return listed
	}
	// The lines of the embedded list are folded already.
	for line := range strings.Lines(commonPasswords) {
		if strings.TrimSuffix(line, "\n") == folded {
			return true
		}
	}
	return false
}

func contextual(folded string, words []string) bool {
	for _, word := range words {
		word = fold(strings.TrimSpace(word))
		if repeats(folded, word) {
			return true
		}
		if at := strings.LastIndexByte(word, '@'); at >= 0 && repeats(folded, word[:at]) {
			return true
		}
	}
	return false
}

// repeats reports whether s is the word once or more, the last time perhaps cut off:
// that is how a short word is made long enough.
func repeats(s, word string) bool {
	if word == "" || len(s) < len(word) {
		return false
	}
	return strings.HasPrefix(strings.Repeat(word, len(s)/len(word)+1), s)
}
