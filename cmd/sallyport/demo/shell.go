package demo

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// picker is a shell function that prints a member of $ANSWER: a string, or the first
// of a list of strings.
const picker = `get() { printf '%s\n' "$ANSWER" | sed -n 's/.*"'"$1"'":\[\{0,1\}"\([^"]*\)".*/\1/p'; }`

// print writes the walk as a script for sh, bash and zsh. What is for people is behind
// a #, and has no character that a shell could take for more than text, should it take
// no comments when it is typed at.
func (w *walk) print(out io.Writer) {
	note(out,
		"Sallyport serves "+w.url+" from a temporary folder.",
		"",
		"  inbox      "+w.inbox+"  Open it in a browser: what the gateway sends arrives there.",
		"  users      "+user+", "+other+", "+third,
		"  password   "+w.Password.Reveal(),
		"",
		"Paste the lines below into another terminal, in their order: sh, bash or zsh with curl.",
		"All at once is fine: step 6 waits up to 30 seconds, step 9 five. With --run the demo does it all itself.")
	fmt.Fprintln(out)
	if w.Proxied {
		fmt.Fprintln(out, `export no_proxy="$no_proxy,127.0.0.1,localhost,::1"`)
	}
	fmt.Fprintf(out, "%s\n", picker)
	for _, s := range w.steps {
		fmt.Fprintln(out)
		note(out, s.say...)
		fmt.Fprint(out, s.shell(w))
	}
	fmt.Fprintln(out)
}

// shell writes what a step does as lines of shell.
func (s step) shell(w *walk) string {
	switch {
	case s.phone != nil:
		line := quoted(w.Executable)
		for _, word := range s.phone {
			line += " " + argument(word)
		}
		return line + "\n"
	case s.pause > 0:
		return fmt.Sprintf("sleep %.0f\n", s.pause.Seconds())
	case s.code != nil:
		line := "CODE=$(" + quoted(w.Executable) + ` otp "$SECRET"`
		if s.code.next {
			line += " --wait"
		}
		return line + `); echo "$CODE"` + "\n"
	}
	var b strings.Builder
	b.WriteString(s.request.curl(w.to(*s.request)))
	b.WriteString(`printf '%s\n' "$ANSWER"` + "\n")
	for _, k := range s.request.keep {
		fmt.Fprintf(&b, "%s=$(get %s)\n", k[0], k[1])
	}
	return b.String()
}

func (r request) curl(url string) string {
	var b strings.Builder
	b.WriteString("ANSWER=$(curl -sS " + url)
	if r.bearer != "" {
		b.WriteString(` -H "Authorization: Bearer $` + r.bearer + `"`)
	}
	for _, p := range r.form {
		fmt.Fprintf(&b, " \\\n  --data-urlencode \"%s=%s\"", p[0], p[1])
	}
	b.WriteString(")\n")
	return b.String()
}

var plain = regexp.MustCompile(`^[A-Za-z0-9./:_-]+$`)

// argument makes one word of what may be a variable.
func argument(word string) string {
	switch {
	case strings.HasPrefix(word, "$"):
		return `"` + word + `"`
	case plain.MatchString(word):
		return word
	default:
		return quoted(word)
	}
}

// quoted makes one word of a path.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }
