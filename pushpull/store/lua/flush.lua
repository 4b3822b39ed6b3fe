-- Move cursors of one conversation forward, of many members at once.
-- A cursor that names a log id moves only if that id is the log's own (or redacted, or below the floor): an ack of a
-- tail that was lost must not mark its successor. A bare seq is clamped to the head. (Uses basics.)
--
-- KEYS   1 meta  2 log  3 members  4 delivered  5 read  6 quiet  7 redacted  8 the bell's channel
-- ARGV   1 "1": ring the bell with where these members stand now, "": don't
--        then for each move 3 values: uid  delivered ("<seq>-<tag>" | "<seq>" | "": does not move)  read (the same)
-- Returns {count, for each move {delivered, read, unread} or nil: nothing moved or not a member},
--         or nil: no such conversation
local META, LOG, MEMBERS, DELIVERED, READ, QUIET, REDACTED, BELL = unpack(KEYS)
local RINGS, STRIDE = ARGV[1] == '1', 3
local MOVES = (#ARGV - 1) / STRIDE

local meta = redis.call('HMGET', META, 'seq', 'floor', 'last', 'count')
if not meta[1] then return nil end
local seq, floor, last = tonumber(meta[1]), tonumber(meta[2]), meta[3]
local any_quiet = redis.call('ZCARD', QUIET) > 0

local function is_the_logs(id, at)
  if at > seq then return false end
  if at < floor or id == last then return true end
  local found = redis.call('XRANGE', LOG, exact(at), exact(at))[1]
  if found then return found[1] == id end
  return redis.call('HGET', REDACTED, exact(at)) == id
end

-- The seq a value means, or false: it means nothing here. Acks of many members name few ids, each is looked up once.
local meant = {[''] = false}
local function seq_meant(value)
  local known = meant[value]
  if known ~= nil then return known end
  local at, dash = string.match(value, '^(%d+)(%-?)')
  at = tonumber(at)
  if dash == '' then known = math.min(at, seq) else known = is_the_logs(value, at) and at end
  meant[value] = known
  return known
end

local quiet_above = {}
local function unread_above(seen)
  if not any_quiet or seen >= seq then return seq - seen end
  if not quiet_above[seen] then quiet_above[seen] = redis.call('ZCOUNT', QUIET, '(' .. exact(seen), '+inf') end
  return seq - seen - quiet_above[seen]
end

local uids = {}
for i = 1, MOVES do uids[i] = ARGV[(i - 1) * STRIDE + 2] end
local was_delivered = redis.call('ZMSCORE', DELIVERED, unpack(uids))
local was_read = redis.call('ZMSCORE', READ, unpack(uids))
local joined = redis.call('ZMSCORE', MEMBERS, unpack(uids))

local score = {}
local function furthest(value, was, moved, uid)
  local at = seq_meant(value)
  if not at or at <= was then return was end
  score[at] = score[at] or exact(at)
  moved[#moved + 1] = score[at]
  moved[#moved + 1] = uid
  return at
end

local results, delivered_moves, read_moves, standing = {}, {}, {}, {}
for i, uid in ipairs(uids) do
  local was_d, was_r = tonumber(was_delivered[i] or ''), tonumber(was_read[i] or '')
  results[i] = false
  if joined[i] and was_d and was_r then
    local at = (i - 1) * STRIDE + 1
    local d = furthest(ARGV[at + 2], was_d, delivered_moves, uid)
    local r = furthest(ARGV[at + 3], was_r, read_moves, uid)
    if RINGS then standing[#standing + 1] = uid .. ' ' .. exact(d) .. ' ' .. exact(r) end
    if d > was_d or r > was_r then
      results[i] = {d, r, unread_above(math.max(r, floor - 1, tonumber(joined[i])))}
    end
  end
end
if #delivered_moves > 0 then redis.call('ZADD', DELIVERED, 'XX', 'GT', unpack(delivered_moves)) end
if #read_moves > 0 then redis.call('ZADD', READ, 'XX', 'GT', unpack(read_moves)) end
if RINGS and #standing > 0 then
  local state = redis.call('HMGET', META, 'epoch', 'mver')
  redis.call('SPUBLISH', BELL, table.concat({'r1', state[1], state[2], unpack(standing)}, ' '))
end
return {tonumber(meta[4]), results}
