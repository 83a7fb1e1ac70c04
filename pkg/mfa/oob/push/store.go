package push

import "github.com/sallyport/sallyport/pkg/mfa/oob"

// What is kept.
type (
	Endpoint    = oob.Endpoint
	Device      = oob.Device
	DeviceStore = oob.DeviceStore
	Ticket      = oob.Ticket
	TicketStore = oob.TicketStore
	Limits      = oob.Limits
	Ask         = oob.Ask
	Admitted    = oob.Admitted
	Answer      = oob.Answer
	Store       = oob.Asks
)
