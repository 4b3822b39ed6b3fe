"""A backend tells many users something each: a conversation for each user, and one call for a thousand messages.

    API_KEY=$(cat data/api_key) python examples/notifications.py orders.csv

reads lines of `user,order,text` and puts each into the user's own conversation, `notifications-<user>`, which is made
when it is not there yet. Running it again over the same file sends nothing twice: a message's cmid is made from the
order and the text, and the service stores one cmid once (for an hour, by `idempotency.window_s`).
"""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

from pushpull.client import Server
from pushpull.errors import NoSuchConversation, PushpullError
from pushpull.model import Sent

BATCH = 1000  # as many as one call takes


def cid_of(user: str) -> str:
    return f"notifications-{user}"


def message_to(user: str, order: str, text: str) -> dict[str, object]:
    digest = hashlib.sha256(f"{order}\n{text}".encode()).hexdigest()[:32]
    return {"cid": cid_of(user), "cmid": digest, "kind": "sys.order", "body": {"order": order, "text": text}}


def notify(server: Server, rows: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Send them all; yields (user, what became of it): `sent`, `sent before`, or why not. Raises Invalid for a user
    that is no uid."""
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        outcomes = server.send_many(message_to(*row) for row in batch)
        first = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, NoSuchConversation)]
        for user in sorted({batch[at][0] for at in first}):
            server.put_conversation(cid_of(user), members=[user], settings={"data": {"title": "Your orders"}})
        if first:
            made = server.send_many(message_to(*batch[at]) for at in first)
            for at, outcome in zip(first, made, strict=True):
                outcomes[at] = outcome
        for (user, *_), outcome in zip(batch, outcomes, strict=True):
            yield user, said_of(outcome)


def said_of(outcome: Sent | PushpullError) -> str:
    if isinstance(outcome, PushpullError):
        return str(outcome)  # a bad message fails alone
    return "sent before" if outcome.dup else "sent"


def main() -> None:
    with (
        open(sys.argv[1], newline="") as file,
        Server(os.environ.get("PUSHPULL_URL", "http://127.0.0.1:8080"), os.environ["API_KEY"]) as server,
    ):
        for user, outcome in notify(server, ((row[0], row[1], row[2]) for row in csv.reader(file))):
            print(f"{user}: {outcome}")


if __name__ == "__main__":
    main()
