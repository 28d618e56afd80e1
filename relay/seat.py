"""A seat: one connection, and a frame's way from it to the others of its room.  Pure: no sockets, no clock.

What is fast here, and why it looks as it does:

* All connections read into one buffer (`Intake`).  It is emptied before the next read, so a connection owns no more
  than the beginning of one frame.
* A read is mostly one thing: SEND frames, one for each member.  Such a read is checked, re-addressed and cut with a
  handful of calls over the whole of it, not frame by frame.  All else takes the slow way, `Seat._sort`.
* What one read has for a seat is written in one piece, and what several have for it in one turn of the loop, too.  One
  write per frame costs ten times as much as soon as senders are faster than the loop.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from typing import TYPE_CHECKING, Protocol

from chatcore.wire import (
    EMPTY_BLOCK,
    FRAME_SIZE,
    HEADER,
    HEADER_SIZE,
    NO_ADDRESS,
    VERSION,
    Kind,
    Refusal,
)
from relay.intake import SEND_HEAD, budget
from relay.lanes import WRITE_BYTES, Lanes, Plan, Seal, Way
from relay.limits import Limits
from relay.waiting import Waiting

if TYPE_CHECKING:
    from relay.share import FarSeat
    from relay.switch import Switch

STUCK_S = 5  # for whom too much waits may lose blocks for so long without reading any, and then the seat
LEAST_READ_BYTES = 16 * FRAME_SIZE  # of a seat that may send so much a second; more at once would only come in gusts
STRANGER_BYTES = 16 * 1024  # of who hasn't joined yet, at once; the rest stays in the kernel until its turn
FAREWELL_S = 3  # how long a refused peer may take to read why

_append = list.append
_join = b"".join


class Port(Protocol):
    """The way out of a seat.  No call may come back into the switch before it returns."""

    @property
    def seal(self) -> Seal:
        """What everything goes through before it is sent; AS_IT_IS if that is nothing."""

    @property
    def way(self) -> Way:
        """What sends, and returns how much was taken.  Raises OSError as a socket that doesn't block does."""

    def keep(self, rest: bytes) -> None:
        """Keep what `send` didn't take until it can be sent."""

    def finish(self) -> None:
        """Send what is left, then say that no more comes."""

    def close(self) -> None:
        """End the connection, once what is left has been sent.  A second time nothing happens."""

    def reset(self) -> None:
        """Drop the connection and all that waits in it."""

    def unsent_bytes(self) -> int:
        """How much waits because the peer doesn't read."""


def frame(kind: Kind, argument: int = 0, number: int = 0, address: bytes = NO_ADDRESS) -> bytes:
    """Return the 272 bytes of a frame of the relay's own; its block is zeros."""
    return HEADER.pack(VERSION, kind, argument, number, address) + EMPTY_BLOCK


class Room(dict[int, list[bytes]]):
    """Address (as a word) -> what waits for that seat: whole frames.  Who isn't in here can't be reached from here."""

    __slots__ = (
        "_lanes",
        "dirty",
        "far",
        "nowhere",
        "plans",
        "room_id",
        "seats",
        "speaker",
        "steady",
    )

    def __init__(self, room_id: bytes, nowhere: list[bytes]) -> None:
        super().__init__()
        self.room_id = room_id
        self.seats: dict[int, Seat] = {}
        self.far: dict[int, FarSeat] = {}  # those at other relays, if there are any
        self.nowhere = nowhere
        self.dirty = False  # something waits
        self.plans: dict[int, Plan] = {}  # by who speaks
        self.steady = False  # something was written since anything changed
        self.speaker: Seat | None = None  # who spoke last to everybody: see `Seat._forward`
        self._lanes: Lanes | None = None

    def __missing__(self, _address: int) -> list[bytes]:
        """Let frames to nobody end in a list that nobody reads: a sender learns nothing from an unknown address."""
        return self.nowhere

    def change(self) -> None:
        """Forget what was made of who is here and on which ways: a seat has come, gone, or changed its way."""
        self.speaker = None
        self.plans.clear()
        self.steady = False
        self._lanes = None

    def plan(self, addresses: memoryview) -> Plan | None:
        """Return a plan if these addresses, as words, are everybody but one, again and again in the same order."""
        around = len(self) - 1
        first = addresses[:around]
        if not 0 < around <= len(addresses) or addresses[around:] != addresses[:-around]:
            return None
        words = first.tolist()
        if len(set(words)) != around or not all(map(self.__contains__, words)):
            return None
        return Plan(first, [*map(self.seats.get, words)])

    def flush(self) -> None:
        """Write what waits for those who are here: one piece for each."""
        self.dirty = False
        if not self.steady:  # news of who has come is no reason to make anything that lasts
            self.steady = True
            for seat in self.seats.values():
                seat.write_long()
            return
        if self._lanes is None:
            self._lanes = Lanes(self.seats.values())
        self._lanes.flush()


class Seat:
    """One connection: at first a stranger, then in one room with an address, at last closing."""

    __slots__ = (
        "_way",
        "address",
        "behind_s",
        "closing",
        "doom",
        "full",
        "out",
        "port",
        "quiet_s",
        "room",
        "switch",
        "tail",
        "waiting",
        "word",
    )

    def __init__(self, switch: Switch, port: Port, doom: tuple[Refusal, int] | None) -> None:
        self.switch = switch
        self.port = port
        self._way: Way | None = None  # another one than the port's
        self.doom = doom  # decided at the door: it may say its join, and hears why not
        self.room: Room | None = None
        self.address = NO_ADDRESS
        self.word = 0
        self.out: list[bytes] = []
        self.tail = b""  # the beginning of a frame, 0..271 bytes
        self.quiet_s = 0  # beats since it was heard; a stranger's bytes don't count, so trickling buys no time
        self.waiting: Waiting | None = None  # while its port is full, what is for it waits here in a fair order
        self.full = False
        self.behind_s = -1  # beats since its port filled up, or took a portion of what waits; -1 while it keeps up
        self.closing = False

    def get_buffer(self) -> memoryview:
        """Return where the next bytes go: the shared buffer, behind what this seat has of a frame already."""
        view = self.switch.intake.view
        if self.room is None or self.tail:
            view[: len(self.tail)] = self.tail
            return view[len(self.tail) : self.most_bytes()]
        fronts, seats = self.switch.fronts, len(self.room)
        if (front := fronts.get(seats)) is None:
            front = fronts[seats] = view[: self.most_bytes()]
        return front

    def most_bytes(self) -> int:
        """Return how much one wake-up may read."""
        stranger = self.room is None and not self.closing
        most = STRANGER_BYTES if stranger else budget(0 if self.room is None else len(self.room))
        return int(min(most, max(LEAST_READ_BYTES, self.pace() / 16)))

    def pace(self) -> float:
        """Return how many bytes a second may come from here; infinity if as many as it likes."""
        if self.closing:  # what it still sends is thrown away; only when all is read can it learn why
            return math.inf
        return self.switch.limits.pace(0 if self.room is None else len(self.room))

    def buffer_updated(self, size: int) -> None:
        """Take `size` bytes that were put where `get_buffer` said."""
        if self.closing:
            self.tail = b""
            return
        size += len(self.tail)
        frames, rest = divmod(size, FRAME_SIZE)
        intake = self.switch.intake
        room = self.room
        if room is None:
            self._knock(size)
        else:
            self.quiet_s = 0
            self.switch.frames += frames
            heads, addresses, sends = intake.fields(frames)
            if heads == sends:
                if frames:
                    self._forward(room, frames, addresses)
            else:
                self._sort(room, 0, frames)
        self.tail = bytes(intake.view[size - rest : size]) if rest else b""

    def _forward(self, room: Room, frames: int, addresses: memoryview) -> None:
        """Forward the first frames of the buffer, which are all SEND and nothing else, to these addresses in it."""
        intake = self.switch.intake
        plan = room.plans.get(self.word)
        at = -1 if plan is None else plan.place(addresses)
        if at < 0 and (plan := room.plan(addresses)) is not None:
            room.plans[self.word], at = plan, 0
        mine = memoryview(self.address * frames).cast("Q")
        if plan is None:
            outs = [*map(room.__getitem__, addresses.tolist())]
            addresses[:] = mine
            deque(map(_append, outs, intake.cut(frames)), 0)
            self.switch.mark(room)
            return
        addresses[:] = mine
        pieces = intake.deal(frames, plan.around)
        # Who goes on speaking is written at once, while the processor has it at hand.  Of several who speak by turns,
        # all that one turn of the loop has read goes together.  And laggards are weighed at the end of a turn only.
        at_once = room.speaker is self and plan.direct and not room.dirty
        if at_once and len(pieces[0]) <= WRITE_BYTES:
            try:
                plan.send(at, pieces)
            except Exception as mistake:  # of ours: it shall not cost the speaker the connection
                room.speaker = None
                self.switch.raise_later(mistake)
        else:
            room.speaker = self
            deque(map(_append, map(room.__getitem__, plan.addresses(at, len(pieces))), pieces), 0)
            self.switch.mark(room)

    def _knock(self, size: int) -> None:
        """Judge a stranger's first bytes, as soon as they can be judged; the rest of the read follows its join."""
        view = self.switch.intake.view
        if view[0] != VERSION:
            self.refuse(Refusal.VERSION)
        elif size >= 2 and view[1] != Kind.JOIN:
            self.refuse(Refusal.MALFORMED)
        elif size >= FRAME_SIZE:
            self.switch.join(self, bytes(view[:FRAME_SIZE]))
            if self.room is not None:
                self._sort(self.room, 1, size // FRAME_SIZE)

    def _sort(self, room: Room, first: int, end: int) -> None:
        """Handle the frames first..end of the buffer one by one."""
        view = self.switch.intake.view
        for at in range(first * FRAME_SIZE, end * FRAME_SIZE, FRAME_SIZE):
            version, kind, argument, number, address = HEADER.unpack_from(view, at)
            if version != VERSION:
                self.refuse(Refusal.VERSION)
                return
            if kind == Kind.SEND:
                block = view[at + HEADER_SIZE : at + FRAME_SIZE]
                room[word_of(address)].append(b"".join((SEND_HEAD, self.address, block)))
            elif kind == Kind.PING:
                self.out.append(frame(Kind.PONG, argument, number))
            elif kind != Kind.PONG:
                self.refuse(Refusal.MALFORMED)
                return
        if end > first:
            self.switch.mark(room)

    def refuse(self, reason: Refusal, wait_s: int = 0) -> None:
        """Say why, and close; what waits for the peer goes out before it."""
        if self.closing:
            return
        self.switch.note(reason.name.lower())
        before = self.waiting.take(self.waiting.frames) if self.waiting is not None else b""
        last = before + _join([*self.out, frame(Kind.REFUSED, reason, wait_s)])
        self.leave()
        self.write(last)
        self.port.finish()

    def leave(self) -> None:
        """Give the place up.  Called when the connection is lost, too; the second time nothing happens."""
        self.closing = True
        self.quiet_s = 0
        self.out.clear()
        self.waiting = None
        if self.room is not None:
            room, self.room = self.room, None
            self.switch.depart(self, room)

    @property
    def way(self) -> Way:
        """What sends to the peer now."""
        return self._way or self.port.way

    @property
    def seal(self) -> Seal:
        """What goes before that."""
        return self.port.seal

    def set_way(self, way: Way | None) -> None:
        """Go another way to the peer than the port's, or that again; who has hung up stays on the way to nowhere."""
        if self.closing and self.room is not None:
            return
        self._way = way
        if self.room is not None:
            self.room.change()

    def write(self, data: bytes) -> None:
        """Seal and send."""
        self.write_sealed(self.seal(data))

    def write_sealed(self, data: bytes) -> None:
        """Send, and let the port keep the rest."""
        try:
            send, end = self.way
            size = send(end, data)
        except (BlockingIOError, InterruptedError):
            size = 0
        except OSError:  # the peer is gone, and the loop will say so
            return
        if size != len(data):
            self.port.keep(data[size:])

    def wait(self, data: bytes) -> bytes:
        """Take whole frames for when the port isn't full any more; return what is left to be sent now: nothing."""
        assert self.waiting is not None
        self.waiting.add(data[at : at + FRAME_SIZE] for at in range(0, len(data), FRAME_SIZE))
        return b""

    def set_behind(self, behind: bool) -> None:
        """Learn that the port is full, or empty again; then it gets the next portion of what waits."""
        self.full = behind
        self.behind_s = 0
        if self.room is not None:
            self.room.change()
        if behind:
            if self.waiting is None:
                self.waiting = Waiting()
            self.switch.laggards.add(self)
            return
        while self.waiting is not None and not self.full and (portion := self.waiting.take()):
            self.write(portion)  # which may fill the port again
        if not self.full:
            self.waiting = None
            self.behind_s = -1
            self.switch.laggards.discard(self)

    def write_long(self) -> None:
        """Write as much of `out` as the port takes; the rest waits in a fair order."""
        data = _join(self.out)
        self.out.clear()
        for at in range(0, len(data), WRITE_BYTES):
            if self.waiting is not None:
                self.wait(data[at:])
                break
            self.write(data[at : at + WRITE_BYTES])

    def owed_bytes(self) -> int:
        """Return how much waits because the peer doesn't read."""
        return self.port.unsent_bytes() + (0 if self.waiting is None else self.waiting.size_bytes)

    def shorten(self, most_bytes: int) -> bool:
        """Let no more wait than this, for as long as the peer reads at all; False if that can't be."""
        if self.waiting is None or self.behind_s >= STUCK_S:
            return False
        return self.waiting.shorten(most_bytes - self.port.unsent_bytes())

    def drop(self, word: str) -> None:
        """Close with a reset: a peer that doesn't read would keep a farewell, and the memory, for ever."""
        self.switch.note(word)
        self.leave()
        self.port.reset()

    def beat(self, limits: Limits) -> None:
        """Grow a second older."""
        self.quiet_s += 1
        if self.behind_s >= 0:
            self.behind_s += 1
        if self.closing:
            if self.quiet_s > FAREWELL_S:
                self.port.reset()
        elif self.room is None:
            if self.quiet_s >= limits.join_deadline_s:
                self.drop("deadline")
        elif self.behind_s > limits.laggard_s:
            self.drop("laggard")
        elif self.quiet_s >= limits.silence_s:
            self.drop("silent")
        elif self.quiet_s and self.quiet_s % limits.ping_after_s == 0:
            ping = frame(Kind.PING, 0, self.quiet_s)
            self.write(ping if self.waiting is None else self.wait(ping))


def word_of(address: bytes) -> int:
    """Return an address as it stands in the buffer, seen as words."""
    return int.from_bytes(address, sys.byteorder)
