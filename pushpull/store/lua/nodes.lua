-- The nodes that have beaten and not left, and Redis' time to judge them by. (Uses basics.)
-- KEYS   1 nodes
-- Returns {now, ms, as text, {node id, "<ms of its last beat> <what it said>", …}}
local NODES = KEYS[1]

return {exact(now_in_ms()), redis.call('HGETALL', NODES)}
