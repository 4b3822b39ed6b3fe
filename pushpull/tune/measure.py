"""One stretch of one way of delivery, through a real service and real sockets: what was done, and what it cost.

Theory of operation. All members are connected once, and every spot of the grid is measured with all of them: in one
group or in many small ones, so that the smallest costs enough to be seen. Each group size has its conversations, whose
settings choose the way of delivery. Who looks has its group on screen and says so (`focus`), comes for what it is
notified of and is timed; who does not says that it looks elsewhere, and comes for nothing.

Messages come at random moments, as people write, and the same ones for each way. Before a stretch some are sent that
nobody counts: the service then knows the rate, and who does not look is behind, as it would be after a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from pushpull.bench.audience import SETTINGS, Way
from pushpull.bench.checks import troubles
from pushpull.bench.crowd import Acks
from pushpull.bench.fleet import Fleet, fleet, load_processes
from pushpull.bench.meter import Meter, Usage
from pushpull.bench.service import Service, running
from pushpull.bench.spread import Summary
from pushpull.bench.stage import make, uids
from pushpull.bench.sums import Totals
from pushpull.delivery.costs import Work
from pushpull.settings import Delivery
from pushpull.tune.fit import Observed
from pushpull.tune.sweep import Scale, Spot

PATIENCE_S: Final = 15.0
"""After the last send: what has not come to those who look by then is wrong."""
POLL_S: Final = 0.05
BURST: Final = 3
"""Messages to each group before a stretch: enough that they do not ride inline together."""
BURST_BYTES: Final = 1_000
BURST_S: Final = 0.1
IDLE_S: Final = 2.0
SENDERS: Final = 50
PULLS: Final = 5
PULLS_APART_S: Final = 0.1
"""Between two pulls of everybody: a service that never rests does each for less than one that does at times."""
SEED: Final = 1
"""Of the moments of messages: the same for each way, so that no way has the luckier ones."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What a spot cost in one way: of all groups together and the whole stretch.

    `did.cpu_s` is without what the same time costs the service idle. `late`: how late messages came to who looks.
    """

    way: Way
    spot: Spot
    members: int
    seconds: float
    did: Observed
    redis_cpu_s: float
    late: Summary
    load_share: float
    other_cores: float  # what else ran on the machine meanwhile
    wrong: list[str]

    @property
    def per_member_s(self) -> float:
        """Seconds of processor time for each member and second."""
        return self.did.cpu_s / self.members / self.seconds


class Stretches:
    """A service with all members connected. `spot` as often as wanted, one at a time."""

    def __init__(self, service: Service, load: Fleet, scale: Scale) -> None:
        self._service = service
        self._load = load
        self._scale = scale
        self._users = uids(scale.members)
        self._groups = {size: groups(self._users, size) for size in scale.sizes}
        self._idle_cores = 0.0
        self._looking: tuple[int, float] | None = None

    async def prepare(self) -> None:
        """Make the conversations, connect everybody, and see what that costs when nothing happens."""
        for made in self._groups.values():
            await make(self._service, made)
        await self._load.behave("delayed", pulls=True)
        await self._load.connect(self._service, self._users, looks_at=dict.fromkeys(self._users))
        await asyncio.sleep(self._scale.settle_s)
        meter = self._meter()
        await asyncio.sleep(min(IDLE_S, self._scale.stretch_s))
        self._idle_cores = meter.read().server_cores

    async def spot(self, spot: Spot, way: Way, *, acks: Acks = "delayed") -> Point:
        """One stretch. Raises BenchFailed, PushpullError."""
        made = self._groups[spot.size]
        await self._load.behave(acks, pulls=True)
        await self._choose(made, way)
        await self._look(spot)
        await self._warm_up(spot)
        await self._caught_up(made)
        await asyncio.sleep(self._scale.settle_s)
        await self._load.restart_counts()
        meter = self._meter()
        sent = await self._send(spot, self._scale.stretch_s)
        await asyncio.sleep(self._scale.settle_s)  # the last round, and the cursors of the acks, are part of the price
        usage = meter.read()
        behind = await self._caught_up(made)
        point = self._point(spot, way, sent, usage, await self._load.totals(), behind)
        if acks == "never":  # what is owed is acked with what comes next, before it is sent again and again
            await self._load.behave("at_once", pulls=True)
            await self._warm_up(spot)
        return point

    async def pages(self, limit: int) -> Observed:
        """Everybody pulls the newest `limit` messages of the largest group, several times. Raises BenchFailed."""
        cid, members = next(iter(self._groups[max(self._scale.sizes)].items()))
        head = (await self._service.server.get_conversation(cid))["head"]
        if head < limit:
            posted = [{"cid": cid, "from": members[0], "cmid": f"p{n}", "body": "x" * 200} for n in range(limit - head)]
            await self._service.server.send_many(posted)
            head = limit
            await asyncio.sleep(self._scale.settle_s)
        meter = self._meter()
        pages = 0
        for _ in range(PULLS):
            pages += (await self._load.pull_at_once(cid, head - limit, limit=limit)).pages
            await asyncio.sleep(PULLS_APART_S)
        usage = meter.read()
        return Observed(Work(frames=pages, items=pages * limit, pulls=pages), self._busy_s(usage))

    async def _choose(self, made: dict[str, list[str]], way: Way) -> None:
        for cid in made:
            await self._service.server.put_conversation(cid, settings=SETTINGS[way])

    async def _look(self, spot: Spot) -> None:
        """Those who look turn to their group of this size, the others away."""
        if self._looking == (spot.size, spot.viewers):
            return
        self._looking = (spot.size, spot.viewers)
        looks: dict[str, str | None] = dict.fromkeys(self._users)
        for cid, members in self._groups[spot.size].items():
            looks.update(dict.fromkeys(lookers(members, spot.viewers), cid))
        await self._load.look(looks)

    async def _warm_up(self, spot: Spot) -> None:
        """Some messages together, which leave behind who does not look, and then some at the rate."""
        writers = [(lookers(members, spot.viewers)[0], cid) for cid, members in self._groups[spot.size].items()]
        per_s = BURST * len(writers) / BURST_S
        await self._load.send_at_rate(writers * BURST, size=BURST_BYTES, seconds=BURST_S, per_s=per_s)
        await self._send(spot, self._scale.warm_s, seed=0)

    async def _send(self, spot: Spot, seconds: float, *, seed: int = SEED) -> int:
        made = self._groups[spot.size]
        routes = [(uid, cid) for cid, members in made.items() for uid in lookers(members, spot.viewers)[:SENDERS]]
        most = max(1, round(spot.rate * len(made) * seconds))
        size = self._scale.body_bytes
        return await self._load.send_at_random(routes, size=size, seconds=seconds, most=most, seed=seed)

    async def _caught_up(self, made: dict[str, list[str]]) -> list[str]:
        """Wait until who looks has everything; what is wrong when that takes too long."""
        began = time.monotonic()
        heads = {cid: (await self._service.server.get_conversation(cid))["head"] for cid in made}
        while behind := await self._load.lookers_behind(heads):
            if time.monotonic() - began > PATIENCE_S:
                return [f"{behind} who look were still behind after {PATIENCE_S:g} s"]
            await asyncio.sleep(POLL_S)
        return []

    def _busy_s(self, usage: Usage) -> float:
        return max(0.0, usage.server_cpu_s - self._idle_cores * usage.seconds)

    def _meter(self) -> Meter:
        return Meter(self._service, self._load.pids)

    def _point(self, spot: Spot, way: Way, sent: int, usage: Usage, totals: Totals, behind: list[str]) -> Point:
        work = Work(
            frames=totals.frames,
            items=totals.items + totals.repeated,
            acks=totals.acked,
            notices=totals.notices,
            pulls=totals.pulled,
            sends=sent,
            flushes=max(0, usage.redis.calls.get("evalsha", 0) - sent),
        )
        return Point(
            way=way,
            spot=spot,
            members=self._scale.members,
            seconds=self._scale.stretch_s,
            did=Observed(work, self._busy_s(usage), usage.redis.commands, totals.received_bytes),
            redis_cpu_s=usage.redis.cpu_s,
            late=totals.delivery.summary(),
            load_share=usage.load_share,
            other_cores=usage.other_cores,
            wrong=[*behind, *troubles(way, totals)],
        )


@asynccontextmanager
async def stretches(scale: Scale, settings: Delivery) -> AsyncIterator[Stretches]:
    """A service of its own with all members connected. Raises BenchFailed or ConfigError when it does not start."""
    given = {f"DELIVERY__{key.upper()}": str(value) for key, value in msgspec.structs.asdict(settings).items()}
    async with running(**given) as service, fleet(load_processes()) as load:
        made = Stretches(service, load, scale)
        await made.prepare()
        yield made


def groups(users: Sequence[str], size: int) -> dict[str, list[str]]:
    """All users in conversations of `size`: cid → members."""
    starts = range(0, len(users), size)
    return {f"s{size}-{number}": list(users[first : first + size]) for number, first in enumerate(starts)}


def lookers(members: Sequence[str], viewers: float) -> Sequence[str]:
    """The share of a group that looks: at least one, who also writes."""
    return members[: max(1, round(viewers * len(members)))]
