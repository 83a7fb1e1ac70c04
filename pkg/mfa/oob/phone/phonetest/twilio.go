package phonetest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Twilio stands in for Twilio's Messages and Calls APIs.
type Twilio struct {
	inbox
	URL              string // for endpoint
	Account          string // for account_sid
	Token            string // for auth_token
	Key              string // for api_key, with Secret as auth_token
	Secret           string
	From             string // a number of the account's
	MessagingService string // one of the account's
}

// NewTwilio starts one that stops with the test.
func NewTwilio(t testing.TB) *Twilio {
	t.Helper()
	w := &Twilio{inbox: newInbox(time.Now), Account: sid("AC"), Token: rand.Text(), Key: sid("SK"), Secret: rand.Text(), From: "+4915550100001", MessagingService: sid("MG")}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /2010-04-01/Accounts/{account}/Messages.json", w.resource("SM", w.message))
	routes.HandleFunc("POST /2010-04-01/Accounts/{account}/Calls.json", w.resource("CA", w.call))
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	w.URL = server.URL
	return w
}

// Service is the configuration of whom it delivers for.
func (w *Twilio) Service() phone.Service {
	return phone.Service{Driver: "twilio", Endpoint: w.URL, AccountSID: w.Account, AuthToken: secret.New(w.Token), From: w.From}
}

// sid is an id as Twilio makes them.
func sid(prefix string) string {
	const bytes = 16
	id := make([]byte, bytes)
	_, _ = rand.Read(id) // never fails
	return prefix + hex.EncodeToString(id)
}

// A refusal is an error of Twilio's.
type refusal struct {
	Status  int    `json:"status"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Twilio's codes.
var (
	badCredentials = refusal{http.StatusUnauthorized, 20003, "Authenticate"}
	noAccount      = refusal{http.StatusNotFound, 20404, "The requested resource was not found"}
	badTo          = refusal{http.StatusBadRequest, 21211, "Invalid 'To' Phone Number"}
	badFrom        = refusal{http.StatusBadRequest, 21212, "Invalid 'From' Phone Number"}
	noBody         = refusal{http.StatusBadRequest, 21602, "Message body is required."}
	noTwiml        = refusal{http.StatusBadRequest, 21205, "Url is not a valid URL"}
	badParameter   = refusal{http.StatusBadRequest, 20001, "Invalid parameter"}
)

// resource creates what a form asks for.
func (w *Twilio) resource(prefix string, read func(url.Values) (Message, *refusal)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		failure, fails := w.called()
		if fails && !failure.Late {
			failure.fail(rw, r, refusal{Status: failure.Status, Code: 20500, Message: "No number, no code"})
			return
		}
		m, no := Message{}, w.authenticate(r)
		if no == nil {
			m, no = read(r.PostForm)
		}
		if no != nil {
			writeJSON(rw, no.Status, no)
			return
		}
		m.ID, m.To, m.Callback = r.Header.Get("I-Twilio-Idempotency-Token"), r.PostForm.Get("To"), r.PostForm.Get("StatusCallback")
		w.mu.Lock()
		w.keep(m) // the same again too: nothing is promised about the token
		w.mu.Unlock()
		if fails {
			failure.fail(rw, r, nil)
			return
		}
		writeJSON(rw, http.StatusCreated, map[string]any{"sid": sid(prefix), "status": "queued", "to": m.To, "error_code": nil})
	}
}

// authenticate reports why a request is not the account's, or no form.
func (w *Twilio) authenticate(r *http.Request) *refusal {
	user, password, _ := r.BasicAuth()
	switch {
	case (user != w.Account || password != w.Token) && (user != w.Key || password != w.Secret):
		return &badCredentials
	case r.PathValue("account") != w.Account:
		return &noAccount
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil || r.URL.RawQuery != "":
		return &badParameter
	}
	if !regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`).MatchString(r.PostForm.Get("To")) {
		return &badTo
	}
	return nil
}

// only reports whether a form has no other parameters, and none twice.
func only(form url.Values, names ...string) bool {
	for name, values := range form {
		if !slices.Contains(names, name) || len(values) != 1 {
			return false
		}
	}
	return true
}

var afterHash = regexp.MustCompile(`#([0-9]{6})$`)

// message reads the form of the Messages API.
func (w *Twilio) message(form url.Values) (Message, *refusal) {
	const longest = 36_000
	valid, err := strconv.Atoi(form.Get("ValidityPeriod"))
	m := Message{Channel: "sms", Text: form.Get("Body"), ExpiresIn: valid}
	if found := afterHash.FindStringSubmatch(m.Text); found != nil {
		m.Code = found[1]
	}
	switch {
	case !only(form, "To", "Body", "From", "MessagingServiceSid", "ValidityPeriod", "StatusCallback"), err != nil || valid < 1 || valid > longest:
		return m, &badParameter
	case m.Text == "":
		return m, &noBody
	case (form.Get("From") == w.From) == (form.Get("MessagingServiceSid") == w.MessagingService):
		return m, &badFrom
	}
	return m, nil
}

var spelled = regexp.MustCompile(`[0-9](, [0-9]){5}`)

// call reads the form of the Calls API, and what is said in the call.
func (w *Twilio) call(form url.Values) (Message, *refusal) {
	const longest = 4000
	var doc struct {
		XMLName xml.Name `xml:"Response"`
		Say     []struct {
			Language string `xml:"language,attr"`
			Text     string `xml:",chardata"`
		}
	}
	text := form.Get("Twiml")
	switch {
	case !only(form, "To", "From", "Twiml", "StatusCallback"):
		return Message{}, &badParameter
	case form.Get("From") != w.From:
		return Message{}, &badFrom
	case len(text) > longest || xml.Unmarshal([]byte(text), &doc) != nil || len(doc.Say) == 0:
		return Message{}, &noTwiml
	}
	m := Message{Channel: "voice", Language: doc.Say[0].Language}
	for _, said := range doc.Say {
		m.Text += said.Text
	}
	m.Code = strings.ReplaceAll(spelled.FindString(m.Text), ", ", "")
	return m, nil
}
