"""The same faults in real servers: each is made there, and what is gathered from them shows it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from pushpull.doctor.gather import gather
from pushpull.errors import ConfigError
from pushpull.model import Cid, Draft, Role, Uid
from pushpull.settings import Settings
from pushpull.store import Store, examination
from pushpull.store.examination import Look
from tests.doctor.planting import MEMORY, QUICK, Change, asked, codes_of, facts_of, set_to
from tests.doctor.sound import found_in, settings, sound
from tests.faults.proxy import Proxy
from tests.leaks import PASSWORD
from tests.servers import RedisServer, wait_until

ROOM, ALICE = Cid("room"), Uid("alice")


def all_of(*changes: Change) -> Change:
    return lambda server: [change(server) for change in changes]


def bounded_at(share: float) -> Change:
    """A maxmemory of which what is used is this share."""

    def change(server: RedisServer) -> None:
        server.ask("SETRANGE", "{c:large}:read", "50000000", "x")  # beside which our own connections are nothing
        used = int(server.ask("INFO", "memory").partition("used_memory:")[2].split()[0])
        set_to("maxmemory", str(int(used / share)))(server)

    return change


def evict(server: RedisServer) -> None:
    """Full of old keys, with leave to throw them away; then as if nothing had been."""
    set_to("maxmemory-policy", "allkeys-random")(server)
    for n in range(200):
        server.ask("SET", f"{{c:{n}}}:read", "x" * 1_000)
    bounded_at(2.0)(server)
    server.ask("SET", "{c:x}:read", "x")
    set_to("maxmemory-policy", "noeviction")(server)
    set_to("maxmemory", str(MEMORY))(server)


def fail_to_save(server: RedisServer) -> None:
    """A directory where the snapshot should go."""
    (server.directory / "dump.rdb").mkdir()
    server.ask("BGSAVE")
    wait_until(lambda: "rdb_last_bgsave_status:err" in server.ask("INFO", "persistence"), "the snapshot failed")


@pytest.fixture(scope="module")
def good_server() -> Iterator[RedisServer]:
    server = RedisServer(appendonly=True, maxmemory=MEMORY)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(good_server: RedisServer) -> Iterator[RedisServer]:
    """Sound, and made so again: what a test may have changed is set back."""
    names = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy", "lazyfree-lazy-expire", "maxclients")
    names += ("no-appendfsync-on-rewrite", "client-output-buffer-limit", "min-replicas-to-write")
    before = {name: good_server.ask_for_list("CONFIG", "GET", name)[1] for name in names}
    yield good_server
    good_server.ask("REPLICAOF", "NO", "ONE")
    for name, value in before.items():
        set_to(name, value)(good_server)
    good_server.ask("FLUSHALL")
    good_server.ask("CONFIG", "RESETSTAT")


ON_ONE: dict[str, Change] = {
    "no_persistence": set_to("appendonly", "no"),
    "snapshots_only": all_of(set_to("appendonly", "no"), set_to("save", "3600 1")),
    "fsync_never": set_to("appendfsync", "no"),
    "fsync_paused": set_to("no-appendfsync-on-rewrite", "yes"),
    "evicts": set_to("maxmemory-policy", "volatile-lru"),
    "evicted": evict,
    "memory_full": bounded_at(0.99),
    "memory_nearly_full": bounded_at(0.85),
    "maxmemory_unset": set_to("maxmemory", "0"),
    "maxmemory_too_large": set_to("maxmemory", str(1024**5)),
    "lazy_expire_off": set_to("lazyfree-lazy-expire", "no"),
    "clients_nearly_full": set_to("maxclients", "20"),
    "bell_buffer_small": set_to("client-output-buffer-limit", "pubsub 1mb 256kb 60"),
    "writes_refused": set_to("min-replicas-to-write", "1"),
    "points_at_replica": asked("REPLICAOF", "127.0.0.1", "1"),
    "schema_newer": asked("SET", "schema", "99"),
    "key_collision": asked("SET", "nodes", "theirs"),
    "foreign_keys": asked("SET", "cart:7", "theirs"),
}


async def test_a_sound_server_has_no_fault(server: RedisServer) -> None:
    assert await codes_of(server.url) == set()


@pytest.mark.parametrize("code", ON_ONE)
async def test_a_fault_made_in_a_server_is_found_and_no_other(server: RedisServer, code: str) -> None:
    ON_ONE[code](server)

    assert await codes_of(server.url) == {code}


async def test_a_server_that_is_not_there_is_unreachable(server: RedisServer) -> None:
    assert await codes_of(f"{server.url}.gone") == {"redis_unreachable"}


async def test_a_password_that_is_wrong_is_told_without_it(server: RedisServer) -> None:
    facts = await facts_of(f"unix://nobody:{PASSWORD}@{server.socket_path}")

    assert facts.redis is not None
    assert facts.redis.problem == "redis refuses the password (WRONGPASS)"


async def test_a_url_that_cannot_be_used_is_no_fact(server: RedisServer) -> None:
    with pytest.raises(ConfigError, match=r"redis\.url"):
        await facts_of("redis+cluster://h")


async def test_a_user_who_may_not_ask_for_the_configuration(server: RedisServer) -> None:
    asked("ACL", "SETUSER", "looker", "on", f">{PASSWORD}", "~*", "&*", "+@all", "-config")(server)

    assert await codes_of(f"unix://looker:{PASSWORD}@{server.socket_path}") == {"config_hidden"}


async def test_a_user_who_may_hear_no_channel(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "HEARD_WITHIN_S", 0.3)
    asked("ACL", "SETUSER", "deaf", "reset", "on", f">{PASSWORD}", "~*", "+@all", "resetchannels")(server)

    assert await codes_of(f"unix://deaf:{PASSWORD}@{server.socket_path}") == {"bells_unheard"}


async def test_a_server_at_the_end_of_a_long_line_is_slow(server: RedisServer) -> None:
    line = Proxy(str(server.socket_path))
    await line.start()
    line.down.delay_s = 0.03  # half of it at least
    try:
        assert await codes_of(f"redis://127.0.0.1:{line.port}", look=Look(pings=10, over_s=0.0)) == {"slow_pings"}
    finally:
        await line.stop()


@pytest.mark.parametrize("ahead_s", [-7.0, 7.0])
async def test_a_clock_that_is_elsewhere(server: RedisServer, ahead_s: float) -> None:
    facts = await facts_of(server.url, look=replace(QUICK, clock=lambda: time.time() - ahead_s))

    assert found_in(facts) == {"clock_skew"}
    assert facts.redis is not None
    assert facts.redis.servers[0].ahead_s == pytest.approx(ahead_s, abs=0.5)


async def test_replicated_without_a_replica(server: RedisServer) -> None:
    assert await codes_of(server.url, settings(redis__durability="replicated")) == {"replicas_short"}


async def test_a_sync_that_is_promised_and_not_made(server: RedisServer) -> None:
    set_to("appendfsync", "no")(server)

    found = await codes_of(server.url, settings(redis__durability="fsync"))

    assert found == {"durability_unmet", "fsync_never"}


async def test_huge_pages_that_the_server_takes(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(maxmemory=MEMORY, disable_thp="no")
    facts = await facts_of(server.url)

    on = replace(facts.machine, huge_pages="always")
    assert found_in(replace(facts, machine=on)) == {"huge_pages"}


async def test_a_snapshot_that_failed(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(maxmemory=MEMORY)
    fail_to_save(server)

    assert await codes_of(server.url) == {"persistence_failing"}


@contextlib.asynccontextmanager
async def messages_coming(url: str) -> AsyncIterator[Store]:
    """A room in which somebody writes, some hundred times a second, into 200 messages that are there."""
    store = await Store.open(Settings(), url=url)
    number = 0

    async def write(count: int) -> None:
        nonlocal number
        drafts = []
        for _ in range(count):
            number += 1
            drafts.append(Draft(cid=ROOM, sender=ALICE, cmid=f"m{number}", body=b'{"text":"' + b"x" * 200 + b'"}'))
        await store.log.append(drafts)

    async def go_on() -> None:
        while True:
            await write(5)
            await asyncio.sleep(0.01)

    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    await write(200)
    writing = asyncio.create_task(go_on())
    try:
        yield store
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        await store.aclose()


async def test_memory_that_will_not_last_a_month_as_messages_come(server: RedisServer) -> None:
    async with messages_coming(server.url):
        bounded_at(0.5)(server)
        facts = await facts_of(server.url, settings(retention__max_messages=10_000_000), replace(QUICK, over_s=0.3))

    assert found_in(facts) == {"memory_in_a_month"}
    assert facts.redis is not None
    assert facts.redis.traffic.appended >= 10
    (log,) = facts.redis.traffic.logs
    assert 250 < log.size_bytes / log.messages < 600


async def test_what_is_kept_is_counted_and_looking_changes_nothing(server: RedisServer) -> None:
    store = await Store.open(Settings(), url=server.url)
    await store.conversations.put(ROOM, {"retain_messages": 50}, members=[(ALICE, Role.MEMBER)])
    await store.log.append([Draft(cid=ROOM, sender=ALICE, cmid="m", body=b"1")])
    await store.aclose()
    asked("SET", "theirs", "1")(server)
    kept = sorted(server.ask_for_list("KEYS", "*"))

    facts = await facts_of(server.url)

    assert facts.redis is not None
    traffic = facts.redis.traffic
    assert (traffic.keys, traffic.looked_at, traffic.conversations, traffic.foreign) == (len(kept), len(kept), 1, 1)
    (log,) = traffic.logs
    assert (log.messages, log.most, log.days) == (1, 50, None)
    assert facts.redis.schema == 1
    assert sorted(server.ask_for_list("KEYS", "*")) == kept


async def test_an_embedded_server_is_found_by_its_directory(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    facts = await gather(settings(redis__url="", server__data_dir=str(server.directory))(sound()).settings, {}, QUICK)

    assert facts.redis is not None
    assert facts.redis.embedded
    assert facts.redis_is_here
    assert found_in(replace(facts, machine=sound().machine)) == set()
