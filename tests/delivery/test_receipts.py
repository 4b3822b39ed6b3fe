"""How long a conversation gathers receipts: the table of delivery.receipts."""

from __future__ import annotations

import pytest

from pushpull.delivery.receipts import pause_s


@pytest.mark.parametrize(("moved", "devices", "gathers_s"), [(1, 10, 1), (20, 20, 1), (100, 100, 5), (200, 200, 20)])
def test_the_more_frames_the_longer_they_are_gathered(moved: int, devices: int, gathers_s: float) -> None:
    assert pause_s(moved * devices) == gathers_s
