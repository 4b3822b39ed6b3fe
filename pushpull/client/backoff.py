"""When and whether to connect again. Pure: chance comes in as a number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from pushpull.client.frames import Drain

FIRST_S: Final = 0.5
LONGEST_S: Final = 10.0
"""Half of it on average: a service is back within seconds of a restart, and 15,000 devices spread over 10 s are
1,500 connects a second, which one node admits."""
STEADY_S: Final = 5.0
"""A connection that lived this long was a good one: the next failure starts from the beginning. Without it a service
that accepts and then closes at once would be called twice a second."""

_NEVER: Final = frozenset({1009, 4400, 4403, 4409, 4413})


class AfterClose(Enum):
    RECONNECT = "reconnect"
    NEW_TOKEN = "new token"  # noqa: S105 - a verdict, no secret
    STOP = "stop"


def after_close(code: int) -> AfterClose:
    """What the close code asks of a client. Unknown codes reconnect."""
    if code == 4401:
        return AfterClose.NEW_TOKEN
    if code in _NEVER or 4500 <= code <= 4599:
        return AfterClose.STOP
    return AfterClose.RECONNECT


def drain_delay_s(drain: Drain, chance: float) -> float:
    """When to leave a node that goes away: at a moment of this client's own, `chance` being uniform in [0, 1)."""
    return (drain.after_ms + chance * drain.jitter_ms) / 1000


@dataclass(slots=True)
class Backoff:
    """Full jitter: a uniform share of a ceiling that doubles with each failure in a row, up to `longest_s`."""

    first_s: float = FIRST_S
    longest_s: float = LONGEST_S
    failures: int = 0

    def next_delay_s(self, chance: float) -> float:
        """Seconds to wait before the next try; `chance` is uniform in [0, 1)."""
        ceiling = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return ceiling * chance

    def lived(self, seconds: float) -> None:
        """A connection was open for so long."""
        if seconds >= STEADY_S:
            self.failures = 0
