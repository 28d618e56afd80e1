"""What time it is, as the shells tell the core, and how much work is allowed.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks.

    `s` is a monotonic clock in seconds, for every timer; `ms` the wall clock in milliseconds since 1970 UTC, for what
    people see and for statements.  Neither may stand in for the other: a laptop sleeps, and wall clocks jump.
    """

    s: float
    ms: int


def after(now: Moment, bounds_s: tuple[float, float], random: Callable[[int], bytes]) -> float:
    """Return when it is so much later (monotonic seconds), drawn between bounds: not all clients speak at once."""
    low_s, high_s = bounds_s
    return now.s + low_s + (high_s - low_s) * int.from_bytes(random(2)) / 65536


STEADY_S = 3600.0  # by then whoever sets a clock that was wrong at the start has set it
SET_MS = 5 * 60_000  # a clock that differs by more was set, or the computer slept


class SteadyClock:
    """Says whether the clock on the wall may be believed when something is to be given up for its age.

    A clock that is wrong when a computer starts is put right soon after; one that was right may be wrong for a while.
    """

    __slots__ = ("_offset_ms", "_since_s")

    def __init__(self, now: Moment) -> None:
        self._offset_ms, self._since_s = now.ms - now.s * 1000, now.s

    def is_steady(self, now: Moment) -> bool:
        """Whether it has run for an hour without being set; to be asked every few minutes, for it looks when asked."""
        offset_ms = now.ms - now.s * 1000
        if abs(offset_ms - self._offset_ms) > SET_MS:
            self._offset_ms, self._since_s = offset_ms, now.s
        return now.s >= self._since_s + STEADY_S


class Bucket:
    """A token bucket: work that others can cause is paid from here, or not done (docs/PROTOCOL.md, "Bounds")."""

    __slots__ = ("_burst", "_level", "_rate", "_seen_s")

    def __init__(self, burst: float, rate: float) -> None:
        """Hold up to `burst` tokens, gain `rate` tokens a second; starts full."""
        self._burst, self._rate, self._level, self._seen_s = burst, rate, burst, 0.0

    def take(self, now: Moment, cost: float = 1.0) -> bool:
        """Take `cost` tokens; False, taking none, when there aren't so many."""
        if now.s > self._seen_s:
            self._level = min(self._burst, self._level + (now.s - self._seen_s) * self._rate)
            self._seen_s = now.s
        if self._level < cost:
            return False
        self._level -= cost
        return True
