-- The next members, in cursor order, who are behind, with what decides whether each is notified. (Uses basics,
-- state, rank.)
-- KEYS   1 meta  2 members  3 the cursor that counts: read or delivered  4 read  5 told (uid → the head of its last
--        notification)  6 prefs  7 quiet  8 mentions  9 claim  10 log
-- ARGV   1 behind what (seq, "": the newest message that is old enough)  2 score and  3 uid of the last one seen (uid "": from the start)
--        4 most rows (at most 1,000)  5 the age from which a message counts, ms
-- Returns {state, now (ms), behind what, newest message up to there that is not quiet (0: not known),
--         1 where a claim is open, rows: uid, unread, mentioned (1), told (1: has not seen its last notification yet),
--         prefs (""), …, score and uid to go on after (uid "": that was all)}, or nil: no such conversation
local META, MEMBERS, CURSOR, READ, TOLD, PREFS, QUIET, MENTIONS, CLAIM, LOG = unpack(KEYS)
local UPTO, LAST_SCORE, LAST_UID, LIMIT = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local AGE_MS = tonumber(ARGV[5])
local WIDTH = 5
-- A newest message further ahead than this is no young one: the clock was turned back, and tells no age.
local AHEAD_MS = 1000
-- More messages with mentions than this are not looked through, nor more quiet ones at the end of the log.
local MOST_MENTIONS, MOST_QUIET = 1000, 16

local meta, settings = fields_of(META)
if not meta then return nil end
local seq, floor = tonumber(meta.seq), tonumber(meta.floor)
local now = now_in_ms()

local function ms_of(id) return math.floor(tonumber(string.match(id, '-(%d+)$')) / 1024) end

-- The seq below the first message that is too young; by halving, as the times only grow.
local function old_enough()
  local young_ms, last_ms = now - AGE_MS, ms_of(meta.last)
  if last_ms <= young_ms or last_ms > now + AHEAD_MS then return seq end
  local low, high = floor, seq
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('XRANGE', LOG, exact(middle), exact(high), 'COUNT', 1)[1]
    if entry and ms_of(entry[1]) <= young_ms then low = middle + 1 else high = middle end
  end
  return low - 1
end
local upto = math.min(UPTO or old_enough(), seq)

local from = LAST_UID == '' and 0 or rank_after(CURSOR, LAST_SCORE, LAST_UID)
local found = redis.call('ZRANGE', CURSOR, from, from + LIMIT - 1, 'WITHSCORES')
while #found > 0 and tonumber(found[#found]) >= upto do
  found[#found] = nil
  found[#found] = nil
end
local uids, at = {}, {}
for i = 1, #found, 2 do
  uids[#uids + 1] = found[i]
  at[#at + 1] = tonumber(found[i + 1])
end

local function newest()
  for s = upto, math.max(floor, upto - MOST_QUIET), -1 do
    if not redis.call('ZSCORE', QUIET, exact(s)) then return s end
  end
  return 0
end

-- The seq of the newest message above `above` that mentions each; "*": everybody.
local function mentions_above(above)
  local latest = {}
  if redis.call('EXISTS', MENTIONS) == 0 then return latest end
  local entries = redis.call('ZREVRANGEBYSCORE', MENTIONS, exact(upto), '(' .. exact(above), 'LIMIT', 0, MOST_MENTIONS)
  for _, entry in ipairs(entries) do
    local mentioned_at, who = string.match(entry, '^(%d+) (.*)$')
    for name in string.gmatch(who, '[^,]+') do latest[name] = latest[name] or tonumber(mentioned_at) end
  end
  return latest
end

local any_quiet, quiet_above = redis.call('EXISTS', QUIET) == 1, {}
local function unread_above(seen)
  if not any_quiet then return upto - seen end
  if not quiet_above[seen] then quiet_above[seen] = redis.call('ZCOUNT', QUIET, '(' .. exact(seen), exact(upto)) end
  return upto - seen - quiet_above[seen]
end

local rows = {}
if #uids > 0 then
  local joined = redis.call('ZMSCORE', MEMBERS, unpack(uids))
  local read = redis.call('ZMSCORE', READ, unpack(uids))
  local told = redis.call('ZMSCORE', TOLD, unpack(uids))
  local prefs = redis.call('HMGET', PREFS, unpack(uids))
  local seen, lowest = {}, upto
  for i = 1, #uids do
    seen[i] = math.min(upto, math.max(tonumber(read[i] or '') or 0, tonumber(joined[i] or '') or 0, floor - 1))
    lowest = math.min(lowest, seen[i])
  end
  local latest = mentions_above(lowest)
  local everybody = latest['*'] or 0
  for i, uid in ipairs(uids) do
    local told_at = tonumber(told[i] or '') or 0
    local n = (i - 1) * WIDTH
    rows[n + 1], rows[n + 2] = uid, unread_above(seen[i])
    rows[n + 3] = math.max(latest[uid] or 0, everybody) > seen[i] and 1 or 0
    -- A notification up to what the log has lost since was for other messages.
    rows[n + 4] = told_at > at[i] and told_at <= seq and 1 or 0
    rows[n + 5] = prefs[i] or ''
  end
end
local more = #uids == LIMIT
return {
  state_of(meta, settings, MEMBERS), now, upto, newest(), redis.call('EXISTS', CLAIM),
  rows, more and exact(at[#at]) or '0', more and uids[#uids] or '',
}
