-- Tells every node something, numbered: a node that missed one finds a number left out, or asks for the last.
-- KEYS   1 control, the channel; under the same name the number last given
-- ARGV   1… what is said
-- Returns the number of the last
local CONTROL = KEYS[1]

local number
for _, said in ipairs(ARGV) do
  number = redis.call('INCR', CONTROL)
  redis.call('SPUBLISH', CONTROL, number .. ' ' .. said)
end
return number
