"""Every node reckons the same ids and the same choice from a message."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from pushpull.delivery.trace_ids import Sample, root_id, trace_id
from pushpull.model import Cid, LogId

IDS = [trace_id(Cid("tea"), LogId(f"{seq}-1832")) for seq in range(1, 20_001)]


def test_a_trace_is_named_by_what_the_page_says() -> None:
    digest = blake2b(b"tea 57-1832", digest_size=16).hexdigest()

    assert f"{trace_id(Cid('tea'), LogId('57-1832')):032x}" == digest


def test_no_two_messages_share_a_trace_or_a_first_span() -> None:
    assert len(set(IDS)) == len({root_id(each) for each in IDS}) == len(IDS)
    assert trace_id(Cid("tea"), LogId("1-2")) != trace_id(Cid("coffee"), LogId("1-2"))


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.1, 1_850, 2_150), (1.0, 20_000, 20_000)])
def test_about_the_share_that_is_asked_for_is_kept(share: float, least: int, most: int) -> None:
    sample = Sample(share)

    assert least <= sum(map(sample.keeps, IDS)) <= most


def test_who_keeps_more_keeps_what_others_keep() -> None:
    few, many = Sample(0.05), Sample(0.5)

    assert all(many.keeps(each) for each in IDS if few.keeps(each))
