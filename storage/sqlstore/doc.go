// Package sqlstore keeps what must not be lost, on SQLite or PostgreSQL: users,
// authenticators, clients, APIs, sessions, tokens, signing keys and the audit.
//
// One [Store] implements the store interfaces of the domain, one file per record. Two
// rules hold everywhere. Whatever may succeed only once is a conditional statement
// whose affected rows decide, in the transaction that issues. And a database that
// fails is fault.Unavailable, never "nothing found".
//
// SQLite has one writing connection, because waiting for it in Go is much faster than
// SQLite's own back-off, and its transactions take the write lock when they begin.
// PostgreSQL works at READ COMMITTED: transactions about a user first lock the
// user's row, so that they follow one another and cannot deadlock.
package sqlstore
