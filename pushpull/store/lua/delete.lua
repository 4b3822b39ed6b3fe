-- Remove a conversation whole, and ring: whoever looks finds it gone. Its members are kept under `gone` until each of
-- them was told and its list put right; when it was deleted is kept under `deleted`, for one that is made again under the
-- same name. (Uses basics, bell.)
-- KEYS   1 meta  2 the bell's channel  3 members  4 gone  5 deleted  then every other key of the conversation
-- ARGV   1 how long `deleted` is kept, ms
-- Returns 1, or nil: no such conversation
local META, BELL, MEMBERS, GONE, DELETED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local KEPT_MS = ARGV[1]

local meta = redis.call('HMGET', META, 'epoch', 'mver', 'last', 'after')
if not meta[1] then return nil end
-- Later than each of its entries, and than those of logs before it, wherever the clock is: the next log begins there.
local last_ms = math.floor(tonumber(string.match(meta[3], '-(%d+)$')) / 1024)
local deleted_ms = math.max(now_in_ms(), last_ms + 1, tonumber(meta[4] or '') or 0)
redis.call('SET', DELETED, exact(deleted_ms), 'PX', KEPT_MS)
if redis.call('EXISTS', GONE) == 1 then -- of one that was deleted before under this name, and is not all put right yet
  redis.call('ZUNIONSTORE', GONE, 2, GONE, MEMBERS)
  redis.call('UNLINK', MEMBERS)
elseif redis.call('EXISTS', MEMBERS) == 1 then
  redis.call('RENAME', MEMBERS, GONE)
end
redis.call('UNLINK', META, unpack(KEYS, 6))
ring_changed(BELL, {'0-0', meta[1], '1', '0'}, tonumber(meta[2]) + 1)
return 1
