"""A small SOCKS5 server (RFC 1928, 1929) on loopback that remembers what it was asked, and misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from chatcore.proxy import Proxy

NO_AUTH, PASSWORD, NOTHING = 0, 2, 255
IPV4, NAME, IPV6 = 1, 3, 4
TIMES_S = 20.0

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """What one connection wanted."""

    methods: bytes
    user: bytes
    kind: int  # of the address
    host: str
    port: int


class SocksServer:
    """Leads whoever comes to one port of this computer, whatever name they ask for.

    `reply` is the code it answers with; `wants` says which method it takes (`NOTHING`: none); `knows` are the user
    names that it lets in, all if it is None; `answer` takes a whole connection in its place.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        reply: int = 0,
        wants: int = PASSWORD,
        knows: set[bytes] | None = None,
        answer: Answer | None = None,
    ) -> None:
        self.port_behind, self.reply, self.wants, self.knows, self.answer = port, reply, wants, knows, answer
        self.asked: list[Asked] = []
        self.connections = self.gone = 0
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="socks server", daemon=True)

    @property
    def proxy(self) -> Proxy:
        return Proxy("127.0.0.1", int(self._sock.getsockname()[1]))

    def __enter__(self) -> SocksServer:
        self.at = self.proxy
        self._thread.start()
        assert self._running.wait(TIMES_S)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMES_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._take(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(take, sock=self._sock)
        self._running.set()
        await self._stop.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(OSError, EOFError):
                await (self.answer or self._speak)(reader, writer)
        finally:
            self.gone += 1
            writer.transport.abort()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        assert version == 5
        methods, user = await reader.readexactly(count), b""
        wants = self.wants if self.wants in methods else NOTHING
        writer.write(bytes((5, wants)))
        if wants == NOTHING:
            await reader.read()  # until the client is gone
            return
        if wants == PASSWORD:
            user = await reader.readexactly((await reader.readexactly(2))[1])
            await reader.readexactly((await reader.readexactly(1))[0])
            bad = self.knows is not None and user not in self.knows
            writer.write(bytes((1, bad)))
            if bad:
                await reader.read()
                return
        _, command, _, kind = await reader.readexactly(4)
        assert command == 1
        host = await self._host(reader, kind)
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append(Asked(methods, user, kind, host, port))
        writer.write(bytes((5, self.reply, 0, IPV4, 0, 0, 0, 0, 0, 0)))
        if not self.reply:
            await self._join(reader, writer)

    async def _host(self, reader: asyncio.StreamReader, kind: int) -> str:
        if kind == NAME:
            return (await reader.readexactly((await reader.readexactly(1))[0])).decode("ascii")
        family, size = (socket.AF_INET, 4) if kind == IPV4 else (socket.AF_INET6, 16)
        return socket.inet_ntop(family, await reader.readexactly(size))

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port_behind)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()

        ways = [
            asyncio.ensure_future(pass_on(reader, there_writer)),
            asyncio.ensure_future(pass_on(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            there_writer.close()


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    while await reader.read(65_536):
        pass


def says(data: bytes) -> Answer:
    """Say this to whoever says anything, and hang up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return answer
