"""The worker: the one thread that runs every method of every room.  Shell.

RSA never holds up a socket, for the sockets are on another thread; between the two go whole frames and calls, in order.
Rooms side by side take turns.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from chatcore.clock import Moment

LOG = logging.getLogger("parley.client")

TICK_GAP_S = 0.01  # no timer of a room goes off more often


def moment(monotonic_s: float) -> Moment:
    """Return both clocks, the monotonic one as given."""
    return Moment(monotonic_s, time.time_ns() // 1_000_000)


def log_fault(error: BaseException) -> None:
    """Log a mistake of our own by its kind and place.  Its text may hold anything, so that is not logged."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    LOG.error("fault %s%s", type(error).__name__, place)


class Patient(Protocol):
    """A room, as the worker sees it."""

    @property
    def tick_s(self) -> float | None:
        """When the room has something to do, in its own time (monotonic seconds); None if never."""

    def now(self) -> Moment:
        """What time it is for the room."""

    def tick(self) -> None:
        """Do what is due."""

    def guard(self, job: Callable[[], None]) -> None:
        """Do a job; a mistake in there is the room's own trouble."""


class Worker:
    """A queue of jobs, and those rooms that are ticked between them."""

    def __init__(self) -> None:
        self.abandoned = False  # ends after what it does now
        self.rooms: list[Patient] = []  # its own: nobody else touches it
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def put(self, job: Callable[[], None]) -> None:
        """Have something done, after what was put before."""
        self._jobs.put(job)

    def post(self, room: Patient, job: Callable[[], None]) -> None:
        """Have something done that is a room's."""
        self._jobs.put(partial(room.guard, job))

    def end(self) -> None:
        """What hasn't been done by now needn't be done."""
        self.abandoned = True
        self._jobs.put(None)

    def run(self) -> None:
        """Work until the end; the body of the thread."""
        ticked_s = 0.0
        while True:
            waits = [(room.tick_s - room.now().s, room) for room in self.rooms if room.tick_s is not None]
            wait_s = min((wait_s for wait_s, _ in waits), default=math.inf)
            wait_s = max(wait_s, ticked_s + TICK_GAP_S - time.monotonic())
            if wait_s <= 0:  # also when there is always something to do: else nothing would ever be acknowledged
                ticked_s = time.monotonic()
                for room in [room for wait_s, room in waits if wait_s <= 0]:
                    room.guard(room.tick)
            try:
                job = self._jobs.get(timeout=min(max(0.0, wait_s), threading.TIMEOUT_MAX))
            except Empty:
                continue
            if job is None or self.abandoned:
                return
            job()
