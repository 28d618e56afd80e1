"""Vectors of single functions: keys, OAEP, signatures, seals, bodies, frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from chatcore.content import ContentKind
from chatcore.engines.reference import ReferencePublicKey, oaep_encode, signature_encode
from chatcore.lock import Guard, Lock
from chatcore.seal import Body, SealKeys, seal, seal_record
from chatcore.wire import Frame, Kind, Refusal, join_block

from .material import Record, flip, fp, key, modulus, raw, signed_raw, stream

PEOPLE = ("alice identity", "bob identity", "alice session", "bob session")


def keys() -> Iterator[Record]:
    for name in PEOPLE:
        yield (
            f"a key of {name.split()[0]}, its modulus and the fingerprint of that: the {name.split()[1]} key",
            {"name": name, "private": key(name).to_der(), "modulus": modulus(name), "fingerprint": fp(name)},
        )
    good = modulus("alice identity")
    refused = {
        "an even modulus": good[:-1] + bytes((good[-1] & 0xFE,)),
        "2047 bits": bytes((good[0] & 0x7F,)) + good[1:],
        "255 bytes": good[1:-1] + b"\x81",
        "257 bytes": b"\0" + good,
    }
    for comment, wrong in refused.items():
        yield comment, {"modulus": wrong, "expect": "refuse"}


def oaep() -> Iterator[Record]:
    plaintexts = {
        "190 bytes that are all there is to carry": stream("plaintext", 190),
        "zeros": bytes(190),
        "ones": b"\xff" * 190,
        "it begins with what separates it from the padding": b"\x01" + bytes(189),
    }
    name = "bob session"
    for comment, plaintext in plaintexts.items():
        seed = stream(f"seed of {comment}", 32)
        block = ReferencePublicKey(modulus(name)).encrypt_with_seed(plaintext, seed)
        yield comment, {"key": name, "seed": seed, "plaintext": plaintext, "block": block, "expect": "success"}
    seed = stream("seed of a wrong block", 32)
    plaintext = stream("plaintext", 190)
    right = oaep_encode(plaintext, seed)
    block = raw(name, right)
    room = 2**2048 - int.from_bytes(modulus(name))  # how far below n a block must be for block + n to fit in 256 bytes
    lucky = (raw(name, oaep_encode(plaintext, stream(f"lucky {n}", 32))) for n in range(10**6))
    above = next(int.from_bytes(one) for one in lucky if int.from_bytes(one) < room) + int.from_bytes(modulus(name))
    wrong = {
        "the label is not empty": raw(name, _with_label(plaintext, seed)),
        "MGF1 is of SHA-1": raw(name, _with_sha1_masks(plaintext, seed)),
        "the first byte is 1": raw(name, b"\x01" + right[1:]),
        "no 01 between padding and message": raw(name, _with_db(hashlib.sha256(b"").digest() + bytes(191), seed)),
        "the padding is not zero": raw(name, _with_db(hashlib.sha256(b"").digest() + b"\x02" + plaintext, seed)),
        "189 bytes: right for OAEP, too short for us": raw(name, oaep_encode(plaintext[1:], seed)),
        "empty: right for OAEP, too short for us": raw(name, oaep_encode(b"", seed)),
        "PKCS #1 v1.5 encryption": raw(name, b"\x00\x02" + b"\xaa" * 63 + b"\x00" + plaintext),
        "for somebody else": raw("alice session", right),
        "one bit flipped": flip(block, 128),
        "the block plus n, which is the same number modulo n": above.to_bytes(256),
        "n itself": modulus(name),
        "zero": bytes(256),
        "255 bytes": block[:-1],
        "257 bytes, the same number": b"\0" + block,
        "nothing": b"",
    }
    for comment, bad in wrong.items():
        yield comment, {"key": name, "block": bad, "expect": "refuse"}


def _with_db(db: bytes, seed: bytes, masks: Callable[[bytes, int], bytes] | None = None) -> bytes:
    def sha256(data: bytes, size: int) -> bytes:
        return b"".join(hashlib.sha256(data + i.to_bytes(4)).digest() for i in range(-(-size // 32)))[:size]

    mask = masks or sha256
    masked_db = bytes(a ^ b for a, b in zip(db, mask(seed, len(db)), strict=True))
    masked_seed = bytes(a ^ b for a, b in zip(seed, mask(masked_db, len(seed)), strict=True))
    return b"\0" + masked_seed + masked_db


def _with_label(plaintext: bytes, seed: bytes) -> bytes:
    return _with_db(hashlib.sha256(b"label").digest() + b"\x01" + plaintext, seed)


def _with_sha1_masks(plaintext: bytes, seed: bytes) -> bytes:
    def sha1(data: bytes, size: int) -> bytes:
        return b"".join(hashlib.sha1(data + i.to_bytes(4)).digest() for i in range(-(-size // 20)))[:size]

    return _with_db(hashlib.sha256(b"").digest() + b"\x01" + plaintext, seed, sha1)


def signature() -> Iterator[Record]:
    name = "alice identity"
    messages = {"a short message": b"parley", "the empty message": b"", "a thousand bytes": stream("message", 1000)}
    for comment, message in messages.items():
        yield comment, {"key": name, "message": message, "signature": key(name).sign(message), "expect": "success"}
    message = b"parley"
    right = key(name).sign(message)
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    no_null = bytes.fromhex("302f300b06096086480165030402010420") + hashlib.sha256(message).digest()
    sha1 = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(message).digest()
    n = int.from_bytes(modulus(name))
    lucky = next(m for i in range(10**6) if int.from_bytes(key(name).sign(m := f"parley {i}".encode())) < 2**2048 - n)

    def padded(content: bytes, size: int = 256, kind: bytes = b"\x00\x01") -> bytes:
        return kind + b"\xff" * (size - len(content) - 3) + b"\0" + content

    assert padded(info) == signature_encode(message)
    wrong = {
        "another message": key(name).sign(b"Parley"),
        "somebody else's signature": key("bob identity").sign(message),
        "one bit flipped": flip(right, 200),
        "255 bytes": right[:-1],
        "257 bytes, the same number": b"\0" + right,
        "zero": bytes(256),
        "one": bytes(255) + b"\x01",
        "n - 1": (n - 1).to_bytes(256),
        "the digest info without its NULL": signed_raw(name, padded(no_null)),
        "the digest is SHA-1's": signed_raw(name, padded(sha1)),
        "something behind the digest, the padding shorter": signed_raw(name, padded(info, 246) + bytes(10)),
        "something behind the digest, eight bytes of padding": signed_raw(name, padded(info, 62) + bytes(194)),
        "padding of type 2": signed_raw(name, padded(info, kind=b"\x00\x02")),
        "one byte of padding is not FF": signed_raw(name, flip(padded(info), 100)),
        "the bare digest": signed_raw(name, padded(hashlib.sha256(message).digest())),
        "PSS": signed_raw(name, _pss(message)),
    }
    for comment, bad in wrong.items():
        yield comment, {"key": name, "message": message, "signature": bad, "expect": "refuse"}
    above = int.from_bytes(key(name).sign(lucky)) + n
    yield (
        "the signature plus n, which is the same number modulo n",
        {"key": name, "message": lucky, "signature": above.to_bytes(256), "expect": "refuse"},
    )


def _pss(message: bytes) -> bytes:
    """RFC 8017, 9.1.1, SHA-256, salt of 32 bytes."""
    salt = stream("salt", 32)
    hashed = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
    db = bytes(190) + b"\x01" + salt
    mask = b"".join(hashlib.sha256(hashed + i.to_bytes(4)).digest() for i in range(7))[:223]
    masked = bytes(a ^ b for a, b in zip(db, mask, strict=True))
    return bytes((masked[0] & 0x7F,)) + masked[1:] + hashed + b"\xbc"


def sealed() -> Iterator[Record]:
    tag_key, mask_key = stream("tag key", 32), stream("mask key", 32)
    both = SealKeys(tag_key, mask_key)
    shown: dict[str, object] = {"tag-key": tag_key, "mask-key": mask_key}
    body = Body(ContentKind.MSG, 1, 1, b"a part").to_bytes()
    full = Body(ContentKind.MSG, 3, 200, stream("part", 162)).to_bytes()
    for comment, counter, one in (
        ("the first block of a direction", 0, body),
        ("a full part", 123_456, full),
        ("the last counter a direction may reach", 2**32 - 1, body),
        ("the first counter of the HELLO keys", 2**63, body),
        ("the largest counter there is", 2**64 - 1, bytes(166)),
    ):
        yield (
            comment,
            shown | {"counter": counter, "body": one, "sealed": seal(both, counter, one), "expect": "success"},
        )
    right = seal(both, 7, body)
    wrong = {
        "one bit of the counter flipped": flip(right, 7),
        "one bit of the tag flipped": flip(right, 8),
        "one bit of the body flipped": flip(right, 189),
        "tagged with another key": seal(SealKeys(mask_key, mask_key), 7, body),
        "masked with another key": seal(SealKeys(tag_key, tag_key), 7, body),
    }
    for comment, bad in wrong.items():
        yield comment, shown | {"sealed": bad, "expect": "refuse"}


def records() -> Iterator[Record]:
    tag_key, mask_key = stream("tag key", 32), stream("mask key", 32)
    both = SealKeys(tag_key, mask_key)
    shown: dict[str, object] = {"tag-key": tag_key, "mask-key": mask_key}
    place = stream("room", 16) + b"\x01" + stream("row", 16)
    for comment, data in (("a line", b"what was said"), ("nothing", b""), ("much", stream("much", 1000))):
        record = seal_record(both, place, data)
        yield comment, shown | {"place": place, "data": data, "record": record, "expect": "success"}
    right = seal_record(both, place, b"what was said")
    for comment, where, bad in (
        ("in another place", flip(place, 0), right),
        ("one bit of the tag flipped", place, flip(right, 0)),
        ("one bit of the data flipped", place, flip(right, 16)),
        ("cut short", place, right[:-1]),
    ):
        yield comment, shown | {"place": where, "record": bad, "expect": "refuse"}


def locks() -> Iterator[Record]:
    keys, salt, secret = stream("vault keys", 96), stream("salt", 16), stream("keyring", 64)
    yield (
        "guarded by nobody",
        {"keys": keys, "lock": Lock.make(keys, Guard.NOBODY, salt).to_bytes(), "expect": "success"},
    )
    for comment, guard, given in (
        ("by a passphrase", Guard.PASSPHRASE, "correct horse"),
        ("by a passphrase that is written in two ways: what counts is its NFKC", Guard.PASSPHRASE, "Batterie\u0301"),
        ("by what a keyring keeps", Guard.KEYRING, secret),
    ):
        shown = {"passphrase": given.encode().hex()} if isinstance(given, str) else {"secret": given}
        lock = Lock.make(keys, guard, salt, given)
        yield comment, {"keys": keys, **shown, "lock": lock.to_bytes(), "expect": "success"}
    right = Lock.make(keys, Guard.PASSPHRASE, salt, "correct horse").to_bytes()
    given = b"correct horse".hex()
    yield "another passphrase", {"passphrase": given + "2e", "lock": right, "expect": "refuse"}
    yield "one bit flipped", {"passphrase": given, "lock": flip(right, 40), "expect": "refuse"}
    yield "cut short", {"passphrase": given, "lock": right[:-1], "expect": "refuse"}


def bodies() -> Iterator[Record]:
    for comment, body in {
        "a part that is alone": Body(2, 1, 1, b"short"),
        "empty content is one empty part": Body(8, 1, 1, b""),
        "a full part that isn't the last": Body(2, 1, 2, stream("full", 162)),
        "the last part of many": Body(2, 255, 255, b"end"),
        "a last part that is full": Body(0, 4, 4, stream("full", 162)),
        "a kind that nobody knows": Body(255, 1, 1, b"?"),
    }.items():
        fields: dict[str, object] = {"kind": body.kind, "part": body.part, "parts": body.parts, "content": body.content}
        yield comment, fields | {"body": body.to_bytes(), "expect": "success"}
    good = Body(2, 1, 1, b"short").to_bytes()
    for comment, bad in {
        "part 0": bytes((2, 0, 1)) + good[3:],
        "part 0 of 0": bytes((2, 0, 0)) + good[3:],
        "part 2 of 1": bytes((2, 2, 1)) + good[3:],
        "a length of 163": bytes((2, 1, 1, 163)) + bytes(162),
        "a short part that isn't the last": bytes((2, 1, 2)) + good[3:],
        "padding that isn't zero": good[:-1] + b"\x01",
        "165 bytes": good[:-1],
        "167 bytes": good + b"\0",
    }.items():
        yield comment, {"body": bad, "expect": "refuse"}


def frames() -> Iterator[Record]:
    seat, block = stream("seat", 8), stream("block", 256)
    for comment, frame in {
        "join without a relay pass": Frame(Kind.JOIN, block=join_block(stream("room id", 32))),
        "join with a relay pass": Frame(Kind.JOIN, block=join_block(stream("room id", 32), stream("relay pass", 32))),
        "welcome: two others are there": Frame(Kind.WELCOME, 2, address=seat),
        "present": Frame(Kind.PRESENT, address=seat),
        "present, and it is for the reader to speak first": Frame(Kind.PRESENT, 1, address=seat),
        "left": Frame(Kind.LEFT, address=seat),
        "send": Frame(Kind.SEND, address=seat, block=block),
        "ping": Frame(Kind.PING, 7, 123_456),
        "pong repeats argument and number": Frame(Kind.PONG, 7, 123_456),
        "refused: too fast, 30 seconds": Frame(Kind.REFUSED, Refusal.TOO_FAST, 30),
    }.items():
        fields: dict[str, object] = {
            "kind": frame.kind.value,
            "argument": int(frame.argument),
            "number": frame.number,
            "address": frame.address,
            "block": frame.block,
        }
        yield comment, fields | {"frame": frame.to_bytes(), "expect": "success"}
    good = Frame(Kind.SEND, address=seat, block=block).to_bytes()
    for comment, bad in {
        "version 2": b"\x02" + good[1:],
        "version 0": b"\x00" + good[1:],
        "kind 0": good[:1] + b"\x00" + good[2:],
        "kind 9": good[:1] + b"\x09" + good[2:],
        "271 bytes": good[:-1],
        "273 bytes": good + b"\0",
    }.items():
        yield comment, {"frame": bad, "expect": "refuse"}
