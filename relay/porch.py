"""Where strangers wait for their handshake: one is served in each turn of the loop, and members come first.  Pure.

A handshake costs as much as hundreds of deliveries, and a stranger pays nothing for it.  Done as they come, a hundred
of them hold up every room for as long as all of them take; so a crowd at the door waits for members, not they for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Porch:
    """Work for strangers, in the order they came.

    `later` runs a call in the next turn of the loop; `first` writes what waits for members.
    """

    def __init__(self, later: Callable[[Callable[[], None]], Any], first: Callable[[], None]) -> None:
        self._later = later
        self._first = first
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, work: Callable[[], None]) -> None:
        """Have this done when its turn comes."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._later(self._serve)

    def _serve(self) -> None:
        self._first()
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            if self._waiting:
                self._later(self._serve)
