-- Jobs are done.
-- KEYS   1 jobs  2 queued  3 tries
-- ARGV   1 group  then id and cid of each
-- Returns how many were still to be done
local JOBS, QUEUED, TRIES, GROUP = KEYS[1], KEYS[2], KEYS[3], ARGV[1]

local ended = 0
for i = 2, #ARGV, 2 do
  if redis.call('XACK', JOBS, GROUP, ARGV[i]) == 1 then
    redis.call('XDEL', JOBS, ARGV[i])
    redis.call('SREM', QUEUED, ARGV[i + 1])
    redis.call('HDEL', TRIES, ARGV[i + 1])
    ended = ended + 1
  end
end
return ended
