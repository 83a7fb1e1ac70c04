package stepup

import "strings"

// An authChallenge is one of any scheme.
type authChallenge struct {
	scheme string            // in lower case
	params map[string]string // nil where a token68 stands in their place
}

// challenges are those of one WWW-Authenticate header, up to where it cannot be read. A
// scheme and a parameter look alike at their beginning; what follows tells them apart.
func challenges(line string) []authChallenge {
	var all []authChallenge
	s := scanner{line}
	for s.skip(" \t,"); s.rest != ""; s.skip(" \t,") {
		name := strings.ToLower(s.token())
		if name == "" {
			return withoutLast(all)
		}
		if value, ok := s.value(); ok {
			if len(all) == 0 || !all[len(all)-1].add(name, value) {
				return withoutLast(all)
			}
			continue
		}
		if s.rest != "" && !strings.ContainsRune(" \t,", rune(s.rest[0])) {
			return withoutLast(all)
		}
		c := authChallenge{scheme: name}
		if !s.token68() {
			c.params = map[string]string{}
		}
		all = append(all, c)
	}
	return all
}

// withoutLast drops the challenge in which something could not be read.
func withoutLast(all []authChallenge) []authChallenge { return all[:max(len(all)-1, 0)] }

// add takes a parameter, each name once.
func (c authChallenge) add(name, value string) bool {
	if _, twice := c.params[name]; twice || c.params == nil {
		return false
	}
	c.params[name] = value
	return true
}

// A scanner reads a header from its beginning.
type scanner struct{ rest string }

func (s *scanner) skip(set string) { s.rest = strings.TrimLeft(s.rest, set) }

// token reads one of RFC 9110, section 5.6.2; empty if there is none.
func (s *scanner) token() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
	if end < 0 {
		end = len(s.rest)
	}
	text := s.rest[:end]
	s.rest = s.rest[end:]
	return text
}

// value reads "=" and a token or a quoted string (RFC 9110, section 11.2), or nothing.
func (s *scanner) value() (string, bool) {
	before := s.rest
	s.skip(" \t")
	if after, ok := strings.CutPrefix(s.rest, "="); ok {
		s.rest = after
		s.skip(" \t")
		if text, ok := s.quoted(); ok {
			return text, true
		}
		if text := s.token(); text != "" {
			return text, true
		}
	}
	s.rest = before
	return "", false
}

// quoted reads a quoted string (RFC 9110, section 5.6.4), or nothing.
func (s *scanner) quoted() (string, bool) {
	if !strings.HasPrefix(s.rest, `"`) {
		return "", false
	}
	var text strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return text.String(), true
		case c == '\\' && i+1 < len(s.rest):
			i++
			text.WriteByte(s.rest[i])
		default:
			text.WriteByte(c)
		}
	}
	return "", false
}

// token68 passes over what some schemes have in place of parameters, if it is there.
func (s *scanner) token68() bool {
	before := s.rest
	s.skip(" \t")
	end := strings.IndexAny(s.rest+",", " \t,")
	if b64token(s.rest[:end]) && strings.HasPrefix(strings.TrimLeft(s.rest[end:], " \t")+",", ",") {
		s.rest = s.rest[end:]
		return true
	}
	s.rest = before
	return false
}
