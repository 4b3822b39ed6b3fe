-- A node says that it lives, by Redis' clock.
-- KEYS   1 nodes
-- ARGV   1 node id  2 what it says about itself
local NODES = KEYS[1]
local NODE, INFO = ARGV[1], ARGV[2]

local time = redis.call('TIME')
local now_ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', NODES, NODE, now_ms .. ' ' .. INFO)
