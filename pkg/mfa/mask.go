package mfa

import "strings"

// MaskEmail is a mailbox as it may be shown: nothing of who it belongs to, and the first
// four characters of where it is (Auth0 MFA API, 4.2).
func MaskEmail(address string) string {
	const shown = 4
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "****"
	}
	domain := []rune(address[at+1:])
	n := min(shown, len(domain))
	return "****@" + string(domain[:n]) + strings.Repeat("*", len(domain)-n)
}
