-- Add lines to a log that is being imported; those that are there already are compared.
-- What is refused ends the call; the lines before it stay. (Uses basics, entry, past.)
--
-- KEYS   1 the import  2 log  3 quiet  4 mentions  5 redacted  6 edits  7 past, all kept apart
--        then the buckets of cmids, kept apart, too
-- ARGV   1 the import's number  2 the seq of the line before the first of these  3 the floor
--        4 how long it is kept, ms  then for each line 11 values:
--        log id  stands ("1"; "": it was redacted)  sender  cmid  kind  body  quiet ("1")  mentions (JSON, "": none)
--        mention index ("": none)  ref ("": none)  digest and, after a blank, the number of its bucket among KEYS
--        ("": its cmid need not be known any more)
-- Returns {lines that are new} | {lines that are new, code, the line of these it is about, detail}:
--         code "lost": these lines do not follow what is kept | "differs" | "ref": it cannot refer to that
local IMPORT, LOG, QUIET, MENTIONS, REDACTED, EDITS, PAST = unpack(KEYS, 1, 7)
local NUMBER, BEFORE, FLOOR, KEPT_MS = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local FIRST, STRIDE, NAMES_AT_ONCE = 5, 11, 2000

local state = redis.call('HMGET', IMPORT, 'number', 'seq', 'last')
if state[1] ~= NUMBER then return {0, 'lost', 1, 'nothing'} end
local seq, last = tonumber(state[2]), state[3]

local function differs(line)
  local found = redis.call('XRANGE', LOG, line.seq, line.seq)[1]
  if not line.stands then
    local quiet = redis.call('ZSCORE', QUIET, line.seq) and true or false
    return found or redis.call('HGET', REDACTED, line.seq) ~= line.id or quiet ~= line.quiet
  end
  if not found or found[1] ~= line.id then return true end
  local fields = fields_of(line, line.ref ~= '' and line.ref)
  if #fields ~= #found[2] then return true end
  for i, value in ipairs(fields) do
    if found[2][i] ~= value then return true end
  end
  return false
end

-- Why an edit or a redaction cannot refer to what it names, or nil. Below the floor nothing is left to look at.
local function wrong_ref(line)
  if line.kind ~= 'edit' and line.kind ~= 'redact' then return nil end
  if tonumber(line.ref) < FLOOR then return nil end
  local target = redis.call('XRANGE', LOG, line.ref, line.ref)[1]
  if line.kind == 'redact' then return target and 'stands' or nil end
  if not target then return 'missing' end
  if target[2][2] ~= line.sender then return 'sender' end
  local kind = target[2][6]
  if kind == 'edit' or kind == 'redact' or kind == 'reaction' then return 'kind' end
end

local function remember_cmid(line)
  local digest, bucket = string.match(line.remember, '^(%S+) (%d+)$')
  redis.call('HSET', KEYS[tonumber(bucket)], line.sender .. '/' .. line.cmid, line.id .. ' ' .. digest)
end

-- Whoever is named, until members come: uid → the newest seq of these lines.
local named = {}
local function note_names(line)
  if line.sender ~= '' then named[line.sender] = line.seq end
  for uid in string.gmatch(line.mentions, '"([^"]+)"') do
    if uid ~= '*' then named[uid] = line.seq end
  end
end

local function keep_names()
  local rows = {}
  local function add()
    if #rows > 0 then redis.call('ZADD', PAST, 'GT', unpack(rows)) end
    rows = {}
  end
  for uid, at in pairs(named) do
    rows[#rows + 1] = at
    rows[#rows + 1] = uid
    if #rows >= 2 * NAMES_AT_ONCE then add() end
  end
  add()
  redis.call('ZREMRANGEBYRANK', PAST, 0, -1 - MOST_PAST)
end

local function write(line)
  if line.quiet then redis.call('ZADD', QUIET, line.seq, line.seq) end
  if not line.stands then
    redis.call('HSET', REDACTED, line.seq, line.id)
    return
  end
  redis.call('XADD', LOG, line.id, unpack(fields_of(line, line.ref ~= '' and line.ref)))
  note_names(line)
  if line.index ~= '' then redis.call('ZADD', MENTIONS, line.seq, line.seq .. ' ' .. line.index) end
  if line.remember ~= '' then remember_cmid(line) end
  if line.kind == 'edit' and tonumber(line.ref) >= FLOOR then put_edit(EDITS, line.ref, line.id, line.body) end
end

local function line_at(at)
  return {
    id = ARGV[at], seq = string.match(ARGV[at], '^%d+'), stands = ARGV[at + 1] == '1', sender = ARGV[at + 2],
    cmid = ARGV[at + 3], kind = ARGV[at + 4], body = ARGV[at + 5], quiet = ARGV[at + 6] == '1',
    mentions = ARGV[at + 7], index = ARGV[at + 8], ref = ARGV[at + 9], remember = ARGV[at + 10],
  }
end

local added, before, refused = 0, BEFORE, nil
for i = 1, (#ARGV - FIRST + 1) / STRIDE do
  local line = line_at(FIRST + (i - 1) * STRIDE)
  local at = tonumber(line.seq)
  if at <= seq then
    if differs(line) then refused = {'differs', i, line.seq} end
  elseif seq ~= before then
    refused = {'lost', i, exact(seq)}
  else
    local why = wrong_ref(line)
    if why then
      refused = {'ref', i, why}
    else
      write(line)
      seq, last, added = at, line.id, added + 1
    end
  end
  if refused then break end
  before = at
end
keep_names()
redis.call('HSET', IMPORT, 'seq', exact(seq), 'last', last)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, KEPT_MS) end
if refused then return {added, unpack(refused)} end
return {added}
