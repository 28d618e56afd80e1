"""What waits for a seat that doesn't read as fast as it is sent to: a queue for each sender, served in turns.  Pure.

In one queue for all, whoever pours most would decide how late everybody's words are, and a reader on a slow line could
be pushed out by one member.  Here each sender gets the next free place in its turn, and when there is too much, it is
the newest blocks of whoever has most waiting that go.  Their sender learns it from the acknowledgement that doesn't
come, as with any lost frame; what came before them is still of use to the reader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from chatcore.wire import ADDRESS_SIZE, FRAME_SIZE, HEADER_SIZE, Kind, Turns

PORTION_FRAMES = 120  # what a port gets at once, 32 KiB: behind so much, and what the kernel has, a new word waits
_ADDRESS_AT = HEADER_SIZE - ADDRESS_SIZE
_MUST_STAY = (Kind.PRESENT, Kind.LEFT)  # news of a seat comes once only


class Waiting:
    """Frames for one reader, by the address in their headers: the blocks of another seat, and the news of it."""

    __slots__ = ("_turns",)

    def __init__(self) -> None:
        self._turns: Turns[bytes] = Turns()

    @property
    def frames(self) -> int:
        """How many frames wait."""
        return self._turns.count

    @property
    def size_bytes(self) -> int:
        """How many bytes wait."""
        return self.frames * FRAME_SIZE

    def add(self, frames: Iterable[bytes]) -> None:
        """Put whole frames behind what waits of the same address."""
        for frame in frames:
            self._turns.add(frame[_ADDRESS_AT:HEADER_SIZE], frame)

    def take(self, most: int = PORTION_FRAMES) -> bytes:
        """Return the next frames, one of each address in turn; empty when nothing waits."""
        return b"".join(self._turns.take(most))

    def shorten(self, most_bytes: int) -> bool:
        """Drop the newest blocks of whoever has most waiting, until no more waits than this; False if that can't be."""
        while (excess := self.frames - most_bytes // FRAME_SIZE) > 0:
            queues, dropped = self._turns.queues.values(), 0
            level = _level(map(len, queues), excess)
            for low in (level + 1, level):  # else the last of them would be let off
                for queue in queues:
                    if len(queue) > low:
                        dropped += _drop_newest(queue, min(len(queue) - low, excess - dropped))
            self._turns.count -= dropped
            if not dropped:
                return False
        return True


def _level(lengths: Iterable[int], excess: int) -> int:
    """Return how long the longest queues may stay, so that what is above comes to `excess` frames at least."""
    falling, count, sum_of_longer = sorted(lengths, reverse=True), 1, 0
    for count, length in enumerate(falling, 1):
        sum_of_longer += length
        lower = falling[count] if count < len(falling) else 0
        if sum_of_longer - count * lower >= excess:
            break
    return max(0, (sum_of_longer - excess) // count)


def _drop_newest(queue: deque[bytes], count: int) -> int:
    """Drop so many frames from the end, but no news; return how many.  One frame stays: the queue has its turn."""
    news: list[bytes] = []
    dropped = 0
    while dropped < count and len(queue) > 1:
        frame = queue.pop()
        if frame[1] in _MUST_STAY:
            news.append(frame)
        else:
            dropped += 1
    queue.extend(reversed(news))
    return dropped
