package grants

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 900_000_000, time.UTC)

// kinds reads every constant of type Kind out of the source of package fault.
func kinds(t *testing.T) map[string]fault.Kind {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../pkg/fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]fault.Kind{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Kind" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[spec.Names[0].Name] = fault.Kind(value)
		}
		return true
	})
	if len(found) < 30 {
		t.Fatalf("only %d kinds were found in the source", len(found))
	}
	return found
}

func TestEveryKindHasARow(t *testing.T) {
	all := kinds(t)
	for name, kind := range all {
		r, ok := catalogue[kind]
		if !ok {
			t.Errorf("fault.%s has no row in the catalogue", name)
			continue
		}
		if kind == fault.StepUpBegun { // all of its answer is in the failure itself
			if r != (row{status: http.StatusOK}) {
				t.Errorf("fault.%s: %+v", name, r)
			}
			continue
		}
		if r.status < 400 || r.code == "" || r.description == "" || printable(r.description) != r.description {
			t.Errorf("fault.%s: the row is incomplete: %+v", name, r)
		}
	}
	if len(catalogue) != len(all) {
		t.Errorf("the catalogue has %d rows for %d kinds", len(catalogue), len(all))
	}
}

const (
	unenrolled = "User is not enrolled. You can use /mfa/associate endpoint to enroll the first authenticator."
	noToken    = "The mfa_token provided is invalid. Try getting a new token."
)

// The literals are those of the Auth0 MFA API, 3.6, 4.1, 4.4 and 4.5. Client libraries
// compare them byte for byte.
func TestLiteralsOfTheContract(t *testing.T) {
	for _, c := range []struct {
		err               error
		status            int
		code, description string
	}{
		{fault.WrongPassword, 403, "invalid_grant", "Wrong email or password."},
		{fault.UserBlocked, 403, "unauthorized", "user is blocked"},
		{fault.Param(fault.GrantNotAllowed, "mfa-otp"), 403, "unauthorized_client", "Grant type 'mfa-otp' not allowed for the client."},
		{fault.BadClient, 401, "invalid_client", "Client authentication failed."},
		{fault.Param(fault.MissingParameter, "otp"), 400, "invalid_request", "Missing required parameter: otp"},
		{fault.MFARequired, 403, "mfa_required", "Multifactor authentication required"},
		{fault.MalformedMFAToken, 403, "invalid_grant", "Malformed mfa_token"},
		{fault.MFATokenExpired, 401, "expired_token", "mfa_token is expired"},
		{fault.ForeignMFAToken, 400, "invalid_request", "mfa_token not issued to this client"},
		{fault.WrongOTP, 403, "invalid_grant", "Invalid otp_code."},
		{fault.UsedOTP, 403, "invalid_grant", "Invalid otp_code."},
		{fault.WrongRecoveryCode, 403, "invalid_grant", "MFA Authorization rejected."},
		{fault.UsedRecoveryCode, 403, "invalid_grant", "MFA Authorization rejected."},
		{fault.NoRecoveryCode, 403, "unsupported_challenge_type", "User does not have a recovery-code."},
		{fault.NotEnrolled, 401, "unsupported_challenge_type", unenrolled},
		{fault.AssociationRequired, 401, "association_required", unenrolled},
		{fault.AlreadyEnrolled, 403, "access_denied", "User is already enrolled."},
		{fault.UnverifiedAddress, 403, "access_denied", "The first authenticator is for users with a verified email address."},
		{fault.Param(fault.UnsupportedType, "otp"), 401, "unsupported_challenge_type", "The user does not support the requested challenge type. Supported: otp."},
		{fault.NoAuthenticator, 404, "invalid_authenticator", "Authenticator not found"},
		{fault.NoBearer, 401, "invalid_grant", noToken},
		{fault.BadBearer, 401, "invalid_grant", noToken},
		{fault.Param(fault.InsufficientScope, "enroll"), 403, "insufficient_scope", "Insufficient scope, expected: enroll"},
		{fault.UnknownFactor, 400, "unsupported_challenge_type", ""},
		{fault.TooManyAttempts, 429, "too_many_attempts", ""},
		{fault.UnknownGrant, 400, "unsupported_grant_type", ""},
		{fault.FactorOff, 403, "unauthorized_client", ""},
		{fault.ScopeNotAllowed, 400, "invalid_scope", ""},
		{fault.BadRequest, 400, "invalid_request", "The request is malformed."},
		{fault.BodyTooLarge, 413, "invalid_request", ""},
		{fault.BodyTooSlow, 408, "invalid_request", ""},
		{fault.BadMethod, 405, "invalid_request", ""},
		{fault.NotFound, 404, "not_found", ""},
		{fault.BadAccessToken, 401, "invalid_token", ""},
		{fault.Unavailable, 503, "temporarily_unavailable", ""},
		{fault.Overloaded, 503, "temporarily_unavailable", ""},
		{fault.Internal, 500, "server_error", ""},
		{errors.New("hush"), 500, "server_error", ""},
		{fault.Kind("hush"), 500, "server_error", ""},
	} {
		t.Run(fault.Of(c.err).Error(), func(t *testing.T) {
			w := httptest.NewRecorder()
			a := WriteError(w, fmt.Errorf("hush: %w", c.err), noon, Errors{})
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || a.Status != c.status || got["error"] != c.code {
				t.Errorf("%d %v, want %d %s", w.Code, got["error"], c.status, c.code)
			}
			text, ok := got["error_description"].(string)
			if !ok || text == "" || c.description != "" && text != c.description {
				t.Errorf("description %q, want %q", text, c.description)
			}
			if strings.Contains(w.Body.String(), "hush") || len(got) != 2 {
				t.Errorf("more than was meant: %s", w.Body)
			}
			// 1.2.2 and 1.2.4: what would hide or override the two members.
			for _, name := range []string{"code", "description", "message", "errorCode", "statusCode"} {
				if _, ok := got[name]; ok {
					t.Errorf("the answer has a member %q", name)
				}
			}
			if h := w.Header(); h.Get("WWW-Authenticate") != "" || h.Get("Content-Type") != "application/json" ||
				h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" {
				t.Errorf("headers: %v", h)
			}
			later := c.status == http.StatusServiceUnavailable || c.status == http.StatusTooManyRequests
			if (w.Header().Get("Retry-After") != "") != later {
				t.Errorf("Retry-After is %q with %d", w.Header().Get("Retry-After"), c.status)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		kind        fault.Kind
		after       time.Duration
		retry       string
		reset, left string
	}{
		{fault.TooManyAttempts, 90 * time.Second, "90", "1772625690", "0"},
		{fault.TooManyAttempts, 1500 * time.Millisecond, "2", "1772625602", "0"},
		{fault.TooManyAttempts, time.Millisecond, "1", "1772625601", "0"},
		{fault.TooManyAttempts, 0, "2", "1772625602", "0"},
		{fault.Overloaded, 5 * time.Second, "5", "", ""},
		{fault.Unavailable, 0, "2", "", ""},
		{fault.WrongOTP, 0, "", "", ""},
		{fault.Internal, 0, "", "", ""},
	} {
		w := httptest.NewRecorder()
		WriteError(w, &fault.Details{Kind: c.kind, RetryAfter: c.after}, noon, Errors{})
		h := w.Header()
		if h.Get("Retry-After") != c.retry || h.Get("X-RateLimit-Reset") != c.reset || h.Get("X-RateLimit-Remaining") != c.left {
			t.Errorf("%s after %s: %v", c.kind, c.after, h)
		}
		if limit := h.Get("X-RateLimit-Limit"); (limit != "") != (c.reset != "") || limit != "" && limit != "1" {
			t.Errorf("%s: X-RateLimit-Limit is %q", c.kind, limit)
		}
	}
}

// Members of mfa_required travel in the answer; nothing can stand in for its two own.
func TestFurtherMembers(t *testing.T) {
	extra := map[string]any{"mfa_token": "t", "error": "forged", "error_description": "forged"}
	a := AnswerTo(fmt.Errorf("x: %w", &fault.Details{Kind: fault.MFARequired, Extra: extra, Err: errors.New("hush")}))
	if a.Members["mfa_token"] != "t" || a.Members["error"] != "mfa_required" || a.Members["error_description"] != "Multifactor authentication required" || len(a.Members) != 3 {
		t.Errorf("got %v", a.Members)
	}
	if extra["error"] != "forged" {
		t.Error("the failure itself was changed")
	}
}

// RFC 6749, 5.2 allows %x20-21, %x23-5B and %x5D-7E in a description.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"otp":                          "otp",
		"a\"b\\c":                      "a?b?c",
		"a\r\nb\x00\x7f":               "a??b??",
		"<script>":                     "<script>",
		"ü\u2028\U0001F600":            "???",
		"\xff\xfe":                     "??",
		strings.Repeat("x", 121):       strings.Repeat("x", 120),
		strings.Repeat("x", 119):       strings.Repeat("x", 119),
		strings.Repeat("x", 119) + "ü": strings.Repeat("x", 119) + "?",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		d, _ := AnswerTo(fault.Param(fault.GrantNotAllowed, in)).Members["error_description"].(string)
		if d != "Grant type '"+want+"' not allowed for the client." {
			t.Errorf("%q: %q", in, d)
		}
	}
}

func TestFailuresOfFosite(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{fosite.ErrInvalidRequest.WithHint("hush"), fault.BadRequest},
		{fmt.Errorf("x: %w", fosite.ErrInvalidClient.WithDebug("hush")), fault.BadClient},
		{fosite.ErrUnsupportedGrantType, fault.UnknownGrant},
		{fosite.ErrServerError, fault.Internal},
		{fosite.ErrInvalidGrant, fault.Internal},
		{fosite.ErrUnknownRequest, fault.Internal},
		{fmt.Errorf("%w: %w", fault.WrongOTP, fosite.ErrInvalidRequest), fault.WrongOTP},
	} {
		a := AnswerTo(fmt.Errorf("token request: %w", c.err))
		if a.Kind != c.want {
			t.Errorf("%v became %v, want %v", c.err, a.Kind, c.want)
		}
		if d, _ := a.Members["error_description"].(string); strings.Contains(d, "hush") {
			t.Errorf("the library speaks: %q", d)
		}
	}
}

// C-02: RFC 6749, 5.2 has 400 for its own codes, and 401 for a client that failed to
// prove itself. All else is as Auth0 has it.
func TestStatuses(t *testing.T) {
	for kind, want := range map[fault.Kind][2]int{
		fault.WrongPassword:     {403, 400},
		fault.WrongOTP:          {403, 400},
		fault.MalformedMFAToken: {403, 400},
		fault.BadRefreshToken:   {403, 400},
		fault.GrantNotAllowed:   {403, 400},
		fault.FactorOff:         {403, 400},
		fault.BadClient:         {401, 401},
		fault.BadBearer:         {401, 401}, // a bearer token's refusal (RFC 6750, 3.1)
		fault.MFARequired:       {403, 403},
		fault.UserBlocked:       {403, 403},
		fault.MFATokenExpired:   {401, 401},
		fault.BadRequest:        {400, 400},
		fault.Unavailable:       {503, 503},
	} {
		for i, s := range []Statuses{StatusesAuth0, StatusesRFC6749} {
			w := httptest.NewRecorder()
			if a := WriteError(w, kind, noon, Errors{Statuses: s}); a.Status != want[i] || w.Code != want[i] {
				t.Errorf("%s, %s: %d, want %d", kind, s, w.Code, want[i])
			}
		}
	}
}

// Q2: the error of a 429 after wrong codes is a choice; nothing else of it is, and no
// other 429.
func TestThrottled(t *testing.T) {
	for throttled, want := range map[string]string{"": "too_many_attempts", "too_many_attempts": "too_many_attempts", "invalid_request": "invalid_request"} {
		for kind, code := range map[fault.Kind]string{fault.TooManyFailures: want, fault.TooManyAttempts: "too_many_attempts", fault.WrongOTP: "invalid_grant"} {
			w, plain := httptest.NewRecorder(), httptest.NewRecorder()
			cause := &fault.Details{Kind: kind, RetryAfter: 30 * time.Second}
			a, own := WriteError(w, cause, noon, Errors{Throttled: throttled}), WriteError(plain, cause, noon, Errors{})
			if a.Members["error"] != code || a.Members["error_description"] != own.Members["error_description"] ||
				w.Code != plain.Code || !reflect.DeepEqual(w.Header(), plain.Header()) {
				t.Errorf("%s with %q: %d %v %v, want %s", kind, throttled, w.Code, a.Members, w.Header(), code)
			}
		}
	}
}
