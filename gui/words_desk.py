"""Works out words on a thread of its own: each takes a fifth of a second, and nothing else is to wait for it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from chatcore.invite import Invite
from chatcore.wordlist import english
from chatcore.words import room_words

log = logging.getLogger("parley.gui")

MAX_KEPT = 512  # words remembered: a room of 256 people with each of them, and some of before

Answer = Callable[[tuple[str, ...]], None]
_Wish = tuple[bytes, int, frozenset[bytes]]


class WordsDesk:
    """Asked from any thread; answers from its own, the newest wish first."""

    def __init__(self) -> None:
        self._wishes: OrderedDict[Hashable, tuple[_Wish, Answer]] = OrderedDict()
        self._changed = threading.Condition()
        self._open = True
        self._done: OrderedDict[_Wish, tuple[str, ...]] = OrderedDict()
        self._thread = threading.Thread(target=self._work, name="parley-words", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it is at; wishes that wait are forgotten."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._thread.join(2.0)

    def ask(self, invite: Invite, fps: frozenset[bytes], answer: Answer, *, instead: Hashable = None) -> None:
        """Work out the words of these people in a room.

        A wish that waits under the same `instead` is forgotten: else people who come and go could keep this thread at
        work on words that nobody looks at any more.
        """
        wish = (invite.room_id, invite.epoch, fps)
        with self._changed:
            key = wish if instead is None else instead
            self._wishes[key] = wish, answer
            self._wishes.move_to_end(key)
            self._changed.notify_all()

    def _next(self) -> tuple[_Wish, Answer] | None:
        with self._changed:
            while self._open and not self._wishes:
                self._changed.wait()
            return self._wishes.popitem()[1] if self._open else None

    def _work(self) -> None:
        while (next_ := self._next()) is not None:
            wish, answer = next_
            try:
                if wish not in self._done:
                    self._done[wish] = room_words(english(), *wish)
                    while len(self._done) > MAX_KEPT:
                        self._done.popitem(last=False)
                answer(self._done[wish])
            except Exception as error:  # a fault of ours; the page goes on saying that it computes
                log.error("words failed: %s", type(error).__name__)
