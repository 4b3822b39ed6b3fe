-- A node says that it lives, by Redis' clock. (Uses basics.)
-- KEYS   1 nodes
-- ARGV   1 node id  2 what it says about itself
-- Returns the ms since it last did, as text; '' when it is not on the table
local NODES = KEYS[1]
local NODE, INFO = ARGV[1], ARGV[2]

local now = now_in_ms()
local before = redis.call('HGET', NODES, NODE)
redis.call('HSET', NODES, NODE, exact(now) .. ' ' .. INFO)
if not before then
  return ''
end
return exact(math.max(0, now - tonumber(string.match(before, '^%d+'))))
