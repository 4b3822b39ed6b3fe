"""`pushpull demo`: the check finds what is wrong, and a small demo, end to end, finds nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from pushpull.cli import main
from pushpull.demo.director import Progress
from pushpull.demo.latency import Latencies, Spread
from pushpull.demo.ledger import Log, Mark, Tally, Witness
from pushpull.demo.plan import GROUP_CONNECTED, GROUP_SIZE, Plan, drops, withholds
from pushpull.demo.readings import Reading, calls_in, metrics_in
from pushpull.demo.reports import Counts, Orders, Report, Verdict
from pushpull.demo.service import own_service
from pushpull.demo.summary import as_text, summarize
from pushpull.demo.view import Screen, sparkline
from pushpull.redis_server import ask

# ------------------------------------------------------------------------------------------------ the check


class Chat:
    """One conversation and one device: `send` stores, `show` shows by seq."""

    def __init__(self) -> None:
        self.log = Log()
        self.device = Witness()
        self.messages: dict[int, tuple[str, Mark]] = {}

    def send(self, seq: int, sender: str, number: int) -> None:
        mark = Mark(sender, number)
        self.log.sending(mark)
        self.messages[seq] = (f"{seq}-{sender}{number}", mark)
        self.log.sent(mark, seq, self.messages[seq][0])

    def show(self, *seqs: int) -> None:
        for seq in seqs:
            self.device.show(self.log, seq, *self.messages[seq])

    def judged(self) -> Tally:
        return self.device.judge(self.log, self.log.verdict())


@pytest.fixture
def chat() -> Chat:
    """Four messages are stored: two of ann's, two of bob's."""
    chat = Chat()
    for seq, sender, number in ((1, "ann", 1), (2, "bob", 1), (3, "ann", 2), (4, "bob", 2)):
        chat.send(seq, sender, number)
    return chat


def test_what_is_shown_once_and_in_order_is_clean(chat: Chat) -> None:
    chat.show(1, 2, 3, 4)

    assert chat.judged() == Tally(expected=4, shown=4)
    assert chat.judged().clean
    assert chat.device.behind(chat.log) == 0


def test_a_message_left_out_is_missing(chat: Chat) -> None:
    chat.show(1, 2, 4)

    assert chat.judged() == Tally(expected=4, shown=3, missing=1)
    assert chat.device.behind(chat.log) == 1


def test_the_last_message_is_missed_although_nothing_comes_after_it(chat: Chat) -> None:
    chat.show(1, 2, 3)

    assert chat.judged() == Tally(expected=4, shown=3, missing=1)


def test_a_device_that_shows_nothing_lacks_everything(chat: Chat) -> None:
    assert chat.judged() == Tally(expected=4, missing=4)
    assert chat.device.behind(chat.log) == 4


def test_a_message_that_is_shown_again_is_counted(chat: Chat) -> None:
    chat.show(1, 2, 2, 3, 4, 1)

    assert chat.judged() == Tally(expected=4, shown=4, twice=2)


def test_a_message_shown_after_a_later_one_is_out_of_order_and_not_missing(chat: Chat) -> None:
    chat.show(1, 3, 2, 4)

    assert chat.judged() == Tally(expected=4, shown=4, out_of_order=1)


def test_a_message_that_was_stored_twice_is_shown_twice_to_whoever_showed_both(chat: Chat) -> None:
    chat.messages[5] = ("5-other", Mark("ann", 2))  # a retry that the service did not recognise
    chat.show(1, 2, 3, 4)
    assert chat.judged().clean

    chat.show(5)

    assert chat.judged() == Tally(expected=4, shown=5, twice=1)


def test_a_senders_messages_stored_in_the_wrong_order_are_out_of_order(chat: Chat) -> None:
    chat.send(5, "ann", 4)
    chat.send(6, "ann", 3)
    chat.show(1, 2, 3, 4, 5, 6)

    assert chat.judged() == Tally(expected=6, shown=6, out_of_order=1)


def test_a_message_that_nobody_sent_is_unexpected(chat: Chat) -> None:
    chat.messages[5] = ("5-x", Mark("eve", 1))
    chat.show(1, 2, 3, 4, 5)

    assert chat.judged() == Tally(expected=4, shown=5, unexpected=1)


def test_another_message_in_the_place_of_the_stored_one_is_unexpected_and_the_stored_one_missing(chat: Chat) -> None:
    chat.messages[3] = ("3-x", Mark("eve", 1))
    chat.show(1, 2, 3, 4)

    assert chat.judged() == Tally(expected=4, shown=4, missing=1, unexpected=1)


def test_two_devices_that_show_different_messages_at_one_place_are_found_out(chat: Chat) -> None:
    chat.show(1, 2, 3, 4)
    other = Witness()
    for seq in (1, 2, 3):
        other.show(chat.log, seq, *chat.messages[seq])
    other.show(chat.log, 4, "4-x", Mark("bob", 2))

    assert other.judge(chat.log, chat.log.verdict()).unexpected == 1


def test_what_is_shown_before_its_sender_is_answered_is_in_order(chat: Chat) -> None:
    chat.log.sending(Mark("ann", 3))
    chat.messages[5] = ("5-ann3", Mark("ann", 3))
    chat.show(1, 2, 3, 4, 5)

    assert chat.judged().clean
    assert chat.device.behind(chat.log) == 0


def test_a_message_lost_by_the_service_and_sent_again_is_expected_once(chat: Chat) -> None:
    chat.show(1, 2, 3, 4)
    chat.log.go_back(3)
    chat.device.go_back(3)

    chat.send(4, "eve", 1)
    chat.send(5, "bob", 2)
    chat.show(4, 5)

    assert chat.judged() == Tally(expected=5, shown=5)


# ------------------------------------------------------------------------------------------------ figures


def test_percentiles_are_right_to_a_twentieth_and_the_maximum_is_exact() -> None:
    latencies = Latencies()
    for ms in range(1, 1001):
        latencies.add(float(ms))

    spread = latencies.spread()

    assert spread.count == 1000
    assert spread.max_ms == 1000.0
    for found, true in ((spread.p50_ms, 500), (spread.p95_ms, 950), (spread.p99_ms, 990)):
        assert true <= found <= true * 1.05
    latencies.clear()
    assert latencies.spread() == Spread()


def test_a_plan_puts_connected_users_and_others_into_each_small_group() -> None:
    plan = Plan(name="demo", connected=40, members=200, groups=30)

    for number in range(30):
        users = plan.group(number)
        assert len(users) == len(set(users)) == GROUP_SIZE
        assert sum(user < 40 for user in users) == GROUP_CONNECTED
    assert all(cids[0] == plan.hot for cids in plan.of_devices())
    assert any(drops(user) for user in range(40))
    assert any(withholds(user) for user in range(40))


def test_a_plan_works_with_fewer_users_than_a_group_has_places() -> None:
    plan = Plan(name="demo", connected=2, members=2, groups=1)

    assert plan.group(0) == [0, 1]
    assert plan.of_devices() == [[plan.hot, *plan.small]] * 2


def test_metrics_are_added_up_over_labels_and_buckets_left_out() -> None:
    text = """# TYPE pushpull_resets counter
pushpull_resets_total{reason="trimmed"} 2.0
pushpull_resets_total{reason="epoch"} 1.0
# TYPE pushpull_append_seconds histogram
pushpull_append_seconds_bucket{le="0.001"} 4.0
pushpull_append_seconds_count 5.0
# TYPE other counter
other_total 7.0
"""
    assert metrics_in(text) == {"resets_total": 3.0, "append_seconds_count": 5.0}


def test_command_calls_are_read_from_info() -> None:
    info = "# Commandstats\r\ncmdstat_xadd:calls=3,usec=9,usec_per_call=3.00\r\ncmdstat_config|get:calls=1,usec=2\r\n"

    assert calls_in(info) == {"xadd": 3, "config|get": 1}


# ------------------------------------------------------------------------------------------------ summary and view

PLAN = Plan(name="demo", connected=40, members=200, groups=10)


def verdict(hot: Tally | None = None, *, unanswered: int = 0) -> Verdict:
    return Verdict(
        hot=hot or Tally(expected=400, shown=400),
        small=Tally(expected=600, shown=600),
        unanswered=unanswered,
        latency_hot=Spread(400, 10.0, 20.0, 30.0, 40.0),
        latency_small=Spread(600, 1.0, 2.0, 3.0, 4.0),
        latency_flaky=Spread(),
        seconds=20.0,
        catch_up_s=0.5,
        cpu_s=2.0,
        failures=[],
    )


def test_the_cost_is_what_grew_between_the_two_readings() -> None:
    before = Reading(
        {"acks_total": 5.0}, server_cpu_s=1.0, redis_cpu_s=0.5, redis_commands=100, redis_calls={"xadd": 1}
    )
    after = Reading(
        {"acks_total": 9.0}, server_cpu_s=3.5, redis_cpu_s=1.0, redis_commands=1100, redis_calls={"xadd": 101}
    )

    summary = summarize(PLAN, Counts(sent_hot=10, sent_small=90), verdict(), before, after)

    assert summary.ok
    assert summary.service == {"acks": 4}
    assert summary.cost.server_cpu_s == 2.5
    assert summary.cost.redis_commands_per_message == 10.0
    assert summary.cost.xadds_per_message == 1.0
    assert "everything arrived, once, in order" in as_text(summary)


def test_counts_of_a_redis_that_was_restarted_meanwhile_are_not_compared() -> None:
    before = Reading(redis_run="first", server_cpu_s=1.0, redis_commands=5000)
    after = Reading(redis_run="second", server_cpu_s=2.0, redis_commands=100)

    cost = summarize(PLAN, Counts(sent_hot=10), verdict(), before, after).cost

    assert cost.server_cpu_s == 1.0
    assert cost.redis_commands_per_message is None


def test_of_a_service_elsewhere_nothing_is_claimed_about_its_cost() -> None:
    summary = summarize(PLAN, Counts(sent_hot=10), verdict(), Reading(), Reading())

    assert summary.cost.server_cpu_s is None
    assert summary.cost.redis_commands_per_message is None
    assert "xadd" not in as_text(summary)


@pytest.mark.parametrize("fault", ["missing", "twice", "out_of_order", "unexpected"])
def test_any_fault_spoils_the_verdict(fault: str) -> None:
    hot = Tally(expected=400, shown=400, **{fault: 1})

    summary = summarize(PLAN, Counts(), verdict(hot), Reading(), Reading())

    assert not summary.ok
    assert "FAILED" in as_text(summary)


def test_sends_that_were_refused_or_never_answered_spoil_the_verdict() -> None:
    assert not summarize(PLAN, Counts(refused=1), verdict(), Reading(), Reading()).ok
    assert not summarize(PLAN, Counts(), verdict(unanswered=1), Reading(), Reading()).ok


def drawn(screen: Screen) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(screen.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_view_shows_rates_and_counts_as_they_are_told() -> None:
    screen = Screen()
    progress = Progress(PLAN, step="sending")
    for second, shown in ((0.0, 0), (0.5, 300), (1.0, 900)):
        counts = Counts(sent_hot=shown // 40, shown_hot=shown, reconnects=7)
        progress.report = Report(phase="sending", at=second, connected=39, behind=11, counts=counts)
        screen.update(progress, now=100.0 + second)
    progress.metrics = {"redeliveries_total": 83.0, "pulls_total": 21.0}

    text = drawn(screen)

    assert list(screen.shown) == [600.0, 1200.0]
    for words in ("sending", "1,200", "redeliveries", "83", "pulls", "21", "39", "missing so far", "11", "█"):
        assert words in text


def test_the_view_draws_before_anything_is_known() -> None:
    assert "starting" in drawn(Screen())


def test_a_sparkline_reaches_its_top_at_the_highest_value() -> None:
    assert sparkline([0.0, 4.0, 8.0]) == "▁▅█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


def test_orders_do_not_show_their_tokens() -> None:
    orders = Orders(url="http://127.0.0.1:1", plan=PLAN, tokens=["a-secret-token"])

    assert "a-secret-token" not in repr(orders)


# ------------------------------------------------------------------------------------------------ end to end


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """An environment without a service, a key or a configuration in it."""
    for variable in [name for name in os.environ if name.startswith("PUSHPULL_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return dict(os.environ)


def started(environ: dict[str, str], *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from pushpull.cli import main; main()", "demo", *flags],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def summary_of(environ: dict[str, str], *flags: str) -> dict[str, Any]:
    demo = started(environ, *flags, "--json")
    try:
        said, errors = demo.communicate(timeout=90)
    finally:
        demo.kill()
    assert demo.returncode == 0, said + errors
    summary: dict[str, Any] = json.loads(said)
    return summary


def test_a_small_demo_with_a_service_of_its_own_adds_up(environ: dict[str, str]) -> None:
    environ["PUSHPULL_DELIVERY__ACK_WAIT_MS"] = "400"
    environ["PUSHPULL_DELIVERY__MAX_DELIVER"] = "20"

    summary = summary_of(environ, "--connected", "40", "--members", "300", "--groups", "8", "--seconds", "3")

    hot, small, devices = summary["hot"], summary["small"], summary["devices"]
    assert summary["ok"]
    assert hot["sent"] >= 5
    assert small["sent"] >= 100
    assert hot["shown"] == hot["expected"] == 40 * hot["sent"]
    assert small["shown"] == small["expected"] == GROUP_CONNECTED * small["sent"]
    for traffic in (hot, small):
        assert [traffic[fault] for fault in ("missing", "shown_twice", "out_of_order", "unexpected")] == [0, 0, 0, 0]
    assert devices["reconnects"] > 0
    assert devices["redelivered"] > 0
    assert devices["suppressed"] > 0
    assert summary["service"]["appends"] == hot["sent"] + small["sent"]
    assert summary["cost"]["xadds_per_message"] == 1.0
    assert hot["latency"]["count"] > 0
    assert not list(Path().iterdir())  # nothing is left where it was called from


async def test_a_demo_on_a_named_service_leaves_no_conversation_behind(environ: dict[str, str]) -> None:
    async with own_service() as own:
        environ |= {"PUSHPULL_API_KEY": own.api_key, "PUSHPULL_AUTH__JWT_SECRET": own.jwt_secret}
        flags = ("--url", own.url, "--connected", "20", "--members", "20", "--groups", "2", "--seconds", "1")

        summary = await asyncio.to_thread(summary_of, environ, *flags)

        assert summary["ok"]
        assert summary["cost"]["server_cpu_s"] is None
        assert await asyncio.to_thread(_keys_left, own.redis_socket) == ""

        environ["PUSHPULL_AUTH__JWT_SECRET"] = "not-the-secret-of-that-service--"
        demo = started(environ, *flags)
        _, errors = await asyncio.to_thread(demo.communicate, timeout=60)

        assert demo.returncode == 1
        assert (
            errors == "error: the demo's devices ended: 0 of 20 devices could connect: closed with 4401 token_invalid\n"
        )
        assert await asyncio.to_thread(_keys_left, own.redis_socket) == ""


def _keys_left(socket_path: Path) -> str:
    return ask(socket_path, "EVAL", "return table.concat(redis.call('KEYS', '*{c:*}:log'), ' ')", "0")


def test_a_second_signal_ends_the_demo_and_its_service(environ: dict[str, str], tmp_path: Path) -> None:
    environ["TMPDIR"] = str(tmp_path)
    demo = started(environ, "--connected", "10", "--members", "10", "--groups", "1", "--seconds", "60")
    try:
        give_up = time.monotonic() + 30
        while not list(tmp_path.glob("pushpull-demo-*/data/appendonlydir/*")):
            assert time.monotonic() < give_up, "no service was started"
            time.sleep(0.05)
        demo.send_signal(signal.SIGINT)
        time.sleep(0.5)  # two that come at once would be one
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    finally:
        demo.kill()

    assert demo.returncode == 1
    assert errors == "Aborted!\n"
    assert not list(tmp_path.iterdir())


def test_more_connected_than_members_is_wrong_usage(environ: dict[str, str]) -> None:
    result = CliRunner().invoke(main, ["demo", "--connected", "20", "--members", "10"])

    assert result.exit_code == 2
    assert "--connected 20 is more than --members 10" in result.stderr


def test_a_named_service_that_does_not_answer_is_a_clear_error(environ: dict[str, str]) -> None:
    result = CliRunner().invoke(main, ["demo", "--url", "http://127.0.0.1:9", "--api-key", "k"])

    assert result.exit_code == 1
    assert (
        result.stderr
        == "error: no answer from http://127.0.0.1:9: ConnectError; is the service running? (pushpull serve)\n"
    )


def test_a_named_service_needs_a_key(environ: dict[str, str]) -> None:
    result = CliRunner().invoke(main, ["demo", "--url", "http://127.0.0.1:9"])

    assert result.exit_code == 2
    assert "no API key for http://127.0.0.1:9" in result.stderr
