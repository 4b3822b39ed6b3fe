-- Append messages to one conversation's log, in order. Nothing here depends on the number of members.
-- For each item all checks come first and XADD is the first write: Lua does not roll back. (Uses basics, bell, entry,
-- past, take_out.)
--
-- KEYS   1 meta  2 log  3 members  4 roles  5 delivered  6 read  7 quiet  8 mentions  9 redacted  10 edits
--        11 the idempotency bucket of this moment  12 the bucket before it  13 the bell's channel  14 past
-- ARGV   1 idempotency window, ms  2 the number of the bucket in KEYS[11]  3 messages retained by default, 0: all
--        4 messages a second by default  5 number of items; then for each item, 14 values:
--        sender ("": the service)  own ("1": sent with the sender's own token)  cmid  kind  body  quiet ("1")
--        mentions (JSON, "": none)  mention index (",uid,…,", "": none)  ref ("": none)  first_at (ms, "": unknown)
--        digest  tag digest  chain ("": none)  the bell's blob ("": none)
-- Returns {"bucket", b}: the caller named the wrong buckets, b is the right one, nothing was written; or
--         one reply an item: {"ok", id} | {"ok", id, the sender's delivered cursor, count} where the send moved the
--         sender's cursors (its read cursor is the new seq then) | {"dup", id} | {"err", code, detail…}
local META, LOG, MEMBERS, ROLES, DELIVERED, READ = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local QUIET, MENTIONS, REDACTED, EDITS = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local CMIDS, CMIDS_BEFORE, BELL, PAST = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local WINDOW_MS, BUCKET = tonumber(ARGV[1]), tonumber(ARGV[2])
local RETAINED, PER_S, ITEMS, STRIDE = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), 14

-- Trimming is a few µs, so it waits for a multiple of this; `floor` moves at once and hides what waits.
local TRIM_EVERY = 64
-- So many seconds' worth of messages may come at once.
local BURST_S = 5

local function refuse(code, ...) return {'err', code, ...} end

local meta = redis.call('HMGET', META, 'epoch', 'last', 'floor', 'count', 'mver', 'set:retain_messages',
  'set:sends_per_s', 'full_at', 'after')
local epoch, last, floor, count, mver = meta[1], meta[2], tonumber(meta[3]), tonumber(meta[4]), meta[5]
local seq, last_ms = 0, 0
-- When a log before this one under its name was deleted: this one's entries are no older, wherever the clock is.
local after = tonumber(meta[9] or '')
if epoch then
  local last_seq, last_tag = string.match(last, '^(%d+)-(%d+)$')
  seq, last_ms = tonumber(last_seq), math.floor(tonumber(last_tag) / 1024)
  RETAINED = tonumber(meta[6] or '') or RETAINED
  PER_S = tonumber(meta[7] or '') or PER_S
end
local now_ms = now_in_ms()
local ms = math.max(now_ms, last_ms, after or 0)
if epoch and math.floor(ms / WINDOW_MS) ~= BUCKET then
  return {'bucket', math.floor(ms / WINDOW_MS)}
end

-- The conversation's token bucket is one number: when (ms) it will be full again. Further off than an empty one needs,
-- it was written before the clock went back, or under a lower rate, and says nothing: the bucket is full. Taken for an
-- empty one it would stay empty until the clock is there, as a refusal writes nothing.
local INTERVAL_MS = 1000 / PER_S
local ROOM_MS = math.max(1, PER_S * BURST_S) * INTERVAL_MS
local full_at = math.max(tonumber(meta[8] or '') or 0, now_ms)
if full_at > now_ms + ROOM_MS then full_at = now_ms end

local function check_rate()
  local over_ms = full_at + INTERVAL_MS - now_ms - ROOM_MS
  if over_ms > 0.001 then return refuse('rate_limited', exact(math.ceil(over_ms - 0.001))) end
end

-- A sender as it is while this script runs, asked for once: {member (its score, or false), role, delivered}.
local senders = {}
local function sender_of(uid)
  local known = senders[uid]
  if not known then
    known = {member = redis.call('ZSCORE', MEMBERS, uid)}
    if known.member then known.role = redis.call('HGET', ROLES, uid) end
    senders[uid] = known
  end
  return known
end

-- The ids of what was sent under this cmid, if anything: {"dup", id}, a conflict, or nil.
local function stored_before(item)
  local found = redis.call('HGET', CMIDS, item.field) or redis.call('HGET', CMIDS_BEFORE, item.field)
  if not found then return nil end
  local id, digest = string.match(found, '^(%S+) (%S+)$')
  if digest ~= item.digest then return refuse('cmid_conflict', id) end
  return {'dup', id}
end

-- What an edit, a reaction or a redaction refers to: {from, kind, id}, or nil when it is no longer there.
local function target_of(ref)
  if ref < floor then return nil end
  local found = redis.call('XRANGE', LOG, exact(ref), exact(ref))[1]
  if not found then return nil end
  return {from = found[2][2], kind = found[2][6], id = found[1]}
end

local function check_edit(item, target)
  if target.from ~= item.sender then return refuse('not_allowed', 'edit') end
  if target.kind == 'edit' or target.kind == 'redact' or target.kind == 'reaction' then
    return refuse('invalid', target.kind)
  end
end

local function check_redact(item, target, role)
  if target.kind == 'edit' or target.kind == 'redact' then return refuse('invalid', target.kind) end
  if item.own and target.from ~= item.sender and role ~= 'moderator' then return refuse('not_allowed', 'redact') end
end

local function check_ref(item, role)
  local needs_target = item.kind == 'edit' or item.kind == 'reaction' or item.kind == 'redact'
  if not item.ref then
    if needs_target then return refuse('invalid', 'ref') end
    return nil
  end
  if item.ref < 1 or item.ref > seq then return refuse('no_such_message', exact(seq)) end
  if not needs_target then return nil end
  item.target = target_of(item.ref)
  if not item.target then return refuse('no_such_message', exact(seq)) end
  if item.kind == 'edit' then return check_edit(item, item.target) end
  if item.kind == 'redact' then return check_redact(item, item.target, role) end
end

-- An error, a duplicate, or nil: the item may be written. A duplicate is found before anything that may have
-- changed since it was stored, so that a retry always gets the same answer.
local function check(item)
  if not epoch then return refuse('no_such_conversation') end
  local role
  if item.own then
    local sender = sender_of(item.sender)
    if not sender.member then return refuse('not_a_member') end
    role = sender.role
    if role == 'reader' then return refuse('not_allowed', 'reader') end
  end
  local known = stored_before(item)
  if known then return known end
  -- It was written for the one that was deleted, of which nothing may come back.
  if item.first_at and after and item.first_at < after then return refuse('no_such_conversation', 'deleted') end
  if item.first_at and now_ms - item.first_at > WINDOW_MS then
    return refuse('cmid_expired', exact(now_ms - item.first_at))
  end
  return check_ref(item, role) or check_rate()
end

-- A sender has read what it sends; it has been delivered only if nothing before it is still missing.
-- Returns its delivered cursor after that.
local function move_senders_cursors(item, was, at)
  redis.call('ZADD', READ, 'XX', 'GT', at, item.sender)
  local sender = sender_of(item.sender)
  if not sender.delivered then sender.delivered = tonumber(redis.call('ZSCORE', DELIVERED, item.sender) or '0') end
  if sender.delivered == was then
    redis.call('ZADD', DELIVERED, 'XX', 'GT', at, item.sender)
    sender.delivered = seq
  end
  return sender.delivered
end

local function fold_edit(item)
  put_edit(EDITS, exact(item.ref), last, item.body)
  redis.call('HINCRBY', META, 'rev', 1)
end

local function redact(item)
  take_out(item.target.id, LOG, REDACTED, EDITS, MENTIONS)
  redis.call('HINCRBY', META, 'rev', 1)
end

local function trim()
  redis.call('XTRIM', LOG, 'MINID', '~', exact(floor))
  redis.call('ZREMRANGEBYSCORE', QUIET, '-inf', '(' .. exact(floor))
  redis.call('ZREMRANGEBYSCORE', MENTIONS, '-inf', '(' .. exact(floor))
end

-- A sender that a server named, and whoever is mentioned, need be no members. (Each is looked up once a call.)
local strangers
local function note_stranger(uid, at)
  strangers = strangers or {['*'] = false}
  local stranger = strangers[uid]
  if stranger == nil then
    stranger = not redis.call('ZSCORE', MEMBERS, uid)
    strangers[uid] = stranger
  end
  if stranger then remember_past(PAST, at, {uid}) end
end

local expires = false -- whether the bucket is known to
local function remember_cmid(item)
  redis.call('HSET', CMIDS, item.field, last .. ' ' .. item.digest)
  if expires then return end
  -- A log that is ahead of the clock, which went back, fills one bucket for as long as that lasts.
  if ms > now_ms or redis.call('HLEN', CMIDS) == 1 then redis.call('PEXPIRE', CMIDS, exact(2 * WINDOW_MS)) end
  expires = true
end

local function write(item)
  local was, prev = seq, last
  local id = exact(seq + 1) .. '-' .. exact(ms * 1024 + item.tag_digest)
  redis.call('XADD', LOG, id, unpack(fields_of(item, item.ref and exact(item.ref))))
  seq, last, full_at = seq + 1, id, full_at + INTERVAL_MS
  if not item.quiet then count = count + 1 end
  if RETAINED > 0 then floor = math.max(floor, seq - RETAINED + 1) end
  local at, low, total = exact(seq), exact(floor), exact(count)
  redis.call('HSET', META, 'seq', at, 'last', last, 'floor', low, 'count', total, 'full_at', full_at)
  remember_cmid(item)
  if item.quiet then redis.call('ZADD', QUIET, at, at) end
  if item.mention_index ~= '' then redis.call('ZADD', MENTIONS, at, at .. ' ' .. item.mention_index) end
  if not item.own and item.sender ~= '' then note_stranger(item.sender, at) end
  if item.mentions ~= '' then
    for uid in string.gmatch(item.mentions, '"([^"]+)"') do note_stranger(uid, at) end
  end
  local delivered = item.own and not item.quiet and move_senders_cursors(item, was, at)
  if item.kind == 'edit' then fold_edit(item) end
  if item.kind == 'redact' then redact(item) end
  if floor > 1 and seq % TRIM_EVERY == 0 then trim() end
  ring(BELL, id, prev, epoch, mver, low, total, item.blob)
  if delivered then return {'ok', id, exact(delivered), total} end
  return {'ok', id}
end

local function item_at(at)
  local sender, cmid = ARGV[at], ARGV[at + 2]
  return {
    sender = sender,
    own = ARGV[at + 1] == '1',
    cmid = cmid,
    kind = ARGV[at + 3],
    body = ARGV[at + 4],
    quiet = ARGV[at + 5] == '1',
    mentions = ARGV[at + 6],
    mention_index = ARGV[at + 7],
    ref = tonumber(ARGV[at + 8]),
    first_at = tonumber(ARGV[at + 9]),
    digest = ARGV[at + 10],
    tag_digest = tonumber(ARGV[at + 11]),
    chain = ARGV[at + 12],
    blob = ARGV[at + 13],
    field = sender .. '/' .. cmid,
  }
end

local replies, broken = {}, {}
for i = 1, ITEMS do
  local item = item_at(6 + (i - 1) * STRIDE)
  local reply
  if item.chain ~= '' and broken[item.chain] then
    reply = refuse('store_unavailable')
  else
    reply = check(item) or write(item)
  end
  if reply[1] == 'err' and item.chain ~= '' then broken[item.chain] = true end
  replies[i] = reply
end
return replies
