"""Attacks 37 to 39, 48, 52, 54, 55, 57 and 58 of docs/PROTOCOL.md, "Attacks": on who belongs, on seats and on texts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from attacker import RNG, Puppet, counters, forge_hello, presence, seal_hello, talk
from hypothesis import given, settings
from hypothesis import strategies as st
from world import ENGINE, START_MS, Client, Memory, World, fp, key

from chatcore import gossip
from chatcore import talk as talk_module
from chatcore.clock import Moment
from chatcore.content import ContentKind
from chatcore.delivery import NO_LOG, Message, Ready
from chatcore.engines import PrivateKey
from chatcore.errors import CryptoError, WireError
from chatcore.events import Knocked, MemberJoined, MessageReceived, Presence
from chatcore.hello import HELLO_COUNTER
from chatcore.invite import Mode, RelayAddress
from chatcore.link import State
from chatcore.members import HASH_SIZE, MAX_STATEMENTS, Members, StatementType, make_statement, parse_statement
from chatcore.room import Room
from chatcore.seat import KEY_BUDGET, MAX_ADDRESSES, SIGNATURE_BUDGET
from chatcore.seatevents import Garbled, Turned
from chatcore.wire import FRAME_SIZE, Frame, Kind, Refusal


def _ask_room() -> tuple[World, Client, Client]:
    """Alice's room; bob has been let in."""
    world = World(mode=Mode.ASK)
    alice = world.client("alice")
    world.settle()
    bob = world.client("bob")
    world.advance(1)
    alice.room.let_in(fp("bob"), world.now)
    world.advance(3)
    talk(world, "alice", "bob")
    return world, alice, bob


def _is_only_key(puppet: Puppet, name: str) -> bool:
    return set(puppet.blocks[name]) <= {puppet.keys.get(name)}


# -- at the door -------------------------------------------------------------------------------------------------------


def test_attack_37_a_knocker_hears_from_the_owner_only_and_no_message() -> None:
    world, alice, bob = _ask_room()
    mallory = Puppet(world, "mallory")
    assert mallory.meet("alice").state is State.UP
    mallory.meet("bob")
    assert [event.nick for event in alice.events if isinstance(event, Knocked)][-1] == "mallory"
    alice.say("not for her")
    bob.say("nor this")
    world.advance(150)
    assert _is_only_key(mallory, "bob")
    assert "bob" not in mallory.greetings
    kinds = mallory.kinds("alice")
    assert set(kinds) <= {ContentKind.READY, ContentKind.STMT}
    told = [parse_statement(content.data) for content in mallory.contents["alice"] if content.kind == ContentKind.STMT]
    assert {statement.subject for statement in told} == {fp("alice")}
    ready = mallory.their_ready("alice")
    assert ready == Ready(clock_ms=ready.clock_ms)
    assert presence(alice, mallory.fp) is None


def test_attack_37_nobody_speaks_first_to_a_seat_that_keeps_silent() -> None:
    """A stranger who merely sits there, or shows a key and waits, mustn't get a HELLO: it holds a name."""
    world, _alice, _bob = _ask_room()
    mute, keyed = Puppet(world, "mute"), Puppet(world, "keyed")
    for name in ("alice", "bob"):
        keyed.say_key(name)
    world.advance(400)
    for name in ("alice", "bob"):
        assert not mute.blocks[name]
        assert _is_only_key(keyed, name)
        mute.say_key(name)
    world.advance(100)
    assert _is_only_key(mute, "bob")
    assert _is_only_key(mute, "alice")
    talk(world, "alice", "bob")


def test_attack_37_a_member_who_comes_later_shows_a_knocker_who_they_are_and_no_more() -> None:
    """Who connects speaks first, and can't know who sits there already: docs/THREAT_MODEL.md owns up to it."""
    world, alice, bob = _ask_room()
    mallory = Puppet(world, "mallory")
    bob.disconnect()
    bob.connect()
    world.settle()
    mallory.say_key("bob")
    mallory.meet("bob")
    world.advance(5)
    assert mallory.greetings["bob"].nick == "bob"
    for text, client in (("not for her", alice), ("nor this", bob)):
        client.say(text)
    mallory.send("bob", ContentKind.WANT, b"")
    world.advance(150)
    assert set(mallory.kinds("bob")) <= {ContentKind.READY, ContentKind.STMT}
    told = [parse_statement(content.data) for content in mallory.contents["bob"] if content.kind == ContentKind.STMT]
    assert {statement.subject for statement in told} == {fp("bob")}
    ready = mallory.their_ready("bob")
    assert ready == Ready(clock_ms=ready.clock_ms)


def test_attack_37_a_knocker_who_asks_for_statements_gets_none() -> None:
    world, alice, _bob = _ask_room()
    mallory = Puppet(world, "mallory")
    mallory.meet("alice")
    mallory.contents["alice"].clear()
    # She claims to take alice for a member, and to hold other statements than she.
    mallory.send("alice", ContentKind.READY, Ready(b"evil log", 0, 1, NO_LOG, 0, 0, b"x" * 32, world.now.ms).to_bytes())
    mallory.send("alice", ContentKind.WANT, b"")
    world.advance(20)
    for content in mallory.contents["alice"]:
        if content.kind == ContentKind.STMT:
            assert parse_statement(content.data).subject == fp("alice")
        else:
            assert content.kind == ContentKind.WANT
            assert content.data == b""  # the hashes she holds would say how many belong
    assert [one.open for one in alice.room._talks if one.fp == mallory.fp] == [False]
    talk(world, "alice", "bob")


def test_attack_37_who_is_let_in_in_the_end_can_talk() -> None:
    world, alice, _bob = _ask_room()
    world.client("nina")
    world.advance(200)
    alice.room.let_in(fp("nina"), world.now)
    world.advance(5)
    talk(world, "alice", "bob", "nina")


def test_attack_37_those_at_the_door_never_see_each_other() -> None:
    world, _alice, _bob = _ask_room()
    one = world.client("one")
    world.advance(2)
    mallory = Puppet(world, "mallory")
    mallory.meet("one")
    world.advance(100)
    assert _is_only_key(mallory, "one")
    assert "one" not in mallory.greetings
    assert one.room.is_member is False


def test_attack_37b_an_admit_that_only_its_subject_has_lets_her_in() -> None:
    world, alice, bob = _ask_room()
    bob.disconnect()
    world.advance(1)
    nina = world.client("nina")
    world.advance(1)
    alice.room.let_in(fp("nina"), world.now)
    world.advance(3)
    talk(world, "alice", "nina")
    kept = nina.room.statements()
    nina.disconnect()
    alice.disconnect()
    del world.clients["nina"]
    bob.connect()
    world.advance(2)
    assert presence(bob, fp("nina")) is None
    again = world.client("nina", statements=kept)
    world.advance(10)
    assert presence(bob, fp("nina")) is Presence.HERE
    assert bob.of(MemberJoined)
    talk(world, "bob", "nina")
    assert again.room.is_member


def test_attack_38_an_admit_by_a_member_lets_nobody_in() -> None:
    world, alice, bob = _ask_room()
    mallory = Puppet(world, "mallory")
    mallory.meet("alice")
    room_id = world.invite.room_id
    for signer, room_of in (
        (mallory.identity, room_id),
        (key("identity bob"), room_id),
        (key("identity alice"), b"x" * 32),
    ):
        mallory.send("alice", ContentKind.STMT, make_statement(StatementType.ADMIT, room_of, signer, mallory.fp, 1).raw)
    join = make_statement(StatementType.JOIN, room_id, mallory.identity, mallory.fp, 1, "mallory")
    mallory.send("alice", ContentKind.STMT, join.raw)
    mallory.send("alice", ContentKind.READY, Ready(b"evil log", 0, 1, clock_ms=1).to_bytes())
    alice.say("for members")
    world.advance(5)
    for client in (alice, bob):
        assert presence(client, mallory.fp) is None
        assert set(client.room._members.fps()) == {fp("alice"), fp("bob")}
    assert ContentKind.MSG not in mallory.kinds("alice")
    talk(world, "alice", "bob")


ROOM_ID = bytes(32)
ELSEWHERE = RelayAddress("elsewhere.example", 7256, (b"p" * 32,))
STATEMENTS = (
    [
        make_statement(kind, ROOM_ID, key(f"identity {signer}"), fp(subject), time, signer)
        for kind, signer, subject, time in (
            (StatementType.JOIN, "alice", "alice", 1),
            (StatementType.JOIN, "bob", "bob", 2),
            (StatementType.LEAVE, "bob", "bob", 2),
            (StatementType.JOIN, "carol", "carol", 3),
            (StatementType.JOIN, "carol", "carol", 9),
            (StatementType.LEAVE, "carol", "carol", 5),
            (StatementType.ADMIT, "alice", "carol", 7),
            (StatementType.ADMIT, "alice", "bob", 7),
            (StatementType.JOIN, "dave", "dave", 4),
            (StatementType.LEAVE, "alice", "alice", 0),
        )
    ]
    + [
        make_statement(StatementType.STEADY, ROOM_ID, key("identity alice"), fp("alice"), time, period_s=period)
        for time, period in ((8, 5), (3, 30))
    ]
    + [
        make_statement(StatementType.RELAY, ROOM_ID, key("identity alice"), fp("alice"), time, relay=relay)
        for time, relay in ((6, ELSEWHERE), (3, replace(ELSEWHERE, port=1)))
    ]
)
INVALID = [
    b"",
    STATEMENTS[1].raw[:-1],
    STATEMENTS[2].raw[:-1] + bytes((STATEMENTS[2].raw[-1] ^ 1,)),
    make_statement(StatementType.ADMIT, ROOM_ID, key("identity bob"), fp("dave"), 7).raw,
    make_statement(StatementType.LEAVE, b"x" * 32, key("identity carol"), fp("carol"), 99).raw,
    make_statement(StatementType.ADMIT, b"x" * 32, key("identity alice"), fp("dave"), 99).raw,
]


@settings(max_examples=60)
@given(
    st.permutations([*(s.raw for s in STATEMENTS), *(s.raw for s in STATEMENTS[:4]), *INVALID]), st.sampled_from(Mode)
)
def test_attack_39_any_order_makes_the_same_members(order: list[bytes], mode: Mode) -> None:
    held = Members(ENGINE, ROOM_ID, fp("alice"), mode)
    for raw in order:
        try:
            held.add(raw)
        except (WireError, CryptoError):
            assert raw in INVALID
    expected = {"alice", "carol"} | ({"dave"} if mode is Mode.OPEN else set())
    assert held.fps() == {fp(name) for name in expected}
    newest = [s for s in STATEMENTS if s.time_ms != 3]  # carol said JOIN twice, alice STEADY and RELAY
    assert held.hashes() == sorted(statement.hash for statement in newest)


def test_attack_48_a_flood_of_statements_is_taken_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk_module, "STATEMENT_BUDGET", (50.0, 2.0))
    world = World()
    alice, _bob = world.client("alice"), world.client("bob")
    world.advance(2)
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    refused = alice.room.refused
    newer = world.now.ms + 1
    junk = make_statement(StatementType.JOIN, b"x" * 32, mallory.identity, mallory.fp, newer, "m").raw
    for _ in range(100):
        mallory.send("alice", ContentKind.STMT, junk)
    looked_at = alice.room.refused - refused
    assert 40 < looked_at <= 50
    world.advance(10)
    for _ in range(100):
        mallory.send("alice", ContentKind.STMT, junk)
    assert looked_at + 15 < alice.room.refused - refused <= looked_at + 25
    talk(world, "alice", "bob")


def test_attack_48_wants_cost_no_more_than_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "WANT_BUDGET", (100.0, 1.0))
    world = World()
    alice, _bob = world.client("alice"), world.client("bob")
    world.advance(2)
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    before = mallory.kinds("alice").count(ContentKind.STMT)
    for _ in range(100):
        mallory.send("alice", ContentKind.WANT, b"")
    answered = mallory.kinds("alice").count(ContentKind.STMT) - before
    assert 3 * 25 <= answered + 25 <= 100  # each answer of three statements costs four
    mallory.send("alice", ContentKind.WANT, bytes(HASH_SIZE * (MAX_STATEMENTS + 1)))
    mallory.send("alice", ContentKind.WANT, bytes(HASH_SIZE + 1))
    talk(world, "alice", "bob")
    assert alice.room.refused >= 2


# -- seats -------------------------------------------------------------------------------------------------------------


def test_attack_52_a_flood_of_arrivals_is_bounded_and_true_links_live() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(2)
    fakes = [RNG.randbytes(8) for _ in range(600)]
    for address in fakes:
        world.deliver(alice, Frame(Kind.PRESENT, address=address))
    seat_ = alice.room._seat
    assert seat_ is not None
    assert len(seat_._places) <= MAX_ADDRESSES
    talk(world, "alice", "bob")
    carol = world.client("carol")  # alice has no place left for her
    world.advance(1)
    for address in fakes:
        world.deliver(alice, Frame(Kind.LEFT, address=address))
        world.deliver(alice, Frame(Kind.LEFT, address=address))
    assert len(seat_._left) <= MAX_ADDRESSES
    world.advance(70)
    talk(world, "alice", "bob", "carol")
    assert presence(carol, fp("alice")) is Presence.HERE
    assert bob.texts()


def test_attack_52_an_address_that_is_given_again_is_a_new_seat() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(2)
    address = bob.address
    assert address is not None
    world.deliver(alice, Frame(Kind.LEFT, address=address))
    assert presence(alice, fp("bob")) is Presence.AWAY
    world.deliver(alice, Frame(Kind.PRESENT, address=address))
    # bob noticed nothing: his link falls silent (90 s) and he begins again, perhaps twice (65 s each), for one of his
    # old blocks in four looks like a key to alice, who then is busy with it for a minute
    world.advance(300)
    talk(world, "alice", "bob")


def test_attack_52_arrivals_before_the_welcome_and_a_second_welcome() -> None:
    world = World()
    alice = world.client("alice")
    world.settle()
    seat_ = alice.room._seat
    assert seat_ is not None
    for _ in range(3):
        world.deliver(alice, Frame(Kind.WELCOME, 65535, address=RNG.randbytes(8)))
    assert seat_._expected == 0
    assert seat_.address == alice.address


class Counting:
    """An identity that counts what it signs."""

    def __init__(self, key_: PrivateKey) -> None:
        self._key, self.modulus, self.signed = key_, key_.modulus, 0

    def sign(self, message: bytes) -> bytes:
        self.signed += 1
        return self._key.sign(message)

    def decrypt(self, block: bytes) -> bytes:
        return self._key.decrypt(block)

    def to_der(self) -> bytes:
        return self._key.to_der()


def _alone(others: int) -> tuple[Room, Counting, Moment]:
    now = Moment(1000.0, START_MS)
    identity = Counting(key("identity alice"))
    alone = Room(World().invite, identity, "alice", ENGINE, now, RNG.randbytes)
    alone.connect(key("session alice 1"), now)
    alone.receive_data(Frame(Kind.WELCOME, others, address=b"alice at").to_bytes(), now)
    alone.data_to_send()
    identity.signed = 0
    return alone, identity, now


def _flood(alone: Room, now: Moment, count: int) -> int:
    """Arrive, show a key, go; count the frames that come back."""
    sent = 0
    modulus = key("session stranger").modulus
    for at in range(count):
        address = at.to_bytes(8)
        # A modulus for each: nobody asks for the primes of it.
        block = modulus[:100] + address + modulus[108:]
        for frame in (Frame(Kind.PRESENT, address=address), Frame(Kind.SEND, address=address, block=block)):
            alone.receive_data(frame.to_bytes(), now)
        sent += len(alone.data_to_send()) // FRAME_SIZE
        alone.receive_data(Frame(Kind.LEFT, address=address).to_bytes(), now)
    return sent


def test_attack_54_a_flood_of_keys_gets_no_signature_from_those_who_are_in() -> None:
    alone, identity, now = _alone(0)
    sent = _flood(alone, now, 2000)
    assert sent <= KEY_BUDGET[0]
    later = now
    for at in range(100):  # nor later
        address = b"x" + at.to_bytes(7)
        block = RNG.randbytes(255) + b"\x01"
        alone.receive_data(Frame(Kind.PRESENT, address=address).to_bytes(), later)
        alone.receive_data(Frame(Kind.SEND, address=address, block=b"\xff" + block[1:]).to_bytes(), later)
    for _ in range(40):
        later = Moment(later.s + 5, later.ms + 5000)
        alone.tick(later)
        alone.data_to_send()
    assert identity.signed == 0


def test_attack_54_a_flood_of_keys_gets_no_more_than_the_budget_from_a_joiner() -> None:
    alone, identity, now = _alone(65535)
    _flood(alone, now, 2000)
    assert identity.signed == SIGNATURE_BUDGET[0]
    _flood(alone, Moment(now.s + 10, now.ms + 10_000), 2000)
    assert identity.signed == SIGNATURE_BUDGET[0] + 10 * SIGNATURE_BUDGET[1]


# -- texts and versions ------------------------------------------------------------------------------------------------

HOSTILE = {
    "bidi": "\u202egnp.exe\u202c \u2066abc\u2069",
    "nul": "a\0b\0",
    "zalgo": "z" + "\u0300\u0489\u1dc0" * 4000,
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x9f\ufeff\ufffe\uffff",
    "astral": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 1500,
    "lines": "\n" * 40_000,
    "one long line": "w" * 41_000,
    "markup": "<b>{0} %s %n \x1b[31m</b>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attack_55_a_hostile_text_arrives_as_it_was(name: str) -> None:
    """The core judges no text: it comes out as it went in, and how it is shown is for the window to make safe."""
    world = World()
    alice, _bob = world.client("alice"), world.client("bob")
    world.advance(2)
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    mallory.send_message("alice", 1, b"\x01" + HOSTILE[name].encode())
    assert alice.texts() == [("mallory", HOSTILE[name])]
    talk(world, "alice", "bob")


def test_nothing_is_shown_as_written_later_than_it_came() -> None:
    world = World()
    alice = world.client("alice")
    world.advance(2)
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    for number, time_ms in ((1, world.now.ms + 86_400_000), (2, 2**64 - 1), (3, 1_000)):
        message = Message(number.to_bytes(16), time_ms, bytes(32), b"\x01hello")
        mallory.send("alice", ContentKind.MSG, number.to_bytes(8) + message.to_bytes())
    came = [event for event in alice.events if isinstance(event, MessageReceived)]
    assert [event.time_ms for event in came] == [came[0].received_ms, came[1].received_ms, 1_000]


@pytest.mark.parametrize(
    "app", [b"", b"\x01\xff\xfe", b"\x01\xed\xa0\x80", b"\x02reply", b"\0", b"\x01" + b"\xc0" * 41_000]
)
def test_attack_55_bytes_that_are_no_text_are_not_shown(app: bytes) -> None:
    world = World()
    alice, _bob = world.client("alice"), world.client("bob")
    world.advance(2)
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    mallory.send_message("alice", 1, app)
    mallory.send_message("alice", 2, b"\x01but this is")
    assert alice.texts() == [("mallory", "but this is")]
    talk(world, "alice", "bob")


@pytest.mark.parametrize(
    "nick", ["\u202egnp", "a\0b", "z\u0300\u0301" * 12, "\n\r\t", " ", "\U0001f3d4" * 16, "\x1b[2J"]
)
def test_attack_55_a_hostile_nick_arrives_as_it_was(nick: str) -> None:
    world = World()
    alice = world.client("alice")
    world.settle()
    mallory = Puppet(world, "mallory", nick=nick)
    mallory.become_member("alice")
    mallory.send_message("alice", 1, b"\x01hello")
    assert alice.texts() == [(nick, "hello")]


def test_attack_55_a_nick_that_is_no_text_gets_no_link() -> None:
    world = World()
    world.client("alice")
    world.settle()
    mallory = Puppet(world, "mallory")
    mallory.say_key("alice")
    good = forge_hello(mallory, "alice")[:392]
    for nick in (b"\x01\xff".ljust(65, b"\0"), b"\x41" + b"a" * 64, b"\x01ab".ljust(65, b"\0")):
        hello = forge_hello(mallory, "alice", unsigned=good[:290] + nick + good[355:])
        mallory.say_block(
            "alice", *seal_hello(world.invite.room_key, hello, mallory.session.modulus, mallory.keys["alice"])
        )
        world.settle()
    assert _is_only_key(mallory, "alice")
    assert mallory.meet("alice").state is State.UP


def _secrets(world: World, *clients: Client) -> dict[str, bytes]:
    found = {"room secret": world.invite.secret, "room key": world.invite.room_key, "room id": world.invite.room_id}
    for client in clients:
        for talk_ in client.room._talks:
            link_ = talk_.link
            for keys in (link_._keys_in, link_._keys_out, link_._hello_keys, link_._hellos._keys):
                if keys is not None:
                    found[f"{client.name} {len(found)}"] = keys.tag
                    found[f"{client.name} {len(found)}"] = keys.mask
        found[f"{client.name}'s identity"] = key(f"identity {client.name}").to_der()[-32:]
        found[f"{client.name}'s session"] = key(f"session {client.name} 1").to_der()[-32:]
    return found


def _objects_of_the_core() -> Iterator[object]:
    for one in gc.get_objects():
        if str(type(one).__module__).startswith("chatcore."):  # which of a class written in C may be anything
            yield one


def test_attack_57_nothing_in_the_core_shows_a_secret() -> None:
    world = World()
    alice, bob = world.client("alice", store=Memory()), world.client("bob")
    world.advance(2)
    alice.say("the text of a message, which is nobody's business")
    bob.disconnect()
    alice.say("the text of a message, which is nobody's business")
    secrets = _secrets(world, alice, bob)
    assert len(secrets) > 6
    looked_at = set()
    for one in _objects_of_the_core():
        shown = f"{one!r} {one!s}"
        looked_at.add(type(one).__name__)
        for name, secret in secrets.items():
            forms = (repr(secret)[2:-1], repr(secret[:16])[2:-1], secret.hex(), str(int.from_bytes(secret)))
            assert not any(form in shown for form in forms), (type(one), name)
        assert "nobody's business" not in shown, type(one)
    assert {"Courier", "Gossip", "Talks", "News", "Signer", "Hellos", "Place"} <= looked_at
    assert {"Room", "Link", "SealKeys", "Invite", "Seat", "Talk", "Outbox", "Owed", "Self"} <= looked_at


@pytest.mark.parametrize("version", [0, 2, 255])
def test_attack_58_a_relay_of_another_version_gets_a_clean_refusal(version: int) -> None:
    world = World()
    alice = world.client("alice", connect=False)
    alice.room.connect(key("session alice 1"), world.now)
    assert len(alice.room.data_to_send()) == FRAME_SIZE
    welcome = bytes((version,)) + Frame(Kind.WELCOME, 1, address=b"alice at").to_bytes()[1:]
    alice.room.receive_data(welcome, world.now)
    assert isinstance(alice.room.refusal, Garbled)
    assert alice.room.data_to_send() == b""  # no second try in an older voice
    assert not alice.room.seated
    alice.room.receive_eof(world.now)
    alice.connect()  # another connection begins anew
    assert alice.room.refusal is None
    world.client("bob")
    world.advance(2)
    talk(world, "alice", "bob")


def test_attack_58_a_refusal_counts_though_nonsense_follows_it() -> None:
    world = World()
    alice = world.client("alice", connect=False)
    alice.room.connect(key("session alice 1"), world.now)
    refused = Frame(Kind.REFUSED, Refusal.VERSION, 30).to_bytes()
    alice.room.receive_data(refused, world.now)
    assert alice.room.refusal == Turned(Refusal.VERSION, 30)


def test_a_hello_that_is_signed_is_never_seen_by_those_without_the_invite() -> None:
    """What a puppet without the invite can open of alice's blocks has the counters of a HELLO, and is masked."""
    world = World()
    alice = world.client("alice")
    world.settle()
    stranger = Puppet(world, "stranger")
    alice.disconnect()
    alice.connect()
    world.settle()
    stranger.say_key("alice")
    found = counters(stranger.session, stranger.blocks["alice"])
    assert set(found) == set(range(HELLO_COUNTER, HELLO_COUNTER + 4))
    for block in stranger.blocks["alice"]:
        if counters(stranger.session, [block]):
            sealed = stranger.session.decrypt(block)
            assert b"alice" not in sealed
            assert key("identity alice").modulus[:16] not in sealed
