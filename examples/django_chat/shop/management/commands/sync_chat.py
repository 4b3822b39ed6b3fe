"""manage.py sync_chat: brings every order's conversation in step with the database, as often as you like."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from pushpull.errors import PushpullError
from shop import chat
from shop.models import Forgotten, Order


class Command(BaseCommand):
    help = "Make the conversations and their members what the orders say, and finish deleting users."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--restored", action="store_true", help="after a restored backup: delete all users again")

    def handle(self, *args: Any, restored: bool = False, **options: Any) -> None:
        if restored:
            Forgotten.objects.update(done=False)
        done = [self._done(chat.bring_up_to_date, order, order.cid) for order in Order.objects.iterator()]
        done += [self._done(self._forget, user, user.uid) for user in Forgotten.objects.filter(done=False)]
        self.stdout.write(f"{done.count(True)} conversations and users are in step, {done.count(False)} are not")

    def _forget(self, user: Forgotten) -> None:
        user.done = chat.is_forgotten(user.uid)
        user.save()
        if not user.done:
            chat.forget(user.uid)

    def _done(self, step: Callable[[Any], None], what: Any, name: str) -> bool:
        try:
            step(what)
        except PushpullError as error:
            self.stderr.write(f"{name}: {error}")
            return False
        return True
