"""manage.py sync_chat: brings every order's conversation in step with the database, as often as you like."""

from typing import Any

from django.core.management.base import BaseCommand

from pushpull.errors import PushpullError
from shop import chat
from shop.models import Order


class Command(BaseCommand):
    help = "Make the conversations and their members what the orders say."

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for order in Order.objects.iterator():
            try:
                chat.bring_up_to_date(order)
            except PushpullError as error:
                failed += 1
                self.stderr.write(f"{order.cid}: {error}")
        self.stdout.write(f"{Order.objects.count() - failed} conversations are in step, {failed} are not")
