"""Tag, mask and key schedule: what goes inside an RSA block.  Pure.  docs/PROTOCOL.md, "Primitives" and "Seal".

A block's plaintext is 190 bytes: `counter u64 | tag 16 | masked body 166`.  The body is `kind u8 | part u8 | parts u8 |
length u8 | content 162, zero padded`.  The mask is keyed through the room secret, which never crosses the wire: it
holds where RSA alone would fall.  Everything symmetric is HMAC-SHA-256, HKDF (RFC 5869) and SHAKE-256 of the
standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import shake_256

from chatcore.errors import CryptoError, WireError

LABEL = b"parley/1 "  # starts every label, so that another version of the protocol fails closed

FP_SIZE = 32
TAG_SIZE = 16
COUNTER_SIZE = 8
CONTENT_SIZE = 162
BODY_SIZE = 4 + CONTENT_SIZE  # 166
SEALED_SIZE = COUNTER_SIZE + TAG_SIZE + BODY_SIZE  # 190, what OAEP carries in an RSA-2048 block
MAX_PARTS = 255
_BODY = struct.Struct(f">BBBB{CONTENT_SIZE}s")  # kind, part, parts, length, content with zeros after it
assert _BODY.size == BODY_SIZE
MAX_CONTENT_BYTES = MAX_PARTS * CONTENT_SIZE  # 41,310


def digest(label: bytes, data: bytes) -> bytes:
    """Return SHA-256 of the labelled data, 32 bytes."""
    return hashlib.sha256(LABEL + label + data).digest()


def fingerprint(modulus: bytes) -> bytes:
    """Return the 32-byte fingerprint of an identity key (its 256-byte modulus)."""
    return digest(b"id", modulus)


def extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869, 2.2); 32 bytes."""
    return hmac.digest(salt, ikm, "sha256")


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, 2.3); `length` up to 8,160 bytes."""
    out = block = b""
    for index in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes((index,)), "sha256")
        out += block
    return out[:length]


@dataclass(frozen=True, slots=True)
class SealKeys:
    """The two keys of one direction: `tag` and `mask`, 32 bytes each."""

    tag: bytes = field(repr=False)
    mask: bytes = field(repr=False)
    mac: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mac", hmac.new(self.tag, digestmod="sha256"))

    @classmethod
    def derive(cls, prk: bytes, info: bytes) -> SealKeys:
        """Expand `prk` to the 64 bytes of the two keys."""
        both = expand(prk, info, 64)
        return cls(both[:32], both[32:])


@dataclass(frozen=True, slots=True)
class Body:
    """One part of something: `part` of `parts` (both 1..255), with 0..162 bytes of content.

    Only the last part may be short.
    """

    kind: int
    part: int
    parts: int
    content: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the 166 bytes of this body."""
        return _BODY.pack(self.kind, self.part, self.parts, len(self.content), self.content)


def parse_body(data: bytes) -> Body:
    """Read 166 bytes.  Raises WireError for a part that can't be, a length that lies or padding that isn't zero."""
    if len(data) != BODY_SIZE:
        raise WireError("not a body")
    kind, part, parts, length = data[:4]
    content = data[4 : 4 + length]
    if (
        not 1 <= part <= parts
        or length > CONTENT_SIZE
        or (length < CONTENT_SIZE and part != parts)
        or any(data[4 + length :])
    ):
        raise WireError("not a body")
    return Body(kind, part, parts, content)


def split(kind: int, content: bytes) -> list[bytes]:
    """Cut up to 41,310 bytes of content into bodies of 166 bytes; empty content is one empty part."""
    if len(content) <= CONTENT_SIZE:  # nearly all there is, and on the way of every copy of a message
        return [_BODY.pack(kind, 1, 1, len(content), content)]
    if len(content) > MAX_CONTENT_BYTES:
        raise ValueError("content is longer than 255 parts")
    pieces = [content[at : at + CONTENT_SIZE] for at in range(0, len(content), CONTENT_SIZE)]
    return [Body(kind, index, len(pieces), piece).to_bytes() for index, piece in enumerate(pieces, 1)]


def seal(keys: SealKeys, counter: int, body: bytes) -> bytes:
    """Tag and mask a 166-byte body; returns the 190 bytes to be RSA-encrypted."""
    return seal_all([keys], [counter], [body])[0]


def seal_all(keys: Sequence[SealKeys], counters: Sequence[int], bodies: Sequence[bytes]) -> list[bytes]:
    """Seal many bodies of 166 bytes, each with its keys and its counter: a fan-out, masked by one XOR over all."""
    heads = [counter.to_bytes(COUNTER_SIZE) for counter in counters]
    tags = []
    for pair, head, body in zip(keys, heads, bodies, strict=True):
        mac = pair.mac.copy()  # the key is set up once: a third of what HMAC costs on so little data
        mac.update(head + body)
        tags.append(mac.digest()[:TAG_SIZE])
    masks = [
        shake_256(pair.mask + tag + head).digest(BODY_SIZE) for pair, head, tag in zip(keys, heads, tags, strict=True)
    ]
    size = BODY_SIZE * len(masks)
    masked = (int.from_bytes(b"".join(bodies)) ^ int.from_bytes(b"".join(masks))).to_bytes(size)
    starts = range(0, size, BODY_SIZE)
    return [head + tag + masked[at : at + BODY_SIZE] for head, tag, at in zip(heads, tags, starts, strict=True)]


def counter_of(sealed: bytes) -> int:
    """Return the counter of 190 sealed bytes, before anything about them is known to be true."""
    return int.from_bytes(sealed[:COUNTER_SIZE])


def seal_record(keys: SealKeys, context: bytes, data: bytes) -> bytes:
    """Seal what is kept on a disk, bound to its place by `context`: `tag 16 | masked data`, by the formulas of a block.

    The same data in the same place is the same record: nothing is drawn, so nothing can repeat by accident.  Contexts
    under one pair of keys are all of one size.
    """
    context = LABEL + b"record" + context
    tag = _tag(keys, context + data)
    return tag + _mask(keys, tag + context, data)


def open_record(keys: SealKeys, context: bytes, record: bytes) -> bytes:
    """Open what `seal_record` made for this place.  Raises CryptoError."""
    return _open(keys, LABEL + b"record" + context, record[:TAG_SIZE], record[TAG_SIZE:])


def open_sealed(keys: SealKeys, sealed: bytes) -> bytes:
    """Unmask 190 bytes and check their tag; returns the 166-byte body.  Raises CryptoError."""
    body_at = COUNTER_SIZE + TAG_SIZE
    return _open(keys, sealed[:COUNTER_SIZE], sealed[COUNTER_SIZE:body_at], sealed[body_at:])


def _tag(keys: SealKeys, data: bytes) -> bytes:
    mac = keys.mac.copy()  # its key is set up
    mac.update(data)
    return mac.digest()[:TAG_SIZE]


def _mask(keys: SealKeys, nonce: bytes, data: bytes) -> bytes:
    mask = shake_256(keys.mask + nonce).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(len(data))


def _open(keys: SealKeys, context: bytes, tag: bytes, masked: bytes) -> bytes:
    """Unmask, and check the tag over `context` and data.  Raises CryptoError."""
    data = _mask(keys, tag + context, masked)
    if not hmac.compare_digest(tag, _tag(keys, context + data)):
        raise CryptoError
    return data
