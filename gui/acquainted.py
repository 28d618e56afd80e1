"""Keeps the people of one open room in the profile, and says what is known of them.  No toolkit; no threads of its own.

Whoever is met is looked up by name and key (`chatcore.pins`); what follows goes to the window as `PeopleKnown`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore.events import Knocked, Presence, RoomEvent, RosterChanged
from chatcore.pins import Compared, Page
from chatcore.profile import Profile
from chatcore.seal import fingerprint
from gui.news import OtherKey, PeopleKnown

NOTED_MS = 3_600_000  # how old "last seen" may be


class Acquainted:
    """One room's people, as the profile knows them.  An anonymous profile keeps them for the visit alone."""

    def __init__(
        self, room_id: bytes, profile: Profile, put: Callable[[PeopleKnown], None], now_ms: Callable[[], int]
    ) -> None:
        self._room_id, self._profile, self._put, self._now_ms = room_id, profile, put, now_ms
        self._met: dict[bytes, None] = {}
        self._roster: dict[bytes, str] = {}  # as it was noted last, and when
        self._noted_ms = 0
        self._told = PeopleKnown(room_id)

    def take(self, event: RoomEvent) -> None:
        """Note whom an event tells of.  Raises ProfileError when that can't be written."""
        match event:
            case RosterChanged(members):
                nicks = {m.fp: m.nick for m in members if m.nick and m.presence is not Presence.SELF}
                # That somebody comes and goes is no news here, however often a relay says it.
                if nicks != self._roster or self._now_ms() - self._noted_ms > NOTED_MS:
                    self._roster, self._noted_ms = nicks, self._now_ms()
                    self._meet(nicks, members=True)
            case Knocked(fp, nick):
                self._meet({fp: nick}, members=False)
            case _:
                pass

    def settle(self, fp: bytes) -> None:
        """Accept the other key of a known name."""
        self._profile.people.settle(fp)
        self._changed()

    def compared(self, fps: Iterable[bytes], page: Page, same: bool) -> None:
        """Keep that words were the same, or weren't."""
        people = self._profile.people
        if same:
            me = fingerprint(self._profile.identity.modulus)
            people.tick(fps, Compared(self._now_ms(), page, self._room_id, me))
        else:
            people.untick(fps)
        self._changed()

    def _meet(self, nicks: dict[bytes, str], members: bool) -> None:
        self._met |= dict.fromkeys(nicks)
        new = self._profile.people.meet(nicks, self._room_id, self._now_ms(), members=members)
        self.say()
        if new:
            self._profile.save()

    def _changed(self) -> None:
        self.say()
        self._profile.save()

    def say(self) -> None:
        """Say what the profile knows of those who were met, if that is news."""
        people = self._profile.people
        pins = [pin for pin in map(people.find, self._met) if pin is not None]
        news = PeopleKnown(
            self._room_id,
            tuple((pin.fp, pin.compared) for pin in pins if pin.compared is not None),
            tuple(OtherKey(pin.fp, pin.nick, known[0]) for pin in pins if (known := people.namesakes(pin.fp))),
        )
        if news != self._told:
            self._told = news
            self._put(news)
