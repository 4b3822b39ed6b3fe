"""A whole client for pushpull in one file, from the protocol page alone: websockets and the standard library.

    TOKEN=$(pushpull token alice) python examples/minimal_client.py --to hello --state alice.json

prints what arrives, sends each line that is typed, and goes on where it stood: over lost lines, restarts of the service
and its own. To be read beside docs/protocol.md by whoever writes a client in another language. `Device` decides: frames
in, frames out, no I/O and no clock, so that the cases of tests/conformance can be played to it, and it passes them but
for those named in tests/examples/test_minimal_client.py. `Line` is the connection around it.

Left out, to stay small: conversations that are not on the screen (`focus`), unread counts, an owner that is slower than
its line (here the next frame is read when the last message is stored), resuming a send that is older than cmids are
remembered (it is given up), asking for another node, and pings of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import websockets

Frame = dict[str, Any]

PULL_AGAIN_S = 10.0  # a pull that was not answered
SILENCE_S = 5.0  # a pushed conversation that is behind and hears nothing is pulled after that
WINDOW = 16  # sends under way in a conversation
KEPT = 1000  # own messages that were stored, should a failover lose them


def seq_of(position: str) -> int:
    """The seq of a log id; what follows it is opaque."""
    return int(position.partition("-")[0])


@dataclass
class Conversation:
    """Where this device stands in a conversation of this session."""

    pos: str
    head: int = 0
    floor: int = 1
    epoch: str = ""
    pushed: bool = False
    chasing: bool = False  # pull until the head is reached
    pulling: int | None = None  # the `after` of the pull under way
    pull_at: float = 0.0  # not before
    told: tuple[str, ...] = ()  # the last reset: a row and a frame may tell of the same one

    @property
    def here(self) -> int:
        return seq_of(self.pos)

    @property
    def behind(self) -> bool:
        return self.here < self.head

    def wait(self, now: float) -> None:
        """Something was heard: when to pull, if nothing else comes. One pull at a time."""
        if self.pulling is None:
            self.pull_at = now if self.chasing else now + SILENCE_S


@dataclass
class Lane:
    """The messages to one conversation that the service has not confirmed, in the order they were sent."""

    sends: list[Frame] = field(default_factory=list)
    under_way: set[str] = field(default_factory=set)  # cmids
    troubled: bool = False  # one failed: wait until all under way were answered, then go on in the old order
    not_before: float = 0.0
    failures: int = 0


@dataclass
class Device:
    """One device. `positions` and `unsent` are what to keep over a restart; `tell` gets each event, and stores it."""

    tell: Callable[[Frame], None]
    positions: dict[str, str] = field(default_factory=dict)
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.epochs: dict[str, str] = {}
        self.lanes: dict[str, Lane] = {}
        self.stored: deque[Frame] = deque(maxlen=KEPT)  # own sends that were confirmed, each with its `id`
        self.reads: dict[str, int] = {}
        self.closed(0.0)
        self.ack_delay_s, self.ack_max, self.clock_ahead_ms = 0.2, 100, 0.0

    @property
    def unsent(self) -> list[Frame]:
        return [send for lane in self.lanes.values() for send in lane.sends]

    @property
    def waits(self) -> bool:
        """Whether something was sent that is not confirmed, or has not arrived here like any other message."""
        last = {send["cid"]: seq_of(send["id"]) for send in self.stored}
        return bool(self.unsent) or any(seq > seq_of(self.positions.get(cid, "0-0")) for cid, seq in last.items())

    # ------------------------------------------------------------------------------------------ the session

    def opened(self, welcome: Frame, now: float) -> None:
        self.open = True
        self.ack_delay_s, self.ack_max = welcome["ack"]["delay_ms"] / 1000, welcome["ack"]["max"]
        self.clock_ahead_ms = welcome["time"] - now * 1000

    def closed(self, now: float) -> None:
        """The connection ended: what was under way was perhaps not received, and goes again."""
        self.open = self.listed = False
        self.conversations = {}
        self.acks: dict[str, int] = {}
        self.ack_at = float("inf")
        self.unacked = 0
        self.out: list[Frame] = []
        self.later: list[tuple[float, Frame]] = []  # refused for the moment: (when, what)
        self.read_said: set[str] = set()
        self.next_page: Frame = {}
        for lane in self.lanes.values():
            lane.under_way.clear()
            lane.troubled, lane.not_before = False, now

    def receive(self, frame: Frame, now: float) -> None:
        """Take one frame. A type that is not known here is passed over."""
        handler = getattr(self, f"_on_{frame['type']}", None)
        if handler is not None:
            handler(frame, now)

    def frames(self, now: float, *, at_once: bool = False) -> list[Frame]:
        """What to say now."""
        out = self._due_acks(now, at_once=at_once) + self.out
        out += [frame for at, frame in self.later if at <= now]
        self.out, self.later = [], [(at, frame) for at, frame in self.later if at > now]
        out += self._due_reads()
        for cid, held in self.conversations.items():
            out += self._due_pull(cid, held, now)
        for cid, lane in self.lanes.items():
            if self.listed or cid in self.conversations:  # that it was deleted is told ahead of its row
                out += self._due_sends(lane, now)
        return out

    def next_at(self) -> float:
        """When `frames` has something to say although nothing happens."""
        pulls = [held.pull_at for held in self.conversations.values() if held.behind]
        known = [lane for cid, lane in self.lanes.items() if self.listed or cid in self.conversations]
        lanes = [lane.not_before for lane in known if lane.sends and not lane.under_way]
        return min([self.ack_at, *pulls, *lanes, *(at for at, _ in self.later)])

    # ------------------------------------------------------------------------------------------ receiving

    def _on_sync(self, frame: Frame, now: float) -> None:
        for row in frame["conversations"]:
            self._adopt(row, now)
        if frame["next"] is not None:
            self.next_page = {"type": "sync", "after": frame["next"], "rid": "sync"}
            self.out.append(self.next_page)
            return
        self.listed = True
        for cid in self.positions.keys() - self.conversations.keys():
            self._leave(cid, "left")

    def _adopt(self, row: Frame, now: float) -> None:
        """A conversation is live from its row on, at the row's `start`."""
        cid, start = row["cid"], row["start"]
        before = self.positions.setdefault(cid, start)
        held = self.conversations[cid] = Conversation(start, row["head"], row["floor"], row["epoch"])
        held.pushed = row["mode"] == "push"
        held.chasing = held.behind and not held.pushed
        held.wait(now)
        if self.epochs.setdefault(cid, row["epoch"]) != row["epoch"]:
            self._send_again_above(cid, seq_of(start))  # the log lost its end, and with it perhaps what was sent
        self.epochs[cid] = row["epoch"]
        if row["read"] >= self.reads.get(cid, 0):
            self.reads.pop(cid, None)
        if start != before:
            reason = "trimmed" if seq_of(start) > seq_of(before) else "diverged"
            self._reset(cid, held, {"reason": reason, "pos": start, "epoch": row["epoch"]})
        elif row["delivered"] < seq_of(start):
            self._ack(cid, now)

    def _on_messages(self, frame: Frame, now: float) -> None:
        """The whole rule for receiving."""
        cid, held = frame["cid"], self.conversations.get(frame["cid"])
        if held is None:
            return
        answered = held.pulling == frame["after"]
        if answered:
            held.pulling = None
        held.head = max(held.head, frame["head"], frame["upto"])
        held.floor = max(held.floor, frame["floor"])
        here = held.here
        if frame["after"] > here:  # a gap: drop it, and pull what lies between
            held.chasing = True
        elif frame["upto"] <= here:  # a duplicate: show nothing, ack
            if answered:  # without progress: the head that was seen is gone
                held.head, held.chasing = here, False
            self._ack(cid, now if "redelivery" in frame else now + self.ack_delay_s)
        else:
            self._apply(cid, held, frame, now)
        held.wait(now)

    def _apply(self, cid: str, held: Conversation, frame: Frame, now: float) -> None:
        here = held.here
        fresh = [item for item in frame["items"] if here < item["seq"] <= frame["upto"]]
        for item in fresh:
            self.tell({**item, "type": "message", "cid": cid, "from": item.get("from")})
        held.pos = self.positions[cid] = frame["upto_id"]
        held.chasing = held.behind and (held.chasing or not held.pushed)
        self.unacked += len(fresh)
        full = self.unacked >= self.ack_max
        self._ack(cid, now if full or "redelivery" in frame else now + self.ack_delay_s)

    def _on_notice(self, frame: Frame, now: float) -> None:
        held = self.conversations.get(frame["cid"])
        if held is not None:
            held.head = max(held.head, frame["head"])
            held.chasing = held.behind
            held.wait(now)

    def _on_reset(self, frame: Frame, now: float) -> None:
        cid, held = frame["cid"], self.conversations.get(frame["cid"])
        if held is None or held.told == _told(frame):
            return
        held.floor = max(held.floor, frame["floor"])
        if frame["reason"] == "trimmed" and seq_of(frame["pos"]) <= held.here:
            return  # what is gone lies below
        if frame["reason"] != "diverged" or seq_of(frame["pos"]) <= held.here:  # that one never goes forward
            held.pos = self.positions[cid] = frame["pos"]
        held.epoch = self.epochs[cid] = frame["epoch"]
        held.head = max(frame["head"], seq_of(frame["pos"]))
        held.pulling, held.chasing = None, held.behind and not held.pushed
        held.wait(now)
        self.acks.pop(cid, None)
        self._reset(cid, held, frame)

    def _reset(self, cid: str, held: Conversation, told: Frame) -> None:
        held.told = _told(told)
        self.positions[cid] = held.pos
        place = {"pos": held.pos, "epoch": held.epoch, "head": held.head, "floor": held.floor}
        self.tell({"type": "reset", "cid": cid, "reason": told["reason"], **place})
        if told["reason"] != "trimmed":
            self._send_again_above(cid, -1 if told["reason"] == "epoch" else seq_of(told["pos"]))

    def _on_conversation(self, frame: Frame, now: float) -> None:
        if frame["change"] in ("left", "deleted"):
            self._leave(frame["cid"], frame["change"])
            return
        if frame.get("row") is not None:
            self._adopt(frame["row"], now)
        self.tell(frame)

    def _leave(self, cid: str, change: str) -> None:
        for table in (self.conversations, self.positions, self.epochs, self.acks):
            table.pop(cid, None)
        if change == "deleted":
            self._end_sends(cid)
        self.tell({"type": "conversation", "cid": cid, "change": change})

    def _end_sends(self, cid: str) -> None:
        """Nothing that was written for a conversation that was deleted goes to another one of its name."""
        self.reads.pop(cid, None)
        self.stored = deque((send for send in self.stored if send["cid"] != cid), maxlen=KEPT)
        lane = self.lanes.get(cid, Lane())
        for send in [send for send in lane.sends if send["cmid"] not in lane.under_way]:
            self._done(send, {"error": "no_such_conversation"})

    def _on_cursors(self, frame: Frame, now: float) -> None:
        if frame["read"] >= self.reads.get(frame["cid"], 0):
            self.reads.pop(frame["cid"], None)
        self.tell(frame)

    def _on_receipt(self, frame: Frame, now: float) -> None:
        self.tell({"delivered": None, "read": None, **frame})

    def _on_signal(self, frame: Frame, now: float) -> None:
        self.tell(frame)

    def _on_ping(self, frame: Frame, now: float) -> None:
        self.out.append({"type": "pong", "t": frame["t"]} if "t" in frame else {"type": "pong"})

    # ------------------------------------------------------------------------------------------ saying

    def _ack(self, cid: str, at: float) -> None:
        """Say that everything up to the position is stored, by `at`."""
        if self.conversations[cid].here > 0:
            self.acks[cid] = self.conversations[cid].here
            self.ack_at = min(self.ack_at, at)

    def _due_acks(self, now: float, *, at_once: bool) -> list[Frame]:
        if not self.acks or not (at_once or self.ack_at <= now):
            return []
        acks, self.acks, self.ack_at, self.unacked = self.acks, {}, float("inf"), 0
        return [{"type": "ack", "acks": acks}]

    def _due_pull(self, cid: str, held: Conversation, now: float) -> list[Frame]:
        if not held.behind or now < held.pull_at:
            return []
        held.chasing, held.pulling, held.pull_at = True, held.here, now + PULL_AGAIN_S
        return [{"type": "pull", "cid": cid, "after": held.here, "rid": f"pull {cid}"}]

    def read(self, cid: str, seq: int) -> None:
        """The user has read so far; it is said until the service says so."""
        self.reads[cid] = max(seq, self.reads.get(cid, 0))
        self.read_said.discard(cid)

    def _due_reads(self) -> list[Frame]:
        due = [cid for cid in self.reads if cid in self.conversations and cid not in self.read_said]
        self.read_said.update(due)
        return [{"type": "read", "cid": cid, "seq": self.reads[cid], "rid": f"read {cid}"} for cid in due]

    def signal(self, cid: str, body: Any) -> None:
        """Now or never."""
        if self.open and cid in self.conversations:
            self.out.append({"type": "signal", "cid": cid, "body": body, "rid": "signal"})

    def send(self, cid: str, body: Any, *, cmid: str = "", **more: Any) -> str:
        """Queue a message (`kind`, `quiet`, `mentions`, `ref` as of the protocol); returns its cmid."""
        cmid = cmid or uuid.uuid4().hex
        frame = {"type": "send", "cid": cid, "cmid": cmid, "body": body, **more}
        self.lanes.setdefault(cid, Lane()).sends.append(frame)
        return cmid

    def _due_sends(self, lane: Lane, now: float) -> list[Frame]:
        """In order, at most WINDOW under way. `first_at` goes with every try but the first."""
        if lane.troubled or now < lane.not_before:
            return []
        room = WINDOW - len(lane.under_way)
        due = [send for send in lane.sends if send["cmid"] not in lane.under_way][:room]
        said = [dict(send) for send in due]
        for send in due:
            lane.under_way.add(send["cmid"])
            send.setdefault("first_at", int(now * 1000 + self.clock_ahead_ms))
        return said

    def _send_again_above(self, cid: str, seq: int) -> None:
        """What was confirmed above `seq` is lost: it goes out first, under the same cmids."""
        lost = [send for send in self.stored if send["cid"] == cid and seq_of(send["id"]) > seq]
        self.stored = deque((send for send in self.stored if send not in lost), maxlen=KEPT)
        lane = self.lanes.setdefault(cid, Lane())
        again = sorted(lost, key=lambda send: seq_of(send["id"]))
        lane.sends[:0] = [{name: value for name, value in send.items() if name != "id"} for send in again]

    # ------------------------------------------------------------------------------------------ answers

    def _on_sent(self, frame: Frame, now: float) -> None:
        send = self._landed(frame)
        if send is not None:
            self.lanes[frame["cid"]].failures = 0
            self.stored.append({**send, "id": frame["id"]})
            self._done(send, {"id": frame["id"], "dup": frame.get("dup", False)})

    def _on_error(self, frame: Frame, now: float) -> None:
        if "cmid" in frame:
            self._on_send_refused(frame, now)
            return
        what, _, cid = str(frame.get("rid", "")).partition(" ")
        if not frame["temporary"]:
            self._on_refused(what, cid, frame)
            return
        again_at = now + frame.get("retry_after_ms", 1000) / 1000
        if what == "sync":
            self.later.append((again_at, self.next_page))
        elif what == "read" and cid in self.reads:
            self.later.append((again_at, {"type": "read", "cid": cid, "seq": self.reads[cid], "rid": frame["rid"]}))
        elif what == "pull" and cid in self.conversations:
            self.conversations[cid].pulling, self.conversations[cid].pull_at = None, again_at

    def _on_refused(self, what: str, cid: str, frame: Frame) -> None:
        if what == "read":
            self.reads.pop(cid, None)
        elif what == "pull" and cid in self.conversations:
            self.conversations[cid].pulling, self.conversations[cid].head = None, self.conversations[cid].here
        self.tell({"type": "refused", "cid": frame.get("cid"), "code": frame["code"]})

    def _on_send_refused(self, frame: Frame, now: float) -> None:
        lane = self.lanes.get(frame["cid"], Lane())
        known_trouble = lane.troubled
        send = self._landed(frame)
        if send is None:
            return
        if not frame["temporary"]:
            self._done(send, {"error": frame["code"]})
        elif not known_trouble:
            wait_s = max(backoff_s(lane.failures, self.chance(), longest_s=2.0), frame.get("retry_after_ms", 0) / 1000)
            lane.not_before, lane.failures = now + wait_s, lane.failures + 1
        lane.troubled = bool(lane.under_way)  # those behind it fail as well: wait for all of them

    def _landed(self, answer: Frame) -> Frame | None:
        """The send that this answers; it is under way no more."""
        lane = self.lanes.get(answer["cid"], Lane())
        if answer["cmid"] not in lane.under_way:
            return None
        lane.under_way.discard(answer["cmid"])
        lane.troubled = lane.troubled and bool(lane.under_way)
        return next(send for send in lane.sends if send["cmid"] == answer["cmid"])

    def _done(self, send: Frame, outcome: Frame) -> None:
        self.lanes[send["cid"]].sends.remove(send)
        self.tell({"type": "settled", "cid": send["cid"], "cmid": send["cmid"], **outcome})


def _told(reset: Frame) -> tuple[str, ...]:
    return reset["reason"], reset["pos"], reset["epoch"]


def backoff_s(failures: int, chance: float, *, longest_s: float = 10.0) -> float:
    """Full jitter: a random share of a ceiling that doubles with each failure."""
    return float(min(longest_s, 0.5 * 2.0 ** min(failures, 30)) * chance)


def after_close(code: int) -> str:
    """What a close code asks for: `reconnect`, `new token`, `stop`."""
    if code == 4401:
        return "new token"
    return "stop" if code in (1009, 4400, 4403, 4409, 4413) or 4500 <= code <= 4599 else "reconnect"


# ---------------------------------------------------------------------------------------------- the connection


class Line:
    """Keeps a device connected until the service ends it for good. `token` gives a fresh one each time; `keep` writes
    down what outlives a restart, and is called before anything is said: an ack says that it is stored."""

    def __init__(
        self, device: Device, url: str, token: Callable[[], str], keep: Callable[[], None], *, name: str
    ) -> None:
        self.device, self.name, self.token, self.keep = device, name, token, keep
        self.url = url.replace("http", "ws", 1) + "/v1/ws"
        self.wake = asyncio.Event()

    async def run(self) -> int:
        """Returns the close code that ended it."""
        failures = 0
        while True:
            began, code = time.monotonic(), 1006
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                code = await self._session()
            self.device.closed(time.monotonic())
            lived_s = time.monotonic() - began
            # A token that was refused at once is refused again; one that ended after a while is replaced.
            if after_close(code) == "stop" or (code == 4401 and lived_s < 5):
                return code
            failures = 0 if lived_s >= 5 else failures
            await asyncio.sleep(backoff_s(failures, random.random()))
            failures += 1

    async def _session(self) -> int:
        async with websockets.connect(self.url, subprotocols=[websockets.Subprotocol("pushpull.v1")]) as connection:
            hello = {"type": "hello", "token": self.token(), "device": self.name, "client": "minimal/1"}
            await connection.send(json.dumps({**hello, "positions": self.device.positions}))
            talking = asyncio.create_task(self._talk(connection))
            try:
                await self._listen(connection)
            except websockets.ConnectionClosed:
                pass
            finally:
                talking.cancel()
                await asyncio.gather(talking, return_exceptions=True)
        return connection.close_code or 1006

    async def _listen(self, connection: websockets.ClientConnection) -> None:
        silence_s, leave_at = 60.0, float("inf")
        while time.monotonic() < leave_at:
            wait_s = min(silence_s, leave_at - time.monotonic())
            try:
                frame = json.loads(await asyncio.wait_for(connection.recv(), wait_s))
            except TimeoutError:
                return  # nothing came for too long, or it is time to go
            if frame["type"] == "welcome":
                silence_s = 2.5 * frame["heartbeat_s"]
                self.device.opened(frame, time.monotonic())
            elif frame["type"] == "drain":
                leave_at = time.monotonic() + (frame["after_ms"] + random.random() * frame["jitter_ms"]) / 1000
            else:
                self.device.receive(frame, time.monotonic())
            self.wake.set()

    async def _talk(self, connection: websockets.ClientConnection) -> None:
        while True:
            self.wake.clear()
            if self.device.open and (frames := self.device.frames(time.monotonic())):
                self.keep()
                for frame in frames:
                    await connection.send(json.dumps(frame))
            wait_s = max(0.0, self.device.next_at() - time.monotonic()) if self.device.open else 1.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), min(wait_s, 60.0))


# ---------------------------------------------------------------------------------------------- for a terminal


def keep(file: Path, device: Device) -> None:
    """Write down where the device stands and what it has to send: whole, or not at all."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps({"positions": device.positions, "unsent": device.unsent}))
    draft.replace(file)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Chat on a terminal; the token is in TOKEN.")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--to", default="hello", help="the conversation that lines are sent to")
    parser.add_argument("--state", type=Path, default=Path("state.json"))
    given = parser.parse_args()
    kept = json.loads(given.state.read_text()) if given.state.exists() else {"positions": {}, "unsent": []}

    def show(event: Frame) -> None:
        if event["type"] == "message":
            print(f"{event['cid']} {event['seq']} {event['from']}: {json.dumps(event['body'])}", flush=True)
        elif event["type"] == "reset" or "error" in event:
            print(event, flush=True)

    device = Device(show, kept["positions"])
    for send in kept["unsent"]:
        device.lanes.setdefault(send["cid"], Lane()).sends.append(send)
    save = partial(keep, given.state, device)
    line = Line(device, given.url, lambda: os.environ["TOKEN"], save, name=given.state.stem)
    running = asyncio.create_task(line.run())
    reading = asyncio.create_task(read_lines(line, given.to))
    await asyncio.wait({running, reading}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        print(f"closed with {running.result()}", flush=True)
    keep(given.state, device)
    running.cancel()


async def read_lines(line: Line, cid: str) -> None:
    """Send each line that is typed, until the last one is confirmed and has come back."""
    loop, typed = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:  # a thread that nobody waits for: it may wait for somebody to type
        for text in chain(sys.stdin, [""]):
            loop.call_soon_threadsafe(typed.put_nowait, text)

    threading.Thread(target=read, daemon=True).start()
    while text := await typed.get():
        line.device.send(cid, {"text": text.rstrip("\n")})
        line.wake.set()
    while line.device.waits:  # noqa: ASYNC110 - nobody else waits for it
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
