"""One connection: from the socket to its seat and back, in the clear or under TLS 1.3.

TLS is spoken over memory buffers instead of asyncio's own TLS transport.  That one keeps 256 KiB for a connection and
reads no more than that at once; here all connections share two buffers, a handshake is under the same deadline as the
join, and nothing logs an address.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import struct
import sys
from typing import Any, Protocol, cast

from chatcore.wire import Refusal
from relay.lanes import AS_IT_IS, Seal, Way
from relay.limits import Bucket
from relay.porch import Porch
from relay.seat import Seat
from relay.switch import Switch

KERNEL_SEND_BYTES = 512 * 1024  # else the kernel would keep several megabytes for a peer that doesn't read
KERNEL_WAITING_BYTES = 64 * 1024  # of these, what is not on its way yet: what waits should wait here, in a fair order
KERNEL_READ_BYTES = 4 * 1024 * 1024, 128 * 1024  # most, and least, that the kernel keeps of what a seat sent too fast
AT_ONCE_S = 0.5  # of what a seat may send in that time: a long text, not all of a file
STEP_BYTES = 16 * 1024  # that go through TLS at once, about a record: its buffers never give back what they once took
_SEND = socket.socket.send  # not bound to its socket: of each reader that would be one more thing to have at hand
RESET = struct.pack("ii", 1, 0)  # SO_LINGER 0: close with a reset, keep nothing


class House(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    switch: Switch
    context: ssl.SSLContext | None
    sealed: memoryview  # the buffer into which all TLS connections read
    porch: Porch

    def note(self, word: str) -> None:
        """Log one word."""

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is gone."""


class Connection(asyncio.BufferedProtocol):
    """One TCP connection, and the port of its seat.  `network` is what it counts for at the door.

    What a seat writes goes straight to the socket, which saves a fifth of all that the relay does; the transport gets
    what the socket doesn't take, and everything after it until that is gone.
    """

    __slots__ = ("bucket", "doom", "early", "house", "network", "seat", "sock", "transport")

    transport: asyncio.Transport
    seat: Seat
    seal: Seal = AS_IT_IS

    def __init__(self, house: House, sock: socket.socket, network: str, doom: tuple[Refusal, int] | None) -> None:
        self.house = house
        self.sock = sock
        self.network: str | None = network  # as long as it counts there
        self.doom = doom
        self.early = b""  # what came while it was a stranger, until its turn
        self.bucket: Bucket | None = None
        self.rule()

    def rule(self) -> None:
        """Have the limits, which may be others than when it came, bound how much is read from here."""
        paced = math.isfinite(self.house.switch.limits.pace(1))
        self.bucket = Bucket(1, AT_ONCE_S, self.house.loop.time()) if paced else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a seat, still as a stranger."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)  # any rest calls pause_writing, and its end resume_writing
        # asyncio leaves Nagle's algorithm on for sockets that it did not make, and that costs 40 ms now and then.
        self._option(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._option(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_SEND_BYTES)
        if sys.platform == "linux":
            self._option(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_WAITING_BYTES)
        if rate := self.house.switch.limits.max_bytes_per_second_per_seat:
            most, least = KERNEL_READ_BYTES  # an eighth of a second: so long a seat's own words wait behind its files
            self._option(socket.SOL_SOCKET, socket.SO_RCVBUF, max(least, min(most, rate // 8)))
        self.seat = self.house.switch.open(self, self.doom)

    def _option(self, level: int, name: int, value: int | bytes) -> None:
        with contextlib.suppress(OSError):  # the peer may be gone already
            self.sock.setsockopt(level, name, value)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self.seat.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that came; those of a stranger when its turn has come, for a crowd may join in one moment."""
        if self.bucket is not None:
            self._pay(nbytes)
        if self.seat.room is not None or self.seat.closing:
            self.seat.buffer_updated(nbytes)
        else:
            self.early += bytes(self.seat.get_buffer()[:nbytes])
            self._wait()

    def _wait(self) -> None:
        """Read no more from a stranger until its turn has come."""
        self.transport.pause_reading()
        self.house.porch.wait(self._on_turn)

    def _on_turn(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._hear()

    def _hear(self) -> None:
        """Take what a stranger said before its turn."""
        data, self.early = self.early, b""
        while data:
            buffer = self.seat.get_buffer()
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self.seat.buffer_updated(size)
            data = data[size:]

    def _pay(self, size: int) -> None:
        """Read no more for a while when this seat sends faster than it may: TCP then slows its sender down."""
        assert self.bucket is not None
        loop = self.house.loop
        if wait_s := self.bucket.take(size / self.seat.pace(), loop.time()):
            self.transport.pause_reading()
            loop.call_later(wait_s, self._go_on)

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        """Close with the peer, when its turn has come; the loop alone would close all who go at once, however many."""
        self.house.switch.hang_up(self.seat)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self.house.switch.lost(self.seat)
        self.house.lost(self)
        del self.seat  # in whose circle all this would stay until it is searched for

    @property
    def way(self) -> Way:
        """Return the way straight to the socket."""
        return _SEND, self.sock

    def keep(self, rest: bytes) -> None:
        """Hand the transport what the socket didn't take."""
        self.seat.set_way((Connection._pass, self))  # before anything else can be written: order
        self.transport.write(rest)
        if not self.transport.get_write_buffer_size():
            self.seat.set_way(None)

    def _pass(self, data: bytes) -> int:
        self.transport.write(data)
        return len(data)

    def pause_writing(self) -> None:
        """Learn that the peer doesn't read as fast as it is sent to."""
        self.seat.set_behind(True)

    def resume_writing(self) -> None:
        """Learn that it has caught up."""
        self.seat.set_way(None)
        self.seat.set_behind(False)

    def finish(self) -> None:
        """Say that no more comes, and go on reading for a moment.

        Closing at once would reset the connection if the peer is still sending, and it would never read the last frame.
        """
        if not self.transport.is_closing():
            with contextlib.suppress(OSError):  # the peer has reset the connection, and the loop will say so
                self.transport.write_eof()

    def close(self) -> None:
        """Let go of the connection; what it may give back follows when it has ended."""
        self.transport.close()

    def reset(self) -> None:
        """Drop the connection and all that waits in it."""
        self._option(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def unsent_bytes(self) -> int:
        """Return how much waits because the peer doesn't read."""
        return self.transport.get_write_buffer_size()


class TlsConnection(Connection):
    """The same under TLS 1.3."""

    __slots__ = ("_incoming", "_outgoing", "_ready", "_tls")

    def __init__(self, house: House, sock: socket.socket, network: str, doom: tuple[Refusal, int] | None) -> None:
        super().__init__(house, sock, network, doom)
        assert house.context is not None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = house.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ready = False

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next sealed bytes go."""
        return self.house.sealed[: self.seat.most_bytes()]

    def buffer_updated(self, nbytes: int) -> None:
        """Take sealed bytes and hand on what they open to; those of a stranger when its turn has come."""
        if self.seat.closing:  # nobody will look at it, so it isn't worth opening
            return
        if self.bucket is not None:
            self._pay(nbytes)
        sealed = self.house.sealed[:nbytes]
        if self.seat.room is not None:
            self._open(sealed)
        else:
            self._incoming.write(sealed)
            self._wait()

    def _hear(self) -> None:
        """Open what a stranger said before its turn."""
        self._open(memoryview(b""))

    def _open(self, sealed: memoryview) -> None:
        try:
            if not self._ready:
                self._tls.do_handshake()
                self._ready = True
            self._read(sealed)
        except ssl.SSLWantReadError:
            pass  # the rest of a record, or of the handshake, is to come
        except ssl.SSLError:
            self.house.note("tls")
            self._close()  # with the alert that says what was wrong
            return
        self._send_sealed()

    def _read(self, sealed: memoryview) -> None:
        """Hand on all that can be opened.  Raises SSLWantReadError inside a record."""
        while sealed or self._incoming.pending or self._tls.pending():
            buffer, size, count = self.seat.get_buffer(), 0, 1
            try:
                while size < len(buffer):
                    if not (self._incoming.pending or self._tls.pending()):
                        if not sealed:
                            break
                        sealed = self._step(sealed)
                    try:
                        # With a buffer, `read` returns how many bytes it put there; typeshed knows the other form only.
                        count = cast(int, self._tls.read(len(buffer) - size, cast(Any, buffer[size:])))
                    except ssl.SSLWantReadError:
                        if not sealed:
                            raise
                        sealed = self._step(sealed)
                        continue
                    if not count:
                        break
                    size += count
            finally:
                if size:
                    self.seat.buffer_updated(size)
            if not count:  # the peer said goodbye, which came after all else that it said
                self._close()
                return

    def _step(self, sealed: memoryview) -> memoryview:
        self._incoming.write(sealed[:STEP_BYTES])
        return sealed[STEP_BYTES:]

    def _close(self) -> None:
        self._send_sealed()
        self.house.switch.hang_up(self.seat)

    def _send_sealed(self) -> None:
        if self._outgoing.pending:
            self.seat.write_sealed(self._outgoing.read())

    def seal(self, data: bytes) -> bytes:
        """Return the TLS records that carry this; none if the connection can carry no more."""
        if len(data) > STEP_BYTES:
            return b"".join([self.seal(data[at : at + STEP_BYTES]) for at in range(0, len(data), STEP_BYTES)])
        try:
            self._tls.write(data)
        except ssl.SSLError:
            self.reset()
        return self._outgoing.read()

    def finish(self) -> None:
        """Say goodbye in TLS, then as above."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()  # queues our goodbye, and raises because the peer's isn't here yet
        self._send_sealed()
        super().finish()
