-- Shared functions: who may stand in a conversation's log without being a member, so that it is found when it is to be
-- forgotten: those who left, and those who were named by a server as sender or by anybody as mentioned.

-- Beyond so many the one who was named longest ago is forgotten.
local MOST_PAST = 100000

-- At or below `seq` these uids may stand in the log (at most 2,000: Lua's unpack ends near 8,000).
local function remember_past(key, seq, uids)
  local rows = {}
  for _, uid in ipairs(uids) do
    rows[#rows + 1] = seq
    rows[#rows + 1] = uid
  end
  redis.call('ZADD', key, 'GT', unpack(rows))
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - MOST_PAST)
end
