-- Take a deletion that nobody works on: nobody else has it until its lease ends. (Uses basics.)
-- KEYS   1 deletions: uid → until when (ms) somebody has it
-- ARGV   1 lease, ms
-- Returns {uid, the lease's end}, or nil: there is none
local DELETIONS, LEASE_MS = KEYS[1], tonumber(ARGV[1])

local now = now_in_ms()
local uid = redis.call('ZRANGEBYSCORE', DELETIONS, '-inf', exact(now), 'LIMIT', 0, 1)[1]
if not uid then return nil end
redis.call('ZADD', DELETIONS, exact(now + LEASE_MS), uid)
return {uid, exact(now + LEASE_MS)}
