package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
)

// What Twilio says of a text message is said of the login that it was sent for, and changes
// nothing of that: the code is good before and after, once, and needed.
func TestReceiptOfALogin(t *testing.T) {
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			tw := phonetest.NewTwilio(t)
			w := gatewaytest.New(t, s, fmt.Sprintf("delivery: {sms: {driver: twilio, account_sid: %s, auth_token: %s, from: %q, endpoint: %q}}", tw.Account, tw.Token, tw.From, tw.URL))
			web := gatewaytest.As("web")
			first := w.Token(t, append(web, "grant_type", "password", "username", "alice", "password", gatewaytest.Password)...).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
			made := w.Associate(t, first, map[string]any{"authenticator_types": []string{"oob"}, "oob_channels": []string{"sms"}, "phone_number": "+4915112345678"}).Want(t, http.StatusOK, "")
			got := tw.Next(t)
			m := newMailroom(t, w)
			say := func(status string) {
				t.Helper()
				form := url.Values{"MessageStatus": {status}, "ErrorCode": {"30003"}, "To": {got.To}}
				for range 2 {
					m.post(t, phonetest.TwilioReceipt(tw.Token, got.Callback, form)).Want(t, http.StatusNoContent, "")
				}
			}
			finish := func(code string) gatewaytest.Reply {
				return w.Token(t, append(web, "grant_type", gatewaytest.GrantOOB, "mfa_token", first, "oob_code", made.Text("oob_code"), "binding_code", code)...)
			}
			say("delivered")
			tokenless(t, "without the code", finish(""))
			say("undelivered")
			finish(got.Code).Want(t, http.StatusOK, "")
			say("failed")
			finish(got.Code).Want(t, http.StatusForbidden, "invalid_grant")

			events, err := w.Administer(t).AuditEvents(t.Context(), 50)
			if err != nil {
				t.Fatal(err)
			}
			transactions := map[audit.Type][]string{}
			for _, e := range events {
				transactions[e.Type] = append(transactions[e.Type], e.Transaction)
			}
			if u, a := transactions[audit.Undelivered], transactions[audit.Asked]; len(u) != 1 || len(a) != 1 || u[0] != a[0] || u[0] == "" {
				t.Errorf("%v", transactions)
			}
			for outcome, want := range map[oob.Outcome]float64{oob.Accepted: 1, oob.Delivered: 1, oob.Undelivered: 1, oob.Refused: 0} {
				if n := m.counted(t, outcome); n != want {
					t.Errorf("%s: %v", outcome, n)
				}
			}
			if log := w.Log.String(); strings.Contains(log, "15112345678") || strings.Contains(log, got.ID) || strings.Contains(log, "id=v1") {
				t.Error("the log has the number, or the name of the message")
			}
		})
	}
}
