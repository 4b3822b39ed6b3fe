-- A claim was delivered, or is given up: then its users count as not told.
-- KEYS   1 claim  2 told
-- ARGV   1 the notification's id ("": whichever is open)  2 "1": given up
-- Returns how many users it was for, 0: it is not open
local CLAIM, TOLD, ID, GIVEN_UP = KEYS[1], KEYS[2], ARGV[1], ARGV[2] == '1'

local open = redis.call('GET', CLAIM)
if not open then return 0 end
local id, upto, listed = string.match(open, '^(%S+) (%d+) %S+ %S+ (.*)$')
if ID ~= '' and id ~= ID then return 0 end
local users = 0
for uid in string.gmatch(listed, '([^/,]+)/%d+/%d') do
  users = users + 1
  if GIVEN_UP and tonumber(redis.call('ZSCORE', TOLD, uid) or '') == tonumber(upto) then redis.call('ZREM', TOLD, uid) end
end
redis.call('DEL', CLAIM)
return users
