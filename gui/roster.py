"""The people of one room as its window names them: what they are called, who came, who went.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore.events import Member, MemberJoined, MemberLeft, Presence, PresenceChanged
from gui import sentences, wording
from gui.history import History
from gui.hues import Hues
from gui.news import RoomOpened
from gui.safetext import can_be_seen
from gui.shown import Person
from gui.trust import Trust


class Roster:
    """The people as the core tells of them; `renamed` hears of everybody whose name to show is another now."""

    def __init__(self, opened: RoomOpened, history: History, renamed: Callable[[bytes, str], None]) -> None:
        self.members: tuple[Member, ...] = ()
        self._opened, self._history, self._renamed = opened, history, renamed
        self._nicks: dict[bytes, str] = {opened.own_fp: opened.own_nick}
        self._names: dict[bytes, str] = wording.told_apart(self._nicks)
        self._went: set[bytes] = set()  # "went away" was said of them
        self._joined: set[bytes] = set()  # "joined" was said of them, and they haven't been here yet
        self._let_in: set[bytes] = set()  # by this window
        self.hues = Hues()

    def name(self, fp: bytes) -> str:
        """Return the name to show for an identity."""
        return self.name_or(fp, sentences.NOBODY)

    def name_or(self, fp: bytes, unknown: str) -> str:
        """Return the name to show for an identity, or what is given for one that isn't known."""
        return self._names.get(fp) or unknown

    def learn(self, nicks: dict[bytes, str]) -> None:
        """Take in what people call themselves."""
        known = {fp: nick if can_be_seen(nick) else self._nameless(fp) for fp, nick in nicks.items()}
        if all(self._nicks.get(fp) == nick for fp, nick in known.items()):
            return
        self._nicks.update(known)
        before, self._names = self._names, wording.told_apart(self._nicks)
        for fp, name in self._names.items():
            if before.get(fp, name) != name:
                self._renamed(fp, name)

    def learn_unknown(self, people: Iterable[tuple[bytes, str]]) -> None:
        """Take in what others call people of whom nothing is known here."""
        self.learn({fp: nick for fp, nick in people if fp not in self._nicks})

    def _nameless(self, fp: bytes) -> str:
        """Return what to call one whose name isn't known (any more), or is nothing that can be seen."""
        unheard = sentences.UNHEARD_OWNER if fp == self._opened.owner_fp else sentences.NOBODY
        return self._nicks.get(fp, unheard)

    # -- they come and go

    def let_in(self, fp: bytes) -> None:
        """Note that this window lets somebody in."""
        self._let_in.add(fp)

    def joined(self, event: MemberJoined) -> None:
        """Say who has come to belong to the room."""
        if event.fp == self._opened.own_fp:
            return
        name = self.name(event.fp)
        text = f"You let {name} in" if event.fp in self._let_in else f"{name} joined"
        self._let_in.discard(event.fp)
        self._joined.add(event.fp)
        self._history.line(text, event.at_ms)

    def left(self, event: MemberLeft) -> None:
        """Say who doesn't belong to the room any more."""
        self._went.discard(event.fp)
        self._history.gone(event.fp)
        if event.fp != self._opened.own_fp:
            self._history.line(f"{self.name(event.fp)} left the room", event.at_ms)

    def came_or_went(self, event: PresenceChanged, settled: bool) -> None:
        """Say who went and who is back; `settled`: we have been here so long that somebody's coming is news."""
        name = self.name(event.fp)
        if event.presence is Presence.AWAY and event.fp not in self._went:
            self._went.add(event.fp)
            self._history.line(f"{name} went away", event.at_ms)
        elif event.presence is Presence.HERE:
            fresh = event.fp in self._joined
            self._joined.discard(event.fp)
            if event.fp in self._went or (settled and not fresh):
                self._went.discard(event.fp)
                self._history.line(f"{name} is back", event.at_ms)

    # -- who they are now

    @property
    def alone(self) -> bool:
        """Whether there is nobody but oneself."""
        return all(member.presence is Presence.SELF for member in self.members)

    @property
    def fps(self) -> tuple[bytes, ...]:
        """Who they are."""
        return tuple(member.fp for member in self.members)

    @property
    def here(self) -> list[bytes]:
        """The others who are here, or arriving."""
        return [m.fp for m in self.members if m.presence in (Presence.HERE, Presence.ARRIVING)]

    @property
    def away(self) -> set[bytes]:
        """Those who are away."""
        return {m.fp for m in self.members if m.presence is Presence.AWAY}

    def settle_hues(self) -> None:
        """Give everybody a hue; call before anything of them is shown."""
        self.hues.settle(self.fps, self._nicks)

    def people(self, trust: Trust, now_ms: int) -> tuple[Person, ...]:
        """Return what is shown of each."""
        return tuple(
            Person(
                m.fp,
                self.name(m.fp),
                m.presence,
                wording.presence(m, now_ms),
                m.presence is Presence.SELF,
                m.is_owner,
                trust.is_compared(m.fp),
                trust.is_other_key(m.fp),
            )
            for m in self.members
        )
