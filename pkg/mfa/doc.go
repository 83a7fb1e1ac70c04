// Package mfa is the heart of the gateway: what a subject has enrolled, when a second
// factor is demanded, and how it is proved.
//
// It knows no transport, no database and no OAuth library. [Verifier] judges logins:
// its Begin is the one gate that every login passes, and only it and Verify make a
// [Clearance], without which no token is issued. How authenticators are added and removed
// is a package below this one, as each factor is.
package mfa
