-- Move a log's epoch on, once for each divergence however many nodes see it: compare and set. (Uses basics, bell.)
-- KEYS   1 meta  2 the bell's channel
-- ARGV   1 the epoch the caller knows
-- Returns the epoch in force, or nil: no such conversation
local META, BELL = KEYS[1], KEYS[2]
local EXPECTED = ARGV[1]

local meta = redis.call('HMGET', META, 'epoch', 'last', 'mver', 'floor', 'count')
if not meta[1] then return nil end
if meta[1] ~= EXPECTED then return meta[1] end
local epoch = exact(math.max((tonumber(EXPECTED) or 0) + 1, now_in_ms()))
redis.call('HSET', META, 'epoch', epoch)
ring_changed(BELL, {meta[2], epoch, meta[4], meta[5]}, meta[3])
return epoch
