-- Say that a deletion is worked on, will be tried again later, or has ended, if it is still this worker's. (Uses basics.)
-- KEYS   1 deletions
-- ARGV   1 uid  2 the end of the lease that the worker has  3 ms until it may be taken ("": it has ended)
-- Returns the new end, or nil: another has it
local DELETIONS, UID, MINE, FOR_MS = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

if tonumber(redis.call('ZSCORE', DELETIONS, UID) or '') ~= tonumber(MINE) then return nil end
if not FOR_MS then
  redis.call('ZREM', DELETIONS, UID)
  return MINE
end
local until_ms = math.max(now_in_ms() + FOR_MS, tonumber(MINE) + 1) -- a lease is told from the one before by its end
redis.call('ZADD', DELETIONS, exact(until_ms), UID)
return exact(until_ms)
