package grants

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
)

// A row says how one kind of failure looks on the wire.
type row struct {
	status      int
	code        string // the OAuth "error"
	description string // compared byte for byte by SDKs where the contract has a star; %s is Details.Param
}

const notEnrolled = "User is not enrolled. You can use /mfa/associate endpoint to enroll the first authenticator."

// catalogue is the only place where a failure becomes an answer (Auth0 MFA API, 3.6
// and 4). What is not in it is internal, and its text goes to the log alone.
var catalogue = map[fault.Kind]row{
	fault.BadRequest:       {http.StatusBadRequest, "invalid_request", "%s"},
	fault.MissingParameter: {http.StatusBadRequest, "invalid_request", "Missing required parameter: %s"},
	fault.BodyTooLarge:     {http.StatusRequestEntityTooLarge, "invalid_request", "The request body is too large."},
	fault.BodyTooSlow:      {http.StatusRequestTimeout, "invalid_request", "The request body took too long."},
	fault.UnknownGrant:     {http.StatusBadRequest, "unsupported_grant_type", "This grant type is not served."},
	fault.UnknownAudience:  {http.StatusForbidden, "access_denied", "Service not found, or not open to this client."},
	fault.ScopeNotAllowed:  {http.StatusBadRequest, "invalid_scope", "The client may not have one of the scopes."},
	fault.NotFound:         {http.StatusNotFound, "not_found", "There is nothing here."},
	fault.BadMethod:        {http.StatusMethodNotAllowed, "invalid_request", "This method is not allowed here."},

	fault.BadClient:       {http.StatusUnauthorized, "invalid_client", "Client authentication failed."},
	fault.GrantNotAllowed: {http.StatusForbidden, "unauthorized_client", "Grant type '%s' not allowed for the client."},
	fault.FactorOff:       {http.StatusForbidden, "unauthorized_client", "This client asks for no second factor, and so cannot have what needs one."},

	fault.WrongPassword: {http.StatusForbidden, "invalid_grant", "Wrong email or password."},
	fault.UserBlocked:   {http.StatusForbidden, "unauthorized", "user is blocked"},
	fault.BadPassword:   {http.StatusBadRequest, "invalid_password", "The password cannot be used: %s"},

	fault.BadRefreshToken:  {http.StatusForbidden, "invalid_grant", "Unknown or invalid refresh token."},
	fault.UsedRefreshToken: {http.StatusForbidden, "invalid_grant", "Unknown or invalid refresh token."},
	fault.SubjectGone:      {http.StatusForbidden, "invalid_grant", "The refresh_token was generated for a user who doesn't exist anymore."},
	fault.UnmetACR:         {http.StatusBadRequest, "unmet_authentication_requirements", "No login here reaches any of the acr_values."},
	fault.StaleSession:     {http.StatusUnauthorized, "insufficient_user_authentication", "The session is too old to be stepped up. Log in again."},
	fault.StalePassword:    {http.StatusUnauthorized, "insufficient_user_authentication", "The password was proved too long ago to enroll the first authenticator. Log in again."},
	fault.StepUpBegun:      {http.StatusOK, "", ""},

	fault.MFARequired:         {http.StatusForbidden, "mfa_required", "Multifactor authentication required"},
	fault.MalformedMFAToken:   {http.StatusForbidden, "invalid_grant", "Malformed mfa_token"},
	fault.MFATokenExpired:     {http.StatusUnauthorized, "expired_token", "mfa_token is expired"},
	fault.ForeignMFAToken:     {http.StatusBadRequest, "invalid_request", "mfa_token not issued to this client"},
	fault.WrongOTP:            {http.StatusForbidden, "invalid_grant", "Invalid otp_code."},
	fault.UsedOTP:             {http.StatusForbidden, "invalid_grant", "Invalid otp_code."},
	fault.WrongRecoveryCode:   {http.StatusForbidden, "invalid_grant", "MFA Authorization rejected."},
	fault.UsedRecoveryCode:    {http.StatusForbidden, "invalid_grant", "MFA Authorization rejected."},
	fault.NoRecoveryCode:      {http.StatusForbidden, "unsupported_challenge_type", "User does not have a recovery-code."},
	fault.NotEnrolled:         {http.StatusUnauthorized, "unsupported_challenge_type", notEnrolled},
	fault.AssociationRequired: {http.StatusUnauthorized, "association_required", notEnrolled},
	fault.UnverifiedAddress:   {http.StatusForbidden, "access_denied", "The first authenticator is for users with a verified email address."},
	fault.AlreadyEnrolled:     {http.StatusForbidden, "access_denied", "User is already enrolled."},
	fault.UnsupportedType:     {http.StatusUnauthorized, "unsupported_challenge_type", "The user does not support the requested challenge type. Supported: %s."},
	fault.UnknownFactor:       {http.StatusBadRequest, "unsupported_challenge_type", "No such factor or channel is enabled."},
	fault.NotRemovable:        {http.StatusForbidden, "access_denied", "This authenticator cannot be removed in this way."},
	fault.NoAuthenticator:     {http.StatusNotFound, "invalid_authenticator", "Authenticator not found"},
	fault.MalformedOOBCode:    {http.StatusForbidden, "invalid_grant", "Malformed oob_code"},
	fault.OOBCodeExpired:      {http.StatusUnauthorized, "expired_token", "oob_code is expired"},
	fault.ForeignOOBCode:      {http.StatusBadRequest, "invalid_request", "The oob_code doesn't match the mfa_token"},
	fault.WrongBindingCode:    {http.StatusForbidden, "invalid_grant", "Invalid binding_code."},
	fault.BadPhoneNumber:      {http.StatusBadRequest, "invalid_request", "The phone number is invalid."},
	fault.BadEmailAddress:     {http.StatusBadRequest, "invalid_request", "The email address is invalid."},
	fault.ForeignAddress:      {http.StatusForbidden, "access_denied", "Only the verified email address of the user can be enrolled with this token."},
	fault.Pending:             {http.StatusBadRequest, "authorization_pending", "Authorization pending: please repeat the request in a few seconds."},
	fault.SlowDown:            {http.StatusBadRequest, "slow_down", "You are polling too fast. Wait as long as Retry-After says, here and from now on."},
	fault.Rejected:            {http.StatusForbidden, "invalid_grant", "MFA Authorization rejected."},
	fault.TooManyMessages:     {http.StatusTooManyRequests, "too_many_attempts", "Too many SMS sent by the user. Wait for some minutes before retrying."},
	fault.TooManyFailures:     {http.StatusTooManyRequests, "too_many_attempts", "Too many failed codes. Wait for some minutes before retrying."},
	fault.TooManyAttempts:     {http.StatusTooManyRequests, "too_many_attempts", "Too many attempts. Wait for some minutes before retrying."},

	fault.NoBearer:          {http.StatusUnauthorized, "invalid_grant", "The mfa_token provided is invalid. Try getting a new token."},
	fault.BadBearer:         {http.StatusUnauthorized, "invalid_grant", "The mfa_token provided is invalid. Try getting a new token."},
	fault.InsufficientScope: {http.StatusForbidden, "insufficient_scope", "Insufficient scope, expected: %s"},
	fault.BadAccessToken:    {http.StatusUnauthorized, "invalid_token", "The access token is expired, revoked or malformed."},
	fault.ForeignToken:      {http.StatusBadRequest, "invalid_request", "The token was not issued to this client."},

	fault.Unavailable:   {http.StatusServiceUnavailable, "temporarily_unavailable", "Something that the gateway depends on does not answer. Try again."},
	fault.Overloaded:    {http.StatusServiceUnavailable, "temporarily_unavailable", "The gateway is busy. Try again."},
	fault.Undeliverable: {http.StatusServiceUnavailable, "temporarily_unavailable", "The message could not be delivered. Use another factor."},
	fault.Internal:      {http.StatusInternalServerError, "server_error", "Something went wrong in the gateway; its log says what."},
}

// retryDefault is sent with a 503 or 429 whose failure does not say when to try again.
const retryDefault = 2

// Statuses says how the wire shows what RFC 6749 refuses.
type Statuses string

// The statuses that there are. In both, client libraries decide by the code.
const (
	StatusesAuth0   Statuses = "auth0"   // 403 for invalid_grant and unauthorized_client
	StatusesRFC6749 Statuses = "rfc6749" // 400 for them, as its section 5.2 demands
)

// Errors say how failures are shown. The zero value shows them as Auth0 does.
type Errors struct {
	Statuses Statuses
	// Throttled is the error of a 429 that follows wrong second factors: too_many_attempts
	// if it is empty, by which libraries know it, or what real tenants were seen to send,
	// invalid_request (Auth0 MFA API, Q2).
	Throttled string
	// Rejected is the error of a challenge that was denied: invalid_grant if it is empty, as
	// documentation and libraries have it, or access_denied with 400, which the real service
	// was recorded with and RFC 8628 has (Q1).
	Rejected string
}

// show changes an answer, which is Auth0's, to what is to be shown.
func (e Errors) show(a *Answer) {
	code := a.Members["error"]
	if e.Statuses == StatusesRFC6749 && a.Status == http.StatusForbidden && (code == "invalid_grant" || code == "unauthorized_client") {
		a.Status = http.StatusBadRequest
	}
	if e.Throttled != "" && a.Kind == fault.TooManyFailures {
		a.Members["error"] = e.Throttled
	}
	if e.Rejected == "access_denied" && a.Kind == fault.Rejected {
		a.Members["error"], a.Status = e.Rejected, http.StatusBadRequest
	}
}

// Answer is a failure as the wire shows it.
type Answer struct {
	Kind    fault.Kind
	Status  int
	Members map[string]any // error, error_description and what belongs to the kind
	Retry   int            // seconds for Retry-After; 0: none
}

// AnswerTo looks a failure up in the catalogue; the status is Auth0's.
func AnswerTo(err error) Answer {
	kind := kindOf(err)
	r, ok := catalogue[kind]
	if !ok {
		kind, r = fault.Internal, catalogue[fault.Internal]
	}
	a := Answer{Kind: kind, Status: r.status, Members: map[string]any{}}
	description := r.description
	var d *fault.Details
	known := errors.As(err, &d) && d.Kind == kind
	if known {
		maps.Copy(a.Members, d.Extra)
		a.Retry = int(math.Ceil(d.RetryAfter.Seconds()))
	}
	if strings.Contains(description, "%s") {
		param := "The request is malformed."
		if known && d.Param != "" {
			param = printable(d.Param)
		}
		description = fmt.Sprintf(description, param)
	}
	if a.Retry == 0 && (a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests) {
		a.Retry = retryDefault
	}
	if r.code != "" {
		a.Members["error"] = r.code
		a.Members["error_description"] = description
	}
	return a
}

// WriteError writes a failure as JSON and returns what it wrote. There is never a
// WWW-Authenticate header: with one, the most used client library drops the body and
// with it the mfa_token (Auth0 MFA API, 1.2.2).
//
// A 429 says when one more try is open, in seconds and as a Unix time: one library
// reads this, one that, and one breaks when it is no integer (1.2.7).
func WriteError(w http.ResponseWriter, err error, now time.Time, e Errors) Answer {
	a := AnswerTo(err)
	e.show(&a)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	if a.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(a.Retry))
	}
	if a.Status == http.StatusTooManyRequests {
		h.Set("X-RateLimit-Limit", "1")
		h.Set("X-RateLimit-Remaining", "0")
		h.Set("X-RateLimit-Reset", strconv.FormatInt(now.Unix()+int64(a.Retry), 10))
	}
	w.WriteHeader(a.Status)
	// The client may have hung up; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(a.Members)
	return a
}

// kindOf is the kind of a failure, also of one that fosite itself found.
func kindOf(err error) fault.Kind {
	kind := fault.Of(err)
	var rfc *fosite.RFC6749Error
	if kind != fault.Internal || !errors.As(err, &rfc) {
		return kind
	}
	switch rfc.ErrorField {
	case fosite.ErrInvalidRequest.ErrorField:
		return fault.BadRequest
	case fosite.ErrInvalidClient.ErrorField:
		return fault.BadClient
	case fosite.ErrUnsupportedGrantType.ErrorField:
		return fault.UnknownGrant
	default:
		return fault.Internal
	}
}

// printable keeps a value within what RFC 6749 section 5.2 allows in a description.
func printable(s string) string {
	const limit = 120
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}
