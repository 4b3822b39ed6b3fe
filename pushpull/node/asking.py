"""What only the other nodes know: asked of all of them over the control channel, answered through Redis.

Whoever asks waits for those it expects to know something, up to ANSWER_S: a node that hangs or has died in the last
seconds does not answer, and is named. So is one of a release that does not know the question, or has other words.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Collection
from typing import Final

import msgspec

from pushpull.delivery.trace import Stand
from pushpull.errors import PushpullError
from pushpull.model import Cid, Uid
from pushpull.node.parts import Parts
from pushpull.node.stands import stands_of
from pushpull.store.values import Announcement

log = logging.getLogger(__name__)

ANSWER_S: Final = 1.0
LOOK_S: Final = 0.01  # from one look at the answers to the next, at first; then longer and longer
LOOK_MAX_S: Final = 0.1

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Stand]).decode


async def ask(parts: Parts, uid: Uid, cid: Cid, *, nodes: Collection[str]) -> tuple[list[Stand], list[str]]:
    """How the user's sessions stand everywhere, and which of `nodes` did not say. Raises StoreUnavailable.

    This node is not asked but looked at; where there are no others in `nodes`, nobody is.
    """
    here = stands_of(parts, uid, cid)
    others = sorted(set(nodes) - {parts.node_id})
    if not others:
        return here, []
    question = uuid.uuid4().hex
    await parts.store.questions.ask(question, uid, cid)
    said = await _answers(parts, question, others)
    said.pop(parts.node_id, None)
    understood = {node: stands for node, text in said.items() if (stands := _understood(text)) is not None}
    elsewhere = [stand for stands in understood.values() for stand in stands]
    return here + elsewhere, [node for node in others if node not in understood]


def _understood(text: bytes) -> list[Stand] | None:
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None


async def _answers(parts: Parts, question: str, nodes: Collection[str]) -> dict[str, bytes]:
    give_up, pause_s = time.monotonic() + ANSWER_S, LOOK_S
    while True:
        said = await parts.store.questions.answers(question)
        if said.keys() >= set(nodes) or time.monotonic() >= give_up:
            return said
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LOOK_MAX_S)


async def answer(parts: Parts, asked: Announcement) -> None:
    """Answer another node's question; one that cannot be answered now is named by who asked."""
    if asked.question is None or asked.cid is None:
        return
    stands = [stand for uid in asked.users for stand in stands_of(parts, uid, asked.cid)]
    try:
        await parts.store.questions.answer(asked.question, parts.node_id, _encode(stands))
    except PushpullError as problem:
        log.debug("a question was not answered: %s", problem.message)
