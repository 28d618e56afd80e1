"""What this relay did: counted, for the people in the room to see.  Pure.  docs/PROTOCOL.md, "What a client counts".

Frames between two seats keep their order, and on a connection that stands nothing is lost but what pours over a reader
who doesn't keep up.  So on a link that is up a block that is missing, late, doubled or not to be opened is the doing of
whoever carries it.  All of it is mended or refused where it is found; here it is only counted: numbers and times, no
content.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chatcore import events
from chatcore.clock import Moment
from chatcore.events import Oddity, RoomEvent

MAX_VISITS = 64  # connections remembered one by one; older ones count in the sums
MAX_TIMES = 512  # round trips remembered, to the relay
MAX_ANSWERS = 64  # and to each peer
MAX_PEERS = 256
TELL_S = 1.0  # news gather so long
CALM_S = 120.0  # without anything odd, and with all mended, an episode is over


@dataclass(slots=True)
class _Tally:
    """What was counted of one connection, or of one peer."""

    begun_ms: int = 0
    ended_ms: int = 0
    odd: Counter[Oddity] = field(default_factory=Counter)
    resent: int = 0
    mended: int = 0
    answers: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_ANSWERS))

    def told(self, who: bytes, nick: str) -> events.Counted:
        odd = tuple((what, self.odd[what]) for what in Oddity if self.odd[what])
        middle, worst = _middle_and_worst(self.answers)
        return events.Counted(who, nick, self.begun_ms, self.ended_ms, odd, self.resent, self.mended, middle, worst)


class Report:
    """Counts; tells of what is odd in one event that is renewed until the episode is over."""

    def __init__(self, now: Moment, emit: Callable[[RoomEvent], None]) -> None:
        self._emit = emit
        self._since_ms = now.ms
        self._visits: deque[_Tally] = deque(maxlen=MAX_VISITS)
        self._peers: dict[bytes, _Tally] = {}
        self._sum = _Tally(now.ms)
        self._times: deque[tuple[int, int]] = deque(maxlen=MAX_TIMES)
        self._reconnects = self._longest_break_ms = 0
        self._lost_s: float | None = None
        # the episode
        self._seen: Counter[Oddity] = Counter()
        self._by: set[bytes] = set()
        self._open: set[tuple[bytes, Oddity]] = set()  # what isn't mended yet, by fp
        self._cut: set[tuple[bytes, Oddity]] = set()  # nor can be now: there is no link with them any more
        self._from_ms = self._to_ms = 0
        self._news_s: float | None = None
        self._calm_s = 0.0

    # -- what happens

    def connected(self, now: Moment) -> None:
        """The relay gave us a seat."""
        if self._lost_s is not None:
            self._reconnects += 1
            self._longest_break_ms = max(self._longest_break_ms, round((now.s - self._lost_s) * 1000))
            self._lost_s = None
        self._visits.append(_Tally(now.ms))

    def disconnected(self, now: Moment) -> None:
        """The connection is gone."""
        if self._visits and not self._visits[-1].ended_ms:
            self._visits[-1].ended_ms = now.ms
            self._lost_s = now.s

    def _tallies(self, fp: bytes) -> list[_Tally]:
        if fp and fp not in self._peers and len(self._peers) < MAX_PEERS:
            self._peers[fp] = _Tally(self._since_ms)
        peer = [self._peers[fp]] if fp in self._peers else []
        return [self._sum, *peer, *([self._visits[-1]] if self._visits else [])]

    def odd(self, what: Oddity, fp: bytes, count: int, now: Moment) -> None:
        """Something was seen that an honest relay doesn't do; `fp` is empty when nobody can be named."""
        for tally in self._tallies(fp):
            tally.odd[what] += count
        if not self._seen:
            self._from_ms = now.ms
        self._seen[what] += count
        self._to_ms = max(self._from_ms, now.ms)  # the clock may have been set meanwhile
        self._calm_s = now.s + CALM_S
        if fp:
            self._by.add(fp)
        if fp and what in (Oddity.MISSING, Oddity.HELD):
            self._open.add((fp, what))
            self._cut.discard((fp, what))
        self._tell_soon(now)

    def whole(self, fp: bytes, what: Oddity, now: Moment) -> None:
        """All that this peer has sent has come (MISSING), or all that was sent to it is confirmed (HELD)."""
        if (fp, what) in self._open | self._cut:
            self._open.discard((fp, what))
            self._cut.discard((fp, what))
            self._tell_soon(now)

    def gone(self, fp: bytes) -> None:
        """No link with this peer is left: nothing is expected of them until they are back."""
        cut = {one for one in self._open if one[0] == fp}
        self._open -= cut
        self._cut |= cut

    def resent(self, fp: bytes, count: int) -> None:
        """Messages go out once more, for want of an acknowledgement."""
        for tally in self._tallies(fp):
            tally.resent += count

    def mended(self, fp: bytes, count: int) -> None:
        """Messages that went out more than once have arrived."""
        for tally in self._tallies(fp):
            tally.mended += count

    def answered(self, fp: bytes, seconds: float) -> None:
        """A message was acknowledged so long after it went out (with up to 0.8 s for which an ACK may wait)."""
        for tally in self._tallies(fp):
            tally.answers.append(round(seconds * 1000))

    def round_trip(self, seconds: float, now: Moment) -> None:
        """A PING came back."""
        self._times.append((now.ms, round(seconds * 1000)))

    # -- what is told

    def _tell_soon(self, now: Moment) -> None:
        if self._news_s is None:
            self._news_s = now.s + TELL_S

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        calm = self._calm_s if self._seen and not self._open else None
        return min((time for time in (self._news_s, calm) if time is not None), default=None)

    def tick(self, now: Moment) -> None:
        """Tell what is new."""
        over = bool(self._seen) and not self._open and now.s >= self._calm_s
        if not over and (self._news_s is None or now.s < self._news_s):
            return
        self._news_s = None
        if self._seen:
            seen = tuple((what, self._seen[what]) for what in Oddity if self._seen[what])
            by = tuple(sorted(self._by))
            mended = not self._open and not self._cut
            self._emit(events.Noticed(seen, by, self._from_ms, self._to_ms, mended, over))
        if over:
            self._seen.clear()
            self._by.clear()
            self._cut.clear()

    def told(self, nick: Callable[[bytes], str], now: Moment) -> events.ConnectionReport:
        """Return all that was counted."""
        middle, worst = _middle_and_worst(time for _, time in self._times)
        return events.ConnectionReport(
            self._since_ms,
            now.ms,
            self._sum.told(b"", ""),
            tuple(visit.told(b"", "") for visit in self._visits),
            tuple(tally.told(fp, nick(fp)) for fp, tally in sorted(self._peers.items())),
            self._reconnects,
            self._longest_break_ms,
            tuple(self._times),
            middle,
            worst,
        )


def _middle_and_worst(times: Iterable[int]) -> tuple[int, int]:
    ordered = sorted(times)
    return (ordered[len(ordered) // 2], ordered[-1]) if ordered else (0, 0)
