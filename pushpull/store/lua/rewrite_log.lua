-- Write a log anew without a user's name, a piece at a time: the same entries under the same ids, but for who took a
-- message away and who is mentioned. An entry that was deleted from a stream stays in its bytes; in the copy it never
-- was. What is redacted meanwhile goes from the copy when it comes to the `redact` that says so. When it has all that the
-- log has, it takes the log's place. (Uses basics.)
-- KEYS   1 log  2 copy  3 meta  4 the edits that were copied: seq → their ids
-- ARGV   1 uid  2 most entries to copy  3 most bytes of them (at least one chunk)  4 ms after which a copy that nobody
--        goes on with is gone
-- Returns "more" | "again" (entries went and nothing says so: the copy is begun anew) | "done"
local LOG, COPY, META, COPIED_EDITS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local UID, MOST, MOST_BYTES, EXPIRES_MS = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local CHUNK, QUOTED = 32, '"' .. ARGV[1] .. '"'

local function without(mentions)
  local rest = {}
  for name in string.gmatch(mentions, '"([^"]+)"') do
    if name ~= UID then rest[#rest + 1] = '"' .. name .. '"' end
  end
  return #rest > 0 and '[' .. table.concat(rest, ',') .. ']' or nil
end

local function anew(fields)
  if fields[2] == UID and fields[6] == 'redact' then fields[2] = '' end
  for i = 9, #fields, 2 do
    if fields[i] == 'mentions' and string.find(fields[i + 1], QUOTED, 1, true) then
      local rest = without(fields[i + 1])
      if rest then
        fields[i + 1] = rest
      else
        table.remove(fields, i)
        table.remove(fields, i)
      end
      break
    end
  end
  return fields
end

local function field_of(flat, name)
  for i = 1, #flat, 2 do
    if flat[i] == name then return flat[i + 1] end
  end
end

local function note_edit(id, ref)
  local ids = redis.call('HGET', COPIED_EDITS, ref)
  redis.call('HSET', COPIED_EDITS, ref, (ids and ids .. ' ' or '') .. id)
end

local function take_back(ref)
  local target = redis.call('XRANGE', COPY, ref, ref)[1]
  if target then redis.call('XDEL', COPY, target[1]) end
  for id in string.gmatch(redis.call('HGET', COPIED_EDITS, ref) or '', '%S+') do redis.call('XDEL', COPY, id) end
  redis.call('HDEL', COPIED_EDITS, ref)
end

local function copy_entry(id, fields)
  redis.call('XADD', COPY, id, unpack(anew(fields)))
  local kind = fields[6]
  if kind == 'edit' then note_edit(id, field_of(fields, 'ref')) end
  if kind == 'redact' then take_back(field_of(fields, 'ref')) end
end

local floor = redis.call('HGET', META, 'floor')
if not floor or redis.call('XLEN', LOG) == 0 then
  redis.call('UNLINK', COPY, COPIED_EDITS)
  return 'done'
end

local copied = redis.call('XREVRANGE', COPY, '+', '-', 'COUNT', 1)[1]
local start, entries, bytes = copied and '(' .. copied[1] or '-', 0, 0
while true do
  local chunk = redis.call('XRANGE', LOG, start, '+', 'COUNT', CHUNK)
  for _, entry in ipairs(chunk) do
    copy_entry(entry[1], entry[2])
    entries, bytes, start = entries + 1, bytes + #entry[2][8], '(' .. entry[1]
  end
  redis.call('PEXPIRE', COPY, EXPIRES_MS)
  redis.call('PEXPIRE', COPIED_EDITS, EXPIRES_MS)
  if #chunk < CHUNK then break end
  if entries >= MOST or bytes >= MOST_BYTES then return 'more' end
end

redis.call('UNLINK', COPIED_EDITS)
redis.call('XTRIM', LOG, 'MINID', exact(tonumber(floor)))
redis.call('XTRIM', COPY, 'MINID', exact(tonumber(floor)))
if redis.call('XLEN', LOG) ~= redis.call('XLEN', COPY) then
  redis.call('UNLINK', COPY)
  return 'again'
end
local info = redis.call('XINFO', 'STREAM', LOG)
redis.call('UNLINK', LOG)
redis.call('RENAME', COPY, LOG)
redis.call('PERSIST', LOG)
redis.call('XSETID', LOG, field_of(info, 'last-generated-id'), 'ENTRIESADDED', field_of(info, 'entries-added'),
  'MAXDELETEDID', field_of(info, 'max-deleted-entry-id'))
redis.call('HINCRBY', META, 'rev', 1)
return 'done'
