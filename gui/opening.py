"""Rooms that are opened behind the one that is shown: one after the other, a while apart.  A shell.

All at once, thirty rooms would keep the computer from the one that is shown, and a relay would take them for a storm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import SystemRandom
from threading import Timer

APART_S = (0.2, 0.6)

_RANDOM = SystemRandom()


class Opening:
    """What is still to be opened.  `soon` has a job done by the backroom's thread, which calls all but `stop`."""

    def __init__(self, soon: Callable[[Callable[[], None]], None]) -> None:
        self._soon = soon
        self._left: deque[Callable[[], None]] = deque()
        self._timer: Timer | None = None
        self._stopped = False

    def begin(self, openings: Iterable[Callable[[], None]]) -> None:
        """Do these, too; the first of them after a while."""
        self._left.extend(openings)
        self._rest()

    def forget(self) -> None:
        """Open no more."""
        self._left.clear()

    def stop(self) -> None:
        """Open no more, for good; from any thread."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _rest(self) -> None:
        if self._left and self._timer is None and not self._stopped:
            self._timer = Timer(_RANDOM.uniform(*APART_S), lambda: self._soon(self._next))
            self._timer.daemon = True
            self._timer.start()

    def _next(self) -> None:
        self._timer = None
        if self._left and not self._stopped:
            try:
                self._left.popleft()()
            finally:
                self._rest()
