-- Remove a conversation whole, and ring: whoever looks finds it gone. (Uses bell.)
-- KEYS   1 meta  2 the bell's channel  then every other key of the conversation
-- Returns 1, or nil: no such conversation
local META, BELL = KEYS[1], KEYS[2]

local meta = redis.call('HMGET', META, 'epoch', 'mver')
if not meta[1] then return nil end
redis.call('UNLINK', META, unpack(KEYS, 3))
ring_changed(BELL, {'0-0', meta[1], '1', '0'}, tonumber(meta[2]) + 1)
return 1
