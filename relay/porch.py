"""Where strangers wait to be let in and for their handshake: one at a time, and members come first.  Pure.

Letting somebody in costs as much as a hundred deliveries, a handshake as much as hundreds, and a stranger pays nothing
for it.  Done as they come, a hundred of them hold up every room for as long as all of them take; so a crowd at the door
waits for members, not they for it.  While members talk, strangers get half of the time at most.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

PAUSE_S = 0.001  # at least: loops know no shorter one
MOST_OWED_S = 0.05  # what took longer than that was a machine that stood still, and no stranger's doing
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
        self._begun_s = math.inf  # the end of the last work, if nothing but strangers followed it
        self._owed_s = 0.0  # time that members are due
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, work: Callable[[], None]) -> None:
        """Have this done when its turn comes."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._put_off(0.0)

    def _put_off(self, pause_s: float) -> None:
        self._begun_s = math.inf if pause_s else self._clock()
        self._later(pause_s, self._serve)

    def _serve(self) -> None:
        try:
            self._members.flush()
        finally:  # a mistake of ours with members keeps no stranger out
            self._serve_one()

    def _serve_one(self) -> None:
        now_s = self._clock()
        if self._said != self._members.frames:
            self._said, self._talked_s, self._begun_s = self._members.frames, now_s, math.inf
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            # Since the last one, too, if no member spoke: whatever the loop did then, it did for strangers.
            took_s = self._clock() - min(self._begun_s, now_s)
            self._owed_s = min(self._owed_s + took_s, MOST_OWED_S) if now_s < self._talked_s + TALK_S else 0.0
            if self._waiting:
                pause_s = self._owed_s if self._owed_s >= PAUSE_S else 0.0
                self._owed_s -= pause_s
                self._put_off(pause_s)
