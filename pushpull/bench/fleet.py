"""All load processes as one: devices by uid, orders given to each process for its own, counts added up."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from pushpull.bench.child import Child, child
from pushpull.bench.crowd import Acks
from pushpull.bench.load import Counts
from pushpull.bench.service import HOST, Service
from pushpull.bench.sums import Posted, Pulled, Totals, pulled_of, times_of

Route = tuple[str, str]
"""uid, cid: who sends to which conversation."""


class Fleet:
    """Devices are spread over the processes in the order they are connected."""

    def __init__(self, processes: Sequence[Child]) -> None:
        self._processes = processes
        self._where: dict[str, tuple[int, int]] = {}  # uid → process, number of the device in it
        self._sizes = [0] * len(processes)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def connect(
        self,
        service: Service,
        uids: Sequence[str],
        *,
        together: int = 1,
        narrow: bool = False,
        looks_at: Mapping[str, str | None] | None = None,
    ) -> float:
        """Add a device for each user; the slowest process's seconds. `together`: so many share a process.

        `narrow`: over lines that can be read slowly. `looks_at`: the conversation on the screen of those who say so
        (None: none).
        """
        shares = _shares(uids, len(self._processes), together)
        for place, share in enumerate(shares):
            for uid in share:
                self._where[uid] = (place, self._sizes[place])
                self._sizes[place] += 1
        looks = looks_at or {}
        where = {"host": HOST, "port": service.port, "narrow": narrow}
        orders = [
            {
                **where,
                "tokens": {uid: service.token(uid) for uid in share},
                "looks_at": {uid: looks[uid] for uid in share if uid in looks},
            }
            for share in shares
        ]
        return float(max(await self._each("connect", orders, within_s=600.0)))

    async def connect_floor(self, port: int, connections: int) -> None:
        shares = _shares(range(connections), len(self._processes), 1)
        self._sizes = [len(share) for share in shares]
        await self._each("listen_raw", [{"host": HOST, "port": port, "connections": size} for size in self._sizes])

    async def reconnect(self) -> float:
        """All devices come back; the slowest process's seconds until its devices are live."""
        return float(max(await self._all("reconnect", within_s=600.0)))

    async def hang_up(self) -> None:
        await self._all("hang_up")

    async def behave(
        self, acks: Acks, *, pulls: bool, heads_only: bool = False, deflates: bool = False, pull_limit: int = 500
    ) -> None:
        order: dict[str, Any] = {"acks": acks, "pulls": pulls, "heads_only": heads_only, "deflates": deflates}
        await self._all("behave", **order, pull_limit=pull_limit)

    async def read_at(self, bytes_per_s: float) -> None:
        """From now on, each device on a narrow line; 0: as fast as it comes."""
        await self._all("read_at", bytes_per_s=bytes_per_s)

    # ------------------------------------------------------------------------------------------------ sends

    async def send_at_rate(self, routes: Sequence[Route], *, size: int, seconds: float, per_s: float) -> int:
        """So many a second in all; how many were sent."""
        most = max(1, round(per_s * seconds))
        parts = self._by_process(routes, most)
        orders = [{**part, "seconds": seconds + 30, "per_s": per_s * part["most"] / most} for part in parts]
        return await self._send("send_at_rate", orders, size=size, seconds=seconds)

    async def send_at_random(self, routes: Sequence[Route], *, size: int, seconds: float, most: int, seed: int) -> int:
        """So many at random moments and by random senders; how many were sent."""
        orders = [
            {**part, "seconds": seconds, "seed": seed + n} for n, part in enumerate(self._by_process(routes, most))
        ]
        return await self._send("send_at_random", orders, size=size, seconds=seconds)

    async def send_answered(
        self, routes: Sequence[Route], *, size: int, seconds: float, most: int, in_flight: int
    ) -> int:
        """`in_flight` on each route; how many were sent."""
        orders = [{**part, "seconds": seconds, "in_flight": in_flight} for part in self._by_process(routes, most)]
        return await self._send("send_answered", orders, size=size, seconds=seconds)

    async def send_delivered(
        self, routes: Sequence[Route], *, size: int, seconds: float, most: int, receivers: int, in_flight: int
    ) -> int:
        """`in_flight` on their way in all, each to `receivers` devices that are together; how many were sent."""
        parts = self._by_process(routes, most)
        share = max(1, in_flight // len(self._processes))
        orders = [{**part, "seconds": seconds, "receivers": receivers, "in_flight": share} for part in parts]
        return await self._send("send_delivered", orders, size=size, seconds=seconds)

    async def post(
        self,
        service: Service,
        targets: Sequence[tuple[str, str]],
        *,
        size: int,
        batch: int,
        lanes: int,
        seconds: float,
        most: int,
    ) -> Posted:
        """Post over HTTP to (cid, sender)s, with so many connections in all."""
        processes = len(self._processes)
        order = {
            "where": (HOST, service.port),
            "key": service.api_key,
            "targets": list(targets),
            "size": size,
            "batch": batch,
            "lanes": max(1, lanes // processes),
            "seconds": seconds,
            "most": -(-most // processes),
        }
        answers = await self._each("post", [order] * processes, within_s=seconds + 60)
        return Posted(
            calls=sum(answer["calls"] for answer in answers),
            stored=sum(answer["stored"] for answer in answers),
            refused=sum(answer["refused"] for answer in answers),
            times=times_of(answers),
        )

    def _by_process(self, routes: Sequence[Route], most: int) -> list[dict[str, Any]]:
        """For each process its routes and its share of the messages; nothing for one without routes."""
        parts: list[dict[str, Any]] = [{"routes": [], "most": 0} for _ in self._processes]
        for uid, cid in routes:
            place, number = self._where[uid]
            parts[place]["routes"].append((number, cid))
        left, unserved = most, len(routes)
        for part in parts:
            if part["routes"]:
                part["most"] = left * len(part["routes"]) // unserved
                left -= part["most"]
                unserved -= len(part["routes"])
        return parts

    async def _send(self, do: str, orders: Sequence[dict[str, Any]], *, size: int, seconds: float) -> int:
        asked = [
            process.ask(do, within_s=seconds + 90, size=size, **order)
            for process, order in zip(self._processes, orders, strict=True)
            if order["most"]
        ]
        return sum(await asyncio.gather(*asked))

    # ------------------------------------------------------------------------------------------------ pulls

    async def pull(
        self, cid: str, starts: Sequence[int], *, limit: int, devices: int, seconds: float, most: int
    ) -> Pulled:
        """Pages above any of `starts`, by so many devices in all."""
        processes = len(self._processes)
        order = {"cid": cid, "starts": list(starts), "limit": limit, "devices": max(1, devices // processes)}
        order |= {"seconds": seconds, "most": -(-most // processes)}
        return pulled_of(
            await self._each("pull", [{**order, "seed": n} for n in range(processes)], within_s=seconds + 60)
        )

    async def pull_at_once(self, cid: str, after: int, *, limit: int) -> Pulled:
        return pulled_of(await self._all("pull_at_once", cid=cid, after=after, limit=limit))

    # ------------------------------------------------------------------------------------------------ what came

    async def everyone_got(self, messages: int, *, within_s: float) -> bool:
        """Wait until every device has had so many messages (on average); False when it takes longer."""
        orders = [{"what": "items", "count": messages * size, "seconds": within_s} for size in self._sizes]
        return all(await self._each("until", orders, within_s=within_s + 30))

    async def has_seen(self, what: str, count: int, *, within_s: float) -> bool:
        """Wait until the devices have seen so many of `what` in all; False when it takes longer."""
        give_up = asyncio.get_running_loop().time() + within_s
        while sum(await self._all("count", what=what)) < count:
            if asyncio.get_running_loop().time() > give_up:
                return False
            await asyncio.sleep(0.02)
        return True

    async def behind(self, cid: str, head: int) -> int:
        """How many devices that come for it lack something of the conversation up to `head`."""
        return sum(await self._all("behind", cid=cid, head=head))

    async def look(self, looks_at: Mapping[str, str | None]) -> None:
        """uid → the conversation on its screen from now on; None: none."""
        await self._all("look", looks_at=looks_at)

    async def lookers_behind(self, heads: Mapping[str, int]) -> int:
        """How many devices do not have the conversation on their screen up to its head."""
        return sum(await self._all("lookers_behind", heads=heads))

    async def ack_all(self, cid: str) -> None:
        await self._all("ack_all", cid=cid)

    async def restart_counts(self) -> None:
        await self._all("restart_counts")

    async def totals(self) -> Totals:
        answers = await self._all("counts", within_s=120.0)
        return Totals([msgspec.convert(answer, Counts, str_keys=True) for answer in answers])

    async def _all(self, do: str, *, within_s: float = 60.0, **args: Any) -> list[Any]:
        return await self._each(do, [args] * len(self._processes), within_s=within_s)

    async def _each(self, do: str, orders: Sequence[dict[str, Any]], *, within_s: float = 60.0) -> list[Any]:
        asked = [p.ask(do, within_s=within_s, **order) for p, order in zip(self._processes, orders, strict=True)]
        return list(await asyncio.gather(*asked))


@asynccontextmanager
async def fleet(processes: int) -> AsyncIterator[Fleet]:
    """So many load processes, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        yield Fleet([await stack.enter_async_context(child("pushpull.bench.load")) for _ in range(processes)])


def load_processes() -> int:
    """One for each core that the service leaves."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _shares(everyone: Sequence[Any], processes: int, together: int) -> list[list[Any]]:
    """Contiguous shares, cut only between blocks of `together`."""
    blocks = -(-len(everyone) // together)
    edges = [blocks * place // processes * together for place in range(processes + 1)]
    return [list(everyone[first:last]) for first, last in itertools.pairwise(edges)]
