-- Take a user out of all that a conversation keeps by uid, whether it is a member or not; its log apart.
-- KEYS   1 claim  2 past  then the sorted sets: 3 members  4 delivered  5 read  6 told  then the hashes: 7 roles  8 prefs
-- ARGV   1 uid
local CLAIM, PAST, UID = KEYS[1], KEYS[2], ARGV[1]

redis.call('ZREM', PAST, UID)
for i = 3, 6 do redis.call('ZREM', KEYS[i], UID) end
for i = 7, 8 do redis.call('HDEL', KEYS[i], UID) end

local open = redis.call('GET', CLAIM)
if not open then return end
local head, listed = string.match(open, '^(%S+ %d+ %S+ %S+) (.*)$')
local kept = {}
for row in string.gmatch(listed, '[^,]+') do
  if string.match(row, '^[^/]+') ~= UID then kept[#kept + 1] = row end
end
redis.call('SET', CLAIM, head .. ' ' .. table.concat(kept, ','), 'KEEPTTL')
