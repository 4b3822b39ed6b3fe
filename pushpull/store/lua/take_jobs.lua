-- Make jobs of what is due, and take some: first what another worker has let lie, then new ones. (Uses basics.)
-- A conversation has one job at a time; one that becomes due meanwhile waits for its end.
-- KEYS   1 due  2 jobs  3 queued (the conversations that have a job)  4 tries
-- ARGV   1 group  2 the worker  3 most jobs to take  4 ms without a word after which a job was let lie
--        5 most jobs there may be
-- Returns for each job {id, cid, failed tries, times it was taken}
local DUE, JOBS, QUEUED, TRIES = unpack(KEYS)
local GROUP, WORKER = ARGV[1], ARGV[2]
local TAKEN, IDLE_MS, MOST = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local PROMOTED, LATER_MS = 1000, 1000

if redis.call('EXISTS', JOBS) == 0 then
  redis.call('XGROUP', 'CREATE', JOBS, GROUP, '0', 'MKSTREAM')
  redis.call('DEL', QUEUED) -- of jobs that are no more: their conversations would never have another
end

local now = now_in_ms()
local room = math.min(PROMOTED, MOST - redis.call('SCARD', QUEUED))
if room > 0 then
  for _, cid in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', exact(now), 'LIMIT', 0, room)) do
    if redis.call('SADD', QUEUED, cid) == 1 then
      redis.call('XADD', JOBS, '*', 'cid', cid, 'v', 1)
      redis.call('ZREM', DUE, cid)
    else
      redis.call('ZADD', DUE, exact(now + LATER_MS), cid)
    end
  end
end

local jobs = {}
local function add(entry, times)
  local cid = entry[2][2]
  jobs[#jobs + 1] = {entry[1], cid, tonumber(redis.call('HGET', TRIES, cid) or '0'), times}
end
for _, entry in ipairs(redis.call('XAUTOCLAIM', JOBS, GROUP, WORKER, IDLE_MS, '0-0', 'COUNT', TAKEN)[2]) do
  if entry and entry[2] then
    add(entry, redis.call('XPENDING', JOBS, GROUP, entry[1], entry[1], 1)[1][4])
  end
end
if #jobs < TAKEN then
  local read = redis.call('XREADGROUP', 'GROUP', GROUP, WORKER, 'COUNT', TAKEN - #jobs, 'STREAMS', JOBS, '>')
  for _, entry in ipairs(read and read[1] and read[1][2] or {}) do add(entry, 1) end
end
return jobs
