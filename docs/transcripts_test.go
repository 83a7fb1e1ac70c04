package docs_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
)

func TestMain(m *testing.M) { gatewaytest.Main(m) }

// The transcripts of protocol.md are one conversation with one gateway, in the order of
// the page: each request is sent, and its answer must be the one that stands there. A
// chapter with a configuration of its own is another conversation, with another gateway.
func TestTranscripts(t *testing.T) {
	setting := gatewaytest.SQLite()
	setting.Phones = true
	page := &conversation{World: gatewaytest.New(t, setting), known: map[string]string{}}
	page.phone = page.NewPhone(t, phone.Android)
	c, played, chapter := page, 0, ""
	for _, b := range blocks(readPage(t, "docs/protocol.md")) {
		if b.chapter != chapter {
			c, chapter = page, b.chapter
		}
		if b.word == "gateway" {
			c = sending(t, b)
			continue
		}
		if c.play(t, b) {
			played++
		}
	}
	if played == 0 {
		t.Fatal("protocol.md holds no transcript")
	}
}

// play plays a block, if it is part of a conversation.
func (c *conversation) play(t *testing.T, b block) bool {
	t.Helper()
	switch word, name, _ := strings.Cut(b.word, " "); word {
	case "http":
		c.exchange(t, b)
	case "jwt":
		c.token(t, b, name)
	case "phone":
		c.answer(t, b)
	case "webhook":
		c.message(t, b)
	case "mail":
		c.mail(t, b)
	default:
		return false
	}
	return true
}

// A block is a fenced part of a page.
type block struct {
	word    string // what stands behind the fence
	line    int
	text    string
	chapter string // the heading above
}

func blocks(page string) (all []block) {
	var open *block
	chapter := ""
	for i, line := range strings.Split(page, "\n") {
		word, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{word: word, line: i + 1, chapter: chapter}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "## "):
			chapter = line
		}
	}
	return all
}

// A conversation remembers what <name> stood for in the answers so far.
type conversation struct {
	*gatewaytest.World
	known map[string]string
	phone *gatewaytest.Phone
	*codebox
}

var (
	answers     = regexp.MustCompile(`(?m)^([0-9]{3}) .*\n`)
	placeholder = regexp.MustCompile(`<([a-z0-9_]+)>`)
)

// exchange sends the request of a block and compares the answer with the block's.
func (c *conversation) exchange(t *testing.T, b block) {
	t.Helper()
	at := answers.FindStringSubmatchIndex(b.text)
	if at == nil {
		t.Fatalf("protocol.md:%d: no answer, such as \"200 OK\", stands there", b.line)
	}
	where := fmt.Sprintf("protocol.md:%d", b.line)
	got := c.Do(t, c.request(t, b.text[:at[0]]))
	if want := b.text[at[2]:at[3]]; fmt.Sprint(got.Status) != want {
		t.Fatalf("%s: the gateway answers %d %s, and not %s", where, got.Status, got.Body, want)
	}
	head, body, _ := strings.Cut("\n"+b.text[at[1]:], "\n\n")
	for line := range strings.Lines(head) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		if sent := got.Header.Get(name); sent != value {
			t.Errorf("%s: the gateway sends %s: %q, and not %q", where, name, sent, value)
		}
	}
	c.compare(t, where, got.Body, body)
}

// request reads a request: a line with method and path, headers, an empty line, and a
// body, which is JSON or one parameter a line.
func (c *conversation) request(t *testing.T, text string) gatewaytest.Request {
	t.Helper()
	head, body, _ := strings.Cut(c.fill(t, text), "\n\n")
	first, headers, _ := strings.Cut(head, "\n")
	method, path, _ := strings.Cut(first, " ")
	r := gatewaytest.Request{Method: method, Path: path, Header: map[string]string{}}
	for line := range strings.Lines(headers) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			r.Header[name] = value
		}
	}
	switch body = strings.TrimSpace(body); {
	case method == http.MethodGet:
	case strings.HasPrefix(body, "{"):
		r.ContentType, r.Body = "application/json", body
	default:
		form := url.Values{}
		for line := range strings.Lines(body) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			form.Add(name, value)
		}
		r.ContentType, r.Body = "application/x-www-form-urlencoded", form.Encode()
	}
	return r
}

// fill puts values in the place of their names. <otp> is always a fresh one-time
// password of <secret>, and <wrong_otp> none at all; <client_assertion> is always a fresh
// one of the client "robot".
func (c *conversation) fill(t *testing.T, text string) string {
	t.Helper()
	if seed := c.known["secret"]; seed != "" && strings.Contains(text, "otp>") {
		c.Clock.Wind(30 * time.Second)
		c.known["otp"] = c.Code(t, seed, 0)
		good := []string{c.known["otp"], c.Code(t, seed, -1)}
		wrong := "000000"
		for i := 1; slices.Contains(good, wrong); i++ {
			wrong = fmt.Sprintf("%06d", i)
		}
		c.known["wrong_otp"] = wrong
	}
	c.known["client_assertion"] = c.Assertion(t, nil)
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := c.known[strings.Trim(name, "<>")]
		if !ok {
			t.Fatalf("protocol.md uses %s before any answer holds it", name)
		}
		return value
	})
}

// compare matches an answer with what the page says it is, and learns the names in it.
func (c *conversation) compare(t *testing.T, where, got, want string) {
	t.Helper()
	var sent, said any
	if err := json.Unmarshal([]byte(want), &said); err != nil {
		t.Fatalf("%s: what stands there is not JSON: %v", where, err)
	}
	if err := json.Unmarshal([]byte(got), &sent); err != nil {
		t.Fatalf("%s: the gateway's answer is not JSON: %v", where, err)
	}
	learned := map[string]string{}
	if difference := match(said, sent, learned); difference != "" {
		t.Fatalf("%s: %s; the gateway's answer is %s", where, difference, got)
	}
	maps.Copy(c.known, learned)
}

// answer has the phone do what stands in a block. Whoever holds it takes ten seconds.
func (c *conversation) answer(t *testing.T, b block) {
	t.Helper()
	c.Clock.Wind(10 * time.Second)
	switch what := strings.TrimSpace(b.text); what {
	case "scans <barcode_uri>":
		c.phone.Scan(t, c.known["barcode_uri"])
	case "is asked, and approves":
		c.phone.Approve(t, c.phone.Next(t))
	case "is asked, and denies":
		c.phone.Deny(t, c.phone.Next(t), "mistake")
	case "is asked, shows <binding_code>, and approves":
		n := c.phone.Next(t)
		consent, err := c.phone.App.Consent(t.Context(), c.phone.Account, n)
		if err != nil || consent == nil {
			t.Fatalf("protocol.md:%d: %+v, %v", b.line, consent, err)
		}
		c.known["binding_code"] = consent.BindingMessage
		c.phone.Approve(t, n)
	default:
		t.Fatalf("protocol.md:%d: the phone cannot do %q", b.line, what)
	}
}

// token compares a token of an answer, header and claims, with a block of two objects.
func (c *conversation) token(t *testing.T, b block, name string) {
	t.Helper()
	parts := strings.Split(c.known[name], ".")
	if len(parts) != 3 {
		t.Fatalf("protocol.md:%d: %s is no token of an answer above", b.line, name)
	}
	header, claims, _ := strings.Cut(b.text, "\n.\n")
	for i, want := range []string{header, claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		c.compare(t, fmt.Sprintf("protocol.md:%d", b.line), string(text), want)
	}
}

// match says in what a value that was sent is not what was said. A name in angle
// brackets stands for any value, and for the same one each time in an answer.
func match(said, sent any, learned map[string]string) string {
	switch said := said.(type) {
	case map[string]any:
		object, ok := sent.(map[string]any)
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(said)), slices.Sorted(maps.Keys(object))) {
			return fmt.Sprintf("the members are not %q", slices.Sorted(maps.Keys(said)))
		}
		for _, name := range slices.Sorted(maps.Keys(said)) {
			if difference := match(said[name], object[name], learned); difference != "" {
				return difference
			}
		}
		return ""
	case []any:
		list, ok := sent.([]any)
		if !ok || len(list) != len(said) {
			return fmt.Sprintf("a list does not have %d entries", len(said))
		}
		for i := range said {
			if difference := match(said[i], list[i], learned); difference != "" {
				return difference
			}
		}
		return ""
	default:
		return matchText(text(said), text(sent), learned)
	}
}

// text is a value that is neither object nor list, as text.
func text(v any) string {
	if n, ok := v.(float64); ok {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v)
}

func matchText(said, sent string, learned map[string]string) string {
	pattern, names := "", []string{}
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(said, -1) {
		pattern += regexp.QuoteMeta(said[last:at[0]]) + "(.+)"
		names = append(names, said[at[2]:at[3]])
		last = at[1]
	}
	found := regexp.MustCompile("^" + pattern + regexp.QuoteMeta(said[last:]) + "$").FindStringSubmatch(sent)
	if found == nil {
		return fmt.Sprintf("%q is not %q", sent, said)
	}
	for i, name := range names {
		if before, ok := learned[name]; ok && before != found[i+1] {
			return fmt.Sprintf("<%s> is %q in one place and %q in another", name, before, found[i+1])
		}
		learned[name] = found[i+1]
	}
	return ""
}
