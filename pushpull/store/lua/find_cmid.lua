-- Look through a piece of the log, newest first, for messages sent under a cmid.
-- KEYS   1 log
-- ARGV   1 cmid  2 below which entry ("+": from the newest)  3 most entries to look at
-- Returns {id and sender of each that was found, …}, the id it came to ("": there was none below)
local LOG, CMID, BELOW, MOST = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

local found, last = {}, ''
local start = BELOW == '+' and '+' or '(' .. BELOW
for _, entry in ipairs(redis.call('XREVRANGE', LOG, start, '-', 'COUNT', MOST)) do
  last = entry[1]
  local sender, cmid
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'from' then sender = entry[2][i + 1] end
    if entry[2][i] == 'cmid' then cmid = entry[2][i + 1] end
  end
  if cmid == CMID then
    found[#found + 1] = last
    found[#found + 1] = sender
  end
end
return {found, last}
