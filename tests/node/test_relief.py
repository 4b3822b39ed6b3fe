"""What a node under load leaves out, and what it never does."""

from __future__ import annotations

from collections.abc import Callable

from pushpull.delivery.shedding import Extra, Strain
from pushpull.model import Mode
from pushpull.node.metrics import Metrics
from pushpull.node.relief import Relief
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]
HEAVY = Strain(load=1.0, lag_s=1.0, waiting=0.0)
CALM = Strain(load=0.0, lag_s=0.0, waiting=0.0)


def shed(metrics: Metrics, what: Extra) -> float:
    return metrics.registry.get_sample_value("pushpull_shed_total", {"what": what.value}) or 0.0


def test_what_is_left_out_is_counted() -> None:
    metrics = Metrics()
    relief = Relief(metrics)
    assert not relief.sheds(Extra.SIGNAL)

    relief.adapt(Strain(load=0.97, lag_s=0.0, waiting=0.0))

    assert (relief.sheds(Extra.SIGNAL), relief.sheds(Extra.RECEIPT)) == (True, False)
    assert (shed(metrics, Extra.SIGNAL), shed(metrics, Extra.RECEIPT)) == (1, 0)
    assert metrics.registry.get_sample_value("pushpull_shedding_level") == 1


async def test_under_load_a_notice_carries_no_body_and_is_rung_all_the_same(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(inline_max_bytes=512)
    bench.log.meta[ROOM] = {"members": 1_000}
    feed = await bench.open()
    bench.attach(feed)
    bench.hub.relief.adapt(HEAVY)

    bench.say(feed)
    await turns()

    assert [frame["type"] for frame in bench.said[0].heard()] == ["notice"]
    assert shed(bench.metrics, Extra.INLINE) == 1


async def test_under_load_a_mention_has_no_ring_of_its_own_but_the_rounds(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(inline_max_bytes=0)
    bench.log.meta[ROOM] = {"members": 1_000}
    feed = await bench.open()
    place = bench.attach(feed)
    bench.hub.relief.adapt(HEAVY)

    bench.say(feed, mentions=(place.device.uid,))
    await turns()

    assert [frame.get("mentioned") for frame in bench.said[0].heard("notice")] == [None]
    assert shed(bench.metrics, Extra.MENTION) == 1


async def test_under_load_messages_are_pushed_as_ever(make_bench: Make) -> None:
    bench = make_bench()
    feed = await bench.open()
    assert bench.attach(feed).mode is Mode.PUSH
    bench.hub.relief.adapt(HEAVY)

    bench.say(feed)

    assert bench.said[0].ranges() == [(0, 1)]


async def test_when_the_load_is_over_bodies_ride_along_again(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(inline_max_bytes=512)
    bench.log.meta[ROOM] = {"members": 1_000}
    feed = await bench.open()
    bench.attach(feed)
    bench.hub.relief.adapt(HEAVY)
    bench.hub.relief.adapt(CALM)

    bench.say(feed)
    await turns()

    assert [frame["type"] for frame in bench.said[0].heard()] == ["messages"]
