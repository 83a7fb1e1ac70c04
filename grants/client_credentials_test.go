package grants

import (
	"context"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// till issues to clients, in memory.
type till struct {
	issued []record.OwnAccess
	down   error
}

func (c *till) IssueToClient(_ context.Context, a record.OwnAccess) (record.Tokens, error) {
	if c.down == nil {
		c.issued = append(c.issued, a)
	}
	return record.Tokens{Access: secret.New("at"), Type: "Bearer", Lifetime: time.Hour, Scopes: a.Scopes}, c.down
}

// machines is a tenant with clients that act for themselves.
func machines() *registry {
	r := tenant()
	for id, c := range map[string]record.Client{
		"service": {Confidential: true, Grants: []string{"client_credentials"}, MFA: record.MFAOff},
		"some":    {Confidential: true, Grants: []string{"client_credentials"}, Audiences: map[string][]string{things: {"read:things"}}},
		"none":    {Confidential: true, Grants: []string{"client_credentials"}, Audiences: map[string][]string{}},
		"public":  {Grants: []string{"client_credentials"}},
		"users":   {Confidential: true, Grants: []string{"password", "mfa"}},
		"off":     {Confidential: true, Grants: []string{"client_credentials"}, Disabled: true},
	} {
		c.ID = id
		r.clients[id] = c
	}
	return r
}

func TestClientCredentials(t *testing.T) {
	const greedy = "https://greedy.test/" // has scopes that OpenID Connect has too
	for _, c := range []struct {
		name, client, audience, scope string
		want                          string // scopes
		refused                       fault.Kind
	}{
		{"all scopes, mfa_scopes too", "service", things, "", "read:things write:things", ""},
		{"some", "service", things, "write:things", "write:things", ""},
		{"twice", "service", things, "read:things read:things", "read:things", ""},
		{"unknown ones are dropped", "service", things, "openid offline_access profile read:things x", "read:things", ""},
		{"nothing but unknown ones is not none", "service", things, "openid", "", ""},
		{"an API without scopes", "service", "https://scopeless.test/", "", "", ""},
		{"an API's own email", "service", greedy, "email openid", "email", ""},
		{"all that it may have", "some", things, "", "read:things", ""},
		{"one that it may not have", "some", things, "read:things write:things", "", fault.ScopeNotAllowed},
		{"an API that it may not have", "some", greedy, "", "", fault.UnknownAudience},
		{"no API at all", "none", things, "", "", fault.UnknownAudience},
		{"unknown audience", "service", "https://nowhere.test/", "", "", fault.UnknownAudience},
		{"no audience", "service", "", "", "", fault.MissingParameter},
		{"userinfo", "service", userinfo, "openid", "", fault.UnknownAudience},
		{"management", "service", manage, "enroll", "", fault.UnknownAudience},
		{"management without its slash", "service", strings.TrimSuffix(manage, "/"), "enroll", "", fault.UnknownAudience},
		{"management, of few APIs", "some", manage, "", "", fault.UnknownAudience},
		{"a public client", "public", things, "", "", fault.GrantNotAllowed},
		{"not registered for it", "users", things, "", "", fault.GrantNotAllowed},
		{"disabled", "off", things, "", "", fault.BadClient},
	} {
		t.Run(c.name, func(t *testing.T) {
			box := &till{}
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.scope}, "audience": {c.audience}}
			if c.audience == "" {
				form.Del("audience")
			}
			answer, session, err := run(t, NewClientCredentials(Options{Registry: machines(), URL: issuer}, box), c.client, form)
			if c.refused != "" {
				if fault.Of(err) != c.refused || err == nil || len(box.issued) != 0 {
					t.Errorf("got %v, %v, want %s", answer, err, c.refused)
				}
				return
			}
			want := map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": int64(3600), "scope": c.want}
			if err != nil || !reflect.DeepEqual(answer, want) || session.GetSubject() != "" || session.clearance.Valid() {
				t.Fatalf("answer %v, %v, want %v", answer, err, want)
			}
			own := record.OwnAccess{Client: c.client, Grant: "client_credentials", Audience: c.audience,
				Scopes: strings.Fields(c.want), Address: "192.0.2.1"}
			if got := box.issued[0]; len(got.Scopes) != len(own.Scopes) || len(own.Scopes) > 0 && !reflect.DeepEqual(got, own) {
				t.Errorf("issued %+v, want %+v", got, own)
			}
		})
	}
}

func TestClientCredentialsFailing(t *testing.T) {
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {things}}
	if _, _, err := run(t, NewClientCredentials(Options{Registry: machines(), URL: issuer}, &till{down: errDown}), "service", form); err == nil {
		t.Error("a failure of issuing is lost")
	}
	down := machines()
	down.down = errDown
	if _, _, err := run(t, NewClientCredentials(Options{Registry: down, URL: issuer}, &till{}), "service", form); fault.Of(err) != fault.Unavailable {
		t.Errorf("no registry: %v", err)
	}
	h := NewClientCredentials(Options{Registry: machines(), URL: issuer}, &till{})
	if got := h.GrantTypes(); !reflect.DeepEqual(got, []string{"client_credentials"}) {
		t.Errorf("grant types %v", got)
	}
	for _, grants := range [][]string{{"password"}, {"client_credentials", "password"}, {"client_credentials", "client_credentials"}, {"Client_credentials"}, nil} {
		ar := asking("service", grants...)
		if h.CanHandleTokenEndpointRequest(t.Context(), ar) {
			t.Errorf("handles %q", grants)
		}
		if err := h.HandleTokenEndpointRequest(t.Context(), ar); err == nil {
			t.Errorf("took %q", grants)
		}
		if err := h.PopulateTokenEndpointResponse(t.Context(), ar, fosite.NewAccessResponse()); err == nil {
			t.Errorf("answered %q", grants)
		}
	}
	if h.CanSkipClientAuth(t.Context(), asking("service", "client_credentials")) {
		t.Error("needs no client")
	}
}
