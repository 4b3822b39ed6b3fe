"""The order of one connection's sends to a conversation, when one of them fails and will be sent again.

Theory of operation. A client has several sends under way. When one is refused for the moment, those behind it may be on
the wire already; were they taken, they would stand in the log before it. So its conversation is *stopped*: all
other sends fail, until the first that failed comes again (a client resends from there) or PATIENCE_S after the
time it was told to come back (the client gave it up). First is the one sent first: one that still waits for the log may
fail after one that was refused as it came. One that is too old to be sent again comes under a new cmid,
which cannot be told from those behind it: where any of those failed with it, time alone lets them go on.

Bounded: STOPS_MAX stopped conversations; past it the one stopped longest ago is forgotten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from pushpull.delivery.bucket import ROUNDING_S
from pushpull.errors import CmidExpired, PushpullError, StoreUnavailable
from pushpull.model import CMID_MAX, NAME_MAX, Cid

PATIENCE_S: Final = 2.0
WAIT_S: Final = 1.0
"""Where an error names no time. Whatever was on the wire when it was told is here by then."""
STOPS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class _Stop:
    cmid: str | None  # the send that ends it; None: none does
    number: int  # of that send
    wait_until: float  # what fails behind it is told to come again then
    until: float
    firm: bool = True  # False: so far nothing failed behind it


class SendOrder:
    def __init__(self) -> None:
        self._stopped: dict[Cid, _Stop] = {}
        self._count = 0

    def check(self, cid: Cid, cmid: str, now: float) -> int:
        """A send comes; its number, by which `failed` knows where it stood.

        Raises StoreUnavailable where one before it failed and has not come again.
        """
        stop = self._stopped.get(cid)
        if stop is not None and stop.firm:
            if stop.cmid != cmid and now < stop.until:
                wait_ms = max(1, math.ceil((stop.wait_until - now - ROUNDING_S) * 1000))
                problem = "a send before it failed: retry in order, with the same cmids"
                raise StoreUnavailable(problem, retry_after_ms=wait_ms)
            del self._stopped[cid]
        self._count += 1
        return self._count

    def failed(self, cid: Cid, cmid: str, problem: PushpullError, now: float, number: int | None = None) -> None:
        """The service refused a send; `number` None: as it came. The first that failed is the one waited for."""
        if len(cid) > NAME_MAX or len(cmid) > CMID_MAX:
            return  # no send could ever be stored under these
        if number is None:
            self._count += 1
            number = self._count
        known = self._stopped.get(cid)
        if known is not None and known.until > now:
            if problem.temporary:
                self._stopped[cid] = _joined(known, cmid, number)
        elif problem.temporary:
            wait_s = WAIT_S if problem.retry_after_ms is None else problem.retry_after_ms / 1000
            self._stop(cid, _Stop(cmid, number, now + wait_s, now + wait_s + PATIENCE_S))
        elif isinstance(problem, CmidExpired):
            self._stop(cid, _Stop(None, number, now + WAIT_S, now + WAIT_S, firm=False))

    def _stop(self, cid: Cid, stop: _Stop) -> None:
        self._stopped.pop(cid, None)
        if len(self._stopped) >= STOPS_MAX:
            del self._stopped[next(iter(self._stopped))]
        self._stopped[cid] = stop


def _joined(stop: _Stop, cmid: str, number: int) -> _Stop:
    """`stop`, now that this send failed as well."""
    if stop.cmid is not None and number < stop.number:
        return replace(stop, cmid=cmid, number=number)
    return stop if stop.firm else replace(stop, firm=True)
