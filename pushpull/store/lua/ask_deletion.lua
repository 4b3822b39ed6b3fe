-- Ask for a user's deletion; one that has not ended is left as it is. (Uses basics.)
-- KEYS   1 what is said of it  2 the conversations it has still to come to
-- ARGV   1 keep | redact
-- Returns 1, or 0: one had not ended
local RECORD, DELETING, MESSAGES = KEYS[1], KEYS[2], ARGV[1]

local state = redis.call('HGET', RECORD, 'state')
if state == 'waiting' or state == 'running' then return 0 end
redis.call('UNLINK', RECORD, DELETING)
redis.call('HSET', RECORD, 'state', 'waiting', 'messages', MESSAGES, 'asked', exact(now_in_ms()), 'redacted', '0')
return 1
