"""Short ways to write frames and messages in tests."""

from __future__ import annotations

from typing import Any

from pushpull.client import frames
from pushpull.client.events import Message


def log_id(seq: int, tag: int = 1) -> str:
    return f"{seq}-{tag}"


def item(seq: int, *, tag: int = 1, quiet: bool = False, cmid: str | None = None) -> frames.Item:
    return frames.Item(
        id=log_id(seq, tag),
        seq=seq,
        ts=seq * 1000,
        cmid=cmid or f"m{seq}",
        kind="message",
        body=seq,
        sender="ann",
        quiet=quiet,
    )


def page(
    after: int, upto: int, *, head: int | None = None, without: tuple[int, ...] = (), **more: Any
) -> frames.Messages:
    items = tuple(item(seq) for seq in range(after + 1, upto + 1) if seq not in without)
    return frames.Messages(
        cid="c", after=after, upto=upto, upto_id=log_id(upto), items=items, head=upto if head is None else head, **more
    )


def row(start: str = "0-0", **more: Any) -> frames.Row:
    return frames.Row(**{"cid": "c", "start": start, "epoch": "1", "mode": "push", **more})


def message(seq: int, *, cid: str = "c", tag: int = 1) -> Message:
    return Message(cid=cid, id=log_id(seq, tag), seq=seq, ts=0, sender="ann", cmid=f"m{seq}", kind="message", body=seq)
