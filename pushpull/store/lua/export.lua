-- A page of a log for whoever takes it elsewhere: as it was sent, with what is not there any more. (Uses basics, page.)
-- KEYS   1 meta  2 log  3 redacted  4 edits  5 quiet
-- ARGV   1 the first seq  2 the last seq of all that is taken  3 most seqs (at most 2,000)  4 most bytes of bodies
-- Returns {epoch, floor, the seq the page ends at, entries, their latest edits up to ARGV[2] (false: none),
--         seqs without an entry, their log ids (false: not known), their places among the quiet (false: not quiet)},
--         or nil: no such conversation
local META, LOG, REDACTED, EDITS, QUIET = unpack(KEYS)
local FROM, UPTO, MOST, MAX_BYTES = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local meta = redis.call('HMGET', META, 'epoch', 'floor')
if not meta[1] then return nil end
local from = math.max(FROM, tonumber(meta[2]))
local ends = math.min(from + MOST - 1, UPTO)
if from > ends then return {meta[1], meta[2], exact(ends), {}, {}, {}, {}, {}} end

local function chunk(count, last)
  return redis.call('XRANGE', LOG, last and '(' .. last[1] or exact(from), exact(ends), 'COUNT', count)
end

-- The latest edit that is among what is taken: a later one may have come since.
local function edit_within(entry, edit)
  if not edit or tonumber(string.match(edit, '^%d+')) <= UPTO then return edit end
  local found = false
  for id in string.gmatch(redis.call('HGET', EDITS, seq_text(entry) .. ':ids') or '', '%S+') do
    if tonumber(string.match(id, '^%d+')) <= UPTO then found = id end
  end
  local stored = found and redis.call('XRANGE', LOG, found, found)[1]
  return stored and found .. ' ' .. stored[2][8]
end

local entries, edits, more = page_of(chunk, MOST, MAX_BYTES, EDITS)
if more then ends = tonumber(seq_text(entries[#entries])) end
local there, holes = {}, {}
for i, entry in ipairs(entries) do
  there[tonumber(seq_text(entry))] = true
  edits[i] = edit_within(entry, edits[i])
end
for seq = from, ends do
  if not there[seq] then holes[#holes + 1] = exact(seq) end
end
if #holes == 0 then return {meta[1], meta[2], exact(ends), entries, edits, {}, {}, {}} end
return {
  meta[1], meta[2], exact(ends), entries, edits,
  holes, redis.call('HMGET', REDACTED, unpack(holes)), redis.call('ZMSCORE', QUIET, unpack(holes)),
}
