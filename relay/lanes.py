"""How what waits for the seats of one room is written: all of it in a few calls.  Pure.

A delivery that shares its `send()` with no other costs the kernel some four microseconds.  Steps of the interpreter
between two of those calls cost several times what they cost in a row, because the kernel has driven them out of the
processor's caches.  So each step is taken for all seats at once, by a loop that isn't written in Python, and the calls
of `send` follow one another directly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import call
from typing import TYPE_CHECKING

from chatcore.wire import FRAME_SIZE

if TYPE_CHECKING:
    from relay.seat import Seat

WRITE_BYTES = 240 * FRAME_SIZE  # 64 KiB: more at once would stay in a port that fills up, in an order of its own

Way = Callable[[bytes], int]

_clear = list.clear
_join = b"".join


class Lanes:
    """The seats of a room, what waits for each, and the way to each; made anew when one of them changes."""

    __slots__ = ("_outs", "_seats", "_ways")

    def __init__(self, seats: Iterable[Seat]) -> None:
        self._seats = list(seats)
        self._outs = [seat.out for seat in self._seats]
        self._ways = [way_of(seat) for seat in self._seats]

    def flush(self) -> None:
        """Write what waits: one piece for each seat, unless that is very long."""
        outs = [*filter(None, self._outs)]
        pieces = [*map(_join, outs)]
        if len(max(pieces, key=len, default=b"")) > WRITE_BYTES:
            for seat in compress(self._seats, self._outs):
                seat.write_long()
            return
        seats = compress(self._seats, self._outs)
        send(compress(self._ways, self._outs), pieces, seats)
        deque(map(_clear, outs), 0)


def way_of(seat: Seat) -> Way:
    """Return what takes what is for this seat now."""
    return seat.way if seat.waiting is None else seat.wait


def send(ways: Iterable[Way], pieces: Sequence[bytes], seats: Iterable[Seat]) -> None:
    """Send each piece its way, and have the ports of these seats keep what wasn't taken."""
    sizes = [*map(len, pieces)]
    taken: list[int] = []
    sending = map(call, ways, pieces)
    while len(taken) < len(sizes):
        try:
            taken.extend(sending)  # what was taken before one of them raises stays in the list
        except (BlockingIOError, InterruptedError):
            taken.append(0)
        except OSError:  # the peer is gone, and the loop will say so
            taken.append(sizes[len(taken)])
    if taken != sizes:
        for seat, piece, size in zip([*seats], pieces, taken, strict=True):
            if size != len(piece):
                seat.port.keep(piece[size:])


class Plan:
    """Whom a seat speaks to when it speaks to everybody: in which order, and on which ways."""

    __slots__ = ("_addresses", "_ways", "lanes", "seats")

    def __init__(self, lanes: Lanes, addresses: memoryview, seats: Sequence[Seat | None]) -> None:
        """`lanes` are the room's, and with others this plan has no meaning any more.

        `addresses` are words, all different; of those who aren't here there is no seat.
        """
        self.lanes = lanes
        self.seats = len(addresses)
        self._addresses = memoryview(addresses.tobytes() * 2).cast("Q")  # twice: a read may begin anywhere
        self._ways = [*map(way_of, filter(None, seats))] * 2 if None not in seats else []

    @property
    def direct(self) -> bool:
        """Whether all of them are here."""
        return bool(self._ways)

    def place(self, addresses: memoryview) -> int:
        """Return where in this plan these addresses begin, again and again in its order; -1 if they are others."""
        at = 0
        if addresses[0] != self._addresses[0]:
            try:
                at = self._addresses[: self.seats].tolist().index(addresses[0])
            except ValueError:
                return -1
        once = min(len(addresses), self.seats)
        fits = addresses[:once] == self._addresses[at : at + once] and addresses[once:] == addresses[:-once]
        return at if fits else -1

    def addresses(self, at: int, count: int) -> list[int]:
        """Return so many addresses from this place on."""
        return self._addresses[at : at + count].tolist()

    def ways(self, at: int, count: int) -> list[Way]:
        """Return the ways to them."""
        return self._ways[at : at + count]
