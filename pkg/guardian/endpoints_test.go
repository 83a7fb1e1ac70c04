package guardian_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/guardian"
)

// TestEndpoints: every endpoint of devices is under both prefixes, consents are under none
// (2.1).
func TestEndpoints(t *testing.T) {
	var all []string
	for _, e := range newWorld(t).protocol.Endpoints() {
		all = append(all, e.Method+" "+e.Path)
	}
	want := []string{
		"POST appliance-mfa/api/enroll", "POST appliance-mfa/api/resolve-transaction",
		"PATCH appliance-mfa/api/device-accounts/{id}", "DELETE appliance-mfa/api/device-accounts/{id}",
		"POST api/enroll", "POST api/resolve-transaction", "PATCH api/device-accounts/{id}", "DELETE api/device-accounts/{id}",
		"GET rich-consents/{id}",
	}
	if !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
}

// TestRefuse has the table of section 3.3.
func TestRefuse(t *testing.T) {
	for kind, want := range map[fault.Kind]struct {
		status int
		code   string
	}{
		fault.NoBearer:          {401, "invalid_bearer_format"},
		fault.BadDeviceToken:    {401, "invalid_token"},
		fault.BadAnswer:         {401, "invalid_challenge"},
		fault.WrongBindingCode:  {401, "invalid_otp"},
		fault.BadDeviceProof:    {403, "invalid_dpop_assertion"},
		fault.ServiceOff:        {403, "feature_disabled"},
		fault.TicketNotFound:    {404, "enrollment_transaction_not_found"},
		fault.DeviceNotFound:    {404, "enrollment_not_found"},
		fault.ChallengeNotFound: {404, "login_transaction_not_found"},
		fault.ConsentNotFound:   {404, "consent_not_found"},
		fault.DeviceConflict:    {409, "enrollment_conflict"},
		fault.BadRequest:        {400, "invalid_body"},
		fault.TooManyMessages:   {429, "too_many_pn"},
		fault.TooManyFailures:   {429, "too_many_attempts"},
		fault.TooManyAttempts:   {429, "too_many_attempts"},
		fault.Unavailable:       {503, "temporarily_unavailable"},
		fault.Overloaded:        {503, "temporarily_unavailable"},
		fault.Internal:          {500, "server_error"},
		fault.UnknownGrant:      {500, "server_error"},
	} {
		got := httptest.NewRecorder()
		said := guardian.Refuse(got, &fault.Details{Kind: kind, RetryAfter: 1500 * time.Millisecond, Err: errors.New("a detail for the log")})
		refused(t, got, want.status, want.code)
		after := ""
		if want.status == 429 || want.status == 503 {
			after = "2"
		}
		if got.Header().Get("Retry-After") != after || strings.Contains(got.Body.String(), "detail") ||
			said != kind && said != fault.Internal || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v %s", kind, said, got.Header(), got.Body)
		}
	}
	got := httptest.NewRecorder()
	if said := guardian.Refuse(got, fault.Unavailable); said != fault.Unavailable || got.Header().Get("Retry-After") != "1" {
		t.Error(got.Header())
	}
}

// TestAuthorizationTwice: of two headers nobody knows which one counts.
func TestAuthorizationTwice(t *testing.T) {
	w := newWorld(t)
	ticket, _ := w.associate()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/enroll", strings.NewReader(string(encode(android().enrollment()))))
	r.Header["Authorization"] = []string{"Ticket id=" + ticket, "Ticket id=" + ticket}
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	refused(t, got, 401, "invalid_bearer_format")
}
