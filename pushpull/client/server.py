"""The backend's client, blocking: conversations, members, messages, tokens. See `calls` for what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from tenacity import Retrying

from pushpull.client import calls, moving
from pushpull.client.addresses import Urls
from pushpull.client.backend import RETRY_S, Backend
from pushpull.client.calls import Call, Json, Member
from pushpull.client.events import HistoryPage, Message
from pushpull.client.moving import Source
from pushpull.errors import PushpullError
from pushpull.model import Sent

T = TypeVar("T")


class Server(Backend):
    """A service, for a backend that holds one of its API keys. Threads may share it.

    Each method raises what the service answers (see pushpull.errors); what is temporary is tried again for `retry_s`,
    at another node where several URLs were given.
    """

    def __init__(self, url: Urls, key: str, *, jwt_secret: str | None = None, retry_s: float = RETRY_S) -> None:
        super().__init__(url, key, jwt_secret=jwt_secret, retry_s=retry_s)
        self._client = httpx2.Client(**self._client_options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the service."""
        self._client.close()

    def put_conversation(
        self, cid: str, *, members: Iterable[Member] | None = None, settings: Mapping[str, Any] | None = None
    ) -> Json:
        """Make a conversation, or change the settings of one; `members` only for a new one. Returns it."""
        return self._run(calls.put_conversation(cid, members, settings))

    def get_conversation(self, cid: str) -> Json:
        """Head, floor, epoch, count, members, settings, and the mode in force. Raises NoSuchConversation."""
        return self._run(calls.get_conversation(cid))

    def delete_conversation(self, cid: str) -> None:
        """Delete it, its messages and everybody's cursors."""
        self._run(calls.delete_conversation(cid))

    def add_members(self, cid: str, members: Iterable[Member]) -> Json:
        """Add up to 10,000 members. Returns the counts {added, updated, removed, members}."""
        return self._run(calls.change_members(cid, add=members))

    def remove_members(self, cid: str, members: Iterable[str]) -> Json:
        """Remove up to 10,000 members. Returns the counts."""
        return self._run(calls.change_members(cid, remove=members))

    def members(self, cid: str) -> Iterator[Json]:
        """All members, {user, role, joined, delivered, read} each, a page of requests at a time."""
        after: str | None = None
        while True:
            page = self._run(calls.members_page(cid, after))
            yield from page["members"]
            after = page["next"]
            if after is None:
                return

    def send(
        self,
        cid: str,
        body: Any,
        *,
        sender: str | None = None,
        cmid: str | None = None,
        kind: str | None = None,
        quiet: bool = False,
        mentions: Iterable[str] = (),
        ref: int | None = None,
    ) -> Sent:
        """Send a message as `sender` (None: as the service itself). Retried under one cmid, stored once."""
        fields = calls.message_fields(
            body, cmid=cmid, sender=sender, kind=kind, quiet=quiet, mentions=mentions, ref=ref
        )
        return self._run(calls.send(cid, fields))

    def send_many(self, messages: Iterable[Mapping[str, Any]]) -> list[Sent | PushpullError]:
        """Send many, each {cid, body, …} as `send` takes them. One result each, in order; a bad one fails alone."""
        return self._run(calls.send_many(messages))

    def messages(self, cid: str, *, after: int = 0) -> Iterator[Message]:
        """The messages above seq `after`, ascending, up to the head, a page of requests at a time."""
        while True:
            page = self._run(calls.messages(cid, after))
            yield from calls.listed(page)
            if page.upto >= page.head or page.upto <= after:
                return
            after = page.upto

    def history(self, cid: str, *, before: int | None = None, limit: int = 100) -> HistoryPage:
        """Up to `limit` (1 to 500) messages older than seq `before` (None: the newest), ascending."""
        return self._run(calls.history(cid, before, limit))

    def export_conversation(self, cid: str) -> Iterator[bytes]:
        """All of it as lines of JSON, each with its end, as it stands now (docs/moving.md says what they hold).

        Ends only after the last line; StoreUnavailable where it was cut off before, and then what came is of no use.
        """
        lines = moving.Lines(cid)
        response = self._stream(moving.export(cid))
        try:
            for chunk in response.iter_bytes():
                yield from lines.take(chunk)
        except httpx2.TransportError as error:
            raise lines.cut_off() from error
        finally:
            response.close()
        lines.finish()

    def import_conversation(self, cid: str, source: Source) -> Json:
        """Make a conversation of the lines of an export, or of other lines of that kind: of a file, or their bytes.

        Returns {cid, made, head, floor, count, messages, redacted, members, added}. A path, bytes, or a function
        that opens the file are sent again where that may help; what is stored by then is not stored again. Raises
        Invalid naming the line, and where the conversation exists and was not made of this file.
        """
        call, rules = moving.bring_in(cid), moving.rules(source, self._retry)
        return self._run(call, lambda: moving.opened(source), rules)

    def give_up_import(self, cid: str) -> None:
        """Forget what was stored of an import that is not over. Raises NoSuchConversation where there is none."""
        self._run(moving.give_up(cid))

    def redact(self, cid: str, seq: int) -> Json:
        """Take a message out for good. Returns the `redact` that stands in the log for it."""
        return self._run(calls.redact(cid, seq))

    def cursors(self, cid: str, uid: str, *, delivered: int | None = None, read: int | None = None) -> Json:
        """Move a member's cursors forward. Returns them with unread and count."""
        return self._run(calls.put_cursors(cid, uid, delivered, read))

    def pending(
        self, cid: str, *, user: str | None = None, min_idle_ms: int | None = None, limit: int | None = None
    ) -> Json:
        """Who lacks how much: {count, min, max, consumers}; with `limit` instead {rows}, device by device."""
        return self._run(calls.pending(cid, user, min_idle_ms, limit))

    def receipts(self, cid: str, seq: int) -> Json:
        """How many have the message delivered and read; who, while the conversation is small."""
        return self._run(calls.receipts(cid, seq))

    def trace(
        self, cid: str, user: str, *, seq: int | None = None, cmid: str | None = None, sender: str | None = None
    ) -> Json:
        """Why the message at `seq`, or sent under `cmid` (by `sender`), did not arrive at `user`, or that it did: the
        `verdict`, and the facts it rests on."""
        return self._run(calls.trace(cid, user, seq, cmid, sender))

    def presence(self, cid: str) -> Json:
        """Who of a small conversation's members is connected: {cid, members, connected}."""
        return self._run(calls.presence(cid))

    def user_conversations(self, uid: str, *, after: str | None = None, limit: int = 100) -> Json:
        """A page of a user's conversations: {conversations: [row], next}."""
        return self._run(calls.user_conversations(uid, after, limit))

    def unread(self, uid: str) -> Json:
        """A user's badge: {total, conversations, mentions}."""
        return self._run(calls.unread(uid))

    def sessions(self, uid: str) -> list[Json]:
        """Where the user is connected: {id, user, device, node, client, connected_at} each."""
        return self._run(calls.sessions(uid))

    def kick(self, uid: str, session: str | None = None) -> None:
        """Close one session of the user, or all."""
        self._run(calls.kick(uid, session))

    def revoke_before(self, uid: str, ts: int) -> Json:
        """Refuse the user's tokens issued before `ts` (seconds since 1970), and close their sessions."""
        return self._run(calls.revoke_before(uid, ts))

    def delete_user(self, uid: str, *, messages: str) -> Json:
        """Delete the user; its messages: "keep" or "redact". Returns at once how that stands, as `deletion` does."""
        return self._run(calls.delete_user(uid, messages))

    def deletion(self, uid: str) -> Json:
        """How the user's deletion stands: {state, messages, conversations: {done, total}, redacted, …, error}."""
        return self._run(calls.deletion(uid))

    def policy(self) -> Json:
        """The delivery settings in force, {key: {value, origin}}."""
        return self._run(calls.policy())

    def put_policy(self, changes: Mapping[str, Any]) -> Json:
        """Change delivery settings on every node, all or none; None takes one back. Returns them as `policy` does."""
        return self._run(calls.put_policy(changes))

    def nodes(self) -> list[Json]:
        """The nodes that live, with their sessions, feeds and lag."""
        return self._run(calls.nodes())

    def stats(self) -> Json:
        """How the nodes do over the last seconds: {at, total, nodes: [{node, age_ms, figures}]}."""
        return self._run(calls.stats())

    def busiest(self, *, limit: int | None = None) -> list[Json]:
        """The conversations with most messages a second that somebody is connected to, with their modes and why."""
        return self._run(calls.busiest(limit))

    def offline(self, *, limit: int | None = None) -> Json:
        """The offline notifications: {enabled, due, waiting, pending, dead, letters}, the newest `limit` letters."""
        return self._run(calls.offline(limit))

    def requeue_offline(self, ids: Iterable[str] | None = None) -> int:
        """Give dead letters another chance, those with these ids or all; how many there were."""
        return self._run(calls.requeue_offline(ids))

    def ready(self) -> Json:
        """{ready, checks}: whether the service can do its work now, and what stands in the way."""
        return self._run(calls.ready())

    def _run(
        self, call: Call[T], content: Callable[[], Any] | None = None, rules: Mapping[str, Any] | None = None
    ) -> T:
        """`content` makes the body anew for each try, where it is not the call's own; `rules` instead of the usual."""
        for attempt in Retrying(**(rules or self._retry)):
            with attempt:
                url = self._nodes.current
                response = self._ask(call, url, call.body if content is None else content())
                return self._outcome(call, url, response)
        raise AssertionError("tenacity either returns or raises")

    def _stream(self, call: Call[Any]) -> httpx2.Response:
        """The answer, whose body the caller reads as it comes, and closes."""
        for attempt in Retrying(**self._retry):
            with attempt:
                url = self._nodes.current
                response = self._ask(call, url, call.body, stream=True)
                if not response.is_success:
                    response.read()
                    self._outcome(call, url, response)
                return response
        raise AssertionError("tenacity either returns or raises")

    def _ask(self, call: Call[Any], url: str, content: Any, *, stream: bool = False) -> httpx2.Response:
        request = self._client.build_request(call.method, url + call.path, params=dict(call.query), content=content)
        try:
            return self._client.send(request, stream=stream)
        except httpx2.TransportError as error:
            raise self._unreachable(url, error) from error
