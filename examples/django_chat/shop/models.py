"""The app's own database. It alone says who belongs to which conversation."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models


def uid_of(user: User) -> str:
    """The user in the chat: a name that never changes, unlike a username, and is never given to somebody else."""
    return f"user-{user.pk}"


class Order(models.Model):
    dish = models.CharField(max_length=100)
    customer = models.ForeignKey(User, models.CASCADE, related_name="orders")
    driver = models.ForeignKey(User, models.SET_NULL, null=True, related_name="rides")

    @property
    def cid(self) -> str:
        return f"order-{self.pk}"

    @property
    def members(self) -> set[str]:
        people = {self.customer, *User.objects.filter(is_staff=True)}
        return {uid_of(user) for user in (people | {self.driver} if self.driver else people)}


class WebhookCall(models.Model):
    """A call of pushpull's that was taken. One whose answer got lost comes again under the same event."""

    event = models.CharField(max_length=100, unique=True)


class Notification(models.Model):
    """What a phone is to show. Here your app has a queue to APNs, FCM or Web Push."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notifications")
    text = models.CharField(max_length=200)


class Forgotten(models.Model):
    """A user who was deleted here, and is to be in the chat. Kept as long as backups are: after one was restored all of
    them are asked for again."""

    uid = models.CharField(max_length=128, unique=True)
    done = models.BooleanField(default=False)
