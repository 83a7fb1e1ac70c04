package demo

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A walk is a login with a second factor, seven times, as steps: printed for a shell,
// or played over HTTP. Both read the same steps, so that they cannot differ.
type walk struct {
	Options
	places
	steps []step
}

// places are what the walk comes to.
type places struct {
	url     string // the issuer
	pushes  string // the push service
	store   string // the file of the phone
	inbox   string // the page that shows what the gateway sends
	message string // the latest text message of the inbox
}

// A step is one or two sentences and what they are about: a request, a one-time
// password, a phone, or some time.
type step struct {
	say     []string // without characters that a shell takes for more than text
	request *request
	code    *code
	phone   []string // a command line of this program; words that begin with $ are variables
	pause   time.Duration
}

// A request may name variables that steps before it have set, as in $MFA_TOKEN.
type request struct {
	path   string      // below the issuer, or a whole URL
	bearer string      // variable of the bearer token; empty: none
	form   [][2]string // names and values; nil: a GET
	status int         // that the answer must have
	keep   [][2]string // variables, and the members of the answer that they take
}

// A code sets $CODE to a one-time password of $SECRET.
type code struct{ next bool } // one that no login has used yet

// The grant types of the contract.
const (
	grantOTP      = "http://auth0.com/oauth/grant-type/mfa-otp"
	grantRecovery = "http://auth0.com/oauth/grant-type/mfa-recovery-code"
	grantOOB      = "http://auth0.com/oauth/grant-type/mfa-oob"
)

// The tenant of the demo.
const (
	user   = "ada"
	other  = "grace" // who has a phone with an app
	third  = "joan"  // who has a phone that gets text messages
	number = "+4915550100042"
	client = "demo"
	api    = "https://api.demo.test/"
	scopes = "openid profile email offline_access read:things write:things"
)

// interval is how long a client waits before it polls again; the challenge's answer says so.
const interval = 5 * time.Second

func newWalk(o Options, at places) *walk {
	w := &walk{Options: o, places: at}
	w.steps = slices.Concat(w.app(), w.phone(), w.messages())
	return w
}

// app is what a user does who has an authenticator app.
func (w *walk) app() []step {
	return []step{
		w.first(user, "1. Log in with the password. It is right, but the client asks for a second factor: mfa_required."),
		{
			say: []string{
				"2. Enroll an authenticator app with the mfa_token of that answer.",
				"An app would scan barcode_uri. The recovery code is for the day the phone is lost.",
			},
			request: &request{
				path: "mfa/associate", bearer: "MFA_TOKEN", status: http.StatusOK,
				form: [][2]string{{"authenticator_types", "otp"}},
				keep: [][2]string{{"SECRET", "secret"}, {"RECOVERY_CODE", "recovery_codes"}},
			},
		},
		{say: []string{"3. Compute the one-time password, which is what the app does."}, code: &code{}},
		w.second("It confirms the app and finishes the login: tokens.", grantOTP, "otp", "CODE"),
		{
			say:     []string{"4. These keys verify the signatures of the tokens."},
			request: &request{path: ".well-known/jwks.json", status: http.StatusOK},
		},
		{
			say:     []string{"The access token opens userinfo."},
			request: &request{path: "userinfo", bearer: "ACCESS_TOKEN", status: http.StatusOK},
		},
		w.first(user, "5. Log in again. Now there is an app, and the answer asks for it."),
		{
			say: []string{"A challenge says which factor is asked for. A one-time password needs nothing more."},
			request: &request{
				path: "mfa/challenge", status: http.StatusOK,
				form: [][2]string{{"client_id", client}, {"mfa_token", "$MFA_TOKEN"}, {"challenge_type", "otp"}},
			},
		},
		{say: []string{"6. Each one-time password is good for one login, so wait for the next one."}, code: &code{next: true}},
		w.second("It finishes the second login.", grantOTP, "otp", "CODE"),
		w.first(user, "7. The phone is lost. Log in once more."),
		w.second("The recovery code stands in for the app. It is used up now, and the answer has a new one.",
			grantRecovery, "recovery_code", "RECOVERY_CODE", [2]string{"RECOVERY_CODE", "recovery_code"}),
	}
}

// phone is what a user does who has a phone that approves.
func (w *walk) phone() []step {
	pending := w.second("Nobody has answered yet: authorization_pending.", grantOOB, "oob_code", "OOB_CODE")
	pending.request.status, pending.request.keep = http.StatusBadRequest, nil
	return []step{
		w.first(other, "8. Grace has no second factor yet, and a phone. Log her in."),
		{
			say: []string{"Enroll the phone. It would scan barcode_uri."},
			request: &request{
				path: "mfa/associate", bearer: "MFA_TOKEN", status: http.StatusOK,
				form: [][2]string{{"authenticator_types", "oob"}, {"oob_channels", "auth0"}},
				keep: [][2]string{{"BARCODE_URI", "barcode_uri"}, {"OOB_CODE", "oob_code"}},
			},
		},
		{
			say:   []string{"This command is the phone. It makes a key, of which the gateway gets the public half."},
			phone: []string{"device", "enroll", "$BARCODE_URI", "--url", w.url, "--store", w.store},
		},
		w.second("A poll finds the phone enrolled: tokens.", grantOOB, "oob_code", "OOB_CODE"),
		w.first(other, "9. Log in again. Now there is a phone."),
		{
			say: []string{"The challenge sends a push. Its answer says how often to poll."},
			request: &request{
				path: "mfa/challenge", status: http.StatusOK,
				form: [][2]string{{"client_id", client}, {"mfa_token", "$MFA_TOKEN"}, {"challenge_type", "oob"}},
				keep: [][2]string{{"OOB_CODE", "oob_code"}},
			},
		},
		pending,
		{
			say:   []string{"The phone shows who wants to log in, and Grace approves."},
			phone: []string{"device", "wait", "--approve", "--provider", w.pushes, "--store", w.store},
		},
		{say: []string{"A client polls every five seconds."}, pause: interval},
		w.second("The next poll gets the tokens.", grantOOB, "oob_code", "OOB_CODE"),
	}
}

// messages is what a user does who gets codes by text message.
func (w *walk) messages() []step {
	read := step{
		say:     []string{"The page " + w.inbox + " shows the message. A shell gets the latest one so."},
		request: &request{path: w.message, status: http.StatusOK, keep: [][2]string{{"BINDING_CODE", "code"}}},
	}
	finish := func(say string) step {
		s := w.second(say, grantOOB, "oob_code", "OOB_CODE")
		s.request.form = append(s.request.form, [2]string{"binding_code", "$BINDING_CODE"})
		return s
	}
	return []step{
		w.first(third, "10. Joan has no second factor yet, and a telephone. Log her in."),
		{
			say: []string{"Enroll her number. The gateway sends a code to it: binding_method is prompt."},
			request: &request{
				path: "mfa/associate", bearer: "MFA_TOKEN", status: http.StatusOK,
				form: [][2]string{{"authenticator_types", "oob"}, {"oob_channels", "sms"}, {"phone_number", number}},
				keep: [][2]string{{"OOB_CODE", "oob_code"}},
			},
		},
		read,
		finish("The code confirms the number and finishes the login: tokens."),
		w.first(third, "11. Log in again. Now there is a number."),
		{
			say: []string{"The challenge sends a new code."},
			request: &request{
				path: "mfa/challenge", status: http.StatusOK,
				form: [][2]string{{"client_id", client}, {"mfa_token", "$MFA_TOKEN"}, {"challenge_type", "oob"}},
				keep: [][2]string{{"OOB_CODE", "oob_code"}},
			},
		},
		read,
		finish("It finishes the login."),
	}
}

// elsewhere reports whether a request is not for the gateway.
func (r request) elsewhere() bool { return strings.HasPrefix(r.path, "http:") }

// to is the whole URL of a request.
func (w *walk) to(r request) string {
	if r.elsewhere() {
		return r.path
	}
	return w.url + r.path
}

// first is the password of a login; it must lead to mfa_required.
func (w *walk) first(username, say string) step {
	return step{say: []string{say}, request: &request{
		path: "oauth/token", status: http.StatusForbidden,
		form: [][2]string{
			{"grant_type", "password"}, {"client_id", client}, {"username", username}, {"password", w.Password.Reveal()},
			{"audience", api}, {"scope", scopes},
		},
		keep: [][2]string{{"MFA_TOKEN", "mfa_token"}},
	}}
}

// second is the second factor of a login, from a variable; it must lead to tokens.
func (w *walk) second(say, grant, parameter, variable string, keep ...[2]string) step {
	return step{say: []string{say}, request: &request{
		path: "oauth/token", status: http.StatusOK,
		form: [][2]string{
			{"grant_type", grant}, {"client_id", client}, {"mfa_token", "$MFA_TOKEN"}, {parameter, "$" + variable},
		},
		keep: append(keep, [2]string{"ACCESS_TOKEN", "access_token"}),
	}}
}
