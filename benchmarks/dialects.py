"""How to say the same to servers of different kinds: one text for each other member of a room.

Whoever counts texts needs of a dialect how a member joins, how a text to another is written, and how long is what a
member gets for it.  That is always the same length for the same reader, since there is one sender in each room.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatcore.wire import FRAME_SIZE, HEADER, VERSION, Frame, Kind, join_block

TEXT_SIZE = 256
IRC_TEXT_SIZE = 344  # the same in base64, since a line of IRC carries no bytes


class Socket(Protocol):
    """What a member speaks through: a socket, or what seals for one."""

    def send(self, data: bytes, /) -> int:
        """Send some of this, and return how much."""

    def sendall(self, data: bytes, /) -> object:
        """Send this."""

    def recv(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""

    def setblocking(self, blocking: bool, /) -> None:
        """Let `recv` wait, or raise BlockingIOError."""

    def fileno(self) -> int:
        """Return the number of the socket."""

    def close(self) -> None:
        """Go."""


@dataclass(frozen=True)
class Dialect:
    """One language."""

    join: Callable[[Socket, int, int], bytes]  # of a room and a seat, counted over all rooms; its address
    heads: Callable[[int, Sequence[bytes]], list[bytes]]  # what goes before a text to each: of a room, and addresses
    size: Callable[[bytes], int]  # of what a reader gets for a text, by its first bytes
    tail: bytes = b""  # what goes behind a text
    behind: int = 0  # bytes behind a text, for its reader
    text_size: int = TEXT_SIZE
    aside: bytes = b""  # what the server says between texts now and then, that isn't one
    speak: bytes = b""  # what a sender says before all else, once it has joined


def _until(sock: Socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        if not (piece := sock.recv(4096)):
            raise ConnectionError("the server closed the connection while a member joined")
        data += piece
    return data


def _exactly(sock: Socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (piece := sock.recv(size - len(data))):
            raise ConnectionError("the server closed the connection while a member joined")
        data += piece
    return data


# -- our own wire, and frames of the same size with addresses that the members choose ----------------------------------


def _join_parley(sock: Socket, room: int, _seat: int) -> bytes:
    sock.sendall(Frame(Kind.JOIN, block=join_block((b"benchmark%d" % room).ljust(32))).to_bytes())
    return _exactly(sock, FRAME_SIZE)[8:16]


def _parley_heads(_room: int, addresses: Sequence[bytes]) -> list[bytes]:
    return [HEADER.pack(VERSION, Kind.SEND, 0, 0, address) for address in addresses]


def _join_bare(sock: Socket, room: int, seat: int) -> bytes:
    address = (seat + 1).to_bytes(8)
    sock.sendall((b"\1" + bytes(7) + address + (room + 1).to_bytes(8)).ljust(FRAME_SIZE, b"\0"))
    _exactly(sock, FRAME_SIZE)
    return address


def _bare_heads(_room: int, addresses: Sequence[bytes]) -> list[bytes]:
    return [b"\3" + bytes(7) + address for address in addresses]


# -- NATS, Redis, MQTT: a subject for each member ----------------------------------------------------------------------


def _join_nats(sock: Socket, _room: int, seat: int) -> bytes:
    _until(sock, b"\r\n")
    options = {"verbose": False, "pedantic": False, "echo": False, "lang": "python", "version": "1", "protocol": 1}
    sock.sendall(b"CONNECT %s\r\nSUB m.%d 1\r\nPING\r\n" % (json.dumps(options).encode(), seat))
    _until(sock, b"PONG\r\n")
    return b"m.%d" % seat


def _nats_heads(_room: int, addresses: Sequence[bytes]) -> list[bytes]:
    return [b"PUB %s %d\r\n" % (address, TEXT_SIZE) for address in addresses]


def _join_redis(sock: Socket, _room: int, seat: int) -> bytes:
    address = b"m%07d" % seat
    sock.sendall(b"SUBSCRIBE " + address + b"\r\n")
    _until(sock, b":1\r\n")
    return address


def _redis_heads(_room: int, addresses: Sequence[bytes]) -> list[bytes]:
    return [b"*3\r\n$7\r\nPUBLISH\r\n$8\r\n%s\r\n$%d\r\n" % (address, TEXT_SIZE) for address in addresses]


def _join_mqtt(sock: Socket, _room: int, seat: int) -> bytes:
    name, topic = b"c%d" % seat, b"m/%d" % seat
    sock.sendall(b"\x10" + bytes([12 + len(name)]) + b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name)
    _exactly(sock, 4)
    sock.sendall(b"\x82" + bytes([5 + len(topic)]) + b"\0\1" + struct.pack(">H", len(topic)) + topic + b"\0")
    _exactly(sock, 5)
    return topic


def _mqtt_heads(_room: int, addresses: Sequence[bytes]) -> list[bytes]:
    rests = [2 + len(address) + TEXT_SIZE for address in addresses]
    return [
        bytes([0x30, rest & 0x7F | 0x80, rest >> 7]) + struct.pack(">H", len(address)) + address
        for address, rest in zip(addresses, rests, strict=True)
    ]


def _mqtt_size(data: bytes) -> int:
    return 3 + (data[1] & 0x7F | data[2] << 7)


# -- IRC: the server repeats a line for everybody in a channel ---------------------------------------------------------


def _join_irc(sock: Socket, room: int, seat: int) -> bytes:
    sock.sendall(b"NICK u%d\r\nUSER u%d 0 * :x\r\n" % (seat, seat))
    _until(sock, b" 001 ")
    sock.sendall(b"JOIN #r%d\r\n" % room)
    _until(sock, b" 366 ")
    return b"u%d" % seat


def _irc_heads(room: int, _addresses: Sequence[bytes]) -> list[bytes]:
    return [b"PRIVMSG #r%d :" % room]


def _line_size(data: bytes) -> int:
    return data.index(b"\n") + 1


# -- WebSocket: to the server in benchmarks/peers.py -------------------------------------------------------------------


def _join_websocket(sock: Socket, room: int, _seat: int) -> bytes:
    asked = b"GET /%d HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" % room
    sock.sendall(asked + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    data = _until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")[2]
    return (data + _exactly(sock, 2 + 8 - len(data)))[2:]


def _websocket_heads(_room: int, addresses: Sequence[bytes]) -> list[bytes]:
    size = struct.pack(">H", 8 + TEXT_SIZE)
    return [b"\x82\xfe" + size + bytes(4) + address for address in addresses]  # a mask of zeros changes nothing


PARLEY = Dialect(_join_parley, _parley_heads, lambda _: FRAME_SIZE)
BARE = Dialect(_join_bare, _bare_heads, lambda _: FRAME_SIZE)
NATS = Dialect(_join_nats, _nats_heads, lambda data: _line_size(data) + TEXT_SIZE + 2, b"\r\n", 2, aside=b"PING\r\n")
REDIS = Dialect(
    _join_redis,
    _redis_heads,
    lambda data: data.index(b"$256\r\n") + 6 + TEXT_SIZE + 2,
    b"\r\n",
    2,
    speak=b"RESET\r\n",  # who listens may not speak in the older form of its protocol
)
MQTT = Dialect(_join_mqtt, _mqtt_heads, _mqtt_size)
IRC = Dialect(_join_irc, _irc_heads, _line_size, b"\r\n", 2, IRC_TEXT_SIZE)
WEBSOCKET = Dialect(_join_websocket, _websocket_heads, lambda _: 4 + 8 + TEXT_SIZE)
