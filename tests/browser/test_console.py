"""The operator's console in Chromium, over the running service: what it shows, what it changes, and who can use it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, Request, expect

from pushpull.model import Cid
from tests.browser.accessibility import serious_violations
from tests.browser.conftest import Mishaps, OpenContext, Serve
from tests.e2e.service import API_KEY, LocalService
from tests.e2e.wire import Wire

PHONE = {"width": 360, "height": 640}
MARKUP = "<img src=x onerror=document.title='run'>"
NAME = MARKUP.replace(" ", "/")  # names have no spaces, and markup needs none
ROW = "tbody tr"
FILLED = {
    "overview": ROW,
    "conversations": ROW,
    "conversations/team": ROW,
    "policy": ".edit",
    "sessions": ".finder",
    "sessions/ann": ROW,
    "offline": ROW,
}
"""The views, and what is there when one has been told what it shows."""

CUT_OFF = """[...document.querySelectorAll('.listing, .card, .tile')]
  .filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.textContent)"""


async def log_in(page: Page, service: LocalService, view: str = "overview") -> None:
    """Open the console at a view, with the key typed in. Its timers are those of `later`, too."""
    await page.clock.install()
    await page.goto(f"{service.url}/console#/{view}")
    await page.get_by_label("Server key").fill(API_KEY)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Views")).to_be_visible()


async def later(page: Page) -> None:
    """Have the page ask again, as it does every few seconds."""
    await page.clock.fast_forward(10_000)


async def busy_team(service: LocalService, cid: str = "team") -> Wire:
    """A conversation of ann and bob in which something was said lately, and what was said; ann's phone is connected."""
    await service.room(cid, "ann", "bob")
    ann = await service.device("ann")
    await service.post(cid, "m1", MARKUP, sender="bob")
    await ann.hear("messages")
    await report(service)
    return ann


async def report(service: LocalService) -> None:
    """Have the node look at its conversations and say how they are, as it does every two seconds."""
    await service.node.parts.hub.ways.look(0.0, over_s=1.0)
    await service.node.reporter.say()


async def give_up(service: LocalService, *cids: str) -> None:
    """Dead letters for these conversations."""
    jobs = service.node.store.jobs
    await jobs.mark([Cid(cid) for cid in cids], delay_s=0)
    for job in await jobs.take("a-worker", most=100):
        await jobs.bury(job, f"the receiver answered 500 {MARKUP}", tries=10)


# ------------------------------------------------------------------------------------------------ the key


async def test_a_wrong_key_is_refused_in_words_and_the_right_one_opens(
    page: Page, service: LocalService, mishaps: Mishaps
) -> None:
    await page.goto(f"{service.url}/console")
    await page.get_by_label("Server key").fill("not-a-key")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("alert")).to_have_text("This is not one of the service's keys.")
    await expect(page.get_by_label("Server key")).to_be_focused()
    mishaps.forgive("401")
    await page.get_by_label("Server key").fill(API_KEY)
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_focused()


async def test_the_key_stays_in_the_tab_and_out_of_every_address(page: Page, service: LocalService) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    await log_in(page, service)
    await expect(page.get_by_text("is ready")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("is ready")).to_be_visible()

    calls = [request for request in asked if "/v1/" in request.url]
    assert calls
    assert {await request.header_value("x-api-key") for request in calls} == {API_KEY}
    assert not [request.url for request in asked if API_KEY in request.url]
    assert API_KEY not in page.url
    assert await page.evaluate("JSON.stringify(localStorage)") == "{}"
    await page.get_by_role("button", name="Forget key").click()
    await expect(page.get_by_label("Server key")).to_be_visible()
    assert await page.evaluate("JSON.stringify(sessionStorage)") == "{}"


async def test_while_the_service_is_away_the_page_says_so_and_goes_on_by_itself(
    page: Page, service: LocalService
) -> None:
    await log_in(page, service)
    await page.route("**/v1/**", lambda route: route.abort())
    await later(page)

    await expect(page.locator("#state")).to_contain_text("the service cannot be reached. Trying again")
    await page.unroute("**/v1/**")
    await later(page)
    await expect(page.locator("#state")).to_be_empty()


async def test_a_key_that_is_taken_back_ends_the_visit(page: Page, service: LocalService, mishaps: Mishaps) -> None:
    await log_in(page, service)
    refusal = {"code": "unauthenticated", "title": "Unauthorized", "status": 401, "detail": "no such key"}
    await page.route("**/v1/**", lambda route: route.fulfill(status=401, json=refusal))
    await later(page)

    await expect(page.get_by_role("alert")).to_have_text("The service no longer takes this key.")
    await expect(page.get_by_role("navigation")).to_have_count(0)
    assert await page.evaluate("sessionStorage.length") == 0
    mishaps.forgive("401")


# ------------------------------------------------------------------------------------------------ what it shows


async def test_the_overview_tells_of_all_nodes(page: Page, serve: Serve) -> None:
    one, other = await serve(), await serve()
    await busy_team(one)
    await other.device("bob")
    await report(other)

    await log_in(page, one)

    tiles = page.locator(".tile")
    await expect(tiles.filter(has_text="Nodes")).to_contain_text("2")
    await expect(tiles.filter(has_text="Sessions")).to_contain_text("2")
    rows = page.get_by_role("table", name="Nodes that live").get_by_role("row")
    await expect(rows.filter(has_text=one.node.id)).to_have_count(1)
    await expect(rows.filter(has_text=other.node.id)).to_have_count(1)


async def test_a_chart_is_also_a_sentence_and_a_table(page: Page, service: LocalService) -> None:
    await busy_team(service)
    await log_in(page, service)

    picture = page.get_by_role("img", name="Messages: delivered")
    await expect(picture).to_be_visible()
    await expect(picture.locator(".line-0").first).to_be_attached()
    chart = page.locator(".graph").filter(has=picture)
    await chart.get_by_text("As a table").click()
    await later(page)
    await expect(chart.get_by_role("columnheader")).to_have_text(["before", "delivered", "stored"])
    await expect(chart.locator("tbody tr").nth(1)).to_be_visible()


async def test_a_busy_conversation_is_listed_with_its_mode_and_opens(page: Page, service: LocalService) -> None:
    await busy_team(service)
    await log_in(page, service, "conversations")

    row = page.get_by_role("row").filter(has_text="team")
    await expect(row).to_contain_text("push")
    await expect(row).to_contain_text("1 pushed")
    await expect(row).to_contain_text("2 members, push_max_members is 200")
    await row.get_by_role("link", name="team").click()
    await expect(page.get_by_role("heading", name="team", level=1)).to_be_focused()
    await expect(page.get_by_role("table", name="Members and how far they are").get_by_role("row")).to_have_count(3)


async def test_any_conversation_is_found_by_its_id_and_one_that_is_none_is_said_to_be(
    page: Page, service: LocalService, mishaps: Mishaps
) -> None:
    await service.room("quiet", "ann")
    await log_in(page, service, "conversations")
    await page.get_by_label("Open a conversation by its id").fill("nowhere")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("conversation nowhere does not exist.")
    mishaps.forgive("404")

    await page.get_by_role("link", name="All conversations").click()
    await page.get_by_label("Open a conversation by its id").fill("quiet")
    await page.get_by_role("button", name="Open").click()

    await expect(page.get_by_text("Nobody lacks anything.")).to_be_visible()
    mishaps.forgive("404")


async def test_who_does_not_ack_is_seen_with_how_often_it_was_sent(page: Page, serve: Serve) -> None:
    service = await serve(delivery={"ack_wait_ms": 50, "backoff": 1.0, "max_deliver": 1_000})
    ann = await busy_team(service)
    await ann.hear("messages", redelivery=2)

    await log_in(page, service, "conversations/team")

    row = page.get_by_role("table", name="Ranges that members lack").get_by_role("row").filter(has_text="ann")
    await expect(row.locator(".badge")).to_have_text(re.compile("[2-9]|[1-9][0-9]+"))


async def test_what_people_wrote_is_nowhere_and_what_devices_are_called_is_text(
    page: Page, service: LocalService
) -> None:
    await busy_team(service)
    await service.device("ann", NAME)
    await give_up(service, "team")
    await log_in(page, service)
    for view in FILLED:
        await page.goto(f"{service.url}/console#/{view}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        if view == "sessions/ann":
            await expect(page.get_by_role("strong").filter(has_text=NAME)).to_be_visible()
        elif view == "offline":
            await expect(page.get_by_text(f"the receiver answered 500 {MARKUP}")).to_be_visible()
        elif view == "conversations/team":
            await expect(page.get_by_role("row").filter(has_text="bob").first).to_be_visible()
            assert MARKUP not in await page.locator("main").inner_text()
        assert "run" not in await page.title()
    assert await page.locator("main img").count() == 0


async def test_a_row_that_somebody_is_in_stays_while_its_figures_change(page: Page, service: LocalService) -> None:
    await busy_team(service)
    await log_in(page, service, "conversations")
    link = page.get_by_role("row").get_by_role("link", name="team")
    await link.focus()

    await service.room("other", "ann", "carol")
    await service.heard("team", 1)
    await service.post_many("other", range(50))
    await service.heard("other", 50)
    await report(service)
    await later(page)

    await expect(page.get_by_role("table").get_by_role("link").first).to_have_text("other")
    await expect(link).to_be_focused()


# ------------------------------------------------------------------------------------------------ what it changes


async def test_a_mode_that_is_set_is_in_force_and_the_devices_notice(page: Page, serve: Serve) -> None:
    service = await serve(delivery={"inline_max_bytes": 0})
    ann = await busy_team(service)
    await log_in(page, service, "conversations/team")
    await expect(page.locator(".force .badge")).to_have_text("push")

    await page.get_by_label("Mode of this conversation").select_option("notify")
    await page.get_by_role("button", name="Set").click()

    await expect(page.locator(".force")).to_contain_text("the conversation's settings say notify")
    await expect(page.locator(".force .badge")).to_have_text("notify")
    await ann.hear("conversation", change="updated")
    await service.post("team", "m2", sender="bob")
    assert (await ann.hear("notice"))["head"] == 2


async def test_another_threshold_moves_the_modes_and_can_be_taken_back(
    page: Page, service: LocalService, mishaps: Mishaps
) -> None:
    await busy_team(service)
    await log_in(page, service, "policy")
    field = page.get_by_label("Members up to which a conversation is pushed")
    form = page.locator("form").filter(has=field)
    mode = page.get_by_role("row").filter(has_text="team").locator(".badge")
    await expect(mode).to_have_text("push")

    await field.fill("1")
    await form.get_by_role("button", name="Put").click()
    await expect(form).to_contain_text("In force: 1, put here, on every node; without it 200 (default)")
    assert service.node.settings.delivery.push_max_members == 1
    await report(service)
    await later(page)
    await expect(mode).to_have_text("notify")

    await field.fill("-3")
    await form.get_by_role("button", name="Put").click()
    await expect(page.get_by_text("Not changed: push_max_members -3")).to_be_visible()
    mishaps.forgive("422")
    await form.get_by_role("button", name="Take back").click()
    await expect(form).to_contain_text("In force: 200, default")
    assert service.node.settings.delivery.push_max_members == 200


async def test_every_delivery_setting_can_be_changed_in_its_row(page: Page, service: LocalService) -> None:
    await log_in(page, service, "policy")
    row = page.get_by_role("row").filter(has=page.get_by_text("notify_away_ms", exact=True))

    await row.get_by_role("textbox").fill("5000")
    await row.get_by_role("button", name="Put").click()

    await expect(row.get_by_role("cell").nth(1)).to_have_text("5000")
    await expect(row).to_contain_text("put here")
    assert service.node.settings.delivery.notify_away_ms == 5_000


async def test_a_session_that_is_ended_closes_its_device(page: Page, service: LocalService) -> None:
    phone, laptop = await service.device("ann", "phone"), await service.device("ann", "laptop")
    await log_in(page, service, "sessions")
    await page.get_by_label("Find a user by id").fill("ann")
    await page.keyboard.press("Enter")
    end = page.get_by_role("button", name="End the session on phone")

    await end.click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await end.click()
    await page.get_by_role("dialog").get_by_role("button", name="End").click()

    assert (await phone.closed())[0] == 4403
    await expect(end).to_have_count(0)
    await expect(page.get_by_role("button", name="End the session on laptop")).to_be_visible()
    await laptop.say("ping", t=1)
    await laptop.hear("pong", t=1)


async def test_dead_letters_are_requeued_one_by_one_and_all(page: Page, service: LocalService) -> None:
    await give_up(service, "team", "tea", "hall")
    await log_in(page, service, "offline")
    tiles, rows = page.locator(".tile"), page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    await expect(page.get_by_text("Nobody is notified by the node that answers")).to_be_visible()

    await page.get_by_role("button", name="Requeue team").click()
    await expect(rows).to_have_count(2)
    await expect(tiles.filter(has_text="Due later")).to_contain_text("1")
    await page.get_by_role("button", name="Requeue all").click()
    await page.get_by_role("dialog").get_by_role("button", name="Requeue all").click()

    await expect(page.get_by_text("None was given up.")).to_be_visible()
    counts = await service.node.store.jobs.counts()
    assert (counts.due, counts.dead) == (3, 0)


# ------------------------------------------------------------------------------------------------ who can use it


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))])
async def test_axe_finds_nothing_serious_in_any_view(
    open_context: OpenContext, serve: Serve, scheme: str, rules: tuple[str, ...]
) -> None:
    service = await serve(delivery={"ack_wait_ms": 50, "max_deliver": 1_000})
    await busy_team(service)
    await give_up(service, "team", "tea")
    page = await (await open_context(color_scheme=scheme)).new_page()
    await page.goto(f"{service.url}/console")
    found = await serious_violations(page, *rules)
    await log_in(page, service)

    for view, filled in FILLED.items():
        await page.goto(f"{service.url}/console#/{view}")
        await expect(page.locator(filled).first).to_be_visible()
        found += [f"{view}: {each}" for each in await serious_violations(page, *rules)]

    assert found == []


async def test_at_a_phones_width_nothing_is_cut_off_and_everything_can_be_reached(
    open_context: OpenContext, service: LocalService
) -> None:
    await busy_team(service, "a-conversation-with-a-rather-long-name." + "x" * 60)
    await service.room("team", "ann")
    await give_up(service, "team", "y" * 120)
    page = await (await open_context(viewport=PHONE, has_touch=True)).new_page()
    await log_in(page, service)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    for name in ("Conversations", "Policy", "Sessions", "Offline", "Overview"):
        filled = FILLED[name.lower()]
        await page.get_by_role("navigation").get_by_role("link", name=name).tap()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        await expect(page.locator(filled).first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        assert await page.evaluate(CUT_OFF) == [], name
        link = page.get_by_role("navigation").get_by_role("link", name=name)
        assert await link.evaluate("link => link.scrollWidth <= link.clientWidth"), name


@pytest.mark.parametrize("width", [800, 1024, 1280])
async def test_tables_have_the_room_they_need_at_any_width(
    open_context: OpenContext, service: LocalService, width: int
) -> None:
    await busy_team(service)
    await give_up(service, "team")
    page = await (await open_context(viewport={"width": width, "height": 700})).new_page()
    await log_in(page, service)

    for view, filled in FILLED.items():
        await page.goto(f"{service.url}/console#/{view}")
        await expect(page.locator(filled).first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert await page.evaluate(CUT_OFF) == [], view


async def test_a_session_is_ended_by_keyboard_alone(page: Page, service: LocalService) -> None:
    phone = await service.device("ann")
    press = page.keyboard.press
    await page.goto(f"{service.url}/console")
    await expect(page.get_by_label("Server key")).to_be_focused()
    await page.keyboard.type(API_KEY)
    await press("Enter")
    await expect(page.get_by_role("heading", name="Overview")).to_be_focused()
    await press("Shift+Tab")  # the last of what comes before the view
    await expect(page.get_by_role("button", name="Forget key")).to_be_focused()
    for _ in range(2):
        await press("Shift+Tab")
    await expect(page.get_by_role("link", name="Sessions")).to_be_focused()
    await press("Enter")
    await expect(page.get_by_role("heading", name="Sessions")).to_be_focused()
    await press("Tab")
    await page.keyboard.type("ann")
    await press("Enter")
    await expect(page.get_by_role("heading", name="ann")).to_be_focused()
    await expect(page.get_by_role("button", name="End the session on phone")).to_be_visible()
    for _ in range(3):
        await press("Tab")
    await expect(page.get_by_role("button", name="End the session on phone")).to_be_focused()
    await press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    await press("Tab")
    await press("Enter")

    assert (await phone.closed())[0] == 4403
    await expect(page.get_by_text("This user is not connected.")).to_be_visible()
    await expect(page.locator(".listing")).to_be_focused()  # and not the top of the page


async def test_who_skips_to_the_content_stays_in_the_view(page: Page, service: LocalService) -> None:
    await log_in(page, service, "policy")
    await page.get_by_role("link", name="Skip to content").focus()
    await page.keyboard.press("Enter")

    await expect(page.locator("main")).to_be_focused()
    assert page.url.endswith("#/policy")
