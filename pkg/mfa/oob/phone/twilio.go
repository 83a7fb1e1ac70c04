package phone

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

const twilioBase = "https://api.twilio.com"

// twilio sends messages over Twilio's Messages API, and has calls made over its Calls API.
type twilio struct {
	url    string // of the account
	s      Service
	client *http.Client
	now    func() time.Time
}

func newTwilio(s Service, now func() time.Time) *twilio {
	base := strings.TrimRight(cmp.Or(s.Endpoint, twilioBase), "/")
	return &twilio{url: base + "/2010-04-01/Accounts/" + s.AccountSID, s: s, client: newClient(), now: now}
}

// deliver implements service. The token is there for whoever heeds it: a try whose answer
// was lost may reach the person twice, with one code.
func (t *twilio) deliver(ctx context.Context, l letter) error {
	resource, form := t.message(l)
	if l.channel == Voice {
		var err error
		if resource, form, err = t.speech(l); err != nil {
			return err
		}
	}
	if callback := t.callback(l); callback != "" {
		form.Set("StatusCallback", callback)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+resource, strings.NewReader(form.Encode()))
	if err != nil {
		return undeliverable("the service has no URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("I-Twilio-Idempotency-Token", l.ID)
	r.SetBasicAuth(cmp.Or(t.s.APIKey, t.s.AccountSID), t.s.AuthToken.Reveal())
	body, err := call(t.client, r, t.now())
	return accepted(body, err)
}

// message is a text message. One that cannot be sent while its code is good is not sent
// later.
func (t *twilio) message(l letter) (string, url.Values) {
	form := url.Values{
		"To": {l.To.Reveal()}, "Body": {l.words.Text},
		"ValidityPeriod": {strconv.Itoa(max(int(l.ExpiresIn/time.Second), 1))},
	}
	if t.s.MessagingService != "" {
		form.Set("MessagingServiceSid", t.s.MessagingService)
	} else {
		form.Set("From", t.s.From)
	}
	return "/Messages.json", form
}

// twiml is what Twilio does when somebody answers: the text stands in it, so that nobody
// has to be asked for it.
type twiml struct {
	XMLName xml.Name `xml:"Response"`
	Pause   struct {
		Seconds int `xml:"length,attr"`
	} `xml:"Pause"`
	Say struct {
		Language string `xml:"language,attr,omitempty"`
		Text     string `xml:",chardata"`
	} `xml:"Say"`
}

// speech is a call. It begins after a second, when the receiver is at the ear.
func (t *twilio) speech(l letter) (string, url.Values, error) {
	var doc twiml
	doc.Pause.Seconds = 1
	doc.Say.Language, doc.Say.Text = cmp.Or(spoken[l.words.Language], l.words.Language), l.words.Text
	text, err := xml.Marshal(doc)
	if err != nil {
		return "", nil, fmt.Errorf("write a call: %w", err)
	}
	return "/Calls.json", url.Values{"To": {l.To.Reveal()}, "From": {t.s.From}, "Twiml": {string(text)}}, nil
}

// spoken are the languages of voices, as Twilio names them: a language has a country there.
var spoken = map[string]string{"de": "de-DE", "en": "en-US", "es": "es-ES", "fr": "fr-FR", "it": "it-IT", "nl": "nl-NL", "pt": "pt-PT"}

// accepted reports whether Twilio took what it was sent: an answer that is not Twilio's is
// none, whatever its status.
func accepted(body []byte, failed error) error {
	var said struct {
		SID    string `json:"sid"`
		Status any    `json:"status"` // of a refusal the HTTP status
		Code   int    `json:"code"`   // of a refusal
	}
	readable := json.Unmarshal(body, &said) == nil
	if failed != nil {
		if readable && said.Code > 0 && fault.Of(failed) == fault.Undeliverable {
			return &fault.Details{Kind: fault.Undeliverable, Err: fmt.Errorf("%w, with Twilio's code %d", failed, said.Code)}
		}
		return failed
	}
	switch {
	case !readable || said.SID == "":
		return unavailable("the service answered as Twilio does not", 0)
	case said.Status == "failed" || said.Status == "undelivered" || said.Status == "canceled":
		return undeliverable("the service has given up already")
	}
	return nil
}
