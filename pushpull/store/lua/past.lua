-- Shared functions: who may stand in a conversation's log without being a member, so that it is found when it is to be
-- forgotten: those who left, and those who were named by a server as sender or by anybody as mentioned. (Uses basics.)

-- Beyond so many the one who was named longest ago is forgotten.
local MOST_PAST = 100000
-- What lies below the floor may still stand in the stream for as long as its node of (by default) 100 entries.
local PAST_MARGIN = 1000

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

local function forget_past_below(key, floor)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. exact(floor - PAST_MARGIN))
end
