"""Every HTTP call of the contract as a value: what to ask, and how to read the answer. Nothing is sent here.

`server.Server` and `async_server.AsyncServer` send them; that is all they differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from uuid import uuid4

import httpx2
import msgspec

from pushpull.client import events, frames
from pushpull.client.events import HistoryPage, Message
from pushpull.errors import Invalid, PushpullError, StoreUnavailable, error_of
from pushpull.model import Cid, LogId, Role, Sent, check_cid, check_uid

T = TypeVar("T")

Json = dict[str, Any]
Member = str | tuple[str, Role | str]
"""A uid, or a uid with a role; a bare uid joins as `member`."""

MEMBERS_PAGE: Final = 1000
MESSAGES_PAGE: Final = 500
"""As many on a page as the service gives."""

_NOT_TEMPORARY_PROXY: Final = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `read` turns the answer's JSON (None: no body) into what the caller gets."""

    method: str
    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = None
    accepted: frozenset[int] = frozenset()  # statuses that are an answer although they look like a failure

    def answer(self, response: httpx2.Response) -> T:
        """What the caller gets, or the error that the service states."""
        if response.is_success or response.status_code in self.accepted:
            try:
                return self.read(msgspec.json.decode(response.content) if response.content else None)
            except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError) as problem:
                raise PushpullError(
                    f"{self.method} {self.path} was answered with what the contract does not say"
                ) from problem
        raise problem_of(response)


def problem_of(response: httpx2.Response) -> PushpullError:
    """The exception for a failure: problem+json from the service, anything at all from what stands before it."""
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    status = response.status_code
    if not isinstance(problem.get("code"), str):
        if status >= 500 and status not in _NOT_TEMPORARY_PROXY:
            return StoreUnavailable(f"http status {status} without a reason")
        return PushpullError(f"http status {status} without a reason, is this the address of a pushpull service?")
    return error_in(problem)


def error_in(problem: Mapping[str, Any]) -> PushpullError:
    """The exception for problem+json."""
    text = problem.get("detail") or problem.get("title") or ""
    wait_ms = problem.get("retry_after_ms")
    return error_of(problem["code"], str(text), retry_after_ms=wait_ms if isinstance(wait_ms, int | float) else None)


def _same(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise TypeError("not an object")
    return answer


def _nothing(answer: Any) -> None:
    return None


def _sent(answer: Json) -> Sent:
    return Sent(Cid(answer["cid"]), answer["cmid"], LogId(answer["id"]), answer["dup"])


def _encoded(body: Json | Sequence[Json]) -> bytes:
    return msgspec.json.encode(body)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _conversation(cid: str, rest: str = "") -> str:
    return f"/v1/conversations/{check_cid(cid)}{rest}"


def _user(uid: str, rest: str) -> str:
    return f"/v1/users/{check_uid(uid)}{rest}"


def _members(listed: Iterable[Member]) -> list[str | Json]:
    return [
        check_uid(member) if isinstance(member, str) else {"user": check_uid(member[0]), "role": Role(member[1])}
        for member in listed
    ]


def put_conversation(cid: str, members: Iterable[Member] | None, settings: Mapping[str, Any] | None) -> Call[Json]:
    body = _given(
        members=_members(members) if members is not None else None,
        settings=dict(settings) if settings is not None else None,
    )
    return Call("PUT", _conversation(cid), _same, body=_encoded(body))


def get_conversation(cid: str) -> Call[Json]:
    return Call("GET", _conversation(cid), _same)


def delete_conversation(cid: str) -> Call[None]:
    return Call("DELETE", _conversation(cid), _nothing)


def change_members(cid: str, *, add: Iterable[Member] = (), remove: Iterable[str] = ()) -> Call[Json]:
    body = {"add": _members(add), "remove": [check_uid(uid) for uid in remove]}
    return Call("POST", _conversation(cid, "/members"), _same, body=_encoded(body))


def members_page(cid: str, after: str | None) -> Call[Json]:
    return Call("GET", _conversation(cid, "/members"), _same, query=_given(after=after, limit=MEMBERS_PAGE))


def message_fields(
    body: Any,
    *,
    cmid: str | None = None,
    sender: str | None = None,
    kind: str | None = None,
    quiet: bool = False,
    mentions: Iterable[str] = (),
    ref: int | None = None,
) -> Json:
    """The fields of one message; the cmid is made here, once, so that each retry carries the same."""
    return {
        "cmid": cmid if cmid is not None else uuid4().hex,
        "body": frames.encode_body(body),
        **_given(**{"from": sender}, kind=kind, ref=ref, quiet=quiet or None, mentions=list(mentions) or None),
    }


def send(cid: str, fields: Json) -> Call[Sent]:
    return Call("POST", _conversation(cid, "/messages"), _sent, body=_encoded(fields))


def send_many(messages: Iterable[Mapping[str, Any]]) -> Call[list[Sent | PushpullError]]:
    """`messages`: mappings with `cid`, `body` and what `send` takes (`sender` or `from`, `cmid`, `kind` …)."""

    def outcomes(answer: Any) -> list[Sent | PushpullError]:
        return [error_in(item["error"]) if "error" in item else _sent(item) for item in answer]

    return Call("POST", "/v1/messages", outcomes, body=_encoded([_batch_item(message) for message in messages]))


def _batch_item(message: Mapping[str, Any]) -> Json:
    fields = dict(message)
    if "from" in fields:
        fields["sender"] = fields.pop("from")
    try:
        cid, body = fields.pop("cid"), fields.pop("body")
        return {"cid": check_cid(cid), **message_fields(body, **fields)}
    except KeyError as missing:
        raise Invalid(f"a message of a batch has no {missing}, expected cid and body") from None
    except TypeError:
        raise Invalid(f"a message of a batch has fields {sorted(fields)}, expected those of send") from None


def messages(cid: str, after: int) -> Call[frames.Messages]:
    def page(answer: Any) -> frames.Messages:
        return msgspec.convert(answer, frames.Messages)

    return Call("GET", _conversation(cid, "/messages"), page, query={"after": after, "limit": MESSAGES_PAGE})


def listed(page: frames.Messages) -> list[Message]:
    """The messages on a forward page."""
    return [events.message_of(page.cid, item) for item in page.items]


def history(cid: str, before: int | None, limit: int) -> Call[HistoryPage]:
    def page(answer: Any) -> HistoryPage:
        found = msgspec.convert(answer, frames.History)
        return HistoryPage(tuple(events.message_of(cid, item) for item in found.items), found.floor, found.more)

    return Call("GET", _conversation(cid, "/messages"), page, query=_given(before=before, limit=limit))


def redact(cid: str, seq: int) -> Call[Json]:
    return Call("DELETE", _conversation(cid, f"/messages/{seq}"), _same)


def put_cursors(cid: str, uid: str, delivered: int | None, read: int | None) -> Call[Json]:
    body = _given(delivered=delivered, read=read)
    return Call("PUT", _conversation(cid, f"/cursors/{check_uid(uid)}"), _same, body=_encoded(body))


def pending(cid: str, user: str | None, min_idle_ms: int | None, limit: int | None) -> Call[Json]:
    return Call(
        "GET",
        _conversation(cid, "/pending"),
        _same,
        query=_given(user=user, min_idle_ms=min_idle_ms, limit=limit),
    )


def receipts(cid: str, seq: int) -> Call[Json]:
    return Call("GET", _conversation(cid, f"/receipts/{seq}"), _same)


def trace(cid: str, user: str, seq: int | None, cmid: str | None, sender: str | None) -> Call[Json]:
    query = _given(user=check_uid(user), seq=seq, cmid=cmid, **{"from": sender})
    return Call("GET", _conversation(cid, "/trace"), _same, query=query)


def presence(cid: str) -> Call[Json]:
    return Call("GET", _conversation(cid, "/presence"), _same)


def user_conversations(uid: str, after: str | None, limit: int) -> Call[Json]:
    return Call("GET", _user(uid, "/conversations"), _same, query=_given(after=after, limit=limit))


def unread(uid: str) -> Call[Json]:
    return Call("GET", _user(uid, "/unread"), _same)


def sessions(uid: str) -> Call[list[Json]]:
    return Call("GET", _user(uid, "/sessions"), lambda answer: list(answer["sessions"]))


def kick(uid: str, session: str | None) -> Call[None]:
    return Call("DELETE", _user(uid, "/sessions" if session is None else f"/sessions/{session}"), _nothing)


def revoke_before(uid: str, ts: int) -> Call[Json]:
    return Call("PUT", _user(uid, "/revoked_before"), _same, body=_encoded({"ts": ts}))


def delete_user(uid: str, messages: str) -> Call[Json]:
    return Call("DELETE", _user(uid, ""), _same, query={"messages": messages})


def deletion(uid: str) -> Call[Json]:
    return Call("GET", _user(uid, "/deletion"), _same)


def policy() -> Call[Json]:
    return Call("GET", "/v1/policy", _same)


def put_policy(changes: Mapping[str, Any]) -> Call[Json]:
    return Call("PUT", "/v1/policy", _same, body=_encoded(dict(changes)))


def nodes() -> Call[list[Json]]:
    return Call("GET", "/v1/nodes", lambda answer: list(answer["nodes"]))


def stats() -> Call[Json]:
    return Call("GET", "/v1/stats", _same)


def busiest(limit: int | None) -> Call[list[Json]]:
    return Call("GET", "/v1/conversations", lambda answer: list(answer["conversations"]), query=_given(limit=limit))


def offline(limit: int | None) -> Call[Json]:
    return Call("GET", "/v1/offline", _same, query=_given(limit=limit))


def requeue_offline(ids: Iterable[str] | None) -> Call[int]:
    body = _given(ids=list(ids) if ids is not None else None)
    return Call("POST", "/v1/offline/requeue", lambda answer: int(answer["requeued"]), body=_encoded(body))


def ready() -> Call[Json]:
    return Call("GET", "/readyz", _same, accepted=frozenset({503}))
