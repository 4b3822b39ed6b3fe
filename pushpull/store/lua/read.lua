-- Read a log forward from a place, and say whether that place is still the log's own. (Uses basics, state, place,
-- page.)
-- KEYS   1 meta  2 members  3 log  4 redacted  5 edits
-- ARGV   1 after (seq)  2 anchor: the log id held at `after`, "": none  3 most entries  4 most bytes of bodies
-- Returns {state, entries (none where diverged or deleted), their edits, verdict,
--         common id ("" unless diverged), "1": more follow}, or nil: no such conversation
local META, MEMBERS, LOG, REDACTED, EDITS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local AFTER, ANCHOR, LIMIT, MAX_BYTES = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local meta = meta_of(META, MEMBERS)
if not meta then return nil end
local verdict, common = 'same', ''
if ANCHOR ~= '' then verdict = verdict_on(ANCHOR, meta, LOG, REDACTED) end
if verdict == 'diverged' then common = common_with(ANCHOR, meta, LOG) end
local from = math.max(AFTER + 1, meta.floor)
if verdict == 'diverged' or verdict == 'deleted' or from > meta.seq then
  return {meta.state, {}, {}, verdict, common, '0'}
end

local function chunk(count, last)
  local start = last and '(' .. last[1] or exact(from)
  return redis.call('XRANGE', LOG, start, '+', 'COUNT', count)
end

local entries, edits, more = page_of(chunk, LIMIT, MAX_BYTES, EDITS)
more = more and string.match(entries[#entries][1], '^%d+') ~= exact(meta.seq)
return {meta.state, entries, edits, verdict, common, more and '1' or '0'}
