"""The rooms that are open: one is shown, the others go on behind it; and those that could be opened.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable

from gui.news import RoomOpened
from gui.pages import Behind, View
from gui.room_controller import RoomController
from gui.shown import RoomRow


class OpenRooms:
    """What belongs to which room.  `recent` are the rooms of the profile, the one visited last in front."""

    def __init__(self, view: View, behind: Behind, now_ms: Callable[[], int]) -> None:
        self._view, self._behind, self._now_ms = view, behind, now_ms
        self._open: dict[bytes, RoomController] = {}
        self.recent: tuple[RoomRow, ...] = ()
        self.front: RoomController | None = None  # that is shown, or was before the page that is

    def __getitem__(self, room_id: bytes) -> RoomController | None:
        return self._open.get(room_id)

    def open(self, opened: RoomOpened) -> RoomController:
        """Begin a room."""
        room = RoomController(self._view, self._behind, opened, self.rows, self._now_ms)
        self._open[room.room_id] = room
        return room

    def drop(self, room_id: bytes) -> None:
        """Know nothing of a room any more; the one opened last of the others is in front, if this one was."""
        self._open.pop(room_id, None)
        if self.front is not None and self.front.room_id == room_id:
            self.front = next(reversed(self._open.values()), None)

    def rows(self) -> tuple[RoomRow, ...]:
        """Return what is said of each room where rooms are listed, those that are open first."""
        rest = (row for row in self.recent if row.room_id not in self._open)
        return (*(room.row() for room in self._open.values()), *rest)

    @property
    def unread(self) -> int:
        """How much has come that nobody has looked at."""
        return sum(room.unread for room in self._open.values())
