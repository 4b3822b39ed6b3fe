"""Who makes an HTTP call, and what of it they may do."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from pushpull.errors import NotAllowed, Unauthenticated
from pushpull.model import Uid, check_uid
from pushpull.node.node import Node
from pushpull.web.auth import Authenticator


@dataclass(frozen=True, slots=True)
class Caller:
    """A user by token (`uid`), the app's server by key (`is_server`), or anybody (neither)."""

    uid: Uid | None = None
    is_server: bool = False

    def sender(self, claimed: str | None) -> Uid | None:
        """Whose message a send is: the user's own, or anyone's (None: the service's own) for a server.

        `claimed` is the send's `from`. Raises NotAllowed where a user claims to be another, Invalid for no uid.
        """
        if self.is_server:
            return None if claimed is None else check_uid(claimed)
        if claimed is not None and claimed != self.uid:
            raise NotAllowed(f"from {claimed!a:.140} is not the user of the token, {self.uid!a}")
        return self.uid

    def user_named(self, name: str) -> Uid:
        """The user that a path names, `me` being the caller. A user may name only itself (else NotAllowed)."""
        uid = self.uid if name == "me" and self.uid is not None else check_uid(name)
        if not self.is_server and uid != self.uid:
            raise NotAllowed(f"user {uid!a} is not the user of the token, {self.uid!a}")
        return uid


ANYBODY = Caller()


async def identify(headers: Headers, *, authenticator: Authenticator, node: Node) -> Caller:
    """The caller that the headers prove. An API key is looked at before a token.

    Raises Unauthenticated for none, a wrong or a revoked one; StoreUnavailable where that cannot be known.
    """
    key = headers.get("x-api-key")
    if key is not None:
        if not authenticator.server(key):
            raise Unauthenticated("x-api-key is not one of the keys of this service")
        return Caller(is_server=True)
    claims = await authenticator.user(_bearer_token(headers))
    await node.check_revoked(claims.uid, claims.issued_at)
    return Caller(uid=claims.uid)


def _bearer_token(headers: Headers) -> str:
    authorization = headers.get("authorization")
    if authorization is None:
        raise Unauthenticated("no credentials: expected 'authorization: bearer <token>' or 'x-api-key'")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("authorization is not 'bearer <token>'")
    return token.strip()
