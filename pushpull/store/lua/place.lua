-- Shared functions: how a place a reader names (a log id) relates to the log as it is now. (Uses basics, state.)

-- The clocks of an old and a new primary may differ by as much.
local SKEW_MS = 5000

-- What is asked of meta here, and the conversation's state; nil when there is no such conversation.
local function meta_of(key, members)
  local fields, settings = fields_of(key)
  if not fields then return nil end
  return {
    state = state_of(fields, settings, members),
    last = fields.last, history = fields['set:history'], imported = fields.imported,
    seq = tonumber(fields.seq), floor = tonumber(fields.floor), after = tonumber(fields.after or ''),
  }
end

-- The id the log has at `seq`, redacted or not; nil when nothing is known of it.
local function known_id(log, redacted, seq)
  local found = redis.call('XRANGE', log, exact(seq), exact(seq))[1]
  if found then return found[1], 'same' end
  local id = redis.call('HGET', redacted, exact(seq))
  if id then return id, 'redacted' end
  return nil
end

local function seq_and_ms(id)
  local seq, tag = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(seq), math.floor(tonumber(tag) / 1024)
end

-- same | redacted | trimmed | diverged | below: right below the floor, and nothing is known of what was there.
local function relation_of(place, meta, log, redacted)
  local seq = tonumber(string.match(place, '^%d+'))
  if seq == 0 then return meta.floor > 1 and 'trimmed' or 'same' end
  if seq > meta.seq then return 'diverged' end
  if seq < meta.floor - 1 then return 'trimmed' end
  -- Tag 0: the place below the floor as we name it to a device, though the entry there may not be trimmed off yet.
  if seq == meta.floor - 1 and string.match(place, '%-0$') then return 'same' end
  local id, kind = known_id(log, redacted, seq)
  if id == place then return kind end
  if seq == meta.seq then return place == meta.last and 'same' or 'diverged' end
  if seq == meta.floor - 1 and not id then return 'below' end
  return 'diverged'
end

-- Whether a place that this log does not hold is of a log that was deleted before it, under the same name: it is older
-- than `after`, and no entry of this one is. Below the floor that does not tell where the place is of no time (tag 0), nor
-- of a log that was imported, whose entries are as old as they were.
local function is_of_deleted(place, meta, is_below)
  if not meta.after or is_below and (meta.imported or string.match(place, '%-0$')) then return false end
  local _, ms = seq_and_ms(place)
  return ms < meta.after
end

-- same | redacted | trimmed | diverged | deleted. Right below the floor nothing is lost, whatever is still known there.
local function verdict_on(place, meta, log, redacted)
  local relation = relation_of(place, meta, log, redacted)
  if relation == 'same' or relation == 'redacted' then return relation end
  if is_of_deleted(place, meta, relation ~= 'diverged') then return 'deleted' end
  return relation == 'below' and 'same' or relation
end

-- The first entry at or after `seq`, or nil.
local function entry_from(log, seq) return redis.call('XRANGE', log, exact(seq), '+', 'COUNT', 1)[1] end

-- Where a diverged place and this log were last sure to be the same. `place` was written by a primary that lost
-- its tail. Whatever its successor wrote, it wrote later than `place`, give or take the difference of their clocks:
-- an entry below seq(place) and older than ms(place) − SKEW_MS is therefore in both logs. The ms of a log never
-- fall, so the last such entry is found by bisection.
local function common_with(place, meta, log)
  local seq, ms = seq_and_ms(place)
  local low, high, best = meta.floor, math.min(seq - 1, meta.seq), nil
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local found = entry_from(log, middle)
    local found_seq, found_ms
    if found then found_seq, found_ms = seq_and_ms(found[1]) end
    if found and found_seq <= high and found_ms <= ms - SKEW_MS then
      best, low = found[1], found_seq + 1
    else
      high = middle - 1
    end
  end
  return best or (exact(meta.floor - 1) .. '-0')
end
