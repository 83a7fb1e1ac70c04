package fault

// Failures of a phone (Guardian devices, 3.3).
const (
	TicketNotFound    Kind = "ticket_not_found"    // unknown, used or expired
	DeviceConflict    Kind = "device_conflict"     // the ticket has enrolled another one
	DeviceNotFound    Kind = "device_not_found"    // or removed meanwhile
	BadDeviceToken    Kind = "bad_device_token"    // a bearer token of a device, or of a transaction
	ChallengeNotFound Kind = "challenge_not_found" // closed, superseded or expired
	BadAnswer         Kind = "bad_answer"          // a signed answer that does not verify
	BadDeviceProof    Kind = "bad_device_proof"    // the proof of possession of a rich consent
	ConsentNotFound   Kind = "consent_not_found"
	ServiceOff        Kind = "service_off" // no credentials for the push service of a device
)
