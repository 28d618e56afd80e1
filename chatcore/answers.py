"""What replies quote, and when one quotes what this client can't have missed: another version of a message.  Pure.

A message is sealed for each reader alone, so its sender can write different things to different people.  A reply names
the message that it answers by its id, which is another for another text: whoever holds no such message, though it was
there when it came to the others, says so (docs/PROTOCOL.md, "Replies").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from chatcore.clock import Moment
from chatcore.events import OtherVersion, Quote

WAIT_S = 30.0  # what is quoted may be on its way to us still
MAX_HELD = 8192  # messages that can be quoted, the newest
MAX_WAITING = 64  # replies that wait for what they quote


class Answers:
    """The messages that this client holds, by id, and the replies that quote one it doesn't."""

    def __init__(
        self, since_ms: int, emit: Callable[[OtherVersion], None], is_here: Callable[[bytes], bool] = lambda fp: True
    ) -> None:
        """`since_ms` is when this client began to hold what is said in the room; `is_here` looks for an author."""
        self._since_ms, self._emit, self._is_here = since_ms, emit, is_here
        self._older: frozenset[bytes] = frozenset()
        self._held: dict[bytes, tuple[bytes, int]] = {}  # by mid: author, when it came here
        self._waiting: dict[bytes, tuple[float, Quote, OtherVersion]] = {}  # by mid of the reply

    def begin(self, at_ms: int) -> None:
        """What was said before this time isn't for this client: it has just become a member."""
        if not self._held:
            self._since_ms = max(self._since_ms, at_ms)

    def held_before(self, mids: Iterable[bytes]) -> None:
        """These were here, longer ago than one may quote: others, to whom they came later, quote them still."""
        self._older = frozenset(mids)

    def hold(self, mid: bytes, author: bytes, came_ms: int) -> None:
        """A message is here, one's own or somebody's."""
        self._held[mid] = author, came_ms
        if len(self._held) > MAX_HELD:
            oldest = next(iter(self._held))
            self._since_ms = max(self._since_ms, self._held.pop(oldest)[1] + 1)
        for reply, (_, quote, _) in list(self._waiting.items()):
            if quote.mid == mid:
                del self._waiting[reply]

    def quote(self, mid: bytes) -> Quote | None:
        """Return how a message is quoted; None if it isn't held (any more)."""
        held = self._held.get(mid)
        return Quote(mid, *held) if held is not None else None

    def read(self, quote: Quote, mid: bytes, sender: bytes, nick: str, now: Moment) -> None:
        """A reply has come.  OtherVersion follows if what it quotes should be here and doesn't come in `WAIT_S`."""
        if quote.mid in self._held or quote.mid in self._older or quote.came_ms < self._since_ms:
            return
        if len(self._waiting) >= MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[mid] = now.s + WAIT_S, quote, OtherVersion(mid, sender, nick, quote.author, now.ms)

    def tick(self, now: Moment) -> None:
        """Tell of the replies that have waited long enough; once more, if the author was away then and came since."""
        for mid, (due_s, quote, event) in list(self._waiting.items()):
            if now.s < due_s:
                continue
            if self._is_here(event.author):
                del self._waiting[mid]
                self._emit(replace(event, away=False))
            else:
                self._waiting[mid] = math.inf, quote, replace(event, away=True)
                self._emit(replace(event, away=True))

    def here(self, author: bytes, now: Moment) -> None:
        """Somebody can send now what is still owed."""
        for mid, (due_s, quote, event) in self._waiting.items():
            if event.author == author and (event.away or due_s < now.s + WAIT_S):
                self._waiting[mid] = now.s + WAIT_S, quote, event

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        return min((due_s for due_s, *_ in self._waiting.values() if due_s < math.inf), default=None)
