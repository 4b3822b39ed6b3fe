"""The demo chat in Chromium: what a visitor sees, does, and must not lose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from pushpull.web.demo_cast import HOT, SMALL, WELCOME
from tests.browser.accessibility import serious_violations
from tests.browser.conftest import OpenContext, Serve
from tests.browser.demo import Visitor
from tests.e2e.service import LocalService

Arrive = Callable[..., Awaitable[Visitor]]

PHONE = {"width": 360, "height": 640}


@pytest_asyncio.fixture(loop_scope="session")
async def service(serve: Serve) -> LocalService:
    """With a crowd of a few hundred: as many as make it a large group, and no more to wait for."""
    return await serve(limits={"members": 300})


@pytest.fixture
def arrive(open_context: OpenContext, service: LocalService) -> Arrive:
    """Somebody at another computer."""

    async def come(who: str, *, room: str = "kitchen", **options: object) -> Visitor:
        context = await open_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        return await Visitor.arrive(await context.new_page(), service, who, room=room)

    return come


async def test_two_windows_chat(arrive: Arrive) -> None:
    ada, grace = await arrive("ada"), await arrive("grace")

    await ada.write("Is the kettle on?")
    await grace.sees(WELCOME, "Is the kettle on?")
    typing = ada.page.get_by_text("Grace is typing…")
    async with asyncio.timeout(20):
        while not await typing.is_visible():  # what is said in passing may be left out: whoever types says it again
            await grace.text.press_sequentially(".")
            await asyncio.sleep(0.1)
    await grace.write("It is")

    await ada.sees(WELCOME, "Is the kettle on?", "It is")
    await expect(ada.rows.nth(1)).to_contain_text("Seen by Grace")
    await expect(typing).to_be_hidden()


async def test_what_is_said_elsewhere_shows_as_unread_until_it_is_read(arrive: Arrive) -> None:
    ada, grace = await arrive("ada", room="ada-grace"), await arrive("grace", room="kitchen")

    await ada.write("Psst")
    await ada.write("Are you there?")

    option = grace.page.get_by_role("option", name="Ada, 2 unread messages")
    await option.click()
    await grace.sees("Psst", "Are you there?")
    await expect(grace.page.get_by_role("option", name="Ada", exact=True)).to_be_visible()
    await expect(ada.rows.last).to_contain_text("Seen by Grace")


async def test_offline_and_back_nothing_is_missing(arrive: Arrive, service: LocalService) -> None:
    ada, grace = await arrive("ada"), await arrive("grace")
    await ada.open_wire()

    await ada.switch("Cut the connection").check()
    await expect(ada.page.locator("#connection")).to_have_text("Cut off, by you")
    for number in range(40):
        await service.post(SMALL, f"c{number}", {"text": f"line {number}"}, sender="demo:grace")
    await ada.write("from offline")
    await expect(ada.rows.last).to_contain_text("Waits for the connection")
    await grace.sees(WELCOME, *(f"line {number}" for number in range(40)))
    await ada.switch("Cut the connection").uncheck()

    said = [WELCOME, *(f"line {number}" for number in range(40)), "from offline"]
    await ada.sees(*said)
    await grace.sees(*said)
    await ada.nothing_is_lost()
    await expect(ada.figure("Lag")).to_have_text("none")


async def test_what_waits_to_be_sent_outlives_a_reload(arrive: Arrive) -> None:
    ada, grace = await arrive("ada"), await arrive("grace")
    await ada.open_wire()
    await ada.switch("Cut the connection").check()
    await ada.write("before the reload")
    await expect(ada.rows.last).to_contain_text("Waits for the connection")

    await ada.page.reload()

    await ada.sees(WELCOME, "before the reload")
    await grace.sees(WELCOME, "before the reload")


async def test_without_acks_messages_come_again_and_are_shown_once(serve: Serve, open_context: OpenContext) -> None:
    service = await serve(limits={"members": 300}, delivery={"ack_wait_ms": 150, "max_deliver": 3})
    ada = await Visitor.arrive(await (await open_context()).new_page(), service, "ada")
    await ada.open_wire()
    await ada.switch("Stop acking").check()

    await service.post(SMALL, "1", {"text": "once"}, sender="demo:grace")
    await ada.until("Redeliveries", 2)
    await ada.until("Reconnects", 1)  # who never acks is hung up on, and comes back
    await ada.switch("Stop acking").uncheck()
    await service.post(SMALL, "2", {"text": "twice"}, sender="demo:grace")

    await ada.sees(WELCOME, "once", "twice")
    await ada.nothing_is_lost()


async def test_a_slow_reader_gets_everything_later(arrive: Arrive, service: LocalService) -> None:
    ada = await arrive("ada")
    await ada.open_wire()
    await ada.switch("Read slowly").check()

    for number in range(20):
        await service.post(SMALL, f"c{number}", {"text": f"line {number}"}, sender="demo:grace")
    await expect(ada.figure("Lag")).to_contain_text("behind")
    await ada.switch("Read slowly").uncheck()

    await ada.sees(WELCOME, *(f"line {number}" for number in range(20)))
    await expect(ada.figure("Lag")).to_have_text("none")
    await ada.nothing_is_lost()


async def test_a_crowd_of_fifty_a_second_can_be_scrolled_back_through(arrive: Arrive, service: LocalService) -> None:
    for start in (0, 150):  # what was said before anybody watched
        await service.anybody().post("/demo/session", json={"user": "demo:ada"})
        await service.post_many(HOT, range(start, start + 150), sender="demo:fan-0001")
    ada = await arrive("ada", room="arena")
    await expect(ada.page.locator("#subtitle")).to_have_text("300 members")
    await ada.open_wire()
    await ada.page.get_by_label("Crowd").fill("6")
    await expect(ada.page.locator("#rate-words")).to_have_text("50 a second")
    await ada.until("Head", 350)

    await ada.log.hover()
    await ada.page.mouse.wheel(0, -1500)
    newer = ada.page.get_by_role("button", name="new message")
    await expect(newer).to_be_visible()
    before = await ada.seqs()
    await asyncio.sleep(0.5)
    stood = await ada.seqs() == before
    while (await ada.seqs())[0] > 1:
        assert await ada.look("document.querySelectorAll('#log *').length") <= 500
        await ada.page.mouse.wheel(0, -3000)
        await asyncio.sleep(0.02)
    oldest = await ada.seqs()
    await newer.click()
    await ada.until("Head", 400)

    assert stood
    assert oldest == list(range(1, len(oldest) + 1))
    newest = await ada.seqs()
    assert newest == list(range(newest[0], newest[0] + len(newest)))
    assert newest[-1] >= 400
    await expect(newer).to_be_hidden()
    await ada.page.get_by_label("Crowd").fill("0")
    await ada.nothing_is_lost()
    await expect(ada.figure("Lag")).to_have_text("none")


async def test_the_way_to_the_newest_is_not_lost_to_a_scroll_of_the_same_moment(
    arrive: Arrive, service: LocalService
) -> None:
    await service.anybody().post("/demo/session", json={"user": "demo:ada"})
    await service.post_many(HOT, range(150), sender="demo:fan-0001")
    ada = await arrive("ada", room="arena")
    await ada.log.hover()
    while (await ada.seqs())[0] > 1:
        await ada.page.mouse.wheel(0, -3000)
        await asyncio.sleep(0.02)

    await ada.look(
        """() => {
          document.querySelector("#log").dispatchEvent(new Event("scroll"));
          document.querySelector("#newer").click();
        }"""
    )

    await expect(ada.page.locator("#newer")).to_be_hidden()
    await expect(ada.log.locator('[data-seq="150"]')).to_be_in_viewport()


async def test_whoever_scrolls_away_as_the_log_is_drawn_is_let_go(arrive: Arrive, service: LocalService) -> None:
    await service.anybody().post("/demo/session", json={"user": "demo:ada"})
    await service.post_many(HOT, range(60), sender="demo:fan-0001")
    ada = await arrive("ada", room="arena")
    await expect(ada.log.locator('[data-seq="60"]')).to_be_in_viewport()

    await ada.look(
        """async () => {
          const log = document.querySelector("#log");
          log.style.maxHeight = "90%";  // another size: it is drawn with the frame after the next
          await new Promise(requestAnimationFrame);
          await new Promise((resolve) => setTimeout(resolve));
          log.scrollTop = 0;
        }"""
    )

    await expect(ada.page.locator("#newer")).to_be_visible()
    await expect(ada.log.locator('[data-seq="60"]')).not_to_be_in_viewport()


async def test_a_crowd_that_is_not_looked_at_is_told_of_by_notices(arrive: Arrive) -> None:
    ada = await arrive("ada", room="arena")
    await expect(ada.page.locator("#subtitle")).to_have_text("300 members")
    await ada.open_wire()
    await ada.page.get_by_label("Crowd").fill("4")
    await ada.until("Checked", 3)

    await ada.page.get_by_role("option", name="Tea kitchen").click()
    taken = await ada.number("Checked")
    await ada.until("Notices", 1)

    await expect(ada.page.get_by_role("option", name="The arena")).to_contain_text("new message")
    assert await ada.number("Checked") <= taken + 5
    await ada.page.get_by_role("option", name="The arena").click()
    await ada.page.get_by_label("Crowd").fill("0")
    await ada.until("Checked", taken + 5)
    await ada.nothing_is_lost()


async def test_markup_in_a_message_is_shown_as_text(arrive: Arrive, service: LocalService) -> None:
    evil = '<img src=x onerror="window.owned=true"><script>window.owned=true</script><b>bold</b>'
    ada, grace = await arrive("ada"), await arrive("grace", room="ada-grace")
    await ada.write(evil)
    await service.post(SMALL, "odd", {"text": {"html": evil}}, sender="demo:alan")

    await expect(ada.log.locator(".text").nth(1)).to_have_text(evil)
    await expect(ada.log.locator(".text").nth(2)).to_contain_text("<script>")
    await expect(grace.page.get_by_role("option", name="Tea kitchen")).to_contain_text("<script>")
    assert await ada.log.locator(".text *, .text img, .text script").count() == 0
    assert await ada.look("window.owned") is None
    assert await grace.look("window.owned") is None


async def test_a_refused_message_stays_and_can_be_tried_again(serve: Serve, open_context: OpenContext) -> None:
    service = await serve(limits={"members": 300, "body_bytes": 60})
    ada = await Visitor.arrive(await (await open_context()).new_page(), service, "ada", room="ada-alan")
    long = "A long story. " * 8

    await ada.write(long)
    await expect(ada.rows.last).to_contain_text("Not sent")
    await ada.rows.last.get_by_role("button", name="Try again").click()
    await expect(ada.rows.last).to_contain_text("Not sent")
    await ada.rows.last.get_by_role("button", name="Discard").click()

    await expect(ada.rows).to_have_count(0)


async def test_a_phone_shows_one_thing_at_a_time_and_nothing_sticks_out(arrive: Arrive) -> None:
    ada = await arrive("ada", room="", viewport=PHONE, has_touch=True, is_mobile=True)
    page = ada.page

    async def fits() -> None:
        assert await ada.look("document.scrollingElement.scrollWidth") <= PHONE["width"]

    await fits()
    await expect(ada.log).to_be_hidden()
    await page.get_by_role("option", name="Tea kitchen").tap()
    await ada.write("averyveryverylongwordthatwouldnotfitononelineofaphoneifitwerenotbroken" * 2)
    await expect(ada.rows).to_have_count(2)
    await fits()
    await expect(page.get_by_role("listbox")).to_be_hidden()
    await page.get_by_role("button", name="Wire", exact=True).tap()
    await expect(page.get_by_role("heading", name="What the wire does")).to_be_visible()
    await fits()
    await page.get_by_role("button", name="Close the wire").tap()
    await page.get_by_role("button", name="Back to the conversations").tap()
    await expect(page.get_by_role("listbox")).to_be_visible()
    await expect(ada.log).to_be_hidden()


async def test_the_keyboard_is_enough(context: BrowserContext, service: LocalService) -> None:
    page = await context.new_page()
    await page.set_viewport_size({"width": 1000, "height": 700})  # the panel does not open by itself
    await page.goto(f"{service.url}/demo")
    await expect(page.get_by_role("link")).to_have_count(5)
    press = page.keyboard.press

    await press("Tab")
    await press("Tab")
    await press("Enter")
    await expect(page.get_by_role("heading", name="Grace")).to_be_visible()
    await expect(page.get_by_role("textbox")).to_be_focused()
    await press("Escape")
    await expect(page.get_by_role("listbox")).to_be_focused()
    await press("ArrowDown")
    await press("ArrowDown")
    await press("Enter")
    await expect(page.get_by_role("heading", name="Ada")).to_be_visible()
    await page.keyboard.type("Hello")
    await press("Shift+Enter")
    await page.keyboard.type("Ada")
    await press("Enter")
    await expect(page.get_by_role("log").locator(".text")).to_have_text(["Hello\nAda"])
    for _ in range(3):  # the log, the panel's button before it
        await press("Shift+Tab")
        if await page.get_by_role("button", name="Wire", exact=True).evaluate("it => it === document.activeElement"):
            break
    await press("Enter")
    await press("Tab")
    await press("Tab")
    await press("Tab")
    await press("Space")
    await expect(page.get_by_role("switch", name="Cut the connection")).to_be_checked()
    await press("Escape")
    await expect(page.locator("#wire")).to_be_hidden()
    await expect(page.get_by_role("button", name="Wire", exact=True)).to_be_focused()


async def test_axe_finds_nothing_serious_on_a_wide_screen(arrive: Arrive, page: Page, service: LocalService) -> None:
    await page.goto(f"{service.url}/demo")
    await expect(page.get_by_role("link")).to_have_count(5)
    assert await serious_violations(page) == []

    ada = await arrive("ada")
    await ada.write("Is the kettle on?")
    await expect(ada.rows.last).to_contain_text("Sent")
    await ada.switch("Cut the connection").check()
    await ada.write("Hello?")
    assert await serious_violations(ada.page) == []


async def test_axe_finds_nothing_serious_on_a_phone_in_the_dark(arrive: Arrive, service: LocalService) -> None:
    await service.anybody().post("/demo/session", json={"user": "demo:ada"})
    await service.post(HOT, "1", {"text": "Goal!"}, sender="demo:fan-0001")
    ada = await arrive("ada", room="arena", viewport=PHONE, color_scheme="dark")
    await expect(ada.rows).to_have_count(1)
    assert await serious_violations(ada.page) == []

    await ada.open_wire()
    await ada.switch("Read slowly").check()
    assert await serious_violations(ada.page) == []


async def test_few_messages_are_spoken_and_a_crowd_is_summed_up(arrive: Arrive, service: LocalService) -> None:
    ada = await arrive("ada")
    spoken = ada.page.locator("#announcer")

    await service.post(SMALL, "1", {"text": "Hello"}, sender="demo:grace")
    await expect(spoken).to_have_text("Grace: Hello")
    await ada.page.get_by_role("option", name="The arena").click()
    await service.post_many(HOT, range(40), sender="demo:fan-0001")

    await expect(spoken).to_have_text("40 new messages")
