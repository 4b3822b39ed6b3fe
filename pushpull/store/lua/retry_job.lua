-- A job could not be done: its conversation is due again later, and not before what it may be due for already.
-- (Uses basics.)
-- KEYS   1 due  2 jobs  3 queued  4 tries
-- ARGV   1 group  2 id  3 cid  4 delay, ms  5 tries that failed in a row, this one among them
-- Returns 1, or 0: the job has ended
local DUE, JOBS, QUEUED, TRIES = unpack(KEYS)
local GROUP, ID, CID, DELAY_MS, FAILED = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

if redis.call('XACK', JOBS, GROUP, ID) == 0 then return 0 end
redis.call('XDEL', JOBS, ID)
redis.call('SREM', QUEUED, CID)
redis.call('HSET', TRIES, CID, FAILED)
redis.call('ZADD', DUE, 'GT', exact(now_in_ms() + DELAY_MS), CID)
return 1
