"""A replica that lacks the end of the logs takes over: nobody is left with what is no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pushpull.model import Cid, LogId, seq_of
from tests.faults.checker import Send
from tests.faults.conftest import Endure
from tests.faults.history import Answered, Applied, Event, Left, Tried, Withdrawn
from tests.faults.load import Load, Logs
from tests.faults.replica_faults import follow, promoted_without_tail
from tests.faults.stage import Stage
from tests.servers import RedisServer, free_port


async def test_a_replica_promoted_without_the_tail_is_followed_by_everybody(
    start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    primary, replica = start_redis(port=free_port()), start_redis(port=free_port())
    follow(replica, primary)
    async with Stage(tmp_path, primary, redis_socket=primary.socket_path) as stage, Load(stage.urls) as load:
        epochs = await _epochs(load)
        await endure(promoted_without_tail(stage, primary, replica), load)

        logs, after = await load.logs(), await _epochs(load)
        lost = Lost.of(load.diary.events, logs)
        assert lost.by_devices, "no device lost a confirmed message: the fault is none"
        assert [send for send in lost.by_devices if send not in _stored(logs)] == []
        assert {cid for cid in load.cids if after[cid] != epochs[cid]} >= lost.seen_in
        assert lost.untold == set()


async def _epochs(load: Load) -> dict[Cid, str]:
    return {
        cid: (await load.backend.call(lambda server, cid=cid: server.get_conversation(cid)))["epoch"]
        for cid in load.cids
    }


def _stored(logs: Logs) -> set[Send]:
    return {(cid, entry.sender, entry.cmid) for cid, log in logs.items() for entry in log}


@dataclass(frozen=True)
class Lost:
    """What was confirmed or shown, and is no more."""

    by_devices: set[Send]  # confirmed to a device
    seen_in: set[Cid]  # conversations of which a device showed some of it
    untold: set[tuple[str, LogId]]  # devices that showed some and were not told to go back below it

    @classmethod
    def of(cls, events: list[Event], logs: Logs) -> Lost:
        known = {(cid, entry.id) for cid, log in logs.items() for entry in log}
        over_sockets = {(e.cid, e.sender, e.cmid) for e in events if isinstance(e, Tried) and e.connection}
        gone = [e for e in events if isinstance(e, Answered) and e.id is not None and (e.cid, e.id) not in known]
        return cls(
            by_devices={(e.cid, e.sender, e.cmid) for e in gone} & over_sockets,
            seen_in={e.cid for e in events if isinstance(e, Applied) and (e.cid, e.id) not in known},
            untold=_untold(events, known),
        )


def _untold(events: list[Event], known: set[tuple[Cid, LogId]]) -> set[tuple[str, LogId]]:
    shown: dict[tuple[str, Cid], set[LogId]] = defaultdict(set)
    for event in events:
        match event:
            case Applied(device=device, cid=cid, id=log_id) if (cid, log_id) not in known:
                shown[device, cid].add(log_id)
            case Withdrawn(device=device, cid=cid, pos=pos):
                shown[device, cid] = {log_id for log_id in shown[device, cid] if seq_of(log_id) <= seq_of(pos)}
            case Left(device=device, cid=cid):  # it shows nothing of the conversation any more
                shown[device, cid].clear()
    return {(device, log_id) for (device, _), ids in shown.items() for log_id in ids}
