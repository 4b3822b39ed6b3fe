-- Shared functions: where to go on in a sorted set. By (score, name) and not by rank, so that nobody who stays is passed
-- over or met twice, however many others move or leave between two calls.

-- Sorted sets order names by their bytes; Lua's `<` asks the locale.
local function bytes_at_most(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a <= #b
end

-- How many stand at or before (score, name) in the order of the set; by halving, as Redis has no call for it.
local function rank_after(key, score, name)
  local low, high = 0, redis.call('ZCARD', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local at = redis.call('ZRANGE', key, middle, middle, 'WITHSCORES')
    local there = tonumber(at[2])
    if there < score or (there == score and bytes_at_most(at[1], name)) then low = middle + 1 else high = middle end
  end
  return low
end
