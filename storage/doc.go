// Package storage says what may live where; the backends are the packages below it.
//
// The placement rule: creation may live in Redis alone; consumption, denial and
// failure caps are fenced in SQL, in the same database transaction that issues.
// Redis replicates asynchronously: after a failover something it acknowledged as
// consumed can come back, and something it acknowledged as created can be gone. So
// nothing that decides whether a login succeeds twice, or how often it may fail, is
// left to it:
//
//	state                               created   consumed or changed          if Redis loses or resurrects it
//	----------------------------------  --------  ---------------------------  -------------------------------
//	transactions, challenges, polling   Redis     one script per transition,   the subject logs in again
//	intervals, soft limits                        one hash tag per handle
//	redemption of a handle              -         SQL: a unique row in the     a second redemption is refused
//	                                              issuing transaction
//	a denial from the second device     SQL       SQL: the same unique row     never undone
//	how often a device may be asked,    SQL       SQL: under the lock of the   never reset
//	and which question is live                    user's row
//	which code is live, how many were   SQL       SQL: under the lock of the   never reset
//	wrong, what messages were sent                user's row
//	failures, waits, disabled           SQL       SQL: a conditional update    never reset
//	authenticators                                in a transaction of its own
//	last accepted time step, recovery   SQL       SQL: compare-and-set         must not be lost
//	codes, authenticators, devices, refresh
//	families, clients, users, audit,
//	signing keys
//	notices                             SQL: with  SQL: claimed by a            told twice at worst
//	                                    the event  compare-and-set
//
// Package storage/redis and its twin in process, storage/memory, hold the first row
// behind the same interfaces; storage/sqlstore holds the rest. The suites that every
// backend passes are in storage/conformance.
//
// An error of a store is never "nothing found": who cannot ask must not conclude that
// no authenticator is enrolled or that no policy applies. A dependency that fails is
// fault.Unavailable, and the request ends there.
package storage
