"""Hostile clients for `World`: a seat at the relay, real keys, real links, and no manners.

A `Puppet` does nothing by itself but take a seat and note what comes.  A test makes it say what no honest client would,
with the same functions that honest clients use: `meet` shakes hands as far as the other lets it, `say_block` sends any
256 bytes, and `link` is a real `Link` whose keys and counters are the attacker's to play with.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

from world import ENGINE, START_MS, Client, World, key

from chatcore.clock import Moment
from chatcore.content import Content, ContentKind
from chatcore.delivery import NO_LOG, Ack, Message, Ready, parse_ready
from chatcore.engines import PrivateKey
from chatcore.errors import CryptoError, ParleyError
from chatcore.events import Presence, RosterChanged
from chatcore.hello import HELLO_COUNTER, HELLO_PARTS, Greeting, Self, hello_keys, hello_signed_bytes, make_hello
from chatcore.invite import Invite, RelayAddress
from chatcore.link import Link, State
from chatcore.members import StatementType, make_statement
from chatcore.room import Room
from chatcore.seal import Body, counter_of, fingerprint, open_sealed, parse_body, seal
from chatcore.wire import Frame, FrameReader, Kind, join_block, parse_frame

LOG = b"evil log"


class Modulus:
    """A session key of which one knows the public half only: somebody else's, or nobody's."""

    def __init__(self, modulus: bytes) -> None:
        self.modulus = modulus

    def decrypt(self, block: bytes) -> bytes:
        raise CryptoError

    def sign(self, message: bytes) -> bytes:
        raise CryptoError

    def to_der(self) -> bytes:
        raise CryptoError


class _Strings:
    """What stands where an honest client has its `Room`."""

    def __init__(self, puppet: Puppet, invite: Invite) -> None:
        self.puppet, self.invite = puppet, invite
        self.out = [Frame(Kind.JOIN, block=join_block(invite.room_id)).to_bytes()]

    def receive_data(self, data: bytes, now: Moment) -> None:
        frame = parse_frame(data)
        if frame.kind is Kind.SEND:
            self.puppet.hear(self.puppet.world.named(frame.address), frame.block, now)

    def data_to_send(self) -> bytes:
        data = b"".join(self.out)
        self.out.clear()
        return data

    def events_received(self) -> list[Any]:
        return []

    def next_tick(self) -> None:
        return None

    def receive_eof(self, now: Moment) -> None:
        self.puppet.links.clear()


class Puppet(Client):
    """A seat in the hands of an attacker, who may or may not have the invite."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        session: PrivateKey | Modulus | None = None,
        identity: PrivateKey | None = None,
        invite: Invite | None = None,
        nick: str | None = None,
    ) -> None:
        self.world, self.name = world, name
        self.strings = _Strings(self, world.invite)
        self.room = cast(Room, self.strings)
        self.store = self.seat = self.next = self.post = None
        self.relay = world.invite.relay.place
        self.events, self.address = [], None
        self.session = session or key(f"session {name} puppet")
        self.identity = identity or key(f"identity {name}")
        self.invite = invite or world.invite
        self.nick = nick or name
        self.links: dict[str, Link] = {}
        self.keys: dict[str, bytes] = {}
        self.blocks: dict[str, list[bytes]] = defaultdict(list)  # all that came, by who sent it
        self.greetings: dict[str, Greeting] = {}
        self.contents: dict[str, list[Content]] = defaultdict(list)
        self.ready: Callable[[str], Ready] = lambda name: Ready(clock_ms=world.now.ms)
        self.answers = True
        self.connect()
        world.clients[name] = self
        world.settle()

    @property
    def fp(self) -> bytes:
        return fingerprint(self.identity.modulus)

    def connect(self, relay: RelayAddress | None = None) -> None:
        self.reader = FrameReader()

    def me(self) -> Self:
        invite = self.invite
        return Self(
            invite.room_id,
            invite.room_key,
            self.identity,
            self.session,
            self.nick,
            self.world.rng.randbytes,
            ENGINE.public_key,
        )

    # -- hearing

    def hear(self, name: str, block: bytes, now: Moment) -> None:
        self.blocks[name].append(block)
        if name not in self.keys:
            self.keys[name] = block
            return
        link = self.links.get(name)
        if link is None:
            return
        try:
            news = link.receive(block, now)
        except ParleyError:
            return
        if isinstance(news, Greeting):
            self.greetings[name] = news
            if self.answers:
                link.answer(self.ready(name).to_bytes(), now)
        elif isinstance(news, Content):
            self.contents[name].append(news)
        self.flush(name)

    def kinds(self, name: str) -> list[int]:
        """What kinds of content came from somebody."""
        return [content.kind for content in self.contents[name]]

    # -- speaking

    def say_block(self, to: str, *blocks: bytes) -> None:
        address = self.world.clients[to].address
        assert address is not None
        self.strings.out += [Frame(Kind.SEND, address=address, block=block).to_bytes() for block in blocks]

    def say_key(self, to: str) -> None:
        self.say_block(to, self.session.modulus)
        self.world.settle()

    def flush(self, name: str) -> None:
        link = self.links[name]
        self.say_block(name, *sealed_blocks(link))

    def link(self, to: str) -> Link:
        """Exchange keys with somebody and make a link, with nothing said on it."""
        if to not in self.keys:
            self.say_key(to)
        self.links[to] = Link(self.me(), ENGINE.public_key(self.keys[to]), self.world.now, first=True)
        return self.links[to]

    def meet(self, to: str) -> Link:
        """Shake hands with somebody, as an honest newcomer would."""
        link = self.link(to)
        link.greet(self.world.now)
        self.flush(to)
        self.world.settle()
        return link

    def send(self, to: str, kind: int, data: bytes) -> None:
        """Say anything on a link that is up."""
        link = self.links[to]
        assert link.state is State.UP
        link.send(cast(ContentKind, kind), data)
        self.flush(to)
        self.world.settle()

    def send_body(self, to: str, body: bytes, counter: int | None = None) -> None:
        """Seal any 166 bytes under any counter."""
        link = self.links[to]
        assert link._keys_out is not None
        if counter is None:
            counter = link._next_out
            link._next_out += 1
        self.say_block(to, link.other.encrypt(seal(link._keys_out, counter, body)))
        self.world.settle()

    def send_message(self, to: str, number: int, app: bytes) -> Message:
        message = Message(self.world.rng.randbytes(16), self.world.now.ms, bytes(32), app)
        self.send(to, ContentKind.MSG, number.to_bytes(8) + message.to_bytes())
        return message

    def become_member(self, to: str) -> Link:
        """Join an open room (or one where the ADMIT is known), with one's own log from number 1 on."""
        link = self.meet(to)
        join = make_statement(
            StatementType.JOIN, self.invite.room_id, self.identity, self.fp, self.world.now.ms, self.nick
        )
        self.send(to, ContentKind.STMT, join.raw)
        self.send(to, ContentKind.READY, Ready(LOG, 0, 1, clock_ms=self.world.now.ms).to_bytes())
        return link

    def their_ready(self, name: str) -> Ready:
        """The newest READY of somebody."""
        return parse_ready([c.data for c in self.contents[name] if c.kind == ContentKind.READY][-1])

    def ack(self, to: str, cursor: int, head: int = 0) -> None:
        log = self.their_ready(to).my_log
        assert log != NO_LOG
        self.send(to, ContentKind.ACK, Ack(log, cursor, head, bytes(32)).to_bytes())


def open_hello(room_key: bytes, blocks: list[bytes], session: PrivateKey, sender: bytes) -> bytes:
    """Return the 648 bytes of the HELLO in the last blocks that hold one (for those who have all it takes)."""
    keys, parts = hello_keys(room_key, sender, session.modulus), {}
    for block in blocks:
        try:
            sealed = session.decrypt(block)
            if HELLO_COUNTER <= counter_of(sealed) < HELLO_COUNTER + HELLO_PARTS:
                parts[counter_of(sealed)] = parse_body(open_sealed(keys, sealed)).content
        except ParleyError:
            continue
    return b"".join(parts[counter] for counter in sorted(parts))


def seal_hello(room_key: bytes, hello: bytes, sender: bytes, receiver: bytes) -> list[bytes]:
    """Seal and encrypt a HELLO, true or forged, from one session key to another: the invite is all it takes."""
    keys, to = hello_keys(room_key, sender, receiver), ENGINE.public_key(receiver)
    pieces = [hello[at : at + 162] for at in range(0, 648, 162)]
    return [
        to.encrypt(seal(keys, HELLO_COUNTER + at, Body(ContentKind.HELLO, at + 1, 4, piece).to_bytes()))
        for at, piece in enumerate(pieces)
    ]


def forge_hello(puppet: Puppet, to: str, *, room_id: bytes | None = None, unsigned: bytes | None = None) -> bytes:
    """Sign a HELLO of a puppet, with any 392 bytes in it."""
    unsigned = unsigned or make_hello(puppet.me(), puppet.keys[to])[:392]
    signed = hello_signed_bytes(room_id or puppet.invite.room_id, puppet.session.modulus, puppet.keys[to], unsigned)
    return unsigned + puppet.identity.sign(signed)


def counters(session: PrivateKey, blocks: list[bytes]) -> list[int]:
    """The counters of those of the blocks that a session key opens."""
    found = []
    for block in blocks:
        try:
            found.append(counter_of(session.decrypt(block)))
        except ParleyError:
            continue
    return found


def presence(client: Client, fp: bytes) -> Presence | None:
    """Where somebody is in a client's roster; None for one who isn't in it."""
    rosters = [event for event in client.events if isinstance(event, RosterChanged)]
    members = rosters[-1].members if rosters else ()
    return next((member.presence for member in members if member.fp == fp), None)


NOW = Moment(1000.0, START_MS)


def sealed_blocks(link: Link) -> list[bytes]:
    """Encrypt what was said on a link since the last time."""
    return [link.other.encrypt(sealed) for sealed in take_sealed(link)]


def take_sealed(link: Link) -> list[bytes]:
    """Seal what was said on a link since the last time."""
    sealed = [seal(keys, counter, body) for _, keys, counter, body, _ in link.said]
    link.said.clear()
    return sealed


def me(name: str, session: PrivateKey | None = None) -> Self:
    """What somebody brings to links of their own, without a room around them."""
    session = session or key(f"session {name} 1")
    return Self(bytes(32), bytes(range(32)), key(f"identity {name}"), session, name, RNG.randbytes, ENGINE.public_key)


RNG = random.Random("an attacker")


def two_links(session: PrivateKey | None = None) -> tuple[Link, Link]:
    """Two ends of a link that is up; `session` is the key of the second."""
    mine, theirs = me("alice"), me("bob", session)
    one = Link(mine, ENGINE.public_key(theirs.session.modulus), NOW, first=True)
    other = Link(theirs, ENGINE.public_key(mine.session.modulus), NOW, first=False)
    ready = Ready(clock_ms=NOW.ms).to_bytes()
    one.greet(NOW)
    for source, to in ((one, other), (other, one), (one, other)):
        for block in sealed_blocks(source):
            if isinstance(to.receive(block, NOW), Greeting):
                to.answer(ready, NOW)
    assert one.state is other.state is State.UP
    return one, other


def talk(world: World, *names: str, seconds: float = 2.0) -> None:
    """Everybody says something; everybody hears everybody, once."""
    said = {name: f"{name} at {world.now.s} #{world.rng.random()}" for name in names}
    for name, text in said.items():
        world.clients[name].say(text)
    world.advance(seconds)
    for name in names:
        heard = [text for _, text in world.clients[name].texts()]
        for other, text in said.items():
            assert heard.count(text) == (other != name), (name, other)
