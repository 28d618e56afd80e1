"""Passes statements around until all members hold the same.  Pure.  docs/PROTOCOL.md, "Members" and "Content".

Every READY and ACK carries a digest of the statements its sender holds.  Where two differ, one asks with a WANT that
lists what it has, and gets the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from chatcore.clock import Bucket, Moment, after
from chatcore.content import ContentKind
from chatcore.errors import WireError
from chatcore.members import HASH_SIZE, MAX_STATEMENTS, Members, Statement
from chatcore.talk import Send, Talk

WANT_DELAY_S = (0.1, 0.4)  # let an arrival settle before asking what it brought
WANT_PATIENCE_S = 3.0
MOST_WAITING = 2
WANT_BUDGET = (4096.0, 64.0)  # statements sent in answer to WANTs, and one for each answer


class Gossip:
    """Who is told what, and who is asked; `send` puts content on a link."""

    def __init__(self, members: Members, random: Callable[[int], bytes], send: Send) -> None:
        self._members, self._random, self._send = members, random, send
        self._want_s: float | None = None
        self._budget = Bucket(*WANT_BUDGET)

    def disconnect(self) -> None:
        """Every link is gone: there is nobody to ask."""
        self._want_s = None

    def next_tick(self) -> float | None:
        """Return when `ask` has something to do, in monotonic seconds; None if never."""
        return self._want_s

    def tell(self, talk: Talk, statement: Statement | None, now: Moment) -> None:
        """Send a statement, if there is one, to the other end of a talk."""
        if statement is not None:
            self._send(talk, ContentKind.STMT, statement.raw, now)

    def publish(self, statement: Statement | None, talks: Collection[Talk], now: Moment) -> None:
        """Send a statement to every member with a link that is up, and to the one it is about."""
        for talk in list(talks):
            to_them = statement is not None and statement.subject == talk.fp
            if talk.up and (to_them or self._members.is_member(talk.fp)):
                self.tell(talk, statement, now)

    def compare(self, talk: Talk, others_set: bytes, now: Moment) -> None:
        """Somebody holds statements with this digest; if it isn't ours, somebody will be asked soon."""
        talk.others_set = others_set
        if others_set == self._members.set_digest:
            talk.agreed()
        else:
            self._plan(now)

    def _plan(self, now: Moment) -> None:
        if self._want_s is None:
            self._want_s = after(now, WANT_DELAY_S, self._random)

    def ask(self, talks: Collection[Talk], now: Moment) -> None:
        """Ask one of those who hold other statements for what we lack; one at a time, for one answer mends most."""
        if self._want_s is None or now.s < self._want_s:
            return
        mine = self._members.set_digest
        others = [talk for talk in talks if talk.up and not talk.absent and talk.others_set not in (b"", mine)]
        ripe = [talk for talk in others if now.s >= talk.want_s]
        if ripe:
            talk = min(ripe, key=lambda one: one.want_s)
            talk.wanted(now)
            known = self._members.hashes() if self._members.is_member(talk.fp) else []  # to others, not even how many
            self._send(talk, ContentKind.WANT, b"".join(known), now)
        self._want_s = now.s + WANT_PATIENCE_S if others else None

    def on_want(self, talk: Talk, data: bytes, now: Moment) -> bool:
        """Answer a WANT with the statements that aren't in it; False when it gets no answer.  Raises WireError."""
        if len(data) % HASH_SIZE or len(data) > MAX_STATEMENTS * HASH_SIZE:
            raise WireError("not a WANT")
        if not self._members.is_member(talk.fp):
            return False
        if talk.link.backlog is not None and talk.link.backlog.others > MOST_WAITING:
            return False  # in steady mode: the answer to the last one hasn't even gone out
        theirs = {data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)}
        missing = self._members.statements(besides=theirs)
        if not self._budget.take(now, 1 + len(missing)):
            return False
        for raw in missing:
            self._send(talk, ContentKind.STMT, raw, now)
        if theirs - set(self._members.hashes()):
            self._plan(now)
        return True
