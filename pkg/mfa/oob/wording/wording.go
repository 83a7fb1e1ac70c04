// Package wording has the words of text messages, calls and mails, in the language of who
// gets them.
//
// A language is a phrasebook: a text for each key. Those that are built in lie in texts; an
// operator's own files replace them key by key, or add a language. All of them are read,
// and tried with sample words, before anything listens.
package wording

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"

	"golang.org/x/text/language"
)

// longestHeader bounds an Accept-Language that is looked at, in bytes.
const longestHeader = 256

// longestWord bounds what is put into a text, in letters: names are of users' choice.
const longestWord = 200

// Texts are the phrasebooks of all languages.
type Texts struct {
	languages []*Language // the default is the first
	matcher   language.Matcher
}

// Language is the phrasebook of one.
type Language struct {
	tag     string
	contact string
	texts   map[string]*template.Template
}

// New reads the phrasebooks. Its error is that of [Config.Validate].
func New(c Config) (*Texts, error) {
	phrasebooks, err := c.phrasebooks()
	if err != nil {
		return nil, err
	}
	t := &Texts{}
	var tags []language.Tag
	for _, tag := range c.order(phrasebooks) {
		l := &Language{tag: tag.String(), contact: c.Contact, texts: map[string]*template.Template{}}
		for key, text := range phrasebooks[tag] {
			if l.texts[key], err = compile(key, text); err != nil {
				return nil, fmt.Errorf("texts: %s: %w", l.tag, err)
			}
		}
		t.languages, tags = append(t.languages, l), append(tags, tag)
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

// In is the language that suits best who sent a header Accept-Language (RFC 9110, section
// 12.5.4), and the default where none does.
func (t *Texts) In(acceptLanguage string) *Language {
	if len(acceptLanguage) > longestHeader {
		return t.languages[0]
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return t.languages[0]
	}
	_, i, confidence := t.matcher.Match(wanted...)
	if confidence == language.No {
		return t.languages[0]
	}
	return t.languages[i]
}

// Tag is the name of the language (BCP 47), as in "de".
func (l *Language) Tag() string { return l.tag }

// Say is the text of a key with words in it: texts, whole numbers and times. It fails for
// a word that the text needs and that is not there.
func (l *Language) Say(key string, data map[string]any) (string, error) {
	text, ok := l.texts[key]
	if !ok {
		return "", fmt.Errorf("there is no text %q", key)
	}
	words := map[string]string{}
	for name, value := range data {
		word, err := said(value)
		if err != nil {
			return "", fmt.Errorf("the word %s of %s: %w", name, key, err)
		}
		words[name] = word
	}
	words["Contact"] = l.contact
	return execute(text, words)
}

func execute(text *template.Template, words map[string]string) (string, error) {
	var out strings.Builder
	if err := text.Execute(&out, words); err != nil {
		return "", fmt.Errorf("say %s: %w", text.Name(), err)
	}
	return out.String(), nil
}

// said is a value as it stands in a text. What a user chose stays in its line, cannot turn
// the direction of what follows, and is not long.
func said(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return plain(v), nil
	case int:
		return strconv.Itoa(v), nil
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04 UTC"), nil
	default:
		return "", errors.New("must be a text, a whole number or a time")
	}
}

func plain(s string) string {
	letters := []rune(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		default:
			return r
		}
	}, s))
	if len(letters) > longestWord {
		letters = append(letters[:longestWord-1], '…')
	}
	return string(letters)
}

// order is all languages, the default first: it is what the matcher falls back to.
func (c Config) order(phrasebooks map[language.Tag]map[string]string) []language.Tag {
	first := language.Make(c.Locale)
	all := []language.Tag{first}
	for _, tag := range sorted(maps.Keys(phrasebooks)) {
		if tag != first {
			all = append(all, tag)
		}
	}
	return all
}
