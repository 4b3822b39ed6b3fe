-- Remove a conversation whole, and ring: whoever looks finds it gone. Its members are kept under `gone` until each of
-- them was told and its list put right. (Uses bell.)
-- KEYS   1 meta  2 the bell's channel  3 members  4 gone  then every other key of the conversation
-- Returns 1, or nil: no such conversation
local META, BELL, MEMBERS, GONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local meta = redis.call('HMGET', META, 'epoch', 'mver')
if not meta[1] then return nil end
if redis.call('EXISTS', GONE) == 1 then -- of one that was deleted before under this name, and is not all put right yet
  redis.call('ZUNIONSTORE', GONE, 2, GONE, MEMBERS)
  redis.call('UNLINK', MEMBERS)
elseif redis.call('EXISTS', MEMBERS) == 1 then
  redis.call('RENAME', MEMBERS, GONE)
end
redis.call('UNLINK', META, unpack(KEYS, 5))
ring_changed(BELL, {'0-0', meta[1], '1', '0'}, tonumber(meta[2]) + 1)
return 1
