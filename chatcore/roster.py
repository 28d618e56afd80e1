"""Who is here and who is away, as one client sees it, and what of it is news.  Pure.

Presence is what the relay and the links let us see: a claim about where people are, never about who may read.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatcore.clock import Moment
from chatcore.events import Member, Presence, PresenceChanged, RosterChanged
from chatcore.members import Members

# After our own reconnect the others have so long to be found again before they count as gone.  A relay that is started
# anew tells one to come back after 2 s and another after 15, which who waits makes up to a quarter longer.
RECONNECT_GRACE_S = 25.0


class Roster:
    """The list of people in the window."""

    def __init__(self, fp: bytes) -> None:
        self._fp = fp
        self._presence: dict[bytes, Presence] = {}
        self._since_ms: dict[bytes, int] = {}
        self._before: set[bytes] = set()  # here when our connection broke
        self._grace_s: float | None = None
        self._shown: tuple[Member, ...] = ()

    def disconnect(self) -> None:
        """Our own connection is gone: nobody can be seen, and that says nothing about them."""
        self._before |= {fp for fp, presence in self._presence.items() if presence is Presence.HERE}
        self._grace_s = None

    def reconnect(self, now: Moment) -> None:
        """We have a seat again."""
        self._grace_s = now.s + RECONNECT_GRACE_S

    def next_tick(self) -> float | None:
        """Return when those who haven't come back are to be reported, in monotonic seconds."""
        return self._grace_s if self._before and self._grace_s is not None else None

    def update(
        self, members: Members, seen: dict[bytes, Presence], silent: Iterable[bytes], *, connected: bool, now: Moment
    ) -> list[RosterChanged | PresenceChanged]:
        """Work out the roster and what changed.

        `seen` has those with a link; the others are away.  `silent` are those who were here before us: that they are
        here isn't news.  While not `connected` presences change without being told.
        """
        quiet = set(silent)
        grace_over = self._grace_s is not None and now.s >= self._grace_s
        fps = members.fps() | {self._fp}
        news: list[RosterChanged | PresenceChanged] = []
        for fp in sorted(fps - {self._fp}):
            presence = seen.get(fp, Presence.AWAY)
            was = self._presence.get(fp, Presence.AWAY)
            if presence is not was:
                self._presence[fp] = presence
                self._since_ms[fp] = now.ms
            returned = presence is Presence.HERE and fp in self._before
            missing = connected and grace_over and fp in self._before and presence is Presence.AWAY
            here_again = presence is Presence.HERE and was is not Presence.HERE and not returned and fp not in quiet
            gone = presence is Presence.AWAY and was is Presence.HERE and connected and fp not in self._before
            if missing or here_again or gone:
                news.append(PresenceChanged(fp, members.nick(fp), presence, now.ms))
            if returned or missing:
                self._before.discard(fp)
        if connected and grace_over:
            self._before.clear()
        for fp in self._presence.keys() - fps:
            del self._presence[fp]
        self._before &= fps
        shown = self._snapshot(members, fps)
        if shown != self._shown:
            self._shown = shown
            news.append(RosterChanged(shown))
        return news

    def _snapshot(self, members: Members, fps: Iterable[bytes]) -> tuple[Member, ...]:
        people = [
            Member(
                fp,
                members.nick(fp),
                Presence.SELF if fp == self._fp else self._presence.get(fp, Presence.AWAY),
                fp == members.owner,
                self._since_ms.get(fp, 0),
            )
            for fp in fps
        ]
        return tuple(sorted(people, key=lambda one: (one.fp != self._fp, one.nick.casefold(), one.fp)))
