package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

const fcmScope = "https://www.googleapis.com/auth/firebase.messaging"

// fcmVerdicts are the error codes of FCM's API, version 1, and those of Google's APIs
// where it has none of its own. A token that belongs to another project is no proof that
// the device is gone: the gateway may have got the wrong file.
var fcmVerdicts = map[string]verdict{
	"UNREGISTERED":           gone,
	"INVALID_ARGUMENT":       final, // the message or the token; it does not say which
	"SENDER_ID_MISMATCH":     misconfigured,
	"THIRD_PARTY_AUTH_ERROR": misconfigured,
	"PERMISSION_DENIED":      misconfigured,
	"UNAUTHENTICATED":        misconfigured,
	"QUOTA_EXCEEDED":         later,
	"UNAVAILABLE":            later,
	"INTERNAL":               later,
}

// fcm sends over Firebase Cloud Messaging.
type fcm struct {
	url     string
	account jwt.Config
	client  *http.Client
	now     func() time.Time

	// turn holds one value, which lets its holder look at the token and fetch another. A
	// mutex would let a hundred messages wait for one another when nobody hands any out.
	turn  chan struct{}
	token *oauth2.Token
}

func newFCM(c FCMConfig, now func() time.Time) (*fcm, error) {
	account, err := c.account()
	if err != nil {
		return nil, err
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &fcm{
		url: strings.TrimRight(c.Endpoint, "/") + "/v1/projects/" + url.PathEscape(account.Project) + "/messages:send",
		account: jwt.Config{
			Email: account.Email, PrivateKey: []byte(account.Key), PrivateKeyID: account.KeyID,
			Scopes: []string{fcmScope}, TokenURL: account.TokenURI,
		},
		client: newClient(protocols), now: now, turn: make(chan struct{}, 1),
	}, nil
}

// Send implements [Sender].
func (f *fcm) Send(ctx context.Context, e oob.Endpoint, m Message) error {
	body, err := m.forFCM(e.Token, f.now())
	if err != nil {
		return err
	}
	token, err := f.bearer(ctx)
	if err != nil {
		return err
	}
	r, err := request(ctx, f.url, body)
	if err != nil {
		return err
	}
	token.SetAuthHeader(r)
	a, err := call(f.client, "FCM", r, f.now())
	if err != nil || a.status == http.StatusOK {
		return err
	}
	if a.status == http.StatusUnauthorized {
		f.forget(ctx, token)
	}
	return a.err("FCM", fcmCode(a.body), fcmVerdicts)
}

// fcmCode is the code of an error: FCM's own, else that of Google's APIs.
func fcmCode(body []byte) string {
	var said struct {
		Error struct {
			Status  string
			Details []struct {
				Type string `json:"@type"`
				Code string `json:"errorCode"`
			}
		}
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	for _, d := range said.Error.Details {
		if strings.HasSuffix(d.Type, "google.firebase.fcm.v1.FcmError") && d.Code != "" {
			return d.Code
		}
	}
	return said.Error.Status
}

// bearer is the access token in use, or the next one when that is about to end.
func (f *fcm) bearer(ctx context.Context) (*oauth2.Token, error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable("FCM: no access token in time", 0)
	}
	defer func() { <-f.turn }()
	if !f.token.Valid() {
		token, err := f.fetch(ctx)
		if err != nil {
			return nil, err
		}
		f.token = token
	}
	return f.token, nil
}

// forget drops an access token that FCM does not take. Whoever holds the turn for so long
// that there is no time left fetches another one anyway.
func (f *fcm) forget(ctx context.Context, token *oauth2.Token) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-f.turn }()
	if f.token == token {
		f.token = nil
	}
}

// fetch asks the token URI for an access token (RFC 7523). The library looks at no
// deadline of a context, so the client gets it.
func (f *fcm) fetch(ctx context.Context) (*oauth2.Token, error) {
	deadline, _ := ctx.Deadline()
	client := *f.client
	client.Timeout = max(time.Until(deadline), time.Millisecond)
	token, err := f.account.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, &client)).Token()
	var no *oauth2.RetrieveError
	switch {
	case errors.As(err, &no):
		var said struct{ Error string }
		_ = json.Unmarshal(no.Body, &said) // without a word the status decides
		a := answer{status: no.Response.StatusCode, retryAfter: retryAfter(no.Response.Header.Get("Retry-After"), f.now())}
		if a.status == http.StatusBadRequest {
			return nil, refused(fmt.Sprintf("the token URI answered 400 %s", printable(said.Error)), ErrMisconfigured)
		}
		return nil, a.err("the token URI", said.Error, nil)
	case err != nil:
		return nil, unavailable("FCM: "+err.Error(), 0)
	case token.AccessToken == "":
		return nil, unavailable("the token URI gave no access token", 0)
	}
	return token, nil
}
