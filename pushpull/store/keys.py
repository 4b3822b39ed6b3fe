"""Every key and channel the service uses in Redis, built here and nowhere else.

All keys of a conversation carry the hash tag `{c:<cid>}`, all of a user `{u:<uid>}`, all of a shard of offline jobs
`{jobs:<n>}`, so that a script which names keys of one of them runs on one slot. Neither cids nor uids can hold a brace.
"""

from __future__ import annotations

from dataclasses import dataclass

from pushpull.errors import ConfigError
from pushpull.model import Cid, Uid

_TAG_BREAKERS = frozenset("{}*?[]\\ \r\n")

_PLAIN = ("nodes", "schema", "control", "policy", "sweep:lock", "deletions")
_STARTS = ("{c:", "{u:", "{jobs:", "report:", "answers:", "probe:")

_APPENDED = ("meta", "log", "members", "roles", "delivered", "read", "quiet", "mentions", "redacted", "edits")


def tag_of(cid: Cid) -> str:
    """The hash tag of a conversation's keys."""
    return f"c:{cid}"


def tag_of_user(uid: Uid) -> str:
    """The hash tag of a user's keys."""
    return f"u:{uid}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix. The prefix must not hold braces, glob signs or blanks: ConfigError."""

    prefix: str = ""

    def __post_init__(self) -> None:
        if _TAG_BREAKERS & set(self.prefix):
            raise ConfigError(f"redis.prefix {self.prefix!r} must not hold braces, glob signs, backslashes or blanks")

    def _conversation(self, cid: Cid, part: str) -> str:
        return f"{self.prefix}{{c:{cid}}}:{part}"

    def log(self, cid: Cid) -> str:
        return self._conversation(cid, "log")

    def meta(self, cid: Cid) -> str:
        return self._conversation(cid, "meta")

    def members(self, cid: Cid) -> str:
        return self._conversation(cid, "members")

    def roles(self, cid: Cid) -> str:
        return self._conversation(cid, "roles")

    def delivered(self, cid: Cid) -> str:
        return self._conversation(cid, "delivered")

    def read(self, cid: Cid) -> str:
        return self._conversation(cid, "read")

    def quiet(self, cid: Cid) -> str:
        return self._conversation(cid, "quiet")

    def mentions(self, cid: Cid) -> str:
        return self._conversation(cid, "mentions")

    def redacted(self, cid: Cid) -> str:
        return self._conversation(cid, "redacted")

    def edits(self, cid: Cid) -> str:
        return self._conversation(cid, "edits")

    def appended(self, cid: Cid, bucket: int) -> list[str]:
        """What an append may touch, in the order its script names it. Built in one go: it was half of making a call."""
        start = f"{self.prefix}{{c:{cid}}}:"
        return [start + part for part in (*_APPENDED, f"cmid:{bucket}", f"cmid:{bucket - 1}", "bell", "past")]

    def of_row(self, cid: Cid) -> list[str]:
        """What the script of rows looks at, in its order."""
        start = f"{self.prefix}{{c:{cid}}}:"
        return [  # each written out: as a comprehension it takes half as long again
            f"{start}meta",
            f"{start}members",
            f"{start}log",
            f"{start}redacted",
            f"{start}roles",
            f"{start}delivered",
            f"{start}read",
            f"{start}quiet",
            f"{start}mentions",
            f"{start}pending",
            f"{start}prefs",
        ]

    def pending(self, cid: Cid) -> str:
        return self._conversation(cid, "pending")

    def prefs(self, cid: Cid) -> str:
        return self._conversation(cid, "prefs")

    def past(self, cid: Cid) -> str:
        """Who is no member and may stand in the log: those who left, and those who were named without being one."""
        return self._conversation(cid, "past")

    def gone(self, cid: Cid) -> str:
        """The members of a conversation that was deleted, while they are taken off their lists."""
        return self._conversation(cid, "gone")

    def deleted(self, cid: Cid) -> str:
        """When a conversation of this name was deleted, until one is made anew: its log begins later."""
        return self._conversation(cid, "deleted")

    def copy(self, cid: Cid, token: str) -> str:
        """A log that is being written anew."""
        return self._conversation(cid, f"copy:{token}")

    def copied_edits(self, cid: Cid, token: str) -> str:
        """The edits in it: what they are of is redacted with them."""
        return self._conversation(cid, f"copy:{token}:edits")

    def told(self, cid: Cid) -> str:
        return self._conversation(cid, "told")

    def claim(self, cid: Cid) -> str:
        return self._conversation(cid, "claim")

    def jobs(self, shard: int, part: str) -> str:
        """What the offline notifications of one shard are kept in: `due`, `jobs`, `queued`, `tries` or `dead`."""
        return f"{self.prefix}{{jobs:{shard}}}:{part}"

    def cmids(self, cid: Cid, bucket: int) -> str:
        """The idempotency bucket of entries whose ms lies in [bucket × window, (bucket + 1) × window)."""
        return self._conversation(cid, f"cmid:{bucket}")

    def importing(self, cid: Cid) -> str:
        """How far an import of the conversation is, until all of it is here."""
        return self._conversation(cid, "import")

    def imported(self, cid: Cid, number: int, part: str) -> str:
        """What the conversation's import of that number has brought so far, kept apart: `log`, `members` …"""
        return self._conversation(cid, f"import:{number}:{part}")

    def bell(self, cid: Cid) -> str:
        return self._conversation(cid, "bell")

    def is_own(self, key: str) -> bool:
        """Whether the service may have made `key`."""
        name = key[len(self.prefix) :]
        return key.startswith(self.prefix) and (name in _PLAIN or name.startswith(_STARTS))

    def every_meta(self) -> str:
        """The SCAN pattern of all conversations' meta keys."""
        return f"{self.prefix}{{c:*}}:meta"

    def cid_of_meta(self, key: str) -> Cid:
        return Cid(key[len(self.prefix) + len("{c:") : -len("}:meta")])

    def conversations(self, uid: Uid) -> str:
        return f"{self.prefix}{{u:{uid}}}:conversations"

    def sessions(self, uid: Uid) -> str:
        return f"{self.prefix}{{u:{uid}}}:sessions"

    def revoked(self, uid: Uid) -> str:
        return f"{self.prefix}{{u:{uid}}}:revoked"

    def ended(self, uid: Uid) -> str:
        return f"{self.prefix}{{u:{uid}}}:ended"

    def devices(self, uid: Uid) -> str:
        return f"{self.prefix}{{u:{uid}}}:devices"

    def deletion(self, uid: Uid) -> str:
        """What is said of the user's deletion."""
        return f"{self.prefix}{{u:{uid}}}:deletion"

    def deleting(self, uid: Uid) -> str:
        """The conversations that a deletion has still to come to."""
        return f"{self.prefix}{{u:{uid}}}:deleting"

    def deletions(self) -> str:
        """The users whose deletion is asked for or under way."""
        return f"{self.prefix}deletions"

    def nodes(self) -> str:
        return f"{self.prefix}nodes"

    def report(self, node: str) -> str:
        return f"{self.prefix}report:{node}"

    def answers(self, question: str) -> str:
        return f"{self.prefix}answers:{question}"

    def control(self) -> str:
        return f"{self.prefix}control"

    def probe(self, node: str, tag: str = "") -> str:
        """The channel on which a node rings itself; with the hash tag of a shard's slots, on that shard."""
        return f"{self.prefix}probe:{node}" + (f":{{{tag}}}" if tag else "")

    def policy(self) -> str:
        return f"{self.prefix}policy"

    def schema(self) -> str:
        return f"{self.prefix}schema"

    def sweep_lock(self) -> str:
        return f"{self.prefix}sweep:lock"

    def write_probe(self, tag: str = "") -> str:
        """A key to try whether writing works; with the hash tag of a shard's slots, there."""
        return f"{self.prefix}probe:write" + (f":{{{tag}}}" if tag else "")
