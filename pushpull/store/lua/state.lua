-- Shared functions: what meta holds, and the state of a conversation as the service is told it.

-- Byte 4 of a setting's field: "set:history".
local COLON = 58

-- meta's fields by name, and its settings as {field, value, …}; nil when there is no such conversation.
local function fields_of(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local fields, settings = {}, {}
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    fields[name] = value
    if string.byte(name, 4) == COLON then
      settings[#settings + 1] = name
      settings[#settings + 1] = value
    end
  end
  return fields, settings
end

-- {epoch, last id, floor, count, mver, rev, removals, members, settings}: what codec.head takes. In this order, and no
-- more of meta than is needed: taking it apart by name was a fifth of what a row costs the service.
local function state_of(fields, settings, members)
  return {
    fields.epoch, fields.last, tonumber(fields.floor), tonumber(fields.count), tonumber(fields.mver),
    tonumber(fields.rev), tonumber(fields.removals or 0), redis.call('ZCARD', members), settings,
  }
end
