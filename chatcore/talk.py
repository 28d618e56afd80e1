"""What a room keeps for one link: what each end has told the other, and when to speak next.  Pure."""

from __future__ import annotations

from collections.abc import Callable

from chatcore.clock import Bucket, Moment, after
from chatcore.content import ContentKind
from chatcore.delivery import NO_LOG, Ready
from chatcore.link import Link, State
from chatcore.members import MAX_STATEMENTS, Members
from chatcore.rhythm import seconds

ACK_TICK_S = (0.2, 0.8)
HEARTBEAT_S = (25.0, 35.0)
SLACK_BEATS = 4  # a beat each to say and to be answered, and one each for what was waiting before
READY_AGAIN_S = (5.0, 60.0)  # a READY said again is repeated, at doubling intervals, until an ACK shows that it came
WANT_AGAIN_S = (3.0, 300.0)
STATEMENT_BUDGET = (2.0 * MAX_STATEMENTS, 8.0)  # each costs a verification, and a look at all that follows from it
LIST_BUDGET = (16.0, 0.1)  # lists of people told over a link; each may be of 154 blocks


Send = Callable[["Talk", ContentKind, bytes, Moment], list[bytes]]  # puts content on a link; returns its blocks-to-be


class Talk:
    """Messages may flow (`open`) once both ends are members and have told each other so by a full READY."""

    def __init__(self, link: Link, fp: bytes, now: Moment, random: Callable[[int], bytes], *, told: bool) -> None:
        """`told`: our READY in the handshake was a full one."""
        self.link, self.fp, self.told = link, fp, told
        self.open = False
        self.absent = False  # the relay says that nobody is there, and nothing has come since
        self.returned = False  # they were absent, and came back
        self.ready: Ready | None = None  # their last
        self.taken_ready: Ready | None = None  # the last of theirs that was acted upon
        self.log = NO_LOG  # theirs, on this link
        self.told_cursor = False  # they have said how far our log has come, or know none of ours
        self.heard = False  # an ACK came: they are up, too, and send to us here
        self.head = 0  # the highest number that they have given out, by their READY or last ACK
        self.acked = 0  # their cursor in our log; it may not go back within a link
        self.untold = 0  # messages taken since our last ACK
        self.moved = b""  # the hash of what they were told of where the room is
        self.others_set = b""  # the digest of the statements they hold
        self.ack_s = 0.0
        self.want_s = 0.0
        self._want_gap_s = WANT_AGAIN_S[0]
        self.statements = Bucket(*STATEMENT_BUDGET)  # what may come from them
        self.lists = Bucket(*LIST_BUDGET)  # what they may ask for
        self._ready_s: float | None = None
        self._ready_gap_s = READY_AGAIN_S[0]
        self._random = random
        self.slack_s = 0.0  # how much longer everything takes in steady mode

    @property
    def up(self) -> bool:
        """Whether the link is up, for statements at least."""
        return self.link.state is State.UP

    @property
    def flows(self) -> bool:
        """Whether messages flow, to somebody who is here."""
        return self.open and not self.absent

    def nick(self, members: Members) -> str:
        """Return the nick of somebody's JOIN; until it is heard (the owner needs none), that of the HELLO."""
        greeting = self.link.greeting
        return members.nick(self.fp) or (greeting.nick if greeting is not None else "")

    def begin(self, ready: Ready, acked: int) -> None:
        """Messages may flow now."""
        self.open = True
        self.link.provisional = False
        self.log, self.head, self.acked = ready.my_log, ready.head, acked

    def close(self) -> bool:
        """One of the two isn't a member (any more); says whether messages had flowed."""
        was, self.open, self.told, self.heard = self.open, False, False, False
        self.link.provisional = True
        self.taken_ready = self._ready_s = None
        return was

    def told_ready(self, now: Moment) -> None:
        """A full READY goes out; it is repeated until it is seen to have come."""
        self.told = True
        self._ready_s = now.s + self._ready_gap_s + self.slack_s
        self._ready_gap_s = min(self._ready_gap_s * 2, READY_AGAIN_S[1])

    def confirmed(self) -> None:
        """An ACK came: they have our READY."""
        self.heard = True
        self._ready_s = None
        self._ready_gap_s = READY_AGAIN_S[0]

    def ready_is_due(self, now: Moment) -> bool:
        """Whether the READY should be said once more."""
        return self._ready_s is not None and now.s >= self._ready_s

    def ack_soon(self, now: Moment) -> None:
        """Something came that must be acknowledged."""
        self.ack_s = min(self.ack_s, after(now, ACK_TICK_S, self._random))

    def ack_sent(self, now: Moment) -> None:
        """The next is a heartbeat, unless something comes."""
        self.untold = 0
        self.ack_s = after(now, HEARTBEAT_S, self._random) + self.slack_s

    def wanted(self, now: Moment) -> None:
        """We asked them for statements; ask them again later and later."""
        self.want_s = now.s + self._want_gap_s + self.slack_s
        self._want_gap_s = min(self._want_gap_s * 2, WANT_AGAIN_S[1])

    def agreed(self) -> None:
        """They hold what we hold: the next difference is a new one."""
        self._want_gap_s, self.want_s = WANT_AGAIN_S[0], 0.0

    def keep_time(self, period_s: int) -> None:
        """Say one part every so many seconds from now on; 0: stop with it, once what is ready has gone out."""
        self.slack_s = seconds(SLACK_BEATS * period_s)
        if period_s:
            self.link.keep_time()

    def is_due(self, now: Moment) -> bool:
        """Whether something is to be sent on the link."""
        return self.up and (self.ready_is_due(now) or (self.open and now.s >= self.ack_s))

    def next_tick(self) -> float | None:
        """Return when that will be, in monotonic seconds."""
        times = [self._ready_s, self.ack_s if self.open else None]
        return min((time for time in times if time is not None), default=None)
