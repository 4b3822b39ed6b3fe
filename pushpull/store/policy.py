"""The delivery settings that were put into the running service: one document for all nodes.

It is replaced whole, and only where it still is what the change was made from, so that of two changes at once neither
is lost. Every node is told by an announcement, and reads it when it starts, and when it may have missed one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushpull.store.control import announce
from pushpull.store.keys import Keys
from pushpull.store.scripts import Call, Script, Wire
from pushpull.store.values import Announcement

log = logging.getLogger(__name__)

VERSION: Final = 1

_REPLACE: Final = Script.load("replace")


class _Document(msgspec.Struct, frozen=True):
    v: int
    delivery: dict[str, Any]


class PolicyDocument(msgspec.Struct, frozen=True):
    """`overrides` as they are kept, not checked; `text` is what they were read from (empty: there is none)."""

    overrides: Mapping[str, Any]
    text: bytes


class PolicyStore:
    """Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def read(self) -> PolicyDocument:
        """What is in force; nothing where there is none, or one of a later release."""
        text = await self._wire.command("GET", self._keys.policy(), again=True) or b""
        try:
            document = msgspec.json.decode(text, type=_Document) if text else _Document(VERSION, {})
        except msgspec.MsgspecError:
            log.error("the policy in Redis cannot be read and is left out: put it again")
            return PolicyDocument({}, text)
        if document.v > VERSION:
            log.warning("the policy in Redis is of version %s, this release knows %s: left out", document.v, VERSION)
            return PolicyDocument({}, text)
        return PolicyDocument(document.delivery, text)

    async def replace(self, before: PolicyDocument, overrides: Mapping[str, Any]) -> bool:
        """Put `overrides` in place of `before`; False where that is not what is there any more."""
        text = msgspec.json.encode(_Document(VERSION, dict(overrides))) if overrides else b""
        # Said twice it finds what it has put itself, and says so: it may run again.
        return bool(await self._wire.run(Call(_REPLACE, [self._keys.policy()], [before.text, text]), again=True))

    async def tell(self) -> None:
        """Have every node read it."""
        await announce(self._wire, self._keys, [Announcement(kind="policy")])
