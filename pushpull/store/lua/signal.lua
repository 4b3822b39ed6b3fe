-- Ring the bell with something passing that a member says: nothing is written.
-- KEYS   1 meta  2 members  3 roles  4 the bell's channel
-- ARGV   1 uid  2 members a conversation may have  3 what is said, as it goes on the bell after epoch and mver
-- Returns nil, or {"err", code, detail…}
local META, MEMBERS, ROLES, BELL = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local UID, MOST, SAID = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local meta = redis.call('HMGET', META, 'epoch', 'mver')
if not meta[1] then return {'err', 'no_such_conversation'} end
if not redis.call('ZSCORE', MEMBERS, UID) then return {'err', 'not_a_member'} end
if redis.call('HGET', ROLES, UID) == 'reader' then return {'err', 'not_allowed'} end
local members = redis.call('ZCARD', MEMBERS)
if members > MOST then return {'err', 'too_many', members} end
redis.call('SPUBLISH', BELL, table.concat({'s1', meta[1], meta[2], SAID}, ' '))
