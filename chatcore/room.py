"""One member's view of one room: bytes, time and commands in; bytes and events out.  Pure.  docs/PROTOCOL.md.

Ties the rest of the core together: the seats find who is there, `Members` says who belongs, the `Greetings` who is
answered; on the `Talks` with them the `Courier` carries the messages, and the `Gossip` the statements.  Here it is
decided who may speak, and in `_settle` what follows from all that was heard.

The face of a room: `connect` with a fresh session key, and `renew` with another while the first goes on; then
`receive_data`, `receive_eof` and `tick` in any order, each followed by `events_received` and `data_to_send`.  None of
those raises for what a peer or the relay does.  The commands `say`, `let_in`, `turn_away` and `leave` raise StateError
or TextError when they are illegal now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore import events
from chatcore.clock import Moment
from chatcore.content import Content, ContentKind
from chatcore.courier import Courier
from chatcore.engines import Engine, PrivateKey
from chatcore.errors import CryptoError, StateError, WireError
from chatcore.events import AlarmKind, RoomEvent
from chatcore.gossip import Gossip
from chatcore.greetings import Greetings
from chatcore.hello import Self
from chatcore.invite import Invite, RelayAddress
from chatcore.kept import Changes, Kept
from chatcore.link import Link, State
from chatcore.members import Members, Statement, StatementType
from chatcore.moving import Moving
from chatcore.news import News
from chatcore.report import Report
from chatcore.retelling import retell
from chatcore.seal import fingerprint
from chatcore.seat import Seat
from chatcore.seatevents import Absent, Back, Garbled, Gone, Greeted, Heard, Odd, Seated, SeatEvent, Turned
from chatcore.seats import Seats
from chatcore.signer import Signer
from chatcore.talk import Talk
from chatcore.talks import Talks
from chatcore.text import pack_text


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
        kept: Kept | None = None,
    ) -> None:
        """`random(n)` returns n random bytes; `statements` are those kept from an earlier visit.

        With `kept`, new or of an earlier run, the events tell its lines first; `changes` are to be committed to it.
        """
        self.invite, self.nick = invite, nick
        self.fp = fingerprint(identity.modulus)
        self.refusal: Turned | Garbled | None = None  # why the relay won't have us, on the present connection
        self.ignored = 0  # contents of kinds we don't know, or that had no place where they came
        self.refused = 0  # contents that broke the rules
        self._identity, self._random = identity, random
        self._events: list[RoomEvent] = []
        self._members = Members(engine, invite.room_id, invite.owner_fp, invite.mode)
        self._members.key(identity.modulus)
        self._signer = Signer(invite.room_id, identity, nick, self._members)
        self._news = News(self.fp, self._members, self._emit, now)
        self._report = Report(now, self._emit)
        self._courier = Courier(
            invite.room_id, self.fp, self._members, random, self._send, self._emit, kept, now, self._report
        )
        self._gossip = Gossip(self._members, random, self._send)
        self._moving = Moving(invite.relay, self._members, self.fp)
        self._seats = Seats(engine, self._self, self._own_admit, self._may_greet)
        self._talks = Talks(
            self.fp, self._members, self._seats, self._courier, self._gossip, random, self._news.alarm, self._gone
        )
        self._greetings = Greetings(
            self.fp, invite.owner_fp, self._members, self._talks.answer, self._talks.drop, self._meet_copy, self._emit
        )
        self._changed = True  # statements or seats: what follows from them, and from talks, is worked out in _settle
        self._was_member = self._left = self._open = False
        self._outlook: RelayAddress | None = None
        for raw in statements:
            self._merge(raw)
        self._join(now)
        self._news.turnover()  # who belonged before is no news
        if kept is not None:
            retell(kept, self.fp, self._members, self._courier.answers, self._emit, now)
        self._settle(now)
        self._open = True

    # -- the connection

    def connect(self, session: PrivateKey, now: Moment, relay: RelayAddress | None = None) -> Seat:
        """Begin a connection with a session key made for it.  Raises StateError if there is one already.

        `relay` is where it leads, if not where the room is.
        """
        seat = self._seats.connect(session, relay or self.relay)
        self.refusal = None
        self._news.connect()
        return seat

    def renew(self, session: PrivateKey, now: Moment, relay: RelayAddress | None = None) -> Seat:
        """Begin the connection that shall take the place of the present one, when it carries everybody (`seats`).

        Raises StateError when there is nothing to be renewed, or one doesn't belong to the room.
        """
        if not self.is_member:
            raise StateError("one who waits has no key worth renewing")
        return self._seats.renew(session, relay or self.relay, now)

    def look_out(self, session: PrivateKey, now: Moment, relay: RelayAddress | None = None) -> Seat:
        """Begin the connection by which those who were away are shown where the room is now (`outlook`).

        Raises StateError when there is nothing to look out for.
        """
        if self._outlook is None:
            raise StateError("nobody is to be shown the way")
        return self._seats.look_out(session, relay or self._outlook)

    @property
    def relay(self) -> RelayAddress:
        """Where the room is."""
        return self._moving.relay

    @property
    def before(self) -> RelayAddress:
        """Where it was before, as far as one knows; else the same."""
        return self._moving.before

    @property
    def outlook(self) -> RelayAddress | None:
        """Where there should be a connection besides, for those who were away when the room moved."""
        return self._outlook

    @property
    def agreed(self) -> frozenset[bytes]:
        """Who is known to hold the same statements as we: they know where the room is, among others."""
        mine = self.set_digest
        return frozenset(talk.fp for talk in self._talks if talk.up and talk.others_set == mine)

    @property
    def astray(self) -> bool:
        """Whether the present connection leads elsewhere than where the room is."""
        return self._seat is not None and self.seated and self._seat.relay != self.relay

    def _self(self, session: PrivateKey) -> Self:
        invite = self.invite
        return Self(
            invite.room_id, invite.room_key, self._identity, session, self.nick, self._random, self._members.key
        )

    def _own_admit(self) -> bytes | None:
        admit = self._members.find(StatementType.ADMIT, self.fp)
        return admit.raw if admit is not None else None

    def _may_greet(self, fp: bytes) -> bool:
        return self.is_owner or self._members.may_join(fp)

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The connections to be held, the present one first; whoever holds another leaves it."""
        return tuple(self._seats)

    @property
    def _seat(self) -> Seat | None:
        return self._seats.present

    def receive_data(self, data: bytes, now: Moment, seat: Seat | None = None) -> None:
        """Take bytes from the relay, in pieces of any size; `seat` is the connection they came over."""
        seat = seat or self._seat
        if seat is not None and seat in self._seats:
            for event in self._seats.receive(seat, data, now):
                self._on_seat(event, now)
            self._settle(now)
            self._leave_seat(now)

    def receive_eof(self, now: Moment, seat: Seat | None = None) -> None:
        """A connection is gone, whoever ended it."""
        seat = seat or self._seat
        if seat is None or seat not in self._seats:
            return
        present = self._seat
        gone = self._seats.lose(seat, keep_next=not self.stale)
        if seat is present:
            self._news.disconnect()
        if self._seat is not None:
            self._retire(seat, now)
            if seat is present:  # the next one is the present one now
                self._news.reconnect(now)
        else:
            self._report.disconnected(now)
            for one in gone:
                one.end_all()
            self._talks.forget_all()
        self._changed = True
        self._settle(now)
        self._look_around(now)

    def _leave_seat(self, now: Moment) -> None:
        """Leave the old connection when the new one carries everybody, or the new one when that came to nothing."""
        seat = self._seats.leave(self._talks, now)
        if seat is not None:
            self._retire(seat, now)
            self._settle(now)
        self._look_around(now)

    def _retire(self, seat: Seat, now: Moment) -> None:
        for link in seat.end_all():
            self._talks.forget(link, now)
        self._changed = True

    def beat_to_send(self, seat: Seat) -> tuple[float, bytes] | None:
        """Return the bytes of the next beat of steady mode since the last call, and when they go out (monotonic s)."""
        return seat.beat_to_send()

    def data_to_send(self, seat: Seat | None = None) -> bytes:
        """Return the bytes for the relay since the last call, on this connection or else the present one."""
        seat = seat or self._seat
        return seat.data_to_send() if seat is not None else b""

    def events_received(self) -> list[RoomEvent]:
        """Return the events since the last call."""
        happened, self._events = self._events, []
        return happened

    def changes(self) -> Changes:
        """Return what is to be committed before the events or the bytes of this moment go anywhere."""
        return self._courier.changes()

    @property
    def worn(self) -> bool:
        """Whether so much went over a link that the connection should be renewed now."""
        return any(talk.link.worn for talk in self._talks)

    def promises(self) -> bool:
        """Say whether what is to be sent tells somebody how far they were heard, since the last call."""
        promised, self._courier.promised = self._courier.promised, False
        return promised

    @property
    def stale(self) -> bool:
        """Whether the shell must connect anew: our log was begun again, and the present links know the old one."""
        return self._courier.stale

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
        return self._courier.owed

    @property
    def set_digest(self) -> bytes:
        """The 32 bytes that change whenever `statements` does."""
        return self._members.set_digest

    def statements(self) -> tuple[bytes, ...]:
        """Return all statements held, to be kept for the next visit."""
        return tuple(self._members.statements())

    # -- commands

    def say(self, text: str, now: Moment, answers: bytes = b"", listed: frozenset[bytes] | None = None) -> bytes:
        """Seal a text for every member, those away included; returns its mid (16 bytes).

        It quotes the message with the mid `answers`, if that is still held.  If it would go to anybody who isn't among
        `listed`, those whom its writer saw, it isn't said: NotSaid follows.  Raises TextError for a text that can't be
        sent, StateError while one isn't a member.
        """
        app = pack_text(text, self._courier.answers.quote(answers))
        if not self.is_member:
            raise StateError("one who isn't a member can't speak")
        if listed is not None and (others := self._members.fps() - listed - {self.fp}):
            self._emit(events.NotSaid(text, tuple(sorted(others))))
            return b""
        return self._courier.post(text, app, now)

    def take_back(self, mid: bytes) -> None:
        """Take back one's own message from those to whom it hasn't gone yet; TakenBack says who they are."""
        self._courier.take_back(mid)

    def let_in(self, fp: bytes, now: Moment) -> None:
        """Sign the ADMIT for somebody at the door.  Raises StateError for anybody but the owner."""
        self._declare(self._signer.admit(fp, now), now)
        self._publish(self._members.find(StatementType.JOIN, fp), now)
        self._greetings.end_knock(fp)
        self._settle(now)

    def keep_steady(self, period_s: int, now: Moment) -> None:
        """Set the rhythm of the room: a block to each every 1 to 30 seconds; 0 for none.

        Raises StateError for anybody but the owner, and for another period.
        """
        self._declare(self._signer.keep_steady(period_s, now), now)
        self._settle(now)

    def move(self, relay: RelayAddress, now: Moment) -> None:
        """Say that the room is on another relay from now on.  Raises StateError for anybody but the owner."""
        self._declare(self._signer.move(relay, self.relay, now), now)
        self._settle(now)

    def turn_away(self, fp: bytes, now: Moment) -> None:
        """Don't let somebody in, and don't hear them again in this run.  They aren't told: there is no word for it."""
        self._greetings.turn_away(fp)
        for talk in self._talks:
            if talk.fp == fp and not self._members.is_member(fp):
                self._talks.drop(talk.link, now)
        self._settle(now)

    def leave(self, now: Moment) -> None:
        """Sign the LEAVE and tell everybody who is here."""
        self._left = True
        if self.is_member:
            self._declare(self._signer.leave(now), now)

    def sealed_blocks(self, mid: bytes) -> events.SealedBlocks:
        """Return the blocks in which a message went, or came, over the wire."""
        return events.SealedBlocks(mid, self._courier.archive.get(mid))

    def report(self, now: Moment) -> events.ConnectionReport:
        """Return what was counted of this relay."""
        return self._report.told(self._members.nick, now)

    def round_trip(self, seconds: float, now: Moment) -> None:
        """Note how long a PING to the relay took."""
        self._report.round_trip(seconds, now)

    # -- time

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        parts = (self._seats, self._talks, self._news, self._greetings, self._courier, self._gossip, self._report)
        times = [part.next_tick() for part in parts]
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: Moment, *, more_waits: bool = False) -> None:
        """Do what is due: repeats, acknowledgements, heartbeats, sending again.

        `more_waits`: bytes have come that weren't handed in yet.  An acknowledgement may be among them, so nothing is
        sent again for want of one, and a handshake is hardly repeated: else a client that is behind would make
        everybody's work more.
        """
        for event in self._seats.tick(now, more_waits=more_waits):
            self._on_seat(event, now)
        self._talks.tick(now)
        if not more_waits:
            self._courier.resend(now)
            self._courier.answers.tick(now)
        self._talks.beat(now)
        self._greetings.tick(now)
        self._gossip.ask(self._talks, now)
        self._courier.lists.tick(self._courier.sending, now)
        self._report.tick(now)
        self._changed |= self._news.next_tick() is not None
        self._settle(now)
        self._leave_seat(now)

    def _look_around(self, now: Moment) -> None:
        """See whether somebody has to be shown the way, and where."""
        seat, lookout = self._seat, self._seats.lookout
        if self._seats.found_same:
            self._moving.found_same()
        outlook = None
        if self.seated and self.is_member and not self._left and seat is not None and seat.relay is not None:
            outlook = self._moving.look_out(seat.relay, self._courier.sending, now)
        self._outlook = outlook
        if lookout is not None and lookout.relay != outlook:
            self._seats.lose(lookout, keep_next=False)
            self._retire(lookout, now)
            self._settle(now)

    # -- what the seat says

    def _on_seat(self, event: SeatEvent, now: Moment) -> None:
        match event:
            case Seated():
                self._report.connected(now)
                self._news.reconnect(now)
                self._changed = True
            case Turned() | Garbled():
                self.refusal = event
            case Greeted(link, greeting):
                self._talks.forget(link, now)  # a provisional link that begins anew
                self._greetings.take(link, greeting, now)
            case Heard(link, content):
                try:
                    self._hear(link, content, now)
                except (WireError, CryptoError):
                    self.refused += 1
            case Odd(link, what, count):
                known = link.greeting if link is not None else None
                self._report.odd(what, known.fp if known is not None else b"", count, now)
            case Gone(link, left):
                self._talks.forget(link, now, left=left)
            case Absent(link) | Back(link):
                self._talks.note_absent(link, isinstance(event, Absent), now)

    def _gone(self, fp: bytes, now: Moment, left: bool) -> None:
        self._greetings.gone(fp, now, left=left)

    def _hear(self, link: Link, content: Content, now: Moment) -> None:
        up, talk = link.state is State.UP, self._talks.on(link)
        if content.kind == ContentKind.STMT and not up:  # the ADMIT that goes with a HELLO
            self._merge(content.data)
        elif talk is None or not up:
            return
        elif content.kind == ContentKind.STMT:
            if talk.statements.take(now):
                self._merge(content.data)
                self._talks.correct(talk, content.data, now)
            else:
                self.ignored += 1
        else:
            if content.kind in (ContentKind.MSG, ContentKind.ACK):
                self._settle(now)  # what came before it, in the same bytes, may be what it rests on
            self.ignored += not self._talks.hear(talk, content, now)

    def _meet_copy(self, kind: AlarmKind, fp: bytes, nick: str) -> None:
        self._courier.part_from_copy()
        self._news.alarm(kind, fp, nick)

    def _emit(self, event: RoomEvent) -> None:
        self._events.append(event)

    def _send(self, talk: Talk, kind: ContentKind, data: bytes, now: Moment) -> list[bytes]:
        try:
            return talk.link.send(kind, data)
        except StateError:  # a direction is used up
            self._talks.drop(talk.link, now)
            return []

    # -- statements

    def _join(self, now: Moment) -> None:
        join = self._signer.join(now)
        if join is not None:
            self._merge(join.raw)

    def _declare(self, statement: Statement | None, now: Moment) -> None:
        if statement is not None:
            self._merge(statement.raw)
            self._publish(statement, now)

    def _merge(self, raw: bytes) -> None:
        try:
            self._changed |= self._members.add(raw)
        except (WireError, CryptoError):
            self.refused += 1

    def _publish(self, statement: Statement | None, now: Moment) -> None:
        self._gossip.publish(statement, self._talks, now)

    # -- what follows

    def _settle(self, now: Moment) -> None:
        """Work out what follows from new statements and links, until nothing more does."""
        while self._changed or self._talks.changed:
            self._changed = self._talks.changed = False
            self._settle_members(now)
            self._seats.begin_with_known(now)
            if self._talks.settle_rhythm(now):
                self._events.append(events.SteadyChanged(self._members.period_s))
            if self._moving.settle(self._seat.relay if self._seat is not None else None):
                self._events.append(events.RoomMoved(self.relay, self.before, not self._open))
            self._talks.reconsider(now)
            self._greetings.look_again(now)
            self._news.show(self._talks, self._courier.sending, connected=self.seated, left=self._left, now=now)

    def _settle_members(self, now: Moment) -> None:
        if self._was_member and not self._left and not self.is_member:
            self._join(now)  # a LEAVE that wasn't said here: this window is open, so we belong
            self._publish(self._members.find(StatementType.JOIN, self.fp), now)
        if self.is_member and not self._was_member:
            self._courier.answers.begin(now.ms)
            admit = self._members.find(StatementType.ADMIT, self.fp)
            self._events.append(events.LetIn(admit.signer if admit is not None else self.fp))
            # They may have had no place for our JOIN before.
            self._publish(self._members.find(StatementType.JOIN, self.fp), now)
            self._seats.attempt_now(now)
        self._was_member = self.is_member
        self._courier.lists.view()
        came, went = self._news.turnover()
        for fp in came:
            self._greetings.end_knock(fp)
            self._news.joined(fp, now)
        for fp in went:
            self._news.left(fp, now)
            self._courier.part(fp, now)
