package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/mfa/recovery"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
	"github.com/sallyport/sallyport/storage/memory"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// secondFactor is what the server has more than before.
type secondFactor struct {
	db        *sqlstore.Store
	verifier  *mfa.Verifier
	registrar *enrollment.Registrar
}

// addSecondFactor adds the password grant, which can answer mfa_required, and the MFA
// grants.
func (s *server) addSecondFactor(ctx context.Context, db *sqlstore.Store, ring *secret.Ring) error {
	o := mfa.Options{
		Factors: []mfa.Factor{
			otp.New(otp.Options{Issuer: func() string { return "Photos" }, Past: 1, Now: s.now, Random: rand.Reader}),
			recovery.New(recovery.Options{Live: 1, Random: rand.Reader, Ring: ring}),
		},
		Authenticators: db, Limiter: db, Limits: throttle.Limits{Free: 4, Daily: 25, Disable: 100}, Audit: db,
		Transactions: memory.New(memory.Options{Now: s.now}),
		Handles:      mfa.Handles(ring, rand.Reader),
		Lifetime:     10 * time.Minute, Enrolling: mfa.Window, Requirements: true, Now: s.now,
	}
	s.secondFactor = secondFactor{db, mfa.NewVerifier(o), enrollment.NewRegistrar(o)}
	g := grants.Options{
		Registry: db, Users: s, Verifier: s.verifier, URL: "https://login.example.com/",
		Passwords: &throttle.Passwords{Store: db, User: 10, Address: 100, Now: s.now},
		Issuer:    &grants.Minter{Store: db, Mint: s.mint, Now: s.now, Random: rand.Reader},
	}
	s.config.TokenEndpointHandlers.Append(grants.NewPassword(g))
	s.config.TokenEndpointHandlers.Append(grants.NewMFA(g))
	return s.register(ctx)
}

// register tells the database which clients ask for a second factor, and for which API.
// What is there already stays.
func (s *server) register(ctx context.Context) error {
	if err := s.db.Migrate(ctx); err != nil {
		return err
	}
	api := record.API{Audience: "https://photos.example.com/", Scopes: []string{"photos"}, ManagedBy: record.ManagedByAPI}
	if _, err := s.db.SaveAPI(ctx, api, s.changed(audit.APIChanged, "")); err != nil {
		return err
	}
	app := record.Client{ID: "app", FirstParty: true, Grants: []string{"password", "mfa"}, MFA: record.MFARequired, ManagedBy: record.ManagedByAPI}
	_, err := s.db.SaveClient(ctx, app, s.changed(audit.ClientChanged, ""))
	return err
}

func (s *server) changed(t audit.Type, subject string) audit.Event {
	return audit.Event{At: s.now(), Type: t, Success: true, Subject: subject, Grant: "fosite-server"}
}

// Verify implements identity.Verifier by the server's own check of the password. Its user
// becomes known to the database at the first login.
func (s *server) Verify(ctx context.Context, c identity.Credentials) (identity.Identity, error) {
	_, err := s.store.Authenticate(ctx, c.Username, c.Password.Reveal())
	if errors.Is(err, fosite.ErrNotFound) {
		return identity.Identity{}, fault.WrongPassword
	}
	if err != nil {
		return identity.Identity{}, fault.Because(fault.Unavailable, err)
	}
	user := identity.User{ID: c.Username}
	if err := s.know(ctx, user); err != nil {
		return identity.Identity{}, err
	}
	return identity.Identity{User: user, Methods: []string{"pwd"}, At: s.now()}, nil
}

func (s *server) know(ctx context.Context, u identity.User) error {
	if _, err := s.db.User(ctx, u.ID); !errors.Is(err, fault.NotFound) {
		return err
	}
	err := s.db.CreateUser(ctx, u, "", record.ManagedByAPI, s.changed(audit.UserChanged, u.ID))
	if _, known := s.db.User(ctx, u.ID); known == nil {
		return nil // another login of the same user was first
	}
	return err
}

// mint makes a token of the server's own and keeps it where the server keeps its tokens.
// By now the login is used up.
func (s *server) mint(ctx context.Context, l mfa.Login) (record.Tokens, error) {
	client, err := s.store.GetClient(ctx, l.Client)
	if err != nil {
		return record.Tokens{}, err
	}
	lifetime := s.config.AccessTokenLifespan
	request := fosite.NewAccessRequest(&fosite.DefaultSession{
		Subject: l.Subject, ExpiresAt: map[fosite.TokenType]time.Time{fosite.AccessToken: s.now().Add(lifetime)},
		Extra: map[string]any{"amr": record.AMR(l.Proofs)},
	})
	request.Client, request.GrantedScope, request.GrantedAudience = client, l.Scopes, l.Audience
	token, signature, err := s.strategy.GenerateAccessToken(ctx, request)
	if err != nil {
		return record.Tokens{}, err
	}
	return record.Tokens{Access: secret.New(token), Type: "Bearer", Lifetime: lifetime, Scopes: l.Scopes},
		s.store.CreateAccessTokenSession(ctx, signature, request.Sanitize(nil))
}

// associate serves POST /mfa/associate; the mfa_token is the bearer token.
func (s *server) associate(r *http.Request) (map[string]any, error) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c, err := s.registrar.Credential(r.Context(), secret.New(token))
	if err != nil {
		return nil, err
	}
	return s.registrar.Associate(r.Context(), c, enrollment.Association{Wanted: r.PostForm["authenticator_types"], Address: address(r)})
}

// challenge serves POST /mfa/challenge.
func (s *server) challenge(r *http.Request) (map[string]any, error) {
	client, err := s.provider.AuthenticateClient(r.Context(), r, r.PostForm)
	if err != nil {
		return nil, err
	}
	return s.verifier.Challenge(r.Context(), mfa.ChallengeRequest{
		Token: secret.New(r.PostForm.Get("mfa_token")), Client: client.GetID(),
		Allowed: strings.Fields(r.PostForm.Get("challenge_type")), Authenticator: r.PostForm.Get("authenticator_id"),
	})
}

// answer reads a form and writes what came of it.
func (s *server) answer(do func(*http.Request) (map[string]any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := r.ParseForm()
		if err != nil {
			err = fault.Param(fault.BadRequest, "The form cannot be decoded.")
		}
		var members map[string]any
		if err == nil {
			members, err = do(r)
		}
		if err != nil {
			grants.WriteError(w, err, s.now(), grants.Errors{})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if err := json.NewEncoder(w).Encode(members); err != nil {
			log.Print(err)
		}
	}
}

// sweep deletes what is over, once a minute.
func (s *server) sweep(ctx context.Context) {
	for range time.Tick(time.Minute) {
		if err := s.db.Sweep(ctx, s.now()); err != nil {
			log.Print(err)
		}
	}
}
