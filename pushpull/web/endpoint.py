"""One HTTP call of the contract as a value: how it is routed, guarded, run and described.

The table of these (`pushpull.web.routes.ENDPOINTS`) is the only place that knows the calls: the routes and the
OpenAPI document are both made from it, so they cannot differ.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from pushpull.errors import BadRequest, NotAllowed, PushpullError, StoreUnavailable
from pushpull.model import EXACT_MAX, Cid, Role, Uid, check_cid
from pushpull.node.node import Node
from pushpull.web.auth import Authenticator
from pushpull.web.callers import ANYBODY, Caller, identify
from pushpull.web.parameters import Parameter, whole
from pushpull.web.problems import internal_problem, problem_response

logger = logging.getLogger(__name__)

TURNS: Final = 4
"""One in which the end of a connection is read, one in which the server is told, and as many again."""


class Who(Enum):
    """Who may make a call at all; what a user may touch is checked by the call."""

    SERVER = "server"
    USER = "user or server"
    ANYBODY = "anybody"


@dataclass(frozen=True, slots=True)
class Service:
    """What the calls work on, held in the app's state."""

    node: Node
    authenticator: Authenticator
    openapi: bytes  # the documents, encoded once
    asyncapi: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose caller is known."""

    request: Request
    service: Service
    caller: Caller

    @property
    def node(self) -> Node:
        return self.service.node

    @property
    def cid(self) -> Cid:
        """The conversation of the path. Raises Invalid."""
        return check_cid(self.request.path_params["cid"])

    @property
    def seq(self) -> int:
        """The seq of the path. Raises Invalid."""
        return whole("seq", self.request.path_params["seq"], 1, EXACT_MAX)

    @property
    def user(self) -> Uid:
        """The user of the path, `me` being the caller. Raises Invalid, or NotAllowed where it is not the caller's."""
        return self.caller.user_named(self.request.path_params["uid"])

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    async def check_wanted(self) -> None:
        """Raise ClientDisconnect where the caller has gone: it may have asked another node since, for something else.

        A node that hung reads what was asked of it meanwhile, and a few turns of the loop later that nobody waits for
        the answer. For what sets a state, so that what was asked last holds; to be called when the body was read.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if await self.request.is_disconnected():
            raise ClientDisconnect

    def check_send(self) -> None:
        """Count a send of this user. Raises RateLimited; servers are not bound."""
        if self.caller.uid is not None:
            self.node.parts.allowances.of(self.caller.uid).check_send(time.monotonic())

    async def require_member(self, cid: Cid) -> Role | None:
        """The caller's role in `cid`; None for a server, which may read all. Raises NoSuchConversation, NotAMember."""
        if self.caller.uid is None:
            return None
        return await self.node.store.members.require(cid, self.caller.uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    method: str
    path: str
    who: Who
    about: str
    run: Callable[[Call], Awaitable[Response]]
    query: tuple[Parameter, ...] = ()
    body: Any = None  # the type of the request body
    answers: Mapping[int, Any]  # status -> the type of the answer's body, None for an empty one


def reply(answer: object, status: int = 200) -> Response:
    """`answer`, a struct or plain values, as JSON."""
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def routes_of(endpoints: Sequence[Endpoint]) -> list[Route]:
    """One route for each path, so that a 405 names all the methods that the path has."""
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    return [_route(path, {endpoint.method: endpoint for endpoint in group}) for path, group in by_path.items()]


def _route(path: str, by_method: Mapping[str, Endpoint]) -> Route:
    async def dispatch(request: Request) -> Response:
        answer = await _answer(by_method["GET" if request.method == "HEAD" else request.method], request)
        service: Service = request.app.state.service
        service.node.metrics.http_answers.labels(str(answer.status_code)).inc()
        return answer

    return Route(path, dispatch, methods=list(by_method))


async def _answer(endpoint: Endpoint, request: Request) -> Response:
    """Run the call. Every error is answered here and not in the outermost middleware, which knows no CORS headers."""
    try:
        service: Service = request.app.state.service
        caller = await _admitted(endpoint.who, request, service)
        return await endpoint.run(Call(request, service, caller))
    except PushpullError as error:
        logger.debug("%s %s: %s: %s", endpoint.method, endpoint.path, error.code, error)
        return problem_response(error)
    except ClientDisconnect:
        return problem_response(BadRequest("the request ended before it was carried out"))
    except asyncio.CancelledError:
        if not request.app.state.service.node.parts.draining:
            raise
        # The server ends and has waited long enough for this call.
        return problem_response(StoreUnavailable("the node is going away: it is not known what became of the call"))
    except Exception:
        logger.exception("%s %s failed", endpoint.method, endpoint.path)
        return internal_problem()


async def _admitted(who: Who, request: Request, service: Service) -> Caller:
    if who is Who.ANYBODY:
        return ANYBODY
    caller = await identify(request.headers, authenticator=service.authenticator, node=service.node)
    if who is Who.SERVER and not caller.is_server:
        raise NotAllowed("this call is for servers: expected an x-api-key, not a user's token")
    if caller.uid is not None:
        service.node.parts.allowances.of(caller.uid).check_call(time.monotonic())
    return caller
