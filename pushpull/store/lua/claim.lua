-- Decide for good whom one notification is for. They count as told from here on, and it is kept until it was
-- delivered: whoever comes to it later sends the same one. Those who have caught up meanwhile, have left, or were
-- told by another job are left out. One claim is open at a time. (Uses basics.)
-- KEYS   1 meta  2 members  3 the cursor that counts  4 told  5 claim
-- ARGV   1 the notification's id  2 up to which seq  3 newest message  then uid, unread, mentioned of each
-- Returns the open claim, this or one that was open before: "<id> <upto> <newest> <ms> <uid>/<unread>/<mentioned>,…";
--         nil: nobody is left
local META, MEMBERS, CURSOR, TOLD, CLAIM = unpack(KEYS)
local ID, UPTO, NEWEST, STRIDE, FIRST = ARGV[1], tonumber(ARGV[2]), ARGV[3], 3, 4
local AT_ONCE = 1000

local open = redis.call('GET', CLAIM)
if open then return open end
local seq = tonumber(redis.call('HGET', META, 'seq') or '')
if not seq then return nil end

local told, rows, met = {}, {}, {}
local function consider(i)
  local uid = ARGV[i]
  -- Who reads a part of it between two looks is seen by both.
  if met[uid] then return end
  met[uid] = true
  local at = tonumber(redis.call('ZSCORE', CURSOR, uid) or '')
  if not at or at >= UPTO or not redis.call('ZSCORE', MEMBERS, uid) then return end
  local told_at = tonumber(redis.call('ZSCORE', TOLD, uid) or '0')
  if told_at > at and told_at <= seq then return end
  told[#told + 1] = exact(UPTO)
  told[#told + 1] = uid
  rows[#rows + 1] = table.concat({uid, ARGV[i + 1], ARGV[i + 2]}, '/')
end
for i = FIRST, #ARGV, STRIDE do consider(i) end
if #rows == 0 then return nil end
for i = 1, #told, 2 * AT_ONCE do
  redis.call('ZADD', TOLD, unpack(told, i, math.min(#told, i + 2 * AT_ONCE - 1)))
end
local claim = table.concat({ID, exact(UPTO), NEWEST, exact(now_in_ms()), table.concat(rows, ',')}, ' ')
redis.call('SET', CLAIM, claim)
return claim
