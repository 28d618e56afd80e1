"""A member of a room as a program of its own, with everything a window has behind it; see trial.py.

The first line on standard input is one of JSON: `profile`, `nick`, and `invite` or null for the room visited last.
Each further line is a text to be said.  A text that was committed is repeated on standard output as `said TEXT`; now
and then comes `stands HERE OWED`: how many others are here, and how many copies of one's own messages haven't arrived.
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
from pathlib import Path

from chatcore.errors import StateError, TextError
from chatcore.events import LetIn, MessageArrived, MessageSent, NotDelivered, Presence, RosterChanged, TakenBack
from gui.backroom import Backroom
from gui.events import AppEvent, Failed, FromRoom, ProfileFound, RoomOpened


class Member:
    """Counts what its room tells."""

    def __init__(self) -> None:
        told = json.loads(sys.stdin.readline())
        self.nick, self.invite = told["nick"], told["invite"]
        self.events: queue.SimpleQueue[AppEvent | str | None] = queue.SimpleQueue()
        self.back = Backroom(Path(told["profile"]), self.events.put)
        self.room_id = b""
        self.here = self.owed = 0
        self.wanted: list[str] = []  # to be said as soon as one may
        self.may_talk = False

    def run(self) -> None:
        """Until standard input ends."""
        threading.Thread(target=self.listen, daemon=True).start()
        self.back.start()
        self.back.look()
        while (event := self.events.get()) is not None:
            self.take(event)
            with contextlib.suppress(queue.Empty):
                while True:
                    more = self.events.get_nowait()
                    if more is None:
                        self.back.stop()
                        return
                    self.take(more)
            print("stands", self.here, self.owed, flush=True)
        self.back.stop()

    def listen(self) -> None:
        for line in sys.stdin:
            self.events.put(line.rstrip("\n"))
        self.events.put(None)

    def take(self, event: AppEvent | str) -> None:
        match event:
            case str():
                self.wanted.append(event)
                self.say()
            case ProfileFound(rooms=rooms):
                if self.invite is not None:
                    self.back.join(self.nick, self.invite, False, "")
                else:
                    self.back.open_recent(rooms[0].room_id, self.nick)
            case RoomOpened(room_id=room_id):
                self.room_id = room_id
            case Failed(sentence=sentence):
                raise SystemExit(sentence)
            case FromRoom(event=RosterChanged(members=members)):
                self.here = sum(one.presence is Presence.HERE for one in members)
            case FromRoom(event=LetIn()):
                self.may_talk = True
                self.say()
            case FromRoom(event=MessageSent(text=text, readers=readers)):
                self.owed += len(readers)
                print("said", text, flush=True)
            case FromRoom(event=MessageArrived(mids=mids)) | FromRoom(event=NotDelivered(mids=mids)):
                self.owed -= len(mids)
            case FromRoom(event=TakenBack(spared=spared)):
                self.owed -= len(spared)

    def say(self) -> None:
        while self.may_talk and self.wanted:
            try:
                self.back.say(self.room_id, self.wanted[0])
            except (StateError, TextError):
                return
            del self.wanted[0]


if __name__ == "__main__":
    Member().run()
