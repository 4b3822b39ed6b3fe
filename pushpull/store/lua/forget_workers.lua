-- Forget workers that have no job and were not heard of for long: nodes that ended.
-- KEYS   1 jobs
-- ARGV   1 group  2 ms
-- Returns how many
local JOBS, GROUP, IDLE_MS = KEYS[1], ARGV[1], tonumber(ARGV[2])

if redis.call('EXISTS', JOBS) == 0 then return 0 end
local forgotten = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', JOBS, GROUP)) do
  local worker = {}
  for i = 1, #flat, 2 do worker[flat[i]] = flat[i + 1] end
  if worker['pending'] == 0 and worker['idle'] > IDLE_MS then
    redis.call('XGROUP', 'DELCONSUMER', JOBS, GROUP, worker['name'])
    forgotten = forgotten + 1
  end
end
return forgotten
