-- Enter a session among its user's, after those that are there: two that open at once cannot replace each other. Its
-- device is remembered. (Uses devices.)
-- KEYS   1 the user's sessions  2 the user's devices
-- ARGV   1 session id  2 what is kept of it  3 the device's field  4 what is remembered of its connect
--        5 most devices  6 seconds for which they are remembered
-- Returns what was there before: {id, "<order> <kept>", …}; the field "#" holds the order last given
local SESSIONS, DEVICES = KEYS[1], KEYS[2]
local ID, KEPT, FIELD, CONNECT, MOST, SECONDS = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]

local before = redis.call('HGETALL', SESSIONS)
local order = redis.call('HINCRBY', SESSIONS, '#', 1)
redis.call('HSET', SESSIONS, ID, order .. ' ' .. KEPT)
remember_device(DEVICES, FIELD, CONNECT, MOST, SECONDS)
return before
