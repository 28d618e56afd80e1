"""One connection in one room: frames, addresses, and the links to those at them.  Pure.

A seat says KEY to whoever was there before it, answers KEY to whoever comes after, and keeps one `Link` for each
address. It decides nothing about people: what its links say is handed, one thing at a time, to the room that owns it.
docs/PROTOCOL.md, "The wire" and "Handshake".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator

from chatcore.clock import NEVER_S, Bucket, Moment
from chatcore.content import Content
from chatcore.engines import PLAINTEXT_SIZE, Engine, PublicKey, acceptable_modulus
from chatcore.errors import CryptoError, WireError
from chatcore.events import Oddity
from chatcore.hello import Greeting, Self
from chatcore.invite import RelayAddress
from chatcore.link import ATTEMPT_S, Link, Part, State
from chatcore.place import Place
from chatcore.seal import seal_all
from chatcore.seatevents import Absent, Back, Garbled, Gone, Greeted, Heard, Odd, Seated, SeatEvent, Turned
from chatcore.wire import Frame, FrameReader, Kind, join_block

MAX_ADDRESSES = 256
RETRY_JITTER_S = 5.0
CALM_S = 10.0  # whoever came longer ago and isn't up by now won't be soon

# What a stranger or a lying relay can make us do.  The bursts let a newcomer be up with 255 members at once; the rates
# keep the sustained cost under a tenth of a core (a signature is 0.2 ms, a decryption 0.2 ms).
KEY_BUDGET = (1024.0, 50.0)
SIGNATURE_BUDGET = (600.0, 20.0)
DECRYPTION_BUDGET = (8192.0, 200.0)
RETURN_BUDGET = (256.0, 1.0)  # each costs a line on the screen, and no block
SLEPT_S = 45.0  # with links that are up, time passes in smaller steps, unless the computer slept: then we were silent


def _encrypt(said: list[Part]) -> list[bytes]:
    """Make frames of what was said, header and block in turn; nothing is left of it."""
    if not said:
        return []
    links, keys, counters, bodies, wanted = zip(*said, strict=True)
    said.clear()
    sealed = seal_all(keys, counters, bodies)
    encrypted = [link.other.encrypt(plaintext) for link, plaintext in zip(links, sealed, strict=True)]
    frames: list[bytes] = []
    for link, blocks, block in zip(links, wanted, encrypted, strict=True):
        blocks.append(block)
        frames += (link.route, block)
    return frames


class Seat:
    """One connection.  Bytes in, events out; bytes out gather until `data_to_send`."""

    def __init__(self, me: Self, engine: Engine, own_moduli: Collection[bytes], relay_pass: bytes) -> None:
        """`own_moduli` are all session keys of one's own: a peer that shows one of them is a mirror, and is ignored.

        It is looked into each time: there may be more of them later.
        """
        self.me = me
        self.carried: Callable[[], bytes | None] = lambda: None  # the ADMIT that goes with our HELLO, if any
        self.greets: Callable[[bytes], bool] = lambda address: True  # whether we speak first to one who was there
        self.relay: RelayAddress | None = None  # where it is; whoever opens it says so
        self.twin: Seat | None = None  # the other connection of one's own, while one takes the place of the other
        self.address: bytes | None = None
        self.dropped = 0
        self._engine = engine
        self._own = own_moduli
        self._reader = FrameReader()
        self._places: dict[bytes, Place] = {}
        # Addresses of those who went, and whether it was for us to begin: an address is one connection, so whoever the
        # relay says is there again has the part they had.  Else it could have both ends wait for each other.
        self._left: dict[bytes, bool] = {}
        self._out: list[bytes] = [Frame(Kind.JOIN, block=join_block(me.room_id, relay_pass)).to_bytes()]
        self._said: list[Part] = []  # on all links, since the last `data_to_send`
        self._beaten: list[Part] = []  # on all links, for the next beat
        self._beat_s = 0.0
        self._keys = Bucket(*KEY_BUDGET)
        self._signatures = Bucket(*SIGNATURE_BUDGET)
        self._decryptions = Bucket(*DECRYPTION_BUDGET)
        self._provisional = Bucket(*DECRYPTION_BUDGET)
        self._returns = Bucket(*RETURN_BUDGET)
        self._expected = 0  # PRESENT frames that belong to the WELCOME
        self._ticked_s = NEVER_S

    # -- bytes

    def data_to_send(self) -> bytes:
        """Return what is to be sent since the last call."""
        data = b"".join(self._out + _encrypt(self._said))
        self._out.clear()
        return data

    def beat(self, links: Iterable[Link], due_s: float) -> None:
        """Have each of these links say one block, to be sent then.

        Unless those of the last beat are still here: a relay that doesn't read is no reason to pile up.
        """
        if not self._beaten:
            self._beat_s = due_s
            for link in links:
                link.beat()

    def beat_to_send(self) -> tuple[float, bytes] | None:
        """Return the blocks of a beat since the last call, and when they are to be sent (monotonic seconds)."""
        return (self._beat_s, b"".join(_encrypt(self._beaten))) if self._beaten else None

    def receive_data(self, data: bytes, now: Moment) -> Iterator[SeatEvent]:
        """Take bytes from the relay; yields what they mean, each before the next frame is looked at."""
        try:
            while frames := self._reader.receive_data(data):  # the second time around there is nothing, or trouble
                for frame in frames:
                    yield from self._receive(frame, now)
                data = b""
        except WireError:
            yield Garbled()

    def _receive(self, frame: Frame, now: Moment) -> Iterator[SeatEvent]:
        match frame.kind:
            case Kind.WELCOME if self.address is None:
                self.address = frame.address
                self._expected = frame.argument
                yield Seated(frame.argument)
            case Kind.PRESENT:
                # They were there before us, or at least the relay says that it is for us to speak.
                yield from self._arrive(frame.address, now, first=self._expected > 0 or frame.argument == 1)
                self._expected = max(0, self._expected - 1)
            case Kind.LEFT:
                yield from self._leave(frame.address)
            case Kind.SEND:
                yield from self._receive_block(frame.address, frame.block, now)
            case Kind.PING:
                self._out.append(Frame(Kind.PONG, frame.argument, frame.number).to_bytes())
            case Kind.REFUSED:
                yield Turned(frame.argument, frame.number)
            case _:
                self.dropped += 1

    # -- addresses

    def _arrive(self, address: bytes, now: Moment, *, first: bool) -> Iterator[SeatEvent]:
        own = self.address, self.twin.address if self.twin is not None else None
        place = self._places.get(address)
        if place is not None:
            yield from self._return(place, now)
            return
        if address in own or not (yield from self._make_room()):
            return
        first |= self._left.get(address, False)
        self._places[address] = place = Place(address, now, first=first and self.greets(address))
        place.held = first and not place.first
        if place.first:
            self._send_key(place, now)

    def _make_room(self) -> Generator[SeatEvent, None, bool]:
        """See to it that there is a place for one more: those who are said to be gone make way."""
        if len(self._places) < MAX_ADDRESSES:
            return True
        for address, place in self._places.items():
            if place.gone:
                del self._places[address]
                yield from self._end(place, left=True)
                return True
        return False

    def _return(self, place: Place, now: Moment) -> Iterator[SeatEvent]:
        if place.gone and place.link is not None and self._returns.take(now):
            place.gone = False
            yield Back(place.link)

    def who(self, address: bytes) -> bytes | None:
        """Return the fingerprint of who has said HELLO from an address."""
        place = self._places.get(address)
        return place.fp if place is not None else None

    def is_there(self, address: bytes) -> bool:
        """Say whether somebody sits at an address."""
        return address in self._places

    def begin_with_known(self, now: Moment) -> None:
        """Speak first to those to whom we held back, and needn't any more."""
        for address, place in self._places.items():
            if place.held and self.greets(address):
                place.held, place.first = False, True
                self._attempt(place, now)

    def take_over(self, other: Seat) -> None:
        """Know of those at the addresses what another seat of one's own knew."""
        self.twin = None
        for address, place in self._places.items():
            place.fp = place.fp or other.who(address)

    def calm_s(self) -> float:
        """Return when everybody who is here is up at both ends, or has had the time to be (monotonic seconds)."""
        if self.address is None or self._expected:
            return NEVER_S
        return max((place.since_s for place in self._places.values() if not place.both_up), default=-NEVER_S) + CALM_S

    def _leave(self, address: bytes) -> Iterator[SeatEvent]:
        place = self._places.get(address)
        first = self._left.pop(address, False)  # so that the newest is last
        self._left[address] = first or (place is not None and (place.first or place.was_up))
        if len(self._left) > MAX_ADDRESSES:
            del self._left[next(iter(self._left))]
        if place is None or place.gone:
            return
        if place.link is not None and place.carries:
            place.gone = True
            yield Absent(place.link)
            return
        del self._places[address]
        yield from self._end(place, left=True)

    def _end(self, place: Place, *, left: bool = False) -> Iterator[SeatEvent]:
        link = place.end_link()
        if link is not None:
            yield Gone(link, left)

    def end(self, link: Link, now: Moment) -> None:
        """End a link on our side; another attempt is made later, unless nobody is there."""
        link.end()
        for address, place in list(self._places.items()):
            if place.link is link and place.gone:
                del self._places[address]
            elif place.link is link:
                place.end_link()
                place.retry_s = now.s + ATTEMPT_S

    def end_all(self) -> list[Link]:
        """The connection is gone: end every link and return them."""
        links = [place.link for place in self._places.values() if place.link is not None]
        self._places.clear()
        for link in links:
            link.end()
        return links

    def _send_key(self, place: Place, now: Moment) -> bool:
        if not self._keys.take(now):
            return False
        place.key_sent_s = now.s
        self._out.append(place.header + self.me.session.modulus)
        return True

    # -- blocks

    def _receive_block(self, address: bytes, block: bytes, now: Moment) -> Iterator[SeatEvent]:
        if address not in self._places:  # there was no place left when they came, or the relay didn't say
            yield from self._arrive(address, now, first=False)
            if address in self._places and address not in self._left:
                yield Odd(None, Oddity.HIDDEN)
        place = self._places.get(address)
        if place is None:
            self.dropped += 1
        elif place.key is None:
            self._receive_key(place, block, now)
        elif block == place.key.modulus:
            self._receive_key_again(place, now)
        else:
            yield from self._receive_sealed(place, block, now)

    def _receive_key(self, place: Place, block: bytes, now: Moment) -> None:
        # To look at a key is work, too, and comes before there is a link that could grow tired of them.
        own = block in self._own or block in (self.me.session.modulus, self.me.identity.modulus)
        if not acceptable_modulus(block) or own or not self._decryptions.take(now, 2):
            self.dropped += 1
            return
        if self._opens(block):  # they go on with what we have forgotten; one sealed block in four looks like a key
            self.dropped += 1
            self._receive_key_again(place, now)  # their KEY is the answer to ours
            return
        try:
            key = self._engine.public_key(block)
            key.encrypt(bytes(PLAINTEXT_SIZE))  # a modulus that can't be worked with is better known now than later
        except CryptoError:
            self.dropped += 1
            return
        if place.key_sent_s is None and not self._send_key(place, now):
            return  # their KEY will come again, and by then we may answer
        place.key = key
        place.link = self._new_link(place, key, now, first=place.first)
        self._greet_first(place, now)

    def _opens(self, block: bytes) -> bool:
        try:
            self.me.session.decrypt(block)
        except CryptoError:
            return False
        return True

    def _new_link(self, place: Place, key: PublicKey, now: Moment, *, first: bool) -> Link:
        link = Link(self.me, key, now, first=first, route=place.header, said=self._said, beaten=self._beaten)
        link.carried = self.carried()
        return link

    def _greet_first(self, place: Place, now: Moment) -> None:
        if place.first and place.link is not None and self._signatures.take(now):
            place.link.greet(now)

    def _receive_key_again(self, place: Place, now: Moment) -> None:
        if not place.both_up and not place.had_key_just(now):
            self._send_key(place, now)

    def _receive_sealed(self, place: Place, block: bytes, now: Moment) -> Iterator[SeatEvent]:
        assert place.key is not None
        if place.link is None:
            place.link = self._new_link(place, place.key, now, first=False)
        link = place.link
        if not self._may_decrypt(link, now):
            self.dropped += 1
            return
        carries, opened = place.carries, link.opened
        try:
            news = link.receive(block, now)
        except (CryptoError, WireError):
            self.dropped += 1
            if carries and not place.gone:
                yield Odd(link, Oddity.FORGED)
            return
        if link.odd:
            odd, link.odd = link.odd, []
            yield from (Odd(link, what, count) for what, count in odd if carries)
        if isinstance(news, Greeting):
            place.fp, place.sure = news.fp, True
        if place.gone and link.opened > opened:
            yield from self._return(place, now)
            if not place.gone:
                yield Odd(link, Oddity.HIDDEN)
        match news:
            case Greeting() if not link.first and not self._signatures.take(now):
                self.end(link, now)  # their HELLO comes again, and by then we may sign an answer
            case Greeting():
                yield Greeted(link, news)
            case Content():
                yield Heard(link, news)

    def _may_decrypt(self, link: Link, now: Moment) -> bool:
        """Say whether a block is looked at; from members, always."""
        if link.state is not State.UP:  # one who has had his share takes nothing from what all others have left
            return not link.tired and self._decryptions.take(now)
        return not link.provisional or self._provisional.take(now)  # nor do those at the door from those who arrive

    def attempt_now(self, now: Moment) -> None:
        """Begin a new attempt with everybody who isn't up: something has changed that lets us in."""
        for place in self._places.values():
            if place.first and not place.is_up:
                self._attempt(place, now)

    def _attempt(self, place: Place, now: Moment) -> None:
        place.key_repeats = 0
        place.retry_s = now.s + ATTEMPT_S + RETRY_JITTER_S * self._jitter()
        self._send_key(place, now)
        if place.key is not None:
            if place.link is not None:
                place.link.end()
            place.link = self._new_link(place, place.key, now, first=True)
            self._greet_first(place, now)

    def _jitter(self) -> float:
        return self.me.random(1)[0] / 256

    # -- time

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        next_s = min((place.next_tick() for place in self._places.values()), default=NEVER_S)
        return None if next_s == NEVER_S else next_s

    def tick(self, now: Moment, *, more_waits: bool = False) -> Iterator[SeatEvent]:
        """Repeat, end and retry what is due; `more_waits` as in `Link.tick`."""
        slept, self._ticked_s = now.s > self._ticked_s + SLEPT_S, now.s
        for address, place in list(self._places.items()):
            if now.s < place.next_tick():
                continue
            if place.link is not None:
                silent = place.carries and not slept
                place.link.tick(now, more_waits=more_waits)
                if place.link.state is State.ENDED:
                    yield from self._lose(address, place, now, silent=silent)
            elif place.key_is_due(now):
                place.key_repeats += 1
                self._send_key(place, now)
            else:
                self._attempt(place, now)

    def _lose(self, address: bytes, place: Place, now: Moment, *, silent: bool) -> Iterator[SeatEvent]:
        """A link has come to its end; `silent`: it carried messages, and an honest relay would have brought more."""
        if silent and not place.gone:
            yield Odd(place.link, Oddity.SILENT)
        place.retry_s = now.s + RETRY_JITTER_S * self._jitter()
        place.forget_key()
        if place.gone:
            del self._places[address]
        yield from self._end(place, left=place.gone)
