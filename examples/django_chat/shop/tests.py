"""The shop against a real pushpull, over real sockets: `manage.py test`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import httpx2
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import LiveServerTestCase, override_settings

from pushpull import testing
from pushpull.client import connect
from shop import chat
from shop.models import Forgotten, Notification, Order, uid_of


@contextmanager
def nobody_there() -> Iterator[None]:
    """pushpull cannot be reached."""
    with override_settings(PUSHPULL_URL="http://127.0.0.1:9"):
        chat.server.cache_clear()
        try:
            yield
        finally:
            chat.server.cache_clear()


@override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])  # tests need no slow one
class ShopTest(LiveServerTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        hook = f"{cls.live_server_url}/hooks/pushpull"
        fast = {"offline__delay_s": 0.5, "idempotency__window_s": 1}
        cls.pushpull = cls.enterClassContext(testing.service(offline__webhook_url=hook, **fast))
        cls.enterClassContext(
            override_settings(
                PUSHPULL_URL=cls.pushpull.url,
                PUSHPULL_API_KEY=cls.pushpull.api_key,
                PUSHPULL_JWT_SECRET=cls.pushpull.jwt_secret,
                PUSHPULL_WEBHOOK_SECRET=cls.pushpull.webhook_secret,
            )
        )
        chat.server.cache_clear()

    def setUp(self) -> None:
        self.kitchen = User.objects.create_user("kitchen", password="kitchen", is_staff=True)
        self.ann = User.objects.create_user("ann", password="ann")
        self.dan = User.objects.create_user("dan", password="dan")

    @contextmanager
    def signed_in(self, name: str) -> Iterator[httpx2.Client]:
        with httpx2.Client(base_url=self.live_server_url) as browser:
            browser.get("/")
            browser.headers["X-CSRFToken"] = browser.cookies["csrftoken"]
            assert browser.post("/login", json={"user": name, "password": name}).status_code == 204
            browser.headers["X-CSRFToken"] = browser.cookies["csrftoken"]  # a new one after signing in
            yield browser

    def members(self, cid: str) -> set[str]:
        return {member["user"] for member in chat.server().members(cid)}

    def test_customer_and_kitchen_talk_about_an_order(self) -> None:
        with self.signed_in("ann") as ann, self.signed_in("kitchen") as kitchen:
            cid = ann.post("/orders", json={"dish": "soup"}).json()["cid"]
            tokens = [browser.get("/chat-token").json()["token"] for browser in (ann, kitchen)]

        async def talk() -> list[str]:
            async with (
                connect(self.pushpull.url, token=tokens[0], device="phone") as phone,
                connect(self.pushpull.url, token=tokens[1], device="tablet", unnamed="all") as tablet,
            ):
                await phone.send(cid, {"text": "No onions, please"})
                received = tablet.messages()
                return [(await anext(received)).body["text"] for _ in range(2)]

        self.assertEqual(asyncio.run(asyncio.wait_for(talk(), 20)), ["soup for ann", "No onions, please"])

    def test_who_is_away_is_notified_once(self) -> None:
        order = Order.objects.create(customer=self.ann, dish="tea")
        give_up = time.monotonic() + 20
        while Notification.objects.count() < 2:
            self.assertLess(time.monotonic(), give_up, "no notification came")
            time.sleep(0.05)

        told = {(each.user.username, each.text) for each in Notification.objects.all()}
        self.assertEqual(told, {(name, f"1 unread in {order.cid}") for name in ("ann", "kitchen")})

    def test_a_call_without_the_signature_is_refused(self) -> None:
        answer = httpx2.post(f"{self.live_server_url}/hooks/pushpull", json={"data": {"users": []}})
        self.assertEqual(answer.status_code, 401)

    def test_members_follow_the_database(self) -> None:
        order = Order.objects.create(customer=self.ann, dish="rice")
        self.assertEqual(self.members(order.cid), {uid_of(self.ann), uid_of(self.kitchen)})
        with self.signed_in("kitchen") as kitchen:
            kitchen.put(f"/orders/{order.pk}/driver", json={"driver": "dan"})
        self.assertIn(uid_of(self.dan), self.members(order.cid))

        order.driver = None
        order.save()
        self.assertEqual(self.members(order.cid), {uid_of(self.ann), uid_of(self.kitchen)})

    def test_who_is_deleted_here_is_deleted_there_also_after_an_outage(self) -> None:
        order = Order.objects.create(customer=self.ann, dish="cake", driver=self.dan)
        uid = uid_of(self.dan)
        chat.server().send(order.cid, {"text": "On my way"}, sender=uid)
        with nobody_there(), self.assertLogs("django.db.backends.base", "ERROR"):
            self.dan.delete()

        give_up = time.monotonic() + 20
        while Forgotten.objects.filter(done=False).exists():
            self.assertLess(time.monotonic(), give_up, "it was not done")
            call_command("sync_chat", stdout=StringIO())

        self.assertNotIn(uid, self.members(order.cid))
        self.assertNotIn(uid, [message.sender for message in chat.server().messages(order.cid)])

    def test_what_was_missed_while_pushpull_was_away_is_made_up_for(self) -> None:
        with nobody_there(), self.assertLogs("django.db.backends.base", "ERROR"):
            order = Order.objects.create(customer=self.ann, dish="bread")

        said = StringIO()
        call_command("sync_chat", stdout=said)

        self.assertEqual(said.getvalue(), "1 conversations and users are in step, 0 are not\n")
        self.assertEqual(self.members(order.cid), {uid_of(self.ann), uid_of(self.kitchen)})
        self.assertEqual([message.body["text"] for message in chat.server().messages(order.cid)], ["bread for ann"])

    def test_the_command_says_nothing_twice(self) -> None:
        order = Order.objects.create(customer=self.ann, dish="fish")
        time.sleep(2.5)  # by now the cmid of the first message is forgotten
        call_command("sync_chat", stdout=StringIO())

        self.assertEqual([message.body["text"] for message in chat.server().messages(order.cid)], ["fish for ann"])
