"""All rooms and all seats of one relay: who gets a place, what is written when, who has to go.  Pure.

docs/PROTOCOL.md, "The wire"; how a frame gets from one seat to another is in relay/seat.py.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

from chatcore.wire import (
    ADDRESS_SIZE,
    BLOCK_SIZE,
    HEADER,
    HEADER_SIZE,
    NO_ADDRESS,
    NO_PASS,
    PASS_SIZE,
    ROOM_ID_SIZE,
    Kind,
    Refusal,
)
from relay.cluster import Cluster
from relay.intake import Intake
from relay.lanes import NOWHERE
from relay.limits import Limits
from relay.seat import Port, Room, Seat, frame, word_of

GONE_PER_TURN = 4  # are let go: when thousands go in one moment, those who stay must not wait for all of it
LAGGARDS_PER_TURN = 64  # are weighed at most, on average: a crowd that reads nothing must not cost all others theirs
WAIT_ROOM_FULL_S = 30
WAIT_SHUTDOWN_S = (2, 15)  # drawn for each seat, so that they don't all come back in the same second
WAIT_ELSEWHERE_S = (1, 5)  # where other relays are up: so that they are back before anybody is told that they left


class Switch:
    """All rooms and all connections of one relay.

    `later` runs a call at the end of this turn of the loop; `note` takes one word for the log; `relay_pass` is 32
    bytes, or zeros when everyone may use the relay.
    """

    def __init__(
        self,
        limits: Limits,
        relay_pass: bytes = NO_PASS,
        *,
        later: Callable[[Callable[[], None]], Any],
        note: Callable[[str], None],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.fronts: dict[int, memoryview] = {}  # what a seat reads into at once, by how many are in its room
        self.limits = limits
        self.intake = Intake()
        self.rooms: dict[bytes, Room] = {}
        self.seats: dict[Seat, None] = {}  # half as large as a set
        self.laggards: set[Seat] = set()
        self.note = note
        self.relay_pass = relay_pass
        self.frames = 0  # that seats have sent; counted by reads
        self.joins = 0
        self.cluster: Cluster | None = None  # other relays; None when this one is alone
        self._stopping = False
        self._later = later
        self._random_bytes = random_bytes
        self._nowhere: list[bytes] = []
        self._dirty: list[Room] = []
        self._unweighed = 0  # turns since the laggards were weighed
        self._gone: deque[Seat] = deque()  # whose peer is gone, and who still has a place and a connection
        self._may_go = GONE_PER_TURN  # in this turn

    @property
    def limits(self) -> Limits:
        """What bounds all this; from one moment to the next it can be something else."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.fronts.clear()

    def open(self, port: Port, doom: tuple[Refusal, int] | None = None) -> Seat:
        """Take a new connection; `doom` is a refusal that it will hear in answer to its join."""
        if self._stopping:
            doom = (Refusal.SHUTTING_DOWN, self._wait_s())
        seat = Seat(self, port, doom)
        self.seats[seat] = None
        return seat

    def hang_up(self, seat: Seat) -> None:
        """Let a seat go whose peer is gone, with its connection; when that are many in one turn, the rest in the next.

        Until then it counts for every limit, but nothing is taken from it or sent to it any more.  A second time does
        no harm.
        """
        if seat.closing and seat.room is not None:
            return  # it stands in the line already
        seat.set_way(NOWHERE)
        seat.closing = True
        seat.quiet_s = 0
        seat.waiting = None
        self.laggards.discard(seat)
        self._gone.append(seat)
        if self._may_go == GONE_PER_TURN:
            self._later(self._let_more_go)
        self._let_go()

    def _let_go(self) -> None:
        while self._gone and self._may_go:
            self._may_go -= 1
            seat = self._gone.popleft()
            seat.leave()
            seat.port.close()

    def _let_more_go(self) -> None:
        self._may_go = GONE_PER_TURN
        if self._gone:
            self._later(self._let_more_go)
            self._let_go()

    def lost(self, seat: Seat) -> None:
        """Forget a connection that has ended, of itself or because it was closed."""
        self.seats.pop(seat, None)
        self.laggards.discard(seat)
        if seat.room is not None:  # else all is said and done
            self.hang_up(seat)
        seat.closing = True

    def join(self, seat: Seat, data: bytes) -> None:
        """Give the sender of this JOIN frame a place, or refuse it.

        Whatever the relay refuses of its own accord comes before the room, so that a room that exists and one that
        doesn't look the same to whom it doesn't let in.
        """
        _, _, argument, number, address = HEADER.unpack_from(data)
        block = data[HEADER_SIZE:]
        room_id, relay_pass = block[:ROOM_ID_SIZE], block[ROOM_ID_SIZE : ROOM_ID_SIZE + PASS_SIZE]
        if argument or number or address != NO_ADDRESS or any(block[ROOM_ID_SIZE + PASS_SIZE : BLOCK_SIZE]):
            seat.refuse(Refusal.MALFORMED)
        elif seat.doom is not None:
            seat.refuse(*seat.doom)
        elif self.relay_pass != NO_PASS and not hmac.compare_digest(relay_pass, self.relay_pass):
            seat.refuse(Refusal.RELAY_PASS)
        elif len(self.rooms.get(room_id, ())) >= self.limits.max_seats_per_room:
            seat.refuse(Refusal.ROOM_FULL, WAIT_ROOM_FULL_S)
        else:
            self._sit(seat, self.rooms.setdefault(room_id, Room(room_id, self._nowhere)))

    def _sit(self, seat: Seat, room: Room) -> None:
        while seat.address == NO_ADDRESS or word_of(seat.address) in room:
            seat.address = self._random_bytes(ADDRESS_SIZE)
        seat.word = word_of(seat.address)
        seat.out.append(frame(Kind.WELCOME, len(room), 0, seat.address))
        for others in (room.seats, room.far):
            seat.out += [frame(Kind.PRESENT, 0, 0, other.address) for other in others.values()]
        self.tell(room, frame(Kind.PRESENT, 0, 0, seat.address))
        room[seat.word] = seat.out
        room.seats[seat.word] = seat
        room.change()
        seat.room = room
        seat.quiet_s = 0
        self.joins += 1
        if self.cluster is not None:
            self.cluster.sat(seat, room)
        self.mark(room)

    def depart(self, seat: Seat, room: Room) -> None:
        """Take a seat out of its room and tell the others."""
        del room[seat.word], room.seats[seat.word]
        room.change()
        if self.cluster is not None:
            self.cluster.rose(seat, room)
        if room.seats and not self._stopping:  # else all have to go, and this would be news for each about each
            self.tell(room, frame(Kind.LEFT, 0, 0, seat.address))
            self.mark(room)
        elif not room.seats:
            del self.rooms[room.room_id]

    def tell(self, room: Room, news: bytes) -> None:
        """Give a frame to all seats of a room that are here."""
        for seat in room.seats.values():
            seat.out.append(news)

    def mark(self, room: Room) -> None:
        """Remember that frames wait in this room, and have them written at the end of this turn."""
        if not room.dirty:
            room.dirty = True
            if not self._dirty:
                self._later(self.flush)
            self._dirty.append(room)

    @property
    def said(self) -> int:
        """Tell how many frames have come from seats, those at other relays included."""
        return self.frames + (self.cluster.blocks_in if self.cluster is not None else 0)

    def flush(self) -> None:
        """Write what waits: one piece for each seat."""
        dirty, self._dirty = self._dirty, []
        rooms = iter(dirty)
        try:
            for room in rooms:
                room.flush()
                if room.far and self.cluster is not None:
                    self.cluster.carry(room)
        finally:  # a mistake of ours in one room is none in those after it
            if left := [*rooms]:
                self._dirty += left
                self._later(self.flush)
        self._nowhere.clear()
        if self.laggards:
            self._unweighed += 1
            if self._unweighed * LAGGARDS_PER_TURN >= len(self.laggards):
                self._weigh()

    def _weigh(self) -> None:
        """See that nobody has too much waiting; and drop the worst of all, while all together have too much.

        Only ports that filled up are weighed: the others hold no more than the mark at which a port says so.
        """
        self._unweighed = 0
        most_each = self.limits.max_unsent_bytes_per_seat
        owed = {seat: seat.owed_bytes() for seat in self.laggards if not seat.closing}
        for seat, size in list(owed.items()):
            if size > most_each:
                if seat.shorten(most_each):
                    self.note("overflow")
                    owed[seat] = seat.owed_bytes()
                else:
                    seat.drop("laggard")
                    del owed[seat]
        total = sum(owed.values())
        for seat in sorted(owed, key=owed.__getitem__, reverse=True):
            if total <= self.limits.max_unsent_bytes:
                break
            seat.drop("laggard")
            total -= owed[seat]

    def raise_later(self, mistake: Exception) -> None:
        """Leave a mistake of ours to the loop, which logs it, at the end of this turn."""

        def again() -> None:
            raise mistake

        self._later(again)

    def unsent_bytes(self) -> int:
        """Return how much waits for all whose port filled up."""
        return sum(seat.owed_bytes() for seat in self.laggards)

    def beat(self) -> None:
        """Let a second pass: deadlines, pings, farewells."""
        for seat in list(self.seats):
            seat.beat(self.limits)
        if self.laggards:
            self._weigh()
        if self.cluster is not None:
            self.cluster.beat()

    def shut_down(self) -> None:
        """Refuse everybody, each with another time to wait; who hasn't joined yet hears it in answer to the join."""
        self._stopping = True
        if self.cluster is not None:
            self.cluster.leave()
        for seat in list(self.seats):
            if seat.room is not None:
                seat.refuse(Refusal.SHUTTING_DOWN, self._wait_s())
            elif seat.doom is None:
                seat.doom = (Refusal.SHUTTING_DOWN, self._wait_s())

    def _wait_s(self) -> int:
        alone = self.cluster is None or not self.cluster.others()
        least, most = WAIT_SHUTDOWN_S if alone else WAIT_ELSEWHERE_S
        return least + self._random_bytes(1)[0] % (most - least + 1)
