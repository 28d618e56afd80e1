"""What one relay tells another through the engine: names of subjects, and messages of a few fields.  Pure.

The engine, and whoever else may use it, is trusted with nothing: `parse` takes what this module makes, bounded and in
its one canonical form, and refuses all else.  docs/PROTOCOL.md, "Between relays".
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from chatcore.errors import WireError
from chatcore.wire import ADDRESS_SIZE, FRAME_SIZE

LABEL = b"parley/1 "
VERSION = 1
BOOT_SIZE = 8  # drawn by a relay at its start: one that was started again is another
EVERYBODY = bytes(BOOT_SIZE)
TOKEN_SIZE = 20  # of a room; 32 letters in a subject
RECORD = struct.Struct(">Q8s")  # a seat: since when (ms since 1970), its address
MAX_RECORDS = 2048  # in one message, and so in a room
MAX_BLOCKS = 64  # in one batch: 17,408 bytes
BLOCK_BYTES = FRAME_SIZE  # in a batch: where to 8, where from 8, the block 256
MAX_MESSAGE_BYTES = 34_000  # of any kind; more isn't kept long enough to be looked at
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")

_HEAD = struct.Struct(">BB8sQ")  # version, kind, boot of the sender, number
_CHANGE = struct.Struct(">QH")  # the number before, how many of the records are gone
_ASK = struct.Struct(">8sB")  # whom, anew


class About(IntEnum):
    """What a message is about.  `number` counts the changes of its sender, in all rooms together."""

    LIST = 1  # of a room: all seats
    CHANGE = 2  # of a room: seats that are gone, seats that have come
    BEAT = 3  # of a room: the digest of its seats, so that whoever missed something notices
    ASK = 4  # for the LIST of a room
    HERE = 5  # of a relay: it is alive
    BYE = 6  # of a relay: it goes


_ABOUTS = frozenset(About)


@dataclass(frozen=True, slots=True)
class Message:
    """One message.  Which fields count depends on what it is about."""

    about: About
    boot: bytes  # of the sender
    number: int = 0
    before: int = 0  # CHANGE: the number of the sender's change before this one in this room, 0 if there was none
    gone: tuple[bytes, ...] = ()  # CHANGE: records
    come: tuple[bytes, ...] = ()  # CHANGE and LIST: records
    digest: int = 0  # BEAT
    whom: bytes = EVERYBODY  # ASK: the boot of who should answer
    anew: bool = False  # ASK: who asks holds none of those seats (any more)

    def __repr__(self) -> str:
        """Show what it is about only: records are addresses."""
        return f"Message({self.about.name})"

    def to_bytes(self) -> bytes:
        """Return 18 bytes and what follows: 16 for each record, at most 2,048 of them."""
        head = _HEAD.pack(VERSION, self.about, self.boot, self.number)
        match self.about:
            case About.LIST:
                return head + b"".join(self.come)
            case About.CHANGE:
                return b"".join((head, _CHANGE.pack(self.before, len(self.gone)), *self.gone, *self.come))
            case About.BEAT:
                return head + self.digest.to_bytes(8)
            case About.ASK:
                return head + _ASK.pack(self.whom, self.anew)
        return head


def parse(data: bytes) -> Message:
    """Read one message.  Raises WireError for everything that `to_bytes` doesn't make."""
    if len(data) < _HEAD.size:
        raise WireError("cut short")
    version, kind, boot, number = _HEAD.unpack_from(data)
    if version != VERSION or kind not in _ABOUTS or boot == EVERYBODY:
        raise WireError("unknown")
    message = _body(About(kind), boot, number, data[_HEAD.size :])
    if message.to_bytes() != data:
        raise WireError("not canonical")
    return message


def _body(about: About, boot: bytes, number: int, data: bytes) -> Message:
    match about:
        case About.LIST:
            return Message(about, boot, number, come=_records(data))
        case About.CHANGE if len(data) >= _CHANGE.size:
            before, gone = _CHANGE.unpack_from(data)
            end = _CHANGE.size + gone * RECORD.size
            return Message(
                about, boot, number, before, gone=_records(data[_CHANGE.size : end]), come=_records(data[end:])
            )
        case About.BEAT if len(data) == 8:
            return Message(about, boot, number, digest=int.from_bytes(data))
        case About.ASK if len(data) == _ASK.size:
            whom, anew = _ASK.unpack(data)
            return Message(about, boot, number, whom=whom, anew=anew == 1)
    return Message(about, boot, number)


def _records(data: bytes) -> tuple[bytes, ...]:
    records = tuple(data[at : at + RECORD.size] for at in range(0, len(data), RECORD.size))
    if len(records) > MAX_RECORDS or any(one >= two for one, two in pairwise(records)):
        raise WireError("too many, or not in their order")
    if any(len(record) != RECORD.size or not any(record[-ADDRESS_SIZE:]) for record in records):
        raise WireError("no record")
    return records


def digest_of(records: Iterable[bytes]) -> int:
    """Return what BEAT says of these records: 64 bits that come and go with each of them.  It finds accidents only."""
    digest = 0
    for record in records:
        digest ^= int.from_bytes(hashlib.sha256(record).digest()[:8])
    return digest


def token_of(room_id: bytes) -> str:
    """Return what stands for a room in a subject: it shows which room is meant to those who know the room's id."""
    return base64.b32encode(hashlib.sha256(LABEL + b"engine" + room_id).digest()[:TOKEN_SIZE]).decode().lower()


@dataclass(frozen=True, slots=True)
class Subjects:
    """The subjects of one relay, by the names of its cluster and of itself, and its boot in hex."""

    cluster: str
    name: str
    boot: str

    @property
    def own_blocks(self) -> str:
        """Where blocks for seats of this relay come, of all rooms."""
        return f"parley.{self.cluster}.n.{self.name}.{self.boot}.*"

    @property
    def all_hearts(self) -> str:
        """Where every relay says that it is alive."""
        return f"parley.{self.cluster}.h.*"

    @property
    def own_heart(self) -> str:
        """Where this relay says so."""
        return f"parley.{self.cluster}.h.{self.name}"

    def room(self, token: str) -> str:
        """Where all relays speak about a room."""
        return f"parley.{self.cluster}.c.{token}.*"

    def own_words(self, token: str) -> str:
        """Where this relay speaks about a room."""
        return f"parley.{self.cluster}.c.{token}.{self.name}"

    def blocks(self, name: str, boot: str, token: str) -> str:
        """Where blocks for another relay's seats in a room go."""
        return f"parley.{self.cluster}.n.{name}.{boot}.{token}"
