"""Attacks 1 to 17 of docs/PROTOCOL.md, "Attacks": on keys, HELLOs and READYs.

Each one is really tried, by a relay that tampers (`World.tamper`, `World.inject`) or by a `Puppet` with a seat of its
own; and each test ends with an honest conversation, for a room that survives by falling silent hasn't survived.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable

import pytest
from attacker import (
    NOW,
    Modulus,
    Puppet,
    counters,
    forge_hello,
    open_hello,
    presence,
    seal_hello,
    sealed_blocks,
    talk,
    two_links,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from world import ENGINE, RELAY, START_MS, Client, Hop, World, fp, key

from chatcore.clock import Moment
from chatcore.content import Content, ContentKind
from chatcore.delivery import Ack
from chatcore.engines.openssl import OpenSSLEngine, OpenSSLPrivateKey, OpenSSLPublicKey
from chatcore.errors import CryptoError
from chatcore.events import Alarm, AlarmKind, Gap, MessageReceived, Presence, PresenceChanged
from chatcore.hello import HELLO_COUNTER, hello_keys
from chatcore.invite import Invite, Mode, new_invite
from chatcore.link import Link, State
from chatcore.room import Room
from chatcore.seal import LABEL, SealKeys, open_sealed, parse_body
from chatcore.talks import OLD_LINK_S
from chatcore.wire import FRAME_SIZE, HEADER_SIZE, Frame, FrameReader, Kind


def _pair(world: World, *, settle: bool = True) -> tuple[Client, Client]:
    """Alice, and bob who comes after her."""
    alice = world.client("alice")
    world.settle()
    bob = world.client("bob")
    if settle:
        world.advance(1)
    return alice, bob


def _only_key(puppet: Puppet, name: str) -> bool:
    """Nothing but KEYs came from somebody: whatever we sent was refused."""
    return set(puppet.blocks[name]) == {puppet.keys[name]}


def _meets_honestly(puppet: Puppet, name: str) -> None:
    """The door isn't shut for good: a lawful handshake from the same seat works."""
    puppet.world.advance(61)
    puppet.say_key(name)
    assert puppet.meet(name).state is State.UP


def test_attack_01_somebody_elses_session_key_gives_no_link() -> None:
    world = World()
    alice, bob = _pair(world)
    mallory = Puppet(world, "mallory", session=Modulus(key("session bob 1").modulus))
    link = mallory.meet("alice")
    world.advance(70)
    assert len(mallory.blocks["alice"]) > 1  # she was answered, in blocks that only bob can open
    assert link.state is State.KEYED
    assert not mallory.greetings
    assert presence(alice, mallory.fp) is None
    assert presence(bob, mallory.fp) is None
    talk(world, "alice", "bob")


def test_attack_02_a_dead_session_played_again_stays_dead() -> None:
    world = World()
    alice, bob = _pair(world)
    talk(world, "alice", "bob")
    recorded = [block for source, to, block in world.log if (source, to) == ("bob", "alice")]
    bob.disconnect()
    ghost = Puppet(world, "ghost", session=Modulus(recorded[0]))
    ghost.say_block("alice", *recorded)
    world.settle()
    alice.say("is it you?")
    heard = len(alice.texts())
    for _ in range(3):
        world.advance(20)
        ghost.say_block("alice", *recorded)
    world.advance(60)
    assert len(ghost.blocks["alice"]) > 1  # the HELLO is genuine, and was answered
    assert presence(alice, fp("bob")) is Presence.AWAY
    assert len(alice.texts()) == heard
    opened = counters(key("session bob 1"), ghost.blocks["alice"])
    assert {counter for counter in opened if counter < HELLO_COUNTER} == {0}  # READYs, and not one message
    bob.connect()
    world.advance(2)
    assert bob.texts()[-1] == ("alice", "is it you?")
    talk(world, "alice", "bob")


def test_attack_03_a_hello_passed_on_to_a_third_person_is_refused() -> None:
    world = World()
    alice, _ = _pair(world)
    mallory = Puppet(world, "mallory")
    mallory.meet("alice")
    session = key("session alice 1")
    hello = open_hello(world.invite.room_key, mallory.blocks["alice"], mallory.session, session.modulus)
    assert len(hello) == 648
    ghost = Puppet(world, "ghost", session=Modulus(session.modulus))
    ghost.say_key("bob")
    to = ENGINE.public_key(ghost.keys["bob"])
    ghost.say_block("bob", *(to.encrypt(mallory.session.decrypt(block)) for block in mallory.blocks["alice"][1:5]))
    ghost.say_block("bob", *seal_hello(world.invite.room_key, hello, session.modulus, ghost.keys["bob"]))
    world.advance(5)
    assert _only_key(ghost, "bob")
    talk(world, "alice", "bob")
    assert alice.texts()


def test_attack_04_ones_own_blocks_come_back() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.tamper = lambda source, to, block: [(source, to, block), (to, source, block)]
    world.advance(5)
    for _ in range(3):
        talk(world, "alice", "bob")
    for client in (alice, bob):
        assert not client.of(Alarm)
        assert client.name not in {nick for nick, _ in client.texts()}


def test_attack_04_a_seat_that_mirrors_only_is_nobody() -> None:
    world = World()
    _pair(world)
    mirror = Puppet(world, "mirror", session=Modulus(key("session alice 1").modulus))
    mirror.say_key("alice")
    world.settle()
    assert not mirror.blocks["alice"]  # her own key back isn't worth an answer
    talk(world, "alice", "bob")


def _epoch(invite: Invite) -> Invite:
    return Invite(invite.secret, invite.owner_fp, invite.epoch + 1, invite.mode, RELAY, "Test")


@pytest.mark.parametrize("other", ["room", "epoch", "mode"])
def test_attack_05_a_hello_of_another_room_is_refused(other: str) -> None:
    world = World()
    _pair(world)
    invite = world.invite
    wrong = {
        "room": new_invite(invite.owner_fp, invite.mode, RELAY, "Test", secret=bytes(32)),
        "epoch": _epoch(invite),
        "mode": Invite(invite.secret, invite.owner_fp, invite.epoch, Mode.ASK, RELAY, "Test"),
    }[other]
    mallory = Puppet(world, "mallory", invite=wrong)
    mallory.meet("alice")
    assert _only_key(mallory, "alice")
    # Even if the keys to seal it are right (somebody has both invites), the signature names the room.
    hello = forge_hello(mallory, "alice", room_id=wrong.room_id)
    mallory.say_block("alice", *seal_hello(invite.room_key, hello, mallory.session.modulus, mallory.keys["alice"]))
    world.settle()
    assert _only_key(mallory, "alice")
    mallory.invite = invite
    _meets_honestly(mallory, "alice")
    talk(world, "alice", "bob")


def test_attack_05_a_hello_of_another_version_is_refused() -> None:
    world = World()
    _pair(world)
    mallory = Puppet(world, "mallory")
    mallory.say_key("alice")
    mine, theirs, room = mallory.session.modulus, mallory.keys["alice"], world.invite
    unsigned = forge_hello(mallory, "alice")[:392]
    label = LABEL.replace(b"1", b"2")
    assert label != LABEL
    signed = label + b"hello sig" + room.room_id + mine + theirs + unsigned
    mallory.say_block("alice", *seal_hello(room.room_key, unsigned + mallory.identity.sign(signed), mine, theirs))
    world.settle()
    assert _only_key(mallory, "alice")
    _meets_honestly(mallory, "alice")
    talk(world, "alice", "bob")


def _between(world: World, relay: Modulus) -> dict[tuple[str, str], list[bytes]]:
    """Let the relay put its own session key in the place of everybody's; returns what it gets to see."""
    seen: dict[tuple[str, str], list[bytes]] = {}

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        first = (source, to) not in seen
        seen.setdefault((source, to), []).append(block)
        return [(source, to, relay.modulus if first else block)]

    world.tamper = tamper
    return seen


def test_attack_06_a_relay_in_the_middle_without_the_invite_reads_nothing() -> None:
    world, relay = World(), key("session relay")
    seen = _between(world, Modulus(relay.modulus))
    alice, bob = _pair(world, settle=False)
    world.advance(20)
    blocks = [block for source, _, block in world.log if source == "bob"]
    sealed = [relay.decrypt(block) for block in blocks if counters(relay, [block])]
    assert len(sealed) >= 4  # bob's HELLO went to the relay's key
    secrets = (key("identity bob").modulus, b"bob")
    for plaintext in sealed:
        assert not any(secret[:16] in plaintext for secret in secrets)
        for guess in (bytes(32), world.invite.room_id, relay.modulus[:32]):
            with pytest.raises(CryptoError):
                open_sealed(hello_keys(guess, key("session bob 1").modulus, relay.modulus), plaintext)
    assert seen
    for client, other in ((alice, "bob"), (bob, "alice")):
        assert presence(client, fp(other)) in (None, Presence.AWAY)
        assert not client.of(PresenceChanged)
    world.tamper = lambda source, to, block: [(source, to, block)]
    bob.disconnect()
    bob.connect()
    world.advance(3)
    talk(world, "alice", "bob")


def test_attack_07_a_relay_in_the_middle_with_the_invite_sees_names_and_speaks_for_nobody() -> None:
    world, relay = World(), key("session relay")
    _between(world, Modulus(relay.modulus))
    alice, bob = _pair(world, settle=False)
    world.settle()
    room_key = world.invite.room_key
    blocks = [block for source, _, block in world.log if source == "bob"]
    hello = open_hello(room_key, blocks, relay, key("session bob 1").modulus)
    assert b"bob" in hello  # this much the invite gives away
    forged = seal_hello(room_key, hello, relay.modulus, key("session alice 1").modulus)
    before = len(world.log)
    for block in forged:
        world.inject("bob", "alice", block)
    world.settle()
    assert not [hop for hop in world.log[before:] if hop[0] == "alice"]  # she had nothing to say to that
    world.advance(30)
    assert presence(alice, fp("bob")) in (None, Presence.AWAY)
    world.tamper = lambda source, to, block: [(source, to, block)]
    bob.disconnect()
    bob.connect()
    world.advance(3)
    talk(world, "alice", "bob")


class _Glare:
    """Two rooms that are each told that the other was there first, and two queues between them."""

    def __init__(self, seed: int, names: tuple[str, str] = ("alice", "bob")) -> None:
        rng = random.Random(seed)
        invite = new_invite(fp("alice"), Mode.OPEN, RELAY, "Test", secret=rng.randbytes(32))
        self.now = Moment(1000.0, START_MS)
        self.rooms = [Room(invite, key(f"identity {n}"), n, ENGINE, self.now, rng.randbytes) for n in names]
        self.queues: list[deque[bytes]] = [deque(), deque()]  # to the first, to the second
        self.shown: list[list[str]] = [[], []]
        for me, (room, name) in enumerate(zip(self.rooms, names, strict=True)):
            room.connect(key(f"session {name} 1"), self.now)
            room.data_to_send()
            other = Frame(Kind.PRESENT, address=bytes((1 - me,)) * 8)
            self.give(me, Frame(Kind.WELCOME, 1, address=bytes((me,)) * 8).to_bytes() + other.to_bytes())

    def give(self, me: int, data: bytes) -> None:
        room = self.rooms[me]
        room.receive_data(data, self.now)
        self.collect(me)

    def collect(self, me: int) -> None:
        for frame in FrameReader().receive_data(self.rooms[me].data_to_send()):
            sent = Frame(Kind.SEND, address=bytes((me,)) * 8, block=frame.block)
            self.queues[1 - me].append(sent.to_bytes())
        self.shown[me] += [e.text for e in self.rooms[me].events_received() if isinstance(e, MessageReceived)]

    def deliver(self, me: int) -> None:
        if self.queues[me]:
            self.give(me, self.queues[me].popleft())

    def drain(self) -> None:
        while any(self.queues):
            self.deliver(0)
            self.deliver(1)

    def links(self, me: int) -> list[Link]:
        return [talk.link for talk in self.rooms[me]._talks]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 1), max_size=40), st.integers(0, 3))
def test_attack_08_both_speak_first_in_any_interleaving(order: list[int], seed: int) -> None:
    glare = _Glare(seed)
    for me in order:
        glare.deliver(me)
    glare.drain()
    (one,), (other,) = glare.links(0), glare.links(1)
    assert one.state is other.state is State.UP
    assert one._keys_out == other._keys_in
    assert one._keys_in == other._keys_out
    for me in (0, 1):
        glare.rooms[me].say(f"from {me}", glare.now)
        glare.collect(me)
    glare.drain()
    assert glare.shown == [["from 1"], ["from 0"]]


HANDSHAKE_BLOCKS = 14  # KEY twice, HELLO 4 + 4, READY twice, and what follows at once


def _lose(at: int, hops: list[Hop], hop: Hop) -> list[Hop]:
    return []


def _double(at: int, hops: list[Hop], hop: Hop) -> list[Hop]:
    return [hop, hop]


def _swap(at: int, hops: list[Hop], hop: Hop) -> list[Hop]:
    hops.append(hop)  # goes after the next one
    return []


@pytest.mark.parametrize("fault", [_lose, _double, _swap], ids=["lost", "doubled", "reordered"])
@pytest.mark.parametrize("at", range(HANDSHAKE_BLOCKS))
def test_attack_09_one_block_of_the_handshake_goes_astray(
    at: int, fault: Callable[[int, list[Hop], Hop], list[Hop]]
) -> None:
    world, count, late = World(), 0, list[Hop]()

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        nonlocal count
        hop, count = (source, to, block), count + 1
        if count - 1 == at:
            return fault(at, late, hop)
        held, late[:] = list(late), []
        return [hop, *held]

    world.tamper = tamper
    alice, bob = _pair(world, settle=False)
    world.advance(35)
    assert presence(alice, fp("bob")) is presence(bob, fp("alice")) is Presence.HERE
    talk(world, "alice", "bob", seconds=6)


@pytest.mark.parametrize("which", ["READY", "HELLO"])
def test_attack_09_a_relay_that_persists_keeps_them_apart_and_no_more(which: str) -> None:
    """Alice's half never arrives: bob can't be up, and she mustn't believe so for longer than 150 seconds."""
    world = World()
    session = key("session bob 1")

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        if source == "alice":
            found = counters(session, [block])
            if found and (found[0] >= HELLO_COUNTER) == (which == "HELLO"):
                return []
        return [(source, to, block)]

    world.tamper = tamper
    alice, bob = _pair(world, settle=False)
    world.advance(20)
    assert presence(bob, fp("alice")) is not Presence.HERE
    bob_moved_on = world.now.s + 150
    down = False
    while world.now.s < bob_moved_on:
        world.advance(10)
        down |= presence(alice, fp("bob")) is not Presence.HERE
    assert down
    assert presence(bob, fp("alice")) is not Presence.HERE
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(160)
    talk(world, "alice", "bob", seconds=6)


def test_attack_10_neither_speaks_first() -> None:
    world = World()
    alice = world.client("alice")
    world.settle()
    bob = Client(world, "bob", world.invite, "bob", ())
    bob.connect()
    bob.room.data_to_send()  # its JOIN; the relay answers with a lie: nobody is here, and then somebody comes
    world.clients["bob"], bob.address = bob, b"bob's at"
    world.seats[bob.address] = bob
    assert alice.address is not None
    world.deliver(bob, Frame(Kind.WELCOME, 0, address=bob.address))
    world.deliver(bob, Frame(Kind.PRESENT, address=alice.address))
    world.deliver(alice, Frame(Kind.PRESENT, address=bob.address))
    world.advance(200)
    assert len(world.log) < 100
    bob.disconnect()
    bob.connect()
    world.advance(3)
    talk(world, "alice", "bob")


@pytest.fixture
def _copied_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whole rooms be copied: keys are shared between copies, everything else is not."""
    for kind in (OpenSSLEngine, OpenSSLPrivateKey, OpenSSLPublicKey, SealKeys):
        monkeypatch.setattr(kind, "__deepcopy__", lambda self, memo: self, raising=False)


def _up(room: Room) -> int:
    return sum(talk.up for talk in room._talks)


@pytest.mark.usefixtures("_copied_rooms")
def test_attack_11_one_bit_of_every_byte_of_every_handshake_frame_is_flipped() -> None:
    """Before each frame of a handshake arrives, copies of its receiver get it with one bit flipped in each byte."""
    rng, glare = random.Random(11), _Glare(11)
    frames = 0
    while any(glare.queues):
        for me in (0, 1):
            if not glare.queues[me] or frames >= 2 * HANDSHAKE_BLOCKS:
                glare.deliver(me)
                continue
            frames += 1
            true, room = glare.queues[me][0], glare.rooms[me]
            honest = copy.deepcopy(room)
            honest.receive_data(true, glare.now)
            links_up, sure = _up(room), _up(honest)
            whole = copy.deepcopy(room)
            for at in range(FRAME_SIZE):
                flipped = true[:at] + bytes((true[at] ^ 1 << rng.randrange(8),)) + true[at + 1 :]
                if at % 40 == 0:  # a copy costs more than a block: forty bytes share one
                    whole = copy.deepcopy(room)
                victim = copy.deepcopy(room) if at < HEADER_SIZE else whole
                victim.receive_data(flipped, glare.now)
                victim.data_to_send()
                assert _up(victim) <= (sure if at < HEADER_SIZE else links_up)
                assert not [e for e in victim.events_received() if isinstance(e, MessageReceived)]
            glare.deliver(me)
    assert frames >= HANDSHAKE_BLOCKS
    assert _up(glare.rooms[0]) == _up(glare.rooms[1]) == 1


@pytest.mark.parametrize("at", range(HANDSHAKE_BLOCKS))
def test_attack_11_a_handshake_with_a_damaged_block_heals(at: int) -> None:
    """The block is damaged once, on its way; what comes of it in the end is a link, for the relay is honest again."""
    world, count, rng = World(), 0, random.Random(at)

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        nonlocal count
        count += 1
        if count - 1 == at:
            byte = rng.randrange(256)
            block = block[:byte] + bytes((block[byte] ^ 1 << rng.randrange(8),)) + block[byte + 1 :]
        return [(source, to, block)]

    world.tamper = tamper
    _pair(world, settle=False)
    world.advance(200)
    talk(world, "alice", "bob", seconds=6)


def _moduli() -> dict[str, bytes]:
    good = int.from_bytes(key("session mallory puppet").modulus)
    return {
        "even": (good + 1).to_bytes(256),
        "2047 bits": (good & ~(1 << 2047)).to_bytes(256),
        "zero": bytes(256),
        "own session": key("session alice 1").modulus,
        "own identity": key("identity alice").modulus,
    }


@pytest.mark.parametrize("name", _moduli())
def test_attack_12_a_modulus_that_cant_be_is_ignored(name: str) -> None:
    world = World()
    _pair(world)
    mallory = Puppet(world, "mallory")
    mallory.say_block("alice", _moduli()[name])
    world.advance(1)
    assert not mallory.blocks["alice"]
    assert mallory.meet("alice").state is State.UP  # the address isn't spoiled for a proper key
    talk(world, "alice", "bob")


@pytest.mark.parametrize("name", ["smooth", "square", "prime"])
def test_attack_13_a_strange_modulus_harms_its_owner_only(name: str) -> None:
    number = {"smooth": 3**1292, "square": (2**1024 - 1) ** 2, "prime": 2**2048 - 1942289}[name]
    assert number.bit_length() == 2048
    world = World()
    alice, _ = _pair(world)
    mallory = Puppet(world, "mallory", session=Modulus(number.to_bytes(256)))
    mallory.meet("alice")
    world.advance(70)
    assert presence(alice, mallory.fp) is None
    talk(world, "alice", "bob")


def test_attack_14_a_block_plus_the_modulus_is_no_block() -> None:
    """c + n opens like c in careless arithmetic: a second block for the same plaintext, a mark on a message."""
    roomy = next(key(f"low {at}") for at in range(100) if key(f"low {at}").modulus[0] < 0xD0)
    one, other = two_links(session=roomy)
    n = int.from_bytes(roomy.modulus)
    above = 0
    for number in range(100):
        content = str(number).encode()
        one.send(ContentKind.STMT, content)
        (block,) = sealed_blocks(one)
        if int.from_bytes(block) + n < 2**2048:
            above += 1
            with pytest.raises(CryptoError):
                other.receive((int.from_bytes(block) + n).to_bytes(256), NOW)
        heard = other.receive(block, NOW)
        assert isinstance(heard, Content)
        assert heard.data == content
    assert above >= 3
    for wrong in (b"", bytes(255), bytes(257), block[1:], block + b"\0"):
        with pytest.raises(CryptoError):
            other.receive(wrong, NOW)


def test_attack_15_ones_own_identity_from_elsewhere_is_an_alarm() -> None:
    world = World()
    alice, bob = _pair(world)
    thief = Puppet(world, "thief", identity=key("identity alice"))
    thief.meet("alice")
    thief.meet("bob")
    world.advance(30)
    alarms = [event for event in alice.events if isinstance(event, Alarm)]
    assert [alarm.kind for alarm in alarms] == [AlarmKind.OWN_IDENTITY_ELSEWHERE]  # said once, not each time it knocks
    assert alarms[0].fp == fp("alice")
    assert "alice" not in thief.links or thief.links["alice"].state is not State.UP
    assert not bob.of(Alarm)


def test_attack_15_a_client_that_keeps_trying_with_ones_own_identity_is_told_of_once() -> None:
    world = World()
    alice, _ = _pair(world)
    world.client("copy", identity="alice")
    world.advance(300)
    assert len(alice.of(Alarm)) == 1


def test_attack_16_of_two_sessions_of_one_identity_only_the_newest_is_sent_to() -> None:
    world = World()
    alice, bob = _pair(world)
    talk(world, "alice", "bob")
    second = world.client("bob again", identity="bob")
    world.advance(2)
    alice.say("to the newest")
    world.advance(20)
    assert second.texts()[-1:] == [("alice", "to the newest")]
    assert ("alice", "to the newest") not in bob.texts()
    links = {talk.link.other.modulus: talk for talk in alice.room._talks}
    assert set(links) == {key("session bob 1").modulus, key("session bob again 1").modulus}
    bob.say("the old one can still be heard")
    world.advance(2)
    assert "the old one can still be heard" in [text for _, text in alice.texts()]
    world.advance(OLD_LINK_S - 20)
    up = {talk.link.other.modulus for talk in alice.room._talks if talk.open}
    assert up == {key("session bob again 1").modulus}


def test_attack_16_the_older_session_is_shown_a_gap_for_what_only_the_newest_got() -> None:
    world = World()
    alice, first = _pair(world)
    talk(world, "alice", "bob")
    second = world.client("bob again", identity="bob")
    world.advance(3)
    for at in range(3):
        alice.say(f"to the newest {at}")
    world.advance(2)
    second.disconnect()
    world.advance(1)
    alice.say("to the one that is left")
    world.advance(10)
    assert [gap.count for gap in first.events if isinstance(gap, Gap)] == [3]
    assert first.texts()[-1:] == [("alice", "to the one that is left")]
    talk(world, "alice", "bob")


def test_attack_16_what_the_older_session_acknowledges_is_still_owed_to_the_newest() -> None:
    world = World()
    alice, first = _pair(world)
    talk(world, "alice", "bob")
    second = world.client("bob again", identity="bob")
    world.advance(3)
    world.tamper = lambda source, to, block: [] if {source, to} == {"alice", "bob again"} else [(source, to, block)]
    alice.say("not lost")
    world.advance(0.3)
    old = next(one for one in alice.room._talks if one.link.other.modulus == key("session bob 1").modulus)
    head = alice.room._courier._outboxes[fp("bob")].head
    ack = Ack(alice.room._courier._log, head, 0, alice.room.set_digest)
    assert alice.room._courier.on_ack(old, ack, world.now)
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(20)
    assert second.texts()[-1:] == [("alice", "not lost")]
    assert first.texts()


def test_attack_16_a_session_that_comes_when_the_old_link_is_old_already_gets_a_link_at_once() -> None:
    """The relay hasn't noticed yet that the old connection is dead; whoever reconnects mustn't wait for that."""
    world = World()
    alice, _ = _pair(world)
    world.advance(OLD_LINK_S + 50)
    second = world.client("bob again", identity="bob", connect=False)
    second.connect()
    held: list[Hop] = []
    world.tamper = lambda source, to, block: held.append((source, to, block)) or []  # type: ignore[func-returns-value]
    for _ in range(12):  # a slow relay: time passes between one block and the next
        world.advance(0.1)
        hops, held[:] = list(held), []
        for hop in hops:
            world.inject(*hop)
            world.advance(0.02)
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(1)
    alice.say("to the newest")
    world.advance(1)
    assert second.texts()[-1:] == [("alice", "to the newest")]


def test_attack_17_a_hello_is_repeated_as_it_was_and_a_new_attempt_is_another() -> None:
    world = World()
    alice, _ = _pair(world)
    silent = Puppet(world, "silent")
    silent.answers = False
    alice.disconnect()
    alice.connect()  # now it is for her to speak first
    world.settle()
    silent.say_key("alice")
    world.advance(50)
    alices = key("session alice 2").modulus
    keys = hello_keys(world.invite.room_key, alices, silent.session.modulus)

    def greetings() -> list[bytes]:
        found = []
        for block in silent.blocks["alice"]:
            try:
                found.append(silent.session.decrypt(block))
            except CryptoError:
                continue
        return found

    first = greetings()
    assert len(first) >= 12  # it was said again and again
    assert len(set(first)) == 4  # in the same words
    world.advance(20)
    silent.say_key("alice")
    world.advance(5)
    both = set(greetings())
    by_part = {part: [s for s in both if parse_body(open_sealed(keys, s)).part == part] for part in range(1, 5)}
    assert len(by_part[1]) == 1  # nothing but the identity key is in there: it says the same, and nothing new
    nonces = set()
    for part in (2, 3, 4):
        one, other = by_part[part]
        clear = [open_sealed(keys, sealed) for sealed in (one, other)]
        masked = [sealed[24:] for sealed in (one, other)]
        assert _xor(*masked) != _xor(*clear)  # the mask is another one, too
        if part == 2:  # the nonce is at 256..287
            nonces |= {parse_body(body).content[256 - 162 : 288 - 162] for body in clear}
    assert len(nonces) == 2


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
