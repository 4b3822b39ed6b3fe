"""Short ways to say a message in a test."""

from __future__ import annotations

from typing import Any

from pushpull.model import Draft, LogId, Sent
from pushpull.store import Store
from tests.store.conftest import ALICE, ROOM


def draft(cmid: str, **changes: Any) -> Draft:
    """A message of alice's to `room`, sent with her own token."""
    return Draft(**{"cid": ROOM, "sender": ALICE, "cmid": cmid, "body": b'{"text":"hi"}'} | changes)


async def send(store: Store, cmid: str, **changes: Any) -> LogId:
    """Append one draft and return its log id; what it is refused with is raised."""
    return (await sent(store, cmid, **changes)).id


async def sent(store: Store, cmid: str, **changes: Any) -> Sent:
    result = (await store.log.append([draft(cmid, **changes)]))[0]
    if isinstance(result, Exception):
        raise result
    return result


async def send_many(store: Store, count: int, **changes: Any) -> list[LogId]:
    """Append m1 … m<count> in one call; their log ids."""
    results = await store.log.append([draft(f"m{i}", **changes) for i in range(1, count + 1)])
    return [result.id for result in results if isinstance(result, Sent)]
