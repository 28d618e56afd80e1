"""The talks of one member: one for each link that was answered, until the link is gone.  Pure.

Here a link comes to carry messages, once both ends are members and have said so by READY, and ceases to.  What comes
over it finds its place: messages and acknowledgements with the `Courier`, questions for statements with the `Gossip`.
docs/PROTOCOL.md, "Handshake" and "Delivery".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from chatcore.clock import NEVER_S, Moment
from chatcore.content import Content, ContentKind
from chatcore.courier import Courier
from chatcore.delivery import Ready, parse_ack, parse_ready
from chatcore.errors import WireError
from chatcore.events import AlarmKind
from chatcore.gossip import Gossip
from chatcore.link import Link
from chatcore.members import Members, StatementType
from chatcore.rhythm import Rhythm
from chatcore.seats import Seats
from chatcore.talk import Talk

OLD_LINK_S = 120.0  # an older link of the same identity is kept, to be read, so long


class Talks(Collection[Talk]):
    """Who is answered, and who is told or shown what, is decided elsewhere: `answer` and `drop` do it."""

    def __init__(
        self,
        fp: bytes,
        members: Members,
        seats: Seats,
        courier: Courier,
        gossip: Gossip,
        random: Callable[[int], bytes],
        alarm: Callable[[AlarmKind, bytes, str], None],
        gone: Callable[[bytes, Moment, bool], None],
    ) -> None:
        """`gone(fp, now, left)`: the last talk with somebody is over; `left` if their seat is empty, too."""
        self.changed = False  # whether anything might follow from what happened; whoever works that out clears it
        self._fp, self._members, self._seats, self._courier, self._gossip = fp, members, seats, courier, gossip
        self._random, self._alarm, self._gone = random, alarm, gone
        self._rhythm = Rhythm(random)
        self._talks: dict[Link, Talk] = {}

    def __iter__(self) -> Iterator[Talk]:
        return iter(list(self._talks.values()))  # some may be over before one is through

    def __len__(self) -> int:
        return len(self._talks)

    def __contains__(self, talk: object) -> bool:
        return talk in self._talks.values()

    def on(self, link: Link) -> Talk | None:
        """Return the talk on a link, if it was answered."""
        return self._talks.get(link)

    # -- they come and go

    def answer(self, link: Link, fp: bytes, now: Moment) -> None:
        """Answer the HELLO of somebody."""
        ready = Ready(clock_ms=now.ms) if self._seats.is_lookout(link) else self._ready(fp, now)
        self._talks[link] = Talk(link, fp, now, self._random, told=ready.full)
        link.answer(ready.to_bytes(), now)

    def _ready(self, fp: bytes, now: Moment) -> Ready:
        """Say where both logs stand; nothing but the clock unless both ends are members."""
        if not (self._members.is_member(self._fp) and self._members.is_member(fp)):
            return Ready(clock_ms=now.ms)
        return self._courier.ready(fp, now)

    def drop(self, link: Link, now: Moment) -> None:
        """End a link, and the talk on it."""
        self._seats.end(link, now)
        self.forget(link, now)

    def forget(self, link: Link, now: Moment, *, left: bool = False) -> None:
        """A link has ended, or begins anew; `left` if nobody sits at its other end any more."""
        talk = self._talks.pop(link, None)
        if talk is None:
            return
        self.changed = True
        if all(other.fp != talk.fp for other in self._talks.values()):
            self._gone(talk.fp, now, left)
        if self._courier.sending.get(talk.fp) is talk:
            self._choose(talk, now)

    def forget_all(self) -> None:
        """Every link is gone, and that says nothing about those at the other ends."""
        self._talks.clear()
        self._courier.disconnect()
        self._gossip.disconnect()

    def note_absent(self, link: Link, absent: bool, now: Moment) -> None:
        """Messages wait for those who aren't here; heartbeats go out to them as long as the link lives."""
        talk = self._talks.get(link)
        if talk is None:
            return
        self.changed = True
        talk.absent = absent
        talk.returned |= not absent
        self._choose(talk, now)

    def _choose(self, talk: Talk, now: Moment) -> None:
        self._courier.choose(talk.fp, self, now)
        newest = self._courier.sending.get(talk.fp)
        for other in [other for other in self if other.fp == talk.fp and other.absent]:
            if newest is not None:  # they have gone on to another connection, as everybody does each hour
                self.drop(other.link, now)

    # -- what is heard

    def hear(self, talk: Talk, content: Content, now: Moment) -> bool:
        """Take what isn't a statement; False when there is no place for it.  Raises WireError."""
        match content.kind:
            case ContentKind.READY:
                self._on_ready(talk, parse_ready(content.data), now)
            case ContentKind.WANT:
                return self._gossip.on_want(talk, content.data, now)
            case ContentKind.ACK if talk.open:
                ack = parse_ack(content.data)
                if not self._courier.on_ack(talk, ack, now):
                    self.drop(talk.link, now)
                    raise WireError("an ACK of what can't be")
                self._compare(talk, ack.set_digest, now)
            case ContentKind.LIST if talk.open:
                return self._courier.lists.on_list(talk, content.data, now)
            case ContentKind.MSG if talk.open:
                self._courier.on_message(talk, content.data, content.blocks, now)
            case ContentKind.DUMMY:
                pass
            case _:
                return False
        return True

    def _compare(self, talk: Talk, others_set: bytes, now: Moment) -> None:
        self._gossip.compare(talk, others_set, now)
        if talk.open:
            self._courier.lists.compare(talk, now)

    def _on_ready(self, talk: Talk, ready: Ready, now: Moment) -> None:
        if talk.ready is None and not (ready.full and talk.told):
            self._gossip.tell(talk, self._members.find(StatementType.JOIN, self._fp), now)
            self._tell_leave(talk, now)
        talk.ready = ready
        self.changed = True
        self._reconsider(talk, now)
        if ready.full and not self._seats.is_lookout(talk.link):
            self._compare(talk, ready.set_digest, now)

    def reconsider(self, now: Moment) -> None:
        """Memberships may have changed: on which links may messages flow?"""
        for talk in self:
            self._reconsider(talk, now)

    def _reconsider(self, talk: Talk, now: Moment) -> None:
        ready = talk.ready
        if ready is None:
            return
        if self._seats.is_lookout(talk.link):
            self._show_the_way(talk, b"", now)
            return
        if not (self._members.is_member(self._fp) and self._members.is_member(talk.fp)):
            if talk.close():
                self._choose(talk, now)
                self._tell_leave(talk, now)
            return
        if not talk.told:
            self._courier.tell_ready(talk, now)
        if not ready.full or talk.taken_ready is ready:
            return
        if not self._courier.take_ready(talk, ready, now):
            self._alarm(AlarmKind.ACKNOWLEDGED_ELSEWHERE, talk.fp, talk.nick(self._members))
        if talk.open:
            talk.keep_time(self._rhythm.period_s)
        self._choose(talk, now)
        self.changed = True

    # -- what they lack

    def _tell_leave(self, talk: Talk, now: Moment) -> None:
        """Remind those who take themselves for members of their own LEAVE: another device, or a wrong clock."""
        if not self._members.is_member(talk.fp):
            self._gossip.tell(talk, self._members.find(StatementType.LEAVE, talk.fp), now)

    def correct(self, talk: Talk, raw: bytes, now: Moment) -> None:
        """They told this statement: if it is about where the room is, and there is a newer one, they hear of it."""
        if raw[:1] == bytes((StatementType.RELAY,)):
            self._show_the_way(talk, raw, now)

    def _show_the_way(self, talk: Talk, known: bytes, now: Moment) -> None:
        """Tell a member at the relay of before where the room is; with the owner's key, by which that is believed.

        `known` is what they take for the newest, if they have said so.
        """
        said = self._members.moved
        news = said is not None and said.raw != known and said.hash != talk.moved
        if said is not None and news and talk.up and self._members.is_member(talk.fp):
            talk.moved = said.hash
            self._gossip.tell(talk, self._members.find(StatementType.JOIN, said.signer), now)
            self._gossip.tell(talk, said, now)

    # -- time

    def settle_rhythm(self, now: Moment) -> bool:
        """Take on the rhythm of the room; True if it is another than before."""
        period_s = self._members.period_s
        if period_s == self._rhythm.period_s:
            return False
        self._rhythm.set(period_s, now)
        self._courier.keep_time(period_s)
        for talk in self:
            if talk.open:
                talk.keep_time(period_s)
        return True

    def beat(self, now: Moment) -> None:
        """If it is time, make ready what goes out on the next beat: one block on each link, on all of them at once."""
        due_s = self._rhythm.due(now)
        if due_s is None:
            return
        links = [talk.link for talk in self if talk.up]
        if self._rhythm.period_s:
            self._courier.feed(now)
            self._seats.beat(links, due_s)
            return
        for link in links:
            link.flow()

    def _old_s(self, talk: Talk) -> float:
        """Return when a link is given up for a newer one with the same identity."""
        newest = self._courier.sending.get(talk.fp, talk)
        return newest.link.up_s + OLD_LINK_S if talk.open and newest is not talk else NEVER_S

    def next_tick(self) -> float | None:
        """Return when `tick` or `beat` has something to do, in monotonic seconds; None if never."""
        times = [self._rhythm.next_tick(), *(talk.next_tick() for talk in self)]
        if len(self) > len(self._courier.sending):
            times += [old_s for talk in self if (old_s := self._old_s(talk)) < NEVER_S]
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: Moment) -> None:
        """Say what is due on each; give up the old ones."""
        for talk in self:
            if now.s >= self._old_s(talk):
                self.drop(talk.link, now)
            elif talk.is_due(now):
                self._courier.send_due(talk, now)
