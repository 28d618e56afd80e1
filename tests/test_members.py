"""Statements, and the members they make.  Attacks 38, 39, 40 (as far as there are admins) and 48 on the set itself."""

from __future__ import annotations

from itertools import permutations

import pytest
from world import ENGINE, fp, key

from chatcore.engines import PrivateKey
from chatcore.errors import CryptoError, WireError
from chatcore.invite import Mode
from chatcore.members import (
    MAX_MEMBERS,
    MAX_PENDING,
    MAX_SHOWN,
    MAX_STATEMENTS,
    MAX_SUBJECTS,
    MAX_WAITING,
    Members,
    Statement,
    StatementType,
    make_statement,
    pack_nick,
    parse_nick,
    parse_statement,
    who_digest,
)
from chatcore.seal import fingerprint

ROOM = bytes(range(32))
JOIN, LEAVE, ADMIT, STEADY, RELAY = StatementType


def members(mode: Mode = Mode.OPEN, owner: str = "alice") -> Members:
    return Members(ENGINE, ROOM, fp(owner), mode)


def signed(kind: StatementType, name: str, subject: str = "", time: int = 1, room: bytes = ROOM) -> Statement:
    return make_statement(kind, room, key(f"identity {name}"), fp(subject or name), time, name)


class FakeEngine:
    """Identities by the thousand: any 256 bytes are a key, and it has signed everything."""

    name = "fake"

    class Key:
        def __init__(self, modulus: bytes) -> None:
            self.modulus = modulus

        def verify(self, message: bytes, signature: bytes) -> None: ...

        def encrypt(self, plaintext: bytes) -> bytes:
            return bytes(256)

        def sign(self, message: bytes) -> bytes:
            return bytes(256)

        def decrypt(self, block: bytes) -> bytes:
            raise CryptoError

        def to_der(self) -> bytes:
            return b""

    def generate(self) -> PrivateKey:
        return self.Key(bytes(256))

    def public_key(self, modulus: bytes) -> Key:
        return self.Key(modulus)

    def private_key(self, der: bytes) -> PrivateKey:
        return self.Key(bytes(256))


def fake(at: int) -> FakeEngine.Key:
    return FakeEngine.Key(at.to_bytes(4).rjust(256, b"\x81"))


def fake_statement(kind: StatementType, at: int, time: int = 1, subject: int | None = None) -> Statement:
    other = fingerprint(fake(at if subject is None else subject).modulus)
    return make_statement(kind, ROOM, fake(at), other, time, str(at))


def fakes(mode: Mode) -> Members:
    return Members(FakeEngine(), ROOM, fingerprint(fake(0).modulus), mode)  # number 0 is the owner


def test_who_joins_an_open_room_is_a_member_until_they_leave() -> None:
    room = members()
    assert room.fps() == {fp("alice")}  # the owner always, even unheard
    assert room.add(signed(JOIN, "bob").raw)
    assert not room.add(signed(JOIN, "bob").raw)
    assert room.is_member(fp("bob"))
    assert room.nick(fp("bob")) == "bob"
    assert room.add(signed(LEAVE, "bob", time=1).raw)  # at the same time: LEAVE counts
    assert not room.is_member(fp("bob"))
    assert room.add(signed(JOIN, "bob", time=2).raw)
    assert room.is_member(fp("bob"))
    assert room.newest_ms(fp("bob")) == 2


def test_the_owner_can_leave() -> None:
    room = members()
    room.add(signed(JOIN, "alice").raw)
    room.add(signed(LEAVE, "alice", time=2).raw)
    assert room.fps() == frozenset()


def test_an_ask_room_takes_a_join_and_an_admit_in_any_order() -> None:
    made = [signed(JOIN, "alice"), signed(JOIN, "bob"), signed(ADMIT, "alice", "bob", 5), signed(LEAVE, "carol")]
    digests = set()
    for order in permutations(made):
        room = members(Mode.ASK)
        for statement in order:
            room.add(statement.raw)
        assert room.fps() == {fp("alice"), fp("bob")}
        assert room.member_since_ms(fp("bob")) == 5
        digests.add(room.set_digest)
    assert len(digests) == 1


def test_attack_38_an_admit_that_isnt_the_owners_is_void() -> None:
    room = members(Mode.ASK)
    for name in ("alice", "bob", "carol"):
        room.add(signed(JOIN, name).raw)
    room.add(signed(ADMIT, "alice", "bob").raw)
    before = room.set_digest
    by_member, by_stranger = signed(ADMIT, "bob", "carol"), signed(ADMIT, "carol", "carol")
    elsewhere = signed(ADMIT, "alice", "carol", room=bytes(32))  # another room, another epoch: another room id
    forged = signed(ADMIT, "bob", "carol").raw
    forged = forged[:1] + fp("alice") + forged[33:]
    for raw in (by_member.raw, by_stranger.raw, elsewhere.raw, forged):
        with pytest.raises(CryptoError):
            room.add(raw)
    assert room.set_digest == before
    assert not room.is_member(fp("carol"))
    assert room.add(signed(ADMIT, "alice", "carol").raw)
    assert room.is_member(fp("carol"))


@pytest.mark.parametrize("kind", [JOIN, LEAVE])
def test_nobody_joins_or_leaves_for_another(kind: StatementType) -> None:
    with pytest.raises(WireError):
        make_statement(kind, ROOM, key("identity bob"), fp("carol"), 1, "bob")
    stolen = signed(JOIN, "bob").raw
    with pytest.raises(WireError):
        parse_statement(stolen[:1] + fp("carol") * 2 + stolen[65:])


def test_a_signature_of_another_number_is_void() -> None:
    """s + n verifies like s in careless arithmetic, and would be another statement with the same content."""
    raw = signed(JOIN, "bob").raw
    above = int.from_bytes(raw[-256:]) + int.from_bytes(key("identity bob").modulus)
    with pytest.raises(CryptoError):
        members().add(raw[:-256] + (above % 2**2048).to_bytes(256))
    with pytest.raises(CryptoError):
        members().add(raw[:-1] + bytes((raw[-1] ^ 1,)))


def test_a_leave_before_its_join_waits_for_the_key() -> None:
    room = members()
    assert not room.add(signed(LEAVE, "bob", time=5).raw)
    assert room.add(signed(JOIN, "bob", time=4).raw)
    assert not room.is_member(fp("bob"))
    assert len(room.hashes()) == 2


def test_a_forged_leave_that_waited_for_the_key_is_dropped_then() -> None:
    room = members()
    raw = signed(LEAVE, "bob", time=5).raw
    assert not room.add(raw[:-1] + bytes((raw[-1] ^ 1,)))
    assert room.add(signed(JOIN, "bob", time=4).raw)
    assert room.is_member(fp("bob"))


def test_an_admit_that_came_before_the_owners_key_counts_when_the_owner_says_hello() -> None:
    room = members(Mode.ASK)
    room.add(signed(JOIN, "bob").raw)
    assert not room.add(signed(ADMIT, "alice", "bob").raw)
    room.key(key("identity alice").modulus)
    assert room.is_member(fp("bob"))


def test_attack_48_a_flood_of_statements_ends_at_the_cap() -> None:
    room = fakes(Mode.OPEN)
    for at in range(MAX_STATEMENTS + 10):
        room.add(fake_statement(JOIN, at).raw)
        room.add(fake_statement(LEAVE, at).raw)
    assert len(room.hashes()) == 2 * MAX_SUBJECTS <= MAX_STATEMENTS
    assert room.add(fake_statement(LEAVE, 5, time=9).raw)  # those who are known can still say something new


def test_attack_48_those_who_arent_let_in_cant_fill_the_room() -> None:
    """A stranger with the invite makes identities without end; the owner still lets in whom she likes."""
    room = fakes(Mode.ASK)
    room.add(fake_statement(JOIN, 0).raw)
    for at in range(1, MAX_STATEMENTS + 10):
        room.add(fake_statement(JOIN, at).raw)
    assert len(room.hashes()) <= MAX_WAITING + 1
    nina = 5000
    assert room.add(fake_statement(ADMIT, 0, subject=nina).raw)
    assert room.add(fake_statement(JOIN, nina).raw)
    assert fingerprint(fake(nina).modulus) in room.fps()


def test_attack_48_keys_that_were_merely_shown_arent_kept() -> None:
    """Who fills the memory for keys with HELLOs of made-up identities mustn't keep out statements of the true ones."""
    room = fakes(Mode.OPEN)
    for at in range(10_000, 10_000 + 2 * MAX_STATEMENTS):
        room.key(fake(at).modulus)
    assert len(room._shown) == MAX_SHOWN
    room.add(fake_statement(JOIN, 7).raw)
    assert room.add(fake_statement(LEAVE, 7, time=2).raw)


def test_attack_48_statements_whose_signer_is_unknown_are_few() -> None:
    room = fakes(Mode.OPEN)
    for at in range(1, 3 * MAX_PENDING):
        assert not room.add(fake_statement(LEAVE, at).raw)
        assert not room.add(fake_statement(LEAVE, at).raw)
    assert len(room._pending) == MAX_PENDING


def test_there_are_at_most_256_members_and_the_owner_is_one() -> None:
    room = fakes(Mode.OPEN)
    for at in range(1, MAX_SUBJECTS):
        room.add(fake_statement(JOIN, at, time=at).raw)
    assert len(room.fps()) == MAX_MEMBERS
    assert room.owner in room.fps()
    listed = {at for at in range(1, MAX_SUBJECTS) if room.is_member(fingerprint(fake(at).modulus))}
    assert listed == set(range(1, MAX_MEMBERS))  # the oldest; and `is_member` and `fps` agree


def test_nobody_crowds_out_the_owner_by_having_come_before_time_began() -> None:
    people = sorted(range(MAX_SUBJECTS), key=lambda at: fingerprint(fake(at).modulus))
    room = Members(FakeEngine(), ROOM, fingerprint(fake(people[-1]).modulus), Mode.OPEN)
    for at in people:
        room.add(fake_statement(JOIN, at, time=0).raw)
    assert len(room.fps()) == MAX_MEMBERS
    assert room.owner in room.fps()


def test_statements_come_back_in_an_order_that_can_be_merged_at_once() -> None:
    room = members(Mode.ASK)
    for statement in (signed(JOIN, "alice"), signed(ADMIT, "alice", "bob"), signed(JOIN, "bob"), signed(LEAVE, "bob")):
        room.add(statement.raw)
    again = members(Mode.ASK)
    assert all(again.add(raw) for raw in room.statements())
    assert again.set_digest == room.set_digest
    assert len(room.statements(besides=room.hashes()[:1])) == 3


def test_the_newest_nick_counts() -> None:
    room = members()
    for time, nick in ((2, "new"), (1, "old")):
        room.add(make_statement(JOIN, ROOM, key("identity bob"), fp("bob"), time, nick).raw)
    assert room.nick(fp("bob")) == "new"
    assert room.nick(fp("carol")) == ""


def test_nicks() -> None:
    for nick in ("", "alice", "\U0001f3d4" * 16, "\0", "\u202egnp"):
        assert parse_nick(pack_nick(nick)) == nick
    with pytest.raises(ValueError, match="64"):
        pack_nick("a" * 65)
    for bad in (
        b"",
        b"\x41" + b"a" * 64,
        b"\x01ab".ljust(65, b"\0"),
        b"\x01\xff".ljust(65, b"\0"),
        bytes(64),
        bytes(66),
    ):
        with pytest.raises(WireError):
            parse_nick(bad)


def test_statements_of_another_shape_are_refused() -> None:
    raw = signed(JOIN, "bob").raw
    for bad in (b"", raw[:-1], raw + b"\0", b"\x04" + raw[1:], b"\0" + raw[1:], raw[:72]):
        with pytest.raises(WireError):
            parse_statement(bad)


def test_who_is_the_same_in_any_order() -> None:
    fps = [fp("alice"), fp("bob"), fp("carol")]
    assert len({who_digest(ROOM, order) for order in permutations(fps)}) == 1
    assert who_digest(ROOM, fps) != who_digest(ROOM, fps[:2])
    assert who_digest(ROOM, fps) != who_digest(bytes(32), fps)
