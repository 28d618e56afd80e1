"""A member of a room as a program of its own, with everything a window has behind it; see `trials/stage.py`.

The first line on standard input is one of JSON: `profile`, `nick`, `invite` (null for the room visited last), `timing`
(fields of `Timing` that are to be others) and `talkative`.  Each further line is a text to be said.

Each line on standard output is a list in JSON, with what happened and when (monotonic seconds): `said` a text that was
committed; `stands`, how many others are here, and how many copies of one's own messages haven't arrived; `failed` with
its sentence; and if it is talkative, all that a window would show.  Events are looked at every `LOOK_S`, as a window
does: so a crowd of these is busy with its room, and not with telling about it.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from chatcore.cable import Timing
from chatcore.errors import StateError, TextError
from chatcore.events import (
    Alarm,
    ConnectionChanged,
    Damaged,
    Gap,
    LetIn,
    MessageArrived,
    MessageReceived,
    MessageSent,
    NotDelivered,
    Noticed,
    OtherVersion,
    Presence,
    RosterChanged,
    TakenBack,
)
from gui.backroom import Backroom
from gui.news import AppEvent, Failed, FromRoom, ProfileFound, RoomOpened

LOOK_S = 0.05
BEAT_S = 0.02


class Member:
    """Counts and tells what its room tells."""

    def __init__(self) -> None:
        told = json.loads(sys.stdin.readline())
        self.nick, self.invite, self.talkative = told["nick"], told["invite"], told["talkative"]
        self.events: queue.SimpleQueue[tuple[float, AppEvent | str | float | None]] = queue.SimpleQueue()
        timing = Timing(**told["timing"]) if told["timing"] else None
        self.back = Backroom(Path(told["profile"]), self.put, timing=timing)
        self.room_id = b""
        self.here = self.owed = 0
        self.wanted: list[str] = []  # to be said as soon as one may
        self.may_talk = False
        self.problem = ""  # the last that was told
        self.lines: list[str] = []

    def put(self, event: AppEvent | str | float | None) -> None:
        self.events.put((time.monotonic(), event))

    def run(self) -> None:
        """Until standard input ends."""
        threading.Thread(target=self.listen, daemon=True).start()
        if self.talkative:
            threading.Thread(target=self.beat, daemon=True).start()
        self.back.start()
        self.back.look()
        stood = (-1, -1)
        while True:
            try:
                moment, event = self.events.get(timeout=0.5 if self.wanted else None)
            except queue.Empty:  # what couldn't be said before may be said now
                self.say()
                self.write()
                continue
            while True:
                if event is None:
                    self.back.stop()
                    return
                self.take(moment, event)
                if self.events.empty():
                    break
                moment, event = self.events.get()
            if stood != (self.here, self.owed):
                stood = (self.here, self.owed)
                self.tell("stands", time.monotonic(), *stood)
            self.write()
            time.sleep(LOOK_S)

    def beat(self) -> None:
        """Tell whenever a window would have been late to move."""
        while True:
            due_s = time.monotonic() + BEAT_S
            time.sleep(BEAT_S)
            if (late_s := time.monotonic() - due_s) > BEAT_S / 4:
                self.put(late_s)

    def tell(self, word: str, moment: float, *rest: Any) -> None:
        self.lines.append(json.dumps([word, moment, *rest]))

    def write(self) -> None:
        if self.lines:
            print("\n".join(self.lines), flush=True)
            self.lines.clear()

    def listen(self) -> None:
        for line in sys.stdin:
            self.put(line.rstrip("\n"))
        self.put(None)

    def take(self, moment: float, event: AppEvent | str | float) -> None:
        if isinstance(event, FromRoom) and self.talkative:
            self.show(moment, event)
        match event:
            case str():
                self.wanted.append(event)
                self.say()
            case float():
                self.tell("late", moment, event)
            case ProfileFound(rooms=rooms):
                if self.invite is not None:
                    self.back.join(self.nick, self.invite, False, "")
                elif rooms:
                    self.back.open_recent(rooms[0].room_id, self.nick)
            case RoomOpened(room_id=room_id):
                self.room_id = room_id
            case Failed(sentence=sentence):
                self.tell("failed", moment, sentence)
            case FromRoom(event=RosterChanged(members=members)):
                self.here = sum(one.presence is Presence.HERE for one in members)
            case FromRoom(event=LetIn()):
                self.may_talk = True
                self.say()
            case FromRoom(event=MessageSent(text=text, readers=readers)):
                self.owed += len(readers)
                self.tell("said", moment, text)
            case FromRoom(event=MessageArrived(mids=mids)) | FromRoom(event=NotDelivered(mids=mids)):
                self.owed -= len(mids)
            case FromRoom(event=TakenBack(spared=spared)):
                self.owed -= len(spared)

    def show(self, moment: float, from_room: FromRoom) -> None:
        match from_room.event:
            case MessageReceived(nick=nick, text=text, readers=readers):
                self.tell("got", moment, nick, text, None if readers is None else len(readers))
            case MessageArrived(mids=mids, by=by):
                self.tell("arrived", moment, by.hex(), len(mids))
            case NotDelivered(mids=mids, to=to):
                self.tell("undelivered", moment, to.hex(), len(mids))
            case Gap(nick=nick, count=count, before_visit=before_visit):
                self.tell("gap", moment, nick, count, before_visit)
            case Alarm(kind=kind, nick=nick):
                self.tell("alarm", moment, kind.value, nick)
            case Damaged(lines=lines):
                self.tell("damaged", moment, lines)
            case OtherVersion(nick=nick):
                self.tell("other version", moment, nick)
            case Noticed(seen=seen, from_ms=from_ms, mended=mended):
                self.tell("noticed", moment, {what.value: count for what, count in seen}, from_ms, mended)
            case ConnectionChanged(state=state, reason=reason):
                self.tell("connection", moment, state.value, reason)
            case RosterChanged(members=members):
                self.tell("roster", moment, {one.nick: one.presence.value for one in members})

    def say(self) -> None:
        while self.may_talk and self.wanted:
            try:
                self.back.say(self.room_id, self.wanted[0])
            except (StateError, TextError) as error:
                if str(error) != self.problem:
                    self.problem = str(error)
                    self.tell("failed", time.monotonic(), self.problem)
                return
            del self.wanted[0]


if __name__ == "__main__":
    Member().run()
