package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/cmd/sallyport/demo/inbox"
	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/secret"
)

// The files of the demo's folder; the variables are filled in as they are read, so that
// the password is written nowhere.
const (
	configText = `public_url: ${PUBLIC_URL}
listen: ${LISTEN}
management:
  listen: ${MANAGEMENT}
database:
  url: sqlite://${FOLDER}/sallyport.db
redis:
  url: "embedded:"
secrets:
  key_file: keys.json
delivery:
  sms:
    driver: webhook
    url: ${WEBHOOK}
    secret: ${WEBHOOK_SECRET}
  voice:
    driver: webhook
    url: ${WEBHOOK}
    secret: ${WEBHOOK_SECRET}
  email:
    driver: smtp
    host: ${MAIL_HOST}
    port: ${MAIL_PORT}
    tls: none
    from: Sallyport demo <no-reply@demo.test>
  push:
    fcm:
      credentials_file: fcm.json
      endpoint: ${PUSHES}
tenant_files: [tenant.yaml]
`
	tenantText = `name: Sallyport demo
apis:
  - audience: https://api.demo.test/
    name: Things
    scopes: [read:things, write:things]
    mfa_scopes: [write:things]
clients:
  - id: demo
    name: Demo
    type: public
    first_party: true
    grants: [password, password-realm, refresh_token, mfa]
    mfa: required
users:
  - id: demo|ada
    username: ada
    email: ada@demo.test
    email_verified: true
    name: Ada
    password: ${PASSWORD}
  - id: demo|grace
    username: grace
    name: Grace
    password: ${PASSWORD}
  - id: demo|joan
    username: joan
    name: Joan
    password: ${PASSWORD}
`
)

// A house is a gateway whose every trace is in one folder.
type house struct {
	Options
	gateway *gateway.Gateway
	pushes  *pushes
	inbox   *inbox.Inbox
	folder  string
}

func (g *house) build(ctx context.Context) (err error) {
	if g.folder, err = os.MkdirTemp("", "sallyport-demo-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if g.pushes, err = servePushes(ctx, g.Now); err != nil {
		return err
	}
	if g.inbox, err = inbox.Open(ctx, g.Now); err != nil {
		return err
	}
	if err := g.write(); err != nil {
		return err
	}
	c, tenants, err := config.Check(filepath.Join(g.folder, "sallyport.yaml"), g.variables())
	if err != nil {
		return fmt.Errorf("the demo's own configuration: %v", err) //nolint:errorlint // it is not the caller's
	}
	g.gateway, err = gateway.New(ctx, gateway.Options{Config: c, Tenants: tenants, Log: g.Log, Now: g.Now, Random: g.Random})
	return err
}

func (g *house) write() error {
	ring, err := secret.NewRing(g.Now())
	if err != nil {
		return err
	}
	account, err := g.pushes.keys.ServiceAccount(g.pushes.url)
	if err != nil {
		return fmt.Errorf("make a push service: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(g.folder, "fcm.json"), account, 0o600),
		ring.Save(filepath.Join(g.folder, "keys.json")),
		os.WriteFile(filepath.Join(g.folder, "sallyport.yaml"), []byte(configText), 0o600),
		os.WriteFile(filepath.Join(g.folder, "tenant.yaml"), []byte(tenantText), 0o600),
	)
}

// url is the issuer.
func (g *house) url() string { return "http://" + g.Public.Addr().String() + "/" }

// places are those that the walk comes to.
func (g *house) places() places {
	return places{url: g.url(), pushes: g.pushes.url, store: filepath.Join(g.folder, "phone.json"), inbox: g.inbox.URL, message: g.inbox.Latest(inbox.SMS)}
}

// variables are what the files of the folder leave open.
func (g *house) variables() func(string) (string, bool) {
	mailHost, mailPort, _ := net.SplitHostPort(g.inbox.Mail)
	values := map[string]string{
		"PUBLIC_URL": g.url(), "LISTEN": g.Public.Addr().String(), "MANAGEMENT": g.Management.Addr().String(),
		"FOLDER": g.folder, "PASSWORD": g.Password.Reveal(), "PUSHES": g.pushes.url,
		"WEBHOOK": g.inbox.Webhook(), "WEBHOOK_SECRET": g.inbox.Secret().Reveal(), "MAIL_HOST": mailHost, "MAIL_PORT": mailPort,
	}
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func (g *house) serve(ctx context.Context) error { return g.gateway.Serve(ctx, g.Public, g.Management) }

// close lets go of everything and removes the folder. The listeners are closed already
// when the gateway has served.
func (g *house) close() error {
	var errs []error
	if g.gateway != nil {
		errs = append(errs, g.gateway.Close())
	}
	if g.pushes != nil {
		errs = append(errs, g.pushes.close())
	}
	if g.inbox != nil {
		errs = append(errs, g.inbox.Close())
	}
	for _, l := range []net.Listener{g.Public, g.Management} {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, os.RemoveAll(g.folder))...)
}
