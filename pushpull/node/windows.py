"""Which windows wait for an ack, and which is due next.

First deliveries all wait equally long (ack_wait), so the order of arming is the order of the deadlines: an ordered
dict is the whole timer, in O(1) a message. A place that had to be handed its range again waits longer each time;
those few are in a heap. A heap row whose place has moved on since is passed over when it comes up.

Bounded: `max_windows`; past it `arm` hands back the place whose ack has been awaited longest, to be demoted.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from itertools import count

from pushpull.delivery.place import Place


class Windows:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._first: OrderedDict[Place, None] = OrderedDict()
        self._later: dict[Place, float] = {}  # place → the deadline its heap row bears
        self._heap: list[tuple[float, int, Place]] = []
        self._rows = count()

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    def __iter__(self) -> Iterator[Place]:
        yield from self._first
        yield from self._later

    def arm(self, place: Place) -> Place | None:
        """`place` waits for an ack from now on. Returns the place to demote when that is one too many."""
        self._later.pop(place, None)
        self._first[place] = None
        self._first.move_to_end(place)
        if len(self) <= self.limit:
            return None
        return next(iter(self._first))

    def arm_again(self, place: Place) -> None:
        """`place` was handed its range again and has a new, later deadline."""
        self._first.pop(place, None)
        self._later[place] = place.window.deadline
        heapq.heappush(self._heap, (place.window.deadline, next(self._rows), place))

    def disarm(self, place: Place) -> None:
        self._first.pop(place, None)
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
