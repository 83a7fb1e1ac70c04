package phone_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	account  = "AC0123456789abcdef0123456789abcdef"
	apiKey   = "SK0123456789abcdef0123456789abcdef"
	senders  = "MG0123456789abcdef0123456789abcdef"
	key      = "whsec_c2FsbHlwb3J0LWZpeHR1cmUtc2VjcmV0LTAx"
	endpoint = "https://api.dublin.ie1.twilio.com"
)

func webhook() phone.Service {
	return phone.Service{Driver: "webhook", URL: "https://messages.example.com/send?tenant=1", Secret: secret.New(key)}
}

func twilio() phone.Service {
	return phone.Service{Driver: "twilio", AccountSID: account, AuthToken: secret.New("the-token"), From: "+4915550100000"}
}

func TestGoodConfig(t *testing.T) {
	for name, set := range map[string]func(*phone.Config){
		"webhook":  func(c *phone.Config) { c.Service = webhook() },
		"loopback": func(c *phone.Config) { c.Service = webhook(); c.URL = "http://127.0.0.1:8025/sms" },
		"twilio":   func(c *phone.Config) { c.Service = twilio() },
		"key":      func(c *phone.Config) { c.Service = twilio(); c.APIKey, c.Endpoint = apiKey, endpoint },
		"both":     func(c *phone.Config) { c.Service = webhook(); c.Fallback = []phone.Service{twilio(), webhook()} },
		"country":  func(c *phone.Config) { c.Service = webhook(); c.Countries = []string{"DE", "AT", "GB"} },
	} {
		var c phone.Config
		set(&c)
		if err := (phone.SMSConfig{Config: c}).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := (phone.VoiceConfig{Config: c}).Validate(); err != nil {
			t.Errorf("%s, calls: %v", name, err)
		}
	}
	for _, from := range []string{"24680", "Example", "EXAMPLE 24x"} {
		c := phone.SMSConfig{Config: phone.Config{Service: twilio()}}
		if c.From = from; c.Validate() != nil {
			t.Errorf("from %s: %v", from, c.Validate())
		}
	}
	c := phone.SMSConfig{Config: phone.Config{Service: twilio()}}
	if c.From, c.MessagingService = "", senders; c.Validate() != nil {
		t.Errorf("a messaging service: %v", c.Validate())
	}
}

// TestBadConfig: each problem is named with its key, and says what to do.
func TestBadConfig(t *testing.T) {
	for _, tt := range []struct {
		channel string
		service phone.Service
		set     func(*phone.Config)
		want    string
	}{
		{"sms", webhook(), func(c *phone.Config) { c.URL = "" }, "url: is missing; set it, as in url: https://"},
		{"sms", webhook(), func(c *phone.Config) { c.URL = "http://sms.example.com/" }, "url: must begin with https://"},
		{"sms", webhook(), func(c *phone.Config) { c.URL = "https://me@sms.example.com/" }, "url: must have neither a user nor a fragment"},
		{"sms", webhook(), func(c *phone.Config) { c.URL = "sms.example.com" }, "url: must be a URL with a host"},
		{"sms", webhook(), func(c *phone.Config) { c.Secret = secret.Text{} }, "secret: is missing; set it, as in secret: ${SMS_SECRET}"},
		{"sms", webhook(), func(c *phone.Config) { c.Secret = secret.New("abc") }, "secret: must be whsec_ followed by base64"},
		{"sms", webhook(), func(c *phone.Config) { c.Secret = secret.New("whsec_c2hvcnQ=") }, "secret: is weak; it must hold at least 24 bytes"},
		{"sms", webhook(), func(c *phone.Config) { c.AccountSID = account }, "account_sid: belongs to driver twilio, not webhook; remove it"},
		{"sms", webhook(), func(c *phone.Config) { c.From = "Example" }, "from: belongs to driver twilio"},
		{"sms", twilio(), func(c *phone.Config) { c.URL = "https://v.test/" }, "url: belongs to driver webhook, not twilio"},
		{"sms", twilio(), func(c *phone.Config) { c.AccountSID = "" }, "account_sid: is missing"},
		{"sms", twilio(), func(c *phone.Config) { c.AccountSID = apiKey }, "account_sid: must be AC and 32 hexadecimal digits"},
		{"sms", twilio(), func(c *phone.Config) { c.AuthToken = secret.Text{} }, "auth_token: is missing; set it, as in auth_token: ${TWILIO_AUTH_TOKEN}"},
		{"sms", twilio(), func(c *phone.Config) { c.APIKey = "SK1" }, "api_key: must be SK and 32 hexadecimal digits"},
		{"sms", twilio(), func(c *phone.Config) { c.Endpoint = endpoint + "?a" }, "endpoint: must have neither a user, a query nor a fragment"},
		{"sms", twilio(), func(c *phone.Config) { c.Endpoint = "http://api.example.com" }, "endpoint: must begin with https://"},
		{"sms", twilio(), func(c *phone.Config) { c.From = "" }, "from: is missing; set it, as in from: \"+4915550100000\", or set messaging_service"},
		{"sms", twilio(), func(c *phone.Config) { c.From = "Example Bank" }, "from: must be a number, as in \"+4915550100000\", a short code, or a name"},
		{"sms", twilio(), func(c *phone.Config) { c.MessagingService = senders }, "from: is chosen by messaging_service"},
		{"sms", twilio(), func(c *phone.Config) { c.From, c.MessagingService = "", "MG1" }, "messaging_service: must be MG and 32"},
		{"voice", twilio(), func(c *phone.Config) { c.From = "" }, "from: is missing; set it, as in from: \"+4915550100000\""},
		{"voice", twilio(), func(c *phone.Config) { c.From = "Example" }, "from: must be a number, as in \"+4915550100000\""},
		{"voice", twilio(), func(c *phone.Config) { c.From, c.MessagingService = "", senders }, "messaging_service: sends text messages alone; a call needs from"},
		{"sms", webhook(), func(c *phone.Config) { c.Countries = []string{"DE", "de"} }, "countries[1]: must be upper case: write DE"},
		{"sms", webhook(), func(c *phone.Config) { c.Countries = []string{"001"} }, "countries[0]: must be the ISO 3166 code of a country, as in DE"},
		{"sms", webhook(), func(c *phone.Config) {
			c.Fallback = []phone.Service{webhook(), {Driver: "webhook", URL: "https://v.test/"}}
		}, "fallback[1].secret: is missing"},
	} {
		c := phone.Config{Service: tt.service}
		tt.set(&c)
		err := phone.SMSConfig{Config: c}.Validate()
		if tt.channel == "voice" {
			err = phone.VoiceConfig{Config: c}.Validate()
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one problem: %s", err, tt.want)
		}
	}
}

// TestConfigIsRedacted: printing a configuration shows no secret.
func TestConfigIsRedacted(t *testing.T) {
	c := phone.SMSConfig{Config: phone.Config{Service: twilio(), Fallback: []phone.Service{webhook()}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "the-token") || strings.Contains(text, "whsec_") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestBadRules(t *testing.T) {
	for want, set := range map[string]func(*phone.Rules){
		"per_user: must be between 1 and 1000":          func(r *phone.Rules) { r.PerUser = 0 },
		"per_number: must be between 0 and 1000000":     func(r *phone.Rules) { r.PerNumber = -1 },
		"per_range: must be between 0":                  func(r *phone.Rules) { r.PerRange = 1_000_001 },
		"per_country: must be between 0":                func(r *phone.Rules) { r.PerCountry = -1 },
		"per_gateway: must be between 0":                func(r *phone.Rules) { r.PerGateway = -1 },
		"spend: must be at most 1000000":                func(r *phone.Rules) { r.Spend = 10_000_000_001 },
		"price: is more than spend":                     func(r *phone.Rules) { r.Price = r.Spend + 1 },
		"prices[+1876]: is more than spend":             func(r *phone.Rules) { r.Prices["+1876"] = r.Spend + 1 },
		"prices[49]: must be the beginning of numbers":  func(r *phone.Rules) { r.Prices["49"] = 1 },
		"prices[+4 9]: must be the beginning of number": func(r *phone.Rules) { r.Prices["+4 9"] = 1 },
	} {
		r := rules()
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		set(&r)
		if err := r.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
