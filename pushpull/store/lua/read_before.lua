-- Read a log backward. (Uses basics, state, page.)
-- KEYS   1 meta  2 members  3 log  4 edits
-- ARGV   1 before (seq, "": from the head)  2 the oldest seq the reader may see  3 most entries  4 most bytes of bodies
-- Returns {state, entries (newest first), their edits, "1": older ones exist},
--         or nil: no such conversation
local META, MEMBERS, LOG, EDITS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local BEFORE, OLDEST, LIMIT, MAX_BYTES = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local fields, settings = fields_of(META)
if not fields then return nil end
local oldest = exact(math.max(tonumber(fields.floor), OLDEST))
local newest = BEFORE and exact(math.max(BEFORE - 1, 0)) or '+'

local function chunk(count, last)
  return redis.call('XREVRANGE', LOG, last and '(' .. last[1] or newest, oldest, 'COUNT', count)
end

local entries, edits, more = page_of(chunk, LIMIT, MAX_BYTES, EDITS)
more = more and #redis.call('XREVRANGE', LOG, '(' .. entries[#entries][1], oldest, 'COUNT', 1) > 0
return {state_of(fields, settings, MEMBERS), entries, edits, more and '1' or '0'}
