"""What is left out under load: in order, up at once, down step by step."""

from __future__ import annotations

import pytest

from pushpull.delivery.shedding import Extra, Strain, next_level

CALM = Strain(load=0.5, lag_s=0.0, waiting=0.0)


@pytest.mark.parametrize(
    ("before", "strain", "after"),
    [
        (0, CALM, 0),
        (0, Strain(load=0.96, lag_s=0.09, waiting=0.24), 0),
        (0, Strain(load=0.97, lag_s=0.0, waiting=0.0), 1),
        (0, Strain(load=0.0, lag_s=0.1, waiting=0.0), 1),
        (0, Strain(load=0.0, lag_s=0.0, waiting=0.25), 1),
        (0, Strain(load=0.99, lag_s=0.0, waiting=0.0), 2),
        (0, Strain(load=1.0, lag_s=0.0, waiting=0.0), 2),  # an inline body costs less than the pull it saves
        (0, Strain(load=0.0, lag_s=0.25, waiting=0.0), 2),
        (0, Strain(load=0.0, lag_s=0.5, waiting=0.0), 3),
        (1, Strain(load=0.0, lag_s=0.0, waiting=1.0), 3),
        (3, CALM, 2),
        (2, CALM, 1),
        (1, CALM, 0),
        (3, Strain(load=1.0, lag_s=0.31, waiting=0.0), 3),
        (3, Strain(load=0.5, lag_s=0.29, waiting=0.0), 2),
        (3, Strain(load=0.5, lag_s=0.0, waiting=0.46), 3),
        (2, Strain(load=0.90, lag_s=0.0, waiting=0.0), 2),
        (2, Strain(load=0.88, lag_s=0.0, waiting=0.0), 1),
        (1, Strain(load=0.88, lag_s=0.0, waiting=0.0), 1),
        (1, Strain(load=0.86, lag_s=0.05, waiting=0.1), 0),
        (3, Strain(load=0.0, lag_s=0.12, waiting=0.0), 2),
    ],
)
def test_the_level_follows_the_strain(before: int, strain: Strain, after: int) -> None:
    assert next_level(before, strain) == after


def test_signals_go_first_then_receipts_then_what_notices_carry_besides() -> None:
    assert [(what.value, what.level) for what in sorted(Extra, key=lambda what: what.level)] == [
        ("signal", 1),
        ("presence", 1),
        ("receipt", 2),
        ("inline", 3),
        ("mention", 3),
    ]
