"""Which windows wait for an ack, and which is due next.

First deliveries all wait equally long (ack_wait), so the order of arming is the order of the deadlines: a dict is the
whole timer, in O(1) a message. A place that had to be handed its range again waits longer each time;
those few are in a heap. A heap row whose place has moved on since is passed over when it comes up.

Bounded: `max_windows`; past it the place whose ack has been awaited longest is demoted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice

from pushpull.delivery.place import Place
from pushpull.delivery.tail import Page
from pushpull.settings import Settings


class Windows:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first: dict[Place, None] = {}
        self._later: dict[Place, float] = {}  # place → the deadline its heap row bears
        self._heap: list[tuple[float, int, Place]] = []
        self._rows = count()
        self.demote: Callable[[Place], None] = lambda place: (
            None
        )  # one too many waits, or one is full; it must be disarmed

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    def __iter__(self) -> Iterator[Place]:
        yield from self._first
        yield from self._later

    def hand(self, place: Place, page: Page, now: float) -> None:
        """`page` was handed to `place`: it owes an ack."""
        window = place.window
        waited = window.delivery_count
        window.extend(page.upto, page.upto_id, now=now, settings=self._settings.delivery)
        if not waited and window.delivery_count:
            self.arm(place)

    def arm(self, place: Place) -> None:
        """`place` waits for an ack from now on."""
        self.disarm(place)
        self._first[place] = None
        self._shed()

    def arm_new(self, places: Iterable[Place]) -> None:
        """`places`, none of which waited, wait from now on."""
        self._first.update(dict.fromkeys(places))
        self._shed()

    def _shed(self) -> None:
        over = len(self) - self._settings.delivery.max_windows
        if over > 0:
            for place in list(islice(self._first, over)):
                self.demote(place)

    def arm_again(self, place: Place) -> None:
        """`place` was handed its range again and has a new, later deadline."""
        self._first.pop(place, None)
        self._later[place] = place.window.deadline
        heapq.heappush(self._heap, (place.window.deadline, next(self._rows), place))

    def disarm(self, place: Place) -> None:
        self._first.pop(place, None)
        if self._later:
            self._later.pop(place, None)

    def due(self, now: float) -> list[Place]:
        """The places whose deadline has passed. Each must be armed again or disarmed by the caller."""
        due = []
        for place in self._first:
            if place.window.deadline > now:
                break
            due.append(place)
        while self._heap and self._heap[0][0] <= now:
            deadline, _, place = heapq.heappop(self._heap)
            if self._later.get(place) == deadline:
                due.append(place)
        return due
