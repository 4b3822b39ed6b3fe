-- The state of one conversation at one instant.
-- KEYS   1 meta  2 members
-- Returns {meta's fields and values, number of members}, or nil: no such conversation
local META, MEMBERS = KEYS[1], KEYS[2]

local flat = redis.call('HGETALL', META)
if #flat == 0 then return nil end
return {flat, redis.call('ZCARD', MEMBERS)}
