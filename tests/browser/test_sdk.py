"""The JavaScript client in Chromium, over the running service: nothing missing, nothing twice, whatever becomes of the
line, the page and the tab."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from playwright.async_api import BrowserContext

from tests.browser.conftest import Mishaps, OpenContext, Serve, open_blank
from tests.browser.sdk import Device
from tests.e2e.service import LocalService, Service, ServiceProcess, token_of


async def test_two_computers_talk(open_context: OpenContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    alice = await Device.open(await open_blank(await open_context(), service), "alice")
    bob = await Device.open(await open_blank(await open_context(), service), "bob")

    sent = await alice.send("tea", {"text": "Is the kettle on?"})
    await bob.send("tea", {"text": "It is"})

    assert sent["dup"] is False
    for device in (alice, bob):
        assert await device.received("tea", 2) == [{"text": "Is the kettle on?"}, {"text": "It is"}]


async def test_a_reload_goes_on_where_the_page_was(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    page = await open_blank(context, service)
    alice = await Device.open(page, "alice")
    await service.post("tea", "1", "first", sender="bob")
    await alice.received("tea", 1)
    await alice.until("wire.some(({ type }) => type === 'ack')")
    name = await alice.run("chat.device")

    await page.reload()
    await service.post("tea", "2", "second", sender="bob")
    again = await Device.open(page, "alice")

    assert await again.received("tea", 1) == ["second"]
    assert await again.run("chat.device") == name
    assert await again.happened("reset") == []


async def test_what_was_not_sent_survives_a_reload_in_order(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    page = await open_blank(context, service)
    alice = await Device.open(page, "alice")
    await alice.run("chat.pause()")
    await alice.until("chat.state === 'connecting'")
    await alice.run("void [1, 2, 3].map((body) => chat.send('tea', body))")
    await alice.until("chat.outbox.length === 3")

    await page.reload()
    again = await Device.open(page, "alice")

    assert await again.received("tea", 3) == [1, 2, 3]
    assert [sent["dup"] for sent in await again.happened("sent")] == [False, False, False]
    await page.reload()
    third = await Device.open(page, "alice")
    assert await third.run("chat.outbox") == []


async def test_a_message_that_was_stored_before_the_reload_is_not_stored_again(
    context: BrowserContext, service: LocalService
) -> None:
    await service.room("tea", "alice")
    page = await open_blank(context, service)
    alice = await Device.open(page, "alice")
    await alice.run("chat.pause()")
    await alice.run("void chat.send('tea', 'once', { cmid: 'the-one' })")
    await alice.until("chat.outbox.length === 1")
    await service.post("tea", "the-one", "once", sender="alice")  # as if only the answer had been lost

    await page.reload()
    again = await Device.open(page, "alice")

    assert (await again.hears("sent"))["dup"] is True
    assert await again.received("tea", 1) == ["once"]


async def test_a_killed_service_comes_back_and_nothing_is_missing(
    open_context: OpenContext,
    serve_process: Callable[..., ServiceProcess],
) -> None:
    process = serve_process()
    service = Service(process.url)
    await service.room("tea", "alice", "bob")
    alice = await Device.open(await open_blank(await open_context(), process), "alice")
    bob = await Device.open(await open_blank(await open_context(), process), "bob")
    await alice.run("void Array.from({ length: 20 }, (_, n) => chat.send('tea', n))")
    await bob.received("tea", 1)

    process.kill()
    await alice.run("void Array.from({ length: 20 }, (_, n) => chat.send('tea', 20 + n))")
    await bob.until("chat.state === 'connecting'")
    process.start()

    assert await bob.received("tea", 40) == list(range(40))
    await alice.until("chat.outbox.length === 0")
    assert await alice.received("tea", 40) == list(range(40))
    await service.close()


async def test_a_browser_without_network_sends_and_receives_once_it_has_one(
    open_context: OpenContext, service: LocalService
) -> None:
    await service.room("tea", "alice", "bob")
    context = await open_context()
    alice = await Device.open(await open_blank(context, service), "alice")

    await context.set_offline(True)
    await alice.run("chat.pause()")  # Chromium only pretends: it leaves open what is open
    await alice.run("chat.resume()")
    await service.post_many("tea", range(5), sender="bob")
    await alice.run("void chat.send('tea', 'late')")
    await alice.until("chat.state === 'connecting'")
    assert await alice.bodies("tea") == []
    await context.set_offline(False)

    assert await alice.received("tea", 6) == [0, 1, 2, 3, 4, "late"]


async def test_a_send_goes_out_although_the_line_was_lost_while_positions_were_kept(
    context: BrowserContext, service: LocalService
) -> None:
    await service.room("tea", "alice")
    page = await open_blank(context, service)
    await page.evaluate(
        """async (token) => {
          const { connect, memoryStore } = await import("/sdk/pushpull.js");
          const keeping = [new Promise((resolve) => { window.letGo = resolve; })];
          window.chat = connect({ token, store: { ...memoryStore(), savePositions: async () => keeping.pop() } });
          chat.on("message", () => {});
          await chat.ready;
          while (keeping.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
        }""",
        token_for(60),
    )
    alice = Device(page)
    await alice.run("void chat.send('tea', 'meanwhile')")
    await alice.until("chat.outbox.length === 1")

    await alice.run("chat.pause()")
    await alice.until("chat.state === 'connecting'")
    await alice.run("letGo()")
    await alice.run("chat.resume()")

    await alice.until("chat.outbox.length === 0")


ALONE = "navigator.locks.query().then(({ held }) => held.length === 1)"
"""The browser has noticed that the other tab is gone."""


async def test_tabs_are_devices_of_their_own(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    one = await Device.open(await open_blank(context, service), "alice")
    two = await Device.open(await open_blank(context, service), "alice")
    first = await one.run("chat.device")
    await service.post("tea", "1", "to both", sender="bob")

    assert await one.received("tea", 1) == await two.received("tea", 1) == ["to both"]
    assert await two.run("chat.device") == f"{first}-2"
    assert await one.happened("end") == await two.happened("end") == []

    await one.page.close()
    await two.until(ALONE)
    three = await Device.open(await open_blank(context, service), "alice")
    assert await three.run("chat.device") == first


async def test_what_a_closed_tab_left_unsent_the_next_one_sends(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    stays = await Device.open(await open_blank(context, service), "alice")
    goes = await Device.open(await open_blank(context, service), "alice")
    await goes.run("chat.pause()")
    await goes.run("void ['left', 'behind'].map((body) => chat.send('tea', body))")
    await goes.until("chat.outbox.length === 2")
    await goes.page.close()
    await stays.until(ALONE)

    await stays.page.reload()
    again = await Device.open(stays.page, "alice")

    assert await again.received("tea", 2) == ["left", "behind"]
    await again.until("chat.outbox.length === 0")


async def test_a_page_whose_storage_is_forbidden_chats_and_says_so(
    context: BrowserContext, service: LocalService
) -> None:
    await service.room("tea", "alice")
    page = await open_blank(context, service)
    await page.evaluate("() => { indexedDB.open = () => { throw new DOMException('no', 'SecurityError') } }")
    alice = await Device.open(page, "alice", ready=False)

    await alice.hears("trouble")
    await alice.send("tea", "all the same")
    assert await alice.received("tea", 1) == ["all the same"]


EXPIRES_SOON = """() => {
  const Real = WebSocket;
  window.WebSocket = class extends Real {
    set onmessage(listener) {
      const times = /("time":)(\\d+)(.*"expires_at":)\\d+/;
      const soon = (data) => data.replace(times, (_, a, time, b) => a + time + b + (Number(time) + 500));
      super.onmessage = listener && (({ data }) => listener({ data: soon(data) }));
    }
  };
}"""
"""The service says that the token is good for half a second. (It is good for longer: the machine may be slow.)"""


async def test_a_token_is_renewed_before_it_expires(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice")
    page = await open_blank(context, service)
    tokens = [token_for(300), token_for(600)]
    await page.expose_function("freshToken", lambda: tokens.pop(0))
    await page.evaluate(EXPIRES_SOON)

    alice = await Device.open(page, "alice", renews=True)
    await alice.until("wire.some(({ type }) => type === 'auth')")

    await alice.send("tea", "still here")
    assert await alice.happened("state") == [{"type": "state", "state": "open"}]
    assert tokens == []


async def test_a_refused_token_is_followed_by_a_new_one(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice")
    page = await open_blank(context, service)
    tokens = [token_for(-100), token_for(3600)]
    await page.expose_function("freshToken", lambda: tokens.pop(0))

    alice = await Device.open(page, "alice", renews=True)

    assert (await alice.send("tea", "let in"))["dup"] is False


async def test_a_token_that_cannot_be_fetched_for_now_is_fetched_later(
    context: BrowserContext, service: LocalService
) -> None:
    page = await open_blank(context, service)
    answers: list[str | Exception] = [
        ConnectionError("no network"),
        token_for(-100),
        ConnectionError("no"),
        token_for(60),
    ]

    def fresh() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await page.expose_function("freshToken", fresh)

    await Device.open(page, "alice", renews=True)
    assert answers == []


async def test_a_chat_whose_first_token_never_comes_can_be_closed(
    context: BrowserContext, service: LocalService
) -> None:
    page = await open_blank(context, service)
    await page.evaluate("() => { window.freshToken = () => new Promise(() => {}) }")
    alice = await Device.open(page, "alice", ready=False, renews=True)

    await alice.run("void chat.close()")

    await alice.until("chat.state === 'closed'")
    assert await alice.run("chat.send('tea', 1).catch(({ code }) => code)") == "connection_ended"
    assert await alice.happened("end") == []


async def test_a_refused_token_without_another_ends_the_chat(context: BrowserContext, service: LocalService) -> None:
    alice = await Device.open(await open_blank(context, service), "alice", ready=False, token=token_for(-100))

    end = await alice.hears("end")

    assert (end["code"], end["closeCode"]) == ("unauthenticated", 4401)
    assert await alice.run("chat.ready.catch(({ reason }) => reason)") == "token_expired"
    assert await alice.run("chat.send('tea', 1).catch(({ code }) => code)") == "unauthenticated"


async def test_a_device_that_connects_twice_ends_the_first(context: BrowserContext, service: LocalService) -> None:
    page, other = await open_blank(context, service), await open_blank(context, service)
    first = await Device.open(page, "alice", store="memory", device="laptop")

    await Device.open(other, "alice", store="memory", device="laptop")

    assert (await first.hears("end"))["closeCode"] == 4409
    assert await first.run("chat.state") == "closed"


async def test_a_backlog_of_five_hundred_comes_in_order(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    await service.post_many("tea", range(500), sender="bob")

    alice = await Device.open(await open_blank(context, service), "alice")

    assert await alice.received("tea", 500) == list(range(500))
    await alice.until("wire.some(({ type, acks }) => type === 'ack' && acks.tea === 500)")


async def test_a_hot_group_arrives_by_notices_and_pulls(context: BrowserContext, serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 1, "inline_max_bytes": 0})
    await service.room("hall", "alice", "bob", "carol")
    alice = await Device.open(await open_blank(context, service), "alice")

    for start in range(0, 200, 40):
        await service.post_many("hall", range(start, start + 40), sender="bob")
        await asyncio.sleep(0.06)

    assert await alice.received("hall", 200) == list(range(200))
    assert await alice.run("chat.conversations.get('hall').unread") == 200
    assert await alice.said("notice") != []
    assert await alice.said("pull") != []


async def test_what_is_not_on_the_screen_is_told_and_fetched_when_it_is(context: BrowserContext, serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 1, "notify_away_ms": 100})
    await service.room("hall", "alice", "bob")
    alice = await Device.open(await open_blank(context, service), "alice")
    await alice.run("chat.focus(null)")

    await service.post_many("hall", range(10), sender="bob")
    await alice.until("happened.some(({ type, head }) => type === 'notice' && head === 10)")
    assert await alice.bodies("hall") == []
    await alice.run("chat.focus('hall')")

    assert await alice.received("hall", 10) == list(range(10))


async def test_a_page_that_nobody_sees_says_so_and_acks_at_once(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    alice = await Device.open(await open_blank(context, service), "alice")
    await alice.run("chat.focus('tea')")
    await alice.page.evaluate(
        "() => { Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')) }"
    )
    await alice.until("wire.some(({ type, active }) => type === 'focus' && active === false)")

    # No timer of a page in the background runs when it should: whoever waits for one would ack too late.
    await alice.page.evaluate("() => { window.setTimeout = () => 0 }")
    await service.post("tea", "1", "hello", sender="bob")

    await alice.until("wire.some(({ type, acks }) => type === 'ack' && acks.tea === 1)")


async def test_a_message_is_acked_when_its_slowest_listener_is_done(
    context: BrowserContext, service: LocalService
) -> None:
    await service.room("tea", "alice", "bob")
    alice = await Device.open(await open_blank(context, service), "alice")
    await alice.run("void chat.on('message', () => new Promise((resolve) => { window.done = resolve }))")

    await service.post_many("tea", range(2), sender="bob")
    await alice.received("tea", 1)
    await asyncio.sleep(0.4)
    assert await alice.said("ack") == []
    assert await alice.bodies("tea") == [0]
    await alice.run("done()")

    assert await alice.received("tea", 2) == [0, 1]
    await alice.until("wire.some(({ type, acks }) => type === 'ack' && acks.tea === 1)")


async def test_a_loop_takes_messages_one_by_one(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    alice = await Device.open(await open_blank(context, service), "alice")
    await alice.page.evaluate(
        """() => {
          window.looped = [];
          void (async () => {
            for await (const { body } of chat.messages()) { looped.push(body); if (body === 2) break; }
            looped.push("left");
          })();
        }"""
    )

    await service.post_many("tea", range(4), sender="bob")

    await alice.until("looped.at(-1) === 'left'")
    assert await alice.run("looped") == [0, 1, 2, "left"]
    assert await alice.received("tea", 4) == [0, 1, 2, 3], "a loop that was left holds nobody up"


async def test_nothing_is_handed_out_or_acked_before_somebody_takes_messages(
    context: BrowserContext, service: LocalService
) -> None:
    await service.room("tea", "alice", "bob")
    await service.post_many("tea", range(3), sender="bob")
    page = await open_blank(context, service)
    await page.evaluate(
        """async (token) => {
          const { connect } = await import("/sdk/pushpull.js");
          window.chat = connect({ token });
          window.acks = [];
          chat.on("wire", ({ frame }) => frame.type === "ack" && acks.push(frame.acks.tea));
          await chat.ready;
          await new Promise((resolve) => setTimeout(resolve, 400));
        }""",
        token_for(60),
    )
    assert await page.evaluate("() => acks") == []

    await page.evaluate("() => { window.bodies = []; chat.on('message', ({ body }) => { bodies.push(body) }) }")

    alice = Device(page)
    await alice.until("acks.includes(3)")
    assert await alice.run("bodies") == [0, 1, 2]


async def test_a_device_moves_to_another_node_when_its_own_goes_away(open_context: OpenContext, serve: Serve) -> None:
    nodes = [await serve(server={"origins": ("*",)}) for _ in range(2)]
    await nodes[0].room("tea", "alice", "bob")
    context = await open_context(
        bypass_csp=True
    )  # the policy of our pages knows one host, and the other node is another one
    alice = await Device.open(await open_blank(context, nodes[0]), "alice", urls=[node.url for node in nodes])
    names = [node.node.id for node in nodes]
    at = names.index((await alice.said("welcome"))[0]["node"])

    draining = asyncio.create_task(nodes[at].node.drain())
    await nodes[1 - at].post_many("tea", range(3), sender="bob")

    assert await alice.received("tea", 3) == [0, 1, 2]
    await draining
    await alice.send("tea", "over there")
    assert [welcome["node"] for welcome in await alice.said("welcome")] == [names[at], names[1 - at]]


async def test_what_is_no_json_is_not_sent(context: BrowserContext, service: LocalService) -> None:
    alice = await Device.open(await open_blank(context, service), "alice")

    for body in ("NaN", "'\\ud800'", "() => 1", "undefined", "{ deep: [1, Infinity] }", "1n"):
        assert await alice.run(f"chat.send('tea', {body}).catch(({{ code }}) => code)") == "invalid", body
    assert await alice.said("send") == []


async def test_a_refusal_reaches_its_sender(context: BrowserContext, service: LocalService, mishaps: Mishaps) -> None:
    await service.room("tea", "alice")
    await service.room("closed", "bob")
    alice = await Device.open(await open_blank(context, service), "alice")
    await alice.run("chat.send('tea', 1, { cmid: 'taken' })")

    assert await alice.run("chat.send('tea', 2, { cmid: 'taken' }).catch(({ code }) => code)") == "cmid_conflict"
    assert await alice.run("chat.send('closed', 1).catch(({ code }) => code)") == "not_a_member"
    assert await alice.run("chat.send('no such name', 1).catch(({ code }) => code)") == "invalid"
    assert await alice.run("chat.send('tea', 'x'.repeat(70000)).catch(({ code }) => code)") == "too_large"
    assert await alice.run("chat.call('GET', '/nodes').catch(({ code }) => code)") == "not_allowed"
    assert [unsent["code"] for unsent in await alice.happened("unsent")] == ["cmid_conflict", "not_a_member"]
    mishaps.forgive("the server responded with a status of 403")  # of the HTTP call


async def test_history_members_signals_and_receipts(open_context: OpenContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    await service.post_many("tea", range(30), sender="bob")
    alice = await Device.open(await open_blank(await open_context(), service), "alice", receipts=True)
    bob = await Device.open(await open_blank(await open_context(), service), "bob")

    page = await alice.run("chat.history('tea', { before: 11, limit: 5 })")
    assert ([message["body"] for message in page["messages"]], page["more"]) == ([5, 6, 7, 8, 9], True)
    members = await alice.run("chat.call('GET', '/conversations/tea/members')")
    assert [member["user"] for member in members["members"]] == ["alice", "bob"]
    while not await alice.run("happened.some(({ type }) => type === 'signal')"):
        await bob.run("chat.signal('tea', { typing: true })")  # said again: a busy service leaves signals out first
        await asyncio.sleep(0.3)
    assert (await alice.hears("signal"))["body"] == {"typing": True}
    await bob.run("chat.read('tea', 30)")
    assert await bob.hears("cursors")
    await alice.until("happened.some(({ type, user, read }) => type === 'receipt' && user === 'bob' && read === 30)")


async def test_no_token_is_shown_on_the_wire_that_listeners_see(context: BrowserContext, service: LocalService) -> None:
    alice = await Device.open(await open_blank(context, service), "alice")

    assert len(await alice.said("hello")) == 1
    assert "eyJ" not in await alice.run("JSON.stringify(wire)")


async def test_conversations_that_a_hello_has_no_room_for_are_pulled_from_where_the_device_stands(
    context: BrowserContext, service: LocalService
) -> None:
    page = await open_blank(context, service)

    said = await page.evaluate(
        """async () => {
          const { Core } = await import("/sdk/core.js");
          const positions = new Map([["old", "2-1"], ["older-but-moved", "5-1"], ["new", "7-1"]]);
          const core = new Core({ positions });
          const row = { start: "9-1", head: 9, mode: "push", epoch: "1", delivered: 9 };
          const { positions: named } = core.hello(40);
          core.opened({ user: "bob" }, 0);
          core.receive({ type: "sync", conversations: [{ ...row, cid: "old" }], next: "old" }, 0);
          const pulled = core.outgoing(0).filter(({ type }) => type === "pull");
          return { named: { ...named }, events: core.inbox.take(), pulled };
        }"""
    )

    assert said["named"] == {"new": "7-1", "older-but-moved": "5-1"}
    assert said["events"] is None, "it is no reset: nothing is gone"
    assert [(pull["cid"], pull["after"]) for pull in said["pulled"]] == [("old", 2)]


def token_for(seconds: float) -> str:
    """Of alice, good for so long from now on."""
    return token_of("alice", exp=int(time.time() + seconds))
