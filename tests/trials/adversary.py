"""A man in the relay's place: it holds the relay's key, speaks the relay's protocol, and does what a script says.

Everybody has a port of their own, so that it knows who is who, over all their connections.  A `script` sees each block
as (source, destination, block) and returns what is handed out instead.  Everything that went in is in `log`.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

from chatcore.invite import RelayAddress
from chatcore.wire import FRAME_SIZE, Frame, Kind, parse_frame
from relay import keys

T = TypeVar("T")
Hop = tuple[str, str, bytes]
Script = Callable[[str, str, bytes], Iterable[Hop]]
DEADLINE_S = 20.0
FULL_BYTES = 2**20  # waiting for somebody who doesn't read; TCP has taken more by then


def faithful(source: str, to: str, block: bytes) -> Iterable[Hop]:
    """Do what a relay does."""
    return [(source, to, block)]


class _Seat(asyncio.Protocol):
    def __init__(self, adversary: Adversary, name: str) -> None:
        self.adversary, self.name = adversary, name
        self.address = b""  # until it has joined
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.adversary.sizes.append(len(data))
        self.data += data
        whole = len(self.data) - len(self.data) % FRAME_SIZE
        frames, self.data = self.data[:whole], self.data[whole:]
        for at in range(0, whole, FRAME_SIZE):
            self.adversary.take(self, parse_frame(frames[at : at + FRAME_SIZE]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.adversary.odd_bytes += len(self.data)
        self.adversary.leave(self)

    def give(self, *frames: Frame) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"".join(frame.to_bytes() for frame in frames))


class Adversary:
    """Runs in a thread of its own, on loopback."""

    def __init__(self, state: Path) -> None:
        certificate, key = keys.ensure_keys(state)
        self.pin = keys.pin_of(certificate)
        self.script: Script = faithful
        self.shows: Callable[[str, str], bool] = lambda viewer, seen: True  # whose presence is told to whom
        self.log: list[tuple[float, str, str, bytes]] = []
        self.joins: list[str] = []
        self.odd_bytes = 0  # what was left over of connections, and made no frame
        self.sizes: list[int] = []  # of all that came in one piece
        self.seats: dict[str, _Seat] = {}
        self.ghosts: dict[bytes, str] = {}  # addresses at which nobody sits
        self._ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._context = keys.server_context(certificate, key)
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="adversary", daemon=True)

    def __enter__(self) -> Adversary:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        def close() -> None:
            for server in self._servers:
                server.close()
            for seat in list(self.seats.values()):
                seat.transport.abort()

        self.call(close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def address(self, name: str) -> RelayAddress:
        """Return the relay's address for one member; a door is opened for whoever asks first."""
        if name not in self._ports:

            async def listen() -> int:
                server = await self._loop.create_server(
                    lambda: _Seat(self, name), "127.0.0.1", self._ports.get(name, 0), ssl=self._context
                )
                self._servers.append(server)
                return int(server.sockets[0].getsockname()[1])

            self._ports[name] = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(DEADLINE_S)
        return RelayAddress("127.0.0.1", self._ports[name], (self.pin,))

    def call(self, work: Callable[[], T]) -> T:
        """Do something on its own thread; returns what that returns."""

        async def do() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(DEADLINE_S)

    # -- what a relay does; on its own thread

    def take(self, seat: _Seat, frame: Frame) -> None:
        """Take a frame of a client."""
        match frame.kind:
            case Kind.JOIN:
                self._join(seat)
            case Kind.PING:
                seat.give(Frame(Kind.PONG, frame.argument, frame.number))
            case Kind.SEND:
                to = self.name_of(frame.address)
                self.log.append((time.monotonic(), seat.name, to, frame.block))
                self.hand_out(self.script(seat.name, to, frame.block))

    def _join(self, seat: _Seat) -> None:
        self.joins.append(seat.name)
        if (before := self.seats.pop(seat.name, None)) is not None:
            before.transport.abort()
            self._tell_left(before)
        seat.address = secrets.token_bytes(8)
        seen = [other.address for other in self.seats.values() if self.shows(seat.name, other.name)]
        seen += [address for address, name in self.ghosts.items() if self.shows(seat.name, name)]
        self.seats[seat.name] = seat
        seat.give(
            Frame(Kind.WELCOME, len(seen), address=seat.address),
            *(Frame(Kind.PRESENT, address=address) for address in seen),
        )
        for other in self.seats.values():
            if other is not seat and self.shows(other.name, seat.name):
                other.give(Frame(Kind.PRESENT, address=seat.address))

    def leave(self, seat: _Seat) -> None:
        """A connection is gone."""
        if self.seats.get(seat.name) is seat:
            del self.seats[seat.name]
            self._tell_left(seat)

    def _tell_left(self, seat: _Seat) -> None:
        for other in self.seats.values():
            if self.shows(other.name, seat.name):
                other.give(Frame(Kind.LEFT, address=seat.address))

    def name_of(self, address: bytes) -> str:
        """Say who sits at an address; nobody is ""."""
        return next(
            (name for name, seat in self.seats.items() if seat.address == address), self.ghosts.get(address, "")
        )

    def address_of(self, name: str) -> bytes:
        """Say where somebody sits; eight zeros is nowhere."""
        if name in self.seats:
            return self.seats[name].address
        return next((address for address, ghost in self.ghosts.items() if ghost == name), bytes(8))

    def hand_out(self, hops: Iterable[Hop]) -> None:
        """Hand out blocks in anybody's name."""
        for source, to, block in hops:
            if to in self.seats:
                self.seats[to].give(Frame(Kind.SEND, address=self.address_of(source), block=block))

    # -- what a bad one does; from any thread

    def inject(self, hops: Iterable[Hop]) -> None:
        """Hand out blocks now."""
        row = list(hops)
        self.call(lambda: self.hand_out(row))

    def say(self, to: str, *frames: Frame) -> None:
        """Hand any frames to somebody."""
        self.call(lambda: self.seats[to].give(*frames))

    def pour(self, to: str, source: bytes, per_second: int, seconds: float) -> tuple[int, int]:
        """Offer somebody so many junk blocks a second, in the name of a seat.

        Returns how many were offered, and how many went out: while TCP has no place, for they aren't read, the others
        wait, and are offered even so.
        """
        junk = [Frame(Kind.SEND, address=source, block=secrets.token_bytes(256)) for _ in range(256)]
        piece = b"".join(frame.to_bytes() for frame in junk)

        async def pour() -> tuple[int, int]:
            transport, begun_s, went, due = self.seats[to].transport, self._loop.time(), 0, 0

            def full() -> bool:
                return transport.get_write_buffer_size() >= FULL_BYTES

            while due < round(seconds * per_second):
                due = round(min(seconds, self._loop.time() - begun_s) * per_second)
                while went + len(junk) <= due and not full():
                    transport.write(piece)
                    went += len(junk)
                await asyncio.sleep(0.001)
            return due if full() or went + len(junk) > due else went, went

        return asyncio.run_coroutine_threadsafe(pour(), self._loop).result(seconds + DEADLINE_S)

    def later(self, delay_s: float, hops: Iterable[Hop]) -> None:
        """Hand out blocks after a while.  For scripts: on its own thread."""
        self._loop.call_later(delay_s, self.hand_out, list(hops))

    def blocks(self, source: str, to: str) -> list[bytes]:
        """Return what was sent from one to another, over all connections."""
        return [block for _, one, other, block in list(self.log) if (one, other) == (source, to)]
