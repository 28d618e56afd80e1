"""One room that is open: its `Room`, its store, its connections, on the worker's side.  Shell.

What happens is committed before it is shown or sent.  Every method is called on the worker, but for what a cable calls
(`Owner` in cable.py) and `report`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from chatcore.cable import READ_LOW_BYTES, Cable, End
from chatcore.clock import Moment
from chatcore.engines import PrivateKey
from chatcore.errors import StateError, VaultError
from chatcore.events import Connection, ConnectionChanged, RoomEvent, StatementsChanged
from chatcore.invite import Invite, RelayAddress
from chatcore.kept import Store
from chatcore.room import Room
from chatcore.seat import Seat
from chatcore.wire import FRAME_SIZE
from chatcore.worker import Worker, log_fault, moment

# Blocks opened in one go, some 0.6 ms of RSA each, for which others' words and what goes out have to wait: one of each
# sender that waits.  When many come at once, as after a relay's end, what follows from a batch costs more than it.
BATCH_FRAMES = 3, 16

SETTLE_S = 0.5  # after one has said something

UNKEPT = "What was said here last could not be kept, so nothing more is said. Close the room and open it again."

Emit = Callable[[bytes, RoomEvent], None]
Soon = Callable[..., None]  # has the loop call something


class Visit:
    """One room, as the client keeps it.

    The worker alone touches `room`, and writes all but `task`, `connected` and `was_seated`, which are the loop's.
    """

    def __init__(self, invite: Invite, me: bytes, worker: Worker, soon: Soon, emit: Emit) -> None:
        self.id = invite.room_id
        self.relay = self.before = invite.relay  # where the room is, and where it was: to be tried by turns
        self.outlook: RelayAddress | None = None  # where those who were away when it moved are waited for
        self.looking = asyncio.Event()  # there is such a place
        self.owner = invite.owner_fp == me
        self.task: asyncio.Task[None] | None = None
        self.room: Room | None = None
        self.store: Store | None = None
        self.failure = ""  # why nothing can be said here any more
        self.cables: dict[Cable, Seat] = {}  # one, but while another takes its place
        self.cable: Cable | None = None  # the first of them
        self.lookout: Cable | None = None  # one more, which never carries a message
        self.connected = False  # the window knows that we have a seat
        self.was_seated = False  # there has been one, at the relay of the invite
        self.worn = asyncio.Event()  # a connection has carried so much that it should be renewed
        self.member = False
        self.statements: tuple[bytes, ...] = ()
        self.set_digest = b""
        self.tick_s: float | None = None
        self.muted = False
        self._rest_s: float | None = None  # when what one has said is to outlive a power cut, at the latest
        self._behind_s = 0.0  # by so much the room's time is behind the clock; it only grows
        self._worker, self._soon, self._emit = worker, soon, emit

    # -- called by a cable, on the loop

    def frames_came(self, cable: Cable) -> None:
        """Have the worker take them."""
        if not cable.scheduled:
            cable.scheduled = True
            self._worker.post(self, lambda: self.pump(cable))

    def seat_given(self) -> None:
        """Tell the window, unless it is another connection that is to take the place of one it knows of."""
        if not self.connected:
            self.connected = self.was_seated = True
            self.report(Connection.CONNECTED)

    def writable_again(self) -> None:
        """Have the worker look for what the room has to send."""
        self._worker.post(self, self.after)

    def round_trip(self, seconds: float) -> None:
        """Have it counted."""
        self._worker.post(self, lambda: self.step(lambda room, now: room.round_trip(seconds, now)))

    def report(self, state: Connection, reason: str = "", retry_s: float = 0.0) -> None:
        """Tell the window how the room stands to its relay."""
        self._worker.post(self, lambda: self.tell(ConnectionChanged(state, reason, retry_s)))

    # -- called by the worker

    def now(self) -> Moment:
        """What time it is for the room: at most when the oldest frame came that waits for the worker.

        A room mustn't run out of patience for something that has come and that it hasn't been shown yet.  It doesn't
        make up for that later: else whatever it began to wait for while it was behind would be overdue all at once.
        """
        now_s = time.monotonic()
        since = [since_s for cable in self.cables if (since_s := cable.waiting_since_s) is not None]
        self._behind_s = max(self._behind_s, now_s - min(since, default=now_s))
        return moment(now_s - self._behind_s)

    def tick(self) -> None:
        """Do what is due."""
        more = any(cable.waiting for cable in self.cables)
        self.step(lambda room, now: room.tick(now, more_waits=more))

    def guard(self, job: Callable[[], None]) -> None:
        """Do a job.  A mistake of ours in there costs the connection, not the client."""
        try:
            job()
        except StateError:  # it was legal when it was asked for, and isn't any more
            pass
        except Exception as error:
            log_fault(error)
            self._drop_all()

    def go_another_way(self) -> None:
        """Give up the connections that there are; to a relay of this computer there is one way only."""
        if not (self.relay.is_here and self.before.is_here):
            self._drop_all()

    # -- the room

    def enter(self, store: Store | None, make: Callable[[Moment], Room]) -> None:
        """Begin: what is in the store is told first."""
        self.store = store
        try:
            self.room = make(self.now())
        except VaultError as error:
            self.fail(str(error))
            return
        except Exception:  # a mistake of ours: a room that doesn't open has to say so
            self.fail(UNKEPT)
            raise
        self._worker.rooms.append(self)
        self.after()

    def step(self, command: Callable[[Room, Moment], object]) -> None:
        """Do something with the room, and what follows from it."""
        if self.room is not None:
            command(self.room, self.now())
            self.after()

    def after(self) -> None:
        """See what the room has to say, to us and to its relay."""
        room = self.room
        if room is None:
            return
        try:
            self._keep(room)
        except VaultError as error:  # what isn't kept is neither shown nor sent nor acknowledged
            self.fail(str(error))
            return
        except Exception:  # a mistake of ours must not show what isn't kept either
            self.fail(UNKEPT)
            raise
        if room.set_digest != self.set_digest:  # before anybody hears of it, for they keep these then
            self.set_digest, self.statements = room.set_digest, room.statements()
            self.tell(StatementsChanged())
        for event in room.events_received():
            self.tell(event)
        self.member = room.is_member
        if room.stale:
            self._drop_all()
        else:
            self._write(room)
        self._look_where(room)
        if room.worn or room.astray:
            self._soon(self.worn.set)
        rest_s = self._rest_s - self._behind_s if self._rest_s is not None else None
        times = [time for time in (room.next_tick(), rest_s) if time is not None]
        self.tick_s = min(times, default=None)

    def _look_where(self, room: Room) -> None:
        self.relay, self.before = room.relay, room.before
        if room.outlook != self.outlook:
            self.outlook = room.outlook
            self._soon(self.looking.set if self.outlook is not None else self.looking.clear)

    def _keep(self, room: Room) -> None:
        """Commit what has happened, and have it outlive a power cut before anybody rests on it.  Raises VaultError."""
        changes, promised = room.changes(), room.promises()
        if self.store is None:
            return
        now_s = time.monotonic()
        if changes:
            self.store.commit(changes)
            if (changes.lines or changes.goes) and self._rest_s is None:
                self._rest_s = now_s + SETTLE_S
        if self._rest_s is not None and now_s >= self._rest_s:
            self.store.rest()
            self._rest_s = None
        elif promised or changes.taken_back:
            self.store.settle()

    def _write(self, room: Room) -> None:
        held = room.seats
        for cable, seat in list(self.cables.items()):
            if seat not in held:
                del self.cables[cable]
                self._soon(cable.leave)
            elif cable.open_to_write and not cable.ended:
                if data := room.data_to_send(seat):
                    self._soon(cable.write, data)
                if beat := room.beat_to_send(seat):
                    due_s, blocks = beat
                    self._soon(cable.write_at, due_s + self._behind_s, blocks)
        self._count_cables()

    def _count_cables(self) -> None:
        if self.lookout not in self.cables:
            self.lookout = None
        self.cable = next((cable for cable in self.cables if cable is not self.lookout), None)

    def _drop_all(self) -> None:
        for cable in self.cables:
            self._soon(cable.drop, End())

    def fail(self, sentence: str) -> None:
        """Stop a room that can't be kept.  It stays open, and says why, until it is closed."""
        self.failure = sentence
        self.room = None  # what it noted is lost: nothing that rests on it may be kept
        self.forget(sentence)
        self._soon(self._give_up)

    def _give_up(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def tell(self, event: RoomEvent) -> None:
        """Hand an event to the window."""
        if not self.muted:
            try:
                self._emit(self.id, event)
            except Exception as error:  # the window's mistake must not cost the room
                log_fault(error)

    def forget(self, sentence: str) -> None:
        """End: the sentence says why, and is the last thing told."""
        self.tell(ConnectionChanged(Connection.STOPPED, sentence))
        self.muted = True
        for cable in list(self.cables):
            self.unplug(cable)
        if self.store is not None and not self.failure:
            with contextlib.suppress(VaultError):  # then the next run begins a new log
                self.store.rest()
        self.room = self.tick_s = None
        if self in self._worker.rooms:
            self._worker.rooms.remove(self)

    # -- the connections

    def plug(self, cable: Cable, session: PrivateKey, relay: RelayAddress) -> None:
        """Begin a connection with a session key made for it; it takes the place of the one there is, by and by."""
        if self.room is not None:
            begin = self.room.connect if self.cable is None else self.room.renew
            self.cables[cable] = begin(session, self.now(), relay)
            self.after()

    def look_out(self, cable: Cable, session: PrivateKey, relay: RelayAddress) -> None:
        """Begin the connection by which those who were away are shown where the room is now."""
        if self.room is not None:
            self.cables[cable] = self.room.look_out(session, self.now(), relay)
            self.lookout = cable
            self.after()

    def unplug(self, cable: Cable) -> None:
        """A connection is gone."""
        seat = self.cables.pop(cable, None)
        self._count_cables()
        self.step(lambda room, now: room.receive_eof(now, seat) if seat is not None else None)

    def pump(self, cable: Cable) -> None:
        """Hand on what came in, a batch at a time, and at last that no more will come."""
        cable.scheduled = False  # from here on whoever adds to what waits calls again
        now = self.now()
        least, most = BATCH_FRAMES
        data = b"".join(cable.take(max(least, min(most, cable.senders))))
        seat = self.cables.get(cable)
        if seat is None:
            return
        if data:
            self.step(lambda room, _: room.receive_data(data, now, seat))
        if cable.waiting:
            self.frames_came(cable)
        elif cable.ended:
            self.unplug(cable)
        if cable.waiting * FRAME_SIZE < READ_LOW_BYTES:
            self._soon(cable.go_on_reading)


class Lookout:
    """Owns the cable to the relay of before (`Owner` in cable.py): how it stands to that is nobody's business."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def frames_came(self, cable: Cable) -> None:
        """Have the worker take them."""
        self._visit.frames_came(cable)

    def seat_given(self) -> None:
        """The window doesn't know of it."""

    def writable_again(self) -> None:
        """Have the worker look for what the room has to send."""
        self._visit.writable_again()

    def round_trip(self, seconds: float) -> None:
        """It isn't counted."""
