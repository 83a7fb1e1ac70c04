package wording

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
)

//go:embed texts/*.yaml
var builtIn embed.FS

// fileLimit bounds a file with texts.
const fileLimit = 64 << 10

// Config says what messages say.
type Config struct {
	Locale  string `yaml:"locale" default:"en" example:"de" doc:"Language of who wants none of those that there are: de, en, es, fr, it, nl, pt, or one of texts."`
	Texts   string `yaml:"texts" file:"folder" example:"/etc/sallyport/texts" doc:"Folder with words of your own in place of those that are built in, key by key, one file for each language: en.yaml, pt.yaml."`
	Contact string `yaml:"contact" example:"security@example.com" doc:"Where people object to what a notice tells of: a mail address, or an https URL."`
}

// Validate reports everything that is wrong, each error as "key: text".
func (c Config) Validate() error {
	_, err := c.phrasebooks()
	return errors.Join(err, c.checkContact())
}

func (c Config) checkContact() error {
	if a, err := mail.ParseAddress(c.Contact); c.Contact == "" || err == nil && a.Address == c.Contact {
		return nil
	}
	if u, err := url.Parse(c.Contact); err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil {
		return nil
	}
	return errors.New("contact: must be a mail address, as in security@example.com, or an https URL")
}

// A phrasebook has a text for each key.
type phrasebook = map[string]string

// phrasebooks are those of all languages, built in and the operator's own. A language of a
// region has the words of its language where it has none of its own.
func (c Config) phrasebooks() (map[language.Tag]phrasebook, error) {
	own, errs := c.own()
	base := builtins()
	all := map[language.Tag]phrasebook{}
	for _, tag := range sorted(maps.Keys(base)) {
		all[tag] = lineage(tag, base, own)
	}
	for _, tag := range sorted(maps.Keys(own)) {
		all[tag] = lineage(tag, base, own)
		missing := slices.DeleteFunc(sorted(maps.Keys(entries)), func(key string) bool { return all[tag][key] != "" })
		if len(missing) > 0 {
			errs = append(errs, fmt.Errorf("texts: %s.yaml: lacks %s; a language that is not built in has every key", tag, strings.Join(missing, ", ")))
		}
	}
	if tag, err := language.Parse(c.Locale); err != nil || all[tag] == nil {
		errs = append(errs, fmt.Errorf("locale: there is no language %s; there are %s", c.Locale, listed(sorted(maps.Keys(all)))))
	}
	return all, errors.Join(errs...)
}

// lineage is the words of a language: its own before those of its parents, and at each of
// them the operator's before those that are built in.
func lineage(tag language.Tag, base, own map[language.Tag]phrasebook) phrasebook {
	all := phrasebook{}
	for ; tag != language.Und; tag = tag.Parent() {
		for _, from := range []phrasebook{own[tag], base[tag]} {
			for key, text := range from {
				if all[key] == "" {
					all[key] = text
				}
			}
		}
	}
	return all
}

// builtins are the phrasebooks of this package. The tests read each.
func builtins() map[language.Tag]phrasebook {
	all := map[language.Tag]phrasebook{}
	files, _ := builtIn.ReadDir("texts")
	for _, file := range files {
		content, _ := builtIn.ReadFile("texts/" + file.Name())
		texts, _ := readTexts(content)
		all[language.Make(strings.TrimSuffix(file.Name(), ".yaml"))] = texts
	}
	return all
}

// own reads the operator's folder.
func (c Config) own() (all map[language.Tag]phrasebook, errs []error) {
	if c.Texts == "" {
		return nil, nil
	}
	files, err := os.ReadDir(c.Texts)
	if err != nil {
		return nil, []error{fmt.Errorf("texts: cannot read the folder %s: %w", c.Texts, errors.Unwrap(err))}
	}
	all = map[language.Tag]phrasebook{}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), ".") {
			continue // what editors and mounted volumes keep beside files
		}
		tag, texts, found := readOwn(c.Texts, file.Name())
		for _, err := range found {
			errs = append(errs, fmt.Errorf("texts: %s: %w", file.Name(), err))
		}
		if texts != nil {
			all[tag] = texts
		}
	}
	return all, errs
}

// readOwn reads one file of the operator's folder.
func readOwn(folder, name string) (tag language.Tag, texts phrasebook, errs []error) {
	base, ok := strings.CutSuffix(name, ".yaml")
	tag, err := language.Parse(base)
	if !ok || err != nil || tag.String() != base || tag == language.Und {
		return tag, nil, []error{errors.New("must be named after a language (BCP 47), as in pt.yaml or de-CH.yaml")}
	}
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return tag, nil, []error{fmt.Errorf("cannot be read: %w", errors.Unwrap(err))}
	}
	defer f.Close() //nolint:errcheck // what was read is read
	content, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	switch {
	case err != nil:
		return tag, nil, []error{fmt.Errorf("cannot be read: %w", errors.Unwrap(err))}
	case len(content) > fileLimit:
		return tag, nil, []error{fmt.Errorf("is larger than %d KiB", fileLimit>>10)}
	}
	texts, err = readTexts(content)
	if err != nil {
		return tag, nil, []error{err}
	}
	for _, key := range sorted(maps.Keys(texts)) {
		if err := check(key, texts[key]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return tag, texts, errs
}

// readTexts reads a file with texts: keys that have one each.
func readTexts(content []byte) (phrasebook, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, errors.New("is not YAML: " + strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
	}
	texts := phrasebook{}
	if len(document.Content) == 0 {
		return texts, nil // nothing is replaced
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, errors.New("must hold keys with a text each, as in sms.code")
	}
	for pair := range slices.Chunk(top.Content, 2) {
		key, text := pair[0], pair[1]
		if key.Kind != yaml.ScalarNode || text.Kind != yaml.ScalarNode || text.Tag == "!!null" {
			return nil, fmt.Errorf("line %d: %s: must be a key with a text", key.Line, key.Value)
		}
		if _, twice := texts[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %s: is set for the second time", key.Line, key.Value)
		}
		texts[key.Value] = strings.TrimSpace(text.Value)
	}
	return texts, nil
}

// sorted are the values in the order of their texts.
func sorted[T any](all iter.Seq[T]) []T {
	return slices.SortedFunc(all, func(a, b T) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

func listed(tags []language.Tag) string {
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = tag.String()
	}
	return strings.Join(names, ", ")
}
