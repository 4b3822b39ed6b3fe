"""How often the members of a small conversation hear how far the others are.

Everybody hears of everybody, so the frames grow with the square of the members. The larger the conversation and the
more of its members move, the longer it therefore gathers: nobody misses more than a state that the next one replaces.

    moved in the window   devices that asked   frames   next ones after
    1                     10                   10       1 s
    20                    20                   400      1 s
    100                   100                  10,000   5 s
    200                   200                  40,000   20 s
"""

from __future__ import annotations

from typing import Final

WINDOW_S: Final = 1.0
"""What a member's cursor does within it is told once."""
FRAMES_PER_S: Final = 2_000
"""Of one conversation, in the long run: at most 2 % of a core (1 µs each where a device hears of twenty at once, 8 µs
where each is a write of its own)."""


def pause_s(frames: int) -> float:
    """How long (s) a conversation gathers after so many receipts were written in it."""
    return max(WINDOW_S, frames / FRAMES_PER_S)
