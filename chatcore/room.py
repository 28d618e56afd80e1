"""One member's view of one room: bytes, time and commands in; bytes and events out.  Pure.  docs/PROTOCOL.md.

Ties the rest of the core together: the seat finds who is there, `Members` says who belongs, the boxes of `delivery`
know what is owed, the `Door` who waits.  Here it is decided who is answered, who may speak, and what a person gets
to see.

The face of a room: `connect` with a fresh session key, then `receive_data`, `receive_eof` and `tick` in any order, each
followed by `data_to_send` and `events_received`.  None of those raises for what a peer or the relay does.  The commands
`say`, `let_in`, `turn_away` and `leave` raise StateError or TextError when they are illegal now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore import events
from chatcore.archive import BlockArchive
from chatcore.clock import Bucket, Moment
from chatcore.delivery import SALT_SIZE, Ack, Inbox, Message, Outbox, Ready, parse_ack, parse_message, parse_ready
from chatcore.door import Door
from chatcore.engines import Engine, PrivateKey
from chatcore.errors import CryptoError, StateError, WireError
from chatcore.events import AlarmKind, Presence, RoomEvent
from chatcore.invite import Invite
from chatcore.link import ContentKind, Greeting, Link, Self, State
from chatcore.members import (
    HASH_SIZE,
    MAX_STATEMENTS,
    Members,
    Statement,
    StatementType,
    make_statement,
    who_digest,
)
from chatcore.roster import Roster
from chatcore.seal import fingerprint
from chatcore.seat import NEVER_S, Garbled, Gone, Greeted, Heard, Seat, Seated, SeatEvent, Turned
from chatcore.talk import Talk
from chatcore.text import pack_text, parse_text
from chatcore.wire import NO_PASS

ACK_AT_ONCE = 64  # messages taken since the last ACK: their sender's window must not run dry
WANT_DELAY_S = (0.1, 0.4)  # let an arrival settle before asking what it brought
WANT_PATIENCE_S = 3.0
WANT_BUDGET = (4096.0, 64.0)  # statements sent in answer to WANTs, and one for each answer
OLD_LINK_S = 120.0  # an older link of the same identity is kept, to be read, so long
MAX_VIEWS = 64  # member lists remembered, to tell by its digest whom a message was sealed for
RECENT_MS = 5_000  # a statement older than one's own coming by more than this is history, not news
KEPT_MODULI = 8
MAX_TIME_MS = 2**64 - 1


class Room:
    """See the docstring of the module."""

    def __init__(
        self,
        invite: Invite,
        identity: PrivateKey,
        nick: str,
        engine: Engine,
        now: Moment,
        random: Callable[[int], bytes],
        statements: Iterable[bytes] = (),
    ) -> None:
        """`random(n)` returns n random bytes; `statements` are those kept from an earlier visit."""
        self.invite, self.nick = invite, nick
        self.fp = fingerprint(identity.modulus)
        self.refusal: Turned | Garbled | None = None  # why the relay won't have us, on the present connection
        self.ignored = 0  # contents of kinds we don't know, or that had no place where they came
        self.refused = 0  # contents that broke the rules
        self._identity, self._engine, self._random = identity, engine, random
        self._members = Members(engine, invite.room_id, invite.owner_fp, invite.mode)
        self._members.key(identity.modulus)
        self._roster = Roster(self.fp)
        self._door = Door()
        self._archive = BlockArchive()
        self._log = random(8)
        self._moduli: list[bytes] = []  # session keys of one's own, newest last
        self._seat: Seat | None = None
        self._talks: dict[int, Talk] = {}  # by id() of the link: answered, and perhaps up
        self._sending: dict[bytes, Talk] = {}  # the newest open talk with each identity
        self._outboxes: dict[bytes, Outbox] = {}
        self._inboxes: dict[bytes, Inbox] = {}
        self._views: dict[bytes, tuple[bytes, ...]] = {}
        self._known: frozenset[bytes] = frozenset()
        self._waiting: events.Waiting | None = None
        self._want_s: float | None = None
        self._want_budget = Bucket(*WANT_BUDGET)
        self._alarms: set[tuple[AlarmKind, bytes]] = set()
        self._events: list[RoomEvent] = []
        self._opened_ms = now.ms
        self._changed = True  # statements or links: what follows from them is worked out in _settle
        self._was_member = self._left = False
        for raw in statements:
            self._merge(raw)
        self._join(now)
        self._known = self._members.fps()
        self._settle(now)

    # -- the connection

    def connect(self, session: PrivateKey, now: Moment) -> None:
        """Begin a connection with a session key made for it.  Raises StateError if there is one already."""
        if self._seat is not None:
            raise StateError("there is a connection already")
        invite = self.invite
        self.refusal = None
        self._alarms.clear()
        me = Self(invite.room_id, invite.room_key, self._identity, session, self.nick, self._random, self._members.key)
        self._moduli = [*self._moduli, session.modulus][-KEPT_MODULI:]
        self._seat = Seat(me, self._engine, self._moduli, invite.relay.relay_pass or NO_PASS)
        self._seat.carried = self._own_admit

    def receive_data(self, data: bytes, now: Moment) -> None:
        """Take bytes from the relay, in pieces of any size."""
        if self._seat is not None:
            for event in self._seat.receive_data(data, now):
                self._on_seat(event, now)
            self._settle(now)

    def receive_eof(self, now: Moment) -> None:
        """The connection is gone, whoever ended it."""
        if self._seat is not None:
            seat, self._seat = self._seat, None
            seat.end_all()
            self._talks.clear()
            self._sending.clear()
            self._want_s = None
            self._roster.disconnect()
            self._changed = True
            self._settle(now)

    def data_to_send(self) -> bytes:
        """Return the bytes for the relay since the last call."""
        return self._seat.data_to_send() if self._seat is not None else b""

    def events_received(self) -> list[RoomEvent]:
        """Return the events since the last call."""
        happened, self._events = self._events, []
        return happened

    @property
    def seated(self) -> bool:
        """Whether the relay has given us a seat on the present connection."""
        return self._seat is not None and self._seat.address is not None

    @property
    def is_member(self) -> bool:
        """Whether oneself belongs to the room."""
        return self._members.is_member(self.fp)

    @property
    def is_owner(self) -> bool:
        """Whether oneself made the room."""
        return self.fp == self.invite.owner_fp

    @property
    def owed(self) -> int:
        """How many copies of messages wait to be acknowledged."""
        return sum(map(len, self._outboxes.values()))

    @property
    def set_digest(self) -> bytes:
        """The 32 bytes that change whenever `statements` does."""
        return self._members.set_digest

    def statements(self) -> tuple[bytes, ...]:
        """Return all statements held, to be kept for the next visit."""
        return tuple(self._members.statements())

    # -- commands

    def say(self, text: str, now: Moment) -> bytes:
        """Seal a text for every member, those away included; returns its mid (16 bytes).

        Raises TextError for a text that can't be sent, StateError while one isn't a member.
        """
        app = pack_text(text)
        if not self.is_member:
            raise StateError("one who isn't a member can't speak")
        everyone = self._members.fps() | {self.fp}
        readers = tuple(sorted(everyone - {self.fp}))
        message = Message(self._random(SALT_SIZE), now.ms, who_digest(self.invite.room_id, everyone), app)
        mid, rest = message.mid(self.invite.room_id, self.fp), message.to_bytes()
        self._events.append(events.MessageSent(mid, text, now.ms, readers))
        for fp in readers:
            lost = self._outbox(fp).add(mid, now.ms, rest)
            self._pump(fp, now)
            if lost:
                self._give_up(fp, lost, now)
        return mid

    def let_in(self, fp: bytes, now: Moment) -> None:
        """Sign the ADMIT for somebody at the door.  Raises StateError for anybody but the owner."""
        if not self.is_owner:
            raise StateError("only the owner of the room lets people in")
        self._publish(self._sign(StatementType.ADMIT, fp, now.ms), now)
        self._publish(self._members.find(StatementType.JOIN, fp), now)
        self._end_knock(fp)
        self._settle(now)

    def turn_away(self, fp: bytes, now: Moment) -> None:
        """Don't let somebody in, and don't hear them again in this run.  They aren't told: there is no word for it."""
        self._door.turn_away(fp)
        self._end_knock(fp)
        for talk in [talk for talk in self._talks.values() if talk.fp == fp and not self._members.is_member(fp)]:
            self._drop(talk.link, now)
        self._settle(now)

    def leave(self, now: Moment) -> None:
        """Sign the LEAVE and tell everybody who is here."""
        self._left = True
        if self.is_member:
            self._publish(self._sign(StatementType.LEAVE, self.fp, self._own_time_ms(now)), now)

    def sealed_blocks(self, mid: bytes) -> events.SealedBlocks:
        """Return the blocks in which a message went, or came, over the wire."""
        return events.SealedBlocks(mid, self._archive.get(mid))

    # -- time

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        times = [self._want_s, self._roster.next_tick(), self._door.next_tick()]
        times += [talk.next_tick() for talk in self._talks.values()]
        if len(self._talks) > len(self._sending):
            times += [old_s for talk in self._talks.values() if (old_s := self._old_s(talk)) < NEVER_S]
        times += [self._outbox(fp).resend_s for fp in self._sending]
        if self._seat is not None:
            times.append(self._seat.next_tick())
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: Moment, *, more_waits: bool = False) -> None:
        """Do what is due: repeats, acknowledgements, heartbeats, sending again.

        `more_waits`: bytes have come that weren't handed in yet.  An acknowledgement may be among them, so nothing is
        sent again for want of one: else a client that is behind would make everybody's work more.
        """
        if self._seat is not None:
            for event in self._seat.tick(now):
                self._on_seat(event, now)
        for talk in list(self._talks.values()):
            if now.s >= self._old_s(talk):
                self._drop(talk.link, now)
            elif talk.is_due(now):
                self._send_due(talk, now)
        for fp in list(self._sending):
            resend_s = self._outbox(fp).resend_s
            if more_waits or resend_s is None or now.s < resend_s:
                continue
            if self._sending[fp].link.unsent:  # what was said hasn't even gone out: saying it again makes it worse
                self._outbox(fp).wait(now)
            else:
                self._give_up(fp, self._outbox(fp).expire(now.ms), now)
                self._pump(fp, now)
        for fp in self._door.expired(now):
            self._end_knock(fp)
        if self._want_s is not None and now.s >= self._want_s:
            self._send_want(now)
        self._changed |= self._roster.next_tick() is not None
        self._settle(now)

    def _old_s(self, talk: Talk) -> float:
        """Return when a link is given up for a newer one with the same identity."""
        newest = self._sending.get(talk.fp, talk)
        return newest.link.up_s + OLD_LINK_S if talk.open and newest is not talk else NEVER_S

    # -- what the seat says

    def _on_seat(self, event: SeatEvent, now: Moment) -> None:
        match event:
            case Seated():
                self._roster.reconnect(now)
                self._changed = True
            case Turned() | Garbled():
                self.refusal = event
            case Greeted(link, greeting):
                self._on_greeting(link, greeting, now)
            case Heard(link, content):
                try:
                    self._on_content(link, content.kind, content.data, content.blocks, now)
                except (WireError, CryptoError):
                    self.refused += 1
            case Gone(link):
                self._forget(link, now)

    def _on_greeting(self, link: Link, greeting: Greeting, now: Moment) -> None:
        fp = greeting.fp
        self._forget(link, now)  # a provisional link that begins anew
        if fp == self.fp:
            self._alarm(AlarmKind.OWN_IDENTITY_ELSEWHERE, fp, greeting.nick)
            self._drop(link, now)
        elif self._members.may_join(fp):
            self._answer(link, fp, now)
        elif self.is_owner:
            self._on_knock(link, greeting, now)
        elif link.first:
            self._answer(link, fp, now)  # our HELLO is out already; they know us, and we shall learn of them
        elif not self._door.keep(link, fp):
            self._drop(link, now)

    def _alarm(self, kind: AlarmKind, fp: bytes, nick: str) -> None:
        if (kind, fp) not in self._alarms:  # once a connection: they try again and again, and it is the same news
            self._alarms.add((kind, fp))
            self._events.append(events.Alarm(kind, fp, nick))

    def _on_knock(self, link: Link, greeting: Greeting, now: Moment) -> None:
        if self._door.turned_away(greeting.fp):
            return
        new = self._door.knock(greeting.fp, now)
        if new is None:
            self._drop(link, now)
            return
        if new:
            self._events.append(events.Knocked(greeting.fp, greeting.nick, now.ms))
        self._answer(link, greeting.fp, now)

    def _end_knock(self, fp: bytes) -> None:
        if self._door.open(fp):
            self._events.append(events.KnockEnded(fp))

    def _answer(self, link: Link, fp: bytes, now: Moment) -> None:
        ready = self._ready(fp, now)
        self._talks[id(link)] = Talk(link, fp, now, self._random, told=ready.full)
        link.answer(ready.to_bytes(), now)

    def _drop(self, link: Link, now: Moment) -> None:
        if self._seat is not None:
            self._seat.end(link, now)
        self._forget(link, now)

    def _forget(self, link: Link, now: Moment) -> None:
        talk = self._talks.pop(id(link), None)
        if talk is None:
            return
        self._changed = True
        self._door.gone(talk.fp, now)
        if self._sending.get(talk.fp) is talk:
            self._choose_sending(talk.fp, now)

    def _choose_sending(self, fp: bytes, now: Moment) -> None:
        talks = [talk for talk in self._talks.values() if talk.fp == fp and talk.open]
        newest = max(talks, key=lambda talk: talk.link.up_s, default=None)
        if newest is None:
            self._sending.pop(fp, None)
        elif self._sending.get(fp) is not newest:
            self._sending[fp] = newest
            self._arrived(fp, self._outbox(fp).restart(newest.acked), now)
            self._pump(fp, now)

    # -- what the links say

    def _on_content(self, link: Link, kind: int, data: bytes, blocks: tuple[bytes, ...], now: Moment) -> None:
        talk = self._talks.get(id(link))
        if link.state is not State.UP:
            if kind == ContentKind.STMT:  # the ADMIT that goes with a HELLO
                self._merge(data)
            return
        if talk is None:
            return
        if kind in (ContentKind.MSG, ContentKind.ACK):
            self._settle(now)  # what came before it, in the same bytes, may be what it rests on
        match kind:
            case ContentKind.READY:
                self._on_ready(talk, parse_ready(data), now)
            case ContentKind.STMT if talk.statements.take(now):
                self._merge(data)
            case ContentKind.WANT:
                self._on_want(talk, data, now)
            case ContentKind.ACK if talk.open:
                self._on_ack(talk, parse_ack(data), now)
            case ContentKind.MSG if talk.open:
                self._on_message(talk, data, blocks, now)
            case _:
                self.ignored += 1

    def _ready(self, fp: bytes, now: Moment) -> Ready:
        """Say where both logs stand; nothing but the clock unless both ends are members."""
        if not (self.is_member and self._members.is_member(fp)):
            return Ready(clock_ms=now.ms)
        outbox, inbox = self._outbox(fp), self._inbox(fp)
        return Ready(
            self._log,
            outbox.head,
            outbox.low,
            inbox.log,
            inbox.cursor(inbox.log),
            outbox.cursor,
            self._members.set_digest,
            now.ms,
        )

    def _on_ready(self, talk: Talk, ready: Ready, now: Moment) -> None:
        if talk.ready is None and not (ready.full and talk.told):
            self._send_statement(talk, self._members.find(StatementType.JOIN, self.fp), now)
            self._tell_leave(talk, now)
        talk.ready = ready
        self._changed = True
        self._reconsider(talk, now)
        if ready.full:
            self._compare(talk, ready.set_digest, now)

    def _reconsider(self, talk: Talk, now: Moment) -> None:
        """A READY came or memberships changed: may messages flow on this link?"""
        ready = talk.ready
        if ready is None:
            return
        if not (self.is_member and self._members.is_member(talk.fp)):
            if talk.close():
                self._choose_sending(talk.fp, now)
                self._tell_leave(talk, now)
            return
        if not talk.told:
            self._tell_ready(talk, now)
        if not ready.full or talk.taken_ready is ready:
            return
        talk.taken_ready = ready
        self._take_ready(talk, ready)
        if not talk.open:
            talk.begin(ready, ready.cursor if ready.your_log == self._log else 0)
            self._send_ack(talk, now)
            self._choose_sending(talk.fp, now)
        self._changed = True

    def _tell_leave(self, talk: Talk, now: Moment) -> None:
        """Remind those who take themselves for members of their own LEAVE: another device, or a wrong clock."""
        if not self._members.is_member(talk.fp):
            self._send_statement(talk, self._members.find(StatementType.LEAVE, talk.fp), now)

    def _nick(self, talk: Talk) -> str:
        """Return the nick of somebody's JOIN; until it is heard (the owner needs none), that of the HELLO."""
        greeting = talk.link.greeting
        return self._members.nick(talk.fp) or (greeting.nick if greeting is not None else "")

    def _take_ready(self, talk: Talk, ready: Ready) -> None:
        inbox, nick = self._inbox(talk.fp), self._nick(talk)
        if ready.echo > inbox.cursor(ready.my_log) > 0:
            self._alarm(AlarmKind.ACKNOWLEDGED_ELSEWHERE, talk.fp, nick)
        gone, fresh = inbox.open_log(ready.my_log, ready.low)
        if gone:
            self._events.append(events.Gap(talk.fp, nick, gone, fresh))

    def _tell_ready(self, talk: Talk, now: Moment) -> None:
        """Say READY (again) now that both are members, or because something owed was given up."""
        talk.told_ready(now)
        self._send(talk, ContentKind.READY, self._ready(talk.fp, now).to_bytes(), now)

    def _on_ack(self, talk: Talk, ack: Ack, now: Moment) -> None:
        talk.confirmed()
        if ack.log == self._log:
            outbox = self._outbox(talk.fp)
            if not talk.acked <= ack.cursor <= outbox.head:
                self.refused += 1
                self._drop(talk.link, now)
                return
            talk.acked = ack.cursor
            self._arrived(talk.fp, outbox.acknowledge(ack.cursor), now)
            self._pump(talk.fp, now)
        self._compare(talk, ack.set_digest, now)

    def _on_message(self, talk: Talk, data: bytes, blocks: tuple[bytes, ...], now: Moment) -> None:
        number, message = parse_message(data)
        talk.ack_soon(now)
        if not self._inbox(talk.fp).take(talk.log, number):
            return
        mid = message.mid(self.invite.room_id, talk.fp)
        self._archive.put(mid, self.fp, blocks, len(blocks))
        text = parse_text(message.app)
        if text is None:
            self.ignored += 1
        else:
            nick, readers = self._nick(talk), self._views.get(message.who)
            sent_ms = min(message.time_ms, now.ms)  # whatever they claim, it wasn't written later than now
            self._events.append(events.MessageReceived(mid, talk.fp, nick, text, sent_ms, now.ms, readers))
        talk.untold += 1
        if talk.untold >= ACK_AT_ONCE:
            self._send_ack(talk, now)

    # -- sending

    def _send(self, talk: Talk, kind: ContentKind, data: bytes, now: Moment) -> list[bytes]:
        try:
            return talk.link.send(kind, data)
        except StateError:  # a direction is used up
            self._drop(talk.link, now)
            return []

    def _send_due(self, talk: Talk, now: Moment) -> None:
        if talk.ready_is_due(now):
            self._tell_ready(talk, now)
        if talk.open and now.s >= talk.ack_s:
            self._send_ack(talk, now)

    def _send_ack(self, talk: Talk, now: Moment) -> None:
        cursor = self._inbox(talk.fp).cursor(talk.log)
        ack = Ack(talk.log, cursor, self._outbox(talk.fp).head, self._members.set_digest)
        talk.ack_sent(now)
        self._send(talk, ContentKind.ACK, ack.to_bytes(), now)

    def _pump(self, fp: bytes, now: Moment) -> None:
        talk = self._sending.get(fp)
        if talk is not None:
            for owed in self._outboxes[fp].take(now):
                self._archive.put(owed.mid, fp, self._send(talk, ContentKind.MSG, owed.content, now), owed.parts)

    def _arrived(self, fp: bytes, mids: list[bytes], now: Moment) -> None:
        if mids:
            self._events.append(events.MessageArrived(tuple(mids), fp, now.ms))

    def _give_up(self, fp: bytes, mids: list[bytes], now: Moment) -> None:
        if mids:
            self._events.append(events.NotDelivered(tuple(mids), fp))
            if fp in self._sending:
                self._tell_ready(self._sending[fp], now)

    def _outbox(self, fp: bytes) -> Outbox:
        if fp not in self._outboxes:
            self._outboxes[fp] = Outbox()
        return self._outboxes[fp]

    def _inbox(self, fp: bytes) -> Inbox:
        if fp not in self._inboxes:
            self._inboxes[fp] = Inbox()
        return self._inboxes[fp]

    # -- statements

    def _own_time_ms(self, now: Moment) -> int:
        return min(max(now.ms, self._members.newest_ms(self.fp) + 1), MAX_TIME_MS)

    def _join(self, now: Moment) -> None:
        join, leave = (self._members.find(kind, self.fp) for kind in (StatementType.JOIN, StatementType.LEAVE))
        if join is None or join.nick != self.nick or (leave is not None and leave.time_ms >= join.time_ms):
            self._sign(StatementType.JOIN, self.fp, self._own_time_ms(now))

    def _sign(self, kind: StatementType, subject: bytes, time_ms: int) -> Statement:
        statement = make_statement(kind, self.invite.room_id, self._identity, subject, time_ms, self.nick)
        self._merge(statement.raw)
        return statement

    def _own_admit(self) -> bytes | None:
        admit = self._members.find(StatementType.ADMIT, self.fp)
        return admit.raw if admit is not None else None

    def _merge(self, raw: bytes) -> None:
        try:
            self._changed |= self._members.add(raw)
        except (WireError, CryptoError):
            self.refused += 1

    def _send_statement(self, talk: Talk, statement: Statement | None, now: Moment) -> None:
        if statement is not None:
            self._send(talk, ContentKind.STMT, statement.raw, now)

    def _publish(self, statement: Statement | None, now: Moment) -> None:
        """Send a statement to every member with a link that is up, and to the one it is about."""
        for talk in list(self._talks.values()):
            to_them = statement is not None and statement.subject == talk.fp
            if statement is not None and talk.up and (to_them or self._members.is_member(talk.fp)):
                self._send_statement(talk, statement, now)

    def _compare(self, talk: Talk, others_set: bytes, now: Moment) -> None:
        talk.others_set = others_set
        if others_set == self._members.set_digest:
            talk.agreed()
        elif self._want_s is None:
            self._want_s = now.s + self._between(*WANT_DELAY_S)

    def _send_want(self, now: Moment) -> None:
        """Ask one of those who hold other statements for what we lack; one at a time, for one answer mends most."""
        mine = self._members.set_digest
        others = [talk for talk in self._talks.values() if talk.up and talk.others_set not in (b"", mine)]
        ripe = [talk for talk in others if now.s >= talk.want_s]
        if ripe:
            talk = min(ripe, key=lambda one: one.want_s)
            talk.wanted(now)
            known = self._members.hashes() if self._members.is_member(talk.fp) else []  # to others, not even how many
            self._send(talk, ContentKind.WANT, b"".join(known), now)
        self._want_s = now.s + WANT_PATIENCE_S if others else None

    def _on_want(self, talk: Talk, data: bytes, now: Moment) -> None:
        if len(data) % HASH_SIZE or len(data) > MAX_STATEMENTS * HASH_SIZE:
            raise WireError("not a WANT")
        theirs = {data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)}
        missing = self._members.statements(besides=theirs) if self._members.is_member(talk.fp) else None
        if missing is None or not self._want_budget.take(now, 1 + len(missing)):
            self.ignored += 1
            return
        for raw in missing:
            self._send(talk, ContentKind.STMT, raw, now)
        if theirs - set(self._members.hashes()) and self._want_s is None:
            self._want_s = now.s + self._between(*WANT_DELAY_S)

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * int.from_bytes(self._random(2)) / 65536

    # -- what follows

    def _settle(self, now: Moment) -> None:
        """Work out what follows from new statements and links, until nothing more does."""
        while self._changed:
            self._changed = False
            self._settle_members(now)
            for talk in list(self._talks.values()):
                self._reconsider(talk, now)
            for link, fp in self._door.take_kept():
                if self._members.may_join(fp):
                    self._answer(link, fp, now)
                elif not self._door.keep(link, fp):
                    self._drop(link, now)
            self._show(now)

    def _settle_members(self, now: Moment) -> None:
        if self._was_member and not self._left and not self.is_member:
            self._join(now)  # a LEAVE that wasn't said here: this window is open, so we belong
            self._publish(self._members.find(StatementType.JOIN, self.fp), now)
        fps = self._members.fps()
        everyone = fps | {self.fp}
        if self.is_member and not self._was_member:
            admit = self._members.find(StatementType.ADMIT, self.fp)
            self._events.append(events.LetIn(admit.signer if admit is not None else self.fp))
            self._publish(
                self._members.find(StatementType.JOIN, self.fp), now
            )  # they may have had no place for it before
            if self._seat is not None:
                self._seat.attempt_now(now)
        self._was_member = self.is_member
        self._views[who_digest(self.invite.room_id, everyone)] = tuple(sorted(everyone))
        while len(self._views) > MAX_VIEWS:
            del self._views[next(iter(self._views))]
        for fp in sorted(fps - self._known - {self.fp}):
            self._end_knock(fp)
            since_ms = self._members.member_since_ms(fp)
            if since_ms >= self._opened_ms - RECENT_MS:
                self._events.append(events.MemberJoined(fp, self._members.nick(fp), min(since_ms, now.ms)))
        for fp in sorted(self._known - fps - {self.fp}):
            left_ms = min(self._members.newest_ms(fp), now.ms)
            self._events.append(events.MemberLeft(fp, self._members.nick(fp), left_ms))
            self._sending.pop(fp, None)
            self._give_up(fp, self._outbox(fp).give_up_all(), now)  # the numbers go on if they come back
        self._known = fps

    def _show(self, now: Moment) -> None:
        seen = {talk.fp: Presence.ARRIVING for talk in self._talks.values()}
        seen |= dict.fromkeys(self._sending, Presence.HERE)
        silent = [fp for fp, talk in self._sending.items() if talk.link.first]
        self._events += self._roster.update(self._members, seen, silent, connected=self.seated, now=now)
        if self.is_member or self._left or not self.seated:
            self._waiting = None
            return
        owner = self.invite.owner_fp
        waiting = events.Waiting(self._members.nick(owner), owner, owner in seen)
        if waiting != self._waiting:
            self._waiting = waiting
            self._events.append(waiting)
