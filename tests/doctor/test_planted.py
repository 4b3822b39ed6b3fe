"""Each fault, written into facts that are sound, is found, and nothing else is."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from pushpull.doctor.checks import FAULTS, examined
from pushpull.doctor.checks.secrets import is_weak
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, Status
from pushpull.doctor.report import as_json, exit_code
from tests.doctor.sound import (
    CONFIG,
    GIB,
    INFO,
    STRONG,
    STRONG_KEY,
    Plant,
    both,
    cluster,
    config,
    found_in,
    info,
    machine,
    node,
    redis,
    sentinel,
    server,
    service,
    settings,
    sound,
    sound_cluster,
    sound_embedded,
    sound_sentinel,
    traffic,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "doctor.md"
MIB = 1024**2

Sound = Callable[[], Facts]

NAMED: dict[str, Plant] = {
    # Redis
    "redis_unreachable": redis(problem="redis cannot be reached"),
    "server_away": redis(away=("10.0.0.9:6379",)),
    "redis_old": info(redis_version="6.2.14"),
    "cluster_as_one": info(cluster_enabled=1),
    "points_at_replica": server(role="replica"),
    "config_hidden": server(config=None),
    "clients_nearly_full": info(connected_clients=7_990),
    "schema_newer": redis(schema=2),
    "key_collision": redis(collisions=("nodes",)),
    "foreign_keys": traffic(foreign=3),
    "no_persistence": info(aof_enabled=0),
    "snapshots_only": both(info(aof_enabled=0), config("save", "3600 1")),
    "fsync_never": config("appendfsync", "no"),
    "fsync_paused": config("no-appendfsync-on-rewrite", "yes"),
    "persistence_failing": info(aof_last_write_status="err"),
    "durability_unmet": redis(durability="redis.durability fsync needs appendonly yes"),
    "evicts": info(maxmemory_policy="allkeys-lru"),
    "evicted": info(evicted_keys=12),
    "memory_full": info(used_memory=int(3.9 * GIB)),
    "memory_nearly_full": info(used_memory=int(3.2 * GIB)),
    "maxmemory_unset": info(maxmemory=0),
    "maxmemory_too_large": info(maxmemory=7 * GIB),
    "lazy_expire_off": config("lazyfree-lazy-expire", "no"),
    "memory_in_a_month": traffic(appended_before=8_640_000, conversations=1_000),
    "retention_unbounded": settings(retention__max_messages=0),
    "slow_pings": server(ping_ms=(0.2,) * 95 + (40.0,) * 5),
    "fork_slow": info(latest_fork_usec=350_000),
    "clock_skew": server(ahead_s=-1.2),
    "bells_unheard": server(heard=False),
    "bell_buffer_small": config("client-output-buffer-limit", "normal 0 0 0 pubsub 1048576 262144 60"),
    "replicas_short": settings(redis__durability="replicated"),
    "writes_refused": config("min-replicas-to-write", "1"),
    # the machine
    "open_files_low": machine(open_files=4_096),
    "backlog_low": machine(somaxconn=128),
    "secret_readable": machine(readable=("data/jwt_secret",)),
    # secrets
    "secret_weak": settings(auth__jwt_secret=("change-me-to-something-of-32-bytes",)),
    "api_key_weak": settings(auth__api_keys=("aaaaaaaaaaaaaaaaaaaaaaaaaaaa",)),
    "api_key_short": settings(auth__api_keys=(STRONG_KEY[:20],)),
    "webhook_secret_weak": settings(offline__webhook_secret="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    "secret_reused": settings(auth__api_keys=(STRONG,)),
    "no_keys": settings(auth__jwt_secret=()),
    "no_api_key": settings(auth__api_keys=()),
    # exposure
    "tls_off": redis(tls=False),
    "redis_open": redis(password=False),
    "origins_any": settings(server__origins=("*",)),
    "token_in_query": settings(server__token_in_query=True),
    "demo_exposed": settings(server__demo="on", server__host="0.0.0.0"),
    "webhook_plain": settings(offline__webhook_url="http://app.example.org/hook"),
    "jwks_plain": settings(auth__jwks_url="http://id.example.org/keys"),
    # settings
    "redelivery_long": settings(delivery__backoff=10.0),
    "ack_wait_short": settings(delivery__ack_wait_ms=200),
    "buffers_exceed_memory": settings(limits__buffer_bytes=64 * MIB),
    "tails_exceed_memory": settings(delivery__tails_bytes=9 * GIB),
    "page_exceeds_buffer": settings(delivery__page_bytes=2 * MIB),
    "tail_too_short": settings(delivery__tail_messages=200),
    "windows_short": settings(delivery__max_windows=10_000),
    "notified_too_soon": settings(offline__webhook_url="https://app.example.org/hook", offline__delay_s=0.2),
    "drain_too_long": settings(server__drain_s=120.0),
    "drain_too_short": settings(limits__connects_per_s=1_000.0),
    "admission_slow": settings(limits__connects_per_s=100.0),
    "idempotency_short": settings(idempotency__window_s=60),
    "workers_exceed_cores": settings(server__workers=5),
    # running nodes
    "service_unreachable": service(problem="no answer from http://10.0.0.3:8080: ConnectError"),
    "not_ready": service(failing={"redis": "redis cannot be reached"}),
    "api_key_refused": service(refusal="the API key is not known", nodes=None),
    "versions_differ": node(version="0.2.0"),
    "node_late": node(lag_ms=250.0),
    "node_busy": node(load=0.9),
    "node_shedding": node(shedding=1),
    "audit_slow": node(feeds=500_000),
}
EMBEDDED: dict[str, Plant] = {
    "overcommit_off": machine(overcommit=0),
    "huge_pages": both(machine(huge_pages="always"), config("disable-thp", "no")),
    "no_redis_binary": machine(redis_problem="no Redis server >= 7.0 to start"),
    "data_dir_unusable": machine(data_dir_problem="/data is not writable for this user"),
    "disk_full": machine(free_bytes=100 * MIB),
    "disk_low": machine(free_bytes=GIB + GIB // 2),
}
CLUSTER: dict[str, Plant] = {
    "slots_missing": cluster(missing="5461 of 16384 slots have no primary"),
    "cluster_down": cluster(state="fail"),
    "member_failing": cluster(failing=("10.0.0.9:6379",)),
    "full_coverage_required": config("cluster-require-full-coverage", "yes"),
    "failover_slow": config("cluster-node-timeout", "15000"),
    "replica_barred": config("cluster-replica-validity-factor", "10"),
    "no_replica": both(info(connected_slaves=0), config("min-replicas-to-write", "0")),
    "split_brain": config("min-replicas-to-write", "0"),
}
SENTINEL: dict[str, Plant] = {
    "no_quorum": sentinel(refusal="NOQUORUM 1 usable Sentinels"),
    "few_sentinels": sentinel(sentinels=2),
    "failover_slow": sentinel(down_after_ms=30_000),
    "member_failing": sentinel(failing=("10.0.0.2:6379",)),
}
GROUNDS: list[tuple[Sound, dict[str, Plant]]] = [
    (sound, NAMED),
    (sound_embedded, EMBEDDED),
    (sound_cluster, CLUSTER),
    (sound_sentinel, SENTINEL),
]
OF_THE_COMMAND = {"settings_invalid"}
"""There are no facts then: tests/commands/test_doctor.py."""


@pytest.mark.parametrize("ground", [ground for ground, _ in GROUNDS])
def test_where_all_is_sound_nothing_is_found(ground: Sound) -> None:
    items = examined(ground())

    assert [item.findings for item in items] == [()] * len(items)
    assert {item.status for item in items} == {Status.OK}


@pytest.mark.parametrize(
    ("ground", "code", "plant"),
    [pytest.param(ground, code, plant, id=code) for ground, plants in GROUNDS for code, plant in plants.items()],
)
def test_a_fault_that_is_planted_is_found_and_no_other(ground: Sound, code: str, plant: Plant) -> None:
    assert found_in(plant(ground())) == {code}


def test_every_fault_there_is_has_been_planted() -> None:
    assert {code for _, plants in GROUNDS for code in plants} | OF_THE_COMMAND == set(FAULTS)


def test_every_fault_has_a_row_in_the_documents_and_every_row_a_fault() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (error|warning) \|", DOCUMENT.read_text(), re.MULTILINE)

    assert sorted(rows) == sorted((fault.code, fault.status.value) for fault in FAULTS.values())


def test_a_finding_says_how_to_mend_it_with_the_value_that_is_needed() -> None:
    (item,) = [item for item in examined(machine(open_files=1_024)(sound())) if item.findings]

    assert "LimitNOFILE=17512" in item.findings[0].mend
    assert "1,024 files" in item.findings[0].seen


def test_memory_that_is_full_and_does_not_grow_is_said_once() -> None:
    full = both(info(used_memory=5 * GIB), settings(retention__max_messages=1_000))

    assert found_in(full(sound())) == {"memory_full"}


def test_keys_that_a_machine_made_are_not_called_weak() -> None:
    chance = random.Random(7)
    made = [base64.urlsafe_b64encode(chance.randbytes(length)).decode() for length in (24, 32, 36) for _ in range(500)]
    made += [chance.randbytes(16).hex() for _ in range(500)]

    assert [key for key in made if is_weak(key)] == []


@pytest.mark.parametrize("word", ["Password1234!", "my-api-key-my-api-key-", "11111111222222", "a test key of mine"])
def test_keys_that_a_person_made_up_are_called_weak(word: str) -> None:
    assert is_weak(word)


def test_a_redis_that_does_not_answer_is_one_error_and_not_many() -> None:
    items = examined(redis(problem="redis cannot be reached", servers=())(sound()))

    assert [item.name for item in items if item.findings] == ["redis"]
    assert "persistence" not in [item.name for item in items]


def test_an_embedded_redis_that_does_not_run_is_skipped_and_no_error() -> None:
    items = examined(replace(sound_embedded(), redis=None))

    assert items[0].status == Status.SKIPPED
    assert not exit_code(items, strict=True)


def test_kernel_settings_do_not_matter_where_redis_is_elsewhere() -> None:
    assert found_in(machine(overcommit=0)(sound())) == set()


def test_a_replica_that_would_be_elected_is_looked_at_like_a_primary() -> None:
    facts = sound_cluster()
    assert facts.redis is not None
    primary, replica = facts.redis.servers
    forgetful = replace(replica, info={**INFO, "role": "slave", "maxmemory_policy": "allkeys-lru"}, config=CONFIG)

    assert found_in(replace(facts, redis=replace(facts.redis, servers=(primary, forgetful)))) == {"evicts"}


def test_no_secret_is_shown() -> None:
    secrets = ("change-me-to-something-of-32-bytes", "qwertyqwertyqwerty")
    plant = settings(auth__jwt_secret=secrets, auth__api_keys=(secrets[1],), redis__url="redis://:qwerty-pass@h:1")

    said = orjson.dumps(as_json(examined(plant(sound())))).decode()

    assert "secret_weak" in said
    assert not [secret for secret in (*secrets, "qwerty-pass") if secret in said]


def test_errors_fail_and_warnings_only_where_they_are_to() -> None:
    warned = [Item("x", "", (Finding("w", Status.WARNING, "", "", ""),)), Item("y", "", skipped=True)]
    failed = [*warned, Item("z", "", (Finding("e", Status.ERROR, "", "", ""),))]

    assert [exit_code(warned, strict=strict) for strict in (False, True)] == [0, 1]
    assert [exit_code(failed, strict=strict) for strict in (False, True)] == [1, 1]
