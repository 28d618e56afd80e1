"""The connections of one client in one room: the one in use, and at times the one that shall take its place.  Pure.

A session key lives as long as its connection.  So the key is renewed by a second connection: links are made there with
everybody, and only then is the first one left.  docs/PROTOCOL.md, "Make before break".  In the same way a room moves to
another relay; then there may be one more, at the relay of before, for those who were away ("Moving to another relay").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from chatcore.clock import Moment
from chatcore.engines import Engine, PrivateKey
from chatcore.errors import StateError
from chatcore.hello import Self
from chatcore.invite import RelayAddress
from chatcore.link import Link
from chatcore.seat import Seat
from chatcore.seatevents import Garbled, Odd, Seated, SeatEvent, Turned
from chatcore.talk import Talk
from chatcore.wire import NO_PASS

# Longer than a link is kept whose other end is silent (90 s), so that nobody who is gone holds us up; shorter than an
# older link is still read by others (120 s), so that the old connection can be gone on with.
RENEWAL_S = 100.0
MOST_FAILED = 2  # one who answers on the old connection and never on the new one mustn't keep an old key alive
KEPT_MODULI = 8


class Seats:
    """Holds the seats; what their links say is for the room to judge."""

    def __init__(
        self,
        engine: Engine,
        make_self: Callable[[PrivateKey], Self],
        carried: Callable[[], bytes | None],
        may_greet: Callable[[bytes], bool],
    ) -> None:
        """`carried()` is the ADMIT that goes with our HELLO, if any; `may_greet(fp)`: somebody may learn who we are."""
        self.present: Seat | None = None
        self.next: Seat | None = None
        self.lookout: Seat | None = None  # statements only: it never carries a message
        self._engine, self._make_self = engine, make_self
        self._carried, self._may_greet = carried, may_greet
        self._moduli: list[bytes] = []  # session keys of one's own, newest last
        self._until_s = self._looked_s = 0.0
        self._failed = 0  # renewals in a row that came to nothing

    def __iter__(self) -> Iterator[Seat]:
        return iter([seat for seat in (self.present, self.next, self.lookout) if seat is not None])

    def _open(self, session: PrivateKey, relay: RelayAddress) -> Seat:
        self._moduli.append(session.modulus)
        del self._moduli[:-KEPT_MODULI]
        seat = Seat(self._make_self(session), self._engine, self._moduli, relay.relay_pass or NO_PASS)
        seat.carried, seat.relay = self._carried, relay
        return seat

    def connect(self, session: PrivateKey, relay: RelayAddress) -> Seat:
        """Begin the first connection, or the first after all were lost."""
        if self.present is not None:
            raise StateError("there is a connection already")
        self.present = self._open(session, relay)
        return self.present

    def renew(self, session: PrivateKey, relay: RelayAddress, now: Moment) -> Seat:
        """Begin the connection that shall take the place of the present one.  Raises StateError when it can't be."""
        old = self.present
        if old is None or old.address is None or self.next is not None:
            raise StateError("there is no connection to be renewed")
        self.next = new = self._open(session, relay)
        new.twin, old.twin = old, new
        if relay == old.relay:  # at another, nobody is known by the address; there we are one who connects
            new.greets = lambda address: self._knows(new, address)
        self._until_s = now.s + RENEWAL_S
        return new

    def look_out(self, session: PrivateKey, relay: RelayAddress) -> Seat:
        """Begin a connection to the relay of before.  Raises StateError if there is one, or none to the present one."""
        if self.present is None or self.present.address is None or self.lookout is not None:
            raise StateError("there is a lookout already, or nothing to be shown")
        self.lookout = self._open(session, relay)
        return self.lookout

    def is_lookout(self, link: Link) -> bool:
        """Whether a link is one at the relay of before."""
        return self.lookout is not None and link.me is self.lookout.me

    @property
    def found_same(self) -> bool:
        """Whether the lookout sees the present connection: then both are at one relay."""
        here = self.present.address if self.present is not None else None
        return self.lookout is not None and here is not None and self.lookout.is_there(here)

    def _knows(self, seat: Seat, address: bytes) -> bool:
        """Whether one who may know us sits there.

        Who waits at the door would otherwise be told, by and by, who is in the room: everybody renews.
        """
        fp = seat.who(address) or (seat.twin.who(address) if seat.twin is not None else None)
        return self._may_greet(fp or b"")

    def receive(self, seat: Seat, data: bytes, now: Moment) -> Iterator[SeatEvent]:
        """Take bytes of a connection; yields what they mean for the room."""
        yield from self._heard(seat, seat.receive_data(data, now))

    def _heard(self, seat: Seat, said: Iterator[SeatEvent]) -> Iterator[SeatEvent]:
        unsaid = Seated | Turned | Garbled | Odd if seat is self.lookout else Seated | Turned | Garbled
        for event in said:
            if seat is self.present or not isinstance(event, unsaid):
                yield event  # how the others fare with their relay is nobody's business

    def begin_with_known(self, now: Moment) -> None:
        """Memberships have changed: there may be some to whom we held back."""
        for seat in self:
            seat.begin_with_known(now)

    def attempt_now(self, now: Moment) -> None:
        """Begin anew with everybody who isn't up."""
        for seat in self:
            seat.attempt_now(now)

    def beat(self, links: Collection[Link], due_s: float) -> None:
        """Have each link say one block, to be sent then."""
        for seat in self:
            seat.beat([link for link in links if link.me is seat.me], due_s)

    def end(self, link: Link, now: Moment) -> None:
        """End a link on our side."""
        for seat in self:
            seat.end(link, now)

    # -- going over

    def leave(self, talks: Collection[Talk], now: Moment) -> Seat | None:
        """Return the connection that is to be left now, if any: it is none of ours any more.

        It is the old one when the new one carries everybody, and the new one when that has come to nothing.
        """
        old, new = self.present, self.next
        if old is None or new is None:
            return None
        self._looked_s = now.s
        if self._carries_all(old, new, talks, now):
            return self._go_over(old, new)
        if now.s < self._until_s:
            return None
        if self._failed < MOST_FAILED or new.address is None or self._is_deserted(old, new, talks):
            return self.give_up()
        return self._go_over(old, new)

    def _carries_all(self, old: Seat, new: Seat, talks: Collection[Talk], now: Moment) -> bool:
        reached = {talk.fp for talk in talks if talk.link.me is old.me and talk.flows}
        carried = [talk for talk in talks if talk.link.me is new.me and talk.flows]
        # With all seats, for others may be renewing, too, and leave the one over which we have them.
        return reached <= {talk.fp for talk in carried if talk.heard} and now.s >= new.calm_s()

    def _is_deserted(self, old: Seat, new: Seat, talks: Collection[Talk]) -> bool:
        """Whether the new one is at another relay, to which none of those can go whom we have here."""
        return new.relay != old.relay and not any(talk.link.me is new.me and talk.flows for talk in talks)

    def _go_over(self, old: Seat, new: Seat) -> Seat:
        new.take_over(old)
        self.present, self.next, self._failed = new, None, 0
        return old

    def give_up(self) -> Seat | None:
        """Stay with the present connection."""
        given_up, self.next = self.next, None
        self._failed += given_up is not None
        if self.present is not None:
            self.present.twin = None
        return given_up

    def lose(self, seat: Seat, *, keep_next: bool) -> list[Seat]:
        """A connection is gone; returns all those that are thereby none of ours any more.

        The next one takes the place of the present one if it has a seat, and `keep_next`.
        """
        old, new = self.present, self.next
        if seat is new:
            self.give_up()
            return [seat]
        if seat is self.lookout:
            self.lookout = None
            return [seat]
        if seat is not old:
            return []
        if new is not None and new.address is not None and keep_next:
            return [self._go_over(seat, new)]
        gone = list(self)
        self.present = self.next = self.lookout = None
        return gone

    # -- time

    def next_tick(self) -> float | None:
        """Return when `tick` or `leave` has something to do, in monotonic seconds; None if never."""
        times = [time for seat in self if (time := seat.next_tick()) is not None]
        if self.next is not None:
            times.append(self._until_s)
            if self._looked_s < (calm_s := self.next.calm_s()) < self._until_s:
                times.append(calm_s)
        return min(times, default=None)

    def tick(self, now: Moment, *, more_waits: bool = False) -> Iterator[SeatEvent]:
        """Repeat, end and retry what is due; `more_waits` as in `Link.tick`."""
        for seat in list(self):
            yield from self._heard(seat, seat.tick(now, more_waits=more_waits))
