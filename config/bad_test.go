package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/config"
)

// bad is a text that stands after the minimum, and the one problem it makes, from the
// line on. Line 7 is the first after the minimum.
type bad struct{ name, text, want string }

func TestBadConfigurations(t *testing.T) {
	for _, tc := range []bad{
		{"unknown key", "otp: {skeww: 1}\n", "7: otp.skeww: unknown key; did you mean skew?"},
		{"unknown far from any", "otp: {zzz: 1}\n", "7: otp.zzz: unknown key; known here are skew"},
		{"hyphen", "trusted-proxies: []\n", "7: trusted-proxies: unknown key; did you mean trusted_proxies?"},
		{"twice", "\notp: {skew: 1}\notp: {skew: 0}\n", "9: otp: is set for the second time; line 8 has it"},
		{"text for a number", "otp:\n  skew: many\n", "8: otp.skew: must be a whole number"},
		{"quoted number", "otp: {skew: \"1\"}\n", "7: otp.skew: must be a whole number, without quotes"},
		{"section as value", "otp: 1\n", "7: otp: must be a section"},
		{"value as section", "profile: {a: b}\n", "7: profile: must be a single value"},
		{"value as list", "tenant_files: a.yaml\n", "7: tenant_files: must be a list"},
		{"no value", "profile:\n", "7: profile: has no value"},
		{"no unit", "lifetimes: {access_token: 300}\n", "7: lifetimes.access_token: must be a duration"},
		{"too wide", "passwords: {argon2: {parallelism: 300}}\n", "7: passwords.argon2.parallelism: must be a whole number from 0 to 255"},
		{"negative", "passwords: {argon2: {time: -1}}\n", "7: passwords.argon2.time: must be a whole number from 0"},
		{"no switch", "tokens: {amr: yes}\n", "7: tokens.amr: must be on or off"},
		{"no CIDR", "trusted_proxies: [10.0.0.0/8, 10.0.0.1]\n", "7: trusted_proxies[1]: must be a CIDR"},
		{"misspelled choice", "profile: strct\n", "7: profile: must be one of auth0-compat, recommended, nist, strict; did you mean strict?"},
		{"choice of a list", "dialects: [extrahorizon, axonise]\n", "7: dialects[1]: must be one of extrahorizon, axonize, acceleratxr; did you mean axonize?"},
		{"entry twice", "dialects: [axonize, axonize]\n", "7: dialects[1]: is in the list already"},
		{"anchor", "otp: &a {skew: 1}\n", "7: otp: anchors and aliases are not understood"},
		{"tag", "otp: {skew: !!int 1}\n", "7: otp.skew: tags are not understood"},
		{"variable", "otp: {skew: \"${SKEW}\"}\n", "7: otp.skew: the environment variable SKEW is not set"},
		{"variable with more", "otp: {skew: \"${SKEW:-1}\"}\n", "7: otp.skew: only ${NAME} is understood"},
		{"variable without end", "profile: ${X\n", "7: profile: only ${NAME} is understood"},
		{"missing file", "tls: {cert_file: a.pem, key_file: keys.json}\n", "7: tls.cert_file: there is no file"},
		{"folder", "passwords: {blocklist_file: .}\n", "7: passwords.blocklist_file: "},
		{"no folder", "messages: {texts: keys.json}\n", "7: messages.texts: "},
		{"missing folder", "messages: {texts: words}\n", "7: messages.texts: there is no folder"},
		{"language", "messages: {locale: tlh}\n", "7: messages.locale: there is no language tlh"},
		{"contact", "messages: {contact: me}\n", "7: messages.contact: must be a mail address"},
		{"no certificate", "tls: {cert_file: keys.json, key_file: keys.json}\n", "7: tls: the certificate cannot be used"},
		{"half a section", "tls: {cert_file: keys.json}\n", "7: tls.key_file: is missing; set it, as in key_file:"},
		{"second document", "---\notp: {skew: 1}\n", "7: a second document begins here"},
		{"weak argon2", "passwords: {argon2: {memory: 8192, time: 1}}\n", "7: passwords.argon2: is weak"},
		{"skew", "otp: {skew: 2}\n", "7: otp.skew: must be 0"},
		{"codes", "recovery: {codes: 3}\n", "7: recovery.codes: must be 1, 5 or 10"},
		{"mfa_token", "lifetimes: {mfa_token: 11m}\n", "7: lifetimes.mfa_token: must be between 1s and 10m"},
		{"access_token", "lifetimes: {access_token: 25h}\n", "7: lifetimes.access_token: must be between 1s and 24h"},
		{"free attempts", "throttle: {free_attempts: 100}\n", "7: throttle.free_attempts: must be between"},
		{"short passwords", "passwords: {min_length: 7}\n", "7: passwords.min_length: must be between 8 and 64"},
		{"plain mail", "delivery: {email: {driver: smtp, host: mx.example.test, port: 25, tls: none, from: a@b.test}}\n", "7: delivery.email.tls: none is for loopback"},
		{"sender", "delivery: {email: {driver: smtp, host: localhost, port: 25, from: me}}\n", "7: delivery.email.from: must be an address"},
		{"no server", "delivery:\n  email:\n    driver: smtp\n    host: localhost\n    port: 25\n    from: a@b.test\n    fallback:\n      - host: mx.example.test\n        port: 25\n        tls: none\n", "16: delivery.email.fallback[0].tls: none is for loopback"},
		{"half a login", "delivery: {email: {driver: smtp, host: localhost, port: 25, from: a@b.test, username: a}}\n", "7: delivery.email.password: is missing"},
		{"mail limits", "messages: {email: {per_user: 101}}\n", "7: messages.email.per_user: must be between 1 and 100"},
		{"plain webhook", "delivery: {sms: {driver: webhook, url: \"http://sms.example.test/\", secret: whsec_c2FsbHlwb3J0LWZpeHR1cmUtc2VjcmV0LTAx}}\n", "7: delivery.sms.url: must begin with https://"},
		{"weak webhook", "delivery: {voice: {driver: webhook, url: \"https://v.test/\", secret: whsec_c2hvcnQ=}}\n", "7: delivery.voice.secret: is weak"},
		{"no webhook", "delivery: {sms: {driver: webhook, secret: whsec_c2FsbHlwb3J0LWZpeHR1cmUtc2VjcmV0LTAx}}\n", "7: delivery.sms.url: is missing; set it, as in url: https://"},
		{"fallback", "delivery:\n  sms:\n    driver: webhook\n    url: https://v.test/\n    secret: whsec_c2FsbHlwb3J0LWZpeHR1cmUtc2VjcmV0LTAx\n    fallback:\n      - driver: webhook\n        url: https://w.test/\n        secret: abc\n", "15: delivery.sms.fallback[0].secret: must be whsec_"},
		{"country", "delivery:\n  voice:\n    driver: webhook\n    url: https://v.test/\n    secret: whsec_c2FsbHlwb3J0LWZpeHR1cmUtc2VjcmV0LTAx\n    countries: [DE, ZZ]\n", "12: delivery.voice.countries[1]: must be the ISO 3166 code"},
		{"driver", "delivery: {sms: {driver: pigeon}}\n", "7: delivery.sms.driver: must be one of webhook, twilio"},
		{"per user", "messages: {phone: {per_user: 0}}\n", "7: messages.phone.per_user: must be between 1 and 1000"},
		{"amount", "messages: {phone: {spend: 1e3}}\n", "7: messages.phone.spend: must be an amount such as 0.08"},
		{"quoted amount", "messages: {phone: {price: \"0.10\"}}\n", "7: messages.phone.price: must be an amount such as 0.08, with four decimals at most, without quotes"},
		{"prices", "messages: {phone: {prices: [0.10]}}\n", "7: messages.phone.prices: must be a mapping of names to single values"},
		{"price", "messages: {phone: {spend: 1, price: 0.1, prices: {\"+49\": 1.5}}}\n", "7: messages.phone.prices[+49]: is more than spend"},
		{"prefix", "messages: {phone: {prices: {\"0049\": 1.5}}}\n", "7: messages.phone.prices[0049]: must be the beginning of numbers"},
		{"no account", "delivery: {push: {fcm: {credentials_file: keys.json}}}\n", "7: delivery.push.fcm.credentials_file: must hold project_id"},
		{"no push key", "delivery: {push: {apns: {key_file: keys.json, key_id: ABC123DEFG, team_id: DEF123GHIJ, topic: a.b}}}\n", "7: delivery.push.apns.key_file: must be the PEM"},
		{"missing push key", "delivery: {push: {apns: {key_file: a.p8, key_id: ABC123DEFG, team_id: DEF123GHIJ, topic: a.b}}}\n", "7: delivery.push.apns.key_file: there is no file"},
		{"half of apns", "delivery: {push: {apns: {key_file: keys.json, team_id: DEF123GHIJ, topic: a.b}}}\n", "7: delivery.push.apns.key_id: is missing; set it, as in key_id: ABC123DEFG"},
		{"missing account", "delivery: {push: {fcm: {credentials_file: a.json}}}\n", "7: delivery.push.fcm.credentials_file: there is no file"},
		{"two secrets", "database: {}\n", "7: database: is set for the second time"},
		{"unquoted variable", "otp: {skew: ${SKEW}}\n", "inside of { } a variable needs quotes"},
		{"not YAML", "otp: [\n", "did not find expected node content"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			one(t, minimal+tc.text, tc.want)
		})
	}
}

// one expects a problem with these words, at its line.
func one(t *testing.T, text, want string) {
	t.Helper()
	file := filepath.Join(folder(t, map[string]string{"c.yaml": text}), "c.yaml")
	_, err := config.Load(file, environment(nil))
	expect(t, file, err, want)
}

func expect(t *testing.T, file string, err error, want string) {
	t.Helper()
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("err = %v, want %q", err, want)
	}
	found := 0
	for _, p := range problems {
		if strings.HasPrefix(p.String(), file+":"+want) || !strings.Contains(want, ": ") && strings.Contains(p.String(), want) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d problems are %q in\n%v", found, want, err)
	}
}

func TestBadMinimum(t *testing.T) {
	for _, tc := range []struct{ from, to, want string }{
		{"https://login.example.test/", "https://login.example.test", "1: public_url: must end in a slash: write https://login.example.test/"},
		{"https://login.example.test/", "http://login.example.test/", "1: public_url: must begin with https://"},
		{"https://login.example.test/", "https://a:b@login.example.test/", "1: public_url: must have neither a user"},
		{"https://login.example.test/", "https://login.example.test/?", "1: public_url: must have neither"},
		{"https://login.example.test/", "login.example.test/", "1: public_url: must be a URL"},
		{"https://login.example.test/", `""`, "1: public_url: is empty"},
		{"listen: 127.0.0.1:8443\n", "\n", "1: listen: is missing; set it, as in listen: :8443"},
		{"127.0.0.1:8443", "8443", "2: listen: must be host:port"},
		{"127.0.0.1:9090", "127.0.0.1:8443", "3: management.listen: must not be the public port"},
		{"127.0.0.1:9090", ":8443", "3: management.listen: must not be the public port"},
		{"sqlite:///var/lib/sallyport/sallyport.db", "sqlite://sallyport.db", "4: database.url: write sqlite:/// and an absolute path"},
		{"sqlite:///var/lib/sallyport/sallyport.db", "mysql://localhost/x", "4: database.url: write sqlite:///absolute"},
		{"sqlite:///var/lib/sallyport/sallyport.db", "postgres://localhost", "4: database.url: name the database"},
		{"embedded:", "redis+sentinel://h1,h2", "5: redis.url: name the master behind the Sentinels"},
		{"embedded:", "redis+cluster://h1,h2,h3/0", "5: redis.url: a Cluster has no databases"},
		{"embedded:", "redis+cluster://h1,,h3", "5: redis.url: name a host"},
		{"embedded:", "redis://h1,h2", "5: redis.url: redis:// takes one host"},
		{"embedded:", "redis://user@h", "5: redis.url: has a user without a password"},
		{"embedded:", "memcached://h", "5: redis.url: write redis://host:6379/0, redis+sentinel://"},
		{"embedded:", "embedded:x", "5: redis.url: write embedded: with nothing behind it"},
		{"embedded:", "redis://", "5: redis.url: name a host"},
		{"embedded:", "redis://h/x", "5: redis.url: what follows the host must be the number"},
		{"embedded:", "redis://h/0?db=1", "5: redis.url: takes no parameters"},
		{"redis:", "drain: 6m\nredis:", "5: drain: must be between 0s and 5m"},
		{"redis:", "drain: -1s\nredis:", "5: drain: "},
		{"redis:", "tracing: {endpoint: collector}\nredis:", "5: tracing.endpoint: must be an http or https URL"},
		{"keys.json", "c.yaml", "6: secrets.key_file: "},
		{"keys.json", "none.json", "none.json; sallyport keys init writes one"},
	} {
		t.Run(tc.to, func(t *testing.T) {
			one(t, strings.Replace(minimal, tc.from, tc.to, 1), tc.want)
		})
	}
}
