// Package phone is what the channels that reach telephones share: which numbers are
// written to or called at all, what that may cost, and the services that do it.
//
// A number is one that people in one country have, written as E.164, or it is refused, and
// always in the same words: who asks must not learn which ranges are open. What is sent is
// counted before it is sent, by user, number, range, country, gateway and money
// (standards, S-1 to S-4).
package phone
