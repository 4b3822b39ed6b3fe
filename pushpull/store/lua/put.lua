-- Make a conversation, or change the settings of one that exists. (Uses basics, bell.)
-- KEYS   1 meta  2 the bell's channel  3 when the one before it under this name was deleted
-- ARGV   1 schema version  2 "1": initial members follow, so it must not exist yet
--        3 number of fields to set, then field and value of each, then the fields to drop
-- Returns "created" | "updated", or {"err", "invalid"}: it exists
local META, BELL, DELETED = KEYS[1], KEYS[2], KEYS[3]
local SCHEMA, ONLY_NEW, SETS = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local FIRST_FIELD = 4

local is_new = redis.call('EXISTS', META) == 0
if ONLY_NEW and not is_new then return {'err', 'invalid'} end
if is_new then
  redis.call('HSET', META, 'epoch', exact(now_in_ms()), 'seq', '0', 'last', '0-0', 'floor', '1', 'count', '0', 'mver', '1',
    'rev', '0', 'v', SCHEMA)
  local deleted = redis.call('GETDEL', DELETED)
  if deleted then redis.call('HSET', META, 'after', deleted) end
end
for i = 0, SETS - 1 do
  redis.call('HSET', META, ARGV[FIRST_FIELD + 2 * i], ARGV[FIRST_FIELD + 2 * i + 1])
end
for i = FIRST_FIELD + 2 * SETS, #ARGV do redis.call('HDEL', META, ARGV[i]) end
if is_new then return 'created' end
local mver = redis.call('HINCRBY', META, 'mver', 1)
ring_changed(BELL, redis.call('HMGET', META, 'last', 'epoch', 'floor', 'count'), mver)
return 'updated'
