-- A node says that it lives, by Redis' clock. (Uses basics.)
-- KEYS   1 nodes
-- ARGV   1 node id  2 what it says about itself
local NODES = KEYS[1]
local NODE, INFO = ARGV[1], ARGV[2]

redis.call('HSET', NODES, NODE, exact(now_in_ms()) .. ' ' .. INFO)
