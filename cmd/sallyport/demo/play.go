package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/secret"
)

// playLimit bounds a whole walk; one takes half a minute when it has to wait.
const playLimit = 2 * time.Minute

// period is how long a one-time password is good.
const period = 30 * time.Second

// answerLimit bounds what is read of an answer.
const answerLimit = 1 << 20

// A player goes a walk itself.
type player struct {
	*walk
	http      http.Client
	variables map[string]string
	used      int64            // the step of the latest one-time password
	keys      []byte           // the published keys
	issued    []map[string]any // the answers with tokens
}

// play goes the walk, shows every step, and verifies the tokens.
func play(ctx context.Context, w *walk) error {
	ctx, cancel := context.WithTimeout(ctx, playLimit)
	defer cancel()
	p := &player{walk: w, http: http.Client{Transport: &http.Transport{}}, variables: map[string]string{}}
	defer p.http.CloseIdleConnections()
	note(w.Stdout, "Sallyport serves "+w.url+" from a temporary folder, and logs "+user+", "+other+" and "+third+" in.")
	for _, s := range w.steps {
		p.printf("\n")
		note(w.Stdout, s.say...)
		if err := p.step(ctx, s); err != nil {
			return fmt.Errorf("%s %w", s.say[0], err)
		}
	}
	return p.verify()
}

func (p *player) step(ctx context.Context, s step) error {
	switch {
	case s.code != nil:
		return p.code(ctx, s.code.next)
	case s.phone != nil:
		p.printf("sallyport %s\n", strings.Join(s.phone, " "))
		return p.Itself(ctx, p.arguments(s.phone)...)
	case s.pause > 0:
		return p.Wait(ctx, s.pause)
	}
	p.printf("%s\n", s.request.line())
	status, body, err := p.send(ctx, *s.request)
	if err != nil {
		return err
	}
	answer, err := shortened(body)
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	p.printf("HTTP %d\n%s\n", status, answer)
	if status != s.request.status {
		return fmt.Errorf("the answer has status %d, not %d", status, s.request.status)
	}
	return p.keep(*s.request, body)
}

// line is a request in one line; --run prints no shell, which is for pasting.
func (r request) line() string {
	line := "POST /" + r.path
	if r.form == nil {
		line = "GET /" + r.path
	}
	if r.elsewhere() {
		line = "GET " + r.path
	}
	if r.bearer != "" {
		line += " [Bearer $" + r.bearer + "]"
	}
	for _, pair := range r.form {
		value := pair[1]
		if strings.Contains(value, " ") {
			value = strconv.Quote(value)
		}
		line += " " + pair[0] + "=" + value
	}
	return line
}

// long is what nobody reads to its end: a token, a key.
var long = regexp.MustCompile(`"([^"\\ ]{8})[^" ]{20,}"`)

// shortened is JSON in one line.
func shortened(body []byte) (string, error) {
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, bytes.TrimSpace(body), "", ""); err != nil {
		return "", err
	}
	line := strings.NewReplacer(",\n", ", ", "\n", "").Replace(spaced.String())
	return long.ReplaceAllString(line, `"$1..."`), nil
}

// code computes a one-time password. One that is to be unused has to wait only while
// the step of the used one lasts.
func (p *player) code(ctx context.Context, next bool) error {
	step := otp.Step(p.Now(), period)
	if next && step <= p.used {
		var err error
		if step, err = p.NextStep(ctx, p.used); err != nil {
			return err
		}
	}
	code, err := otp.Code(secret.New(p.variables["SECRET"]), step, "SHA1", 6)
	if err != nil {
		return err
	}
	p.used, p.variables["CODE"] = step, code
	p.printf("%s\n", code)
	return nil
}

func (p *player) send(ctx context.Context, r request) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.to(r), nil)
	if r.form != nil {
		form := url.Values{}
		for _, pair := range r.form {
			form.Add(pair[0], p.fill(pair[1]))
		}
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, p.to(r), strings.NewReader(form.Encode()))
	}
	if err != nil {
		return 0, nil, fmt.Errorf("make the request: %w", err)
	}
	if r.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+p.variables[r.bearer])
	}
	answer, err := p.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask the gateway: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	return answer.StatusCode, body, nil
}

// arguments are those of a command line; some are variables.
func (p *player) arguments(words []string) []string {
	filled := slices.Clone(words)
	for i, word := range words {
		if strings.HasPrefix(word, "$") {
			filled[i] = p.fill(word)
		}
	}
	return filled
}

// fill puts the variables of the shell into a value.
func (p *player) fill(value string) string {
	return os.Expand(value, func(name string) string { return p.variables[name] })
}

// keep takes from an answer what later steps and the verification need.
func (p *player) keep(r request, body []byte) error {
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		return errors.New("the answer is not a JSON object")
	}
	if _, ok := members["keys"]; ok {
		p.keys = body
	}
	if _, ok := members["access_token"]; ok {
		p.issued = append(p.issued, members)
	}
	for _, k := range r.keep {
		value := text(members[k[1]])
		if value == "" {
			return fmt.Errorf("the answer has no %s", k[1])
		}
		p.variables[k[0]] = value
	}
	return nil
}

// text is a string, or the first of a list of strings.
func text(member any) string {
	if all, ok := member.([]any); ok && len(all) > 0 {
		member = all[0]
	}
	s, _ := member.(string)
	return s
}

func (p *player) printf(format string, args ...any) { fmt.Fprintf(p.Stdout, format, args...) }
