"""Who belongs to a room: signed statements and the set they make.  Pure.  docs/PROTOCOL.md, "Members".

A statement is `type u8 | signer fp 32 | subject fp 32 | time u64 ms | extra | signature 256`.  Everyone keeps a set of
them and merges what they hear; who is a member follows from the set alone, never from the order in which it came.  Of
the statements that say the same thing about the same person only the newest is kept, so the set can't be made to grow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from chatcore.engines import MODULUS_SIZE, SIGNATURE_SIZE, Engine, PrivateKey, PublicKey
from chatcore.errors import CryptoError, InviteError, WireError
from chatcore.invite import MAX_PINS, PASS_SIZE, PIN_SIZE, Mode, RelayAddress
from chatcore.rhythm import MOST_PERIOD_S
from chatcore.seal import LABEL, digest, fingerprint

HASH_SIZE = 32
NICK_SIZE = 64
MAX_SUBJECTS = 341  # people about whom there may be statements: a JOIN, a LEAVE and an ADMIT each
MAX_STATEMENTS = 3 * MAX_SUBJECTS + 2  # 1,025: with the two about the room itself
MAX_WAITING = 64  # people in an `ask` room with a JOIN and no ADMIT: anybody with the invite can make those
MAX_MEMBERS = 256
MAX_SHOWN = 64  # keys remembered of those without a statement
MAX_PENDING = 64  # statements whose signer's key isn't known yet

_HEAD = struct.Struct(">B32s32sQ")  # type, signer, subject, time
_JOIN_EXTRA_SIZE = MODULUS_SIZE + 1 + NICK_SIZE  # identity key, nick length, nick
_HOST_SIZE = 253  # the longest name
# host length, host, port, how many pins, pins, whether there is a pass, pass: 354 bytes, whatever stands in them
_RELAY = struct.Struct(f">B{_HOST_SIZE}sHB{MAX_PINS * PIN_SIZE}sB{PASS_SIZE}s")


class StatementType(IntEnum):
    """What a statement says."""

    JOIN = 1  # by the subject: I belong here, this is my key and my nick
    LEAVE = 2  # by the subject: I belong here no more
    ADMIT = 3  # by the owner: the subject may belong here (`ask` rooms)
    STEADY = 5  # by the owner, of the room: one block to each member every so many seconds; 4 is for later versions
    RELAY = 6  # by the owner, of the room: it is on this relay from now on


_EXTRA_SIZE = {
    StatementType.JOIN: _JOIN_EXTRA_SIZE,
    StatementType.LEAVE: 0,
    StatementType.ADMIT: 0,
    StatementType.STEADY: 1,  # seconds, 0 to 30
    StatementType.RELAY: _RELAY.size,
}
_BY_OWNER = (StatementType.ADMIT, StatementType.STEADY, StatementType.RELAY)


def pack_nick(nick: str) -> bytes:
    """Return `length u8 | nick 64, zero padded` (65 bytes).  Raises ValueError when it is over 64 bytes of UTF-8."""
    raw = nick.encode()
    if len(raw) > NICK_SIZE:
        raise ValueError("a nick is at most 64 bytes")
    return bytes((len(raw),)) + raw.ljust(NICK_SIZE, b"\0")


def parse_nick(data: bytes) -> str:
    """Read the 65 bytes of `pack_nick`.  Raises WireError."""
    if len(data) != 1 + NICK_SIZE or data[0] > NICK_SIZE or any(data[1 + data[0] :]):
        raise WireError("not a nick")
    length = data[0]
    try:
        return data[1 : 1 + length].decode()
    except UnicodeDecodeError:
        raise WireError("not a nick") from None


def pack_relay(relay: RelayAddress) -> bytes:
    """Return the 354 bytes: where a relay is, how it is known, its pass.  Raises ValueError without a pin."""
    if not relay.pins:
        raise ValueError("nobody is sent to a relay that has no key to know it by")
    host, pins = relay.host.encode("ascii"), b"".join(relay.pins)
    has_pass = bool(relay.relay_pass)
    return _RELAY.pack(len(host), host, relay.port, len(relay.pins), pins, has_pass, relay.relay_pass)


def parse_relay(data: bytes) -> RelayAddress:
    """Read the 354 bytes of `pack_relay`.  Raises WireError unless it is exactly what that writes."""
    try:
        host_size, host, port, count, pins, has_pass, relay_pass = _RELAY.unpack(data)
        names = tuple(pins[at : at + PIN_SIZE] for at in range(0, count * PIN_SIZE, PIN_SIZE))
        relay = RelayAddress(host[:host_size].decode("ascii"), port, names, relay_pass if has_pass else b"")
        if pack_relay(relay) == data:
            return relay
    except (struct.error, ValueError, InviteError):
        pass
    raise WireError("not a relay")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, read but not yet verified.  `identity` (256 bytes) and `nick` are those of a JOIN, else empty."""

    raw: bytes
    hash: bytes  # SHA-256 by which members compare what they hold
    type: StatementType
    signer: bytes
    subject: bytes
    time_ms: int
    identity: bytes = b""
    nick: str = ""
    period_s: int = 0  # of a STEADY
    relay: RelayAddress | None = None  # of a RELAY

    @property
    def rank(self) -> tuple[int, bytes]:
        """The order among statements that say the same thing of the same person: newest last."""
        return self.time_ms, self.hash

    def signed_bytes(self, room_id: bytes, identity: bytes) -> bytes:
        """Return what the signature is over: the room, the signer's key, and all of the statement before it."""
        return LABEL + b"stmt" + room_id + identity + self.raw[:-SIGNATURE_SIZE]


def parse_statement(raw: bytes) -> Statement:
    """Read a statement.  Raises WireError; the signature isn't looked at here."""
    try:
        kind, signer, subject, time_ms = _HEAD.unpack_from(raw)
        kind = StatementType(kind)
    except (struct.error, ValueError):
        raise WireError("not a statement") from None
    if len(raw) != _HEAD.size + _EXTRA_SIZE[kind] + SIGNATURE_SIZE:
        raise WireError("not a statement")
    if kind is not StatementType.ADMIT and signer != subject:
        raise WireError("one joins and leaves in one's own name")
    identity, nick = b"", ""
    if kind is StatementType.JOIN:
        extra = raw[_HEAD.size : -SIGNATURE_SIZE]
        identity, nick = extra[:MODULUS_SIZE], parse_nick(extra[MODULUS_SIZE:])
        if fingerprint(identity) != signer:
            raise WireError("a JOIN with somebody else's key")
    period_s = raw[_HEAD.size] if kind is StatementType.STEADY else 0
    if period_s > MOST_PERIOD_S:
        raise WireError("too slow a rhythm to live by")
    relay = parse_relay(raw[_HEAD.size : -SIGNATURE_SIZE]) if kind is StatementType.RELAY else None
    return Statement(raw, digest(b"statement", raw), kind, signer, subject, time_ms, identity, nick, period_s, relay)


def make_statement(
    kind: StatementType,
    room_id: bytes,
    identity: PrivateKey,
    subject: bytes,
    time_ms: int,
    nick: str = "",
    period_s: int = 0,
    relay: RelayAddress | None = None,
) -> Statement:
    """Sign a statement with one's own identity key: `nick` is for a JOIN, `period_s` for a STEADY, `relay` a RELAY."""
    extra = identity.modulus + pack_nick(nick) if kind is StatementType.JOIN else b""
    extra = bytes((period_s,)) if kind is StatementType.STEADY else extra
    extra = pack_relay(relay) if kind is StatementType.RELAY and relay is not None else extra
    unsigned = _HEAD.pack(kind, fingerprint(identity.modulus), subject, time_ms) + extra
    return parse_statement(unsigned + identity.sign(LABEL + b"stmt" + room_id + identity.modulus + unsigned))


def who_digest(room_id: bytes, fps: Iterable[bytes]) -> bytes:
    """Return the 32 bytes by which a message names those it was sealed for, its sender included."""
    return digest(b"who", room_id + b"".join(sorted(fps)))


class Members:
    """The statements of one room in one epoch, and the members they make."""

    def __init__(self, engine: Engine, room_id: bytes, owner: bytes, mode: Mode) -> None:
        self._engine, self._room_id, self._mode = engine, room_id, mode
        self.owner = owner
        self._keys: dict[bytes, PublicKey] = {}
        self._shown: dict[bytes, PublicKey] = {}
        self._about: dict[bytes, dict[tuple[StatementType, bytes], Statement]] = {}  # by subject; by type and signer
        self._pending: list[Statement] = []
        self._set: bytes | None = None  # these two are worked out when first asked for after a change
        self._fps: frozenset[bytes] | None = None

    # -- merging

    def key(self, identity: bytes) -> PublicKey:
        """Return, and remember, the key of an identity (256-byte modulus).  Raises CryptoError.

        Those with a JOIN, and the owner, are remembered for good.  Of others, who are merely shown, the newest few:
        anybody can make any number of them.
        """
        fp = fingerprint(identity)
        known = self._keys.get(fp) or self._shown.get(fp)
        if known is None:
            known = self._engine.public_key(identity)
            if fp == self.owner:
                self._learn(fp, known)
            else:
                self._shown[fp] = known
                while len(self._shown) > MAX_SHOWN:
                    del self._shown[next(iter(self._shown))]
        return known

    def _learn(self, fp: bytes, key: PublicKey) -> None:
        self._shown.pop(fp, None)
        self._keys[fp] = key
        self._retry_pending(fp)

    def add(self, raw: bytes) -> bool:
        """Merge one statement; says whether the set changed.

        Raises WireError or CryptoError for one that is malformed, unauthorised or falsely signed.  One whose signer's
        key isn't known yet is kept aside, within a bound, and looked at again when the key comes.
        """
        return self._add(parse_statement(raw))

    def _add(self, new: Statement) -> bool:
        if new.type in _BY_OWNER and new.signer != self.owner:
            raise CryptoError
        slot = (new.type, new.signer)
        old = self._about.get(new.subject, {}).get(slot)
        if new.rank <= old.rank if old else not self._has_place(new):
            return False
        known = self._keys.get(new.signer) or self._shown.get(new.signer)
        if new.type is StatementType.JOIN:
            known = self.key(new.identity)
        if known is None:
            if new not in self._pending:
                self._pending = [*self._pending, new][-MAX_PENDING:]
            return False
        known.verify(new.signed_bytes(self._room_id, known.modulus), new.raw[-SIGNATURE_SIZE:])
        self._about.setdefault(new.subject, {})[slot] = new
        self._set = self._fps = None
        self._learn(new.signer, known)
        return True

    def _has_place(self, new: Statement) -> bool:
        """Say whether there is room for a first statement of its kind about somebody."""
        if new.subject in self._about:
            return True
        if len(self._about) >= MAX_SUBJECTS:
            return False
        return new.type is StatementType.ADMIT or self.may_join(new.subject) or self._waiting() < MAX_WAITING

    def _waiting(self) -> int:
        return sum(not self.may_join(subject) for subject in self._about)

    def _retry_pending(self, signer: bytes) -> None:
        ripe = [statement for statement in self._pending if statement.signer == signer]
        self._pending = [statement for statement in self._pending if statement.signer != signer]
        for statement in ripe:
            try:
                self._add(statement)
            except CryptoError:
                continue  # falsely signed: nobody is told, as if it had come after the key

    # -- asking

    def find(self, kind: StatementType, subject: bytes) -> Statement | None:
        """Return the newest statement of this type about somebody."""
        about = self._about.get(subject)
        signer = self.owner if kind is StatementType.ADMIT else subject
        return about.get((kind, signer)) if about is not None else None

    def is_member(self, fp: bytes) -> bool:
        """Say whether somebody belongs to the room now."""
        return fp in self.fps()

    def _belongs(self, fp: bytes) -> bool:
        join, leave = self.find(StatementType.JOIN, fp), self.find(StatementType.LEAVE, fp)
        if leave is not None and (join is None or join.time_ms <= leave.time_ms):
            return False
        return fp == self.owner or (join is not None and self.may_join(fp))

    def may_join(self, fp: bytes) -> bool:
        """Say whether a JOIN of this identity would make it a member."""
        return self._mode is Mode.OPEN or fp == self.owner or self.find(StatementType.ADMIT, fp) is not None

    def fps(self) -> frozenset[bytes]:
        """Return the fingerprints of all members.  At most 256: the owner, and the oldest joiners."""
        if self._fps is None:
            ranks = {fp: (fp != self.owner, self.newest_ms(fp), fp) for fp in {*self._about, self.owner}}
            self._fps = frozenset(sorted(filter(self._belongs, ranks), key=ranks.__getitem__)[:MAX_MEMBERS])
        return self._fps

    @property
    def period_s(self) -> int:
        """Every how many seconds each member sends each other one block; 0: whenever there is something to say."""
        steady = self.find(StatementType.STEADY, self.owner)
        return steady.period_s if steady is not None else 0

    @property
    def moved(self) -> Statement | None:
        """The owner's newest word on where the room is, if that isn't where the invite says."""
        return self.find(StatementType.RELAY, self.owner)

    def nick(self, fp: bytes) -> str:
        """Return the nick of the newest JOIN, or an empty string."""
        join = self.find(StatementType.JOIN, fp)
        return join.nick if join else ""

    def newest_ms(self, subject: bytes) -> int:
        """Return the time of the newest JOIN or LEAVE of somebody, or 0."""
        both = (self.find(StatementType.JOIN, subject), self.find(StatementType.LEAVE, subject))
        return max((statement.time_ms for statement in both if statement), default=0)

    def member_since_ms(self, fp: bytes) -> int:
        """Return when a member became one: the time of the JOIN, or of the ADMIT if that is later."""
        both = (self.find(StatementType.JOIN, fp), self.find(StatementType.ADMIT, fp))
        return max((statement.time_ms for statement in both if statement), default=0)

    @property
    def set_digest(self) -> bytes:
        """The 32 bytes by which members notice that they hold different statements."""
        if self._set is None:
            self._set = digest(b"set", self._room_id + b"".join(self.hashes()))
        return self._set

    def _all(self) -> Iterable[Statement]:
        return (statement for about in self._about.values() for statement in about.values())

    def hashes(self) -> list[bytes]:
        """Return the hashes of all statements held, sorted."""
        return sorted(statement.hash for statement in self._all())

    def statements(self, besides: Iterable[bytes] = ()) -> list[bytes]:
        """Return the statements held, as bytes, but those whose hashes are in `besides`; JOINs first."""
        known = set(besides)
        kept = sorted(self._all(), key=lambda statement: (statement.type, statement.rank))
        return [statement.raw for statement in kept if statement.hash not in known]
