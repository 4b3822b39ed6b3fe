"""A shop with a chat to each order: customer, kitchen and driver. FastAPI in front, pushpull beside it.

The app knows who somebody is and who belongs to which order. It makes conversations and their members as orders
change, hands each signed-in user a token for the chat, and is told who has not read what. Messages go between devices
and pushpull and never through here. docs/fastapi.md takes it apart.

    cd examples/fastapi_chat
    uvicorn --factory app:create_app --port 8001
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from standardwebhooks import Webhook, WebhookVerificationError

from pushpull.client import AsyncServer
from pushpull.errors import NoSuchConversation

TOKEN_S = 600  # short: whoever is signed out gets no next one
REMEMBERED = 100_000  # webhook ids; in your app: a table with a unique column

router = APIRouter()


@dataclass
class Order:
    """A row of the app's own database. It alone says who belongs to the conversation."""

    number: int
    customer: str
    dish: str
    driver: str | None = None

    @property
    def cid(self) -> str:
        return f"order-{self.number}"

    @property
    def members(self) -> set[str]:
        return {"kitchen", self.customer, *([self.driver] if self.driver else [])}


class Shop:
    """What stands in for the app's database and sessions: this one forgets everything when it ends."""

    def __init__(self, chat: AsyncServer, chat_url: str, webhook: Webhook) -> None:
        self.chat = chat
        self.chat_url = chat_url  # where browsers find pushpull
        self.webhook = webhook
        self.orders: dict[int, Order] = {}
        self.sessions: dict[str, str] = {}
        self.pushed: list[str] = []
        self.numbers = itertools.count(1)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def orders_of(self, user: str) -> list[Order]:
        return [order for order in self.orders.values() if user in order.members]

    def is_new(self, event: str) -> bool:
        """Whether this webhook call was not here before: an answer may be lost, and the call come again."""
        if event in self._seen:
            return False
        self._seen[event] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def push(self, user: str, text: str) -> None:
        """Here your app calls APNs, FCM or Web Push."""
        self.pushed.append(f"{user}: {text}")


def the_shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


TheShop = Annotated[Shop, Depends(the_shop)]


def signed_in(shop: TheShop, session: Annotated[str | None, Cookie()] = None) -> str:
    """Who asks. Your app has this already; all that matters is that it is sure of the answer."""
    user = shop.sessions.get(session or "")
    if user is None:
        raise HTTPException(401, "sign in first")
    return user


User = Annotated[str, Depends(signed_in)]


class Credentials(BaseModel):
    user: str = Field(pattern=r"^[a-z]{1,32}$")  # within what pushpull takes as a uid


@router.post("/login", status_code=204)
async def login(credentials: Credentials, shop: TheShop, response: Response) -> None:
    """Stands in for your own: this one believes everybody."""
    session = secrets.token_urlsafe()
    shop.sessions[session] = credentials.user
    response.set_cookie("session", session, httponly=True, samesite="lax")


@router.get("/chat-token")
async def chat_token(user: User, shop: TheShop, response: Response) -> dict[str, str]:
    """What lets this user's device into the chat, for the next ten minutes."""
    response.headers["Cache-Control"] = "no-store"
    return {"token": shop.chat.token(user, ttl_s=TOKEN_S)}


@router.get("/me")
async def me(user: User, shop: TheShop) -> dict[str, Any]:
    orders = [{"cid": order.cid, "dish": order.dish} for order in shop.orders_of(user)]
    return {"user": user, "chat_url": shop.chat_url, "orders": orders}


class NewOrder(BaseModel):
    dish: str = Field(min_length=1, max_length=100)


@router.post("/orders", status_code=201)
async def place_order(wanted: NewOrder, user: User, shop: TheShop) -> dict[str, str]:
    order = Order(next(shop.numbers), user, wanted.dish)
    shop.orders[order.number] = order
    await open_chat(shop.chat, order)
    return {"cid": order.cid}


async def open_chat(chat: AsyncServer, order: Order) -> None:
    """Make the order's conversation and its members what the order says. It may be called again at any time."""
    settings = {"data": {"title": f"Order {order.number}: {order.dish}"}}
    stands = await chat.put_conversation(order.cid, settings=settings)
    await keep_in_step(chat, order)
    if stands["head"] == 0:  # nothing was said yet
        await chat.send(order.cid, {"text": f"{order.dish} for {order.customer}"}, cmid=f"{order.cid}-placed")


class NewDriver(BaseModel):
    driver: str = Field(pattern=r"^[a-z]{1,32}$")


@router.put("/orders/{number}/driver", status_code=204)
async def assign_driver(number: int, new: NewDriver, user: User, shop: TheShop) -> None:
    order = shop.orders.get(number)
    if order is None or user != "kitchen":
        raise HTTPException(404)
    order.driver = new.driver
    await keep_in_step(shop.chat, order)


async def keep_in_step(chat: AsyncServer, order: Order) -> None:
    """Make the conversation's members those of the order. Whoever is removed reads nothing more from here on."""
    members = {member["user"] async for member in chat.members(order.cid)}
    if gone := members - order.members:
        await chat.remove_members(order.cid, sorted(gone))
    if new := order.members - members:
        await chat.add_members(order.cid, sorted(new))


@router.delete("/orders/{number}", status_code=204)
async def cancel_order(number: int, user: User, shop: TheShop) -> None:
    order = shop.orders.get(number)
    if order is None or user not in order.members:
        raise HTTPException(404)
    with contextlib.suppress(NoSuchConversation):  # an earlier try got so far
        await shop.chat.delete_conversation(order.cid)
    del shop.orders[number]


@router.delete("/sessions", status_code=204)
async def sign_out_everywhere(user: User, shop: TheShop) -> None:
    """End this user's sessions, here and in the chat. A token that is still good could open another until it ends."""
    shop.sessions = {session: owner for session, owner in shop.sessions.items() if owner != user}
    await shop.chat.kick(user)


@router.post("/hooks/pushpull", status_code=204)
async def hook(request: Request, shop: TheShop, later: BackgroundTasks) -> None:
    """pushpull says who is away and has something unread."""
    body = await request.body()
    try:
        call = shop.webhook.verify(body, dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(401) from None
    if shop.is_new(request.headers["webhook-id"]):
        cid = call["data"]["cid"]
        for user in call["data"]["users"]:
            later.add_task(shop.push, user["user"], f"{user['unread']} unread in {cid}")


@router.get("/pushed")
async def pushed(user: User, shop: TheShop) -> list[str]:
    """What this user's phone would have shown."""
    return [text for text in shop.pushed if text.startswith(f"{user}: ")]


@router.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).parent.parent / "page.html")


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.shop.chat.close()


def create_app() -> FastAPI:
    """The app, as the environment says: where pushpull is, and the three secrets they share."""
    url = os.environ["PUSHPULL_URL"]
    app = FastAPI(lifespan=lifespan)
    app.state.shop = Shop(
        AsyncServer(url, os.environ["PUSHPULL_API_KEY"], jwt_secret=os.environ["PUSHPULL_JWT_SECRET"]),
        os.environ.get("PUSHPULL_PUBLIC_URL", url),
        Webhook(os.environ["PUSHPULL_WEBHOOK_SECRET"]),
    )
    app.include_router(router)
    return app
