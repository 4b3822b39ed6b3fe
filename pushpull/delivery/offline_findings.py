"""Whether a user who was away was notified of a message, and why not."""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.delivery.trace import Facts


def of_offline(facts: Facts) -> Iterator[tuple[str, str]]:
    """Codes and what they say, in order: nothing where it was read (or delivered, as offline.withdraw_by has it), or is
    the user's own. What rules a notification out comes alone."""
    if facts.offline.withdrawn or facts.message.sender == facts.user.user:
        return
    ruled_out = _ruled_out(facts)
    if ruled_out is not None:
        yield ruled_out
    else:
        yield from _told(facts)


def _ruled_out(facts: Facts) -> tuple[str, str] | None:
    message, at, user = facts.message, facts.conversation, facts.user
    if message.quiet:
        return "quiet", "the message is quiet: it does not count as unread, and nobody is notified of it"
    if not facts.offline.enabled:
        return "offline_off", "nobody is notified while away: no webhook is named"
    if at.notifies == "none" or (at.notifies == "mentions" and not message.mentioned):
        return "not_notified", f"of this conversation absent members are notified of {_level(at.notifies)}"
    if user.mute_until is not None and user.mute_until > facts.at:
        return "muted", f"{user.user} has muted the conversation"
    if user.notify == "none" or (user.notify == "mentions" and not message.mentioned):
        return "muted", f"{user.user} wants to be notified of {_level(user.notify)} here"
    return None


def _level(level: str) -> str:
    return "mentions alone" if level == "mentions" else "nothing"


def _told(facts: Facts) -> Iterator[tuple[str, str]]:
    offline, seq, user = facts.offline, facts.message.seq or 0, facts.user.user
    if offline.event is not None:
        yield "notification_under_way", f"event {offline.event} names {user}, and was not taken by the webhook yet"
    elif offline.told is not None and offline.told >= seq:
        yield "notified", f"the webhook was told of {user} when the head was {offline.told}"
    elif offline.outstanding:
        yield (
            "notified_before",
            f"{user} was notified when the head was {offline.told}, and has not come that far since",
        )
    elif offline.job or offline.due_at is not None:
        tries = f", after {offline.failed_tries} tries that failed" if offline.failed_tries else ""
        yield "notification_waiting", f"whether {user} is to be notified is looked at soon{tries}"
    since = facts.message.ts or 0
    for letter in [letter for letter in offline.letters if letter.at >= since][:1]:
        yield "notification_failed", f"a notification was given up after {letter.tries} tries: {letter.why}"
