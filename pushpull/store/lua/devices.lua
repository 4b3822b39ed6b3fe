-- Shared function: what is remembered of a user's devices. A field is "+<device>" (its last connect) or "-<device>" (its
-- last close), a value "<ms> <what>".

-- One that is newer by less than this is the truth: what is written now happened before it, and was only held up. One
-- further ahead was written before a clock was turned back.
local HELD_UP_MS = 3600000

local function ms_of(value) return tonumber(string.match(value, '^%d+')) end

-- Forget the devices that moved longest ago, but for `most`.
local function forget_devices(key, most)
  local moved, names = {}, {}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local name, ms = string.sub(flat[i], 2), ms_of(flat[i + 1])
    if not moved[name] then names[#names + 1] = name end
    moved[name] = math.max(moved[name] or 0, ms)
  end
  table.sort(names, function(a, b) return moved[a] > moved[b] end)
  for i = most + 1, #names do redis.call('HDEL', key, '+' .. names[i], '-' .. names[i]) end
end

local function remember_device(key, field, value, most, seconds)
  local before = redis.call('HGET', key, field)
  local ahead_ms = before and ms_of(before) - ms_of(value) or 0
  if ahead_ms > 0 and ahead_ms < HELD_UP_MS then return end
  redis.call('HSET', key, field, value)
  redis.call('EXPIRE', key, seconds)
  if not before and redis.call('HLEN', key) > most then forget_devices(key, most) end
end
