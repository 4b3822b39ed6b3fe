"""The webhook's calls: signed so that the reference library takes them, and what the answers mean."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from pushpull.node.webhook import Answer
from pushpull.settings import Offline
from pushpull.web import webhook as module
from pushpull.web.webhook import HttpWebhook, retry_after_s, webhook_of
from tests.receiver import SECRET

BODY = b'{"data":{"event":"e1"}}'
URL = "http://receiver.test/hook?key=in-the-url"

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0)


def hook(handler: Handler, *, secret: str = SECRET, clock: Callable[[], float] = time.time) -> HttpWebhook:
    settings = Offline(webhook_url=URL, webhook_secret=secret, timeout_s=1)
    return HttpWebhook(settings, transport=httpx2.MockTransport(handler), clock=clock)


def said(status: int, **headers: str) -> httpx2.Response:
    """An answer as it comes from a socket: its body is still to be read."""

    async def body() -> AsyncIterator[bytes]:
        yield b"thanks"

    return httpx2.Response(
        status, headers={name.replace("_", "-"): value for name, value in headers.items()}, content=body()
    )


async def posted(*answers: tuple[int, dict[str, str]]) -> tuple[Answer, list[httpx2.Request]]:
    """What becomes of a call that is answered like this, the last answer again and again; and the calls made."""
    calls: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        status, headers = answers[min(len(calls), len(answers)) - 1]
        return said(status, **headers)

    client = hook(answer)
    try:
        return await client.post("e1", BODY), calls
    finally:
        await client.aclose()


async def test_a_call_is_signed_as_standard_webhooks_says() -> None:
    answer, (call,) = await posted((204, {}))
    assert answer == Answer("delivered")
    assert (call.method, str(call.url), call.headers["webhook-id"]) == ("POST", URL, "e1")
    assert Webhook(SECRET).verify(call.content, dict(call.headers)) == {"data": {"event": "e1"}}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(call.content + b" ", dict(call.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "b3RoZXI=" * 4).verify(call.content, dict(call.headers))


async def test_the_secret_may_do_without_its_prefix() -> None:
    seen: list[httpx2.Request] = []

    def take(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return said(200)

    client = hook(take, secret=SECRET.removeprefix("whsec_"))
    await client.post("e1", BODY)
    await client.aclose()
    Webhook(SECRET).verify(seen[0].content, dict(seen[0].headers))


async def test_the_timestamp_is_that_of_the_try_and_the_id_is_the_events() -> None:
    times = iter([1_000.9, 1_005.0, 1_010.0])
    stamps: list[tuple[str, str]] = []

    def fail(request: httpx2.Request) -> httpx2.Response:
        stamps.append((request.headers["webhook-id"], request.headers["webhook-timestamp"]))
        raise httpx2.ConnectError("refused")

    client = hook(fail, clock=lambda: next(times))
    answer = await client.post("e1", BODY)
    await client.aclose()
    assert answer == Answer("failed", "it cannot be reached (ConnectError)")
    assert stamps == [("e1", "1000"), ("e1", "1005"), ("e1", "1010")]


@pytest.mark.parametrize(
    ("status", "outcome", "tries"),
    [
        (200, "delivered", 1),
        (202, "delivered", 1),
        (204, "delivered", 1),
        (302, "failed", 1),
        (307, "failed", 1),
        (400, "failed", 1),
        (401, "failed", 1),
        (404, "failed", 1),
        (410, "gone", 1),
        (429, "failed", 1),
        (500, "failed", 3),
        (502, "failed", 3),
        (503, "failed", 3),
        (504, "failed", 3),
        (501, "failed", 1),
    ],
)
async def test_what_a_status_means(status: int, outcome: str, tries: int) -> None:
    answer, calls = await posted((status, {"location": "http://elsewhere.test/"}))
    assert (answer.outcome, len(calls)) == (outcome, tries)
    assert {str(call.url) for call in calls} == {URL}, "redirects are not followed"
    assert answer.why == ("" if outcome == "delivered" else f"the receiver answered {status}")


async def test_a_blip_is_over_within_one_call() -> None:
    answer, calls = await posted((500, {}), (200, {}))
    assert (answer.outcome, len(calls)) == ("delivered", 2)


async def test_a_receiver_that_says_when_is_not_tried_before() -> None:
    answer, calls = await posted((503, {"retry_after": "7"}))
    assert (answer.retry_after_s, len(calls)) == (7.0, 1)


async def test_a_timeout_is_not_tried_again_at_once() -> None:
    calls = []

    def hang(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        raise httpx2.ReadTimeout("slow")

    client = hook(hang)
    assert await client.post("e1", BODY) == Answer("failed", "no answer within 1 s")
    await client.aclose()
    assert len(calls) == 1


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 16_384

    client = hook(lambda request: httpx2.Response(200, content=endless()))
    answer = await client.post("e1", BODY)
    await client.aclose()
    assert answer.outcome == "delivered"
    assert read <= 6


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("soon", None),
        ("-3", None),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999999999", None),
        ("9" * 40, 999_999_999.0),
        (format_datetime(datetime.fromtimestamp(1_060, UTC), usegmt=True), 60.0),
        (format_datetime(datetime.fromtimestamp(900, UTC), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, 1_000.0) == seconds


def test_without_a_url_there_is_no_webhook() -> None:
    assert webhook_of(Offline()) is None
