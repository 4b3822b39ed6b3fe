-- Make a conversation, or change the settings of one that exists.
-- KEYS   1 meta  2 the bell's channel
-- ARGV   1 schema version  2 "1": initial members follow, so it must not exist yet
--        3 number of fields to set, then field and value of each, then the fields to drop
-- Returns "created" | "updated", or {"err", "invalid"}: it exists
local META, BELL = KEYS[1], KEYS[2]
local SCHEMA, ONLY_NEW, SETS = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local FIRST_FIELD = 4

local is_new = redis.call('EXISTS', META) == 0
if ONLY_NEW and not is_new then return {'err', 'invalid'} end
if is_new then
  local time = redis.call('TIME')
  local epoch = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
  redis.call('HSET', META, 'epoch', epoch, 'seq', '0', 'last', '0-0', 'floor', '1', 'count', '0', 'mver', '1',
    'rev', '0', 'v', SCHEMA)
end
for i = 0, SETS - 1 do
  redis.call('HSET', META, ARGV[FIRST_FIELD + 2 * i], ARGV[FIRST_FIELD + 2 * i + 1])
end
for i = FIRST_FIELD + 2 * SETS, #ARGV do redis.call('HDEL', META, ARGV[i]) end
if is_new then return 'created' end
local mver = redis.call('HINCRBY', META, 'mver', 1)
local meta = redis.call('HMGET', META, 'last', 'epoch', 'floor', 'count')
redis.call('SPUBLISH', BELL, table.concat({'1', meta[1], meta[1], meta[2], mver, meta[3], meta[4], ''}, ' '))
return 'updated'
