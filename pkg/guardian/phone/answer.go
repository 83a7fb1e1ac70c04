package phone

import (
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// A reader is how strictly an app reads what it gets.
type reader struct {
	typed    bool // refuses an answer that is not application/json
	enrolled func(members) (enrolled, error)
	consent  func(members) (*Consent, error)
	refusal  func(members) (code, message string)
	date     func(string) (time.Time, bool)
	host     func(string) (string, error)
}

// The readers.
var (
	androidReader  = reader{false, androidEnrolled, androidConsent, androidRefusal, javaMilliseconds, androidHost}
	swiftReader    = reader{true, swiftEnrolled, swiftConsent, swiftRefusal, exactDate, anyHost}
	oldSwiftReader = reader{false, oldSwiftEnrolled, swiftConsent, swiftRefusal, exactDate, anyHost}
	webReader      = reader{false, swiftEnrolled, swiftConsent, webRefusal, exactDate, anyHost}
)

// An answer is what came of a call.
type answer struct {
	status int
	typed  string // Content-Type
	body   []byte
}

func (a answer) good() bool { return a.status >= 200 && a.status <= 299 }

// check refuses what the app refuses of an answer before it reads it.
func (r reader) check(a answer) error {
	switch {
	case !a.good():
		return r.refuse(a)
	case !r.typed || a.status == http.StatusNoContent:
		return nil
	}
	if media, _, err := mime.ParseMediaType(a.typed); err != nil || media != "application/json" {
		return fmt.Errorf("the answer is %q, and the app takes application/json alone", a.typed)
	}
	return nil
}

// enrollment reads the answer to an enrollment.
func (r reader) enrollment(a answer) (enrolled, error) {
	var m members
	if err := json.Unmarshal(a.body, &m); err != nil {
		return enrolled{}, errors.New("it is not JSON")
	}
	return r.enrolled(m)
}

// refuse makes a Refusal of what the app understands of it.
func (r reader) refuse(a answer) *Refusal {
	f := &Refusal{Status: a.status}
	var m members
	if json.Unmarshal(a.body, &m) == nil {
		f.Code, f.Message = r.refusal(m)
	}
	return f
}

// A Refusal is an answer that says no; section 3.3.
type Refusal struct {
	Status        int
	Code, Message string // "" where the app could not read them
}

// Error implements error.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("the gateway answered %d %s", r.Status, http.StatusText(r.Status))
	if r.Code != "" {
		text += fmt.Sprintf(", %q", r.Code)
	}
	if r.Message != "" {
		text += fmt.Sprintf(": %q", r.Message)
	}
	return text
}

// Gone reports whether what was asked for is no longer there, as the SDKs see it.
func (r *Refusal) Gone() bool {
	return r.Status == http.StatusNotFound || strings.Contains(r.Code, "not_found")
}

// members are those of an answer.
type members map[string]json.RawMessage

// text is a member that must be a string.
func (m members) text(name string) (string, error) {
	text, ok := textOf(m[name])
	if !ok {
		return "", fmt.Errorf("%s must be a string", name)
	}
	return text, nil
}

// textOrNothing is a member that may be null or left out.
func (m members) textOrNothing(name string) (string, error) {
	if m.nothing(name) {
		return "", nil
	}
	return m.text(name)
}

func (m members) nothing(name string) bool { return len(m[name]) == 0 || string(m[name]) == "null" }

// texts reads strings that must be there into the places.
func (m members) texts(places map[string]*string) error {
	var errs []error
	for name, place := range places {
		var err error
		*place, err = m.text(name)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// enrolled is the answer to an enrollment.
type enrolled struct {
	id, issuer, userID, token string
	totp                      *TOTP
}

// androidEnrolled needs five keys, of which it looks into one, and crashes on a totp that
// is null.
func androidEnrolled(m members) (e enrolled, err error) {
	for _, name := range []string{"url", "issuer", "user_id", "token"} {
		if _, ok := m[name]; !ok {
			return e, fmt.Errorf("%s is missing", name)
		}
	}
	e.issuer, _ = textOf(m["issuer"])
	e.userID, _ = textOf(m["user_id"])
	e.token, _ = textOf(m["token"])
	if e.id, err = m.text("id"); err != nil {
		return e, err
	}
	raw, ok := m["totp"]
	switch {
	case ok && string(raw) == "null":
		return e, fmt.Errorf("totp is null: %w", errCrash)
	case ok:
		e.totp, err = readTOTP(raw, strings.ToLower)
	}
	return e, err
}

// swiftEnrolled does not look for url.
func swiftEnrolled(m members) (e enrolled, err error) {
	err = m.texts(map[string]*string{"id": &e.id, "issuer": &e.issuer, "user_id": &e.userID, "token": &e.token})
	if err == nil && !m.nothing("totp") {
		e.totp, err = readTOTP(m["totp"], func(algorithm string) string { return algorithm })
	}
	return e, err
}

// oldSwiftEnrolled is that of before 1.0, to which all of totp was optional.
func oldSwiftEnrolled(m members) (e enrolled, err error) {
	var unused string
	err = m.texts(map[string]*string{"id": &e.id, "issuer": &e.issuer, "user_id": &e.userID, "token": &e.token, "url": &unused})
	if err == nil && !m.nothing("totp") {
		if t, err := readTOTP(m["totp"], strings.ToLower); err == nil {
			e.totp = t
		}
	}
	return e, err
}

// A TOTP is the one-time password that comes with a push enrollment.
type TOTP struct {
	Secret         secret.Text
	Algorithm      string // sha1, sha256 or sha512
	Digits, Period int
}

// readTOTP needs all four members.
func readTOTP(raw json.RawMessage, letters func(string) string) (*TOTP, error) {
	var m members
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, errors.New("totp must be an object")
	}
	var seed, algorithm string
	if err := m.texts(map[string]*string{"secret": &seed, "algorithm": &algorithm}); err != nil {
		return nil, fmt.Errorf("totp: %w", err)
	}
	t := TOTP{Secret: secret.New(seed), Algorithm: letters(algorithm)}
	if !slices.Contains([]string{"sha1", "sha256", "sha512"}, t.Algorithm) {
		return nil, fmt.Errorf("totp: the app knows no algorithm %q", algorithm)
	}
	plain := strings.NewReplacer(" ", "", "-", "", "=", "").Replace(strings.ToUpper(seed))
	if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(plain); err != nil || plain == "" {
		return nil, errors.New("totp: the secret is not base32")
	}
	for name, place := range map[string]*int{"digits": &t.Digits, "period": &t.Period} {
		var n float64 // Gson's only number
		if m.nothing(name) || json.Unmarshal(m[name], &n) != nil || n < 1 {
			return nil, fmt.Errorf("totp: %s must be a number", name)
		}
		*place = int(n)
	}
	return &t, nil
}

// A Consent is what a login asks for, read with a proof of the account's key; section 9.
type Consent struct {
	ID, Audience, BindingMessage string
	Scope                        []string
	AuthorizationDetails         []map[string]any
	CreatedAt, ExpiresAt         string
}

// swiftConsent takes dates as strings alone.
func swiftConsent(m members) (*Consent, error) {
	c, details, err := readConsent(m)
	if err != nil {
		return nil, err
	}
	if err := m.texts(map[string]*string{"created_at": &c.CreatedAt, "expires_at": &c.ExpiresAt}); err != nil {
		return nil, err
	}
	if !details.nothing("scope") && json.Unmarshal(details["scope"], &c.Scope) != nil {
		return nil, errors.New("scope must be a list of strings")
	}
	return c, nil
}

// androidConsent takes dates as numbers too, wants a scope, and crashes on details without
// a type once the app filters them.
func androidConsent(m members) (*Consent, error) {
	c, details, err := readConsent(m)
	if err != nil {
		return nil, err
	}
	if details.nothing("scope") || json.Unmarshal(details["scope"], &c.Scope) != nil {
		return nil, errors.New("scope must be a list of strings")
	}
	c.CreatedAt, c.ExpiresAt = coerced(m["created_at"]), coerced(m["expires_at"])
	for _, d := range c.AuthorizationDetails {
		if _, ok := d["type"].(string); !ok {
			return nil, fmt.Errorf("authorization_details without a type: %w", errCrash)
		}
	}
	return c, nil
}

// readConsent reads what all apps read alike.
func readConsent(m members) (c *Consent, details members, err error) {
	c = &Consent{}
	if c.ID, err = m.text("id"); err != nil {
		return nil, nil, err
	}
	if json.Unmarshal(m["requested_details"], &details) != nil || details == nil {
		return nil, nil, errors.New("requested_details must be an object")
	}
	if c.Audience, err = details.text("audience"); err != nil {
		return nil, nil, err
	}
	if c.BindingMessage, err = details.textOrNothing("binding_message"); err != nil {
		return nil, nil, err
	}
	if !details.nothing("authorization_details") && json.Unmarshal(details["authorization_details"], &c.AuthorizationDetails) != nil {
		return nil, nil, errors.New("authorization_details must be a list of objects")
	}
	return c, details, nil
}

// coerced is the text of a string or a number.
func coerced(raw json.RawMessage) string {
	if text, ok := textOf(raw); ok {
		return text
	}
	return string(raw)
}

// androidRefusal needs both members to be strings, or it reads none.
func androidRefusal(m members) (code, message string) {
	message, ok := textOf(m["error"])
	if !ok {
		return "", ""
	}
	if code, ok = textOf(m["errorCode"]); !ok && !m.nothing("errorCode") {
		return "", ""
	}
	return code, message
}

// swiftRefusal goes by the status where there is no code.
func swiftRefusal(m members) (code, message string) {
	if code, _ = textOf(m["errorCode"]); code == "" {
		return "", ""
	}
	message, _ = textOf(m["description"])
	return code, message
}

func webRefusal(m members) (code, message string) {
	if code, _ = textOf(m["errorCode"]); code == "" {
		code, _ = textOf(m["error_code"])
	}
	message, _ = textOf(m["message"])
	return code, message
}
