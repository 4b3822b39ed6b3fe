-- Add members to a conversation, or change the roles of those who are in it already.
-- A new member joins at the head and has its cursors there; one who is a member keeps both. (Uses bell.)
--
-- KEYS   1 meta  2 members  3 roles  4 delivered  5 read  6 the bell's channel
-- ARGV   1 most members allowed, then uid and role of each (at most 2,000: Lua's unpack ends near 8,000)
-- Returns {members now, roles changed, {uid of each who was added}}, or {"err", code, members}
local META, MEMBERS, ROLES, DELIVERED, READ, BELL = unpack(KEYS)
local MOST = tonumber(ARGV[1])

local head = redis.call('HGET', META, 'seq')
if not head then return {'err', 'no_such_conversation'} end
local uids, roles = {}, {}
for i = 2, #ARGV, 2 do
  uids[#uids + 1] = ARGV[i]
  roles[#roles + 1] = ARGV[i + 1]
end
local joined = redis.call('ZMSCORE', MEMBERS, unpack(uids))
local had = redis.call('HMGET', ROLES, unpack(uids))

local added, seeds, set_roles, drop_roles, updated = {}, {}, {}, {}, 0
for i, uid in ipairs(uids) do
  local is_new, had_role = not joined[i], had[i] or 'member'
  if is_new then
    added[#added + 1] = uid
    seeds[#seeds + 1] = head
    seeds[#seeds + 1] = uid
  elseif had_role ~= roles[i] then
    updated = updated + 1
  end
  if had_role ~= roles[i] and roles[i] == 'member' then
    drop_roles[#drop_roles + 1] = uid
  elseif had_role ~= roles[i] then
    set_roles[#set_roles + 1] = uid
    set_roles[#set_roles + 1] = roles[i]
  end
end
local members = redis.call('ZCARD', MEMBERS)
if #added > 0 and members + #added > MOST then return {'err', 'limit_reached', members} end
if #added > 0 then
  redis.call('ZADD', MEMBERS, 'NX', unpack(seeds))
  redis.call('ZADD', DELIVERED, 'NX', unpack(seeds))
  redis.call('ZADD', READ, 'NX', unpack(seeds))
end
if #set_roles > 0 then redis.call('HSET', ROLES, unpack(set_roles)) end
if #drop_roles > 0 then redis.call('HDEL', ROLES, unpack(drop_roles)) end
if #added + updated > 0 then
  local mver = redis.call('HINCRBY', META, 'mver', 1)
  ring_changed(BELL, redis.call('HMGET', META, 'last', 'epoch', 'floor', 'count'), mver)
end
return {members + #added, updated, added}
