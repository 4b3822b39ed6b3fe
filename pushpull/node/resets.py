"""Telling a device to go on from elsewhere: the log lost its tail, is another, or what the device lacks is gone."""

from __future__ import annotations

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.model import LogId, Mode
from pushpull.node.feed import Feed
from pushpull.node.metrics import Metrics
from pushpull.node.windows import Windows


class Resets:
    def __init__(self, metrics: Metrics, windows: Windows) -> None:
        self._metrics = metrics
        self._windows = windows

    def reset(self, feed: Feed, place: Place, reason: str, pos: LogId) -> None:
        """Tell a device to continue from `pos`, and stand there with it.

        Where `pos` is a floor, the device may have more already: frames above it were on their way.
        """
        self._metrics.resets.labels(reason).inc()
        if reason == "trimmed":
            place.window.skip(pos)
        else:
            place.window.rewind(pos)
            place.told = None
        if not place.window.delivery_count:
            self._windows.disarm(place)
        place.notified = 0
        place.lagging = place.mode is Mode.PUSH
        self._tell(feed, place, reason, pos)

    def stay(self, feed: Feed, place: Place) -> None:
        """Tell a device that stands below a lost tail to go on from where it is.

        It holds nothing that is gone; but what it sent itself may be among it, and returns to its outbox.
        """
        self._metrics.resets.labels("diverged").inc()
        self._tell(feed, place, "diverged", place.window.sent_id)

    def _tell(self, feed: Feed, place: Place, reason: str, pos: LogId) -> None:
        place.connection.write(
            frames.reset(feed.cid, reason, epoch=feed.head.epoch, pos=pos, head=feed.tail.head, floor=feed.head.floor)
        )

    def trimmed(self, feed: Feed, place: Place, *, stands: int | None = None) -> None:
        """Tell a device that stands below the floor that something is gone for good.

        `stands` is where it says it is; None: at most where it was sent to.
        """
        if (place.window.sent if stands is None else stands) < feed.head.floor - 1:
            self.to_floor(feed, place)

    def to_floor(self, feed: Feed, place: Place) -> None:
        self.reset(feed, place, "trimmed", LogId(f"{feed.head.floor - 1}-0"))
