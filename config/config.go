package config

import (
	"errors"
	"time"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/mfa/recovery"
	"github.com/sallyport/sallyport/pkg/server"
	"github.com/sallyport/sallyport/pkg/throttle"
	"github.com/sallyport/sallyport/pkg/tracing"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// Config is the configuration of one gateway. Paths in it are absolute or relative to
// the working directory, whatever they were relative to in the file.
type Config struct {
	Profile     Profile         `yaml:"profile" default:"recommended" enum:"auth0-compat|recommended|nist|strict" doc:"The set of defaults, and of settings that are refused."`
	Server      server.Config   `yaml:",inline"`
	Database    sqlstore.Config `yaml:"database" doc:"What must not be lost: users, clients, authenticators, sessions, keys, the audit."`
	Redis       redis.Config    `yaml:"redis" doc:"What may be lost: logins under way."`
	Secrets     Secrets         `yaml:"secrets" doc:"The key ring."`
	TenantFiles []string        `yaml:"tenant_files" file:"true" example:"[tenant.yaml]" doc:"Files with APIs, clients and users, applied at every start."`
	Dialects    []string        `yaml:"dialects" enum:"extrahorizon|axonize|acceleratxr" example:"[extrahorizon]" doc:"Faces of other systems to serve beside the Auth0 contract. Not served by this version."`
	Lifetimes   Lifetimes       `yaml:"lifetimes" doc:"How long things are good."`
	Enrollment  Enrollment      `yaml:"enrollment" doc:"How authenticators are added."`
	Tokens      Tokens          `yaml:"tokens" doc:"What access tokens look like."`
	Requests    Requests        `yaml:"requests" doc:"What is read of requests."`
	Errors      Errors          `yaml:"errors" doc:"What error answers hold."`
	Passwords   identity.Config `yaml:"passwords" doc:"The first factor."`
	OTP         otp.Config      `yaml:"otp" doc:"One-time passwords."`
	Recovery    recovery.Config `yaml:"recovery" doc:"Recovery codes."`
	Push        push.Rules      `yaml:"push" doc:"How phones are asked to approve."`
	Throttle    throttle.Config `yaml:"throttle" doc:"Limits on attempts."`
	Audit       audit.Config    `yaml:"audit" doc:"The record of who proved what."`
	Tracing     tracing.Config  `yaml:"tracing" doc:"Spans for OpenTelemetry; off by default."`
	Delivery    Delivery        `yaml:"delivery" doc:"How messages reach people."`
	Messages    Messages        `yaml:"messages" doc:"What text messages, calls and mails say, and how many there are at most."`

	read *strict.File // where the settings stand in the file
}

// Messages are the rules of messages to people.
type Messages struct {
	Wording wording.Config `yaml:",inline"`
	Phone   phone.Rules    `yaml:"phone" doc:"Text messages and calls. They count before they are sent; who reaches a limit waits, and everybody else does not."`
	Email   email.Rules    `yaml:"email" doc:"Codes by mail."`
}

// Validate reports everything that is wrong, each error as "key: text".
func (m Messages) Validate() error {
	return errors.Join(m.Wording.Validate(), inside("phone", m.Phone.Validate()), inside("email", m.Email.Validate()))
}

// Secrets says where the key ring is.
type Secrets struct {
	KeyFile string `yaml:"key_file" required:"true" file:"true" absent:"sallyport keys init writes one" example:"/etc/sallyport/keys.json" doc:"Key ring that seals secrets at rest; \"sallyport keys init\" writes one."`
}

// Lifetimes says how long tokens are good.
type Lifetimes struct {
	MFA          mfa.Config    `yaml:",inline"`
	AccessToken  time.Duration `yaml:"access_token" doc:"How long an access token is good, unless its API says otherwise."`
	IDToken      time.Duration `yaml:"id_token" default:"1h" doc:"How long an ID token is good."`
	RefreshToken time.Duration `yaml:"refresh_token" default:"720h" doc:"How long a refresh token is good."`
}

// Who may enroll the first authenticator of a user (C-10).
const (
	FirstPassword        = "password"
	FirstVerifiedAddress = "verified_address"
)

// Enrollment are the switches of enrolling.
type Enrollment struct {
	First string `yaml:"first" enum:"password|verified_address" doc:"Who may enroll a user's first authenticator: whoever just proved the password, or that for users with an email that is email_verified alone, where word of it reaches its owner."`
}

// The dialects of access tokens.
const (
	DialectRFC9068 = "rfc9068" // typ at+jwt, ES256
	DialectAuth0   = "auth0"   // typ JWT, RS256, azp and gty
)

// Tokens are the switches of issued tokens.
type Tokens struct {
	Dialect string `yaml:"dialect" enum:"rfc9068|auth0" doc:"Form of access tokens: rfc9068 (at+jwt, ES256) or auth0 (JWT, RS256, azp, gty)."`
	AMR     bool   `yaml:"amr" doc:"Put amr and acr (RFC 8176) into tokens of the MFA grants."`
}

// Requests are the switches of what is read.
type Requests struct {
	JSON     bool `yaml:"json" doc:"Read JSON at /oauth/*, as Auth0 does. off: forms alone, as RFC 6749, 7009 and 7662 have it. Below /mfa/ JSON is always read."`
	Tolerant bool `yaml:"tolerant" doc:"Read a body that begins with a brace as JSON whatever Content-Type says, null as absent and integers as text; ignore a Bearer header where a client proves itself. off: each is 400."`
}

// The statuses of refusals.
const (
	StatusAuth0   = "auth0"   // 403 for invalid_grant and unauthorized_client
	StatusRFC6749 = "rfc6749" // 400
)

// Errors are the switches of error answers.
type Errors struct {
	Status          string `yaml:"status" enum:"auth0|rfc6749" doc:"HTTP status of invalid_grant and unauthorized_client: auth0 (403) or rfc6749 (400)."`
	Throttled       string `yaml:"throttled" default:"too_many_attempts" enum:"too_many_attempts|invalid_request" doc:"The error of a 429 that follows wrong second factors; some libraries know the one, some old tenants sent the other."`
	Rejected        string `yaml:"rejected" enum:"invalid_grant|access_denied" doc:"The error of a push that was denied: invalid_grant, which libraries know, or access_denied with status 400 (RFC 8628)."`
	MFARequirements bool   `yaml:"mfa_requirements" default:"on" doc:"Say in mfa_required which factors there are, and list authenticators with their type."`
}

// Delivery holds the channels to people; nil where none is configured.
type Delivery struct {
	Email *email.Config      `yaml:"email" doc:"Servers that take mail: notices, and codes where messages.email.codes is on."`
	SMS   *phone.SMSConfig   `yaml:"sms" doc:"Text messages that bring a code."`
	Voice *phone.VoiceConfig `yaml:"voice" doc:"Calls that speak a code."`
	Push  *push.Config       `yaml:"push" doc:"Push services."`
}
