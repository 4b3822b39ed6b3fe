"""Mixed viewers: a large conversation that one in twenty looks at, delivered in each of the ways there are."""

from __future__ import annotations

from typing import Final

from pushpull.bench.audience import Point, Way, audience
from pushpull.bench.figures import Figure, Outcome
from pushpull.bench.stage import Stage

NAME: Final = "mixed viewers"
ABOUT: Final = "a large group that one in twenty looks at"
VIEWERS: Final = 0.05
HALF: Final = 0.5
BETTER: Final = 1.0
P99_MS: Final = 500.0
WAYS: Final[tuple[Way, ...]] = ("push", "batched", "notify", "policy")


async def run(stage: Stage) -> Outcome:
    scale = stage.scale
    stage.tell("connecting")
    points: dict[Way, Point] = {}
    async with audience(scale.mixed_members, VIEWERS) as everyone:
        for way in reversed(WAYS):  # the one that overruns the service comes last
            stage.tell(way)
            points[way] = await everyone.measure(scale.mixed_per_s, way, scale.mixed_s)
    return Outcome(
        figures=[figure for way in WAYS for figure in _figures(points[way], points)],
        wrong=[what for point in points.values() for what in point.wrong],
    )


def _figures(point: Point, points: dict[Way, Point]) -> list[Figure]:
    way = point.mode
    rows = [
        Figure(name=f"{way}: server", value=point.server_cores, unit="cores"),
        Figure(name=f"{way}: redis", value=point.redis_cores, unit="cores"),
        Figure(name=f"{way}: who looks, p50", value=point.p50_ms, unit="ms"),
        Figure(
            name=f"{way}: who looks, p99",
            value=point.p99_ms,
            unit="ms",
            at_most=P99_MS if way == "policy" else None,
        ),
        Figure(name=f"{way}: last seen after last send", value=point.late_s, unit="s"),
        Figure(name=f"{way}: frames with messages", value=point.pushed_per_s, unit="/s"),
        Figure(name=f"{way}: notices", value=point.notices_per_s, unit="/s"),
        Figure(name=f"{way}: load busy", value=point.load_share, unit="cores"),
    ]
    if way == "policy":
        rows += [_beside(point, points[other]) for other in WAYS if other != way]
    return rows


def _beside(policy: Point, other: Point) -> Figure:
    """The policy's processor time, as a multiple of another way's."""
    return Figure(
        name=f"policy: server, beside {other.mode}",
        value=policy.server_cores,
        unit="cores",
        at_most=HALF if other.mode == "push" else BETTER,
        floor=other.server_cores,
    )
