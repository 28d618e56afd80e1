"""Where strangers wait for their handshake: one at a time, and members come first.  Pure.

A handshake costs as much as hundreds of deliveries, and a stranger pays nothing for it.  Done as they come, a hundred
of them hold up every room for as long as all of them take; so a crowd at the door waits for members, not they for it.
While members talk, strangers get half of the time at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

PAUSE_S = 0.001  # at least: loops know no shorter one
TALK_S = 1.0  # members talk if they said something in the last so many seconds


class Members(Protocol):
    """Those inside."""

    frames: int  # that they have sent

    def flush(self) -> None:
        """Write what waits for them."""


class Porch:
    """Work for strangers, in the order they came.

    `later` runs a call after so many seconds, `clock` tells seconds.
    """

    def __init__(
        self, later: Callable[[float, Callable[[], None]], Any], clock: Callable[[], float], members: Members
    ) -> None:
        self._later = later
        self._clock = clock
        self._members = members
        self._said = 0  # by members, as far as was seen
        self._talked_s = -TALK_S
        self._owed_s = 0.0  # time that members are due
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, work: Callable[[], None]) -> None:
        """Have this done when its turn comes."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._later(0.0, self._serve)

    def _serve(self) -> None:
        self._members.flush()
        begun_s = self._clock()
        if self._said != self._members.frames:
            self._said, self._talked_s = self._members.frames, begun_s
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            self._owed_s += self._clock() - begun_s
            if begun_s >= self._talked_s + TALK_S:
                self._owed_s = 0.0
            if self._waiting:
                pause_s = self._owed_s if self._owed_s >= PAUSE_S else 0.0
                self._owed_s -= pause_s
                self._later(pause_s, self._serve)
