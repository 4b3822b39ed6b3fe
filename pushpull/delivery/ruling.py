"""What the policy says of one conversation at the moment, kept between the looks at it.

Size, rate and load put a conversation on one side of each edge; where it stands decides, together with what a session
says of its screen. All sessions are judged from the same standing, so that none is moved without the others.
"""

from __future__ import annotations

from pushpull.delivery.policy import Decision, Focus, Situation, Standing, choose, stand
from pushpull.delivery.rate import Rate
from pushpull.model import ConversationSettings
from pushpull.settings import Delivery


class Ruling:
    __slots__ = ("_before", "_decisions", "_load", "_members", "_own", "_rate", "_settings", "standing")

    def __init__(self, *, members: int, own: ConversationSettings, seq: int, settings: Delivery) -> None:
        """For a conversation of so many members, with its own settings, whose head is at `seq`."""
        self._members, self._own, self._settings = members, own, settings
        self._rate = Rate(seq)
        self._load = 0.0
        self._before: Standing | None = None
        self._decisions: dict[Focus, Decision] = {}  # made when somebody asks; one for each Focus at the most
        self.standing = stand(self._situation(), before=None, settings=settings)

    @property
    def rate(self) -> float:
        """Messages a second, lately."""
        return self._rate.per_s

    def of(self, focus: Focus) -> Decision:
        """How a session gets the conversation that has said so of its screen."""
        decision = self._decisions.get(focus)
        if decision is None:
            decision = self._decisions[focus] = self._choose(focus)
        return decision

    def explained(self, focus: Focus) -> Decision:
        """`of`, with the figures of this moment in its `why`: the edge may have been passed a while ago."""
        return self._choose(focus)

    def of_slow(self) -> Decision:
        """How a session gets it that does not keep up."""
        return self._choose(Focus.UNSAID, slow=True)

    def look(self, seq: int, *, load: float, now: float) -> bool:
        """The head is at `seq` and the node so busy, 0 to 1. True when some sessions may be served otherwise now."""
        self._rate.look(seq, now)
        self._load = load
        standing = stand(self._situation(), before=self.standing, settings=self._settings)
        if standing == self.standing:
            return False
        self._take(standing)
        return True

    def rests(self) -> bool:
        """Whether nothing more is to be seen here until a message comes; then the next look begins anew."""
        quiet = self._rate.quiet and not self.standing.busy
        if quiet:
            self._rate.rest()
        return quiet

    def judge(self, *, members: int, own: ConversationSettings, settings: Delivery) -> None:
        """Members, the conversation's settings or the service's are others than before."""
        self._members, self._own, self._settings = members, own, settings
        self._take(stand(self._situation(), before=self.standing, settings=settings))

    def _take(self, standing: Standing) -> None:
        self._before, self.standing = self.standing, standing
        self._decisions.clear()

    def _choose(self, focus: Focus, *, slow: bool = False) -> Decision:
        situation = self._situation(focus, slow=slow)
        return choose(situation, standing=self.standing, before=self._before, settings=self._settings)

    def _situation(self, focus: Focus = Focus.UNSAID, *, slow: bool = False) -> Situation:
        return Situation(
            members=self._members, own=self._own, rate=self._rate.per_s, load=self._load, focus=focus, slow=slow
        )
