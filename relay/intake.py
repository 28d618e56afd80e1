"""The buffer into which all seats read, and how whole frames are cut out of it.  Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

from chatcore.wire import ADDRESS_SIZE, FRAME_SIZE, HEADER, NO_ADDRESS, VERSION, Kind

INTAKE_BYTES = 1 << 20  # what one wake-up may read: 15 frames for each member of a room of 256
LEAST_BYTES = 1 << 17  # of them in a small room: more for one seat would only make the others wait
BYTES_PER_SEAT = 32 * FRAME_SIZE
FRAME_WORDS = FRAME_SIZE // ADDRESS_SIZE  # a frame is 34 words of 8 bytes: head, address, 32 of block
SEND_HEAD = HEADER.pack(VERSION, Kind.SEND, 0, 0, NO_ADDRESS)[:ADDRESS_SIZE]
_CHUNK = 64
_MOST_ROUNDS = 32
_NEAR_BYTES = 1 << 18  # of a larger buffer, what lies one round further is out of the processor's caches
_join = b"".join
_CUT = [struct.Struct(f"{FRAME_SIZE}s" * count).unpack_from for count in range(_CHUNK + 1)]


class Intake:
    """The read buffer that all seats share, seen as bytes and as words."""

    __slots__ = ("sends", "view", "words")

    def __init__(self, size_bytes: int = INTAKE_BYTES) -> None:
        frames = max(2, size_bytes // FRAME_SIZE)
        self.view = memoryview(bytearray(frames * FRAME_SIZE))
        self.words = self.view.cast("Q")
        self.sends = memoryview(SEND_HEAD * frames).cast("Q")

    def cut(self, frames: int) -> Sequence[bytes]:
        """Return the first frames of the buffer, each as its own bytes."""
        if frames <= _CHUNK:
            return _CUT[frames](self.view)
        pieces: list[bytes] = []
        rest = frames % _CHUNK
        for at in range(0, (frames - rest) * FRAME_SIZE, _CHUNK * FRAME_SIZE):
            pieces += _CUT[_CHUNK](self.view, at)
        pieces += _CUT[rest](self.view, (frames - rest) * FRAME_SIZE)
        return pieces

    def deal(self, frames: int, around: int) -> Sequence[bytes]:
        """Return the first frames of the buffer as they are dealt out to so many in turns: one piece for each."""
        if frames <= around:
            return self.cut(frames)
        if frames <= _CHUNK:
            return [*map(_join, map(_CUT[frames](self.view).__getitem__, _turns(around)))]
        if around == 1:
            return [bytes(self.view[: frames * FRAME_SIZE])]
        rounds, more = divmod(frames, around)
        if rounds >= _MOST_ROUNDS or frames * FRAME_SIZE > _NEAR_BYTES:
            cut = self.cut(frames)
            return [_join(cut[at::around]) for at in range(around)]
        # Each is cut and joined before the next: the memory between stays the same, and at hand.
        pieces = [_join(_every(rounds + 1, around)(self.view, at * FRAME_SIZE)) for at in range(more)]
        take = _every(rounds, around)
        return pieces + [_join(take(self.view, at * FRAME_SIZE)) for at in range(more, around)]


@lru_cache(256)
def _turns(around: int) -> tuple[slice, ...]:
    return tuple(slice(at, None, around) for at in range(around))


@lru_cache(256)
def _every(count: int, around: int) -> Callable[[memoryview, int], tuple[bytes, ...]]:
    """Return what cuts so many frames out, each `around` frames behind the one before."""
    gap = f"{(around - 1) * FRAME_SIZE}x"
    return struct.Struct(gap.join([f"{FRAME_SIZE}s"] * count)).unpack_from


def budget(seats: int) -> int:
    """Return how many bytes one wake-up may read in a room of so many: 32 messages to everybody, within bounds."""
    return max(LEAST_BYTES, min(INTAKE_BYTES, BYTES_PER_SEAT * seats))
