"""Pages for those who ask: forward and backward, over HTTP and WebSocket, from the tail where it has them."""

from __future__ import annotations

from dataclasses import dataclass

from pushpull.delivery import client_frames, frames
from pushpull.delivery.tail import page_of
from pushpull.errors import Invalid, not_a_member
from pushpull.model import Cid, Head, Uid
from pushpull.node.parts import Parts


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """The JSON of a page, and an ETag that changes whenever the page would."""

    body: bytes
    etag: str


def oldest_for(head: Head, joined: int) -> int:
    """The oldest seq a member may see who joined at the head `joined`."""
    return joined + 1 if head.settings.history == "joined" else 1


async def forward(parts: Parts, cid: Cid, after: int, *, limit: int, reader: Uid | None) -> PageAnswer:
    """`messages` above `after`. `reader` None: a server key. Raises PushpullError."""
    head, oldest = await _may_read(parts, cid, reader)
    if after > head.seq:
        raise Invalid(f"after {after} is past the head {head.seq}")
    start = max(after, oldest - 1)
    feed = parts.feeds.get(cid)
    max_bytes = parts.settings.delivery.page_bytes
    page = None
    if feed is not None and feed.tail.head_id == head.last_id:
        page = feed.tail.page(start, limit=limit, max_bytes=max_bytes)
    if page is None:
        parts.metrics.log_reads.inc()
        read = await parts.store.log.read(cid, after=start, limit=limit, max_bytes=max_bytes)
        head = read.head
        page = page_of(read.entries, after=start, at=head.last_id)
    parts.metrics.pulls.inc()
    body = frames.messages(cid, after, page.upto, page.upto_id, page.items, head=head.seq, floor=head.floor)
    return PageAnswer(body, _etag(head, f"a{after}-{limit}-{oldest}"))


async def backward(
    parts: Parts, cid: Cid, before: int | None, *, limit: int, reader: Uid | None, rid: client_frames.Rid = None
) -> PageAnswer:
    """`history` below `before` (None: the newest). `reader` None: a server key. Raises PushpullError."""
    head, oldest = await _may_read(parts, cid, reader)
    end = head.seq + 1 if before is None else min(before, head.seq + 1)
    max_bytes = parts.settings.delivery.page_bytes
    parts.metrics.log_reads.inc()
    read = await parts.store.log.read_before(cid, before=end, oldest=oldest, limit=limit, max_bytes=max_bytes)
    parts.metrics.pulls.inc()
    items = [frames.item(entry) for entry in read.entries]
    body = frames.history(cid, end, items, floor=read.head.floor, more=read.more, rid=rid)
    return PageAnswer(body, _etag(read.head, f"b{end}-{limit}-{oldest}"))


async def _may_read(parts: Parts, cid: Cid, reader: Uid | None) -> tuple[Head, int]:
    """The head, and the oldest seq the reader may see. Raises NoSuchConversation, NotAMember."""
    head = await parts.store.conversations.head(cid)
    if reader is None:
        return head, 1
    joined = (await parts.store.members.joined(cid, [reader]))[0]
    if joined is None:
        raise not_a_member(reader, cid)
    return head, oldest_for(head, joined)


def _etag(head: Head, page: str) -> str:
    # Each redaction and edit appends an entry, so the last id stands for them too; floor moves by itself.
    return f'"{head.epoch}-{head.last_id}-{head.floor}-{page}"'
