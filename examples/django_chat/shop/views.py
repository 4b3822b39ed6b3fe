"""What the page and pushpull call."""

from __future__ import annotations

import json

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from standardwebhooks import Webhook, WebhookVerificationError

from shop import chat
from shop.models import Notification, Order, WebhookCall, uid_of


@require_GET
@ensure_csrf_cookie
def page(request: HttpRequest) -> FileResponse:
    return FileResponse((settings.BASE_DIR.parent / "page.html").open("rb"))


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    given = json.loads(request.body)
    user = authenticate(request, username=given["user"], password=given["password"])
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return HttpResponse(status=204)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse(status=204)


@require_GET
@never_cache
def chat_token(request: HttpRequest) -> HttpResponse:
    """What lets this user's device into the chat, for the next ten minutes."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return JsonResponse({"token": chat.token_for(request.user)})


@require_GET
def me(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    orders = [{"cid": order.cid, "dish": order.dish} for order in request.user.orders.all()]
    return JsonResponse({"user": uid_of(request.user), "chat_url": settings.PUSHPULL_PUBLIC_URL, "orders": orders})


@require_POST
def place_order(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    order = Order.objects.create(customer=request.user, dish=json.loads(request.body)["dish"])
    return JsonResponse({"cid": order.cid}, status=201)


@require_http_methods(["PUT"])
def assign_driver(request: HttpRequest, number: int) -> HttpResponse:
    if not request.user.is_staff:
        return HttpResponse(status=404)
    order = get_object_or_404(Order, pk=number)
    order.driver = get_object_or_404(User, username=json.loads(request.body)["driver"])
    order.save()
    return HttpResponse(status=204)


@csrf_exempt  # no browser comes here: the signature says who asks
@require_POST
def hook(request: HttpRequest) -> HttpResponse:
    """pushpull says who is away and has something unread."""
    try:
        call = Webhook(settings.PUSHPULL_WEBHOOK_SECRET).verify(request.body, dict(request.headers.items()))
    except WebhookVerificationError:
        return HttpResponse(status=401)
    with transaction.atomic():  # the id is remembered and the work is queued, or neither
        _, is_new = WebhookCall.objects.get_or_create(event=request.headers["webhook-id"])
        if is_new:
            _queue_notifications(call["data"])
    return HttpResponse(status=204)


def _queue_notifications(data: dict) -> None:
    unread = {user["user"]: user["unread"] for user in data["users"]}
    wanted = [int(uid.removeprefix("user-")) for uid in unread]
    Notification.objects.bulk_create(
        Notification(user=user, text=f"{unread[uid_of(user)]} unread in {data['cid']}")
        for user in User.objects.filter(pk__in=wanted)
    )
