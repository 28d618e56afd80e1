"""What holds for any input: any text to any roster, any bytes, any order, any relay.  By Hypothesis."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from functools import cache

from attacker import NOW, sealed_blocks, two_links
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_attacks_members import INVALID, ROOM_ID, STATEMENTS
from world import ENGINE, Client, Hop, World, fp, key

from chatcore.clock import Moment
from chatcore.content import Content, ContentKind
from chatcore.delivery import parse_ack, parse_message, parse_ready
from chatcore.errors import CryptoError, WireError
from chatcore.events import Gap, MessageReceived
from chatcore.invite import Mode
from chatcore.members import Members, StatementType, parse_nick, parse_statement
from chatcore.room import Room
from chatcore.seal import BODY_SIZE, SEALED_SIZE, SealKeys, open_sealed, parse_body, seal, split
from chatcore.seatevents import Heard, SeatEvent
from chatcore.text import MAX_TEXT_BYTES, pack_text, parse_text
from chatcore.wire import FRAME_SIZE, Frame, FrameReader, Kind, parse_frame

TEXTS = st.text(min_size=1).filter(lambda text: bool(text.strip()))
LONG_TEXTS = st.builds(
    lambda text, times: (text * times).encode()[:MAX_TEXT_BYTES].decode(errors="ignore"),
    TEXTS,
    st.sampled_from((1, 60, 400, 20_000)),
).filter(lambda text: bool(text.strip()))
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")


# -- any text to any roster --------------------------------------------------------------------------------------------


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.integers(2, 8), st.lists(st.tuples(st.integers(0, 7), TEXTS), min_size=1, max_size=4), st.booleans())
def test_any_text_reaches_any_roster(size: int, said: list[tuple[int, str]], together: bool) -> None:
    world = World()
    names = NAMES[:size]
    for name in names:
        world.client(name)
        if not together:
            world.settle()
    world.advance(3)
    for at, text in said:
        world.clients[names[at % size]].say(text)
    world.advance(4)
    for name in names:
        for other in names:
            expected = [text for at, text in said if names[at % size] == other != name]
            assert [text for nick, text in world.clients[name].texts() if nick == other] == expected


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(LONG_TEXTS, st.integers(2, 3))
def test_a_text_of_any_length_reaches_any_roster(text: str, size: int) -> None:
    world = World()
    for name in NAMES[:size]:
        world.client(name)
    world.advance(2)
    world.clients["alice"].say(text)
    world.advance(3)
    for name in NAMES[1:size]:
        assert world.clients[name].texts() == [("alice", text)]


@given(LONG_TEXTS)
def test_any_text_is_packed_and_read(text: str) -> None:
    assert parse_text(pack_text(text)) == text


@given(st.binary(max_size=300))
def test_any_bytes_are_a_text_or_not(app: bytes) -> None:
    text = parse_text(app)
    assert text is None or b"\x01" + text.encode() == app


@given(
    st.binary(min_size=BODY_SIZE, max_size=BODY_SIZE), st.integers(0, 2**64 - 1), st.binary(min_size=64, max_size=64)
)
def test_any_body_is_sealed_and_opened(body: bytes, counter: int, both: bytes) -> None:
    keys = SealKeys(both[:32], both[32:])
    sealed = seal(keys, counter, body)
    assert len(sealed) == SEALED_SIZE
    assert open_sealed(keys, sealed) == body


@given(st.integers(0, 255), st.binary(max_size=2000))
def test_any_content_is_split_and_joined(kind: int, content: bytes) -> None:
    bodies = [parse_body(body) for body in split(kind, content)]
    assert b"".join(body.content for body in bodies) == content
    assert {(body.kind, body.parts) for body in bodies} == {(kind, len(bodies))}


# -- a parse, or the one error -----------------------------------------------------------------------------------------


def _parses(parse: Callable[[bytes], object], data: bytes) -> object | None:
    try:
        return parse(data)
    except WireError:
        return None


NEAR = st.sampled_from((0, 16, 56, 64, 65, 73, 88, 166, 190, 256, 272, 329, 650)).flatmap(
    lambda size: st.binary(min_size=max(0, size - 1), max_size=size + 1)
)
STATEMENT_LIKE = st.builds(
    lambda raw, at, byte: raw[:at] + bytes((byte,)) + raw[at + 1 :],
    st.sampled_from([statement.raw for statement in STATEMENTS]),
    st.integers(0, 650),
    st.integers(0, 255),
)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=300), NEAR, STATEMENT_LIKE))
def test_any_bytes_parse_or_are_a_wire_error(data: bytes) -> None:
    for parse in (parse_body, parse_statement, parse_ready, parse_ack, parse_message, parse_nick, parse_frame):
        _parses(parse, data)
    ready, ack = _parses(parse_ready, data), _parses(parse_ack, data)
    for parsed in (ready, ack):
        assert parsed is None or parsed.to_bytes() == data  # type: ignore[attr-defined]
    body = _parses(parse_body, data)
    assert body is None or body.to_bytes() == data  # type: ignore[attr-defined]


@given(STATEMENT_LIKE)
def test_a_statement_that_was_touched_is_merged_by_nobody(raw: bytes) -> None:
    assume(raw not in [statement.raw for statement in STATEMENTS])
    held = Members(ENGINE, ROOM_ID, fp("alice"), Mode.OPEN)
    for statement in STATEMENTS:
        held.add(statement.raw)
    before = held.set_digest
    with contextlib.suppress(WireError, CryptoError):
        assert not held.add(raw)
    assert held.set_digest == before


# -- streams -----------------------------------------------------------------------------------------------------------

FRAMES = st.one_of(
    st.binary(min_size=FRAME_SIZE, max_size=FRAME_SIZE),
    st.builds(
        lambda kind, argument, number, address, block: Frame(kind, argument, number, address, block).to_bytes(),
        st.sampled_from(Kind),
        st.integers(0, 65535),
        st.integers(0, 2**32 - 1),
        st.binary(min_size=8, max_size=8),
        st.binary(min_size=256, max_size=256),
    ),
)
STREAMS = st.builds(lambda frames, tail: b"".join(frames) + tail, st.lists(FRAMES, max_size=6), st.binary(max_size=300))


def _cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def _read(pieces: list[bytes]) -> tuple[list[Frame], bool]:
    reader, frames = FrameReader(), list[Frame]()
    for piece in pieces:
        try:
            while got := reader.receive_data(piece):
                frames += got
                piece = b""
        except WireError:
            return frames, True
        assert reader.pending_bytes < FRAME_SIZE
    return frames, False


@given(STREAMS, st.lists(st.integers(0, 700), max_size=8))
def test_a_stream_is_the_same_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    whole = _read([data])
    assert whole == _read([data[at : at + 1] for at in range(len(data))])
    assert whole == _read(_cut(data, sizes))


def _alice(world: World) -> Client:
    """Alice with dice of her own, so that what was said to her once can be said to her again."""
    alice = world.client("alice", connect=False)
    alice.room = Room(world.invite, key("identity alice"), "alice", ENGINE, world.now, random.Random(5).randbytes)
    alice.connect()
    return alice


@cache
def _recording() -> bytes:
    """All that a relay said to alice in a short life with a conversation in it."""
    world, heard = World(), list[bytes]()
    alice, deliver = _alice(world), world.deliver

    def record(client: Client, frame: Frame, address: bytes | None = None) -> None:
        if client is alice:
            heard.append(frame.to_bytes())
        deliver(client, frame, address)

    world.deliver = record  # type: ignore[method-assign]
    world.settle()
    bob = world.client("bob")
    world.settle()
    for text in ("short", "long " * 200):
        bob.say(text)
        world.settle()
    assert [text for _, text in alice.texts()] == ["short", "long " * 200]
    bob.disconnect()
    world.settle()
    return b"".join(heard)


def _replayed(pieces: Iterable[bytes]) -> tuple[list[str], list[str]]:
    """Say the same to a fresh alice; returns what her seat made of it, and the texts that were shown."""
    world, made = World(), list[str]()
    alice = _alice(world)
    on_seat = alice.room._on_seat

    def note(event: SeatEvent, now: Moment) -> None:
        made.append(f"{type(event).__name__} {event.content.kind if isinstance(event, Heard) else ''}")
        on_seat(event, now)

    alice.room._on_seat = note  # type: ignore[method-assign]
    for piece in pieces:
        alice.room.receive_data(piece, world.now)
        alice.room.data_to_send()
    shown = [event.text for event in alice.room.events_received() if isinstance(event, MessageReceived)]
    return made, shown


@settings(max_examples=8)
@given(st.lists(st.integers(0, 4000), max_size=20))
def test_a_room_makes_the_same_of_a_stream_in_any_pieces(sizes: list[int]) -> None:
    data = _recording()
    whole, pieces = _replayed([data]), _replayed(_cut(data, sizes))
    assert whole == pieces
    assert whole[1] == ["short", "long " * 200]


def test_a_room_makes_the_same_of_a_stream_byte_by_byte() -> None:
    data = _recording()
    assert _replayed(data[at : at + 1] for at in range(len(data))) == _replayed([data])


@settings(max_examples=40)
@given(STREAMS, st.lists(st.integers(0, 700), max_size=4))
def test_any_stream_crashes_no_room(data: bytes, sizes: list[int]) -> None:
    world = World()
    alice = world.client("alice", connect=False)
    alice.connect()
    for piece in _cut(data, sizes):
        alice.room.receive_data(piece, world.now)
        alice.room.data_to_send()
        alice.room.events_received()
    alice.room.tick(world.now)
    alice.room.next_tick()
    alice.room.receive_eof(world.now)


# -- any order ---------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.data(), st.sampled_from(Mode))
def test_the_same_statements_in_two_orders_make_the_same_room(data: st.DataObject, mode: Mode) -> None:
    """Any selection of them, with duplicates and invalid ones among them; what is lacking is lacking for both."""
    some = data.draw(st.lists(st.sampled_from([*(s.raw for s in STATEMENTS), *INVALID]), max_size=15))
    rooms = []
    for order in (some, data.draw(st.permutations(some)), [*some, *some]):
        held = Members(ENGINE, ROOM_ID, fp("alice"), mode)
        for raw in order:
            try:
                held.add(raw)
            except (WireError, CryptoError):
                assert raw in INVALID
        rooms.append((held.fps(), held.set_digest, held.hashes()))
        assert all(held.find(StatementType.JOIN, one) or one == held.owner for one in held.fps())
    assert rooms[0] == rooms[1] == rooms[2]


@settings(max_examples=30)
@given(st.permutations(range(6)), st.binary(max_size=900))
def test_blocks_in_any_order_make_nothing_that_was_not_sent(order: list[int], content: bytes) -> None:
    one, other = two_links()
    one.send(ContentKind.MSG, content)
    blocks = sealed_blocks(one)
    for at in order:
        if at < len(blocks):
            heard = other.receive(blocks[at], NOW)
            if isinstance(heard, Content):
                assert heard.data == content


# -- any relay ---------------------------------------------------------------------------------------------------------


class AnyRelay(RuleBasedStateMachine):
    """Three who talk, over a relay that loses, doubles, delays and reorders as it likes; in the end it behaves."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.world = World(seed=seed)
        self.fate = "pass"
        self.held: list[Hop] = []
        self.said: dict[str, list[str]] = {name: [] for name in NAMES[:3]}
        for name in self.said:
            self.world.client(name)
        self.world.advance(2)
        self.world.tamper = self.tamper

    def tamper(self, source: str, to: str, block: bytes) -> list[Hop]:
        hop = (source, to, block)
        match self.fate:
            case "lose":
                return []
            case "double":
                return [hop, hop]
            case "delay":
                self.held.append(hop)
                return []
            case "twist":
                return [(source, to, block[:100] + bytes((block[100] ^ 4,)) + block[101:])]
            case "mirror":
                return [hop, (to, source, block)]
            case _:
                return [hop]

    @rule(fate=st.sampled_from(("pass", "lose", "double", "delay", "twist", "mirror")))
    def become(self, fate: str) -> None:
        self.fate = fate

    @rule(name=st.sampled_from(NAMES[:3]), size=st.sampled_from((1, 5, 300)))
    def say(self, name: str, size: int) -> None:
        text = f"{len(self.said[name])} " * size
        self.said[name].append(text)
        self.world.clients[name].say(text)
        self.world.settle()

    @precondition(lambda self: self.held)
    @rule(order=st.randoms(use_true_random=False), again=st.booleans())
    def release(self, order: random.Random, again: bool) -> None:
        hops, self.held = self.held, self.held if again else []
        for source, to, block in order.sample(hops, min(len(hops), 40)):
            self.world.inject(source, to, block)
        self.held = self.held[-100:]

    @rule(seconds=st.sampled_from((0.3, 3.0, 8.0)))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @invariant()
    def nothing_is_forged_doubled_or_out_of_order(self) -> None:
        for name, client in getattr(self, "world", World()).clients.items():
            for other, said in self.said.items():
                heard = [text for nick, text in client.texts() if nick == other]
                assert heard == (said[: len(heard)] if other != name else [])

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.fate = "pass"
        self.world.advance(170, step=1.0)
        for name, client in self.world.clients.items():
            for other, said in self.said.items():
                heard = [text for nick, text in client.texts() if nick == other]
                assert heard == (said if other != name else [])
            assert not client.of(Gap)
            assert client.room.owed == 0


AnyRelay.TestCase.settings = settings(
    max_examples=8, stateful_step_count=25, suppress_health_check=list(HealthCheck), deadline=None
)
TestAnyRelay = AnyRelay.TestCase
