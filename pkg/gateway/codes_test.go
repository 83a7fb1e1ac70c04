package gateway_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/record"
)

const aNumber = "+4915550100042"

// reach are the members of an association that codes are sent for; to is a number or a
// mail address, or empty.
func reach(channel, to string) map[string]any {
	members := map[string]any{"authenticator_types": []string{"oob"}, "oob_channels": []string{channel}}
	switch {
	case to == "":
	case channel == "email":
		members["email"] = to
	default:
		members["phone_number"] = to
	}
	return members
}

// A coded is a challenge of a client, and the code that was sent for it.
type coded struct {
	client, token, challenge, code string
}

// redeem sends a code back.
func (c coded) redeem(t *testing.T, w *gatewaytest.World, code string) gatewaytest.Reply {
	t.Helper()
	return w.Token(t, with(c.client, "grant_type", gatewaytest.GrantOOB, "mfa_token", c.token, "oob_code", c.challenge, "binding_code", code)...)
}

// wrong is a code that is not the right one.
func (c coded) wrong() string {
	last := c.code[len(c.code)-1]
	return c.code[:len(c.code)-1] + string('0'+(last-'0'+1)%10)
}

// associate begins an enrollment with the token of a client.
func (c coded) associate(t *testing.T, w *gatewaytest.World, channel, to string) (coded, gatewaytest.Reply) {
	t.Helper()
	made := w.Associate(t, c.token, reach(channel, to)).Want(t, http.StatusOK, "")
	return coded{c.client, c.token, made.Text("oob_code"), w.Message(t, channel)}, made
}

// challenged has a code sent to an authenticator that somebody has.
func challenged(t *testing.T, w *gatewaytest.World, client, token, id string) coded {
	t.Helper()
	r := w.Form(t, "/mfa/challenge", with(client, "mfa_token", token, "challenge_type", "oob", "authenticator_id", id)...).Want(t, http.StatusOK, "")
	channel, _, _ := strings.Cut(id, "|")
	return coded{client, token, r.Text("oob_code"), w.Message(t, channel)}
}

// phoned enrolls a number of somebody who has no factor, and returns the id of its text
// message authenticator.
func phoned(t *testing.T, w *gatewaytest.World, user, number string) string {
	t.Helper()
	c, made := coded{client: "web", token: ask(t, w, "web", user)}.associate(t, w, "sms", number)
	c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
	return made.Text("id")
}

// finds is the row of a list that a channel has.
func finds(t *testing.T, list gatewaytest.Reply, channel string) map[string]any {
	t.Helper()
	list.Want(t, http.StatusOK, "")
	i := slices.IndexFunc(list.List, func(row map[string]any) bool { return row["oob_channel"] == channel })
	if i < 0 {
		t.Fatalf("no %s in %s", channel, list.Body)
	}
	return list.List[i]
}

// A3, A4: a number is enrolled for text messages and calls, finishes logins by both, and
// goes with both.
func TestA3A4TextMessagesAndCalls(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "web", "alice")
		c, made := coded{client: "web", token: token}.associate(t, w, "sms", "+49 1555 010-0042")
		if codes, _ := made.JSON["recovery_codes"].([]any); len(codes) != 1 ||
			!made.Has("authenticator_type", "binding_method", "oob_channel", "oob_code", "recovery_codes", "id", "interval", "expires_in") ||
			made.Text("binding_method") != "prompt" || made.Text("oob_channel") != "sms" {
			t.Errorf("associated: %s", made.Body)
		}
		if m := w.Webhook.Next(t); m.To != aNumber || m.ExpiresIn != 300 || m.Client != "web" || !strings.Contains(m.Text, m.Code) {
			t.Errorf("sent %+v", m)
		}
		for _, channel := range []string{"sms", "voice"} {
			if row := finds(t, w.Authenticators(t, token), channel); row["active"] != false {
				t.Errorf("before the code came back: %v", row)
			}
		}
		done := c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
		if says := claims(t, w, done.Text("access_token"), "at+jwt"); says["acr"] != record.MultiFactor || !reflect.DeepEqual(says["amr"], []any{"pwd", "sms", "mfa"}) {
			t.Errorf("enrolled with acr %v, amr %v", says["acr"], says["amr"])
		}
		refused(t, c.redeem(t, w, c.code), http.StatusForbidden, "invalid_grant", malformedToken)

		ids := map[string]string{}
		list := w.Authenticators(t, ask(t, w, "web", "alice"))
		for _, channel := range []string{"sms", "voice"} {
			row := finds(t, list, channel)
			ids[channel], _ = row["id"].(string)
			if row["active"] != true || row["name"] != "XXXXXXXXX0042" || row["type"] != "phone" || row["authenticator_type"] != "oob" || row["oob_channels"] != nil {
				t.Errorf("%s is listed as %v", channel, row)
			}
			next := challenged(t, w, "web", ask(t, w, "web", "alice"), ids[channel])
			if m := w.Webhook.Next(t); m.Channel != channel || m.To != aNumber {
				t.Errorf("sent %+v", m)
			}
			refused(t, next.redeem(t, w, next.wrong()), http.StatusForbidden, "invalid_grant", wrongBinding)
			next.redeem(t, w, next.code).Want(t, http.StatusOK, "")
		}
		// With no choice named a text message is sent.
		plain := w.Form(t, "/mfa/challenge", with("web", "mfa_token", ask(t, w, "web", "alice"), "challenge_type", "oob")...).Want(t, http.StatusOK, "")
		if m := w.Webhook.Next(t); m.Channel != "sms" || !plain.Has("challenge_type", "oob_code", "binding_method", "interval", "expires_in") {
			t.Errorf("%s by %s", plain.Body, m.Channel)
		}

		manages := ask(t, w, "spa", "alice", "audience", w.URL+"mfa/", "scope", "openid enroll read:authenticators remove:authenticators")
		in := challenged(t, w, "spa", manages, ids["sms"])
		access := in.redeem(t, w, in.code).Want(t, http.StatusOK, "").Text("access_token")
		remove(t, w, access, ids["voice"]).Want(t, http.StatusNoContent, "")
		again := w.Login(t, "alice", gatewaytest.Password, "audience", w.URL+"mfa/").Want(t, http.StatusOK, "")
		for _, row := range w.Authenticators(t, again.Text("access_token")).Want(t, http.StatusOK, "").List {
			if row["type"] == "phone" {
				t.Errorf("left behind: %v", row)
			}
		}
	})
}

// 4.1, 4.2 and the settled points: a verified address is there by itself, and is no
// enrollment; one that was associated and confirmed is. None raises acr.
func TestA3Email(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		first := w.Token(t, with("web", "grant_type", "password", "username", "alice", "password", gatewaytest.Password, "scope", "openid")...)
		refused(t, first, http.StatusForbidden, "mfa_required", "")
		if needs, _ := first.JSON["mfa_requirements"].(map[string]any); needs["challenge"] != nil || strings.Contains(first.Body, "email") {
			t.Errorf("a verified address counts: %s", first.Body)
		}
		token := first.Text("mfa_token")
		row := finds(t, w.Authenticators(t, token), "email")
		if row["active"] != true || row["name"] != "****@exam********" || row["type"] != "email" {
			t.Errorf("the automatic row: %v", row)
		}
		id, _ := row["id"].(string)
		refused(t, w.Form(t, "/mfa/challenge", with("web", "mfa_token", token)...), http.StatusUnauthorized, "association_required", notEnrolled)
		refused(t, w.Form(t, "/mfa/challenge", with("web", "mfa_token", token, "authenticator_id", id)...), http.StatusUnauthorized, "association_required", notEnrolled)

		// Who proved the password alone has codes sent to the account's own verified address.
		refused(t, w.Associate(t, token, reach("email", "mallory@example.test")), http.StatusForbidden, "access_denied", "")
		carol := ask(t, w, "web", "carol")
		for _, to := range []string{"", "carol@example.test", "alice@example.test"} {
			refused(t, w.Associate(t, carol, reach("email", to)), http.StatusForbidden, "access_denied", "")
		}
		if n := len(w.Mail.Mails()); n != 0 {
			t.Errorf("%d mails went out", n)
		}

		c, made := coded{client: "web", token: token}.associate(t, w, "email", "")
		if codes, _ := made.JSON["recovery_codes"].([]any); len(codes) != 1 || made.Text("binding_method") != "prompt" {
			t.Errorf("associated: %s", made.Body)
		}
		if m := w.Mail.Mails()[0]; !slices.Equal(m.To, []string{"alice@example.test"}) {
			t.Errorf("mailed to %q", m.To)
		}
		done := c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
		again := w.Login(t, "alice", gatewaytest.Password, "scope", "openid").Want(t, http.StatusForbidden, "mfa_required")
		if needs, _ := again.JSON["mfa_requirements"].(map[string]any); !strings.Contains(again.Body, `"email"`) || needs["enroll"] != nil {
			t.Errorf("a confirmed address does not count: %s", again.Body)
		}
		next := challenged(t, w, "spa", again.Text("mfa_token"), made.Text("id"))
		for _, tokens := range []gatewaytest.Reply{done, next.redeem(t, w, next.code).Want(t, http.StatusOK, "")} {
			for name, kind := range map[string]string{"access_token": "at+jwt", "id_token": "JWT"} {
				if says := claims(t, w, tokens.Text(name), kind); says["acr"] == record.MultiFactor || slices.Contains(says["amr"].([]any), any("mfa")) {
					t.Errorf("%s with acr %v, amr %v", name, says["acr"], says["amr"])
				}
			}
		}
	})
}

// 4.1, 4.3: who proved a factor enrolls another address of theirs; the automatic row is
// nobody's to delete; a number that was not confirmed finishes no login.
func TestA3OtherAddresses(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		access := manage(t, w, "alice", alice, "enroll read:authenticators remove:authenticators")
		automatic, _ := finds(t, w.Authenticators(t, access), "email")["id"].(string)
		refused(t, remove(t, w, access, automatic), http.StatusForbidden, "access_denied", "")
		// It does finish a login of who has a factor, and says no more than it is.
		own := challenged(t, w, "spa", ask(t, w, "spa", "alice"), automatic)
		tokens := own.redeem(t, w, own.code).Want(t, http.StatusOK, "")
		if says := claims(t, w, tokens.Text("access_token"), "at+jwt"); says["acr"] == record.MultiFactor {
			t.Errorf("acr %v", says["acr"])
		}

		c, made := coded{client: "spa", token: access}.associate(t, w, "email", "alice@else.example.test")
		pending, _ := coded{client: "spa", token: access}.associate(t, w, "sms", aNumber)
		if made.JSON["recovery_codes"] != nil {
			t.Errorf("recovery codes once more: %s", made.Body)
		}
		list := w.Authenticators(t, access).Want(t, http.StatusOK, "")
		sms, _ := finds(t, list, "sms")["id"].(string)
		for _, id := range []string{made.Text("id"), sms} {
			token := ask(t, w, "spa", "alice")
			refused(t, w.Challenge(t, token, "authenticator_id", id), http.StatusNotFound, "invalid_authenticator", "")
			for _, of := range []coded{c, pending} {
				tokenless(t, "a pending address in a login", coded{"spa", token, of.challenge, of.code}.redeem(t, w, of.code))
			}
		}
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
		next := challenged(t, w, "spa", ask(t, w, "spa", "alice"), made.Text("id"))
		next.redeem(t, w, next.code).Want(t, http.StatusOK, "")
		mails := w.Mail.Mails()
		if !slices.ContainsFunc(mails, func(m mailtest.Mail) bool { return slices.Equal(m.To, []string{"alice@else.example.test"}) }) {
			t.Error("nothing came to the other address")
		}
		refused(t, w.Challenge(t, ask(t, w, "spa", "alice"), "authenticator_id", sms), http.StatusNotFound, "invalid_authenticator", "")
	})
}
