// Command fosite-server is a server on fosite, with clients, users and tokens of its own.
// mfa.go is what a second factor adds to it; docs/howto/use-from-another-fosite-server.md
// goes through it.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// server is the server as it was, and the second factor.
type server struct {
	config   *fosite.Config
	store    *storage.MemoryStore // clients, users and tokens; a real server has a database
	strategy *oauth2.HMACSHAStrategy
	provider *fosite.Fosite
	now      func() time.Time
	secondFactor
}

const gallerySecret = "XQZ6LP3RT7MWY2KJ5HVB4NDC8S"

// newServer makes the server without a second factor: one application with users, and an
// API that acts for itself and asks whether a token is good.
func newServer(now func() time.Time) (*server, error) {
	s := &server{store: storage.NewMemoryStore(), now: now, config: &fosite.Config{
		AccessTokenLifespan: 15 * time.Minute, GlobalSecret: []byte(rand.Text() + rand.Text()),
		HashCost:      4, // of client secrets, which are long and random: a slow hash adds nothing
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
	}}
	hasher := &fosite.BCrypt{Config: s.config}
	hash, err := hasher.Hash(context.Background(), []byte(gallerySecret))
	if err != nil {
		return nil, err
	}
	s.config.ClientSecretsHasher = hasher
	s.store.Clients["app"] = &fosite.DefaultClient{ID: "app", Public: true}
	s.store.Clients["gallery"] = &fosite.DefaultClient{ID: "gallery", Secret: hash, GrantTypes: fosite.Arguments{"client_credentials"}}
	s.store.Users["alice"] = storage.MemoryUserRelation{Username: "alice", Password: "correct horse battery staple"}
	s.strategy = compose.NewOAuth2HMACStrategy(s.config)
	s.provider = compose.Compose(s.config, s.store, s.strategy,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenIntrospectionFactory).(*fosite.Fosite)
	return s, nil
}

// token serves POST /oauth/token.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var session fosite.Session = &grants.Session{Address: address(r)}
	if r.PostFormValue("grant_type") == "client_credentials" { // the server's own grants have its own session
		session = &fosite.DefaultSession{}
	}
	request, err := s.provider.NewAccessRequest(ctx, r, session)
	if err == nil {
		var answer fosite.AccessResponder
		if answer, err = s.provider.NewAccessResponse(ctx, request); err == nil {
			s.provider.WriteAccessResponse(ctx, w, request, answer)
			return
		}
	}
	if fault.Of(err) != fault.Internal { // a failure that fosite does not know
		grants.WriteError(w, err, s.now(), grants.Errors{})
		return
	}
	s.provider.WriteAccessError(ctx, w, request, err)
}

// introspect serves POST /oauth/introspect.
func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	answer, err := s.provider.NewIntrospectionRequest(r.Context(), r, &fosite.DefaultSession{})
	if err != nil {
		s.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	s.provider.WriteIntrospectionResponse(r.Context(), w, answer)
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", s.token)
	mux.HandleFunc("POST /oauth/introspect", s.introspect)
	mux.HandleFunc("POST /mfa/associate", s.answer(s.associate))
	mux.HandleFunc("POST /mfa/challenge", s.answer(s.challenge))
	return http.MaxBytesHandler(mux, 16<<10)
}

// address is the end user's; behind a proxy it is in a header.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve")
	flag.Parse()
	log.Fatal(run(context.Background(), *listen))
}

// run serves from a database in a folder of its own, with a key ring that it forgets.
func run(ctx context.Context, listen string) error {
	folder, err := os.MkdirTemp("", "fosite-server-")
	if err != nil {
		return err
	}
	ring, err := secret.NewRing(time.Now())
	if err != nil {
		return err
	}
	db, err := sqlstore.Open(ctx, sqlstore.Options{URL: secret.New("sqlite://" + filepath.Join(folder, "mfa.db")),
		Ring: ring, Now: time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	s, err := newServer(time.Now)
	if err != nil {
		return err
	}
	if err := s.addSecondFactor(ctx, db, ring); err != nil {
		return err
	}
	go s.sweep(ctx)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	fmt.Printf("serving http://%s, keeping %s\n", l.Addr(), folder)
	return (&http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}).Serve(l)
}
