"""The buffer into which all seats read, and how whole frames are cut out of it.  Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

from chatcore.wire import ADDRESS_SIZE, FRAME_SIZE, HEADER, NO_ADDRESS, VERSION, Kind

INTAKE_BYTES = 1 << 20  # what one wake-up may read: 15 frames for each member of a room of 256
LEAST_BYTES = 1 << 17  # of them in a small room: more for one seat would only make the others wait
BYTES_PER_SEAT = 32 * FRAME_SIZE
FRAME_WORDS = FRAME_SIZE // ADDRESS_SIZE  # a frame is 34 words of 8 bytes: head, address, 32 of block
SEND_HEAD = HEADER.pack(VERSION, Kind.SEND, 0, 0, NO_ADDRESS)[:ADDRESS_SIZE]
_CHUNK = 64
_bytes = memoryview.tobytes
_CUT = [struct.Struct(f"{FRAME_SIZE}s" * count).unpack_from for count in range(_CHUNK + 1)]


class Intake:
    """The read buffer that all seats share, seen as bytes, as words, and as rows of one frame each."""

    __slots__ = ("_rows", "_sends", "_turns", "_words", "fields", "view")

    def __init__(self, size_bytes: int = INTAKE_BYTES) -> None:
        frames = max(2, size_bytes // FRAME_SIZE)
        self.view = memoryview(bytearray(frames * FRAME_SIZE))
        self._words = self.view.cast("Q")
        self._sends = memoryview(SEND_HEAD * frames).cast("Q")
        self._rows = self.view.cast("B", (frames, FRAME_SIZE))
        # Views of the one buffer, which are the same for each read of the same length: so they are kept.
        self.fields = lru_cache(512)(self._fields)
        self._turns = lru_cache(32)(self._take_turns)

    def _fields(self, frames: int) -> tuple[memoryview, memoryview, memoryview]:
        """Return, as words: the heads of the first frames, their addresses, and the heads if all of them are SEND."""
        end = frames * FRAME_WORDS
        return self._words[0:end:FRAME_WORDS], self._words[1:end:FRAME_WORDS], self._sends[:frames]

    def _take_turns(self, frames: int, around: int) -> tuple[memoryview, ...]:
        return tuple(self._rows[at:frames:around] for at in range(around))

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
        return self.cut(frames) if frames <= around else [*map(_bytes, self._turns(frames, around))]


def budget(seats: int) -> int:
    """Return how many bytes one wake-up may read in a room of so many: 32 messages to everybody, within bounds."""
    return max(LEAST_BYTES, min(INTAKE_BYTES, BYTES_PER_SEAT * seats))
