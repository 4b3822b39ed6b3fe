-- Puts a document in the place of the one it was made from.
-- KEYS   1 the document
-- ARGV   1 what it must be ('' : it must not be there), 2 what it is to be ('' : no document)
-- Returns 1; 0 where it is something else by now, and then it is left as it is
local KEY = KEYS[1]
local BEFORE, AFTER = ARGV[1], ARGV[2]

local now = redis.call('GET', KEY) or ''
if now == AFTER then
  return 1
end
if now ~= BEFORE then
  return 0
end
if AFTER == '' then
  redis.call('DEL', KEY)
else
  redis.call('SET', KEY, AFTER)
end
return 1
