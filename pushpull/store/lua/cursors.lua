-- One member's cursors.
-- KEYS   1 meta  2 members  3 delivered  4 read  5 quiet
-- ARGV   1 uid
-- Returns {count, {delivered, read, unread}}, or nil: no such conversation, or not a member
local META, MEMBERS, DELIVERED, READ, QUIET = unpack(KEYS)
local UID = ARGV[1]

local joined = tonumber(redis.call('ZSCORE', MEMBERS, UID) or '')
local meta = redis.call('HMGET', META, 'seq', 'floor', 'count')
if not joined or not meta[1] then return nil end
local delivered = tonumber(redis.call('ZSCORE', DELIVERED, UID) or joined)
local read = tonumber(redis.call('ZSCORE', READ, UID) or joined)
local seen = math.max(read, tonumber(meta[2]) - 1, joined)
local unread = tonumber(meta[1]) - seen
if unread > 0 then
  unread = unread - redis.call('ZCOUNT', QUIET, '(' .. string.format('%.0f', seen), '+inf')
end
return {tonumber(meta[3]), {delivered, read, unread}}
