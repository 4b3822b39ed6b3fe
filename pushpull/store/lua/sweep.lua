-- Move the floor of a conversation by age and number, where nobody appends, and trim what lies below it. (Uses
-- basics, bell.)
-- KEYS   1 meta  2 log  3 quiet  4 mentions  5 the bell's channel  6 past
-- ARGV   1 now, ms ("0": Redis' own time)  2 days kept by default, 0: any  3 messages kept by default, 0: any
-- Returns {floor before, floor after}, or nil: no such conversation
local META, LOG, QUIET, MENTIONS, BELL, PAST = unpack(KEYS)
local NOW_MS, DAYS, RETAINED = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local DAY_MS = 86400000
-- What lies below the floor may still stand in the bytes of the stream, for as long as its node of 100 entries does.
local PAST_MARGIN = 1000

local meta = redis.call('HMGET', META, 'seq', 'floor', 'last', 'epoch', 'mver', 'count',
  'set:retain_days', 'set:retain_messages')
if not meta[1] then return nil end
local seq, floor = tonumber(meta[1]), tonumber(meta[2])
DAYS, RETAINED = tonumber(meta[7] or '') or DAYS, tonumber(meta[8] or '') or RETAINED
if NOW_MS == 0 then NOW_MS = now_in_ms() end

-- The seq of the oldest entry not older than `cutoff`, seq + 1 when all are. Ids carry ms that never fall.
local function first_since(cutoff)
  local low, high = floor, seq + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('XRANGE', LOG, exact(middle), '+', 'COUNT', 1)[1]
    local at, tag
    if found then at, tag = string.match(found[1], '^(%d+)-(%d+)$') end
    if found and math.floor(tonumber(tag) / 1024) < cutoff then low = tonumber(at) + 1 else high = middle end
  end
  return low
end

local moved = floor
if RETAINED > 0 then moved = math.max(moved, seq - RETAINED + 1) end
if DAYS > 0 and seq >= moved then moved = math.max(moved, first_since(NOW_MS - DAYS * DAY_MS)) end
if moved > floor then redis.call('HSET', META, 'floor', exact(moved)) end
redis.call('XTRIM', LOG, 'MINID', exact(moved))
redis.call('ZREMRANGEBYSCORE', QUIET, '-inf', '(' .. exact(moved))
redis.call('ZREMRANGEBYSCORE', MENTIONS, '-inf', '(' .. exact(moved))
redis.call('ZREMRANGEBYSCORE', PAST, '-inf', '(' .. exact(moved - PAST_MARGIN))
if moved > floor then ring_changed(BELL, {meta[3], meta[4], exact(moved), meta[6]}, meta[5]) end
return {floor, moved}
