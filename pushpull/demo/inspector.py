"""What all devices saw: checked, timed and counted as it happens."""

from __future__ import annotations

from typing import Any, Final

from pushpull.client import Message, Reset
from pushpull.demo.latency import Latencies
from pushpull.demo.ledger import Log, Mark, Tally, Witness
from pushpull.demo.plan import Plan, flaky
from pushpull.demo.reports import Counts, Report
from pushpull.model import seq_of

PADDED_EVERY: Final = 10
"""One message in so many to the hot group is too long to ride in a notice, so that everybody pulls it."""
PADDING: Final = "A longer message, as people write them now and then. " * 14
TEXT: Final = "Is everybody seeing this?"


class Inspector:
    def __init__(self, plan: Plan) -> None:
        self._hot = plan.hot
        self._numbers: dict[tuple[str, str], int] = {}  # (cid, sender) → how many it has sent there
        self.logs = {cid: Log() for cid in (plan.hot, *plan.small)}
        self.witnesses = [{cid: Witness() for cid in cids} for cids in plan.of_devices()]
        self.counts = Counts()
        self.hot, self.small, self.flaky = Latencies(), Latencies(), Latencies()
        self.recent_hot, self.recent_small = Latencies(), Latencies()

    # ------------------------------------------------------------------------------------------------ sending

    def sending(self, cid: str, sender: int, *, now: float) -> tuple[Mark, dict[str, Any]]:
        """The next message of this sender: its mark, and the body that carries it. `now` is steady, in seconds."""
        known = (cid, str(sender))
        number = self._numbers[known] = self._numbers.get(known, 0) + 1
        mark = Mark(str(sender), number)
        log = self.logs[cid]
        padded = cid == self._hot and (len(log.stored) + len(log.open)) % PADDED_EVERY == PADDED_EVERY - 1
        log.sending(mark)
        return mark, {"text": PADDING if padded else TEXT, "mark": list(mark), "at": now}

    def sent(self, cid: str, mark: Mark, log_id: str, *, dup: bool) -> None:
        """The service has it."""
        self.logs[cid].sent(mark, seq_of(log_id), log_id)
        self.counts.repeated_sends += dup
        if cid == self._hot:
            self.counts.sent_hot += 1
        else:
            self.counts.sent_small += 1

    def refused(self, cid: str, mark: Mark) -> None:
        """The service will not have it."""
        self.logs[cid].failed(mark)
        self.counts.refused += 1

    @property
    def unanswered(self) -> int:
        return sum(len(log.open) for log in self.logs.values())

    # ------------------------------------------------------------------------------------------------ receiving

    def show(self, device: int, message: Message, *, now: float) -> None:
        """The device shows a message to its user."""
        cid = message.cid
        sender, number = message.body["mark"]
        self.witnesses[device][cid].show(self.logs[cid], message.seq, message.id, Mark(sender, number))
        ms = (now - message.body["at"]) * 1000
        if cid == self._hot:
            self.counts.shown_hot += 1
        else:
            self.counts.shown_small += 1
        if flaky(device) or flaky(int(sender)):
            self.flaky.add(ms)
            return
        for latencies in (self.hot, self.recent_hot) if cid == self._hot else (self.small, self.recent_small):
            latencies.add(ms)

    def go_back(self, device: int, reset: Reset) -> None:
        """The service told the device to continue elsewhere."""
        self.counts.resets += 1
        if reset.reason != "trimmed" and reset.cid in self.logs:
            seq = 0 if reset.reason == "epoch" else seq_of(reset.pos)
            self.logs[reset.cid].go_back(seq)
            self.witnesses[device][reset.cid].go_back(seq)

    # ------------------------------------------------------------------------------------------------ looking

    def look(self, report: Report) -> Report:
        """Fill in what is known at this moment; the recent latencies start over."""
        for witnesses in self.witnesses:
            behind = 0
            for cid, witness in witnesses.items():
                behind += witness.behind(self.logs[cid])
                report.twice += witness.twice
                report.out_of_order += witness.late
            report.behind += behind
            report.worst_behind = max(report.worst_behind, behind)
        report.unanswered = self.unanswered
        report.counts = self.counts
        report.recent_hot, report.recent_small = self.recent_hot.spread(), self.recent_small.spread()
        self.recent_hot.clear()
        self.recent_small.clear()
        return report

    @property
    def caught_up(self) -> bool:
        """Every send was answered, and every device has shown everything."""
        return not self.unanswered and not any(
            witness.behind(self.logs[cid]) for witnesses in self.witnesses for cid, witness in witnesses.items()
        )

    def judge(self) -> tuple[Tally, Tally]:
        """The final counts: of the hot group, and of the small ones."""
        faults = {cid: log.verdict() for cid, log in self.logs.items()}
        hot, small = Tally(), Tally()
        for witnesses in self.witnesses:
            for cid, witness in witnesses.items():
                (hot if cid == self._hot else small).add(witness.judge(self.logs[cid], faults[cid]))
        return hot, small
