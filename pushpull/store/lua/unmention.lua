-- Take a user out of entries of the index of mentions; one that mentions nobody else goes.
-- KEYS   1 mentions
-- ARGV   1 uid  then the entries as they are: "<seq> ,uid,…,"
local MENTIONS, UID = KEYS[1], ARGV[1]

for i = 2, #ARGV do
  if redis.call('ZREM', MENTIONS, ARGV[i]) == 1 then
    local seq, who = string.match(ARGV[i], '^(%d+) (.*)$')
    local rest = {}
    for name in string.gmatch(who, '[^,]+') do
      if name ~= UID then rest[#rest + 1] = name end
    end
    if #rest > 0 then redis.call('ZADD', MENTIONS, seq, seq .. ' ,' .. table.concat(rest, ',') .. ',') end
  end
end
