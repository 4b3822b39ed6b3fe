-- Shared functions: numbers as text, and Redis' clock.

-- Lua would write a large number as 1e+15.
local function exact(number) return string.format('%.0f', number) end

local function now_in_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
