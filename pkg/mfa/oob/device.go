package oob

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
)

// An Endpoint is where a device takes its messages.
type Endpoint struct {
	Service string
	Token   secret.Text // the service's name for the device
}

// Device is a phone that enrolled: a device account of the Guardian contract.
type Device struct {
	ID            string // "dev_…", the end of the authenticator's id
	Authenticator string // "push|dev_…"
	Subject       string
	Identifier    string // what the phone calls itself: the issuer of its answers
	Name          string
	Endpoint      Endpoint
	Key           string // its public key, a JWK in normal form
	TokenHash     string // secret.Hash of the opaque token that old apps have
	EnrolledAt    time.Time
	EndpointGone  time.Time // when the service said that it knows it no more; zero: it does
}

// DeviceStore keeps devices for as long as their authenticators. What is enrolled, changed
// and removed is recorded with the event, or not at all.
type DeviceStore interface {
	// EnrollDevice gives a pending authenticator its device, and the name of it. It fails
	// with fault.NotFound when the authenticator is not pending any more, or what it was
	// associated with has ended, and with fault.DeviceConflict when it has another device.
	// The same key again is no error, and changes nothing but the hash of the token.
	EnrollDevice(ctx context.Context, d Device, now time.Time, e audit.Event) error
	// Device returns a device by its ID, or fault.NotFound once its authenticator is gone.
	Device(ctx context.Context, id string) (Device, error)
	// UpdateDevice changes Identifier, Name and Endpoint, and an Endpoint that changes is not
	// gone. It fails with fault.NotFound.
	UpdateDevice(ctx context.Context, d Device, e audit.Event) error
	// DisableEndpoint marks an endpoint as gone, if the device has it still.
	DisableEndpoint(ctx context.Context, id string, gone Endpoint, now time.Time, e audit.Event) error
	// RemoveDevice deletes the device's authenticator and its twins, and with the subject's
	// last factor the recovery codes; the event gets their ids. It fails with fault.NotFound.
	RemoveDevice(ctx context.Context, id string, e audit.Event) error
}

// A Ticket lets one phone enroll one authenticator.
type Ticket struct {
	Hash          string    `json:"hash"` // secret.Hash of it; it is kept nowhere
	Challenge     string    `json:"challenge"`
	Subject       string    `json:"subject"`
	Authenticator string    `json:"authenticator"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// TicketStore keeps tickets until they expire; it may lose them.
type TicketStore interface {
	// CreateTicket keeps a ticket.
	CreateTicket(ctx context.Context, t Ticket) error
	// Ticket returns a live ticket, or fault.NotFound.
	Ticket(ctx context.Context, hash string) (Ticket, error)
}
