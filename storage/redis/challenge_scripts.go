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
//	answered       1 if it is polled
//	authenticator
//	expires, ends  until when it can be approved, and redeemed
//	next, interval when the next poll is welcome, and the time between two
//	lease          until when another poll redeems the approval
//	waiter         who waits for the answer
//	value          all of the challenge, as JSON
//
// Times are milliseconds of the server's clock, to which ARGV[1] is added. What is
// published comes before what is written: a server that does not allow the first does not
// leave half of a step.
type challengeScripts struct{ create, load, poll, decide *goredis.Script }

const clock = onMasters + `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
`

// lookup goes on only with a challenge that has not ended, and knows its state.
const lookup = clock + `
local c = redis.call('HMGET', KEYS[1], 'state', 'expires', 'ends', 'answered', 'authenticator', 'next', 'interval', 'lease', 'waiter')
local state, expires = c[1], tonumber(c[2])
if not state or now >= tonumber(c[3]) then return {} end
if state == 'pending' and now >= expires then state = 'expired' end
`

const createChallenge = clock + `
-- ARGV: offset, value, lifetime, authenticator, answered. 0: the key exists.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local expires = now + ARGV[3]
redis.call('HSET', KEYS[1], 'state', 'pending', 'expires', expires, 'ends', expires + $window, 'value', ARGV[2],
  'answered', ARGV[5], 'authenticator', ARGV[4], 'next', now, 'interval', $interval, 'lease', 0, 'waiter', '')
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

const pollChallenge = lookup + `
-- ARGV: offset, id, waiter, woken.
-- It answers state, too soon, wait, authenticator, answered, waiting.
if c[4] == '0' then return {state, 0, 0, c[5], 0, 0} end
local authenticator, next, interval, lease, waiter = c[5], tonumber(c[6]), tonumber(c[7]), tonumber(c[8]), c[9]
local woken, waiting = ARGV[4] == '1', 0
local function pending(wait) return {'pending', 0, math.max(wait, 0), authenticator, 1, waiting} end

if woken and waiter ~= ARGV[3] and (state == 'pending' or state == 'approved') then
  return pending(next - now) -- whoever took its place is told
end
if state == 'approved' and now < lease then return pending(lease - now) end
if not woken then
  local soon = now + $tolerance < next
  if soon then interval = math.min(interval + $slower, $slowest) end
  next = now + interval
  if soon then
    redis.call('HSET', KEYS[1], 'next', next, 'interval', interval)
    return {'pending', 1, interval, authenticator, 1, 0}
  end
end
if state == 'approved' then
  lease = now + $lease
  redis.call('HSET', KEYS[1], 'next', lease, 'lease', lease)
  return {state, 0, 0, authenticator, 1, 0}
end
if state == 'pending' and ARGV[3] ~= '' then
  waiting = 1
  if waiter ~= '' and waiter ~= ARGV[3] then redis.call('PUBLISH', '$changes', ARGV[2]) end
  waiter = ARGV[3]
end
if not woken then redis.call('HSET', KEYS[1], 'next', next, 'waiter', waiter) end
if state == 'pending' then return pending(next - now) end
return {state, 0, 0, authenticator, 1, 0}`

func newChallengeScripts() challengeScripts {
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	constants := strings.NewReplacer(
		"$window", milliseconds(oob.Window), "$interval", milliseconds(oob.Interval), "$grace", milliseconds(grace),
		"$tolerance", milliseconds(oob.Tolerance), "$slower", milliseconds(oob.Slower), "$slowest", milliseconds(oob.Slowest),
		"$lease", milliseconds(oob.Lease), "$changes", changes,
	)
	script := func(text string) *goredis.Script { return goredis.NewScript(constants.Replace(text)) }
	return challengeScripts{
		create: script(createChallenge), load: script(loadChallenge), poll: script(pollChallenge), decide: script(decideChallenge),
	}
}
