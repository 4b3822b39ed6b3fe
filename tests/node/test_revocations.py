"""Before when a user's tokens are refused, remembered for a few seconds."""

from __future__ import annotations

import asyncio

from pushpull.model import Uid
from pushpull.node.revocations import Revocations
from tests.delivery.words import ALICE
from tests.node.fakes import turns


class Asked:
    """What Redis answers, each answer when a test says so."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[int | None]] = []

    async def revoked_before(self, uid: Uid) -> int | None:
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


async def test_an_answer_is_remembered_until_something_is_said_about_the_user() -> None:
    asked = Asked()
    revocations = Revocations(asked)
    asking = asyncio.create_task(revocations.before(ALICE))
    await turns()
    asked.answers[0].set_result(None)
    assert (await asking, await revocations.before(ALICE), len(asked.answers)) == (None, None, 1)

    revocations.forget(ALICE)
    asking = asyncio.create_task(revocations.before(ALICE))
    await turns()
    asked.answers[1].set_result(500)

    assert await asking == 500


async def test_an_answer_that_a_revocation_has_overtaken_is_asked_for_again() -> None:
    asked = Asked()
    revocations = Revocations(asked)
    asking = asyncio.create_task(revocations.before(ALICE))
    await turns()
    revocations.forget(ALICE)
    asked.answers[0].set_result(None)
    await turns()

    asked.answers[1].set_result(500)

    assert await asking == 500
