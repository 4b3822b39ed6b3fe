-- The claim that is open, without those who have caught up since or have left.
-- KEYS   1 members  2 the cursor that counts  3 claim
-- Returns it as claim.lua does (with nobody after the ms where all are gone), or nil: none is open
local MEMBERS, CURSOR, CLAIM = unpack(KEYS)

local open = redis.call('GET', CLAIM)
if not open then return nil end
local head, upto, listed = string.match(open, '^(%S+ (%d+) %S+ %S+) (.*)$')
local kept = {}
for row in string.gmatch(listed, '[^,]+') do
  local uid = string.match(row, '^[^/]+')
  local at = tonumber(redis.call('ZSCORE', CURSOR, uid) or '')
  if at and at < tonumber(upto) and redis.call('ZSCORE', MEMBERS, uid) then kept[#kept + 1] = row end
end
return head .. ' ' .. table.concat(kept, ',')
