"""The rooms that are open: one is shown, the others go on behind it; and those that could be opened.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gui import sentences, wording
from gui.news import Remembered, RoomOpened
from gui.pages import Behind, View
from gui.room_controller import RoomController
from gui.shown import RoomRow, Tone

MAX_RECENT = 100  # rooms that are listed; more than anybody scrolls through
MAX_AT_START = 50  # rooms that are opened then: a relay has 64 places for an address, unless it is set otherwise


class OpenRooms:
    """What belongs to which room."""

    def __init__(self, view: View, behind: Behind, now_ms: Callable[[], int]) -> None:
        self._view, self._behind, self._now_ms = view, behind, now_ms
        self._open: dict[bytes, RoomController] = {}
        self._recent: tuple[Remembered, ...] = ()
        self._coming: set[bytes] = set()  # those that are opened by and by
        self._failed: set[bytes] = set()  # those that couldn't be
        self._shown: list[RoomController] = []  # those that were, the last at the end

    def __getitem__(self, room_id: bytes) -> RoomController | None:
        return self._open.get(room_id)

    def know(self, rooms: Iterable[Remembered]) -> None:
        """Take in the rooms of the profile; the one looked at last is in front."""
        self._recent = tuple(sorted(rooms, key=lambda room: -room.last_visit_ms)[:MAX_RECENT])

    def expect(self) -> list[bytes]:
        """Return those that are to be opened at the start: of which one is a member, the one looked at last in front.

        Nobody knocks at a door without having chosen to, nor comes back to a room that was left.
        """
        rooms = [room.room_id for room in self._recent if room.member][:MAX_AT_START]
        self._coming = set(rooms)
        return rooms

    def fail(self, room_id: bytes) -> None:
        """Know that one couldn't be opened; what was begun of it is nothing."""
        self.drop(room_id)
        self._coming.discard(room_id)
        self._failed.add(room_id)

    def open(self, opened: RoomOpened) -> RoomController:
        """Begin a room."""
        room = RoomController(self._view, self._behind, opened, self.rows, self._now_ms)
        self._open[room.room_id] = room
        self._coming.discard(room.room_id)
        self._failed.discard(room.room_id)
        return room

    def drop(self, room_id: bytes) -> None:
        """Know nothing of a room any more."""
        self._open.pop(room_id, None)
        self._shown = [room for room in self._shown if room.room_id != room_id]

    def show(self, room: RoomController) -> None:
        """Have this one in front."""
        self._shown = [*(one for one in self._shown if one is not room), room]

    @property
    def front(self) -> RoomController | None:
        """The one that is shown, or was before the page that is."""
        return self._shown[-1] if self._shown else None

    def rows(self) -> tuple[RoomRow, ...]:
        """Return what is said of each room where rooms are listed: first of those that are open, the newest in front.

        A room that is just coming stands among them.
        """
        ranked = [(room.newest_ms, room.row()) for room in self._open.values()]
        closed = []
        for room in self._recent:
            if room.room_id in self._coming:
                ranked.append((room.last_visit_ms, self._row(room, coming=True)))
            elif room.room_id not in self._open:
                closed.append(self._row(room))
        return (*(row for _, row in sorted(ranked, key=lambda one: -one[0])), *closed)

    def _row(self, room: Remembered, *, coming: bool = False) -> RoomRow:
        row = RoomRow(
            room.room_id,
            sentences.room_title(room.title),
            sentences.ON_THIS_COMPUTER if room.only_here else room.place,
            wording.when(room.last_visit_ms, self._now_ms()),
        )
        if coming:
            return replace(row, detail=sentences.CONNECTING, is_open=True)
        if room.room_id in self._failed:
            return replace(row, detail=sentences.NOT_OPENED, tone=Tone.BAD)
        return row

    @property
    def unread(self) -> int:
        """How much has come that nobody has looked at."""
        return sum(room.unread for room in self._open.values())
