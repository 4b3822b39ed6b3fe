-- Shared functions: a message as an entry of the log, and an edit beside it. Sender, kind and body are read by their
-- places (2, 6, 8) elsewhere.

-- `message` has sender, cmid, kind, body, quiet, mentions ('': none); `ref`: the seq it refers to, as text; false or
-- nil: to none.
local function fields_of(message, ref)
  local fields = {'from', message.sender, 'cmid', message.cmid, 'kind', message.kind, 'body', message.body}
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if message.quiet then add('quiet', '1') end
  if message.mentions ~= '' then add('mentions', message.mentions) end
  if ref then add('ref', ref) end
  return fields
end

-- The latest body of the message at `ref` (its seq, as text), and the ids of all its edits, which go when it goes.
local function put_edit(edits, ref, id, body)
  local ids = redis.call('HGET', edits, ref .. ':ids')
  redis.call('HSET', edits, ref, id .. ' ' .. body, ref .. ':ids', (ids and ids .. ' ' or '') .. id)
end
