-- Take a session off its user's table, and remember how it ended, where its device is remembered: a user who was deleted
-- meanwhile leaves nothing behind. (Uses devices.)
-- KEYS   1 the user's sessions  2 the user's devices
-- ARGV   1 session id  2 device  3 the field of its close  4 what is remembered of it
--        5 most devices  6 seconds for which they are remembered
-- Returns 1 where the session was on the table
local SESSIONS, DEVICES = KEYS[1], KEYS[2]
local ID, DEVICE, FIELD, CLOSE, MOST, SECONDS = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]

local was_there = redis.call('HDEL', SESSIONS, ID)
if redis.call('HEXISTS', DEVICES, '+' .. DEVICE) == 1 then remember_device(DEVICES, FIELD, CLOSE, MOST, SECONDS) end
return was_there
