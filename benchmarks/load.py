"""The members of some rooms, all in one thread: one of each room says message after message to all the others.

Each text carries its number, and each reader checks that none is missing, doubled or for somebody else.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator

from benchmarks.dialects import PARLEY, Dialect, Socket
from chatcore.dial import client_context

READ_BYTES = 1 << 18
MARK_SIZE = 24  # a text begins with its reader and its number, in hex because IRC carries no bytes
QUIET_S = 0.2  # of what a server says about joins nobody counts anything
DRAIN_S = 10.0


class BrokenError(Exception):
    """Something got lost, or came where it shouldn't."""


class Room:
    """One room: what was said in it, and how much of it each has read."""

    def __init__(self, sender: Member, readers: list[Member], heads: list[bytes], dialect: Dialect) -> None:
        self.sender = sender
        self.readers = readers
        self.messages = 0
        self.read = 0  # messages that everybody has read
        self.unsent = b""
        self._heads = [*(head + b"%08x" % at for at, head in enumerate(heads)), b""]
        self._rest = os.urandom((dialect.text_size - MARK_SIZE) // 2).hex().encode() + dialect.tail
        for at, reader in enumerate(readers):
            reader.mark = b"%08x" % (at if len(heads) > 1 else 0)

    def say(self, count: int) -> None:
        """Queue so many messages more."""
        first, self.messages = self.messages, self.messages + count
        self.unsent += b"".join(
            (b"%016x" % number + self._rest).join(self._heads) for number in range(first, first + count)
        )

    def send(self) -> None:
        """Send what is queued, as far as that goes."""
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.sender.sock.send(self.unsent) :]


class TlsSocket:
    """A connection under TLS that sends all it has sealed in one go, as a member's program does.

    One of the standard library sends record after record, and a relay with time to spare reads a text in many pieces.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.fileno, self.close = sock.fileno, sock.close
        self._sock, self._blocking = sock, True
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(self._incoming, self._outgoing)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                break
            sock.sendall(self._outgoing.read())
            self._incoming.write(sock.recv(READ_BYTES))
        sock.sendall(self._outgoing.read())

    def setblocking(self, blocking: bool) -> None:
        """Let `recv` wait, or not.  Sending always waits: a relay goes on reading, whatever it has to write."""
        self._blocking = blocking
        self._sock.setblocking(blocking)

    def recv(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end.  Raises BlockingIOError if there are none yet."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return self._tls.read(size)
            if not (sealed := self._sock.recv(READ_BYTES)):
                return b""
            self._incoming.write(sealed)

    def send(self, data: bytes) -> int:
        """Seal and send all of it."""
        self._tls.write(data)
        self._sock.setblocking(True)
        self._sock.sendall(self._outgoing.read())
        self._sock.setblocking(self._blocking)
        return len(data)

    sendall = send


class Member:
    """One connection.  `size` is what it gets for one text, once the first has come."""

    room: Room

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.got = 0
        self.rest = b""
        self.size = 0
        self.mark = b""


class Load:
    """All rooms."""

    def __init__(self, port: int, rooms: int, members: int, *, dialect: Dialect = PARLEY, tls: bool = False) -> None:
        self.deliveries = 0
        self.delays_s: list[float] = []
        self._dialect = dialect
        self._tls = tls
        self._due: tuple[float, float] | None = None  # when message 0 is due, and how long after it the next
        self._selector = selectors.DefaultSelector()
        self.rooms = [self._room(port, number, members) for number in range(rooms)]
        self._hush()

    def _room(self, port: int, number: int, members: int) -> Room:
        seats: list[Member] = []
        addresses: list[bytes] = []
        for seat in range(number * members, (number + 1) * members):
            sock = self._connect(port)
            addresses.append(self._dialect.join(sock, number, seat))
            if not seats:
                sock.sendall(self._dialect.speak)
            sock.setblocking(False)
            seats.append(Member(sock))
        room = Room(seats[0], seats[1:], self._dialect.heads(number, addresses[1:]), self._dialect)
        for member in seats:
            member.room = room
            self._selector.register(member.sock, selectors.EVENT_READ, member)
        return room

    def _connect(self, port: int) -> Socket:
        sock = socket.create_connection(("127.0.0.1", port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return TlsSocket(sock) if self._tls else sock

    def _read(self, member: Member) -> Iterator[bytes]:
        with contextlib.suppress(BlockingIOError):
            while True:
                data = member.sock.recv(READ_BYTES)
                if not data:
                    raise BrokenError("the server closed a connection")
                yield data
                if not self._tls and len(data) < READ_BYTES:
                    break

    def _reads(self, wait_s: float) -> Iterator[tuple[Member, bytes]]:
        for key, _ in self._selector.select(wait_s):
            for data in self._read(key.data):
                yield key.data, data

    def _hush(self) -> None:
        for room in self.rooms:
            for member in (room.sender, *room.readers):
                deque(self._read(member), 0)  # also what TLS has opened already, of which no selector knows
        end_s = time.monotonic() + QUIET_S
        while time.monotonic() < end_s:
            for _ in self._reads(QUIET_S):
                end_s = time.monotonic() + QUIET_S

    def run(self, seconds: float, window: int) -> int:
        """Keep so many messages of each sender on the way, for so long; return the deliveries in that time."""
        begin, end_s = self.deliveries, time.monotonic() + seconds
        touched = set(self.rooms)
        while time.monotonic() < end_s:
            for room in touched:
                if room.messages - room.read < window:
                    room.say(window - room.messages + room.read)
                room.send()
            touched = self._take(0.05) | {room for room in touched if room.unsent}
        return self.deliveries - begin

    def run_at(self, per_second: float, seconds: float) -> list[float]:
        """Let each sender say so much at times that the server doesn't move; return how late each delivery was."""
        begun_s = time.monotonic() + 0.01
        first = self.rooms[0].messages
        self.delays_s = []
        self._due = begun_s - first / per_second, 1 / per_second
        while (now_s := time.monotonic()) < begun_s + seconds:
            due = first + int(max(0.0, now_s - begun_s) * per_second) + (now_s >= begun_s)
            for room in self.rooms:
                if due > room.messages:
                    room.say(due - room.messages)
                room.send()
            next_s = begun_s + (self.rooms[0].messages - first) / per_second
            self._take(max(0.0, next_s - time.monotonic()))
        self._due = None
        return self.delays_s

    def _take(self, wait_s: float) -> set[Room]:
        """Read once, and return the rooms in which everybody has read a message more."""
        advanced = set()
        for member, data in self._reads(wait_s):
            if member is member.room.sender:
                continue  # Redis says for each text how many have got it
            self._count(member, member.rest + data)
            room = member.room
            if member.got > room.read and (read := min(reader.got for reader in room.readers)) > room.read:
                room.read = read
                advanced.add(room)
        return advanced

    def _count(self, member: Member, data: bytes) -> None:
        if self._dialect.aside:
            data = data.replace(self._dialect.aside, b"")
        if not member.size and data:
            member.size = self._dialect.size(data)
        size, before = member.size or 1 << 30, member.got
        at = size - self._dialect.behind - self._dialect.text_size
        whole = len(data) - len(data) % size
        for begin in range(0, whole, size):
            if data[begin + at : begin + at + MARK_SIZE] != b"%b%016x" % (member.mark, member.got):
                raise BrokenError("a delivery was lost, doubled or misrouted")
            member.got += 1
        member.rest = data[whole:]
        self.deliveries += member.got - before
        if self._due is not None:
            now_s = time.monotonic()
            self.delays_s += [now_s - self._due[0] - number * self._due[1] for number in range(before, member.got)]

    def finish(self) -> None:
        """Wait for what is on its way, check that nothing was lost, and go."""
        end_s = time.monotonic() + DRAIN_S
        try:
            while any(room.unsent or room.read < room.messages for room in self.rooms):
                if time.monotonic() > end_s:
                    raise BrokenError("a delivery was lost")
                for room in self.rooms:
                    room.send()
                self._take(0.05)
        finally:
            self.close()

    def close(self) -> None:
        """Go."""
        for key in list(self._selector.get_map().values()):
            key.data.sock.close()
        self._selector.close()
