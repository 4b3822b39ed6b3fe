"""Who plays in the demo chat, and the conversations they are in.

Everything of the demo has names that begin with `demo:`, so that whoever lets it run beside a real chat finds neither
users nor conversations of that chat in it, and can tell them apart.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import msgspec

from pushpull.errors import NoSuchConversation
from pushpull.model import Cid, Draft, Role, Uid
from pushpull.node.node import Node

PREFIX: Final = "demo:"
MEMBERS: Final = 10_000
"""Of the hot group, where `limits.members` allows so many: enough that no one would push each message to each."""
KEPT: Final = 20_000
"""Messages of a demo conversation that are kept: at 100 a second, over three minutes to scroll back through."""

HOT: Final = Cid(f"{PREFIX}arena")
SMALL: Final = Cid(f"{PREFIX}kitchen")


class Person(msgspec.Struct, frozen=True):
    """Somebody a visitor may be."""

    user: str
    name: str
    about: str


PEOPLE: Final = tuple(
    Person(f"{PREFIX}{name.lower()}", name, about)
    for name, about in (
        ("Ada", "Always the first to write"),
        ("Grace", "Found the bug, kept it"),
        ("Alan", "Asks whether you are human"),
        ("Barbara", "Knows where everything is"),
        ("Edsger", "Counts from zero"),
    )
)

WELCOME: Final = "The kettle is on. Open a second window as somebody else, and say hello."


def in_the_crowd(number: int) -> Uid:
    """The uid of one of the hot group's members whom nobody plays."""
    return Uid(f"{PREFIX}fan-{number:04}")


def hot_size(node: Node) -> int:
    """How many members the hot group has, as far as the service takes members."""
    return max(len(PEOPLE), min(MEMBERS, node.settings.limits.members))


def crowd_size(node: Node) -> int:
    """How many of them nobody plays."""
    return hot_size(node) - len(PEOPLE)


async def put_up(node: Node) -> None:
    """Make what is missing of the demo's conversations and members. Safe to do again. Raises PushpullError."""
    players = [Uid(person.user) for person in PEOPLE]
    if await _made(node, SMALL, players, title="Tea kitchen", kind="group"):
        await node.send(_line(SMALL, players[3], "welcome", WELCOME))
    fans = [in_the_crowd(number) for number in range(crowd_size(node))]
    await _made(node, HOT, [*players, *fans], title="The arena", kind="crowd")
    for one, other in combinations(players, 2):
        cid = Cid(f"{one}-{other.removeprefix(PREFIX)}")
        await _made(node, cid, [one, other], kind="pair", people=[one, other])


def line_of_the_crowd(number: int, cmid: str, text: str) -> Draft:
    """A message of one of the crowd."""
    return _line(HOT, in_the_crowd(number), cmid, text)


async def _made(node: Node, cid: Cid, members: list[Uid], **data: Any) -> bool:
    """See to it that `cid` is there with all these members; True where some of it was not."""
    store = node.store
    try:
        if (await store.conversations.head(cid)).members >= len(members):
            return False
    except NoSuchConversation:
        # Nobody is to be rung at home because of a demo.
        settings = {"offline": "none", "retain_messages": KEPT, "data": data}
        await store.conversations.put(cid, settings)
    await store.members.add(cid, [(uid, Role.MEMBER) for uid in members])
    return True


def _line(cid: Cid, sender: Uid, cmid: str, text: str) -> Draft:
    return Draft(cid=cid, sender=sender, cmid=cmid, body=msgspec.json.encode({"text": text}), own=False)
