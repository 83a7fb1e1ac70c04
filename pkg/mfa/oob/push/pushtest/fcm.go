package pushtest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// FCM stands in for Firebase Cloud Messaging and for the token URI of its credentials.
type FCM struct {
	inbox
	URL             string // for delivery.push.fcm.endpoint
	CredentialsFile string // for delivery.push.fcm.credentials_file

	// Tokens are the failures of the token URI. What it got is not kept there: an
	// assertion is right or refused.
	Tokens inbox

	key *rsa.PrivateKey

	mu     sync.Mutex
	life   time.Duration
	issued []string // the last one is good
}

const (
	project  = "sallyport-test"
	account  = "gateway@sallyport-test.example"
	fcmKeyID = "0123456789abcdef"
	fcmScope = "https://www.googleapis.com/auth/firebase.messaging"
)

// NewFCM starts one that stops with the test.
func NewFCM(t testing.TB) *FCM {
	t.Helper()
	const bits = 2048
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	f := &FCM{inbox: newInbox(), Tokens: newInbox(), key: key, life: time.Hour}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /token", f.grant)
	routes.HandleFunc("POST /v1/projects/{project}/messages:send", f.send)
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	f.URL = server.URL
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": project, "client_email": account,
		"private_key_id": fcmKeyID, "private_key": pkcs8(t, key), "token_uri": f.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	f.CredentialsFile = write(t, "fcm.json", string(text))
	return f
}

// Life is how long the access tokens to come are good.
func (f *FCM) Life(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.life = d
}

// Issued is how many access tokens there were.
func (f *FCM) Issued() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.issued)
}

// Revoke makes the access token that is in use a wrong one.
func (f *FCM) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued = append(f.issued, rand.Text())
}

// grant is the token URI (RFC 7523).
func (f *FCM) grant(w http.ResponseWriter, r *http.Request) {
	if failure, ok := f.Tokens.failure(); ok {
		f.Tokens.pushes <- Push{Status: failure.Status}
		failure.fail(w, r, map[string]string{"error": failure.Word})
		return
	}
	if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || !f.asserted(r.FormValue("assertion")) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued = append(f.issued, rand.Text())
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": f.issued[len(f.issued)-1], "token_type": "Bearer", "expires_in": int(f.life.Seconds()),
	})
}

// asserted reports whether an assertion is the account's own and fresh.
func (f *FCM) asserted(assertion string) bool {
	var header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Scope    string `json:"scope"`
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		IssuedAt int64  `json:"iat"`
	}
	signed, signature, ok := jwt(assertion, &header, &claims)
	if !ok || header.Algorithm != "RS256" || header.KeyID != fcmKeyID {
		return false
	}
	sum := sha256.Sum256([]byte(signed))
	now := time.Now().Unix()
	const hour = 3600
	return rsa.VerifyPKCS1v15(&f.key.PublicKey, crypto.SHA256, sum[:], signature) == nil &&
		claims.Issuer == account && claims.Scope == fcmScope && claims.Audience == f.URL+"/token" &&
		claims.IssuedAt <= now && claims.Expires > now && claims.Expires-claims.IssuedAt <= hour
}

// fcmMessage is what a message may be made of, as far as the gateway has use for it.
type fcmMessage struct {
	Message struct {
		Token   string
		Android struct {
			Priority string
			TTL      string
		}
		Pairs map[string]string `json:"data"`
	}
}

var duration = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,9})?s$`)

// send is messages:send.
func (f *FCM) send(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var m fcmMessage
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	malformed := strict.Decode(&m) != nil
	failure, ok := f.failure()
	if !ok {
		failure = f.judge(r, m, malformed)
	}
	f.pushes <- Push{Token: m.Message.Token, Header: r.Header, Body: body, Status: failure.Status}
	if failure.Status != http.StatusOK {
		failure.fail(w, r, fcmError(failure))
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"name": "projects/" + project + "/messages/0:" + rand.Text()})
}

// judge is what FCM would say to a message.
func (f *FCM) judge(r *http.Request, m fcmMessage, malformed bool) Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(f.issued) == 0 || r.Header.Get("Authorization") != "Bearer "+f.issued[len(f.issued)-1]:
		return Failure{Status: http.StatusUnauthorized, Word: "UNAUTHENTICATED"}
	case r.PathValue("project") != project:
		return Failure{Status: http.StatusForbidden, Word: "PERMISSION_DENIED"}
	case malformed || m.Message.Token == "" || !duration.MatchString(m.Message.Android.TTL) || m.Message.Android.Priority != "HIGH" || !acceptable(m.Message.Pairs):
		return Failure{Status: http.StatusBadRequest, Word: "INVALID_ARGUMENT"}
	}
	return Failure{Status: http.StatusOK}
}

// acceptable reports whether FCM takes data: not too much, and none of its own keys.
func acceptable(data map[string]string) bool {
	const most = 4096
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
		if key == "from" || key == "message_type" || strings.HasPrefix(key, "google") || strings.HasPrefix(key, "gcm") {
			return false
		}
	}
	return size <= most
}

// fcmError is an error of Google's APIs; FCM's own codes stand in its details.
func fcmError(f Failure) any {
	type object = map[string]any
	status, details := f.Word, []object{}
	switch f.Word {
	case "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND":
	default:
		status = map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
			429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}[f.Status]
		details = []object{
			{"@type": "type.googleapis.com/google.rpc.Help"},
			{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": f.Word},
		}
	}
	return object{"error": object{"code": f.Status, "message": "The service says no.", "status": status, "details": details}}
}
