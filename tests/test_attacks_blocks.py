"""Attacks 18 to 26, 30 and 31 of docs/PROTOCOL.md, "Attacks": on blocks and on delivery, once links are up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attacker import NOW, RNG, Puppet, presence, sealed_blocks, talk, two_links
from world import ENGINE, Client, Hop, World, fp, key

from chatcore import delivery
from chatcore import seat as seat_module
from chatcore.clock import Moment
from chatcore.content import Assembly, Content, ContentKind
from chatcore.delivery import Outbox, Owed
from chatcore.engines import PrivateKey, PublicKey
from chatcore.engines.reference import ReferenceEngine
from chatcore.errors import WireError
from chatcore.events import Gap, MessageArrived, MessageReceived, NotDelivered, Noticed, Oddity, Presence
from chatcore.hello import Greeting, hello_keys, link_keys, transcript
from chatcore.invite import Mode
from chatcore.link import MAX_EARLY_BLOCKS, Link, State
from chatcore.place import Place
from chatcore.room import Room
from chatcore.seal import (
    BODY_SIZE,
    CONTENT_SIZE,
    MAX_CONTENT_BYTES,
    MAX_PARTS,
    Body,
    SealKeys,
    open_sealed,
    parse_body,
    seal,
    split,
)
from chatcore.seat import MAX_ADDRESSES
from chatcore.wire import BLOCK_SIZE, FRAME_SIZE, Frame, Kind


def _room(*names: str) -> tuple[World, list[Client]]:
    world = World()
    clients = []
    for name in names:
        clients.append(world.client(name))
        world.settle()
    world.advance(2)
    return world, clients


def _evil(world: World, name: str = "mallory", to: str = "alice") -> Puppet:
    """A member who obeys nothing, with a link that is up."""
    puppet = Puppet(world, name)
    assert puppet.become_member(to).state is State.UP
    return puppet


# -- blocks ------------------------------------------------------------------------------------------------------------


def test_attack_18_what_was_recorded_is_shown_never_again() -> None:
    world, (alice, bob) = _room("alice", "bob")
    for text in ("one", "two", "three"):
        alice.say(text)
        world.advance(1)
    recorded = [block for source, to, block in world.log if (source, to) == ("alice", "bob")]
    for order in (recorded, recorded[::-1], recorded[-1:] * 50):
        for block in order:
            world.inject("alice", "bob", block)
        world.advance(1)
    assert [text for _, text in bob.texts()] == ["one", "two", "three"]
    talk(world, "alice", "bob")


def test_attack_18_doubled_and_stepped_back_as_it_happens() -> None:
    world, (alice, bob) = _room("alice", "bob")
    history: list[Hop] = []

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        history.append((source, to, block))
        return [history[-1], history[-1], *history[-4:-1]]

    world.tamper = tamper
    said = [f"message {at}" for at in range(20)]
    for text in said:
        alice.say(text)
        world.advance(0.3)
    assert [text for _, text in bob.texts()] == said


@pytest.mark.parametrize("lost", range(6))
def test_attack_19_one_lost_part_is_mended_within_ten_seconds(lost: int) -> None:
    world, (alice, bob) = _room("alice", "bob")
    count = -1

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        nonlocal count
        if source == "alice":
            count += 1
        return [] if source == "alice" and count == lost else [(source, to, block)]

    world.tamper = tamper
    said = ["short", "long " * 100, "and short again"]
    for text in said:
        alice.say(text)
    world.advance(10)
    assert [text for _, text in bob.texts()] == said
    assert not bob.of(Gap)


def test_attack_20_a_lost_tail_is_noticed() -> None:
    world, (alice, bob) = _room("alice", "bob")
    world.tamper = lambda source, to, block: [] if source == "alice" else [(source, to, block)]
    alice.say("the last thing she said")
    world.settle()
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(35)
    assert bob.texts() == [("alice", "the last thing she said")]
    assert [event.by for event in alice.events if isinstance(event, MessageArrived)] == [fp("bob")]


def test_attack_20_a_lost_tail_that_is_never_repeated_is_seen_by_the_heartbeat() -> None:
    """The relay keeps back every block of a message, and every repetition: what is left is the count of blocks."""
    world, (alice, bob) = _room("alice", "bob")
    session, kept_back = key("session bob 1"), 0

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        nonlocal kept_back
        if source == "alice":
            (talk_,) = bob.room._talks
            keys = talk_.link._keys_in
            assert keys is not None
            if parse_body(open_sealed(keys, session.decrypt(block))).kind == ContentKind.MSG:
                kept_back += 1
                return []
        return [(source, to, block)]

    world.tamper = tamper
    said_ms = world.now.ms
    alice.say("the last thing she said")
    world.advance(34.5)
    assert kept_back == 3  # at once, after 5 and after 15 s
    (told,) = [event for event in bob.events if isinstance(event, Noticed)][-1:]
    assert (dict(told.seen), told.by, told.mended) == ({Oddity.MISSING: 3}, (fp("alice"),), False)
    assert told.from_ms - said_ms < 35_000
    assert not bob.texts()
    assert not bob.of(Gap)
    assert not alice.of(MessageArrived)
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(5)
    assert bob.texts() == [("alice", "the last thing she said")]
    assert [event for event in bob.events if isinstance(event, Noticed)][-1].mended


def test_attack_21_the_two_directions_are_swapped() -> None:
    world, (alice, bob) = _room("alice", "bob")
    world.tamper = lambda source, to, block: [(to, source, block)]
    alice.say("to bob")
    bob.say("to alice")
    world.advance(1)
    assert not [text for client in (alice, bob) for _, text in client.texts()]
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(12)
    assert bob.texts() == [("alice", "to bob")]
    assert alice.texts() == [("bob", "to alice")]


def _body(kind: int, part: int, parts: int, length: int, content: bytes = b"") -> bytes:
    return bytes((kind, part, parts, length)) + content.ljust(CONTENT_SIZE, b"\0")


BAD_BODIES = {
    "no parts": _body(2, 0, 0, 5),
    "part 0": _body(2, 0, 1, 5),
    "parts 0": _body(2, 1, 0, 5),
    "part over parts": _body(2, 2, 1, 5),
    "length 163": _body(2, 1, 1, 163, b"x" * 162),
    "length 255": _body(2, 1, 1, 255, b"x" * 162),
    "padding": _body(2, 1, 1, 5, b"12345x"),
    "last byte of padding": _body(2, 1, 1, 0, bytes(161) + b"x"),
    "short in the middle": _body(2, 1, 2, 161, b"x" * 161),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_attack_22_a_body_that_cant_be_is_dropped(name: str) -> None:
    with pytest.raises(WireError):
        parse_body(BAD_BODIES[name])
    world, (alice, _bob) = _room("alice", "bob")
    mallory = _evil(world)
    mallory.send_body("alice", BAD_BODIES[name])
    mallory.send_message("alice", 1, b"\x01next")  # its counter is one too high, for the bad block had one, too
    world.advance(1)
    assert alice.texts() == [("mallory", "next")]
    talk(world, "alice", "bob")


def test_attack_22_a_part_that_comes_out_of_turn_ends_what_was_begun() -> None:
    assembly = Assembly()
    full = b"x" * CONTENT_SIZE
    assert assembly.add(Body(2, 1, 3, full), b"1") is None
    assert assembly.add(Body(2, 3, 3, b"end"), b"3") is None
    assert assembly.add(Body(2, 2, 3, full), b"2") is None
    assert assembly.add(Body(2, 1, 2, full), b"1") is None
    assert assembly.add(Body(3, 2, 2, b"another kind"), b"2") is None
    assert assembly.add(Body(2, 1, 2, full), b"1") is None
    whole = assembly.add(Body(2, 2, 2, b"end"), b"2")
    assert whole is not None
    assert (whole.kind, whole.data, whole.blocks) == (2, full + b"end", (b"1", b"2"))


MOST_HELD = MAX_PARTS * (CONTENT_SIZE + BLOCK_SIZE)


def _held(link: Link) -> int:
    """How many bytes of an unfinished content a link holds, and of the blocks in which it came."""
    return sum(map(len, (*link._assembly._pieces, *link._assembly._blocks)))


def test_attack_23_endless_and_interleaved_parts_fill_no_memory() -> None:
    world, (alice, _bob) = _room("alice", "bob")
    evil = [_evil(world, f"mallory {at}") for at in range(2)]
    full = b"x" * CONTENT_SIZE
    for part in [*range(1, 255), 1, 1, 1, *range(1, 200)]:
        for puppet in evil:
            puppet.send_body("alice", Body(ContentKind.MSG, part, 255, full).to_bytes())
        held = [_held(one.link) for one in alice.room._talks]
        assert max(held) <= MOST_HELD
    assert max(held) > MOST_HELD // 2
    talk(world, "alice", "bob")


class _Handed:
    """A session key to which sealed parts are handed without RSA: sixty thousand blocks would take a minute of it."""

    def __init__(self, true: PrivateKey) -> None:
        self.true, self.modulus = true, true.modulus
        self.sealed = b""

    def decrypt(self, block: bytes) -> bytes:
        return self.sealed or self.true.decrypt(block)


def test_attack_23_endless_parts_from_256_addresses_fill_a_bounded_memory() -> None:
    """A link at every address there can be, one of them honest; on the others come in turns all parts but the last."""
    world, (alice, _bob) = _room("alice", "bob")
    seat = alice.room._seat
    assert seat is not None
    handed, keys, other = _Handed(seat.me.session), SealKeys(bytes(32), bytes(32)), ENGINE.public_key(key("x").modulus)
    object.__setattr__(seat.me, "session", handed)
    frames = []
    for at in range(MAX_ADDRESSES - 1):  # members, as if they had shaken hands: that would take seconds, too
        address = b"evil %03d" % at
        seat._places[address] = place = Place(address, world.now, first=False)
        place.key, place.link = other, seat._new_link(place, other, world.now, first=False)
        place.link.state, place.link.provisional, place.link._keys_in = State.UP, False, keys
        frames.append(Frame(Kind.SEND, address=address, block=bytes(BLOCK_SIZE)).to_bytes())
    links = [place.link for place in seat._places.values() if place.link is not None]
    counter = -1

    def all_say(part: int) -> None:
        nonlocal counter
        counter += 1
        body = Body(ContentKind.MSG, part, MAX_PARTS, b"x" * CONTENT_SIZE).to_bytes()
        handed.sealed = seal(keys, counter, body)
        assert not [*seat.receive_data(b"".join(frames), world.now)]  # nothing is whole
        handed.sealed = b""

    def held() -> set[int]:
        return {_held(link) for link in links if link._keys_in is keys}

    each = CONTENT_SIZE + BLOCK_SIZE
    for part in range(1, MAX_PARTS):
        all_say(part)
    assert held() == {MOST_HELD - each}
    all_say(MAX_PARTS - 1)  # out of turn
    assert held() == {0}
    all_say(1)
    all_say(1)  # begun anew
    assert held() == {each}
    stranger = Puppet(world, "one more")
    stranger.say_key("alice")
    assert not stranger.keys  # there is no place left
    talk(world, "alice", "bob")


def test_attack_23_blocks_of_strangers_are_looked_at_a_few_times_only() -> None:
    world, (alice, _bob) = _room("alice", "bob")
    stranger = Puppet(world, "stranger")
    stranger.say_key("alice")
    opened, session = 0, key("session alice 1")

    class Counting:
        modulus = session.modulus

        def decrypt(self, block: bytes) -> bytes:
            nonlocal opened
            opened += 1
            return session.decrypt(block)

    seat = alice.room._seat
    assert seat is not None
    object.__setattr__(seat.me, "session", Counting())
    junk = [RNG.randbytes(256) for _ in range(500)]
    stranger.say_block("alice", *junk)
    world.settle()
    assert opened == MAX_EARLY_BLOCKS
    level = seat._decryptions._level
    stranger.say_block("alice", *junk)
    world.settle()
    assert seat._decryptions._level == level  # one who had his share doesn't eat up that of others
    object.__setattr__(seat.me, "session", session)
    talk(world, "alice", "bob")


def test_attack_23_a_knocker_whose_link_is_up_makes_nobody_compute_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_module, "DECRYPTION_BUDGET", (300.0, 10.0))
    world = World(mode=Mode.ASK)
    alice = world.client("alice")
    world.advance(1)
    mallory = Puppet(world, "mallory")
    assert mallory.meet("alice").state is State.UP
    looked_at = 0
    receive = Link.receive

    def counting(link: Link, block: bytes, now: Moment) -> Greeting | Content | None:
        nonlocal looked_at
        looked_at += link.me.session.modulus == key("session alice 1").modulus
        return receive(link, block, now)

    monkeypatch.setattr(Link, "receive", counting)
    junk = [b"\1" + RNG.randbytes(255) for _ in range(1000)]
    mallory.say_block("alice", *junk)
    world.settle()
    assert looked_at <= 300
    nina = world.client("nina")  # who comes now is seen all the same
    world.advance(1)
    alice.room.let_in(fp("nina"), world.now)
    world.advance(10)
    assert nina.room.is_member
    talk(world, "alice", "nina")  # and members are rationed nothing


def test_attack_54_keys_that_get_no_answer_are_looked_at_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_module, "KEY_BUDGET", (2.0, 0.0))
    monkeypatch.setattr(seat_module, "DECRYPTION_BUDGET", (100.0, 0.0))
    world = World()
    alice = world.client("alice")
    world.settle()
    for name in ("one", "two"):
        Puppet(world, name).say_key("alice")
    mallory = Puppet(world, "mallory")
    looked_at = 0
    public_key = ENGINE.public_key

    def counting(modulus: bytes) -> PublicKey:
        nonlocal looked_at
        looked_at += 1
        return public_key(modulus)

    monkeypatch.setattr(ENGINE, "public_key", counting)
    mallory.say_block("alice", *[mallory.session.modulus] * 500)
    world.settle()
    assert 0 < looked_at <= 100
    assert alice.room.seated


@pytest.mark.parametrize("fault", ["tag", "OAEP", "counter", "garbage", "above n"])
def test_attack_24_nothing_comes_back_whatever_was_wrong(fault: str) -> None:
    """One path for all that doesn't open: not a byte is sent, not an event is told, and the link stays as it is."""
    world, (alice, _bob) = _room("alice", "bob")
    mallory = _evil(world)
    link = mallory.links["alice"]
    assert link._keys_out is not None
    body = Body(ContentKind.MSG, 1, 1, b"hello").to_bytes()
    wrong = SealKeys(bytes(32), bytes(32))
    block = {
        "tag": lambda: link.other.encrypt(seal(wrong, link._next_out, body)),
        "OAEP": lambda: bytes((1,)) + RNG.randbytes(255),
        "counter": lambda: link.other.encrypt(seal(link._keys_out or wrong, 0, body)),
        "garbage": lambda: bytes(256),
        "above n": lambda: b"\xff" * 256,
    }[fault]()
    world.settle()
    alice.events.clear()
    sent = len(world.log)
    world.inject("mallory", "alice", block)
    assert alice.room.data_to_send() == b""
    assert not alice.events
    world.settle()
    assert len(world.log) == sent
    mallory.send_message("alice", 1, b"\x01still here")
    assert alice.texts() == [("mallory", "still here")]


def test_attack_25_rooms_on_different_engines_understand_each_other() -> None:
    """OAEP, signatures, seal, transcript and link keys: were one of them different, nothing would be shown."""
    world = World()
    alice = world.client("alice")
    world.settle()
    bob = Client(world, "bob", world.invite, "bob", ())
    engine = ReferenceEngine()
    identity, session = (engine.private_key(key(name).to_der()) for name in ("identity bob", "session bob 1"))
    bob.room = Room(world.invite, identity, "bob", engine, world.now, world.rng.randbytes)
    world.clients["bob"] = bob
    bob.room.connect(session, world.now)
    world.advance(2)
    talk(world, "alice", "bob")
    assert alice.texts()


def test_attack_25_seal_and_link_keys_are_the_same_from_both_ends() -> None:
    one, other = two_links()
    assert one._keys_out == other._keys_in
    assert one._keys_in == other._keys_out
    assert one._keys_out is not None
    assert other._keys_out is not None
    assert one._keys_out != other._keys_out
    body = Body(2, 1, 1, b"hello").to_bytes()
    assert open_sealed(other._keys_in or one._keys_out, seal(one._keys_out, 7, body)) == body
    ends = {b"\x80" * 256: b"a" * 648, b"\x90" * 256: b"b" * 648}
    backwards = dict(reversed(ends.items()))
    assert transcript(bytes(32), ends) == transcript(bytes(32), backwards)
    assert link_keys(bytes(32), bytes(32), ends) == link_keys(bytes(32), bytes(32), backwards)
    assert hello_keys(bytes(32), b"a", b"b") != hello_keys(bytes(32), b"b", b"a")


def test_attack_26_every_size_makes_bodies_of_one_size() -> None:
    edges = {at * CONTENT_SIZE + by for at in range(256) for by in (-1, 0, 1)}
    for size in sorted(size for size in edges if 0 <= size <= MAX_CONTENT_BYTES):
        bodies = split(ContentKind.MSG, bytes(size))
        assert len(bodies) == max(1, -(-size // CONTENT_SIZE))
        assert {len(body) for body in bodies} == {BODY_SIZE}
    with pytest.raises(ValueError, match="255"):
        split(ContentKind.MSG, bytes(MAX_CONTENT_BYTES + 1))


@pytest.mark.parametrize("size", [0, 1, 161, 162, 163, 10_000, MAX_CONTENT_BYTES])
def test_attack_26_every_size_makes_frames_of_one_size(size: int) -> None:
    one, other = two_links()
    content = RNG.randbytes(size)
    one.send(ContentKind.MSG, content)
    assert {len(body) for _, _, _, body, _ in one.said} == {BODY_SIZE}
    heard = None
    for block in sealed_blocks(one):
        assert len(Frame(Kind.SEND, address=bytes(8), block=block).to_bytes()) == FRAME_SIZE
        heard = other.receive(block, NOW)
    assert isinstance(heard, Content)
    assert heard.data == content


# -- delivery ----------------------------------------------------------------------------------------------------------


def _ahead(mallory: Puppet) -> None:
    mallory.ack("alice", 7)


def _backwards(mallory: Puppet) -> None:
    mallory.ack("alice", 1)
    mallory.ack("alice", 0)


@pytest.mark.parametrize("lie", [_ahead, _backwards])
def test_attack_30_an_ack_that_lies_ends_the_link_and_the_outbox_is_kept(lie: Callable[[Puppet], None]) -> None:
    world, (alice, bob) = _room("alice", "bob")
    mallory = _evil(world)
    world.advance(1)
    first = alice.say("one")
    alice.say("two")
    world.advance(1)
    owed = alice.room.owed
    lie(mallory)
    world.settle()
    assert presence(alice, mallory.fp) is not Presence.HERE
    assert not [t for t in alice.room._talks if t.fp == mallory.fp]
    arrived = [mid for e in alice.events if isinstance(e, MessageArrived) and e.by == mallory.fp for mid in e.mids]
    assert arrived in ([], [first])  # what was truly said counts; what was a lie doesn't
    assert alice.room.owed == owed - len(arrived)
    talk(world, "alice", "bob")
    assert [text for _, text in bob.texts()][:2] == ["one", "two"]


def test_attack_30_the_outbox_refuses_what_was_never_sent() -> None:
    outbox = Outbox()
    outbox.add(Owed(b"mid", NOW.ms, b"rest"))
    with pytest.raises(WireError):
        outbox.acknowledge(2)
    assert len(outbox) == 1


def test_attack_31_one_who_never_acknowledges_costs_a_bounded_amount_and_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "MAX_OUTBOX_MESSAGES", 200)
    world, (alice, bob) = _room("alice", "bob")
    mallory = _evil(world)
    world.advance(1)
    mids = []
    for at in range(delivery.MAX_OUTBOX_MESSAGES + 5):
        mids.append(alice.say(str(at)))
        if at % 50 == 0:
            world.advance(1)
    world.advance(20)
    assert [text for _, text in bob.texts()] == [str(at) for at in range(len(mids))]
    lost = [mid for e in alice.events if isinstance(e, NotDelivered) and e.to == mallory.fp for mid in e.mids]
    assert lost == mids[:5]
    assert not [e for e in alice.events if isinstance(e, NotDelivered) and e.to != mallory.fp]
    assert alice.room.owed == delivery.MAX_OUTBOX_MESSAGES
    talk(world, "alice", "bob", seconds=5)


def test_messages_of_a_liar_are_taken_in_their_order_only() -> None:
    """Numbers that jump, step back or repeat show nothing, and hold nobody up."""
    world, (alice, _bob) = _room("alice", "bob")
    mallory = _evil(world)
    for number in (2, 0, 2**64 - 1, 1, 1, 3, 2, 1, 2**63, 3):
        mallory.send_message("alice", number, b"\x01%d" % number)
    assert [text for _, text in alice.texts()] == ["1", "2", "3"]
    talk(world, "alice", "bob")


def test_messages_from_the_future_are_from_now() -> None:
    world, (alice, _bob) = _room("alice", "bob")
    mallory = _evil(world)
    content = (1).to_bytes(8) + bytes(16) + b"\xff" * 8 + bytes(32) + b"\x01from the end of time"
    mallory.send("alice", ContentKind.MSG, content)
    (shown,) = [event for event in alice.events if isinstance(event, MessageReceived)]
    assert shown.time_ms == shown.received_ms == world.now.ms


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 5, 6, 7, 8, 255])
def test_any_content_in_any_kind_ends_nothing(kind: int) -> None:
    world, (alice, _bob) = _room("alice", "bob")
    mallory = _evil(world)
    for size in (0, 1, 31, 32, 56, 63, 64, 72, 88, 329, 650, MAX_CONTENT_BYTES):
        mallory.send("alice", kind, RNG.randbytes(size))
        mallory.send("alice", kind, bytes(size))
        mallory.send("alice", kind, b"\xff" * size)
        if mallory.fp not in {t.fp for t in alice.room._talks}:
            assert kind == ContentKind.ACK  # the one lie that costs a link
            break
    world.advance(2)
    alice.events.clear()
    talk(world, "alice", "bob")
