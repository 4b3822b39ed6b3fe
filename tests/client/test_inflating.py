"""The device's half of permessage-deflate. (Against the running service: tests/e2e/test_deflate.)"""

from __future__ import annotations

import pytest
from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode

from pushpull.client.inflating import InflatingFactory
from pushpull.web.deflate import deflated

TEXT = b'{"type":"messages"}' * 20


def test_it_offers_what_any_service_can_agree_to() -> None:
    assert list(InflatingFactory().get_request_params()) == [
        ("client_no_context_takeover", None),
        ("client_max_window_bits", None),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [("server_no_context_takeover", None), ("client_no_context_takeover", None)],
        [("client_max_window_bits", "10")],
    ],
)
def test_what_comes_is_inflated_and_what_goes_is_left_as_it_is(answer: list[tuple[str, str | None]]) -> None:
    agreed = InflatingFactory().process_response_params(answer, [])
    said = Frame(Opcode.TEXT, TEXT)

    assert agreed.encode(said) is said
    assert agreed.decode(Frame(Opcode.TEXT, deflated(TEXT), rsv1=True), max_size=1000) == said
    assert agreed.decode(said) is said
    assert not hasattr(agreed, "encoder"), "300 KB for nothing"


def test_an_answer_to_another_offer_is_refused() -> None:
    with pytest.raises(NegotiationError):
        InflatingFactory().process_response_params([("server_max_window_bits", "16")], [])
