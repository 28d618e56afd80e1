"""One queue into the GUI thread, from any thread, that never holds up whoever puts something in.  No toolkit.

PySimpleGUI's own way (`window.write_event_value`) makes the calling thread wait until the GUI thread reads: a busy
window would stall the network loop, a GUI thread that joins such a worker would wait for ever, and after the window is
gone it raises.  Here a thread that has nothing else to do does the waiting: however much is put in, there is at most
one wake under way, and the GUI thread then takes all there is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger("parley.gui")

AGAIN_S = 0.1  # how long a wake may go unanswered before the next: the window that it went to may be gone

T = TypeVar("T")


class Bridge(Generic[T]):
    """A queue with many writers and one reader, the GUI thread.

    `wake` makes the reader call `drain` soon.  It is called in a thread of the bridge; it may block, and it may raise.
    It is called again until the reader has come or the bridge is closed.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._items: list[T] = []
        self._reads = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="parley-bridge", daemon=True)

    def start(self) -> None:
        """Begin to wake the reader.  What was put in before isn't lost."""
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue `item` and return at once.  After `close` it is dropped: there is nobody left to read it."""
        with self._changed:
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    def drain(self, *, wait: bool = False) -> list[T]:
        """Take everything that is queued, in order; the list may be empty, with `wait` only after `close`."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._items or self._closed)
            self._reads += 1
            self._changed.notify_all()
            items, self._items = self._items, []
        return items

    def close(self, pump: Callable[[], None] = lambda: None, timeout_s: float = 2.0) -> bool:
        """End the thread and drop what is queued; idempotent.

        A wake that waits for the GUI thread is waiting for the very thread that calls this: `pump` lets the toolkit
        handle what is due, and is called until the thread has ended.  Returns False when it hasn't within `timeout_s`.
        """
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_s
        while self._thread.is_alive() and time.monotonic() < deadline:
            pump()
            self._thread.join(0.01)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed)
                if self._closed:
                    return
                reads = self._reads
            try:
                self._wake()
            except Exception as error:  # whatever a toolkit raises for a window that has just gone
                log.debug("the window couldn't be woken: %s", type(error).__name__)
            with self._changed:  # one wake is enough, unless the window that it went to is gone before it read
                self._changed.wait_for(lambda: self._reads != reads or self._closed, AGAIN_S)  # noqa: B023
