-- The next members, in cursor order, whose cursor is below a seq. (Uses rank.)
-- KEYS   1 meta  2 delivered or read
-- ARGV   1 below (seq, "": the head)  2 score and  3 uid of the last one seen (uid "": from the start)  4 most rows
-- Returns {uid, score, uid, score, …}; empty too where there is no such conversation
local META, CURSORS = KEYS[1], KEYS[2]
local BELOW, LAST_SCORE, LAST_UID, LIMIT = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local seq = redis.call('HGET', META, 'seq')
if not seq then return {} end
local below = BELOW or tonumber(seq)
local from = LAST_UID == '' and 0 or rank_after(CURSORS, LAST_SCORE, LAST_UID)
local rows = redis.call('ZRANGE', CURSORS, from, from + LIMIT - 1, 'WITHSCORES')
while #rows > 0 and tonumber(rows[#rows]) >= below do
  rows[#rows] = nil
  rows[#rows] = nil
end
return rows
