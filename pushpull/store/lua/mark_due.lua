-- Conversations have news: each becomes due so long from now, unless it is due already. (Uses basics.)
-- A time that somebody was told is never brought forward: whoever remembers it need not ask again until then. Only one
-- that is further off than any delay and any pause of a receiver (an hour) is: the clock was turned back.
-- KEYS   1 due
-- ARGV   1 delay, ms  then the cids
-- Returns for each cid the ms until it is due
local DUE, DELAY_MS, LONGEST_MS = KEYS[1], tonumber(ARGV[1]), 3600000

local now = now_in_ms()
local left = {}
for i = 2, #ARGV do
  local is_new = redis.call('ZADD', DUE, 'NX', exact(now + DELAY_MS), ARGV[i]) == 1
  left[i - 1] = is_new and DELAY_MS or math.max(0, tonumber(redis.call('ZSCORE', DUE, ARGV[i])) - now)
  if left[i - 1] > DELAY_MS + LONGEST_MS then
    redis.call('ZADD', DUE, exact(now + DELAY_MS), ARGV[i])
    left[i - 1] = DELAY_MS
  end
end
return left
