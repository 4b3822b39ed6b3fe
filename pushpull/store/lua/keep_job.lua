-- Say that a job is being worked on, if it is still this worker's.
-- KEYS   1 jobs
-- ARGV   1 group  2 the worker  3 id
-- Returns 1, or 0: another has it, or it has ended
local JOBS, GROUP, WORKER, ID = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if redis.call('EXISTS', JOBS) == 0 then return 0 end
local found = redis.call('XPENDING', JOBS, GROUP, ID, ID, 1)[1]
if not found or found[2] ~= WORKER then return 0 end
redis.call('XCLAIM', JOBS, GROUP, WORKER, 0, ID, 'JUSTID')
return 1
