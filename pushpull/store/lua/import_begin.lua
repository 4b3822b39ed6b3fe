-- Begin to import a conversation, or go on with it. What comes is kept apart until all of it is here.
-- (Uses basics.)
-- KEYS   1 meta  2 the import
-- ARGV   1 what names the file  2 the seq below the first line's  3 how long it is kept after each step, ms
-- Returns {"begun", its number} | {"exists", the file it was imported from ("": it was not)} | {"other"}: another file's is going on
local META, IMPORT = unpack(KEYS)
local FILE, BELOW, KEPT_MS = unpack(ARGV)

if redis.call('EXISTS', META) == 1 then return {'exists', redis.call('HGET', META, 'imported') or ''} end
local known = redis.call('HGET', IMPORT, 'file')
if known and known ~= FILE then return {'other'} end
if not known then
  -- Under another number than one that was given up, of which something may still be there: the µs, as both may begin
  -- in one ms.
  local time = redis.call('TIME')
  local number = exact(tonumber(time[1]) * 1000000 + tonumber(time[2]))
  redis.call('HSET', IMPORT, 'file', FILE, 'number', number, 'seq', BELOW, 'last', '0-0', 'members', '0')
end
redis.call('PEXPIRE', IMPORT, KEPT_MS)
return {'begun', redis.call('HGET', IMPORT, 'number')}
