"""A relay, clients and a clock, all in memory: any attack and any fault is a test without a network.

`World` passes the bytes of real `Room`s through a relay of a few lines, one frame at a time.  A test may put a `tamper`
between: it sees each forwarded frame as (source, destination, block) with names of clients, and returns what the
destination gets instead: a list of (claimed source, destination, block).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cache

from chatcore.clock import Moment
from chatcore.engines import PrivateKey
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.events import MessageReceived, RoomEvent
from chatcore.invite import Invite, Mode, RelayAddress, new_invite
from chatcore.kept import Changes, Kept, Store
from chatcore.room import Room
from chatcore.seal import fingerprint
from chatcore.seat import Seat
from chatcore.visit import SETTLE_S
from chatcore.wire import Frame, FrameReader, Kind

ENGINE = OpenSSLEngine()
RELAY = RelayAddress("127.0.0.1", 7256)
START_MS = 1_790_000_000_000

Hop = tuple[str, str, bytes]
Tamper = Callable[[str, str, bytes], list[Hop]]


@cache
def key(name: str) -> PrivateKey:
    """The key of this name, made once for all tests of a run."""
    return ENGINE.generate()


def fp(name: str) -> bytes:
    """The fingerprint of the identity of a client."""
    return fingerprint(key(f"identity {name}").modulus)


class Memory:
    """A store that forgets nothing as long as the test runs."""

    def __init__(self) -> None:
        self.kept = Kept()

    def load(self) -> Kept:
        return copy.deepcopy(self.kept)

    def settle(self) -> None:
        pass

    def rest(self) -> None:
        self.kept.unsettled = False

    def commit(self, changes: Changes) -> None:
        self.kept.commit(changes)


class Line:
    """A connection that takes the place of another."""

    def __init__(self, seat: Seat, relay: str = "") -> None:
        self.seat, self.relay = seat, relay
        self.reader = FrameReader()
        self.address: bytes | None = None


class Client:
    """A room and its connection, at times two."""

    def __init__(
        self,
        world: World,
        name: str,
        invite: Invite,
        identity: str,
        statements: tuple[bytes, ...],
        store: Store | None = None,
    ) -> None:
        self.world, self.name, self.store = world, name, store
        me, kept = key(f"identity {identity}"), store.load() if store is not None else None
        self.room = Room(invite, me, name, ENGINE, world.now, world.rng.randbytes, statements, kept)
        self.events: list[RoomEvent] = []
        self.address: bytes | None = None
        self.reader = FrameReader()
        self.connections = 0
        self.seat: Seat | None = None
        self.next: Line | None = None
        self.post: Line | None = None  # at the relay of before
        self.relay = self.room.relay.place  # where the first connection leads
        self.rest_s: float | None = None

    def _key(self) -> PrivateKey:
        self.connections += 1
        return key(f"session {self.name} {self.connections}")

    def connect(self, relay: RelayAddress | None = None) -> None:
        self.reader = FrameReader()
        self.relay = (relay or self.room.relay).place
        self.seat = self.room.connect(self._key(), self.world.now, relay)

    def renew(self) -> None:
        """Begin a second connection, to where the room is."""
        self.next = Line(self.room.renew(self._key(), self.world.now), self.room.relay.place)

    def look_out(self) -> None:
        """Begin one to where the room was, besides."""
        assert self.room.outlook is not None
        where = self.room.outlook.place
        self.post = Line(self.room.look_out(self._key(), self.world.now), where)

    def keep_up(self) -> None:
        """Leave what the room has left."""
        if self.seat is None:
            return
        held = self.room.seats
        if self.post is not None and self.post.seat not in held:
            gone, self.post = self.post, None
            self.world.vacate(gone.address)
        if self.next is not None and self.next.seat not in held:
            line, self.next = self.next, None
            self.world.vacate(line.address)
        if self.seat not in held and self.next is not None:
            old, line, self.next = self.address, self.next, None
            self.seat, self.reader, self.address, self.relay = line.seat, line.reader, line.address, line.relay
            self.world.vacate(old)

    def line(self, address: bytes | None) -> Client | Line:
        others = [line for line in (self.next, self.post) if line is not None and line.address == address]
        return others[0] if others else self

    def commit(self) -> None:
        """Keep what has changed, as a shell does before anything leaves it."""
        if self.store is None:
            return
        if changes := self.room.changes():
            self.store.commit(changes)
            if (changes.lines or changes.goes) and self.rest_s is None:
                self.rest_s = self.world.now.s + SETTLE_S
        if self.rest_s is not None and self.world.now.s >= self.rest_s:
            self.store.rest()
            self.rest_s = None

    def disconnect(self) -> None:
        self.world.leave(self)
        self.room.receive_eof(self.world.now, *([] if self.seat is None else [self.seat]))
        self.keep_up()
        if self.address is None:
            self.seat = None

    def say(self, text: str) -> bytes:
        return self.room.say(text, self.world.now)

    def texts(self) -> list[tuple[str, str]]:
        """What this client was shown, as (nick, text)."""
        return [(e.nick, e.text) for e in self.events if isinstance(e, MessageReceived)]

    def of(self, kind: type) -> list[RoomEvent]:
        return [event for event in self.events if isinstance(event, kind)]


class World:
    """Everybody in one room, and the relay between them."""

    def __init__(self, *, owner: str = "alice", mode: Mode = Mode.OPEN, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.now = Moment(1000.0, START_MS)
        self.invite = new_invite(fp(owner), mode, RELAY, "Test", secret=self.rng.randbytes(32))
        self.clients: dict[str, Client] = {}
        self.seats: dict[bytes, Client] = {}
        self.places: dict[bytes, str] = {}  # at which relay a seat is: `host:port`
        self.names: dict[str, str] = {}  # other names of relays
        self.dead: set[str] = set()  # relays that take nobody
        self.tamper: Tamper = lambda source, to, block: [(source, to, block)]
        self.beats: list[tuple[str, float, int]] = []  # of steady mode: who, when, bytes
        self.log: list[Hop] = []  # every forwarded block, as it was sent

    def client(
        self,
        name: str,
        *,
        identity: str | None = None,
        invite: Invite | None = None,
        connect: bool = True,
        statements: tuple[bytes, ...] = (),
        store: Store | None = None,
    ) -> Client:
        invite, identity = invite or self.invite, identity or name
        self.clients[name] = client = Client(self, name, invite, identity, statements, store)
        if connect:
            client.connect()
        return client

    def named(self, address: bytes) -> str:
        return self.seats[address].name if address in self.seats else ""

    # -- the relay

    def leave(self, client: Client) -> None:
        address, client.address = client.address, None
        self.vacate(address)

    def vacate(self, address: bytes | None) -> None:
        if address is not None:
            del self.seats[address]
            place = self.places.pop(address, "")
            for there, other in list(self.seats.items()):
                if self.places.get(there, "") == place:
                    self.deliver(other, Frame(Kind.LEFT, address=address), there)

    def deliver(self, client: Client, frame: Frame, address: bytes | None = None) -> None:
        """Hand a frame to a client, over its seat with this address, or else its first."""
        at = client.line(address)
        more = () if at.seat is None else (at.seat,)
        client.room.receive_data(frame.to_bytes(), self.now, *more)
        client.events += client.room.events_received()

    def inject(self, source: str, to: str, block: bytes) -> None:
        """The relay hands a block to a client, in the name of any seat."""
        client, origin = self.clients[to], self.clients[source]
        if client.address is not None and origin.address is not None:
            self.deliver(client, Frame(Kind.SEND, address=origin.address, block=block))

    def _relay(self, client: Client, line: Client | Line, frame: Frame) -> None:
        if frame.kind is Kind.JOIN:
            if line.relay in self.dead:
                return
            line.address = self.rng.randbytes(8)
            room_id, place = client.room.invite.room_id, self.names.get(line.relay, line.relay)
            others = [
                (at, one)
                for at, one in self.seats.items()
                if one.room.invite.room_id == room_id and self.places[at] == place
            ]
            self.seats[line.address], self.places[line.address] = client, place
            self.deliver(client, Frame(Kind.WELCOME, argument=len(others), address=line.address), line.address)
            for at, other in others:
                self.deliver(client, Frame(Kind.PRESENT, address=at), line.address)
                self.deliver(other, Frame(Kind.PRESENT, address=line.address), at)
        elif frame.kind is Kind.SEND and line.address is not None and self._is_near(line.address, frame.address):
            hop = (client.name, self.named(frame.address), frame.block)
            self.log.append(hop)
            for source, to, block in self.tamper(*hop):
                if (source, to) == hop[:2]:
                    if frame.address in self.seats and line.address is not None:
                        again = Frame(Kind.SEND, address=line.address, block=block)
                        self.deliver(self.clients[to], again, frame.address)
                else:
                    self.inject(source, to, block)

    def _is_near(self, one: bytes, other: bytes) -> bool:
        return other in self.seats and self.places[one] == self.places[other]

    # -- time

    def settle(self, limit: int = 100_000) -> None:
        """Pass frames until nobody has anything to say; fails if that doesn't end."""
        for _ in range(limit):
            quiet = True
            for client in list(self.clients.values()):
                client.commit()
                client.events += client.room.events_received()
                client.keep_up()
                lines: list[Client | Line] = [client]
                lines += [line for line in (client.next, client.post) if line is not None]
                for line in lines:
                    more = () if line.seat is None else (line.seat,)
                    for frame in line.reader.receive_data(client.room.data_to_send(*more)):
                        quiet = False
                        self._relay(client, line, frame)
                    if line.seat is not None and (beat := client.room.beat_to_send(line.seat)):
                        self.beats.append((client.name, beat[0], len(beat[1])))
                        for frame in line.reader.receive_data(beat[1]):
                            quiet = False
                            self._relay(client, line, frame)
                client.keep_up()
            if quiet:
                return
        raise AssertionError("they never stop talking")

    def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass in small steps, ticking whoever is due."""
        end = self.now.s + seconds
        self.settle()
        while self.now.s < end:
            due = [t for client in self.clients.values() if (t := client.room.next_tick()) is not None]
            to = min(end, max(self.now.s + step, min(due, default=end)))
            self.now = Moment(to, self.now.ms + round((to - self.now.s) * 1000))
            for client in self.clients.values():
                next_tick = client.room.next_tick()
                if next_tick is not None and next_tick <= self.now.s:
                    client.room.tick(self.now)
            self.settle()
