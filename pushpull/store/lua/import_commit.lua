-- All of an import is here: make the conversation of it, in one step, and ring. (Uses basics, bell.)
-- KEYS   1 meta  2 the bell's channel  3 the import  4 when the one before it under this name was deleted
--        then in pairs what was kept apart and what it becomes: eleven of them, and then buckets of cmids
-- ARGV   1 the import's number  2 what names all of its content  3 the seq of its last line  4 members
--        5 last id ("": that of the last line)  6 floor  7 count  8 schema version  9 how long a bucket is kept, ms
--        then field and value of each setting
-- Returns "made" | "known": it was made of this file before | {"err", "exists"} | {"err", "lost"}: not all of it is kept
local META, BELL, IMPORT, DELETED = unpack(KEYS, 1, 4)
local NUMBER, CONTENT, SEQ, MEMBERS, LAST, FLOOR, COUNT, SCHEMA, BUCKET_MS = unpack(ARGV, 1, 9)
local FIRST_PAIR, FIRST_BUCKET, FIRST_SETTING = 5, 27, 10

if redis.call('EXISTS', META) == 1 then
  if redis.call('HGET', META, 'imported') == CONTENT then return 'known' end
  return {'err', 'exists'}
end
local state = redis.call('HMGET', IMPORT, 'number', 'seq', 'members', 'last')
if state[1] ~= NUMBER or state[2] ~= SEQ or state[3] ~= MEMBERS then return {'err', 'lost'} end

for at = FIRST_PAIR, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[at]) == 1 then
    redis.call('RENAME', KEYS[at], KEYS[at + 1])
    if at >= FIRST_BUCKET then
      redis.call('PEXPIRE', KEYS[at + 1], BUCKET_MS)
    else
      redis.call('PERSIST', KEYS[at + 1])
    end
  end
end
local last = LAST ~= '' and LAST or state[4]
local epoch = exact(now_in_ms())
redis.call('HSET', META, 'epoch', epoch, 'seq', string.match(last, '^%d+'), 'last', last, 'floor', FLOOR,
  'count', COUNT, 'mver', '1', 'rev', '0', 'v', SCHEMA, 'imported', CONTENT)
local deleted = redis.call('GETDEL', DELETED)
if deleted then redis.call('HSET', META, 'after', deleted) end
for at = FIRST_SETTING, #ARGV, 2 do redis.call('HSET', META, ARGV[at], ARGV[at + 1]) end
redis.call('DEL', IMPORT)
ring_changed(BELL, {last, epoch, FLOOR, COUNT}, '1')
return 'made'
