"""A conversation that some members look at and most do not, on a real service: what a second of it costs.

Theory of operation. All members are connected. Those who look have the conversation on their screen and say so
(`focus`): they come for what they are notified of, and how late messages reach them is timed. The others say that they
look elsewhere and come for nothing. The conversation's own settings choose the way of delivery, or leave it to the
service's policy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import msgspec

from pushpull.bench.checks import troubles
from pushpull.bench.failure import BenchFailed
from pushpull.bench.fleet import Fleet, fleet, load_processes
from pushpull.bench.meter import Meter, Usage
from pushpull.bench.service import Service, running
from pushpull.bench.stage import SETTLE_S, make, uids
from pushpull.bench.sums import Totals

Way = Literal["push", "batched", "notify", "policy"]
"""Each message pushed to everybody; one push a window to everybody; everybody notified; what the policy decides."""

CID: Final = "audience"
WINDOW_MS: Final = 250
SENDERS: Final = 50
PATIENCE_S: Final = 15.0
"""After the last send: what has not come to those who look by then is late, and its cost is counted up to here."""
WARM_S: Final = 1.0
POLL_S: Final = 0.05

SETTINGS: Final[dict[Way, dict[str, Any]]] = {
    "push": {"mode": "push", "push_window_ms": None},
    "batched": {"mode": "push", "push_window_ms": WINDOW_MS},
    "notify": {"mode": "notify", "push_window_ms": None},
    "policy": {"mode": "auto", "push_window_ms": None},
}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What one stretch of `seconds` cost. `viewers` is a share, 0 to 1, of `members`; rates are per second.

    `server_cores`: processor seconds of the service for each second of sending, however long it took to follow.
    """

    members: int
    rate: float
    viewers: float
    mode: Way
    seconds: float
    sent: int
    server_cores: float
    redis_cores: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    pushed_per_s: float  # `messages` frames that arrived, pulled pages among them
    acks_per_s: float
    notices_per_s: float
    pulls_per_s: float
    late_s: float  # from the last send until those who look had everything
    load_share: float  # of a core, the busiest load process
    wrong: list[str]


class Audience:
    """Members who are connected; `measure` as often as wanted."""

    def __init__(self, service: Service, load: Fleet, *, members: int, viewers: float) -> None:
        self._service = service
        self._load = load
        self._members = members
        self._viewers = viewers
        self._looking = _looking(members, viewers)

    async def measure(self, rate: float, mode: Way, seconds: float) -> Point:
        """Send `rate` messages a second for `seconds`. Raises BenchFailed, PushpullError."""
        await self._service.server.put_conversation(CID, settings=SETTINGS[mode])
        await self._send(rate, min(WARM_S, seconds))  # the rate is known, the settings have arrived
        await self._caught_up()
        await self._load.restart_counts()
        meter = Meter(self._service, self._load.pids)
        began = time.monotonic()
        sent = await self._send(rate, seconds)
        took_s = time.monotonic() - began
        behind, late_s = await self._caught_up()
        await asyncio.sleep(SETTLE_S)  # the acks' cursors are written: part of the price
        return self._point(rate, mode, took_s, sent, meter.read(), await self._load.totals(), behind, late_s)

    async def _send(self, rate: float, seconds: float) -> int:
        routes = [(uid, CID) for uid in (self._looking or uids(self._members))[:SENDERS]]
        return await self._load.send_at_rate(routes, size=200, seconds=seconds, per_s=rate)

    async def _caught_up(self) -> tuple[int, float]:
        """How many who look have not got everything in time, and how long it took."""
        began = time.monotonic()
        head = (await self._service.server.get_conversation(CID))["head"]
        while behind := await self._load.behind(CID, head):
            if time.monotonic() - began > PATIENCE_S:
                break
            await asyncio.sleep(POLL_S)
        return behind, time.monotonic() - began

    def _point(
        self,
        rate: float,
        mode: Way,
        took_s: float,
        sent: int,
        usage: Usage,
        totals: Totals,
        behind: int,
        late_s: float,
    ) -> Point:
        times = totals.delivery.summary()
        # Far too much for the service may overrun a device, which is then told so: that is what was measured.
        wrong = troubles(mode, totals) if late_s < PATIENCE_S else []
        if not behind and times.count < sent * len(self._looking):
            wrong.append(f"{mode}: {times.count} messages were seen, expected {sent * len(self._looking)}")
        return Point(
            members=self._members,
            rate=rate,
            viewers=self._viewers,
            mode=mode,
            seconds=took_s,
            sent=sent,
            server_cores=usage.server_cpu_s / took_s,
            redis_cores=usage.redis.cpu_s / took_s,
            p50_ms=times.p50_ms,
            p99_ms=times.p99_ms,
            max_ms=times.max_ms,
            pushed_per_s=totals.frames / took_s,
            acks_per_s=totals.acked / took_s,
            notices_per_s=totals.notices / took_s,
            pulls_per_s=totals.pulled / took_s,
            late_s=late_s,
            load_share=usage.load_share,
            wrong=wrong,
        )


@asynccontextmanager
async def audience(members: int, viewers: float, **settings: str) -> AsyncIterator[Audience]:
    """A service of its own and its members, all connected. `settings` as in the environment, without the prefix.

    Raises BenchFailed or ConfigError when it does not start, or for a share that is none.
    """
    if not 0 <= viewers <= 1:
        raise BenchFailed(f"viewers {viewers} is not a share: 0 to 1")
    users = uids(members)
    async with running(**settings) as service, fleet(load_processes()) as load:
        await make(service, {CID: users})
        await load.behave("delayed", pulls=True)
        looks_at: dict[str, str | None] = dict.fromkeys(users)
        looks_at.update(dict.fromkeys(_looking(members, viewers), CID))
        await load.connect(service, users, looks_at=looks_at)
        yield Audience(service, load, members=members, viewers=viewers)


async def measure(members: int, rate: float, viewers: float, mode: Way, seconds: float) -> Point:
    """One point on a service of its own: `rate` messages a second to `members`, a share `viewers` of whom look."""
    async with audience(members, viewers) as everyone:
        return await everyone.measure(rate, mode, seconds)


def _looking(members: int, viewers: float) -> list[str]:
    """Who looks: spread over all, since load processes get contiguous shares."""
    count = round(members * viewers)
    return [f"u-{number * members // count}" for number in range(count)]
