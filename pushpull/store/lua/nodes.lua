-- The nodes that have beaten and not left, and Redis' time to judge them by.
-- KEYS   1 nodes
-- Returns {now, ms, as text, {node id, "<ms of its last beat> <what it said>", …}}
local NODES = KEYS[1]

local time = redis.call('TIME')
local now_ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return {now_ms, redis.call('HGETALL', NODES)}
