-- What a member wants to be notified of in a conversation; what is "" stays as it is.
-- KEYS   1 meta  2 members  3 prefs
-- ARGV   1 uid  2 notify  3 mute until, ms (0: not muted)
-- Returns 1, or {"err", code}
local META, MEMBERS, PREFS = unpack(KEYS)
local UID, NOTIFY, MUTE_UNTIL = unpack(ARGV)

if redis.call('EXISTS', META) == 0 then return {'err', 'no_such_conversation'} end
if not redis.call('ZSCORE', MEMBERS, UID) then return {'err', 'not_a_member'} end
local notify, mute_until = string.match(redis.call('HGET', PREFS, UID) or 'all 0', '^(%S+) (%d+)$')
if NOTIFY ~= '' then notify = NOTIFY end
if MUTE_UNTIL ~= '' then mute_until = MUTE_UNTIL end
if notify == 'all' and mute_until == '0' then
  redis.call('HDEL', PREFS, UID)
else
  redis.call('HSET', PREFS, UID, notify .. ' ' .. mute_until)
end
return 1
