"""One member's view of one room: bytes, time and commands in; bytes and events out.  Pure.  docs/PROTOCOL.md.

Ties the rest of the core together: the seat finds who is there, `Members` says who belongs, the `Courier` carries the
messages, the `Gossip` the statements, the `Greetings` say who is answered.  Here it is decided who may speak, and what
a person gets to see.

The face of a room: `connect` with a fresh session key, and `renew` with another while the first goes on; then
`receive_data`, `receive_eof` and `tick` in any order, each followed by `events_received` and `data_to_send`.  None of
those raises for what a peer or the relay does.  The commands `say`, `let_in`, `turn_away` and `leave` raise StateError
or TextError when they are illegal now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore import events
from chatcore.clock import NEVER_S, Moment
from chatcore.content import ContentKind
from chatcore.courier import Courier
from chatcore.delivery import Ready, parse_ack, parse_ready
from chatcore.engines import Engine, PrivateKey
from chatcore.errors import CryptoError, StateError, WireError
from chatcore.events import AlarmKind, Presence, RoomEvent
from chatcore.gossip import Gossip
from chatcore.greetings import Greetings
from chatcore.hello import Self
from chatcore.invite import Invite, RelayAddress
from chatcore.kept import Changes, Kept
from chatcore.link import Link, State
from chatcore.members import Members, Statement, StatementType, make_statement
from chatcore.moving import Moving
from chatcore.report import Report
from chatcore.retelling import retell
from chatcore.rhythm import MOST_PERIOD_S, Rhythm
from chatcore.roster import Roster
from chatcore.seal import fingerprint
from chatcore.seat import Seat
from chatcore.seatevents import Absent, Back, Garbled, Gone, Greeted, Heard, Odd, Seated, SeatEvent, Turned
from chatcore.seats import Seats
from chatcore.talk import Talk
from chatcore.text import pack_text

OLD_LINK_S = 120.0  # an older link of the same identity is kept, to be read, so long
RECENT_MS = 5_000  # a statement older than one's own coming by more than this is history, not news
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
        self._identity, self._engine, self._random = identity, engine, random
        self._events: list[RoomEvent] = []
        self._members = Members(engine, invite.room_id, invite.owner_fp, invite.mode)
        self._members.key(identity.modulus)
        self._roster = Roster(self.fp)
        self._greetings = Greetings(
            self.fp, invite.owner_fp, self._members, self._answer, self._drop, self._alarm, self._emit
        )
        self._report = Report(now, self._emit)
        self._courier = Courier(
            invite.room_id, self.fp, self._members, random, self._send, self._emit, kept, now, self._report
        )
        self._rhythm = Rhythm(random)
        self._gossip = Gossip(self._members, random, self._send)
        self._moving = Moving(invite.relay, self._members, self.fp)
        self._seats = Seats(engine, self._self, lambda fp: self.is_owner or self._members.may_join(fp))
        self._talks: dict[int, Talk] = {}  # by id() of the link: answered, and perhaps up
        self._known: frozenset[bytes] = frozenset()
        self._waiting: events.Waiting | None = None
        self._alarms: set[tuple[AlarmKind, bytes]] = set()
        self._opened_ms = now.ms
        self._changed = True  # statements or links: what follows from them is worked out in _settle
        self._was_member = self._left = self._open = False
        self._outlook: RelayAddress | None = None
        for raw in statements:
            self._merge(raw)
        self._join(now)
        self._known = self._members.fps()
        if kept is not None:
            retell(kept, self.fp, self._members, self._courier.answers, self._emit, now)
        self._settle(now)
        self._open = True

    # -- the connection

    def connect(self, session: PrivateKey, now: Moment, relay: RelayAddress | None = None) -> Seat:
        """Begin a connection with a session key made for it.  Raises StateError if there is one already.

        `relay` is where it leads, if not where the room is.
        """
        seat = self._seats.connect(session, self._own_admit, relay or self.relay)
        self.refusal = None
        self._alarms.clear()
        return seat

    def renew(self, session: PrivateKey, now: Moment, relay: RelayAddress | None = None) -> Seat:
        """Begin the connection that shall take the place of the present one, when it carries everybody (`seats`).

        Raises StateError when there is nothing to be renewed, or one doesn't belong to the room.
        """
        if not self.is_member:
            raise StateError("one who waits has no key worth renewing")
        return self._seats.renew(session, self._own_admit, relay or self.relay, now)

    def look_out(self, session: PrivateKey, now: Moment, relay: RelayAddress | None = None) -> Seat:
        """Begin the connection by which those who were away are shown where the room is now (`outlook`).

        Raises StateError when there is nothing to look out for.
        """
        if self._outlook is None:
            raise StateError("nobody is to be shown the way")
        return self._seats.look_out(session, self._own_admit, relay or self._outlook)

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
        return frozenset(talk.fp for talk in self._talks.values() if talk.up and talk.others_set == mine)

    @property
    def astray(self) -> bool:
        """Whether the present connection leads elsewhere than where the room is."""
        return self._seat is not None and self.seated and self._seat.relay != self.relay

    def _self(self, session: PrivateKey) -> Self:
        invite = self.invite
        return Self(
            invite.room_id, invite.room_key, self._identity, session, self.nick, self._random, self._members.key
        )

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
            self._roster.disconnect()
        if self._seat is not None:
            self._retire(seat, now)
            if seat is present:  # the next one is the present one now
                self._roster.reconnect(now)
        else:
            self._report.disconnected(now)
            for one in gone:
                one.end_all()
            self._talks.clear()
            self._courier.disconnect()
            self._gossip.disconnect()
        self._changed = True
        self._settle(now)
        self._look_around(now)

    def _leave_seat(self, now: Moment) -> None:
        """Leave the old connection when the new one carries everybody, or the new one when that came to nothing."""
        seat = self._seats.leave(self._talks.values(), now)
        if seat is not None:
            self._retire(seat, now)
            self._settle(now)
        self._look_around(now)

    def _retire(self, seat: Seat, now: Moment) -> None:
        for link in seat.end_all():
            self._forget(link, now)
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
        return any(talk.link.worn for talk in self._talks.values())

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
        if not self.is_owner:
            raise StateError("only the owner of the room lets people in")
        self._publish(self._sign(StatementType.ADMIT, fp, now.ms), now)
        self._publish(self._members.find(StatementType.JOIN, fp), now)
        self._greetings.end_knock(fp)
        self._settle(now)

    def keep_steady(self, period_s: int, now: Moment) -> None:
        """Set the rhythm of the room: a block to each every 1 to 30 seconds; 0 for none.

        Raises StateError for anybody but the owner, and for another period.
        """
        if not self.is_owner or not 0 <= period_s <= MOST_PERIOD_S:
            raise StateError("the owner of the room sets its rhythm, at most 30 s")
        if period_s != self._members.period_s:
            old = self._members.find(StatementType.STEADY, self.fp)
            time_ms = max(now.ms, old.time_ms + 1 if old is not None else 0)
            self._publish(self._sign(StatementType.STEADY, self.fp, time_ms, period_s), now)
            self._settle(now)

    def move(self, relay: RelayAddress, now: Moment) -> None:
        """Say that the room is on another relay from now on.  Raises StateError for anybody but the owner."""
        if not self.is_owner or not relay.pins:
            raise StateError("the owner of the room moves it, to a relay that is known by its key")
        if relay != self.relay:
            old = self._members.moved
            time_ms = max(now.ms, old.time_ms + 1 if old is not None else 0)
            self._publish(self._sign(StatementType.RELAY, self.fp, time_ms, relay=relay), now)
            self._settle(now)

    def turn_away(self, fp: bytes, now: Moment) -> None:
        """Don't let somebody in, and don't hear them again in this run.  They aren't told: there is no word for it."""
        self._greetings.turn_away(fp)
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
        times = [
            part.next_tick()
            for part in (
                self._rhythm,
                self._seats,
                self._roster,
                self._greetings,
                self._courier,
                self._gossip,
                self._report,
            )
        ]
        times += [talk.next_tick() for talk in self._talks.values()]
        if len(self._talks) > len(self._courier.sending):
            times += [old_s for talk in self._talks.values() if (old_s := self._old_s(talk)) < NEVER_S]
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: Moment, *, more_waits: bool = False) -> None:
        """Do what is due: repeats, acknowledgements, heartbeats, sending again.

        `more_waits`: bytes have come that weren't handed in yet.  An acknowledgement may be among them, so nothing is
        sent again for want of one, and a handshake is hardly repeated: else a client that is behind would make
        everybody's work more.
        """
        for event in self._seats.tick(now, more_waits=more_waits):
            self._on_seat(event, now)
        for talk in list(self._talks.values()):
            if now.s >= self._old_s(talk):
                self._drop(talk.link, now)
            elif talk.is_due(now):
                self._courier.send_due(talk, now)
        if not more_waits:
            self._courier.resend(now)
            self._courier.answers.tick(now)
        if (due_s := self._rhythm.due(now)) is not None:
            self._beat(due_s, now)
        self._greetings.tick(now)
        self._gossip.ask(self._talks.values(), now)
        self._courier.lists.tick(self._courier.sending, now)
        self._report.tick(now)
        self._changed |= self._roster.next_tick() is not None
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

    def _beat(self, due_s: float, now: Moment) -> None:
        """Make ready what goes out on the next beat: one block on each link, on all of them at once."""
        links = [talk.link for talk in self._talks.values() if talk.up]
        if self._rhythm.period_s:
            self._courier.feed(now)
            self._seats.beat(links, due_s)
            return
        for link in links:
            link.flow()

    def _keep_time(self, talk: Talk) -> None:
        if talk.open:
            talk.keep_time(self._rhythm.period_s)

    def _old_s(self, talk: Talk) -> float:
        """Return when a link is given up for a newer one with the same identity."""
        newest = self._courier.sending.get(talk.fp, talk)
        return newest.link.up_s + OLD_LINK_S if talk.open and newest is not talk else NEVER_S

    # -- what the seat says

    def _on_seat(self, event: SeatEvent, now: Moment) -> None:
        match event:
            case Seated():
                self._report.connected(now)
                self._roster.reconnect(now)
                self._changed = True
            case Turned() | Garbled():
                self.refusal = event
            case Greeted(link, greeting):
                self._forget(link, now)  # a provisional link that begins anew
                self._greetings.take(link, greeting, now)
            case Heard(link, content):
                try:
                    self._on_content(link, content.kind, content.data, content.blocks, now)
                except (WireError, CryptoError):
                    self.refused += 1
            case Odd(link, what, count):
                known = link.greeting if link is not None else None
                self._report.odd(what, known.fp if known is not None else b"", count, now)
            case Gone(link, left):
                self._forget(link, now, left=left)
            case Absent(link) | Back(link):
                self._note_absent(link, isinstance(event, Absent), now)

    def _alarm(self, kind: AlarmKind, fp: bytes, nick: str) -> None:
        if (kind, fp) not in self._alarms:  # once a connection: they try again and again, and it is the same news
            self._alarms.add((kind, fp))
            self._events.append(events.Alarm(kind, fp, nick))

    def _answer(self, link: Link, fp: bytes, now: Moment) -> None:
        ready = Ready(clock_ms=now.ms) if self._seats.is_lookout(link) else self._ready(fp, now)
        self._talks[id(link)] = Talk(link, fp, now, self._random, told=ready.full)
        link.answer(ready.to_bytes(), now)

    def _drop(self, link: Link, now: Moment) -> None:
        self._seats.end(link, now)
        self._forget(link, now)

    def _forget(self, link: Link, now: Moment, *, left: bool = False) -> None:
        talk = self._talks.pop(id(link), None)
        if talk is None:
            return
        self._changed = True
        if all(other.fp != talk.fp for other in self._talks.values()):
            self._greetings.gone(talk.fp, now, left=left)
        if self._courier.sending.get(talk.fp) is talk:
            self._choose(talk, now)

    def _note_absent(self, link: Link, absent: bool, now: Moment) -> None:
        """Messages wait for those who aren't here; heartbeats go out to them as long as the link lives."""
        talk = self._talks.get(id(link))
        if talk is None:
            return
        self._changed = True
        talk.absent = absent
        talk.returned |= not absent
        self._choose(talk, now)

    def _choose(self, talk: Talk, now: Moment) -> None:
        self._courier.choose(talk.fp, self._talks.values(), now)
        newest = self._courier.sending.get(talk.fp)
        for other in [other for other in self._talks.values() if other.fp == talk.fp and other.absent]:
            if newest is not None:  # they have gone on to another connection, as everybody does each hour
                self._drop(other.link, now)

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
                if data[:1] == bytes((StatementType.RELAY,)):
                    self._show_the_way(talk, data, now)
            case ContentKind.WANT:
                self.ignored += not self._gossip.on_want(talk, data, now)
            case ContentKind.ACK if talk.open:
                ack = parse_ack(data)
                if self._courier.on_ack(talk, ack, now):
                    self._compare(talk, ack.set_digest, now)
                else:
                    self.refused += 1
                    self._drop(talk.link, now)
            case ContentKind.LIST if talk.open:
                self.ignored += not self._courier.lists.on_list(talk, data, now)
            case ContentKind.MSG if talk.open:
                self._courier.on_message(talk, data, blocks, now)
            case ContentKind.DUMMY:
                pass
            case _:
                self.ignored += 1

    def _ready(self, fp: bytes, now: Moment) -> Ready:
        """Say where both logs stand; nothing but the clock unless both ends are members."""
        if not (self.is_member and self._members.is_member(fp)):
            return Ready(clock_ms=now.ms)
        return self._courier.ready(fp, now)

    def _on_ready(self, talk: Talk, ready: Ready, now: Moment) -> None:
        if talk.ready is None and not (ready.full and talk.told):
            self._gossip.tell(talk, self._members.find(StatementType.JOIN, self.fp), now)
            self._tell_leave(talk, now)
        talk.ready = ready
        self._changed = True
        self._reconsider(talk, now)
        if ready.full and not self._seats.is_lookout(talk.link):
            self._compare(talk, ready.set_digest, now)

    def _compare(self, talk: Talk, others_set: bytes, now: Moment) -> None:
        self._gossip.compare(talk, others_set, now)
        if talk.open:
            self._courier.lists.compare(talk, now)

    def _reconsider(self, talk: Talk, now: Moment) -> None:
        """A READY came or memberships changed: may messages flow on this link?"""
        ready = talk.ready
        if ready is None:
            return
        if self._seats.is_lookout(talk.link):
            self._show_the_way(talk, b"", now)
            return
        if not (self.is_member and self._members.is_member(talk.fp)):
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
        self._keep_time(talk)
        self._choose(talk, now)
        self._changed = True

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

    def _tell_leave(self, talk: Talk, now: Moment) -> None:
        """Remind those who take themselves for members of their own LEAVE: another device, or a wrong clock."""
        if not self._members.is_member(talk.fp):
            self._gossip.tell(talk, self._members.find(StatementType.LEAVE, talk.fp), now)

    def _emit(self, event: RoomEvent) -> None:
        self._events.append(event)

    def _send(self, talk: Talk, kind: ContentKind, data: bytes, now: Moment) -> list[bytes]:
        try:
            return talk.link.send(kind, data)
        except StateError:  # a direction is used up
            self._drop(talk.link, now)
            return []

    # -- statements

    def _own_time_ms(self, now: Moment) -> int:
        return min(max(now.ms, self._members.newest_ms(self.fp) + 1), MAX_TIME_MS)

    def _join(self, now: Moment) -> None:
        join, leave = (self._members.find(kind, self.fp) for kind in (StatementType.JOIN, StatementType.LEAVE))
        if join is None or join.nick != self.nick or (leave is not None and leave.time_ms >= join.time_ms):
            self._sign(StatementType.JOIN, self.fp, self._own_time_ms(now))

    def _sign(
        self,
        kind: StatementType,
        subject: bytes,
        time_ms: int,
        period_s: int = 0,
        relay: RelayAddress | None = None,
    ) -> Statement:
        room_id = self.invite.room_id
        statement = make_statement(kind, room_id, self._identity, subject, time_ms, self.nick, period_s, relay)
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

    def _publish(self, statement: Statement | None, now: Moment) -> None:
        self._gossip.publish(statement, self._talks.values(), now)

    # -- what follows

    def _settle(self, now: Moment) -> None:
        """Work out what follows from new statements and links, until nothing more does."""
        while self._changed:
            self._changed = False
            self._settle_members(now)
            self._seats.begin_with_known(now)
            self._settle_rhythm(now)
            if self._moving.settle(self._seat.relay if self._seat is not None else None):
                self._events.append(events.RoomMoved(self.relay, self.before, not self._open))
            for talk in list(self._talks.values()):
                self._reconsider(talk, now)
            self._greetings.look_again(now)
            self._show(now)

    def _settle_rhythm(self, now: Moment) -> None:
        period_s = self._members.period_s
        if period_s != self._rhythm.period_s:
            self._rhythm.set(period_s, now)
            self._courier.keep_time(period_s)
            for talk in self._talks.values():
                self._keep_time(talk)
            self._events.append(events.SteadyChanged(period_s))

    def _settle_members(self, now: Moment) -> None:
        if self._was_member and not self._left and not self.is_member:
            self._join(now)  # a LEAVE that wasn't said here: this window is open, so we belong
            self._publish(self._members.find(StatementType.JOIN, self.fp), now)
        fps = self._members.fps()
        if self.is_member and not self._was_member:
            self._courier.answers.begin(now.ms)
            admit = self._members.find(StatementType.ADMIT, self.fp)
            self._events.append(events.LetIn(admit.signer if admit is not None else self.fp))
            # They may have had no place for our JOIN before.
            self._publish(self._members.find(StatementType.JOIN, self.fp), now)
            self._seats.attempt_now(now)
        self._was_member = self.is_member
        self._courier.lists.view()
        for fp in sorted(fps - self._known - {self.fp}):
            self._greetings.end_knock(fp)
            since_ms = self._members.member_since_ms(fp)
            if since_ms >= self._opened_ms - RECENT_MS:
                self._events.append(events.MemberJoined(fp, self._members.nick(fp), min(since_ms, now.ms)))
        for fp in sorted(self._known - fps - {self.fp}):
            left_ms = min(self._members.newest_ms(fp), now.ms)
            self._events.append(events.MemberLeft(fp, self._members.nick(fp), left_ms))
            self._courier.part(fp, now)
        self._known = fps

    def _show(self, now: Moment) -> None:
        seen = {talk.fp: Presence.ARRIVING for talk in self._talks.values() if not talk.absent}
        here = self._courier.sending
        seen |= dict.fromkeys(here, Presence.HERE)
        silent = [fp for fp, talk in here.items() if talk.link.first and not talk.returned]
        self._events += self._roster.update(self._members, seen, silent, connected=self.seated, now=now)
        if self.is_member or self._left or not self.seated:
            self._waiting = None
            return
        owner = self.invite.owner_fp
        waiting = events.Waiting(self._members.nick(owner), owner, owner in seen)
        if waiting != self._waiting:
            self._waiting = waiting
            self._events.append(waiting)
