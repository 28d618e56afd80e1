"""A TCP proxy between clients and a relay, that misbehaves on request and remembers what clients sent."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import cast

RESET = struct.pack("ii", 1, 0)
DEADLINE_S = 20.0


class _Half(asyncio.Protocol):
    """One side of one connection."""

    def __init__(self, proxy: Proxy, other: _Half | None = None) -> None:
        self.proxy = proxy
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []
        self.record: bytearray | None = None
        self.pieces: list[tuple[float, int]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.proxy.halves.add(self)
        if self.proxy.held:
            self.transport.pause_reading()
        if self.other is None:  # a client: find the relay for it
            self.record = bytearray()
            self.pieces = []
            self.proxy.recorded.append(self.record)
            self.proxy.pieces.append(self.pieces)
            self.other = _Half(self.proxy, self)
            self.proxy.spawn_relay_side(self.other)
        else:
            for piece in self.other.early:
                self.transport.write(piece)

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        if self.record is not None:
            self.record += data
            self.pieces.append((time.monotonic(), len(data)))
        else:
            self.proxy.received_bytes += len(data)
        if self.record is None and self.proxy.left_bytes is not None:
            data = data[: self.proxy.left_bytes]
            self.proxy.left_bytes -= len(data)
        if self.other.transport is None:
            self.early.append(data)
            return
        piece = self.proxy.piece_bytes or len(data)
        for at in range(0, len(data), piece):
            self.other.transport.write(data[at : at + piece])
        if self.proxy.left_bytes == 0:
            self.proxy.left_bytes = None
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.proxy.held:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.halves.discard(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def reset(self) -> None:
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            if sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()


class Proxy:
    """Forwards between its own port and another one, both on loopback.

    `recorded` has for each connection, oldest first, what the client sent, `pieces` when how much of it came, and
    `received_bytes` counts what all of them were sent.  `piece_bytes` cuts what is forwarded into pieces of that size;
    `cut_after` closes the connection to the client in the middle of something.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.recorded: list[bytearray] = []
        self.pieces: list[list[tuple[float, int]]] = []  # monotonic seconds, bytes
        self.received_bytes = 0
        self.halves: set[_Half] = set()
        self.held = False
        self.piece_bytes = 0
        self.left_bytes: int | None = None
        self.port = 0
        self._loop = asyncio.SelectorEventLoop()
        self._up = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._up.wait(DEADLINE_S)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._call(self._loop.stop)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def hold(self) -> None:
        """Forward nothing more, and take nothing: the network has gone silent."""
        self.held = True
        self._call(lambda: self._each(lambda transport: transport.pause_reading()))

    def go_on(self) -> None:
        """Forward again."""
        self.held = False
        self._call(lambda: self._each(lambda transport: transport.resume_reading()))

    def reset(self) -> None:
        """Break every connection, at both ends, and lose what is on its way."""

        def reset() -> None:
            for half in list(self.halves):
                half.reset()

        self._call(reset)

    def cut_after(self, size_bytes: int) -> None:
        """Close the connection to the client after so many more bytes from the relay."""
        self.left_bytes = size_bytes

    def spawn_relay_side(self, half: _Half) -> None:
        task = self._loop.create_task(self._connect(half))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, half: _Half) -> None:
        try:
            await self._loop.create_connection(lambda: half, "127.0.0.1", self.target_port)
        except OSError:
            if half.other is not None:
                half.other.reset()

    def _call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def _each(self, function: Callable[[asyncio.Transport], object]) -> None:
        for half in list(self.halves):
            if half.transport is not None and not half.transport.is_closing():
                function(half.transport)

    def _run(self) -> None:
        server = self._loop.run_until_complete(self._loop.create_server(lambda: _Half(self), "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._loop.call_soon(self._up.set)
        self._loop.run_forever()
        server.close()
        for half in list(self.halves):
            half.reset()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))  # let the transports say goodbye
        self._loop.close()
