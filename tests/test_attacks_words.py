"""Attacks 49 and 50: words through real rooms, and worked out a second time without a line of Parley."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from mnemonic import Mnemonic
from world import Client, World, fp

from chatcore.events import RosterChanged
from chatcore.members import StatementType
from chatcore.wordlist import english
from chatcore.words import room_words

VECTORS = Path(__file__).parent / "vectors" / "words.txt"


def _shown(client: Client) -> tuple[tuple[str, ...], frozenset[bytes]]:
    """The names and the fingerprints that a window shows now."""
    rosters = [event for event in client.events if isinstance(event, RosterChanged)]
    return tuple(sorted(m.nick for m in rosters[-1].members)), frozenset(m.fp for m in rosters[-1].members)


def _words(client: Client) -> tuple[str, ...]:
    invite = client.room.invite
    return room_words(english(), invite.room_id, invite.epoch, _shown(client)[1])


def _apart(world: World, *names: str) -> None:
    """The relay lets nothing through between these and the others."""
    world.tamper = lambda source, to, block: [(source, to, block)] if (source in names) == (to in names) else []


def test_attack_49_lists_that_differ_in_one_person_give_other_words() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    assert _words(alice) == _words(bob)
    before = _words(bob)
    _apart(world, "bob")
    world.client("carol")
    world.advance(3)
    assert _shown(alice)[1] - _shown(bob)[1] == {fp("carol")}
    assert _words(alice) != before == _words(bob)
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(100)  # links that heard nothing are made again
    assert _words(alice) == _words(bob) != before


def test_attack_49_one_key_put_in_place_of_another_gives_other_words_though_the_names_agree() -> None:
    """A relay with the invite shows bob a carol of its own, and alice the real one."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    _apart(world, "bob", "mallory")
    world.client("carol")
    mallory = world.client("mallory", connect=False)
    mallory.room.nick = mallory.room._signer.nick = "carol"
    mallory.room._merge(mallory.room._signer.sign(StatementType.JOIN, mallory.room.fp, world.now.ms + 1).raw)
    mallory.connect()
    world.advance(3)
    assert _shown(alice)[0] == _shown(bob)[0] == ("alice", "bob", "carol")
    assert _shown(alice)[1] ^ _shown(bob)[1] == {fp("carol"), fp("mallory")}
    assert _words(alice) != _words(bob)


def test_attack_49_coming_and_going_changes_no_word() -> None:
    world = World()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    world.advance(3)
    words = _words(alice)
    views = [_shown(client)[1] for client in (alice, bob, carol)]
    for _ in range(5):
        carol.disconnect()
        world.advance(2)
        views += [_shown(alice)[1], _shown(bob)[1]]
        carol.connect()
        world.advance(2)
        views += [_shown(client)[1] for client in (alice, bob, carol)]
    assert set(views) == {frozenset(map(fp, ("alice", "bob", "carol")))}
    assert _words(alice) == _words(bob) == _words(carol) == words


# -- attack 50: a second implementation, from the text of the specification --------------------------------------------


def _pbkdf2(password: bytes, salt: bytes, rounds: int) -> bytes:
    """The first block of PBKDF2 (RFC 8018, 5.2), round by round."""
    keyed = hmac.new(password, digestmod=hashlib.sha256)

    def prf(data: bytes) -> bytes:
        one = keyed.copy()
        one.update(data)
        return one.digest()

    block = prf(salt + b"\0\0\0\1")
    folded = int.from_bytes(block, "big")
    for _ in range(rounds - 1):
        block = prf(block)
        folded ^= int.from_bytes(block, "big")
    return folded.to_bytes(32, "big")


def _vectors() -> list[dict[str, str]]:
    blocks = VECTORS.read_text("utf-8").split("\n\n")[1:]
    return [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line[:12]) for block in blocks]


@pytest.mark.parametrize("number", range(2))
def test_attack_50_the_words_of_the_vectors_by_a_second_implementation(number: int) -> None:
    vector = _vectors()[number]
    fps = bytes.fromhex(vector["fps"])
    password = hashlib.sha256(b"parley/1 words" + (len(fps) // 32).to_bytes(2, "big") + fps).digest()
    salt = b"parley/1 words" + bytes.fromhex(vector["room-id"]) + int(vector["epoch"]).to_bytes(4, "big")
    bits = "".join(f"{byte:08b}" for byte in _pbkdf2(password, salt, 2**19)[:11])
    list_ = Mnemonic("english").wordlist
    assert " ".join(list_[int(bits[at : at + 11], 2)] for at in range(0, 88, 11)) == vector["words"]
