"""The delivery settings in force on this node: what it was started with, and over it what was put into all nodes.

Both may change while it runs: the first with its settings file, the second by a call to any node. Either is checked
whole before any of it is taken; what cannot be taken is said, and all stays as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pushpull import overrides
from pushpull.errors import Invalid, PushpullError, StoreUnavailable
from pushpull.settings import Delivery, Settings
from pushpull.store.policy import PolicyDocument, PolicyStore

log = logging.getLogger(__name__)

TRIES: Final = 10
"""Of a change, while others change the same document."""


class Policy:
    def __init__(self, settings: Settings, store: PolicyStore, *, changed: Callable[[], None]) -> None:
        """Keeps `settings.delivery` as it is to be, and calls `changed` after each change of it."""
        self._settings = settings
        self._store = store
        self._changed = changed
        self._base = settings.delivery  # without what was put
        self._origins: Mapping[str, str] = {}
        self._put: dict[str, Any] = {}

    # ------------------------------------------------------------------------------------------------ asked

    def entries(self) -> dict[str, dict[str, Any]]:
        """For each key its `value` and `origin`; for what was put, also what would be in force `without` it."""
        return {key: self._entry(key) for key in self._base.__struct_fields__}

    def _entry(self, key: str) -> dict[str, Any]:
        value, origin = getattr(self._base, key), self._origins.get(f"delivery.{key}", "default")
        if key not in self._put:
            return {"value": value, "origin": origin}
        hidden = {"value": value, "origin": origin}
        return {"value": getattr(self._settings.delivery, key), "origin": overrides.ORIGIN, "without": hidden}

    # ------------------------------------------------------------------------------------------------ changed

    async def put(self, changes: Mapping[str, Any]) -> None:
        """Change settings on every node; None takes one back. Raises Invalid (nothing is changed), StoreUnavailable.

        Where it raises StoreUnavailable it may be known to some nodes only until they look again: say it again.
        """
        changes = overrides.checked(changes)
        for _ in range(TRIES):
            before = await self._store.read()
            after = overrides.merged(overrides.known(before.overrides)[0], changes)
            overrides.applied(self._under(self._base), after)
            if await self._store.replace(before, after):
                break
        else:
            raise StoreUnavailable(f"the policy was changed by others {TRIES} times meanwhile: put it again")
        self._take(self._base, after)
        await self._store.tell()

    async def read(self) -> None:
        """Take what was put, here or elsewhere. Raises StoreUnavailable."""
        self._read(await self._store.read())

    def _read(self, document: PolicyDocument) -> None:
        put, problems = overrides.known(document.overrides)
        for problem in problems:
            log.warning("part of the policy cannot be taken by this release: %s", problem)
        try:
            self._take(self._base, put)
        except Invalid as problem:
            log.error("the policy was not taken, it contradicts this node's own settings: %s", problem.message)

    def started_with(self, origins: Mapping[str, str]) -> None:
        """Where this node's own settings came from, by `section.key`."""
        self._origins = dict(origins)

    def rebase(self, delivery: Delivery, origins: Mapping[str, str]) -> list[str]:
        """This node's own settings are others: returns the keys that changed. Raises Invalid: nothing did."""
        before = self._base
        self._take(delivery, self._put)
        self._origins = dict(origins)
        changed = [key for key in before.__struct_fields__ if getattr(before, key) != getattr(delivery, key)]
        hidden = [key for key in changed if key in self._put]
        if hidden:
            log.warning("changed, and hidden by what was put (pushpull policy --reset): %s", ", ".join(hidden))
        return changed

    def _take(self, base: Delivery, put: Mapping[str, Any]) -> None:
        delivery = overrides.applied(self._under(base), put)
        if put != self._put:
            log.info("put over this node's settings: %s", ", ".join(f"{k} {v}" for k, v in put.items()) or "nothing")
        self._base, self._put = base, dict(put)
        if delivery != self._settings.delivery:
            self._settings.delivery = delivery
            self._changed()

    def _under(self, base: Delivery) -> Settings:
        return msgspec.structs.replace(self._settings, delivery=base)


async def read_again(policy: Policy) -> None:
    """Announcements may have been missed, and a change of policy among them."""
    try:
        await policy.read()
    except PushpullError as problem:
        log.warning("the policy cannot be read now: %s", problem.message)
