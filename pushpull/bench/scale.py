"""How large each workload is. `full` is what the targets are about; `quick` fits all into two minutes; `tiny` is for
tests, which look at counts only.

Every stretch is bounded in time and in number.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    runs: int  # the median of so many is stated
    body_bytes: int = 200

    fan_devices: int
    fan_per_s: float
    fan_s: float

    hot_members: int
    hot_per_s: float
    hot_s: float
    burst_per_s: float
    burst_s: float
    compression_s: float

    mixed_members: int
    mixed_per_s: float = 20.0
    mixed_s: float
    slow_members: int
    slow_readers: int  # of them
    slow_push_per_s: float  # message by message, of slow_push_bytes
    slow_push_bytes: int
    slow_s: float

    groups: int
    group_size: int = 10
    groups_s: float
    groups_in_flight: int  # messages on their way to all members

    send_connections: int
    send_in_flight: int  # on each connection
    send_s: float
    lanes: int  # HTTP connections

    batch: int = 100
    batch_s: float
    batch_lanes: int

    storm_devices: int
    storm_conversations: int = 20
    storm_sizes: tuple[int, int] = (10, 50)  # members of a conversation, one storm for each

    offline_members: int
    offline_readers: int  # of them, connected; the others are away
    offline_per_s: float  # and a tenth of it
    offline_delay_s: float

    pull_devices: int
    pull_messages: int  # in the log; the last 5,000 are hot
    pull_s: float
    page: int = 50
    flight_devices: int  # who ask for one cold page at once

    idle_devices: int
    idle_conversations: int = 20
    stored_messages: int

    members: tuple[int, ...]  # of conversations that are written to
    inbox_members: tuple[int, ...]  # where one inbox per member is tried
    writes: int  # messages to each


QUICK: Final = Scale(
    name="quick",
    runs=1,
    fan_devices=600,
    fan_per_s=20.0,
    fan_s=2.0,
    hot_members=500,
    hot_per_s=100.0,
    hot_s=2.0,
    burst_per_s=500.0,
    burst_s=1.0,
    compression_s=1.0,
    mixed_members=400,
    mixed_s=1.0,
    slow_members=250,
    slow_readers=50,
    slow_push_per_s=15.0,
    slow_push_bytes=4_000,
    slow_s=1.5,
    groups=200,
    groups_s=2.0,
    groups_in_flight=150,
    send_connections=200,
    send_in_flight=4,
    send_s=2.0,
    lanes=32,
    batch_s=1.5,
    batch_lanes=4,
    storm_devices=300,
    offline_members=500,
    offline_readers=100,
    offline_per_s=100.0,
    offline_delay_s=0.6,
    pull_devices=100,
    pull_messages=20_000,
    pull_s=1.0,
    flight_devices=300,
    idle_devices=250,
    stored_messages=5_000,
    members=(10, 1_000, 10_000),
    inbox_members=(10, 1_000, 10_000),
    writes=50,
)

FULL: Final = Scale(
    name="full",
    runs=3,
    fan_devices=10_000,
    fan_per_s=5.0,
    fan_s=10.0,
    hot_members=10_000,
    hot_per_s=100.0,
    hot_s=30.0,
    burst_per_s=500.0,
    burst_s=10.0,
    compression_s=10.0,
    mixed_members=10_000,
    mixed_s=10.0,
    slow_members=5_000,
    slow_readers=1_000,
    slow_push_per_s=2.0,
    slow_push_bytes=16_000,
    slow_s=20.0,
    groups=1_000,
    groups_s=10.0,
    groups_in_flight=200,
    send_connections=200,
    send_in_flight=4,
    send_s=10.0,
    lanes=64,
    batch_s=10.0,
    batch_lanes=4,
    storm_devices=10_000,
    storm_sizes=(10, 100),
    offline_members=10_000,
    offline_readers=2_000,
    offline_per_s=100.0,
    offline_delay_s=10.0,
    pull_devices=200,
    pull_messages=50_000,
    pull_s=5.0,
    flight_devices=1_000,
    idle_devices=10_000,
    stored_messages=50_000,
    members=(10, 1_000, 10_000, 100_000),
    inbox_members=(10, 1_000, 10_000, 100_000),
    writes=200,
)

TINY: Final = Scale(
    name="tiny",
    runs=1,
    fan_devices=20,
    fan_per_s=20.0,
    fan_s=0.3,
    hot_members=20,
    hot_per_s=50.0,
    hot_s=0.4,
    burst_per_s=100.0,
    burst_s=0.3,
    compression_s=0.3,
    mixed_members=40,
    mixed_s=0.3,
    slow_members=20,
    slow_readers=5,
    slow_push_per_s=30.0,
    slow_push_bytes=1_000,
    slow_s=0.4,
    groups=4,
    group_size=5,
    groups_s=0.3,
    groups_in_flight=4,
    send_connections=4,
    send_in_flight=2,
    send_s=0.3,
    lanes=2,
    batch=10,
    batch_s=0.3,
    batch_lanes=2,
    storm_devices=20,
    storm_conversations=3,
    storm_sizes=(5, 10),
    offline_members=20,
    offline_readers=5,
    offline_per_s=50.0,
    offline_delay_s=0.2,
    pull_devices=4,
    pull_messages=6_000,
    pull_s=0.3,
    flight_devices=10,
    idle_devices=20,
    idle_conversations=3,
    stored_messages=300,
    members=(10, 50),
    inbox_members=(10, 50),
    writes=5,
)
