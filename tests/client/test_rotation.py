"""Which node a client talks to, one after the other."""

from __future__ import annotations

import pytest

from pushpull.client.addresses import urls_in
from pushpull.client.rotation import Rotation
from pushpull.errors import Invalid


def rotation(*chances: float, urls: str = "abc") -> Rotation:
    drawn = iter(chances)
    return Rotation(list(urls), lambda: next(drawn))


def test_each_client_has_an_order_of_its_own() -> None:
    assert rotation(0.1, 0.2, 0.3).current == "a"
    assert rotation(0.9, 0.5, 0.2).current == "c"


def test_a_node_that_failed_is_followed_by_the_next_and_the_round_ends_when_all_have() -> None:
    nodes = rotation(0.1, 0.2, 0.3)

    assert [(nodes.current, nodes.failed(nodes.current), nodes.rounds) for _ in range(4)] == [
        ("a", False, 0),
        ("b", False, 0),
        ("c", True, 1),
        ("a", False, 1),
    ]


def test_a_good_connection_makes_up_for_the_failures_before_it() -> None:
    nodes = rotation(0.1, 0.2, 0.3)
    nodes.failed("a")
    nodes.failed("b")

    nodes.worked()

    assert not nodes.failed("c")


def test_a_lone_node_ends_its_round_at_once() -> None:
    nodes = rotation(0.5, urls="a")

    assert nodes.failed("a")
    assert nodes.current == "a"


def test_two_who_share_a_client_and_fail_at_once_skip_nobody() -> None:
    nodes = rotation(0.1, 0.2, 0.3)

    nodes.failed("a")
    nodes.failed("a")

    assert nodes.current == "b"


def test_leaving_a_node_is_no_failure() -> None:
    nodes = rotation(0.1, 0.2, urls="ab")

    nodes.leave()

    assert nodes.current == "b"
    assert not nodes.failed("b")


def test_urls_are_given_in_one_string_or_in_many() -> None:
    assert urls_in("http://a:1/, http://b:2,") == ("http://a:1", "http://b:2")
    assert urls_in(["http://a:1", "http://b:2", "http://a:1/"]) == ("http://a:1", "http://b:2")


@pytest.mark.parametrize("nothing", ["", " , ", []])
def test_no_url_at_all_is_refused(nothing: str | list[str]) -> None:
    with pytest.raises(Invalid, match="expected one at least"):
        urls_in(nothing)
