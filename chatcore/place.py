"""One address in a room: who sits there, as one seat knows it, and when to speak to them next.  Pure.

What is said there, and what is made of the answer, is for the seat.  docs/PROTOCOL.md, "Handshake".
"""

from __future__ import annotations

from chatcore.clock import NEVER_S, Moment
from chatcore.engines import PublicKey
from chatcore.link import ATTEMPT_S, Link, State
from chatcore.wire import HEADER_SIZE, Frame, Kind

KEY_REPEATS_S = (4.0, 16.0)
KEY_ANSWER_GAP_S = 2.0  # two clients that both repeat must not answer each other for ever


class Place:
    """The key, the link and the next attempt at one address."""

    __slots__ = (
        "first", "fp", "gone", "header", "held", "key", "key_repeats", "key_sent_s", "link", "retry_s", "since_s",
        "sure",
    )  # fmt: skip

    def __init__(self, address: bytes, now: Moment, *, first: bool) -> None:
        self.header = Frame(Kind.SEND, address=address).to_bytes()[:HEADER_SIZE]
        # It is for us to begin: they were here before us, or there was a link already.  With anybody else we wait,
        # however long it takes: a stranger who keeps silent must get neither a signature nor a name out of us.
        self.first = first
        self.key: PublicKey | None = None
        self.sure = False  # a HELLO has shown that it is their key: one connection has no other
        self.key_sent_s: float | None = None  # ours, to them
        self.key_repeats = 0
        self.link: Link | None = None
        self.since_s = now.s
        self.retry_s = now.s + ATTEMPT_S
        self.held = False  # they were here before us, and yet we hold back: it may be no member
        self.fp: bytes | None = None  # who has said HELLO from there
        self.gone = False  # so the relay says; but messages flowed on the link, and that may know better

    # -- the link

    @property
    def is_up(self) -> bool:
        """Whether the link is up."""
        return self.link is not None and self.link.state is State.UP

    @property
    def was_up(self) -> bool:
        """Whether the link is up, or was: then it is for both to begin the next."""
        return self.link is not None and self.link.up_s > 0

    @property
    def carries(self) -> bool:
        """Whether messages flow on the link."""
        return self.link is not None and self.link.state is State.UP and not self.link.provisional

    @property
    def both_up(self) -> bool:
        """Whether the link is known to be up at both ends."""
        return self.link is not None and self.link.state is State.UP and self.link.confirmed

    def end_link(self) -> Link | None:
        """End the link, if there is one; returns it."""
        self.first |= self.was_up
        link, self.link = self.link, None
        if link is not None:
            link.end()
        return link

    # -- keys

    def forget_key(self) -> None:
        """Begin with KEY again, unless it is sure: what we took for theirs may have been damaged on its way."""
        if not self.sure:
            self.key = self.key_sent_s = None

    def had_key_just(self, now: Moment) -> bool:
        """Whether ours went out so short a while ago that it needn't again."""
        return self.key_sent_s is not None and now.s - self.key_sent_s < KEY_ANSWER_GAP_S

    def key_is_due(self, now: Moment) -> bool:
        """Whether ours is to be repeated, for it had no answer."""
        return now.s >= self._key_repeat_s()

    def _key_repeat_s(self) -> float:
        if self.key is not None or not self.first or self.key_sent_s is None:
            return NEVER_S
        if self.key_repeats >= len(KEY_REPEATS_S):
            return NEVER_S
        begun = self.key_sent_s - (KEY_REPEATS_S[self.key_repeats - 1] if self.key_repeats else 0.0)
        return begun + KEY_REPEATS_S[self.key_repeats]

    # -- time

    def next_tick(self) -> float:
        """Return when the link, or the next attempt, has something to do, in monotonic seconds; NEVER_S if never."""
        if self.link is not None:
            return self.link.next_tick()
        return min(self._key_repeat_s(), self.retry_s) if self.first else NEVER_S
