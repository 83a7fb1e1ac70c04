package config

// Profile is a set of defaults, and of settings that are refused.
type Profile string

// The profiles.
const (
	Auth0Compat Profile = "auth0-compat" // wire-faithful
	Recommended Profile = "recommended"
	NIST        Profile = "nist"   // SP 800-63B, AAL2
	Strict      Profile = "strict" // in the spirit of ASVS level 3
)
