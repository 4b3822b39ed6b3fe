-- The next members, in cursor order, whose cursor is below a seq. The place to go on from is (score, uid), found by
-- bisection, so that nobody who stays behind is skipped however many others move on between two calls.
-- KEYS   1 meta  2 delivered or read
-- ARGV   1 below (seq, "": the head)  2 score and  3 uid of the last one seen (uid "": from the start)  4 most rows
-- Returns {{uid, score, uid, score, …}, head, floor}, or nil: no such conversation
local META, CURSORS = KEYS[1], KEYS[2]
local BELOW, LAST_SCORE, LAST_UID, LIMIT = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

-- Sorted sets order names by bytes; Lua's `<` asks the locale.
local function bytes_at_most(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a <= #b
end

local function seen(rank)
  local at = redis.call('ZRANGE', CURSORS, rank, rank, 'WITHSCORES')
  local score = tonumber(at[2])
  if score ~= LAST_SCORE then return score < LAST_SCORE end
  return bytes_at_most(at[1], LAST_UID)
end

local function first_unseen()
  local low, high = 0, redis.call('ZCARD', CURSORS)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if seen(middle) then low = middle + 1 else high = middle end
  end
  return low
end

local meta = redis.call('HMGET', META, 'seq', 'floor')
if not meta[1] then return nil end
local below = BELOW or tonumber(meta[1])
local from = LAST_UID == '' and 0 or first_unseen()
local rows = redis.call('ZRANGE', CURSORS, from, from + LIMIT - 1, 'WITHSCORES')
while #rows > 0 and tonumber(rows[#rows]) >= below do
  rows[#rows] = nil
  rows[#rows] = nil
end
return {rows, tonumber(meta[1]), tonumber(meta[2])}
