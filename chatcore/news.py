"""What of the others is news to a person: who belongs and who left, who is here, who keeps one waiting.  Pure.

Says nothing twice; what follows for messages and links is for the room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from chatcore import events
from chatcore.clock import Moment
from chatcore.events import AlarmKind, Presence, RoomEvent
from chatcore.members import Members
from chatcore.roster import Roster
from chatcore.talk import Talk

RECENT_MS = 5_000  # a statement older than one's own coming by more than this is history, not news


class News:
    """Tells by `emit` what has changed since it was told last."""

    def __init__(self, fp: bytes, members: Members, emit: Callable[[RoomEvent], None], now: Moment) -> None:
        self._fp, self._members, self._emit = fp, members, emit
        self._roster = Roster(fp)
        self._opened_ms = now.ms
        self._known: frozenset[bytes] = frozenset()
        self._waiting: events.Waiting | None = None
        self._alarms: set[tuple[AlarmKind, bytes]] = set()

    # -- the connection

    def connect(self) -> None:
        """A connection is begun."""
        self._alarms.clear()

    def reconnect(self, now: Moment) -> None:
        """We have a seat: those who were here will be back soon, or are gone."""
        self._roster.reconnect(now)

    def disconnect(self) -> None:
        """Our own connection is gone: nobody can be seen, and that says nothing about them."""
        self._roster.disconnect()

    def alarm(self, kind: AlarmKind, fp: bytes, nick: str) -> None:
        """Tell of something that shouldn't be."""
        if (kind, fp) not in self._alarms:  # once a connection: they try again and again, and it is the same news
            self._alarms.add((kind, fp))
            self._emit(events.Alarm(kind, fp, nick))

    # -- who belongs

    def turnover(self) -> tuple[list[bytes], list[bytes]]:
        """Return who belongs to the room, and who no more, since the last call; oneself isn't among them."""
        known, self._known = self._known, self._members.fps()
        return sorted(self._known - known - {self._fp}), sorted(known - self._known - {self._fp})

    def joined(self, fp: bytes, now: Moment) -> None:
        """Tell who belongs now, unless it is history."""
        since_ms = self._members.member_since_ms(fp)
        if since_ms >= self._opened_ms - RECENT_MS:
            self._emit(events.MemberJoined(fp, self._members.nick(fp), min(since_ms, now.ms)))

    def left(self, fp: bytes, now: Moment) -> None:
        """Tell who doesn't belong any more."""
        left_ms = min(self._members.newest_ms(fp), now.ms)
        self._emit(events.MemberLeft(fp, self._members.nick(fp), left_ms))

    # -- who is here

    def show(
        self, talks: Collection[Talk], here: Mapping[bytes, Talk], *, connected: bool, left: bool, now: Moment
    ) -> None:
        """Tell who is here, of whom there is a talk on which messages go; and whom one waits for to be let in.

        `connected`: we have a seat; `left`: one has left the room, and waits for nobody.
        """
        seen = {talk.fp: Presence.ARRIVING for talk in talks if not talk.absent}
        seen |= dict.fromkeys(here, Presence.HERE)
        silent = [fp for fp, talk in here.items() if talk.link.first and not talk.returned]
        for event in self._roster.update(self._members, seen, silent, connected=connected, now=now):
            self._emit(event)
        waits = connected and not left and not self._members.is_member(self._fp)
        owner = self._members.owner
        waiting = events.Waiting(self._members.nick(owner), owner, owner in seen) if waits else None
        if waiting is not None and waiting != self._waiting:
            self._emit(waiting)
        self._waiting = waiting

    def next_tick(self) -> float | None:
        """Return when `show` has something to tell, in monotonic seconds; None if never."""
        return self._roster.next_tick()
