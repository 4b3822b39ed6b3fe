-- Give dead letters another chance: their conversations are due now, or when they are due anyway. (Uses basics.)
-- KEYS   1 due  2 dead
-- ARGV   1 most, where no ids follow: the oldest  then the ids of dead letters
-- Returns how many there were
local DUE, DEAD, MOST = KEYS[1], KEYS[2], ARGV[1]

local now, requeued = exact(now_in_ms()), 0
local function requeue(entry)
  redis.call('ZADD', DUE, 'NX', now, entry[2][2])
  redis.call('XDEL', DEAD, entry[1])
  requeued = requeued + 1
end
if #ARGV == 1 then
  for _, entry in ipairs(redis.call('XRANGE', DEAD, '-', '+', 'COUNT', MOST)) do requeue(entry) end
end
for i = 2, #ARGV do
  for _, entry in ipairs(redis.call('XRANGE', DEAD, ARGV[i], ARGV[i])) do requeue(entry) end
end
return requeued
