-- Shared functions: ring a conversation's bell. What it says is put together here and taken apart in store/codec.py.

-- The log now ends at `id`, before it at `prev`; `blob` is the entry where it is small, else "".
local function ring(channel, id, prev, epoch, mver, floor, count, blob)
  redis.call('SPUBLISH', channel, table.concat({'1', id, prev, epoch, mver, floor, count, blob}, ' '))
end

-- Nothing was appended: members, settings, floor or epoch changed. `log` is {last id, epoch, floor, count}.
local function ring_changed(channel, log, mver) ring(channel, log[1], log[1], log[2], mver, log[3], log[4], '') end
