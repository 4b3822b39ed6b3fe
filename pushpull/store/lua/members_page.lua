-- A page of members in the order they joined (then by uid), with their roles and cursors. (Uses rank.)
-- KEYS   1 meta  2 members  3 roles  4 delivered  5 read
-- ARGV   1 the uid the page before ended with ("": the first page)  2 the head it joined at ("": not known)
--        3 most rows (at most 2,000)
-- Returns {uids, joined, roles (nil: member), delivered, read}, or {"err", code}
local META, MEMBERS, ROLES, DELIVERED, READ = unpack(KEYS)
local AFTER, JOINED, LIMIT = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

if redis.call('EXISTS', META) == 0 then return {'err', 'no_such_conversation'} end

local from = 0
if AFTER ~= '' and JOINED then
  from = rank_after(MEMBERS, JOINED, AFTER)
elseif AFTER ~= '' then
  local rank = redis.call('ZRANK', MEMBERS, AFTER)
  if not rank then return {'err', 'invalid'} end
  from = rank + 1
end
local uids = redis.call('ZRANGE', MEMBERS, from, from + LIMIT - 1)
if #uids == 0 then return {{}, {}, {}, {}, {}} end
return {
  uids, redis.call('ZMSCORE', MEMBERS, unpack(uids)), redis.call('HMGET', ROLES, unpack(uids)),
  redis.call('ZMSCORE', DELIVERED, unpack(uids)), redis.call('ZMSCORE', READ, unpack(uids)),
}
