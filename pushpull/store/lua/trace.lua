-- All that a conversation's keys say of one message and one user, at one instant; no body leaves Redis. (Uses basics,
-- state.)
-- KEYS   1 meta  2 members  3 roles  4 delivered  5 read  6 prefs  7 told  8 log  9 redacted  10 edits
--        11 past
-- ARGV   1 uid  2 seq ("": none is asked for)
-- Returns {state, now (ms), the entry's id (nil: it is not in the log), its fields without the body,
--         the id of its newest edit (nil: none), the id that was redacted there (nil: none), how many ids were redacted,
--         joined, role, delivered, read, prefs (nil: none), told (nil: never),
--         up to which seq a stranger may stand in the log (nil: nowhere)}, or nil: no such conversation
local META, MEMBERS, ROLES, DELIVERED, READ, PREFS, TOLD, LOG, REDACTED, EDITS, PAST = unpack(KEYS)
local UID, SEQ = ARGV[1], ARGV[2]

local meta, settings = fields_of(META)
if not meta then return nil end

local id, fields, edit, gone = false, {}, false, false
if SEQ ~= '' then
  local entry = redis.call('XRANGE', LOG, SEQ, SEQ)[1]
  if entry then
    id = entry[1]
    for i = 1, #entry[2], 2 do
      if entry[2][i] ~= 'body' then
        fields[#fields + 1] = entry[2][i]
        fields[#fields + 1] = entry[2][i + 1]
      end
    end
  end
  edit = redis.call('HGET', EDITS, SEQ)
  edit = edit and string.match(edit, '^%S+')
  gone = redis.call('HGET', REDACTED, SEQ)
end
return {
  state_of(meta, settings, MEMBERS), now_in_ms(), id, fields, edit, gone, redis.call('HLEN', REDACTED),
  redis.call('ZSCORE', MEMBERS, UID), redis.call('HGET', ROLES, UID), redis.call('ZSCORE', DELIVERED, UID),
  redis.call('ZSCORE', READ, UID), redis.call('HGET', PREFS, UID), redis.call('ZSCORE', TOLD, UID),
  redis.call('ZSCORE', PAST, UID),
}
