"""Frames: 272 bytes in both directions, always.  Knows no cryptography, no sockets.  docs/PROTOCOL.md, "The wire".

A frame is a 16-byte header and one 256-byte block.  No length field exists, so none can lie: a reader takes 272 bytes
at a time.  The relay imports this module and nothing else of the core but the errors.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from chatcore.errors import WireError

Item = TypeVar("Item")

VERSION = 1
DEFAULT_PORT = 7256

HEADER_SIZE = 16
BLOCK_SIZE = 256  # an RSA-2048 ciphertext, and an RSA-2048 modulus
FRAME_SIZE = HEADER_SIZE + BLOCK_SIZE  # 272
ADDRESS_SIZE = 8
ROOM_ID_SIZE = 32
PASS_SIZE = 32

NO_ADDRESS = bytes(ADDRESS_SIZE)
NO_PASS = bytes(PASS_SIZE)
EMPTY_BLOCK = bytes(BLOCK_SIZE)

HEADER = struct.Struct(">BBHI8s")  # version, kind, argument, number, address
assert HEADER.size == HEADER_SIZE


class Kind(IntEnum):
    """What a frame is for.  Direction in brackets: c client, r relay."""

    JOIN = 1  # c>r  block: room id 32 | relay pass 32 or zeros | zeros
    WELCOME = 2  # r>c  address: your seat; argument: how many PRESENT frames follow at once
    PRESENT = 3  # r>c  address: another seat; argument: 1 if it is for you to speak first, also behind the WELCOME
    LEFT = 4  # r>c  address: a seat that is gone
    SEND = 5  # c>r  address: destination; r>c address: source
    PING = 6  # both; answered with a PONG that repeats argument and number
    PONG = 7  # both
    REFUSED = 8  # r>c  argument: a Refusal; number: seconds to wait before another try


class Refusal(IntEnum):
    """Why the relay won't serve a connection (argument of REFUSED)."""

    VERSION = 1
    RELAY_PASS = 2
    ROOM_FULL = 3
    RELAY_FULL = 4
    TOO_FAST = 5
    SHUTTING_DOWN = 6
    MALFORMED = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.  `argument` 0..65535, `number` 0..2^32-1, `address` 8 bytes, `block` 256 bytes."""

    kind: Kind
    argument: int = 0
    number: int = 0
    address: bytes = NO_ADDRESS
    block: bytes = EMPTY_BLOCK

    def __repr__(self) -> str:
        """Show the kind only: a block may hold a room id or a relay pass."""
        return f"Frame({self.kind.name})"

    def to_bytes(self) -> bytes:
        """Return the 272 bytes of this frame."""
        if len(self.block) != BLOCK_SIZE or len(self.address) != ADDRESS_SIZE:
            raise ValueError("a block is 256 bytes and an address 8")
        return HEADER.pack(VERSION, self.kind, self.argument, self.number, self.address) + self.block


def join_block(room_id: bytes, relay_pass: bytes = NO_PASS) -> bytes:
    """Return the block of a JOIN frame: room id (32 bytes), relay pass (32 bytes, zeros for none), zeros."""
    if len(room_id) != ROOM_ID_SIZE or len(relay_pass) != PASS_SIZE:
        raise ValueError("a room id is 32 bytes and a relay pass 32")
    return (room_id + relay_pass).ljust(BLOCK_SIZE, b"\0")


def parse_frame(data: bytes | memoryview) -> Frame:
    """Read exactly 272 bytes.

    Raises WireError when the size, the version or the kind is wrong.  The version is looked at first, so that a peer of
    another version gets the plain answer it deserves.
    """
    if len(data) != FRAME_SIZE:
        raise WireError("a frame is 272 bytes")
    version, kind, argument, number, address = HEADER.unpack_from(data)
    if version != VERSION:
        raise WireError("another protocol version")
    try:
        known = Kind(kind)
    except ValueError:
        raise WireError("unknown kind of frame") from None
    return Frame(known, argument, number, address, bytes(data[HEADER_SIZE:]))


class FrameReader:
    """Cuts a stream into frames; keeps less than one frame between calls."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are held (0..271)."""
        return len(self._tail)

    def receive_data(self, data: bytes) -> list[Frame]:
        """Take bytes in pieces of any size, return the whole frames.

        Raises WireError as `parse_frame` does; but the good frames before a bad one are returned first, and the next
        call raises, and every one after it: what a stream means doesn't depend on the pieces it came in.
        """
        data = self._tail + data
        end = len(data) - len(data) % FRAME_SIZE
        self._tail = data[end:]
        view = memoryview(data)
        frames: list[Frame] = []
        for at in range(0, end, FRAME_SIZE):
            try:
                frames.append(parse_frame(view[at : at + FRAME_SIZE]))
            except WireError:
                self._tail = data[at : at + FRAME_SIZE]
                if not frames:
                    raise
                break
        return frames


class Turns(Generic[Item]):
    """What waits for whoever can't take it all at once: a queue for each address, served in turns.

    In one queue for all, whoever sends most would decide how late everybody's words are.  What one address says keeps
    its order, and so does the relay's news of a seat with what that seat says; nothing rests on the order between two.
    """

    __slots__ = ("_turns", "count", "queues")

    def __init__(self) -> None:
        self.queues: dict[bytes, deque[Item]] = {}
        self.count = 0  # in all queues; whoever shortens one keeps it true, and leaves none empty
        self._turns: deque[bytes] = deque()

    def add(self, address: bytes, item: Item) -> None:
        """Put something behind what waits of the same address."""
        queue = self.queues.get(address)
        if queue is None:
            queue = self.queues[address] = deque()
            self._turns.append(address)
        queue.append(item)
        self.count += 1

    def take(self, most: int) -> list[Item]:
        """Return what comes next, at most so much: one of each address in turn."""
        taken: list[Item] = []
        while self._turns and len(taken) < most:
            address = self._turns.popleft()
            queue = self.queues[address]
            taken.append(queue.popleft())
            if queue:
                self._turns.append(address)
            else:
                del self.queues[address]
        self.count -= len(taken)
        return taken

    def heads(self) -> Iterator[Item]:
        """Yield what has waited longest of each address."""
        return (queue[0] for queue in self.queues.values())
