-- How much a conversation's log holds, since when, and what of it is to be kept. Reads only.
-- KEYS   1 log  2 meta
-- Returns {entries, id of the oldest, bytes, messages kept (nil: the service's), days kept (nil: the service's)},
--         or nil: it is empty
local LOG, META = KEYS[1], KEYS[2]

local oldest = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
if not oldest then return nil end
local kept = redis.call('HMGET', META, 'set:retain_messages', 'set:retain_days')
return {redis.call('XLEN', LOG), oldest[1], redis.call('MEMORY', 'USAGE', LOG), kept[1], kept[2]}
