package guardian

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

// A row is how a failure reads on a phone.
type row struct {
	status int
	code   string
	text   string
}

// catalogue has a row for each kind that the protocol fails with (section 3.3).
var catalogue = map[fault.Kind]row{
	fault.NoBearer:          {http.StatusUnauthorized, "invalid_bearer_format", "The Authorization header is missing or malformed."},
	fault.BadDeviceToken:    {http.StatusUnauthorized, "invalid_token", "The token is not valid, or its time is over."},
	fault.BadAnswer:         {http.StatusUnauthorized, "invalid_challenge", "The signed answer does not verify."},
	fault.WrongBindingCode:  {http.StatusUnauthorized, "invalid_otp", "The code is wrong."},
	fault.BadDeviceProof:    {http.StatusForbidden, "invalid_dpop_assertion", "The proof of possession does not verify."},
	fault.ServiceOff:        {http.StatusForbidden, "feature_disabled", "This gateway does not use that push service."},
	fault.TicketNotFound:    {http.StatusNotFound, "enrollment_transaction_not_found", "The enrollment is gone: its time is over, or it was used."},
	fault.DeviceNotFound:    {http.StatusNotFound, "enrollment_not_found", "The device is not enrolled any more."},
	fault.ChallengeNotFound: {http.StatusNotFound, "login_transaction_not_found", "The login request is gone."},
	fault.ConsentNotFound:   {http.StatusNotFound, "consent_not_found", "There is no such consent."},
	fault.DeviceConflict:    {http.StatusConflict, "enrollment_conflict", "This enrollment was completed already."},
	fault.BadRequest:        {http.StatusBadRequest, "invalid_body", "The body is not valid."},
	fault.TooManyMessages:   {http.StatusTooManyRequests, "too_many_pn", "There were too many push notifications. Wait before the next one."},
	fault.TooManyFailures:   {http.StatusTooManyRequests, "too_many_attempts", "There were too many wrong codes. Wait before the next one."},
	fault.TooManyAttempts:   {http.StatusTooManyRequests, "too_many_attempts", "There were too many attempts. Wait before the next one."},
	fault.Unavailable:       {http.StatusServiceUnavailable, "temporarily_unavailable", "Something that the gateway depends on does not answer. Try again."},
	fault.Overloaded:        {http.StatusServiceUnavailable, "temporarily_unavailable", "The gateway is busy. Try again."},
	fault.Internal:          {http.StatusInternalServerError, "server_error", "Something went wrong in the gateway."},
}

// retry is when to come again where nobody knows better.
const retry = time.Second

// Refusal is the body of a failure: what the readers of all three SDKs look for.
type Refusal struct {
	Status      int    `json:"statusCode"`
	Name        string `json:"error"`
	Message     string `json:"message"`
	Description string `json:"description"`
	Code        string `json:"errorCode"`
}

// Refuse writes a failure, and says of what kind it is.
func Refuse(w http.ResponseWriter, failure error) fault.Kind {
	kind := fault.Of(failure)
	found, ok := catalogue[kind]
	if !ok {
		kind, found = fault.Internal, catalogue[fault.Internal]
	}
	text := found.text
	var d *fault.Details
	if !errors.As(failure, &d) {
		d = &fault.Details{}
	}
	if d.Param != "" && found.status == http.StatusBadRequest {
		text = "The body is not valid: " + d.Param
	}
	if found.status == http.StatusServiceUnavailable || found.status == http.StatusTooManyRequests {
		after := max(d.RetryAfter, retry)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	body, err := json.Marshal(Refusal{found.status, http.StatusText(found.status), text, text, found.code})
	if err != nil {
		panic(err) // strings and a number
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(found.status)
	_, _ = w.Write(body) // whoever hung up needs no answer
	return kind
}
