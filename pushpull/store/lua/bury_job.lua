-- A job is given up: a dead letter stands for it, the oldest ones go. (Uses basics.)
-- KEYS   1 jobs  2 queued  3 tries  4 dead
-- ARGV   1 group  2 id  3 cid  4 why  5 tries  6 most dead letters
-- Returns 1, or 0: the job has ended
local JOBS, QUEUED, TRIES, DEAD = unpack(KEYS)
local GROUP, ID, CID, WHY, FAILED, MOST = unpack(ARGV)

if redis.call('XACK', JOBS, GROUP, ID) == 0 then return 0 end
redis.call('XDEL', JOBS, ID)
redis.call('SREM', QUEUED, CID)
redis.call('HDEL', TRIES, CID)
redis.call('XADD', DEAD, 'MAXLEN', '~', MOST, '*', 'cid', CID, 'why', WHY, 'tries', FAILED, 'at', exact(now_in_ms()))
return 1
