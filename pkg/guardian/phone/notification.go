package phone

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// A Notification is a push that asks for an answer; spec guardian-devices, section 7.1
// names the members after the comments.
type Notification struct {
	Transaction secret.Text // txtkn: the bearer token of the answer
	Account     string      // dai: the id of the enrollment that is asked
	Challenge   string      // c
	Started     time.Time   // d
	Host        string      // sh, as the app hands it on
	Browser, OS Part        // s
	Place       Place       // l
	Link        string      // txlnkid: the consent, where there is one
	// What the SDKs do not know and leave out (section 14): the name of the client, of which
	// an alert tells too, and how the phone must bind its answer to the page.
	Client, Bind string
}

// A Part is a name and a version of what the login comes from.
type Part struct{ Name, Version string }

// String is the part as a screen shows it, "" if it is unknown.
func (p Part) String() string { return strings.TrimSpace(p.Name + " " + p.Version) }

// A Place is where the login comes from.
type Place struct{ Name, Latitude, Longitude string }

// apnsCategory is what the Swift parser asks for.
const apnsCategory = "com.auth0.notification.authentication"

// FromFCM reads the data of a message. A push that is not one of these, or not whole, is
// nil, as in the SDKs; what makes the app crash is an error.
func (p *Phone) FromFCM(data map[string]string) (*Notification, error) {
	members := map[string]json.RawMessage{}
	for name, value := range data {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		members[name] = text
	}
	for _, name := range []string{"s", "l"} { // JSON in a string
		members[name] = json.RawMessage(data[name])
	}
	return p.notification(members)
}

// FromAPNs reads the payload of an alert, as [Phone.FromFCM] does.
func (p *Phone) FromAPNs(payload []byte) (*Notification, error) {
	var alert struct {
		APS struct {
			Category string          `json:"category"`
			Alert    json.RawMessage `json:"alert"` // text, or an object
		} `json:"aps"`
		MFA map[string]json.RawMessage `json:"mfa"`
	}
	if json.Unmarshal(payload, &alert) != nil || alert.APS.Category != apnsCategory {
		return nil, nil //nolint:nilerr // the SDKs take no notice
	}
	n, err := p.notification(alert.MFA)
	var shown members
	if n != nil && n.Client == "" && json.Unmarshal(alert.APS.Alert, &shown) == nil {
		n.Client, _ = textOf(shown["subtitle"]) // where a gateway of ours puts it
	}
	return n, err
}

func (p *Phone) notification(members map[string]json.RawMessage) (*Notification, error) {
	required := map[string]string{}
	for _, name := range []string{"txtkn", "dai", "c", "d", "sh"} {
		text, ok := textOf(members[name])
		if !ok {
			return nil, nil
		}
		required[name] = text
	}
	started, ok := p.app.reads.date(required["d"])
	if !ok {
		return nil, nil
	}
	host, err := p.app.reads.host(required["sh"])
	if err != nil {
		return nil, err
	}
	n := &Notification{
		Transaction: secret.New(required["txtkn"]), Account: required["dai"], Challenge: required["c"],
		Started: started, Host: host, Place: placeOf(members["l"]),
	}
	n.Browser, n.OS = partsOf(members["s"])
	n.Client, _ = textOf(members["gw_client"])
	n.Bind, _ = textOf(members["gw_bind"])
	if p.app.links {
		n.Link, _ = textOf(members["txlnkid"])
	}
	return n, nil
}

// textOf is the text of a JSON string; false for everything else.
func textOf(raw json.RawMessage) (string, bool) {
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

// partsOf reads s; a part without a name is dropped.
func partsOf(raw json.RawMessage) (browser, os Part) {
	var s map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &s) != nil {
		return Part{}, Part{}
	}
	part := func(members map[string]json.RawMessage) (p Part) {
		if name, ok := textOf(members["n"]); ok {
			p.Name = name
			p.Version, _ = textOf(members["v"])
		}
		return p
	}
	return part(s["b"]), part(s["os"])
}

// placeOf reads l, whose coordinates are both text or both numbers.
func placeOf(raw json.RawMessage) (p Place) {
	var l map[string]json.RawMessage
	if json.Unmarshal(raw, &l) != nil {
		return Place{}
	}
	p.Name, _ = textOf(l["n"])
	latitude, text := textOf(l["lat"])
	longitude, too := textOf(l["long"])
	if text && too {
		p.Latitude, p.Longitude = latitude, longitude
		return p
	}
	var numbers [2]*json.Number
	if !text && !too && json.Unmarshal(l["lat"], &numbers[0]) == nil && json.Unmarshal(l["long"], &numbers[1]) == nil &&
		numbers[0] != nil && numbers[1] != nil {
		p.Latitude, p.Longitude = numbers[0].String(), numbers[1].String()
	}
	return p
}

// exactDate reads the one form of d that every reader takes.
func exactDate(text string) (time.Time, bool) {
	const layout = "2006-01-02T15:04:05.000Z"
	t, err := time.Parse(layout, text)
	return t, err == nil && t.Format(layout) == text // Parse takes a comma, and a short hour
}

var javaDate = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{1,9})Z$`)

// javaMilliseconds reads d like Java's SimpleDateFormat, to which all decimals are a count
// of milliseconds: seven of them are hours.
func javaMilliseconds(text string) (time.Time, bool) {
	parts := javaDate.FindStringSubmatch(text)
	if parts == nil {
		return time.Time{}, false
	}
	t, err := time.Parse("2006-01-02T15:04:05", parts[1])
	if err != nil {
		return time.Time{}, false
	}
	milliseconds, err := strconv.Atoi(parts[2])
	return t.Add(time.Duration(milliseconds) * time.Millisecond), err == nil
}

// anyHost hands sh on.
func anyHost(host string) (string, error) { return host, nil }

// androidHost makes a URL of sh; a port without a scheme crashes the receiver.
func androidHost(host string) (string, error) {
	switch {
	case strings.Contains(host, "://"):
		return host, nil
	case strings.Contains(host, ":"):
		return "", fmt.Errorf("the push names the host %q: %w", host, errCrash)
	default:
		return "https://" + host + "/", nil
	}
}

// errCrash is what ends the real app.
var errCrash = errors.New("the real app crashes on that")
