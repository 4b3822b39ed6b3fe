-- Shared functions: read entries in chunks until there are enough of them, or enough bytes.

-- A chunk of the largest bodies is 2 MiB, which is what one read may hold beyond its bound.
local CHUNK = 32

local function seq_text(entry) return string.match(entry[1], '^%d+') end

-- The latest edits of `entries`: a list as long as they are, false where there is none.
local function edits_of(entries, edits)
  local seqs = {}
  for i, entry in ipairs(entries) do seqs[i] = seq_text(entry) end
  return redis.call('HMGET', edits, unpack(seqs))
end

-- Read with `chunk(count, last entry or nil)` until `limit` entries or `max_bytes` of bodies, at least one entry.
-- Returns the entries, their edits, and whether it stopped before what `chunk` can give came to its end.
local function page_of(chunk, limit, max_bytes, edits)
  local entries, folded, bytes, last = {}, {}, 0, nil
  local any_edits = redis.call('EXISTS', edits) == 1
  while #entries < limit do
    local count = math.min(CHUNK, limit - #entries)
    local got = chunk(count, last)
    if #got == 0 then return entries, folded, false end
    local latest = any_edits and edits_of(got, edits) or {}
    for i, entry in ipairs(got) do
      local size = #(latest[i] or entry[2][8])
      if #entries > 0 and bytes + size > max_bytes then return entries, folded, true end
      bytes = bytes + size
      entries[#entries + 1] = entry
      folded[#entries] = latest[i] or false
    end
    if #got < count then return entries, folded, false end
    last = got[#got]
  end
  return entries, folded, true
end
