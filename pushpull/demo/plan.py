"""Who is in which conversation, which devices are flaky, and how much is sent. Pure, and the same for the same plan."""

from __future__ import annotations

from typing import Final

import msgspec

GROUP_SIZE: Final = 10
GROUP_CONNECTED: Final = 6
"""Of a small group's members; the others belong to the hot group and are away."""
FLAKY_EVERY: Final = 10
"""One connected device in so many is flaky: by turns it loses its connection, or withholds its acks."""
FIRST_FLAKY: Final = 3


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One demo. `rate` is messages a second to the hot group, `group_rate` to all small groups together."""

    name: str
    connected: int = 2_000
    members: int = 10_000
    groups: int = 100
    seconds: float = 20.0
    rate: float = 3.0
    group_rate: float = 50.0
    patience_s: float = 30.0

    @property
    def hot(self) -> str:
        """The hot group's cid."""
        return f"{self.name}-hot"

    @property
    def small(self) -> list[str]:
        """The small groups' cids."""
        return [f"{self.name}-group-{number}" for number in range(self.groups)]

    def uid(self, number: int) -> str:
        """The user with this number, 0 to members − 1; the first `connected` ones have a device that is connected."""
        return f"{self.name}-user-{number}"

    def group(self, number: int) -> list[int]:
        """The users of one small group: some connected ones and some who are away, as far as there are any."""
        away = self.members - self.connected
        here = [(number * GROUP_CONNECTED + place) % self.connected for place in range(GROUP_CONNECTED)]
        rest = range(GROUP_SIZE - GROUP_CONNECTED) if away else ()
        gone = [self.connected + (number * (GROUP_SIZE - GROUP_CONNECTED) + place) % away for place in rest]
        return list(dict.fromkeys(here + gone))

    def conversations(self) -> dict[str, list[int]]:
        """Every conversation's users."""
        groups = {cid: self.group(number) for number, cid in enumerate(self.small)}
        return {self.hot: list(range(self.members)), **groups}

    def of_devices(self) -> list[list[str]]:
        """For each connected user, the conversations it is in."""
        cids: list[list[str]] = [[] for _ in range(self.connected)]
        for cid, users in self.conversations().items():
            for user in users:
                if user < self.connected:
                    cids[user].append(cid)
        return cids


def drops(number: int) -> bool:
    """Whether this user's device loses its connection now and then."""
    return number % (2 * FLAKY_EVERY) == FIRST_FLAKY


def withholds(number: int) -> bool:
    """Whether this user's device keeps its acks back for a while now and then."""
    return number % (2 * FLAKY_EVERY) == FIRST_FLAKY + FLAKY_EVERY


def flaky(number: int) -> bool:
    """Either of the two."""
    return drops(number) or withholds(number)
