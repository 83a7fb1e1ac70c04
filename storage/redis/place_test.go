package redis

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/secret"
)

func TestPlaces(t *testing.T) {
	for text, want := range map[string]place{
		"redis://localhost":                        {way: single, addresses: []string{"localhost:6379"}},
		"redis://u:p%40%2F@h:1/2":                  {way: single, user: "u", password: "p@/", addresses: []string{"h:1"}, database: 2},
		"redis://:p@[::1]:7/":                      {way: single, password: "p", addresses: []string{"[::1]:7"}},
		"redis+sentinel://h1,h2/master":            {way: sentinel, addresses: []string{"h1:26379", "h2:26379"}, master: "master"},
		"redis+sentinel://u:p@h1:1,h2:2,h3/m%20/3": {way: sentinel, user: "u", password: "p", addresses: []string{"h1:1", "h2:2", "h3:26379"}, master: "m ", database: 3},
		"redis+cluster://:p@h1:1,h2":               {way: cluster, password: "p", addresses: []string{"h1:1", "h2:6379"}},
		"redis+cluster://h/":                       {way: cluster, addresses: []string{"h:6379"}},
	} {
		for _, secure := range []bool{false, true} {
			url := text
			if secure {
				url = strings.Replace(text, "redis", "rediss", 1)
			}
			got, err := parsePlace(url)
			if err != nil {
				t.Errorf("%s: %v", url, err)
				continue
			}
			if (got.tls != nil) != secure || secure && got.tls.InsecureSkipVerify {
				t.Errorf("%s: TLS %v", url, got.tls)
			}
			same := got.way == want.way && got.user == want.user && got.password == want.password &&
				slices.Equal(got.addresses, want.addresses) && got.master == want.master && got.database == want.database
			if !same {
				t.Errorf("%s: %+v, want %+v", url, got, want)
			}
		}
	}
}

// No error quotes the URL.
func TestBadPlaces(t *testing.T) {
	for url, want := range map[string]string{
		"":                            "write redis://",
		"redis":                       "name a host",
		"redis:h":                     "write redis://",
		"redisss://h":                 "write redis://",
		"http://:granate@h":           "write redis://",
		"unix://:granate@/run/r.sock": "write redis://",
		"redis+sentinels://h/m":       "write redis://",
		"embedded:granate":            "embedded: with nothing behind it",
		"redis://h1,h2":               "takes one host",
		"redis://:granate@":           "name a host",
		"redis://:granate/x@h":        "percent-encoded",
		"redis://:gra%nate@h":         "percent-encoded",
		"redis://:granate@h:port":     "percent-encoded",
		"redis://:granate@h:0":        "between 1 and 65535",
		"redis://:granate@h:65536":    "between 1 and 65535",
		"redis://granate@h":           "user without a password",
		"redis://:granate@h/zero":     "the host must be the number of a database",
		"redis://:granate@h/-1":       "the host must be the number of a database",
		"redis://:granate@h/0/1":      "the host must be the number of a database",
		"redis://:granate@h?db=1":     "takes no parameters",
		"redis://:granate@h/?":        "takes no parameters",
		"redis://:granate@h/0#x":      "takes no parameters",
		"redis+sentinel://h1,h2":      "name the master",
		"redis+sentinel://h1,/m":      "name a host",
		"redis+sentinel://h1,,h2/m":   "name a host",
		"redis+sentinel://h1/m/x":     "the master must be the number of a database",
		"redis+sentinel://h1/m?db=1":  "takes no parameters",
		"redis+cluster://h1,h2/0":     "a Cluster has no databases",
		"redis+cluster://":            "name a host",
		"redis+cluster://h1,h2:x":     "percent-encoded",
	} {
		err := Config{URL: secret.New(url)}.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "url: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "granate") {
			t.Errorf("%s: error %v, want one with %q", url, err, want)
		}
	}
}
