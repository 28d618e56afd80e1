"""What has come over a connection and waits for the worker: a queue for each sender, served in turns.  Pure.

Each block costs a quarter of a millisecond to open.  In one queue for all, a member who talks as fast as a computer can
would make everybody's words wait behind theirs, for seconds; in turns they wait for one block of each.  What one sender
says keeps its order, and so does the relay's news of a seat with what that seat says; between two nothing rests on it.
"""

from __future__ import annotations

from collections import deque

from chatcore.wire import ADDRESS_SIZE, HEADER_SIZE

_SENDER = slice(HEADER_SIZE - ADDRESS_SIZE, HEADER_SIZE)


class Turns:
    """Frames of 272 bytes, with when they came (monotonic seconds, never less than the one before)."""

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[tuple[float, bytes]]] = {}
        self._turns: deque[bytes] = deque()
        self._frames = 0

    def __len__(self) -> int:
        return self._frames

    @property
    def oldest_s(self) -> float | None:
        """When the frame came that has waited longest; None when none waits."""
        return min((queue[0][0] for queue in self._queues.values()), default=None)

    def add(self, came_s: float, frame: bytes) -> None:
        """Put a frame behind what waits of the same sender."""
        sender = frame[_SENDER]
        queue = self._queues.get(sender)
        if queue is None:
            queue = self._queues[sender] = deque()
            self._turns.append(sender)
        queue.append((came_s, frame))
        self._frames += 1

    def take(self, most: int) -> list[bytes]:
        """Return the next frames, at most so many: one of each sender in turn."""
        taken: list[bytes] = []
        while self._turns and len(taken) < most:
            sender = self._turns.popleft()
            queue = self._queues[sender]
            taken.append(queue.popleft()[1])
            if queue:
                self._turns.append(sender)
            else:
                del self._queues[sender]
        self._frames -= len(taken)
        return taken
