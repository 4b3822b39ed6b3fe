-- A conversation as some of its members see it, and where a device of each begins. (Uses basics, state,
-- place.)
-- Each device has just said where it stands, so what was noted as pending for it is dropped; and where the log knows
-- that place, the member's delivered cursor moves up to it: the acks for it were lost with an earlier connection.
--
-- What many need is asked once, so that a member costs next to nothing beside the first.
--
-- KEYS   1 meta  2 members  3 log  4 redacted  5 roles  6 delivered  7 read  8 quiet  9 mentions  10 pending
--        11 prefs
-- ARGV   for each device 5 values: uid  device ("": none)  position (log id, "": it names none)
--        where a device that names none begins: delivered | all | head  largest backlog (-1: any)
-- Returns {state, for each device {role, joined, delivered, read, unread, mentions, start id,
--         reset ("": none; "deleted": the position is of a log that was deleted, and counts as none), delivered before,
--         prefs (nil: none)} or nil: not a member}, or nil: no such conversation
local META, MEMBERS, LOG, REDACTED, ROLES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local DELIVERED, READ, QUIET, MENTIONS, PENDING, PREFS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local STRIDE = 5

-- More mentions than this are not counted one by one.
local MOST_MENTIONS = 1000

local meta = meta_of(META, MEMBERS)
if not meta then return nil end

local uids, noted = {}, {}
for at = 1, #ARGV, STRIDE do
  uids[#uids + 1] = ARGV[at]
  if ARGV[at + 1] ~= '' then noted[#noted + 1] = ARGV[at] .. ' ' .. ARGV[at + 1] end
end
local joined_of = redis.call('ZMSCORE', MEMBERS, unpack(uids))
local delivered_of = redis.call('ZMSCORE', DELIVERED, unpack(uids))
local read_of = redis.call('ZMSCORE', READ, unpack(uids))
local role_of = redis.call('HMGET', ROLES, unpack(uids))
-- Most conversations have none of these: then they are asked about once, and not each.
local plain = redis.call('EXISTS', QUIET, MENTIONS, PENDING, PREFS) == 0
local prefs_of = plain and {} or redis.call('HMGET', PREFS, unpack(uids))

local function count_mentions(uid, above)
  local found = 0
  for _, who in ipairs(redis.call('ZREVRANGEBYSCORE', MENTIONS, '+inf', above, 'LIMIT', 0, MOST_MENTIONS)) do
    if string.find(who, ',' .. uid .. ',', 1, true) or string.find(who, ',*,', 1, true) then found = found + 1 end
  end
  return found
end

-- Unread messages above `seen`, and how many of them mention the member.
local function unread_above(seen, uid)
  local unread, above = meta.seq - seen, '(' .. exact(seen)
  if plain or unread <= 0 then return unread, 0 end
  unread = unread - redis.call('ZCOUNT', QUIET, above, '+inf')
  return unread, unread > 0 and count_mentions(uid, above) or 0
end

local function id_at(seq)
  if seq == 0 then return '0-0' end
  if seq == meta.seq then return meta.last end
  return known_id(LOG, REDACTED, seq) or (exact(seq) .. '-0')
end

-- The lowest place a member may begin at.
local function base_of(joined)
  local base = meta.floor - 1
  if meta.history == '"joined"' then base = math.max(base, joined) end
  return math.min(base, meta.seq)
end

local verdicts = {}
local function verdict_of(position)
  if position == meta.last then return 'same' end
  verdicts[position] = verdicts[position] or verdict_on(position, meta, LOG, REDACTED)
  return verdicts[position]
end

local function unnamed_start(from, base, delivered)
  if from == 'all' then return base end
  if from == 'head' then return meta.seq end
  return math.max(base, math.min(delivered, meta.seq))
end

-- Returns the seq to begin at, its id where it is known already, and the reason of a reset.
local function named_start(position, from, base, delivered)
  local verdict = verdict_of(position)
  if verdict == 'deleted' then return unnamed_start(from, base, delivered), nil, 'deleted' end
  if verdict == 'diverged' then
    local common = common_with(position, meta, LOG)
    local seq = tonumber(string.match(common, '^%d+'))
    if seq < base then return base, nil, 'diverged' end
    return seq, common, 'diverged'
  end
  local seq = tonumber(string.match(position, '^%d+'))
  if verdict == 'trimmed' or seq < base then return base, nil, 'trimmed' end
  return seq, position, ''
end

local moves, moved_to = {}, {}
local function row(at, uid, role, joined, delivered, read, prefs)
  local position, from, most = ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local start, start_id, reset
  local before = delivered
  if position == '' then
    start, reset = unnamed_start(from, base_of(joined), delivered), ''
  else
    start, start_id, reset = named_start(position, from, base_of(joined), delivered)
    if reset == '' and start > delivered then
      delivered, moved_to[uid] = start, start
      moves[#moves + 1] = exact(start)
      moves[#moves + 1] = uid
    end
  end
  -- A diverged device must throw away what it holds above `common`, so it may not begin higher.
  if reset ~= 'diverged' and most >= 0 and meta.seq - start > most then
    start, start_id = meta.seq, meta.last
  end
  local unread, mentions = unread_above(math.max(read, meta.floor - 1, joined), uid)
  return {role, joined, delivered, read, unread, mentions, start_id or id_at(start), reset, before, prefs or false}
end

local rows = {}
for i, uid in ipairs(uids) do
  local joined = tonumber(joined_of[i] or '')
  local delivered = moved_to[uid] or tonumber(delivered_of[i] or joined)
  rows[i] = joined
    and row((i - 1) * STRIDE + 1, uid, role_of[i] or 'member', joined, delivered, tonumber(read_of[i] or joined),
      prefs_of[i])
    or false
end
if not plain and #noted > 0 and redis.call('EXISTS', PENDING) == 1 then
  redis.call('HDEL', PENDING, unpack(noted))
end
if #moves > 0 then redis.call('ZADD', DELIVERED, 'XX', 'GT', unpack(moves)) end
return {meta.state, rows}
