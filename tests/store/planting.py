"""What a failover leaves: a log whose tail is gone, and other messages under the same seqs."""

from __future__ import annotations

from typing import Any

from pushpull.model import LogId, seq_of

META = "pp:{c:room}:meta"
LOG = "pp:{c:room}:log"


async def lose_tail(client: Any, last: LogId) -> None:
    """Take the log back to where `last` was its end, as a primary that never got the rest."""
    kept = await client.xrange(LOG, "-", last)
    await client.delete(LOG)
    for log_id, fields in kept:
        await client.xadd(LOG, fields, id=log_id)
    await client.hset(META, mapping={"seq": seq_of(last), "last": last, "count": seq_of(last)})


async def plant(client: Any, log_ids: list[LogId], **meta: int) -> None:
    """Make the log consist of entries with exactly these ids."""
    await client.delete(LOG)
    for log_id in log_ids:
        await client.xadd(LOG, {"from": "alice", "cmid": log_id, "kind": "message", "body": "1"}, id=log_id)
    last = log_ids[-1]
    await client.hset(META, mapping={"seq": seq_of(last), "last": last, "count": seq_of(last), **meta})


def id_at(seq: int, ms: int, digest: int = 7) -> LogId:
    return LogId(f"{seq}-{ms * 1024 + digest}")
