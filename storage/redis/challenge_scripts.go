package redis

import (
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// changes is the channel that tells the ids of challenges to look at again. It is that of
// all gateways at one Redis; whom an id says nothing lets it pass.
const changes = "oob:changes"

// grace is how long a key outlives what it holds: its own expiry only clears up, and must
// not come first where clocks differ.
const grace = time.Minute

// challengeScripts are the transitions of a challenge, a hash with the fields
//
//	state          as oob.State; "expired" is not written
//	expires        until when it can be approved
//	interval, next the time between polls, 0 if it is not polled, and when the next is welcome
//	lease          until when another poll redeems the approval
//	waiter         who waits for the answer
//	bound          "1" if an approval is nothing to a poll without a code
//	authenticator
//	value          all of the challenge, as JSON
//
// Times are milliseconds of the server's clock, to which ARGV[1] is added. What is
// published comes before what is written: a server that does not allow the first does not
// leave half of a step. A poll that finds nothing new is what they are made for; it reads
// what it needs, and the rest is read by whom it concerns.
type challengeScripts struct{ create, load, poll, decide *goredis.Script }

const clock = onMasters + `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
`

// lookup goes on only with a challenge that has not ended, and knows its state.
const lookup = clock + `
local c = redis.call('HMGET', KEYS[1], 'state', 'expires', 'interval', 'next', 'waiter', 'bound')
local state, expires = c[1], tonumber(c[2])
if not state or now >= expires + $window then return {} end
if state == 'pending' and now >= expires then state = 'expired' end
`

const createChallenge = clock + `
-- ARGV: offset, value, lifetime, authenticator, interval, bound. 0: the key exists, and has not ended.
local expires = redis.call('HGET', KEYS[1], 'expires')
if expires and now < expires + $window then return 0 end
expires = now + ARGV[3]
redis.call('HSET', KEYS[1], 'state', 'pending', 'expires', expires, 'interval', ARGV[5], 'next', now,
  'lease', 0, 'waiter', '', 'bound', ARGV[6], 'authenticator', ARGV[4], 'value', ARGV[2])
redis.call('PEXPIREAT', KEYS[1], expires + $window + $grace - ARGV[1])
return 1`

const loadChallenge = lookup + `return {state, redis.call('HGET', KEYS[1], 'value')}`

const decideChallenge = lookup + `
-- ARGV: offset, id, state.
if state == ARGV[3] then return {1} end
if ARGV[3] ~= 'denied' and state ~= 'pending' then return {} end
redis.call('PUBLISH', '$changes', ARGV[2])
redis.call('HSET', KEYS[1], 'state', ARGV[3])
return {1}`

// The words that a poll answers with beside the state and the time to wait.
const (
	wordSoon  = "soon"  // it came too soon
	wordWaits = "waits" // it is the one who waits
	wordOpen  = "open"  // it is none: the challenge is not polled
)

const pollChallenge = lookup + `
-- ARGV: offset, id, waiter, woken, bare.
local interval, next, waiter, woken = tonumber(c[3]), tonumber(c[4]), c[5], ARGV[4] == '1'
if interval == 0 then return {state, 0, '$open', redis.call('HGET', KEYS[1], 'authenticator')} end
if state == 'approved' and c[6] == '1' and ARGV[5] == '1' then
  state = now < expires and 'pending' or 'expired'
end
if woken and waiter ~= ARGV[3] and (state == 'pending' or state == 'approved') then
  return {'pending', math.max(next - now, 0), ''} -- whoever took its place is told
end
if state == 'approved' then
  local lease = tonumber(redis.call('HGET', KEYS[1], 'lease'))
  if now < lease then return {'pending', lease - now, ''} end
end
if not woken and now + $tolerance < next then
  interval = math.min(interval + $slower, $slowest)
  redis.call('HSET', KEYS[1], 'next', now + interval, 'interval', interval)
  return {'pending', interval, '$soon'}
end
if state == 'approved' then
  redis.call('HSET', KEYS[1], 'next', now + $lease, 'lease', now + $lease)
  return {state, 0, '', redis.call('HGET', KEYS[1], 'authenticator')}
end
local word = ''
if state == 'pending' and ARGV[3] ~= '' then
  word = '$waits'
  if waiter ~= ARGV[3] then
    if waiter ~= '' then redis.call('PUBLISH', '$changes', ARGV[2]) end
    redis.call('HSET', KEYS[1], 'waiter', ARGV[3])
  end
end
if not woken then
  next = now + interval
  redis.call('HSET', KEYS[1], 'next', next)
end
if state ~= 'pending' then return {state, 0, ''} end
return {state, math.max(next - now, 0), word}`

func newChallengeScripts() challengeScripts {
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	constants := strings.NewReplacer(
		"$window", milliseconds(oob.Window), "$grace", milliseconds(grace),
		"$tolerance", milliseconds(oob.Tolerance), "$slower", milliseconds(oob.Slower), "$slowest", milliseconds(oob.Slowest),
		"$lease", milliseconds(oob.Lease), "$changes", changes, "$soon", wordSoon, "$waits", wordWaits, "$open", wordOpen,
	)
	script := func(text string) *goredis.Script { return goredis.NewScript(constants.Replace(text)) }
	return challengeScripts{
		create: script(createChallenge), load: script(loadChallenge), poll: script(pollChallenge), decide: script(decideChallenge),
	}
}
