"""When the database changes, so does the chat: after the commit, or a rollback would leave the two apart.

Should pushpull be away at that moment, the change in the database stands and the error is logged; `manage.py
sync_chat`, run every so often, makes up for it.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from shop import chat
from shop.models import Forgotten, Order, uid_of


@receiver(post_save, sender=Order)
def on_order_saved(instance: Order, **_: Any) -> None:
    transaction.on_commit(lambda: chat.bring_up_to_date(instance), robust=True)


@receiver(post_delete, sender=Order)
def on_order_deleted(instance: Order, **_: Any) -> None:
    cid = instance.cid  # the instance loses its key when it is deleted
    transaction.on_commit(lambda: chat.close(cid), robust=True)


@receiver(post_delete, sender=User)
def on_user_deleted(instance: User, **_: Any) -> None:
    uid = uid_of(instance)
    Forgotten.objects.get_or_create(uid=uid)  # in the same transaction: it is not forgotten to forget
    transaction.on_commit(lambda: chat.forget(uid), robust=True)


@receiver(user_logged_out)
def on_logged_out(user: User | None, **_: Any) -> None:
    if user is not None:
        transaction.on_commit(lambda: chat.sign_out(user), robust=True)
