"""Steady mode: one block to each member every so many seconds, whether there is something to say or not.  Pure.

So that whoever counts blocks can't tell talk from silence.  docs/PROTOCOL.md, "Steady mode".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from chatcore.clock import Moment
from chatcore.seal import split
from chatcore.wire import FRAME_SIZE

MOST_PERIOD_S = 30  # three blocks must come in the 90 s after which a link that is silent has ended
SECOND_S = 1.0  # tests live faster
# What goes out on a beat is made ready so much before it, and written on the beat by a thread that does nothing else:
# how busy we are with what was said doesn't show in when we send.
LEAD_S = 0.25
DAY_S = 24 * 3600
TLS_RECORD_SIZE = 16_384
TLS_OVERHEAD = 22  # for each record: header 5, content type 1, tag 16 (RFC 8446, 5.2)

Blocks = list[bytes]  # filled when the block is made
Part = tuple[bytes, Blocks]  # a body of 166 bytes, and who wants the block that is made of it


def seconds(periods: float) -> float:
    """Return how long so many seconds of a rhythm last."""
    return periods * SECOND_S


class Backlog:
    """What waits on a link for its beats.  Nothing comes between the parts of one content.

    Messages and the rest take turns, so that neither holds the other up.
    """

    def __init__(self, dummy: int, replaced: Collection[int]) -> None:
        """`dummy` is the kind of what is said when nothing waits; of each kind in `replaced` only the newest waits."""
        self._dummy, self._replaced = split(dummy, b"")[0], replaced
        self._messages: deque[list[Part]] = deque()
        self._others: deque[tuple[int, list[Part]]] = deque()
        self._current: deque[Part] = deque()  # the parts of a content that has begun
        self._message_is_next = False

    def put(self, kind: int, content: bytes, *, message: bool) -> Blocks:
        """Have a content wait; returns the list for its blocks."""
        blocks: Blocks = []
        parts = [(body, blocks) for body in split(kind, content)]
        if message:
            self._messages.append(parts)
        elif kind in self._replaced and kind in (queued := [kind for kind, _ in self._others]):
            self._others[queued.index(kind)] = kind, parts
        else:
            self._others.append((kind, parts))
        return blocks

    @property
    def parts(self) -> int:
        """How many beats all this takes."""
        return len(self._current) + sum(map(len, self._messages)) + sum(len(parts) for _, parts in self._others)

    @property
    def message(self) -> bool:
        """Whether a message waits that hasn't begun."""
        return bool(self._messages)

    @property
    def others(self) -> int:
        """How many contents wait that are no messages."""
        return len(self._others)

    def _begin_next(self) -> None:
        if self._messages and (self._message_is_next or not self._others):
            self._current.extend(self._messages.popleft())
        elif self._others:
            self._current.extend(self._others.popleft()[1])
        self._message_is_next = not self._message_is_next

    def take(self) -> Part:
        """Return what is said on this beat."""
        if not self._current:
            self._begin_next()
        return self._current.popleft() if self._current else (self._dummy, [])

    def take_all(self) -> list[Part]:
        """Return everything: there are no beats any more."""
        parts = []
        while self.parts:
            parts.append(self.take())
        return parts


class Rhythm:
    """The beats of one client in one room: at a phase that is drawn once, whatever is said."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self.period_s = 0  # 0: there is no rhythm
        self._random = random
        self._beat_s: float | None = None

    def set(self, period_s: int, now: Moment) -> None:
        """Have a beat every so many seconds from now on.

        0: none; there is one more, for what waits mustn't overtake what is ready for the beat before.
        """
        if period_s and period_s != self.period_s:
            phase = int.from_bytes(self._random(4)) / 2**32
            self._beat_s = now.s + LEAD_S + phase * seconds(period_s)
        self.period_s = period_s

    def next_tick(self) -> float | None:
        """Return when `due` has something to say, in monotonic seconds; None if never."""
        return None if self._beat_s is None else self._beat_s - min(LEAD_S, self._step_s() / 4)

    def _step_s(self) -> float:
        return seconds(self.period_s or MOST_PERIOD_S)

    def due(self, now: Moment) -> float | None:
        """Return when the blocks of the beat that is to be made ready now go out (monotonic seconds), if it is time.

        Beats that were missed aren't made up for: the next is where it would have been anyway.
        """
        ready_s = self.next_tick()
        if ready_s is None or self._beat_s is None or now.s < ready_s:
            return None
        due_s = self._beat_s
        if self.period_s:
            missed = int((now.s - ready_s) / self._step_s())
            self._beat_s += (missed + 1) * self._step_s()
        else:
            self._beat_s = None
        return due_s


def bytes_a_day(members: int, period_s: int) -> int:
    """Return what steady mode costs one member of a room, sent and received, with TLS and without TCP and IP.

    All blocks of a beat are written at once; what comes is written by the relay one by one, for others beat at other
    times.
    """
    others, beats = max(0, members - 1), DAY_S // max(1, period_s)
    sent = others * FRAME_SIZE
    records = -(-sent // TLS_RECORD_SIZE)
    return beats * (sent + records * TLS_OVERHEAD + others * (FRAME_SIZE + TLS_OVERHEAD))
