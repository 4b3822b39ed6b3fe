-- A conversation as one member sees it, and where one of its devices begins. (Uses basics, place.)
-- The device has just said where it stands, so what was noted as pending for it is dropped.
--
-- KEYS   1 meta  2 members  3 log  4 redacted  5 roles  6 delivered  7 read  8 quiet  9 mentions  10 pending
-- ARGV   1 uid  2 device ("": none)  3 position (log id, "": it names none)
--        4 where a device that names none begins: delivered | all | head  5 largest backlog (-1: any)
-- Returns {meta's fields, members, role, joined, delivered, read, unread, mentions, start id, reset ("": none)},
--         or nil: no such conversation, or not a member
local META, MEMBERS, LOG, REDACTED, ROLES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local DELIVERED, READ, QUIET, MENTIONS, PENDING = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local UID, DEVICE, POSITION, UNNAMED, MAX_BACKLOG = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

-- More mentions than this are not counted one by one.
local MOST_MENTIONS = 1000

local joined = tonumber(redis.call('ZSCORE', MEMBERS, UID) or '')
local meta = joined and meta_of(META)
if not meta then return nil end
local delivered = tonumber(redis.call('ZSCORE', DELIVERED, UID) or joined)
local read = tonumber(redis.call('ZSCORE', READ, UID) or joined)
if DEVICE ~= '' then redis.call('HDEL', PENDING, UID .. ' ' .. DEVICE) end

local seen = math.max(read, meta.floor - 1, joined)
local above = '(' .. exact(seen)
local unread = meta.seq - seen
if unread > 0 then unread = unread - redis.call('ZCOUNT', QUIET, above, '+inf') end

local function count_mentions()
  local found = 0
  for _, who in ipairs(redis.call('ZREVRANGEBYSCORE', MENTIONS, '+inf', above, 'LIMIT', 0, MOST_MENTIONS)) do
    if string.find(who, ',' .. UID .. ',', 1, true) or string.find(who, ',*,', 1, true) then found = found + 1 end
  end
  return found
end

local function id_at(seq)
  if seq == 0 then return '0-0' end
  if seq == meta.seq then return meta.last end
  return known_id(LOG, REDACTED, seq) or (exact(seq) .. '-0')
end

-- The lowest place this member may begin at.
local base = meta.floor - 1
if meta.history == '"joined"' then base = math.max(base, joined) end
base = math.min(base, meta.seq)

-- Returns the seq to begin at, its id where it is known already, and the reason of a reset.
local function named_start()
  local verdict = verdict_on(POSITION, meta, LOG, REDACTED)
  if verdict == 'diverged' then
    local common = common_with(POSITION, meta, LOG)
    local seq = tonumber(string.match(common, '^%d+'))
    if seq < base then return base, nil, 'diverged' end
    return seq, common, 'diverged'
  end
  local seq = tonumber(string.match(POSITION, '^%d+'))
  if verdict == 'trimmed' or seq < base then return base, nil, 'trimmed' end
  return seq, POSITION, ''
end

local function unnamed_start()
  if UNNAMED == 'all' then return base, nil, '' end
  if UNNAMED == 'head' then return meta.seq, nil, '' end
  return math.max(base, math.min(delivered, meta.seq)), nil, ''
end

local start, start_id, reset
if POSITION ~= '' then start, start_id, reset = named_start() else start, start_id, reset = unnamed_start() end
-- A diverged device must throw away what it holds above `common`, so it may not begin higher.
if reset ~= 'diverged' and MAX_BACKLOG >= 0 and meta.seq - start > MAX_BACKLOG then
  start, start_id = meta.seq, meta.last
end

return {
  meta.flat, redis.call('ZCARD', MEMBERS), redis.call('HGET', ROLES, UID) or 'member',
  joined, delivered, read, unread, unread > 0 and count_mentions() or 0,
  start_id or id_at(start), reset,
}
