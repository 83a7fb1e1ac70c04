package phone

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
)

// The channels that reach telephones, by their oob_channel.
const (
	SMS   = "sms"
	Voice = "voice"
)

// The drivers: how services are spoken to.
const (
	driverWebhook = "webhook"
	driverTwilio  = "twilio"
)

// Config says who delivers the messages of a channel, and where to.
type Config struct {
	Service   `yaml:",inline"`
	Fallback  []Service `yaml:"fallback" doc:"Further services, asked in this order where the one before does not take a message: it keeps its code and its id."`
	Countries []string  `yaml:"countries" example:"[DE, AT]" doc:"Countries (ISO 3166) whose numbers are served. None: all, and the gateway warns. Premium-rate, shared-cost, toll-free, personal and satellite numbers are never served."`
}

// SMSConfig is that of text messages.
type SMSConfig struct {
	Config `yaml:",inline"`
}

// VoiceConfig is that of calls.
type VoiceConfig struct {
	Config `yaml:",inline"`
}

// Validate reports everything that is wrong, each error as "key: text".
func (c SMSConfig) Validate() error { return c.validate(SMS) }

// Validate reports everything that is wrong, each error as "key: text".
func (c VoiceConfig) Validate() error { return c.validate(Voice) }

// Service is one who delivers messages.
type Service struct {
	Driver           string      `yaml:"driver" required:"true" enum:"webhook|twilio" example:"webhook" doc:"How it is spoken to: webhook (JSON, signed as Standard Webhooks describes) or twilio."`
	URL              string      `yaml:"url" print:"url" example:"https://messages.example.com/send" doc:"For webhook: where messages are posted; https, or http to a loopback host."`
	Secret           secret.Text `yaml:"secret" example:"${SMS_SECRET}" doc:"For webhook: whsec_ and the base64 of a key of at least 24 bytes, which signs what is posted."`
	AccountSID       string      `yaml:"account_sid" example:"AC00000000000000000000000000000000" doc:"For twilio: the account."`
	AuthToken        secret.Text `yaml:"auth_token" example:"${TWILIO_AUTH_TOKEN}" doc:"For twilio: the account's auth token, or the secret of api_key."`
	APIKey           string      `yaml:"api_key" example:"SK00000000000000000000000000000000" doc:"For twilio: an API key, which can be revoked without changing the account's own token."`
	From             string      `yaml:"from" example:"\"+4915550100000\"" doc:"For twilio: the number that messages come from; of text messages also a short code or a name of eleven characters."`
	MessagingService string      `yaml:"messaging_service" example:"MG00000000000000000000000000000000" doc:"For twilio, text messages: the service that chooses the number, in the place of from."`
	Endpoint         string      `yaml:"endpoint" example:"https://api.dublin.ie1.twilio.com" doc:"For twilio: base of the API, https://api.twilio.com when this is not set; /2010-04-01/Accounts/ACCOUNT_SID follows."`
}

const webhookKey = 24 // bytes (Standard Webhooks)

// validate reports everything that is wrong for a channel.
func (c Config) validate(channel string) error {
	errs := c.check(channel)
	for i, s := range c.Fallback {
		for _, err := range s.check(channel) {
			errs = append(errs, fmt.Errorf("fallback[%d].%w", i, err))
		}
	}
	for i, country := range c.Countries {
		at := fmt.Sprintf("countries[%d]: ", i)
		switch upper := strings.ToUpper(country); {
		case known(country):
		case known(upper):
			errs = append(errs, errors.New(at+"must be upper case: write "+upper))
		default:
			errs = append(errs, errors.New(at+"must be the ISO 3166 code of a country, as in DE"))
		}
	}
	return errors.Join(errs...)
}

// services are all in the order in which they are asked.
func (c Config) services() []Service { return append([]Service{c.Service}, c.Fallback...) }

// check reports what is wrong with a service. A driver that is none has been reported.
func (s Service) check(channel string) []error {
	switch s.Driver {
	case driverWebhook:
		return append(s.foreign(driverTwilio), s.checkWebhook()...)
	case driverTwilio:
		return append(s.foreign(driverWebhook), s.checkTwilio(channel)...)
	default:
		return nil
	}
}

// foreign reports the settings of another driver: they would do nothing.
func (s Service) foreign(other string) (errs []error) {
	for _, f := range []struct {
		driver, key string
		set         bool
	}{
		{driverWebhook, "url", s.URL != ""}, {driverWebhook, "secret", !s.Secret.Empty()},
		{driverTwilio, "account_sid", s.AccountSID != ""}, {driverTwilio, "auth_token", !s.AuthToken.Empty()},
		{driverTwilio, "api_key", s.APIKey != ""}, {driverTwilio, "from", s.From != ""},
		{driverTwilio, "messaging_service", s.MessagingService != ""}, {driverTwilio, "endpoint", s.Endpoint != ""},
	} {
		if f.driver == other && f.set {
			errs = append(errs, fmt.Errorf("%s: belongs to driver %s, not %s; remove it", f.key, other, s.Driver))
		}
	}
	return errs
}

func (s Service) checkWebhook() (errs []error) {
	if s.URL == "" {
		errs = append(errs, missing("url", "https://messages.example.com/send"))
	} else if err := oob.CheckURL(s.URL); err != nil {
		errs = append(errs, fmt.Errorf("url: %w", err))
	}
	if s.Secret.Empty() {
		errs = append(errs, missing("secret", "${SMS_SECRET}"))
	} else if _, err := s.key(); err != nil {
		errs = append(errs, fmt.Errorf("secret: %w", err))
	}
	return errs
}

// missing is what is said of a setting that the driver needs.
func missing(key, example string) error {
	return fmt.Errorf("%s: is missing; set it, as in %s: %s", key, key, example)
}

// key is what signs the messages to a webhook.
func (s Service) key() ([]byte, error) {
	encoded, ok := strings.CutPrefix(s.Secret.Reveal(), "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return nil, fmt.Errorf("must be whsec_ followed by base64 of at least %d bytes", webhookKey)
	}
	if len(key) < webhookKey {
		return nil, fmt.Errorf("is weak; it must hold at least %d bytes in base64", webhookKey)
	}
	return key, nil
}

// Forms of Twilio's.
var (
	sid    = regexp.MustCompile(`^[A-Z]{2}[0-9a-f]{32}$`)
	e164   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	sender = regexp.MustCompile(`^([0-9]{3,8}|[0-9A-Za-z ]{0,10}[A-Za-z][0-9A-Za-z ]{0,10})$`) // a short code, a name
)

const longestSender = 11

func (s Service) checkTwilio(channel string) (errs []error) {
	about := func(key, prefix, value string) {
		if !sid.MatchString(value) || !strings.HasPrefix(value, prefix) {
			errs = append(errs, fmt.Errorf("%s: must be %s and 32 hexadecimal digits", key, prefix))
		}
	}
	if s.AccountSID == "" {
		errs = append(errs, missing("account_sid", "AC00000000000000000000000000000000"))
	} else {
		about("account_sid", "AC", s.AccountSID)
	}
	if s.AuthToken.Empty() {
		errs = append(errs, missing("auth_token", "${TWILIO_AUTH_TOKEN}"))
	}
	if s.APIKey != "" {
		about("api_key", "SK", s.APIKey)
	}
	if s.Endpoint != "" {
		if err := oob.CheckEndpoint(s.Endpoint); err != nil {
			errs = append(errs, fmt.Errorf("endpoint: %w", err))
		}
	}
	if s.MessagingService != "" && channel == SMS {
		about("messaging_service", "MG", s.MessagingService)
	}
	return append(errs, s.checkFrom(channel)...)
}

// checkFrom reports what is wrong with whom messages come from.
func (s Service) checkFrom(channel string) []error {
	named := channel == SMS && sender.MatchString(s.From) && len(s.From) <= longestSender
	switch {
	case s.MessagingService != "" && channel == Voice:
		return []error{errors.New("messaging_service: sends text messages alone; a call needs from")}
	case s.MessagingService != "" && s.From != "":
		return []error{errors.New("from: is chosen by messaging_service; remove one of the two")}
	case s.MessagingService != "" || named || e164.MatchString(s.From):
		return nil
	case s.From == "" && channel == SMS:
		return []error{errors.New("from: is missing; set it, as in from: \"+4915550100000\", or set messaging_service")}
	case s.From == "":
		return []error{missing("from", `"+4915550100000"`)}
	case channel == SMS:
		return []error{errors.New("from: must be a number, as in \"+4915550100000\", a short code, or a name of at most eleven letters and digits")}
	default:
		return []error{errors.New("from: must be a number, as in \"+4915550100000\"")}
	}
}
