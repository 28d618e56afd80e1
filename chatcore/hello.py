"""The HELLO: by it two session keys learn who holds the other, and their link keys come of both HELLOs.  Pure.

All formulas are symmetric.  When one is said, and what follows from it, is for the link.
docs/PROTOCOL.md, "Handshake".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from chatcore.content import Content, ContentKind
from chatcore.engines import MODULUS_SIZE, SIGNATURE_SIZE, PrivateKey, PublicKey
from chatcore.errors import WireError
from chatcore.members import NICK_SIZE, pack_nick, parse_nick
from chatcore.seal import CONTENT_SIZE, LABEL, SealKeys, digest, extract, fingerprint, open_sealed, parse_body

NONCE_SIZE = 32
_GREETING = struct.Struct(f">{MODULUS_SIZE}s{NONCE_SIZE}sH{1 + NICK_SIZE}s37s")  # identity, nonce, caps, nick, zeros
HELLO_SIZE = _GREETING.size + SIGNATURE_SIZE  # 392 + 256 = 648
HELLO_PARTS = 4
assert HELLO_PARTS * CONTENT_SIZE == HELLO_SIZE

HELLO_COUNTER = 2**63  # counters from here on are under the hello keys: the 4 of a HELLO, then the 3 of a carried ADMIT
CARRIED_PARTS = 3
MAX_HELLOS = 16  # newer HELLOs taken in one attempt of one's own


@dataclass(frozen=True, slots=True)
class Greeting:
    """A verified HELLO: who is at the other end.  `identity` is a 256-byte modulus, `fp` its fingerprint."""

    identity: bytes
    fp: bytes
    nick: str
    caps: int


@dataclass(frozen=True, slots=True)
class Self:
    """What a client brings to each of its links in one connection."""

    room_id: bytes = field(repr=False)
    room_key: bytes = field(repr=False)
    identity: PrivateKey
    session: PrivateKey
    nick: str
    random: Callable[[int], bytes] = field(repr=False)
    key_of: Callable[[bytes], PublicKey] = field(repr=False)  # modulus of an identity -> its key; raises CryptoError


def hello_keys(room_key: bytes, sender: bytes, receiver: bytes) -> SealKeys:
    """Return the keys of HELLOs from one session key (256-byte modulus) to another."""
    return SealKeys.derive(room_key, LABEL + b"hello" + hashlib.sha256(sender + receiver).digest())


def hello_signed_bytes(room_id: bytes, sender: bytes, receiver: bytes, unsigned: bytes) -> bytes:
    """Return what the signature in a HELLO is over: the room, both session keys, and the 392 bytes before it."""
    return LABEL + b"hello sig" + room_id + sender + receiver + unsigned


def transcript(room_id: bytes, ends: dict[bytes, bytes]) -> bytes:
    """Return the 32 bytes that both ends must agree on; `ends` maps each session modulus to its 648-byte HELLO."""
    low, high = sorted(ends)
    return digest(b"transcript", room_id + low + high + ends[low] + ends[high])


def link_keys(room_key: bytes, room_id: bytes, ends: dict[bytes, bytes]) -> dict[bytes, SealKeys]:
    """Return for each end, by its session modulus, the keys it sends with."""
    low, high = sorted(ends)
    shared = transcript(room_id, ends)
    prk = extract(room_key, nonce_of(ends[low]) + nonce_of(ends[high]))
    return {
        end: SealKeys.derive(prk, LABEL + b"link" + shared + bytes((side,))) for side, end in enumerate((low, high))
    }


def nonce_of(hello: bytes) -> bytes:
    """Return the 32 random bytes in a HELLO."""
    return hello[MODULUS_SIZE : MODULUS_SIZE + NONCE_SIZE]


def make_hello(me: Self, other: bytes) -> bytes:
    """Return a new HELLO (648 bytes) to a session key (256-byte modulus): it has a nonce of its own."""
    unsigned = _GREETING.pack(me.identity.modulus, me.random(NONCE_SIZE), 0, pack_nick(me.nick), b"")
    return unsigned + me.identity.sign(hello_signed_bytes(me.room_id, me.session.modulus, other, unsigned))


def verify_hello(me: Self, other: bytes, hello: bytes) -> Greeting:
    """Read the 648 bytes of a HELLO from a session key (256-byte modulus).  Raises WireError or CryptoError."""
    identity, _, caps, nick, zeros = _GREETING.unpack_from(hello)
    if any(zeros):
        raise WireError("not a HELLO")
    name = parse_nick(nick)
    unsigned, signature = hello[: _GREETING.size], hello[_GREETING.size :]
    me.key_of(identity).verify(hello_signed_bytes(me.room_id, other, me.session.modulus, unsigned), signature)
    return Greeting(identity, fingerprint(identity), name, caps)


class Hellos:
    """The HELLOs of the other end in one attempt of our own, and the ADMIT they carry.

    Their parts come in any order; each HELLO counts once.
    """

    def __init__(self, me: Self, other: bytes) -> None:
        """`other` is the session key at the other end (256-byte modulus)."""
        self.newest = b""  # of those that were verified
        self._me, self._other = me, other
        self._keys = hello_keys(me.room_key, other, me.session.modulus)
        self._pieces: dict[int, bytes] = {}  # by their place: first those of a HELLO, then those of what it carries
        self._taken: set[bytes] = set()

    @property
    def are_many(self) -> bool:
        """Whether the newest isn't the first."""
        return len(self._taken) > 1

    def take(self, index: int, sealed: bytes) -> Greeting | Content | None:
        """Take the 190 bytes of one part; `index` counts from HELLO_COUNTER on.

        Returns what is whole by that: a HELLO that is new, or what it carried.  Raises WireError or CryptoError.
        """
        body = parse_body(open_sealed(self._keys, sealed))
        wanted = (
            (ContentKind.HELLO, index + 1, HELLO_PARTS)
            if index < HELLO_PARTS
            else (ContentKind.STMT, index + 1 - HELLO_PARTS, CARRIED_PARTS)
        )
        if (body.kind, body.part, body.parts) != wanted:
            raise WireError("not a HELLO")
        self._pieces[index] = body.content
        if index < HELLO_PARTS:
            return self._join()
        carried = self._joined(range(HELLO_PARTS, HELLO_PARTS + CARRIED_PARTS))
        return Content(ContentKind.STMT, carried) if self.newest and carried is not None else None

    def _joined(self, places: range) -> bytes | None:
        whole = all(at in self._pieces for at in places)
        return b"".join(self._pieces[at] for at in places) if whole else None

    def _join(self) -> Greeting | None:
        hello = self._joined(range(HELLO_PARTS))
        if hello is None:
            return None
        for at in range(HELLO_PARTS):
            del self._pieces[at]
        if hello in self._taken or len(self._taken) >= MAX_HELLOS:
            return None
        greeting = verify_hello(self._me, self._other, hello)
        self._taken.add(hello)
        self.newest = hello
        return greeting

    def erase(self) -> None:
        """Forget them: the attempt is over."""
        self.newest = b""
        self._pieces.clear()
        self._taken.clear()
