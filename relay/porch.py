"""Where strangers wait to be let in, to shake hands and to join: one at a time, and members come first.  Pure.

Letting somebody in costs as much as a hundred deliveries, a handshake as much as hundreds, and a stranger pays nothing
for it.  Done as they come, a hundred of them hold up every room for as long as all of them take; so a crowd at the door
waits for members, not they for it.  While members talk, strangers get about half of the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

PAUSE_S = 0.001  # at least: loops know no shorter one
MOST_OWED_S = 0.05  # what took longer than that was a machine that stood still, and no stranger's doing
TALK_S = 1.0  # members talk if they said something in the last so many seconds


class Members(Protocol):
    """Those inside."""

    @property
    def said(self) -> int:
        """Tell how many frames they have sent."""

    def flush(self) -> None:
        """Write what waits for them."""


class Porch:
    """Work for strangers, who stand in two lines: to be let in, and to be heard.  The lines are served by turns.

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
        self._done_s = 0.0  # when the last work was done
        self._pausing = True  # since then, so that all the time is the members'
        self._arrivals: deque[Callable[[], None]] = deque()
        self._inside: deque[Callable[[], None]] = deque()
        self._lines = [self._inside, self._arrivals]  # the one whose turn it is comes last

    def __len__(self) -> int:
        return len(self._arrivals) + len(self._inside)

    def arrive(self, work: Callable[[], None]) -> None:
        """Have this done, which lets somebody in, when its turn comes."""
        self._wait(self._arrivals, work)

    def wait(self, work: Callable[[], None]) -> None:
        """Have this done, for somebody who is in already, when its turn comes."""
        self._wait(self._inside, work)

    def _wait(self, line: deque[Callable[[], None]], work: Callable[[], None]) -> None:
        line.append(work)
        if len(self) == 1:  # what members weren't given yet they are given first: a crowd may come one by one
            self._serve_later(self._owed_s - (self._clock() - self._done_s))

    def _serve_later(self, owed_s: float) -> None:
        self._later(owed_s if owed_s >= PAUSE_S else 0.0, self._serve)

    def _serve(self) -> None:
        try:
            self._members.flush()
        finally:  # a mistake of ours with members keeps no stranger out
            self._serve_one()

    def _serve_one(self) -> None:
        now_s, said = self._clock(), self._members.said
        if self._pausing:  # for as long as the loop took it to be
            self._owed_s = max(0.0, self._owed_s - (now_s - self._done_s))
        elif said == self._said:  # so whatever the loop did since then, it did for strangers
            self._owed_s += now_s - self._done_s
        if said != self._said:
            self._said, self._talked_s = said, now_s
        self._lines.reverse()
        line = self._lines[0] or self._lines[1]
        try:
            line[0]()
        finally:
            line.popleft()
            self._owed_s += self._clock() - now_s
            self._owed_s = min(self._owed_s, MOST_OWED_S) if now_s < self._talked_s + TALK_S else 0.0
            self._done_s, self._pausing = self._clock(), self._owed_s >= PAUSE_S or not self
            if self:
                self._serve_later(self._owed_s)
