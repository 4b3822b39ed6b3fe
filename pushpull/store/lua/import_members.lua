-- Add members to a conversation that is being imported; those that are there already are compared. (Uses basics.)
-- What is refused ends the call; the lines before it stay.
--
-- KEYS   1 the import  2 members  3 roles  4 delivered  5 read  6 prefs  7 past, all kept apart
-- ARGV   1 the import's number  2 how many members came before these  3 how long it is kept, ms
--        then for each 6 values: uid  role  joined  delivered  read  prefs ("": none)
-- Returns {members that are new} | {members that are new, code, the line of these it is about}:
--         code "lost": these do not follow what is kept | "differs" | "twice"
local IMPORT, MEMBERS, ROLES, DELIVERED, READ, PREFS, PAST = unpack(KEYS)
local NUMBER, BEFORE, KEPT_MS = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local FIRST, STRIDE = 4, 6

local state = redis.call('HMGET', IMPORT, 'number', 'members')
if state[1] ~= NUMBER or tonumber(state[2]) < BEFORE then return {0, 'lost', 1} end
local members = tonumber(state[2])

local function differs(uid, role, joined, delivered, read, prefs)
  return tonumber(redis.call('ZSCORE', MEMBERS, uid) or '') ~= tonumber(joined)
    or tonumber(redis.call('ZSCORE', DELIVERED, uid)) ~= tonumber(delivered)
    or tonumber(redis.call('ZSCORE', READ, uid)) ~= tonumber(read)
    or (redis.call('HGET', ROLES, uid) or 'member') ~= role
    or (redis.call('HGET', PREFS, uid) or '') ~= prefs
end

local function add(uid, role, joined, delivered, read, prefs)
  redis.call('ZADD', MEMBERS, joined, uid)
  redis.call('ZADD', DELIVERED, delivered, uid)
  redis.call('ZADD', READ, read, uid)
  if role ~= 'member' then redis.call('HSET', ROLES, uid, role) end
  if prefs ~= '' then redis.call('HSET', PREFS, uid, prefs) end
  -- Who joined before the last message that names it is noted when it leaves; who came back since is not.
  if tonumber(redis.call('ZSCORE', PAST, uid) or joined) > tonumber(joined) then redis.call('ZREM', PAST, uid) end
end

local added, refused = 0, nil
for i = 1, (#ARGV - FIRST + 1) / STRIDE do
  local at = FIRST + (i - 1) * STRIDE
  if BEFORE + i <= members then
    if differs(unpack(ARGV, at, at + STRIDE - 1)) then refused = {'differs', i} end
  elseif redis.call('ZSCORE', MEMBERS, ARGV[at]) then
    refused = {'twice', i}
  else
    add(unpack(ARGV, at, at + STRIDE - 1))
    members, added = members + 1, added + 1
  end
  if refused then break end
end
redis.call('HSET', IMPORT, 'members', exact(members))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, KEPT_MS) end
if refused then return {added, unpack(refused)} end
return {added}
