-- Shared functions: take a message out of a log.

-- And each edit of it: they carry bodies of the same message. Returns their ids, the message's first.
local function take_out(id, log, redacted, edits, mentions)
  local field = string.match(id, '^%d+')
  local gone = {id}
  for edit in string.gmatch(redis.call('HGET', edits, field .. ':ids') or '', '%S+') do gone[#gone + 1] = edit end
  for _, each in ipairs(gone) do
    redis.call('HSET', redacted, string.match(each, '^%d+'), each)
    redis.call('XDEL', log, each)
  end
  redis.call('HDEL', edits, field, field .. ':ids')
  redis.call('ZREMRANGEBYSCORE', mentions, field, field)
  return gone
end
