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
from typing import TYPE_CHECKING, Any, TypeVar

from chatcore.wire import FRAME_SIZE

if TYPE_CHECKING:
    from relay.seat import Seat

SHORT_FRAMES = 64  # of a read
WRITE_BYTES = 240 * FRAME_SIZE  # 64 KiB: more at once would stay in a port that fills up, in an order of its own

Send = Callable[[Any, bytes], int]  # to what, and what; returns how many bytes were taken
Way = tuple[Send, Any]
Seal = Callable[[bytes], bytes]
AS_IT_IS: Seal = bytes  # of bytes this makes the same bytes again
NOWHERE: Way = (lambda _, data: len(data)), None  # takes all there is, and that is the end of it

_T = TypeVar("_T")
_clear = list.clear
_join = b"".join


class Lanes:
    """The seats of a room, what waits for each, its seal and its way; made anew when one of them changes."""

    __slots__ = ("_ends", "_outs", "_seals", "_seats", "_send")

    def __init__(self, seats: Iterable[Seat]) -> None:
        self._seats = tuple(seats)
        self._outs = tuple(seat.out for seat in self._seats)
        self._send, self._ends, self._seals = _ways_and_seals(self._seats)

    def flush(self) -> None:
        """Write what waits: one piece for each seat, unless that is very long."""
        outs = [*filter(None, self._outs)]
        pieces = [*map(_join, outs)]
        if len(max(pieces, key=len, default=b"")) > WRITE_BYTES:
            for seat in compress(self._seats, self._outs):
                seat.write_long()
            return
        if self._seals:
            pieces = [*map(call, compress(self._seals, self._outs), pieces)]
        _send_all(self._send, compress(self._ends, self._outs), pieces, compress(self._seats, self._outs))
        deque(map(_clear, outs), 0)


def _ways_and_seals(seats: Sequence[Seat]) -> tuple[Send, list[Any], list[Seal]]:
    """Return what sends to all of them now, to what for each, and the seals before; no seals when none does anything.

    What is for a seat that is behind is put away as if that were its seal, and of the nothing that is left all is sent.
    """
    ways = [seat.way if seat.waiting is None else NOWHERE for seat in seats]
    seals = [seat.seal if seat.waiting is None else seat.wait for seat in seats]
    plain = all(seal is AS_IT_IS for seal in seals)
    alike = len({send for send, _ in ways}) == 1
    return ways[0][0] if alike else _go, [end for _, end in ways] if alike else ways, [] if plain else seals


def _go(way: Way, data: bytes) -> int:
    send, end = way
    return send(end, data)


def _send_all(send: Send, ends: Iterable[Any], pieces: Sequence[bytes], seats: Iterable[Seat]) -> None:
    """Send each end its piece, and have the ports of these seats keep what wasn't taken."""
    sizes = [*map(len, pieces)]
    taken: list[int] = []
    sending = map(send, ends, pieces)
    while len(taken) < len(sizes):
        try:
            taken.extend(sending)  # what was taken before one of them raises stays in the list
        except (BlockingIOError, InterruptedError):
            taken.append(0)
        except OSError:  # the peer is gone, and the loop will say so
            taken.append(sizes[len(taken)])
    if taken != sizes:
        for seat, piece, size in zip(seats, pieces, taken, strict=False):
            if size != len(piece):
                seat.port.keep(piece[size:])


class Plan:
    """Whom a seat speaks to when it speaks to everybody: in which order, and on which ways; made anew as lanes are."""

    __slots__ = ("_addresses", "_ends", "_seals", "_seats", "_send", "around", "direct")

    def __init__(self, addresses: memoryview, seats: Sequence[Seat | None]) -> None:
        """`addresses` are words, all different; of those who are at another relay there is no seat."""
        here = [seat for seat in seats if seat is not None]
        self.around = len(addresses)
        self.direct = len(here) == self.around and all(seat.waiting is None for seat in here)  # all here, nobody behind
        # Again and again, since a read may begin anywhere; and so often that a short one is compared in one step.
        self._addresses = memoryview(addresses.tobytes() * max(2, SHORT_FRAMES // self.around)).cast("Q")
        self._seats = here
        self._send, self._ends, self._seals = _ways_and_seals(here)

    def place(self, addresses: memoryview) -> int:
        """Return where in this plan these addresses begin, again and again in its order; -1 if they are others."""
        at = 0
        if addresses[0] != self._addresses[0]:
            try:
                at = self._addresses[: self.around].tolist().index(addresses[0])
            except ValueError:
                return -1
        if len(addresses) <= len(self._addresses) - at:
            fits = addresses == self._addresses[at : at + len(addresses)]
        else:
            once = self.around
            fits = addresses[:once] == self._addresses[at : at + once] and addresses[once:] == addresses[:-once]
        return at if fits else -1

    def addresses(self, at: int, count: int) -> list[int]:
        """Return so many addresses from this place on."""
        return self._addresses[at : at + count].tolist()

    def send(self, at: int, pieces: Sequence[bytes]) -> None:
        """Write each of the seats from this place on its piece."""
        ends, seals, seats = self._ends, self._seals, self._seats
        if at:
            ends, seals, seats = _from(at, ends), _from(at, seals), _from(at, seats)
        if seals:
            pieces = [*map(call, seals, pieces)]
        _send_all(self._send, ends, pieces, seats)


def _from(at: int, of: list[_T]) -> list[_T]:
    return of[at:] + of[:at]
