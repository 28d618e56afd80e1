"""Whose greeting is answered, and when: members' at once, a knock by the owner, everybody else's when an ADMIT comes.

Pure.  Keeps the door; how a link is answered or ended is for the room.  docs/PROTOCOL.md, "Knocking".
"""

from __future__ import annotations

from collections.abc import Callable

from chatcore import events
from chatcore.clock import Moment
from chatcore.door import Door
from chatcore.events import AlarmKind, RoomEvent
from chatcore.hello import Greeting
from chatcore.link import Link
from chatcore.members import Members

Answer = Callable[[Link, bytes, Moment], None]
Drop = Callable[[Link, Moment], None]


class Greetings:
    """`answer` and `drop` do what is decided here; `alarm` and `emit` tell the person."""

    def __init__(
        self,
        fp: bytes,
        owner_fp: bytes,
        members: Members,
        answer: Answer,
        drop: Drop,
        alarm: Callable[[AlarmKind, bytes, str], None],
        emit: Callable[[RoomEvent], None],
    ) -> None:
        self._fp, self._is_owner, self._members = fp, fp == owner_fp, members
        self._answer, self._drop, self._alarm, self._emit = answer, drop, alarm, emit
        self._door = Door()

    def take(self, link: Link, greeting: Greeting, now: Moment) -> None:
        """Somebody's HELLO was verified."""
        fp = greeting.fp
        if fp == self._fp:
            self._alarm(AlarmKind.OWN_IDENTITY_ELSEWHERE, fp, greeting.nick)
            if link.first:
                self._drop(link, now)
            else:
                link.greet(now)  # so that whoever came later is told as well; nothing else ever goes there
        elif self._members.may_join(fp):
            self._answer(link, fp, now)
        elif self._is_owner:
            self._on_knock(link, greeting, now)
        elif link.first:
            self._answer(link, fp, now)  # our HELLO is out already; they know us, and we shall learn of them
        elif not self._door.keep(link, fp):
            self._drop(link, now)

    def _on_knock(self, link: Link, greeting: Greeting, now: Moment) -> None:
        if self._door.turned_away(greeting.fp):
            return
        new = self._door.knock(greeting.fp, now)
        if new is None:
            self._drop(link, now)
            return
        if new:
            self._emit(events.Knocked(greeting.fp, greeting.nick, now.ms))
        self._answer(link, greeting.fp, now)

    def look_again(self, now: Moment) -> None:
        """Memberships may have changed: answer those who may join by now, of those who were kept waiting."""
        for link, fp in self._door.take_kept():
            if self._members.may_join(fp):
                self._answer(link, fp, now)
            elif not self._door.keep(link, fp):
                self._drop(link, now)

    def turn_away(self, fp: bytes) -> None:
        """Don't hear somebody any more."""
        self._door.turn_away(fp)
        self.end_knock(fp)

    def end_knock(self, fp: bytes) -> None:
        """Somebody doesn't wait at the door any more, if they did."""
        if self._door.open(fp):
            self._emit(events.KnockEnded(fp))

    def gone(self, fp: bytes, now: Moment, *, left: bool) -> None:
        """The last link with somebody has ended; `left` if their seat is empty, too."""
        self._door.gone(fp, now, left=left)

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        return self._door.next_tick()

    def tick(self, now: Moment) -> None:
        """End the knocks whose time is over."""
        for fp in self._door.expired(now):
            self.end_knock(fp)
