-- Take what a user sent out of a log, a piece of it at a time, as single redactions do: each entry goes with its edits,
-- and a quiet `redact` of the service's own says so to the devices. The bell rings once, for all of them. The floor
-- stays: it moves with the next message. (Uses basics, bell, take_out.)
-- KEYS   1 meta  2 log  3 quiet  4 mentions  5 redacted  6 edits  7 the bell's channel
-- ARGV   1 uid  2 from which seq  3 most entries to look at  4 most bytes of them (at least one chunk)
-- Returns {the seq to go on from, 0: that was all; how many entries went}, or nil: no such conversation
local META, LOG, QUIET, MENTIONS, REDACTED, EDITS, BELL = unpack(KEYS)
local UID, FROM, MOST, MOST_BYTES = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local CHUNK, TAG_MS = 32, 1024

local meta = redis.call('HMGET', META, 'epoch', 'last', 'floor', 'count', 'mver')
local epoch, last, floor, count, mver = unpack(meta)
if not epoch then return nil end
local before = last
local seq, last_ms = string.match(last, '^(%d+)-(%d+)$')
seq, last_ms = tonumber(seq), math.floor(tonumber(last_ms) / TAG_MS)
local head, ms = seq, math.max(now_in_ms(), last_ms)

local function append_redact(ref)
  seq = seq + 1
  last = exact(seq) .. '-' .. exact(ms * TAG_MS + ref % TAG_MS)
  redis.call('XADD', LOG, last, 'from', '', 'cmid', 'redact:' .. exact(ref), 'kind', 'redact', 'body', 'null',
    'quiet', '1', 'ref', exact(ref))
  redis.call('ZADD', QUIET, exact(seq), exact(seq))
end

local taken, out = {}, 0
local function redact(id, kind, ref)
  for _, each in ipairs(take_out(id, LOG, REDACTED, EDITS, MENTIONS)) do
    taken[each] = true
    out = out + 1
  end
  -- An edit that is met by itself has outlived the message that devices know with its words: they lose that.
  append_redact(kind == 'edit' and ref or tonumber(string.match(id, '^%d+')))
end

local function ref_of(fields)
  for i = 9, #fields, 2 do
    if fields[i] == 'ref' then return tonumber(fields[i + 1]) end
  end
end

local function entries_from(start) return redis.call('XRANGE', LOG, start, exact(head), 'COUNT', CHUNK) end

local start, looked, bytes, more = exact(math.max(FROM, tonumber(floor))), 0, 0, true
while more and looked < MOST and bytes < MOST_BYTES do
  local entries = entries_from(start)
  for _, entry in ipairs(entries) do
    local id, fields = entry[1], entry[2]
    looked, bytes = looked + 1, bytes + #fields[8]
    if fields[2] == UID and fields[6] ~= 'redact' and not taken[id] then redact(id, fields[6], ref_of(fields)) end
    start = exact(tonumber(string.match(id, '^%d+')) + 1)
  end
  more = #entries == CHUNK
end
if seq > head then
  redis.call('HSET', META, 'seq', exact(seq), 'last', last)
  redis.call('HINCRBY', META, 'rev', 1)
  ring(BELL, last, before, epoch, mver, floor, count, '')
end
return {more and tonumber(start) or 0, out}
