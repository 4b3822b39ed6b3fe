"""The benchmark's processes: asked, told what went wrong, and gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushpull.bench.child import Child, child
from pushpull.bench.cpu import cpu_s, machine_cpu_s, rss_bytes
from pushpull.bench.failure import BenchFailed
from pushpull.bench.fleet import Fleet, _shares
from pushpull.bench.service import Service, running
from pushpull.redis_server import ask, gone, info_field


async def test_a_child_answers_and_ends_when_it_is_hung_up_on() -> None:
    async with child("pushpull.bench.floor") as floor:
        port = await floor.ask("listen", connections=1)
        pid = floor.pid
        assert port > 0

    assert gone(pid)


async def test_what_fails_in_a_child_is_told_to_who_asked() -> None:
    async with child("pushpull.bench.floor") as floor:
        with pytest.raises(BenchFailed, match="floor: sing failed: KeyError"):
            await floor.ask("sing")


async def test_a_child_that_does_not_answer_is_not_waited_for() -> None:
    async with child("pushpull.bench.floor") as floor:
        await floor.ask("listen", connections=1)
        with pytest.raises(BenchFailed, match=r"floor did not answer accept within 0\.05 s"):
            await floor.ask("accept", connections=1, within_s=0.05)


async def test_the_service_and_its_redis_are_gone_after_a_failure() -> None:
    services: list[Service] = []

    async def workload() -> None:
        async with running() as service:
            services.append(service)
            raise RuntimeError("a workload failed")

    with pytest.raises(RuntimeError, match="a workload failed"):
        await workload()

    (service,) = services
    assert gone(service.pid)
    assert gone(service.redis_pid)
    assert not service.redis_socket.parent.parent.exists()


async def test_redis_is_as_durable_as_the_services_own_and_outlives_the_node() -> None:
    async with running() as service:
        info = ask(service.redis_socket, "INFO", "everything")
        assert info_field(info, "aof_enabled") == "1"
        first = service.pid
        await service.kill()
        await service.start()

        assert gone(first)
        assert service.pid != first
        assert ask(service.redis_socket, "PING") == "PONG"
        assert (await service.metrics())["sessions"] == 0


async def test_a_service_that_cannot_start_says_why() -> None:
    with pytest.raises(BenchFailed, match=r"ended with 1: .*ack_wait_ms"):
        async with running(DELIVERY__ACK_WAIT_MS="soon"):
            pass


async def test_the_operating_system_tells_what_a_process_uses(tmp_path: Path) -> None:
    async with child("pushpull.bench.floor") as floor:
        await floor.ask("listen", connections=1)

        assert 0 < cpu_s(floor.pid) < 10
        assert 5_000_000 < rss_bytes(floor.pid) < 500_000_000
        busy_s, stolen_s = machine_cpu_s()
        assert busy_s > 0
        assert stolen_s >= 0


def test_devices_are_shared_out_by_whole_groups() -> None:
    assert _shares(range(10), 3, 1) == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert _shares(range(10), 3, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert _shares(range(4), 3, 4) == [[], [], [0, 1, 2, 3]]


def test_messages_are_shared_out_by_routes_and_none_gets_lost() -> None:
    fleet = Fleet([object.__new__(Child)] * 3)
    fleet._where = {"ann": (0, 5), "bob": (1, 0), "cia": (1, 1)}

    parts = fleet._by_process([("ann", "g"), ("bob", "g"), ("cia", "h")], 100)

    assert parts == [
        {"routes": [(5, "g")], "most": 33},
        {"routes": [(0, "g"), (1, "h")], "most": 67},
        {"routes": [], "most": 0},
    ]
