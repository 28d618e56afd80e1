"""Numbers, cursors, and what is still owed to whom.  Pure; knows no keys and no links.  docs/PROTOCOL.md, "Delivery".

For each pair of identities and each direction there is one run of numbers, from 1.  The sender keeps a message in the
`Outbox` for its recipient until that recipient's cursor has passed it; the recipient's `Inbox` takes the next number
and nothing else.  Whatever the relay drops, doubles or reorders is mended by sending again from the cursor on.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from chatcore.clock import Moment
from chatcore.errors import WireError
from chatcore.kept import Standing
from chatcore.seal import CONTENT_SIZE, digest

LOG_SIZE = 8
NO_LOG = bytes(LOG_SIZE)
MID_SIZE = 16
SALT_SIZE = 16
DIGEST_SIZE = 32

MAX_OUTBOX_MESSAGES = 1000
MAX_OUTBOX_BYTES = 16 * 2**20
MAX_OUTBOX_AGE_MS = 14 * 24 * 3600 * 1000
MAX_LOGS = 4  # logs remembered for each peer: a peer whose disk was restored begins a new one
WINDOW_PARTS = 512  # parts in flight to one peer: 128 KiB, under the relay's bound for a laggard
RESEND_FIRST_S, RESEND_MAX_S = 5.0, 300.0

_MESSAGE = struct.Struct(">16sQ32s")  # salt, time, who; then the application's bytes
_READY = struct.Struct(">8sQQ8sQQ32sQ")
_ACK = struct.Struct(">8sQQ32s")
NUMBER_SIZE = 8


@dataclass(frozen=True, slots=True)
class Message:
    """What a MSG carries after its number: `salt 16 | time u64 ms | who 32 | app`; the same for every recipient."""

    salt: bytes
    time_ms: int
    who: bytes
    app: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the bytes that follow the number."""
        return _MESSAGE.pack(self.salt, self.time_ms, self.who) + self.app

    def mid(self, room_id: bytes, sender: bytes) -> bytes:
        """Return the 16-byte id of this message; computed by both ends, never sent."""
        return digest(b"mid", room_id + sender + self.to_bytes())[:MID_SIZE]

    @classmethod
    def parse(cls, rest: bytes) -> Message:
        """Read what follows the number.  Raises WireError."""
        if len(rest) < _MESSAGE.size:
            raise WireError("not a message")
        salt, time_ms, who = _MESSAGE.unpack_from(rest)
        return cls(salt, time_ms, who, rest[_MESSAGE.size :])


def parse_message(content: bytes) -> tuple[int, Message]:
    """Read the content of a MSG: its number and the message.  Raises WireError."""
    return int.from_bytes(content[:NUMBER_SIZE]), Message.parse(content[NUMBER_SIZE:])


@dataclass(frozen=True, slots=True)
class Ready:
    """The content of a READY (88 bytes): where both logs stand.  All zeros but the clock towards a non-member."""

    my_log: bytes = NO_LOG
    head: int = 0
    low: int = 0
    your_log: bytes = NO_LOG
    cursor: int = 0
    echo: int = 0
    set_digest: bytes = bytes(DIGEST_SIZE)
    clock_ms: int = 0

    @property
    def full(self) -> bool:
        """Whether its sender takes the other for a member."""
        return self.my_log != NO_LOG

    def to_bytes(self) -> bytes:
        """Return the 88 bytes."""
        return _READY.pack(
            self.my_log, self.head, self.low, self.your_log, self.cursor, self.echo, self.set_digest, self.clock_ms
        )


def parse_ready(content: bytes) -> Ready:
    """Read a READY.  Raises WireError."""
    if len(content) != _READY.size:
        raise WireError("not a READY")
    return Ready(*_READY.unpack(content))


@dataclass(frozen=True, slots=True)
class Ack:
    """The content of an ACK (56 bytes): up to where `log`, the other's, arrived; one's own head; one's own set."""

    log: bytes
    cursor: int
    head: int
    set_digest: bytes

    def to_bytes(self) -> bytes:
        """Return the 56 bytes."""
        return _ACK.pack(self.log, self.cursor, self.head, self.set_digest)


def parse_ack(content: bytes) -> Ack:
    """Read an ACK.  Raises WireError."""
    if len(content) != _ACK.size:
        raise WireError("not an ACK")
    return Ack(*_ACK.unpack(content))


class Owed:
    """A message that waits for acknowledgements: one object in the outboxes of all its recipients."""

    __slots__ = ("mid", "parts", "rest", "since_ms")

    def __init__(self, mid: bytes, since_ms: int, rest: bytes) -> None:
        """`rest` is the content of the MSG without its number, which differs for each recipient.

        `since_ms` is since when it waits: not before what was said before it, whatever the clock showed.
        """
        self.mid, self.since_ms, self.rest = mid, since_ms, rest
        self.parts = (len(rest) + NUMBER_SIZE - 1) // CONTENT_SIZE + 1  # how many blocks it takes


class Outbox:
    """What is owed to one recipient.

    `head` is the highest number given out, `cursor` the highest the recipient has acknowledged.  While a link is up,
    `take` hands out what may be sent now; without progress it starts again from the cursor (go-back-N).
    What is owed has consecutive numbers up to `head`: messages come at one end and go at the other.
    """

    __slots__ = (
        "_bytes", "_in_flight", "_owed", "_patience_s", "_resend_s", "_sent", "_timed",
        "cursor", "head", "reached", "since_s", "slack_s", "tries",
    )  # fmt: skip

    def __init__(self) -> None:
        self.head = 0
        self.cursor = 0
        self.reached = 0  # no number above it was ever handed out on any link, or given up
        self._owed: deque[Owed] = deque()
        self._bytes = 0
        self._sent = 0  # highest number handed out on the present link, or gone; what is owed begins at most one above
        self._in_flight = 0  # parts handed out and not acknowledged
        self._patience_s = RESEND_FIRST_S
        self._resend_s: float | None = None
        self.tries = 0  # how often it was begun again since the last progress
        self.since_s = 0.0  # when the first went out of those that are waited for since then
        self._timed: tuple[int, float] | None = None  # a number that went out once, and when
        self.slack_s = 0.0  # how much longer it takes to be answered in steady mode

    def __len__(self) -> int:
        return len(self._owed)

    def restore(self, standing: Standing, owed: Iterable[Owed]) -> None:
        """Be what was kept of an earlier run: `owed` are the numbers from `standing.low` on, without a hole."""
        self._owed.extend(owed)
        self.head, self.cursor = max(standing.head, standing.low - 1 + len(self._owed)), standing.cursor
        self.reached = max(min(standing.reached, self.head), standing.low - 1)
        self._bytes = sum(len(one.rest) for one in self._owed)
        self._rewind()

    def renumber(self) -> None:
        """Begin a new log: what is owed has the numbers from 1.

        All of it may have gone out in the old one, for what we know of that is older than what others have seen.
        """
        self.head = self.reached = len(self._owed)
        self.cursor = 0
        self._rewind()

    def owed(self) -> Iterable[tuple[int, Owed]]:
        """Return all that is owed, with its numbers."""
        return enumerate(self._owed, self.low)

    @property
    def low(self) -> int:
        """The lowest number that can still be had; head + 1 when nothing is owed."""
        return self.head - len(self._owed) + 1

    @property
    def resend_s(self) -> float | None:
        """When to give up waiting for progress (monotonic seconds), or None."""
        return self._resend_s

    def add(self, owed: Owed) -> bool:
        """Owe a message under the next number; says whether older ones have to be given up for it (`expire`)."""
        self.head += 1
        self._owed.append(owed)
        self._bytes += len(owed.rest)
        return len(self._owed) > MAX_OUTBOX_MESSAGES or self._bytes > MAX_OUTBOX_BYTES

    def expire(self, too_old_ms: int) -> list[bytes]:
        """Give up what has waited since before then, or is too much; returns the mids."""
        lost = []
        while self._owed and (
            len(self._owed) > MAX_OUTBOX_MESSAGES
            or self._bytes > MAX_OUTBOX_BYTES
            or self._owed[0].since_ms < too_old_ms
        ):
            lost.append(self._drop_first())
        return lost

    def take_back(self, mid: bytes) -> list[tuple[int, Owed]] | None:
        """Owe a message no more, if its number was never put on a link; None if it was, or if it isn't owed.

        The numbers behind it were never put on one either, so they close up: returns those, with what has them now.
        """
        for after, owed in enumerate(reversed(self._owed)):
            number = self.head - after
            if number <= self.reached:
                return None
            if owed.mid == mid:
                del self._owed[-1 - after]
                self._bytes -= len(owed.rest)
                self.head -= 1
                return [(later, self._owed[later - self.head - 1]) for later in range(number, self.head + 1)]
        return None

    def give_up_all(self) -> list[bytes]:
        """Nothing is owed any more, for the recipient has left; returns the mids."""
        return [self._drop_first() for _ in range(len(self._owed))]

    def _drop_first(self) -> bytes:
        number, first = self.low, self._owed.popleft()
        self._bytes -= len(first.rest)
        if number <= self._sent:
            self._in_flight -= first.parts
        else:
            self._sent = number  # what is given up will never be sent
            self.reached = max(self.reached, number)
        return first.mid

    def restart(self, cursor: int) -> list[bytes]:
        """A link is up and its READY says `cursor`: send again from there.  Returns the mids that thereby arrived."""
        arrived = self.acknowledge(min(cursor, self.head))
        self._rewind()
        self._patience_s, self.tries = RESEND_FIRST_S, 0
        return arrived

    @property
    def in_doubt(self) -> int:
        """How many messages are on the link and not acknowledged."""
        return max(0, self._sent - self.low + 1)

    def answer_s(self, now: Moment) -> float | None:
        """Return how long ago the message went out that has just been acknowledged, once for each that is timed."""
        if self._timed is None or self._timed[0] > self.cursor:
            return None
        (_, sent_s), self._timed = self._timed, None
        return now.s - sent_s

    def _rewind(self) -> None:
        self._sent = self.low - 1
        self._in_flight = 0
        self._resend_s = self._timed = None

    def acknowledge(self, cursor: int) -> list[bytes]:
        """Take an acknowledgement up to `cursor`; returns the mids that arrived with it.

        Raises WireError for a cursor above the head.  A smaller one than before is no news here: whether it may go back
        is for the link to judge.
        """
        if cursor > self.head:
            raise WireError("acknowledges what was never sent")
        arrived = []
        while self._owed and self.low <= cursor:
            arrived.append(self._drop_first())
        if cursor > self.cursor:
            self.cursor = cursor
            self._patience_s, self.tries = RESEND_FIRST_S, 0
            self._resend_s = None
        return arrived

    @property
    def unsent_parts(self) -> int:
        """How many parts wait that weren't handed out."""
        return sum(owed.parts for number, owed in self.owed() if number > self._sent)

    def wait(self, now: Moment) -> None:
        """Be as patient once more, without sending again."""
        self._resend_s = now.s + self._patience_s + self.slack_s

    def take(self, now: Moment, most: int = MAX_OUTBOX_MESSAGES) -> list[tuple[int, Owed]]:
        """Return what may be sent on the link now, with its numbers, oldest first; at most so many."""
        resend_s, in_flight = self._resend_s, self._in_flight
        if resend_s is not None and now.s >= resend_s:
            self._rewind()
            resend_s, in_flight = None, 0
            self._patience_s = min(self._patience_s * 2, RESEND_MAX_S)
            self.tries += 1
        ready: list[tuple[int, Owed]] = []
        number, head = self._sent, self.head
        while number < head and len(ready) < most:
            owed = self._owed[number - head]
            if in_flight and in_flight + owed.parts > WINDOW_PARTS:
                break
            number += 1
            in_flight += owed.parts
            ready.append((number, owed))
        self._sent, self._in_flight, self.reached = number, in_flight, max(self.reached, number)
        if resend_s is None and in_flight:
            self._resend_s = now.s + self._patience_s + self.slack_s
            if not self.tries:
                self.since_s = now.s
        if ready and self._timed is None and not self.tries:
            self._timed = (number, now.s)
        return ready


class Inbox:
    """Up to where one sender's logs have arrived here."""

    def __init__(self) -> None:
        self.log = NO_LOG  # the newest
        self._cursors: dict[bytes, int] = {}

    @property
    def cursors(self) -> tuple[tuple[bytes, int], ...]:
        """The logs that are known, with the highest number taken from each; the newest last."""
        return tuple(self._cursors.items())

    def restore(self, cursors: Iterable[tuple[bytes, int]]) -> None:
        """Be what was kept of an earlier run."""
        self._cursors = dict(cursors)
        self.log = next(reversed(self._cursors), NO_LOG)

    def cursor(self, log: bytes) -> int:
        """Return the highest number taken from a log; 0 for one that isn't known."""
        return self._cursors.get(log, 0)

    def open_log(self, log: bytes, low: int) -> tuple[int, bool]:
        """The sender's READY names its log and the lowest number to be had.

        Returns how many messages are gone for good, and whether nothing was known of this sender before: a new log of
        one who is known, as after a kill, is no earlier visit.
        """
        fresh = not self._cursors
        self.log = log
        cursor = self._cursors.pop(log, 0)
        gone = max(0, low - 1 - cursor)
        self._cursors[log] = cursor + gone  # the newest log last
        while len(self._cursors) > MAX_LOGS:
            del self._cursors[next(iter(self._cursors))]
        return gone, fresh

    def take(self, log: bytes, number: int) -> bool:
        """Say whether this is the next message.  Another number is a duplicate, or will be sent again in its turn."""
        if log not in self._cursors or number != self._cursors[log] + 1:
            return False
        self._cursors[log] = number
        return True
