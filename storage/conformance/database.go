package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/notice"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// A Node is one process of a gateway, by what its database does for it.
type Node struct {
	Records        record.Store
	Revoker        record.Revoker
	Registry       Registry
	Authenticators mfa.AuthenticatorStore
	Limiter        throttle.Limiter
	Buckets        throttle.BucketStore
	Users          identity.UserStore
	Keys           signer.KeyStore
	Rotator        signer.Rotator
	Log            audit.Log
	People         People
	Removals       Removals
	Waits          Waits
	Refresh        record.RefreshTokens
	Tenant         Tenant
	Secrets        Secrets
	Redeemer       record.Receiver
	State          State
	Audit          Audit
	Notices        Notices
	Devices        oob.DeviceStore
	Pushes         oob.Asks
	Codes          oob.CodeStore
	Ring           *secret.Ring
}

// Registry is all that is kept in memory of clients and APIs.
type Registry interface {
	record.Registry
	HasOrigin(ctx context.Context, origin string) (bool, error)
}

// People is the administration of users.
type People interface {
	CreateUser(ctx context.Context, u identity.User, passwordHash string, by record.ManagedBy, e audit.Event) error
	UpdateUser(ctx context.Context, u identity.User, e audit.Event) (bool, error)
	SetUserBlocked(ctx context.Context, id string, blocked bool, e audit.Event) error
	SetPassword(ctx context.Context, userID, hash string, e audit.Event) error
	Users(ctx context.Context, after string, limit int) ([]identity.User, error)
}

// Waits is what users are kept waiting for.
type Waits interface {
	Failures(ctx context.Context, userIDs []string) (map[string]throttle.Failures, error)
	PushHistories(ctx context.Context, userIDs []string) (map[string]oob.History, error)
}

// Removals is what an administrator takes away for good.
type Removals interface {
	DeleteUser(ctx context.Context, id string, e audit.Event) error
	ResetFactors(ctx context.Context, userID string, e audit.Event) (int, error)
}

// Tenant is the administration of clients and APIs.
type Tenant interface {
	SaveClient(ctx context.Context, c record.Client, e audit.Event) (bool, error)
	SaveAPI(ctx context.Context, a record.API, e audit.Event) (bool, error)
	SetClientDisabled(ctx context.Context, id string, disabled bool, e audit.Event) error
	// Refresh drops from memory what another node changed.
	Refresh(ctx context.Context) error
}

// Secrets is the rotation of the secrets of clients.
type Secrets interface {
	AddClientSecret(ctx context.Context, id, hash string, e audit.Event) (bool, error)
	DropOldSecrets(ctx context.Context, id string, e audit.Event) (bool, error)
}

// State shows what a database holds.
type State interface {
	AuditEvents(ctx context.Context, limit int) ([]audit.Event, error)
	UserFailures(ctx context.Context, userID string) (int, time.Time, error)
	User(ctx context.Context, id string) (identity.User, error)
	Sweep(ctx context.Context, now time.Time) error
	// Dump returns every row as text.
	Dump(t testing.TB) string
}

// Audit is the record, sealed and read.
type Audit interface {
	audit.Trail
	Seal(ctx context.Context) error
	Records(ctx context.Context, q audit.Query) ([]audit.Record, error)
	// Execute runs a statement that this product has no verb for.
	Execute(t testing.TB, statement string)
}

// Notices are what people are to be told.
type Notices interface {
	notice.Store
	NoticeUnfinished(ctx context.Context, before time.Time) error
}

// The people and clients that every database test begins with.
const (
	alice = "auth0|alice"
	bob   = "auth0|bob"
	spa   = "spa"
)

// A databaseSuite is a fresh database and two nodes on it.
type databaseSuite struct {
	a, b    Node
	elapsed atomic.Int64 // nanoseconds since epoch
}

func (s *databaseSuite) now() time.Time { return epoch.Add(time.Duration(s.elapsed.Load())) }

func (s *databaseSuite) pass(d time.Duration) { s.elapsed.Add(int64(d)) }

// RunDatabase is the suite that every database passes. open makes an empty one, with
// two nodes on it that go by now, and ends them with the test it is given.
func RunDatabase(t *testing.T, open func(t testing.TB, now func() time.Time) (a, b Node)) {
	t.Helper()
	suites := []map[string]func(*testing.T, *databaseSuite){
		issueTests(), refreshTests(), throttleTests(), revokeTests(), consumeTests(), authenticatorTests(), credentialTests(), userTests(),
		registryTests(), keyTests(), auditTests(), sealTests(), noticeTests(), deviceTests(), pushTests(), reportTests(),
		codeTests(), messageTests(), mailboxTests(),
	}
	for _, tests := range suites {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				s := &databaseSuite{}
				s.a, s.b = open(t, s.now)
				s.people(t)
				test(t, s)
			})
		}
	}
}

func (s *databaseSuite) people(t *testing.T) {
	t.Helper()
	for _, u := range []identity.User{
		{ID: alice, Username: "alice", Email: "alice@example.test", EmailVerified: true, PhoneNumber: "+4915550100042", Name: "Alice"},
		{ID: bob, Username: "bob", Name: "Bob"},
	} {
		if err := s.a.People.CreateUser(t.Context(), u, "hash of "+u.Username, record.ManagedByFile, s.changed(u.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.a.Tenant.SaveClient(t.Context(), client(), s.changed("")); err != nil {
		t.Fatal(err)
	}
}

func client() record.Client {
	return record.Client{
		ID: spa, Name: "Example", FirstParty: true, Grants: []string{"password", "mfa"}, MFA: record.MFAEnrolled,
		Audiences: map[string][]string{"https://api.example.test/": {"read:things"}}, ManagedBy: record.ManagedByFile,
	}
}

// changed is the event of an administrator.
func (s *databaseSuite) changed(subject string) audit.Event {
	return audit.Event{At: s.now(), Type: audit.UserChanged, Success: true, Subject: subject, Grant: "users"}
}

// seed is a secret that no dump may show.
func seed(id string) secret.Text { return secret.New("JBSWY3DPEHPK3PXP-" + id) }

// pending is an authenticator for one-time passwords that was just associated.
func (s *databaseSuite) pending(id, subject, handle string) mfa.Authenticator {
	return mfa.Authenticator{
		ID: id, Subject: subject, Type: mfa.OTP, Secret: seed(id), Algorithm: "SHA1", Digits: 6,
		Period: 30 * time.Second, Origin: "mfa_api", Handle: handle,
		CreatedAt: s.now(), ExpiresAt: s.now().Add(10 * time.Minute),
	}
}

// codes is a set of recovery codes that was just associated.
func (s *databaseSuite) codes(id, subject, handle string, hashes ...string) mfa.Authenticator {
	a := mfa.Authenticator{
		ID: id, Subject: subject, Type: mfa.RecoveryCode, Origin: "mfa_api", Handle: handle,
		CreatedAt: s.now(), ExpiresAt: s.now().Add(10 * time.Minute),
	}
	for _, h := range hashes {
		a.Codes = append(a.Codes, mfa.LookupSecret{Hash: h})
	}
	return a
}

func (s *databaseSuite) associate(t *testing.T, pending ...mfa.Authenticator) {
	t.Helper()
	e := audit.Event{At: s.now(), Type: audit.Associated, Success: true, Subject: pending[0].Subject}
	seen := s.authenticators(t, pending[0].Subject)
	if err := s.a.Authenticators.Associate(t.Context(), halfway(pending[0].Subject, "h"), seen, pending, e); err != nil {
		t.Fatal(err)
	}
}

// enroll gives the subject a confirmed authenticator, and recovery codes if any.
func (s *databaseSuite) enroll(t *testing.T, subject, id string, hashes ...string) {
	t.Helper()
	both := []mfa.Authenticator{s.pending(id, subject, "handle of "+id)}
	if len(hashes) > 0 {
		both = append(both, s.codes("codes of "+id, subject, "handle of "+id, hashes...))
	}
	s.associate(t, both...)
	s.issue(t, s.issuance(subject, "enroll-"+id, record.Confirmation{Authenticator: id, Handle: "handle of " + id}))
}

// issuance is a login of the subject in which everything is named after n.
func (s *databaseSuite) issuance(subject, n string, consumes ...record.Consumption) record.Issuance {
	return record.Issuance{
		At: s.now(),
		Session: record.Session{
			ID: "session-" + n, Subject: subject, Client: spa, CreatedAt: s.now(),
			Proofs: []record.Proof{
				{Methods: []string{"pwd"}, At: s.now()},
				{Methods: []string{"otp"}, Authenticator: "some", At: s.now()},
			},
		},
		Consumes: consumes,
		Access: record.AccessToken{
			ID: "jti-" + n, Audience: []string{"https://api.example.test/"}, Scopes: []string{"openid"},
			ExpiresAt: s.now().Add(time.Hour),
		},
		Refresh: &record.RefreshToken{
			Hash: "refresh-" + n, Family: "family-" + n, Audience: []string{"https://api.example.test/"},
			Scopes: []string{"openid"}, ExpiresAt: s.now().Add(24 * time.Hour),
		},
		Event: audit.Event{
			At: s.now(), Type: audit.TokensIssued, Success: true, Subject: subject, Client: spa, Session: "session-" + n,
		},
	}
}

func (s *databaseSuite) issue(t *testing.T, i record.Issuance) {
	t.Helper()
	if err := s.a.Records.Issue(t.Context(), i); err != nil {
		t.Fatalf("issue %s: %v", i.Session.ID, err)
	}
}

// refuse wants the issuance to fail with the kind and to leave nothing behind.
func (s *databaseSuite) refuse(t *testing.T, i record.Issuance, want fault.Kind) {
	t.Helper()
	before := s.a.State.Dump(t)
	if err := s.a.Records.Issue(t.Context(), i); fault.Of(err) != want || err == nil {
		t.Errorf("issue %s: %v, want %v", i.Session.ID, err, want)
	}
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("a refused issuance left something behind:\n%s", difference(before, after))
	}
}

// difference lists the lines of one dump that the other does not have.
func difference(before, after string) string {
	old := strings.Split(before, "\n")
	var lines []string
	for _, line := range strings.Split(after, "\n") {
		if !slices.Contains(old, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func (s *databaseSuite) active(t *testing.T, n string) bool {
	t.Helper()
	active, err := s.b.Records.AccessTokenActive(t.Context(), "jti-"+n, s.now())
	if err != nil {
		t.Fatal(err)
	}
	return active
}

// listed is what a subject has, as the other node sees it.
func (s *databaseSuite) listed(t *testing.T, subject string) []mfa.Authenticator {
	t.Helper()
	all, err := s.b.Authenticators.Authenticators(t.Context(), subject, s.now())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// authenticators is what a subject enrolled.
func (s *databaseSuite) authenticators(t *testing.T, subject string) []mfa.Authenticator {
	t.Helper()
	return slices.DeleteFunc(s.listed(t, subject), func(a mfa.Authenticator) bool { return a.Automatic })
}

// events counts the events of a type.
func (s *databaseSuite) events(t *testing.T, want audit.Type) int {
	t.Helper()
	all, err := s.b.State.AuditEvents(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Type == want {
			n++
		}
	}
	return n
}

// node is one or the other node, in turn.
func (s *databaseSuite) node(i int) Node {
	if i%2 == 0 {
		return s.a
	}
	return s.b
}

// numbered names the participants of a race so that no name begins another.
func numbered(i int) string { return fmt.Sprintf("n%02d", i) }
