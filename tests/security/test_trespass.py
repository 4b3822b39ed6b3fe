"""What somebody with a good token tries on others: their cursors, their names, their rooms, their past."""

from __future__ import annotations

import pytest

from tests.e2e.service import LocalService
from tests.security.conftest import ROOM, TITLE, WORDS, Digest

PATH = f"/v1/conversations/{ROOM}"


async def test_a_position_in_a_foreign_conversation_opens_none_of_it(furnished: LocalService) -> None:
    stranger = await furnished.device("stranger", positions={ROOM: "0-0", "nowhere": "0-0"})

    assert stranger.rows == {}
    for cid in (ROOM, "nowhere"):  # one that exists and one that does not look alike
        assert (await stranger.hear("conversation", cid=cid)) == {"type": "conversation", "cid": cid, "change": "left"}
    await furnished.post(ROOM, "third", WORDS)
    assert not [frame for frame in await stranger.heard(within=0.2) if ROOM in str(frame)]


async def test_an_open_session_hears_nothing_more_once_its_user_was_removed(furnished: LocalService) -> None:
    member, other = await furnished.device("member"), await furnished.device("bob")
    await furnished.remove(ROOM, "member")
    await member.hear("conversation", cid=ROOM, change="left")

    await furnished.post(ROOM, "third", "said-without-them", mentions=["member", "*"])

    await other.hear("messages", upto=3)
    for kind, fields in (("pull", {"after": 0}), ("pull", {}), ("read", {"seq": 1})):
        await member.say(kind, cid=ROOM, **fields, rid=kind)
        await member.error("not_a_member", rid=kind)
    await member.say("ack", acks={ROOM: 3})
    await member.error("not_a_member")
    assert "said-without-them" not in str(await member.heard(within=0.2))


async def test_whoever_was_removed_reads_neither_what_was_nor_what_comes(over_http: LocalService) -> None:
    former = over_http.user("former")

    for path in ("", "/messages", "/messages?after=0", "/messages?before=3", "/members", "/receipts/1"):
        answer = await former.get(PATH + path)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_a_member"), path
        assert WORDS not in answer.text
    assert (await former.get("/v1/users/me/conversations")).json()["conversations"] == []


async def test_a_page_that_was_cached_for_a_member_is_not_confirmed_to_a_stranger(over_http: LocalService) -> None:
    tag = (await over_http.user("member").get(f"{PATH}/messages?after=0")).headers["etag"]

    for known in (tag, "*"):
        answer = await over_http.user("stranger").get(f"{PATH}/messages?after=0", headers={"If-None-Match": known})
        assert answer.status_code == 403


@pytest.mark.parametrize("name", ["alice", "ALICE", "bob", "me@", "."])
async def test_nobody_moves_the_cursors_of_another(over_http: LocalService, digest: Digest, name: str) -> None:
    before = digest()

    answer = await over_http.user("member").put(f"{PATH}/cursors/{name}", json={"delivered": 2, "read": 2})

    assert answer.status_code in (403, 404)
    assert digest() == before


async def test_a_user_called_me_does_not_become_whoever_asks(over_http: LocalService) -> None:
    """`me` is a name like any other: it means the caller in a path, and its bearer has no right to anybody else."""
    await over_http.join(ROOM, "me")
    before = await over_http.row("me", ROOM)

    moved = await over_http.user("member").put(f"{PATH}/cursors/me", json={"read": 1})

    assert moved.json()["user"] == "member"
    assert await over_http.row("me", ROOM) == before
    refused = await over_http.user("me").put(f"{PATH}/cursors/member", json={"read": 2})
    assert refused.status_code == 403


async def test_a_from_that_is_not_ones_own_is_never_believed(furnished: LocalService) -> None:
    bob = await furnished.device("bob")
    over_http = await furnished.user("member").post(f"{PATH}/messages", json={"cmid": "x", "body": 1, "from": "alice"})
    assert (over_http.status_code, over_http.json()["code"]) == (403, "not_allowed")

    await bob.say("send", cid=ROOM, cmid="y", body=1, **{"from": "alice", "sender": "alice", "own": False, "seq": 99})

    (item,) = (await bob.hear("messages", upto=3))["items"]
    assert (item["from"], item["seq"]) == ("bob", 3)


async def test_two_senders_share_no_cmid(over_http: LocalService) -> None:
    """Or one could find out what another sent, or keep it from being sent."""
    first = await over_http.user("bob").post(f"{PATH}/messages", json={"cmid": "same", "body": "one"})
    second = await over_http.user("member").post(f"{PATH}/messages", json={"cmid": "same", "body": "two"})

    assert (first.status_code, second.status_code) == (201, 201)


async def test_only_the_sender_a_moderator_and_the_server_take_a_message_back(over_http: LocalService) -> None:
    for seq, who in ((1, over_http.user("alice")), (2, over_http.server)):
        assert (await over_http.user("bob").delete(f"{PATH}/messages/{seq}")).status_code == 403
        assert (await who.delete(f"{PATH}/messages/{seq}")).status_code == 200

    page = await over_http.user("bob").get(f"{PATH}/messages?after=0")
    assert WORDS not in page.text


@pytest.mark.parametrize("way", ["history", "pull"])
async def test_with_history_joined_nothing_before_the_join_is_seen(furnished: LocalService, way: str) -> None:
    await furnished.room("late", "alice", history="joined")
    await furnished.post("late", "before", WORDS)
    await furnished.join("late", "late-comer")
    await furnished.post("late", "after", "for them, too")
    late = await furnished.device("late-comer", positions={"late": "0-0"}, unnamed="all")

    if way == "history":
        pages = [
            (await furnished.user("late-comer").get(f"/v1/conversations/late/messages{query}")).text
            for query in ("", "?after=0", "?before=3", "?before=2", "?after=0&limit=1")
        ]
    else:
        await late.say("pull", cid="late", after=0)
        pages = [str(await late.hear("messages"))]
        for before in ({}, {"before": 3}, {"before": 2}):
            await late.say("pull", cid="late", **before)
            pages.append(str(await late.hear("history")))

    assert WORDS not in "".join(pages)
    assert "for them, too" in "".join(pages)
    assert WORDS not in str(await late.heard(within=0.1))


async def test_who_comes_back_does_not_see_what_was_said_in_between_with_history_joined(
    furnished: LocalService,
) -> None:
    await furnished.room("late", "alice", "late-comer", history="joined")
    first = await furnished.post("late", "one", "heard by them")
    await furnished.remove("late", "late-comer")
    await furnished.post("late", "two", WORDS)
    await furnished.join("late", "late-comer")

    late = await furnished.device("late-comer", positions={"late": first})
    await late.say("pull", cid="late")

    assert WORDS not in str(await late.hear("history"))
    assert WORDS not in str(await late.heard(within=0.1))


async def test_a_list_names_only_ones_own_conversations(furnished: LocalService) -> None:
    await furnished.room("elsewhere", "alice", data={"title": TITLE})
    stranger = await furnished.device("stranger")

    for after in ("elsewher", "0", "a"):
        await stranger.say("sync", after=after)
        assert (await stranger.hear("sync"))["conversations"] == []
    listed = await furnished.user("stranger").get("/v1/users/me/conversations?after=elsewher")
    assert listed.json() == {"conversations": [], "next": None}


async def test_another_users_device_of_the_same_name_is_not_replaced(furnished: LocalService) -> None:
    bob = await furnished.device("bob", "phone")

    await furnished.device("stranger", "phone")
    await furnished.device("stranger", "bob phone".replace(" ", "\u00b7"))

    await bob.say("ping", t=1)
    await bob.hear("pong", t=1)
