"""Knows the rooms that are open: as whom, whom one knows there, what is kept.  A shell; of the backroom's thread.

What only looks a room up may be called by any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chatcore.client import Client
from chatcore.errors import StateError
from chatcore.events import RoomMoved
from chatcore.invite import Invite
from chatcore.profile import Profile, RoomRecord
from chatcore.seal import fingerprint
from gui.acquainted import Acquainted
from gui.news import AppEvent, RoomOpened
from gui.own_relay import OwnRelay
from gui.proxy_desk import ProxyDesk

OPEN_ALREADY = "This room is open already: you find it in the list of rooms."


@dataclass(slots=True)
class OpenRoom:
    """A room that is open: as whom, whom one knows there, and when it was last before the person's eyes."""

    invite: Invite
    who: Profile
    people: Acquainted
    seen_ms: int


class RoomDesk:
    """Opens rooms with the client, keeps them in the profiles, and ends them; `put` queues an event for the window."""

    def __init__(self, client: Client, relay: OwnRelay, proxies: ProxyDesk, put: Callable[[AppEvent], None]) -> None:
        self._client, self._relay, self._proxies, self._put = client, relay, proxies, put
        self._open: dict[bytes, OpenRoom] = {}
        self._looked_at = b""  # the room that is before the person's eyes
        self._seen_ms = 0  # when any was, at last

    def __getitem__(self, room_id: bytes) -> OpenRoom | None:
        """Return a room that is open."""
        return self._open.get(room_id)

    def __iter__(self) -> Iterator[OpenRoom]:
        return iter(list(self._open.values()))

    def open(self, name: str, invite: Invite, who: Profile, *, behind: bool = False) -> None:
        """Open a room: `RoomOpened`.  Raises StateError if it is open, ConfigError, ProfileError, TextError."""
        room_id = invite.room_id
        if room_id in self._open:
            raise StateError(OPEN_ALREADY)
        self._client.go_through(self._proxies.now())  # which raises where nobody can know: nothing is dialled then
        own = fingerprint(who.identity.modulus)
        record = who.record(room_id) or RoomRecord(invite)
        relay = replace(record, invite=invite).relay
        here = next((one for one in (relay, invite.relay) if one.is_here), None)
        if own == invite.owner_fp and here is not None:
            self._relay.start_again(here.port, kept=not who.is_anonymous)
        store = None if who.is_anonymous else who.room(room_id)
        self._put(
            RoomOpened(
                room_id,
                invite.at(relay).to_text(),
                invite.title,
                invite.mode,
                own,
                name,
                invite.owner_fp,
                relay.is_here,
                record.last_visit_ms,
                record.has(own),
                behind,
            )
        )
        self._client.open_room(invite, who.identity, name, record.statements, store)
        people = Acquainted(room_id, who, self._put, _now_ms)
        self._open[room_id] = OpenRoom(invite, who, people, record.last_visit_ms or _now_ms())
        self.keep(room_id)

    def look_at(self, room_id: bytes) -> None:
        """Keep which room is before the person's eyes from now on, and until when the one before was."""
        before, self._looked_at = self._looked_at, room_id
        if before in self._open:
            self._see(self._open[before])
        self.keep(before, room_id)

    def _see(self, room: OpenRoom) -> None:
        """Note that this room is before the person's eyes: later than any other in this session."""
        room.seen_ms = self._seen_ms = max(_now_ms(), self._seen_ms + 1)

    def keep(self, *room_ids: bytes) -> None:
        """Write down when rooms were looked at, and what is known of their members.  Raises ProfileError."""
        for who in {id(who): who for who in map(self._remember, filter(self._open.__contains__, room_ids))}.values():
            who.save()

    def keep_all(self) -> None:
        """Do so for all of them."""
        self.keep(*self._open)

    def _remember(self, room_id: bytes) -> Profile:
        room = self._open[room_id]
        who = room.who
        statements = self._client.statements(room_id)
        if not statements and (kept := who.record(room_id)) is not None:
            statements = kept.statements
        if room_id == self._looked_at:
            self._see(room)
        who.remember(room.invite, room.seen_ms, statements)
        return who

    def moved(self, room_id: bytes, event: RoomMoved) -> None:
        """Keep where the room was: where it is stands in the owner's statement."""
        room = self._open.get(room_id)
        if room is not None:
            room.invite = room.invite.at(event.before)
            self.keep(room_id)

    def meet(self, room_id: bytes, job: Callable[[Acquainted], None]) -> None:
        """Do something with the people of a room."""
        if room_id in self._open:
            job(self._open[room_id].people)

    def know(self, room_id: bytes, job: Callable[[Acquainted], None]) -> None:
        """Keep what is known of somebody now, and say so in every room in which they are."""
        self.meet(room_id, job)
        for room in self:
            room.people.say()

    def leave(self, room_id: bytes) -> None:
        """Leave a room for good, and keep nothing of it."""
        if room_id in self._open:
            self._client.leave(room_id)
            self._open.pop(room_id).who.erase(room_id)

    def close(self, room_id: bytes) -> None:
        """Give up one's seat and stay a member."""
        if room_id not in self._open:
            return
        try:
            self.keep(room_id)
        finally:
            self._client.close_room(room_id)
            del self._open[room_id]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
