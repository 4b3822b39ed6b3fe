-- Remove members from a conversation, with all that is kept for them in it. (Uses basics, bell, past.)
-- KEYS   1 meta  2 members  3 roles  4 delivered  5 read  6 pending  7 the bell's channel  8 told
--        9 prefs  10 past
-- ARGV   the uids (at most 2,000)
-- Returns {members now, {uid of each who was removed}}, or {"err", "no_such_conversation"}
local META, MEMBERS, ROLES, DELIVERED, READ, PENDING, BELL, TOLD, PREFS, PAST = unpack(KEYS)

local meta = redis.call('HMGET', META, 'last', 'epoch', 'floor', 'count')
if not meta[1] then return {'err', 'no_such_conversation'} end
local joined = redis.call('ZMSCORE', MEMBERS, unpack(ARGV))
local head = tonumber(string.match(meta[1], '^%d+'))
local removed, is_removed, named = {}, {}, {}
for i, uid in ipairs(ARGV) do
  if joined[i] and not is_removed[uid] then
    removed[#removed + 1] = uid
    is_removed[uid] = true
    if tonumber(joined[i]) < head then named[#named + 1] = uid end -- else it cannot have said anything
  end
end
if #named > 0 then remember_past(PAST, exact(head), named) end
if #removed > 0 then
  redis.call('ZREM', MEMBERS, unpack(removed))
  redis.call('HDEL', ROLES, unpack(removed))
  redis.call('ZREM', DELIVERED, unpack(removed))
  redis.call('ZREM', READ, unpack(removed))
  redis.call('ZREM', TOLD, unpack(removed))
  redis.call('HDEL', PREFS, unpack(removed))
  for _, field in ipairs(redis.call('HKEYS', PENDING)) do
    if is_removed[string.match(field, '^%S+')] then redis.call('HDEL', PENDING, field) end
  end
  redis.call('HINCRBY', META, 'removals', 1)
  ring_changed(BELL, meta, redis.call('HINCRBY', META, 'mver', 1))
end
return {redis.call('ZCARD', MEMBERS), removed}
