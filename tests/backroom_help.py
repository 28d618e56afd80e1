"""Help for the tests of what lies behind the window: people with a backroom, and what it put into their queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from chatcore.events import Connection, ConnectionChanged, RoomEvent
from chatcore.invite import Mode
from gui.backroom import Backroom
from gui.news import AppEvent, FromRoom, RoomOpened

E = TypeVar("E")
R = TypeVar("R", bound=RoomEvent)


class Somebody:
    """A backroom, and what it put into the window's queue."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[object] = []
        self.of: dict[bytes, list[RoomEvent]] = {}  # everything that came of a room
        self.came = threading.Condition()
        self.back = Backroom(directory, self.put)
        self.back.start()

    def put(self, event: AppEvent) -> None:
        with self.came:
            self.events.append(event.event if isinstance(event, FromRoom) else event)
            if isinstance(event, FromRoom):
                self.of.setdefault(event.room_id, []).append(event.event)
            self.came.notify_all()

    def wait(self, kind: type[E], wanted: Callable[[E], bool] = lambda event: True) -> E:
        """Return the first such event, and drop what came up to it."""
        deadline = time.monotonic() + 30
        with self.came:
            while True:
                for number, event in enumerate(self.events):
                    if isinstance(event, kind) and wanted(event):
                        del self.events[: number + 1]
                        return event
                assert self.came.wait(deadline - time.monotonic()), f"no {kind.__name__} among {self.events}"

    def hear(self, room_id: bytes, kind: type[R], wanted: Callable[[R], bool] = lambda event: True) -> R:
        """Return the first such event of a room, whatever came before."""
        deadline = time.monotonic() + 30
        with self.came:
            while True:
                for event in self.of.get(room_id, ()):
                    if isinstance(event, kind) and wanted(event):
                        return event
                assert self.came.wait(deadline - time.monotonic()), f"no {kind.__name__} in that room"

    def connected(self, room_id: bytes) -> None:
        """Wait until it is connected."""
        self.hear(room_id, ConnectionChanged, lambda event: event.state is Connection.CONNECTED)


Meet = Callable[[str], Somebody]


def room_of(owner: Somebody, line: str | None, mode: Mode = Mode.ASK, name: str = "alice") -> RoomOpened:
    owner.back.create(name, "Cabin weekend", mode, line, False, "")
    opened = owner.wait(RoomOpened)
    owner.wait(ConnectionChanged, lambda event: event.state is Connection.CONNECTED)
    return opened
