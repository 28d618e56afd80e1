"""The vectors of docs/PROTOCOL.md with both engines, and the independent verifier.  Attacks 22 and 25."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from vectors.generate import GROUPS, write
from vectors.verify_openssl import Record, hexed, records

from chatcore.clock import Moment
from chatcore.content import Content
from chatcore.delivery import Ack, Message, parse_ack, parse_message
from chatcore.engines import Engine, PrivateKey, acceptable_modulus
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.engines.reference import ReferenceEngine, ReferencePublicKey
from chatcore.errors import CryptoError, InviteError, WireError
from chatcore.events import Quote
from chatcore.hello import Greeting, Self, hello_keys, link_keys, transcript
from chatcore.invite import ALTERED, CUT_SHORT, NOT_AN_INVITE, OTHER_VERSION, RELAY_INSTEAD, Invite, Mode, RelayAddress
from chatcore.link import Link, State
from chatcore.lists import NOW as NOW_LIST
from chatcore.lists import ask_list, parse_list, tell_list
from chatcore.lock import Lock, find_lock
from chatcore.members import Members, pack_nick, parse_statement, who_digest
from chatcore.seal import (
    Body,
    SealKeys,
    counter_of,
    fingerprint,
    open_record,
    open_sealed,
    parse_body,
    seal,
    seal_record,
)
from chatcore.text import pack_text, parse_quote, parse_text
from chatcore.wire import FRAME_SIZE, Frame, Kind, parse_frame
from chatcore.wordlist import english
from chatcore.words import room_words
from relay import across

ROOT = Path(__file__).parent.parent
VECTORS = ROOT / "tests" / "vectors"
ENGINES: tuple[Engine, ...] = (OpenSSLEngine(), ReferenceEngine())
NOW = Moment(0.0, 1_800_000_000_000)

each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


def _split(group: str) -> tuple[list[Record], list[Record]]:
    """The records that are right, and those that aren't."""
    everything = list(records(group))
    right = [record for record in everything if record.get("expect", "success") == "success"]
    return right, [record for record in everything if record not in right]


def _keys(engine: Engine) -> dict[str, PrivateKey]:
    right, _ = _split("keys")
    return {record["name"]: engine.private_key(bytes.fromhex(record["private"])) for record in right}


def _number(record: Record, name: str) -> int:
    return int(record[name])


# -- the files themselves ----------------------------------------------------------------------------------------------


def test_the_generator_writes_the_very_same_files(tmp_path: Path) -> None:
    write(tmp_path)
    for name in GROUPS:
        assert (tmp_path / f"{name}.txt").read_bytes() == (VECTORS / f"{name}.txt").read_bytes(), name
    assert {path.stem for path in VECTORS.glob("*.txt")} == set(GROUPS)


def test_every_group_has_what_it_should() -> None:
    counted = {name: tuple(map(len, _split(name))) for name in GROUPS}
    assert counted == {
        "keys": (4, 4),
        "oaep": (4, 16),
        "signature": (3, 17),
        "seal": (5, 5),
        "record": (3, 4),
        "lock": (4, 3),
        "body": (6, 8),
        "room": (6, 0),
        "invite": (4, 11),
        "words": (5, 0),
        "link": (6, 0),
        "statement": (12, 14),
        "content": (8, 0),
        "frame": (10, 6),
        "engine": (10, 10),
    }


def test_every_record_says_what_it_proves() -> None:
    for name in GROUPS:
        head, *stanzas = (VECTORS / f"{name}.txt").read_text("utf-8").split("\n\n")
        assert head.startswith("# ")
        comments = [stanza.splitlines()[0] for stanza in stanzas]
        assert all(comment.startswith("# ") for comment in comments)
        assert len(set(comments)) == len(comments)


# -- the independent verifier ------------------------------------------------------------------------------------------


def _verify(directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-I", str(directory / "verify_openssl.py")],
        capture_output=True, text=True, check=False, timeout=110, env=environment,
    )  # fmt: skip


def test_the_openssl_command_agrees() -> None:
    done = _verify(VECTORS)
    assert done.stdout == f"{sum(sum(map(len, _split(name))) for name in GROUPS)} passed, 0 failed\n"
    assert done.returncode == 0
    assert done.stderr == ""


def test_the_verifier_sees_every_kind_of_damage(tmp_path: Path) -> None:
    """One digit changed in the first record of each file that has the field: the verifier names that file."""
    shutil.copy(VECTORS / "verify_openssl.py", tmp_path)
    fields = {
        "keys": "fingerprint", "oaep": "plaintext", "signature": "signature", "seal": "sealed", "record": "data",
        "lock": "keys", "body": "content", "room": "room-key", "invite": "title", "words": "words", "link": "content",
        "statement": "set", "content": "content", "frame": "block",
        "engine": "token",
    }  # fmt: skip
    for name, field in fields.items():
        text = (VECTORS / f"{name}.txt").read_text("utf-8")
        found = re.search(rf"^{field}: (.+)$", text, re.MULTILINE)
        assert found is not None
        last = found[1][-1]
        swapped = "abandon" if name == "words" else found[1][:-1] + ("0" if last != "0" else "1")
        (tmp_path / f"{name}.txt").write_text(text[: found.start(1)] + swapped + text[found.end(1) :], "utf-8")
    done = _verify(tmp_path)
    assert done.returncode == 1
    assert Counter(line.split()[0] for line in done.stdout.splitlines()[:-1]).keys() == fields.keys()


def test_the_verifier_knows_nothing_of_parley() -> None:
    source = (VECTORS / "verify_openssl.py").read_text("utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
    assert imported <= sys.stdlib_module_names
    assert imported & {"hashlib", "hmac", "ssl", "secrets"} == set()


# -- keys and primitives -----------------------------------------------------------------------------------------------


@each_engine
def test_keys(engine: Engine) -> None:
    right, wrong = _split("keys")
    for record in right:
        private, modulus, fp = hexed(record, "private", "modulus", "fingerprint")
        key = engine.private_key(private)
        assert (key.modulus, fingerprint(key.modulus), key.to_der()) == (modulus, fp, private)
        assert engine.public_key(modulus).modulus == modulus
    for record in wrong:
        (modulus,) = hexed(record, "modulus")
        assert not acceptable_modulus(modulus)
        with pytest.raises(CryptoError):
            engine.public_key(modulus)


@each_engine
def test_oaep(engine: Engine) -> None:
    right, wrong = _split("oaep")
    keys = _keys(engine)
    for record in right:
        plaintext, seed, block = hexed(record, "plaintext", "seed", "block")
        key = keys[record["key"]]
        assert key.decrypt(block) == plaintext
        assert ReferencePublicKey(key.modulus).encrypt_with_seed(plaintext, seed) == block
        assert key.decrypt(engine.public_key(key.modulus).encrypt(plaintext)) == plaintext
    for record in wrong:
        with pytest.raises(CryptoError):
            keys[record["key"]].decrypt(bytes.fromhex(record["block"]))


@each_engine
def test_signatures(engine: Engine) -> None:
    right, wrong = _split("signature")
    keys = _keys(engine)
    for record in right:
        message, signature = hexed(record, "message", "signature")
        assert keys[record["key"]].sign(message) == signature
        engine.public_key(keys[record["key"]].modulus).verify(message, signature)
    for record in wrong:
        message, signature = hexed(record, "message", "signature")
        with pytest.raises(CryptoError):
            engine.public_key(keys[record["key"]].modulus).verify(message, signature)


def test_seal() -> None:
    right, wrong = _split("seal")
    for record in right:
        tag_key, mask_key, body, sealed = hexed(record, "tag-key", "mask-key", "body", "sealed")
        keys = SealKeys(tag_key, mask_key)
        assert seal(keys, _number(record, "counter"), body) == sealed
        assert open_sealed(keys, sealed) == body
        assert counter_of(sealed) == _number(record, "counter")
    for record in wrong:
        tag_key, mask_key, sealed = hexed(record, "tag-key", "mask-key", "sealed")
        with pytest.raises(CryptoError):
            open_sealed(SealKeys(tag_key, mask_key), sealed)


def test_locks() -> None:
    right, wrong = _split("lock")
    for record in right + wrong:
        secret: bytes | str = bytes.fromhex(record.get("secret", ""))
        if "passphrase" in record:
            secret = bytes.fromhex(record["passphrase"]).decode()
        if record["expect"] == "success":
            keys, raw = hexed(record, "keys", "lock")
            lock = Lock.parse(raw)
            assert lock.open(secret) == keys
            assert Lock.make(keys, lock.guard, lock.salt, secret).to_bytes() == raw
            assert find_lock(b"around it" + raw + b"parley lock, or not") == lock
        else:
            with pytest.raises((ValueError, CryptoError)):
                Lock.parse(bytes.fromhex(record["lock"])).open(secret)


def test_records() -> None:
    right, wrong = _split("record")
    for record in right:
        tag_key, mask_key, place, data, kept = hexed(record, "tag-key", "mask-key", "place", "data", "record")
        assert seal_record(SealKeys(tag_key, mask_key), place, data) == kept
        assert open_record(SealKeys(tag_key, mask_key), place, kept) == data
    for record in wrong:
        tag_key, mask_key, place, kept = hexed(record, "tag-key", "mask-key", "place", "record")
        with pytest.raises(CryptoError):
            open_record(SealKeys(tag_key, mask_key), place, kept)


def test_attack_22_bodies() -> None:
    right, wrong = _split("body")
    for record in right:
        body, content = hexed(record, "body", "content")
        wanted = Body(_number(record, "kind"), _number(record, "part"), _number(record, "parts"), content)
        assert parse_body(body) == wanted
        assert wanted.to_bytes() == body
    for record in wrong:
        with pytest.raises(WireError):
            parse_body(bytes.fromhex(record["body"]))


def test_what_relays_say() -> None:
    right, wrong = _split("engine")
    assert across.token_of(bytes.fromhex(right[0]["room-id"])) == right[0]["token"]
    for record in right[1:]:
        (message,) = hexed(record, "message")
        found = across.parse(message)
        assert (found.about, found.boot.hex(), found.number) == (
            _number(record, "kind"),
            record["boot"],
            _number(record, "number"),
        )
        assert b"".join(found.come).hex() == record.get("come", "")
        assert b"".join(found.gone).hex() == record.get("gone", "")
        if found.about is across.About.BEAT:
            (seats,) = hexed(record, "seats")
            assert across.digest_of(seats[at : at + 16] for at in range(0, len(seats), 16)) == found.digest
    assert {across.parse(bytes.fromhex(record["message"])).about for record in right[1:]} == set(across.About)
    for record in wrong:
        with pytest.raises(WireError):
            across.parse(bytes.fromhex(record["message"]))


def test_frames() -> None:
    right, wrong = _split("frame")
    for record in right:
        address, block, frame = hexed(record, "address", "block", "frame")
        kind = Kind(_number(record, "kind"))
        wanted = Frame(kind, _number(record, "argument"), _number(record, "number"), address, block)
        assert wanted.to_bytes() == frame
        assert parse_frame(frame) == wanted
        assert len(frame) == FRAME_SIZE
    assert {parse_frame(bytes.fromhex(record["frame"])).kind for record in right} == set(Kind)
    for record in wrong:
        with pytest.raises(WireError):
            parse_frame(bytes.fromhex(record["frame"]))


# -- invites, rooms, words ---------------------------------------------------------------------------------------------


def test_rooms() -> None:
    relay = RelayAddress("127.0.0.1", 7256)
    for record in records("room"):
        secret, owner, room_id, room_key = hexed(record, "secret", "owner", "room-id", "room-key")
        invite = Invite(secret, owner, _number(record, "epoch"), Mode(_number(record, "mode")), relay, "")
        assert (invite.room_id, invite.room_key) == (room_id, room_key)


def test_invites() -> None:
    right, wrong = _split("invite")
    for record in right:
        secret, owner, title = hexed(record, "secret", "owner", "title")
        pins = tuple(bytes.fromhex(record[name]) for name in ("pin-1", "pin-2") if name in record)
        relay = RelayAddress(record["host"], _number(record, "port"), pins, bytes.fromhex(record.get("pass", "")))
        mode = Mode(_number(record, "mode"))
        invite = Invite(secret, owner, _number(record, "epoch"), mode, relay, title.decode())
        assert invite.to_text() == record["text"]
        assert Invite.parse(record["text"]) == invite
    sentences = {
        "cut short": {CUT_SHORT},
        "altered": {ALTERED},
        "other version": {OTHER_VERSION},
        "not an invite": {NOT_AN_INVITE, RELAY_INSTEAD},
    }
    assert {record["expect"] for record in wrong} == sentences.keys()
    for record in wrong:
        with pytest.raises(InviteError) as caught:
            Invite.parse(record["text"])
        assert str(caught.value) in sentences[record["expect"]]


def test_attack_50_words() -> None:
    for record in records("words"):
        room_id, fps = hexed(record, "room-id", "fps")
        people = [fps[at : at + 32] for at in range(0, len(fps), 32)]
        assert " ".join(room_words(english(), room_id, _number(record, "epoch"), people)) == record["words"]


# -- the handshake -----------------------------------------------------------------------------------------------------


def _self(engine: Engine, record: Record, name: str, nick: str) -> Self:
    room_id, room_key = hexed(record, "room-id", "room-key")
    nonce = next(bytes.fromhex(one["nonce"]) for one in records("link") if one["sender"] == f"{name} session")
    keys = _keys(engine)
    return Self(
        room_id, room_key, keys[f"{name} identity"], keys[f"{name} session"], nick, lambda _: nonce, engine.public_key
    )


def _receive_all(link: Link, blocks: Iterable[bytes]) -> list[Greeting | Content]:
    news = [link.receive(block, NOW) for block in blocks]
    return [one for one in news if one is not None]


@each_engine
def test_attack_25_link_keys(engine: Engine) -> None:
    record = next(record for record in records("link") if "transcript" in record)
    keys = _keys(engine)
    low, high = keys[record["low"]].modulus, keys[record["high"]].modulus
    room_id, room_key, hello_low, hello_high = hexed(record, "room-id", "room-key", "hello-low", "hello-high")
    ends = {low: hello_low, high: hello_high}
    assert [transcript(room_id, ends)] == hexed(record, "transcript")
    derived = link_keys(room_key, room_id, ends)
    for end, name in ((low, "low"), (high, "high")):
        assert [derived[end].tag, derived[end].mask] == hexed(record, f"{name}-tag-key", f"{name}-mask-key")


@each_engine
def test_attack_25_blocks_of_a_handshake_open(engine: Engine) -> None:
    keys = _keys(engine)
    for record in records("link"):
        if "nonce" in record:
            room_key, hello = hexed(record, "room-key", "hello")
            receiver = keys[record["receiver"]]
            both = hello_keys(room_key, keys[record["sender"]].modulus, receiver.modulus)
            blocks = hexed(record, *(f"block-{number}" for number in range(1, 5)))
            opened = [parse_body(open_sealed(both, receiver.decrypt(block))) for block in blocks]
            assert b"".join(body.content for body in opened) == hello


@each_engine
def test_attack_25_the_recorded_handshake_makes_a_link(engine: Engine) -> None:
    """Alice's blocks, as recorded, handed to a Bob who runs now: he comes up, and reads what she says."""
    hello, bobs_hello, _, ready, bobs_ready, ack = records("link")
    keys = _keys(engine)
    nick = bytes.fromhex(bobs_hello["nick"]).decode()
    bob = Link(_self(engine, hello, "bob", nick), engine.public_key(keys["alice session"].modulus), NOW, first=False)
    (greeting,) = _receive_all(bob, hexed(hello, *(f"block-{number}" for number in range(1, 5))))
    assert isinstance(greeting, Greeting)
    assert (greeting.nick, greeting.fp) == ("Alice", fingerprint(keys["alice identity"].modulus))
    bob.answer(bytes.fromhex(bobs_ready["content"]), NOW)
    came = _receive_all(bob, [*hexed(ready, "block"), *hexed(ack, "block")])
    assert [one.data for one in came if isinstance(one, Content)] == [*hexed(ready, "content"), *hexed(ack, "content")]
    assert bob.state is State.UP


# -- members and messages ----------------------------------------------------------------------------------------------


@each_engine
def test_statements(engine: Engine) -> None:
    right, wrong = _split("statement")
    people = [_keys(engine)[name].modulus for name in ("alice identity", "bob identity")]
    held: Members | None = None
    for record in right:
        if "statement" in record:
            room_id, owner, raw, hashed = hexed(record, "room-id", "owner", "statement", "hash")
            members = held = Members(engine, room_id, owner, Mode(_number(record, "mode")))
            for modulus in people:
                members.key(modulus)
            assert members.add(raw)
            assert parse_statement(raw).hash == hashed
    for record in wrong:
        room_id, owner, raw = hexed(record, "room-id", "owner", "statement")
        members = Members(engine, room_id, owner, Mode(_number(record, "mode")))
        for modulus in people:
            members.key(modulus)
        with contextlib.suppress(WireError, CryptoError):
            assert not members.add(raw)
            pytest.fail("it was taken")
        assert members.hashes() == []
    assert held is not None


@each_engine
def test_sets(engine: Engine) -> None:
    right, _ = _split("statement")
    raw = {record["hash"]: bytes.fromhex(record["statement"]) for record in right if "statement" in record}
    common = right[0]
    room_id, owner = hexed(common, "room-id", "owner")
    sets = [record for record in right if "hashes" in record]
    assert len(sets) == 6
    for record in sets:
        members = Members(engine, room_id, owner, Mode(_number(common, "mode")))
        for at in range(0, len(record["hashes"]), 64):
            members.add(raw[record["hashes"][at : at + 64]])
        set_digest, fps, who = hexed(record, "set", "members", "who")
        assert members.set_digest == set_digest
        assert b"".join(sorted(members.fps())) == fps
        assert who_digest(room_id, members.fps()) == who


def test_contents() -> None:
    for record in records("content"):
        (content,) = hexed(record, "content")
        if "log" in record:
            log, held = hexed(record, "log", "set")
            ack = Ack(log, _number(record, "cursor"), _number(record, "head"), held)
            assert parse_ack(content) == ack
            assert ack.to_bytes() == content
            continue
        if "mid" not in record:
            (who,) = hexed(record, "who")
            asked, people = parse_list(content)
            assert asked == who
            assert content == (ask_list(who) if people is None else tell_list(who, people))
            assert (people is None) == ("people" not in record)
            if people:
                listed = b"".join(fp + pack_nick(nick) for fp, nick in people.items())
                (room_id, wanted) = hexed(record, "room-id", "people")
                assert listed == wanted
                assert who in (NOW_LIST, who_digest(room_id, people))
            continue
        room_id, sender, salt, who, text, mid = hexed(record, "room-id", "sender", "salt", "who", "text", "mid")
        quote = None
        if "answers" in record:
            answers, author = hexed(record, "answers", "author")
            quote = Quote(answers, author, _number(record, "came"))
        number, message = parse_message(content)
        assert parse_quote(message.app) == quote
        assert (number, message) == (
            _number(record, "number"),
            Message(salt, _number(record, "time"), who, pack_text(text.decode(), quote)),
        )
        assert parse_text(message.app) == text.decode()
        assert message.mid(room_id, sender) == mid
