"""All that the shop asks of pushpull. Each function may be called again: after an error, by a retry, by a command."""

from __future__ import annotations

import contextlib
from functools import cache

from django.conf import settings
from django.contrib.auth.models import User

from pushpull.client import Server
from pushpull.errors import NoSuchConversation
from shop.models import Order, uid_of

TOKEN_S = 600  # short: whoever is signed out gets no next one


@cache
def server() -> Server:
    """One for the process, shared by its threads; made at the first use, so after a web server has forked.

    A page does not wait for a service that is away for longer than `retry_s`: `manage.py sync_chat` makes up for it.
    """
    return Server(settings.PUSHPULL_URL, settings.PUSHPULL_API_KEY, jwt_secret=settings.PUSHPULL_JWT_SECRET, retry_s=5)


def token_for(user: User) -> str:
    return server().token(uid_of(user), ttl_s=TOKEN_S)


def bring_up_to_date(order: Order) -> None:
    """Make the order's conversation and its members what the order says, and say what was ordered."""
    stands = server().put_conversation(order.cid, settings={"data": {"title": f"Order {order.pk}: {order.dish}"}})
    members = {member["user"] for member in server().members(order.cid)}
    if gone := members - order.members:
        server().remove_members(order.cid, sorted(gone))  # they read nothing more from here on
    if new := order.members - members:
        server().add_members(order.cid, sorted(new))
    if stands["head"] == 0:  # nothing was said yet
        text = f"{order.dish} for {order.customer.username}"
        server().send(order.cid, {"text": text}, cmid=f"{order.cid}-placed")  # by two at once: stored once


def close(cid: str) -> None:
    with contextlib.suppress(NoSuchConversation):  # an earlier try got so far
        server().delete_conversation(cid)


def sign_out(user: User) -> None:
    """End the user's sessions in the chat."""
    server().kick(uid_of(user))


def forget(uid: str) -> None:
    """Ask for the user to be deleted, messages and all. It is a job that takes a while; ask `is_forgotten`."""
    server().delete_user(uid, messages="redact")


def is_forgotten(uid: str) -> bool:
    return bool(server().deletion(uid)["state"] == "done")
