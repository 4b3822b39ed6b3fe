-- Enter a session among its user's, after those that are there: two that open at once cannot replace each other.
-- KEYS   1 the user's sessions
-- ARGV   1 session id  2 what is kept of it
-- Returns what was there before: {id, "<order> <kept>", …}; the field "#" holds the order last given
local SESSIONS = KEYS[1]
local ID, KEPT = ARGV[1], ARGV[2]

local before = redis.call('HGETALL', SESSIONS)
local order = redis.call('HINCRBY', SESSIONS, '#', 1)
redis.call('HSET', SESSIONS, ID, order .. ' ' .. KEPT)
return before
