"""The calls of the demo chat: who one may be, a token to be it with, how loud the crowd is.

They exist only where the demo is shown, are no part of the contract, and hand out tokens to whoever asks: of the demo's
own people, and of nobody else. They never answer to another site's page, and with `server.demo = "auto"` to nobody but
this machine.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

import jwt
import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pushpull.errors import Invalid, NotAllowed, Unsupported
from pushpull.node.node import Node
from pushpull.settings import Auth, Settings, demo_is_on
from pushpull.web.bodies import decode, read_body
from pushpull.web.demo_cast import HOT, PEOPLE, hot_size, put_up
from pushpull.web.demo_crowd import RATE_MAX, Crowd
from pushpull.web.endpoint import Call, Endpoint, Who, reply, routes_of
from pushpull.web.pages import from_this_machine

BODY_BYTES: Final = 1024
TOKEN_S: Final = 3600
"""Seconds a token lives. A page that stays open longer asks for the next one."""

USERS: Final = frozenset(person.user for person in PEOPLE)


class SessionBody(msgspec.Struct):
    """Who the visitor is to be."""

    user: str


class CrowdBody(msgspec.Struct):
    """How many messages a second; left out: as many as now."""

    rate: Annotated[float, Meta(ge=0, le=RATE_MAX)] | None = None


def demo_routes(settings: Settings) -> list[Route]:
    """The demo's calls, where the settings show it."""
    return routes_of(Demo(settings).endpoints()) if demo_is_on(settings) else []


class Demo:
    """What the calls of one process share."""

    def __init__(self, settings: Settings) -> None:
        self._local_only = settings.server.demo == "auto"
        self._auth = settings.auth
        self._crowd = Crowd()
        self._is_up = False
        self._putting_up = asyncio.Lock()

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            _endpoint("GET", "/demo/cast", Who.ANYBODY, self.cast),
            _endpoint("POST", "/demo/session", Who.ANYBODY, self.session),
            _endpoint("POST", "/demo/crowd", Who.USER, self.crowd),
        )

    async def cast(self, call: Call) -> Response:
        """Whom a visitor may be, which conversation is the hot one, and how many members it gets."""
        self._check_from_here(call.request)
        members = hot_size(call.node)
        return reply({"people": PEOPLE, "hot": HOT, "hot_members": members, "rate_max": RATE_MAX})

    async def session(self, call: Call) -> Response:
        """A token for one of the demo's people; makes the conversations, where they are not there yet."""
        self._check_from_here(call.request)
        user = decode(await read_body(call.request, BODY_BYTES), SessionBody).user
        if user not in USERS:
            raise Invalid(f"user {user!a:.140} is nobody of the demo, expected one of {', '.join(sorted(USERS))}")
        token = token_for(user, self._auth, now=time.time())
        await self._put_up(call.node)
        return reply({"user": user, "token": token})

    async def crowd(self, call: Call) -> Response:
        """Say that somebody watches, and how loud the crowd is to be."""
        self._check_from_here(call.request)
        if call.caller.uid not in USERS:
            raise NotAllowed(f"user {call.caller.uid!a:.140} is nobody of the demo")
        wanted = decode(await read_body(call.request, BODY_BYTES), CrowdBody)
        return reply({"rate": self._crowd.watch(call.node, time.monotonic(), rate=wanted.rate)})

    def _check_from_here(self, request: Request) -> None:
        """Raise NotAllowed for the page of another site, and for another machine where only this one may come."""
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise NotAllowed(f"origin {origin!a:.140} is not this service's own: the demo answers to its own page")
        if self._local_only and not from_this_machine(request):
            raise NotAllowed('the demo answers to this machine alone unless server.demo is "on"')

    async def _put_up(self, node: Node) -> None:
        async with self._putting_up:
            if not self._is_up:
                await put_up(node)
                self._is_up = True


def token_for(user: str, auth: Auth, *, now: float) -> str:
    """A token that this service takes for `user`. Raises Unsupported where it holds no secret to sign with."""
    algorithm = next((name for name in auth.jwt_algorithms if name.startswith("HS")), None)
    if algorithm is None or not auth.jwt_secret:
        raise Unsupported("the demo makes its own tokens: it needs auth.jwt_secret and an HS algorithm")
    claims: dict[str, Any] = {"sub": user, "iat": int(now), "exp": int(now) + TOKEN_S}
    claims |= {name: value for name, value in (("aud", auth.audience), ("iss", auth.issuer)) if value}
    return jwt.encode(claims, auth.jwt_secret[0], algorithm)


def _endpoint(method: str, path: str, who: Who, run: Any) -> Endpoint:
    return Endpoint(method=method, path=path, who=who, about=run.__doc__ or "", run=run, answers={200: dict[str, Any]})
