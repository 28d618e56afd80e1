"""A crowd of bare clients in one room, at several relays: who sees whom, and what becomes of numbered blocks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType

from relay_help import ROOM, any_certificate, join_frame, send_frame

from chatcore.wire import FRAME_SIZE, Frame, Kind, parse_frame

EVERY_S = 0.02  # a talker sends a block to everybody this often
AGAIN_S = 1.0  # who has lost the relay comes back after so long


class Bare:
    """One client.  `port` says where the relay is when it comes (back)."""

    def __init__(self, port: Callable[[], int]) -> None:
        self.port = port
        self.seat = b""
        self.here: set[bytes] = set()
        self.left: list[tuple[float, bytes]] = []
        self.got: dict[bytes, list[tuple[float, int]]] = {}  # by sender: when, and which number
        self.writer: asyncio.StreamWriter | None = None

    async def live(self) -> None:
        """Be connected, and come back when the relay is gone."""
        while True:
            with contextlib.suppress(OSError, EOFError):
                await self._visit()
            self.seat, self.writer = b"", None
            await asyncio.sleep(AGAIN_S)

    async def _visit(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port(), ssl=any_certificate())
        try:
            writer.write(join_frame(ROOM))
            self.here.clear()
            self.got.clear()
            while True:
                self._take(parse_frame(await reader.readexactly(FRAME_SIZE)), writer)
        finally:
            writer.transport.abort()

    def _take(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        match frame.kind:
            case Kind.WELCOME:
                self.seat, self.writer = frame.address, writer
            case Kind.PRESENT:
                self.here.add(frame.address)
            case Kind.LEFT:
                self.here.discard(frame.address)
                self.left.append((time.monotonic(), frame.address))
            case Kind.SEND:
                number = int.from_bytes(frame.block[:4])
                self.got.setdefault(frame.address, []).append((time.monotonic(), number))
            case Kind.PING:
                writer.write(Frame(Kind.PONG, frame.argument, frame.number).to_bytes())
            case Kind.REFUSED:
                raise EOFError


class Crowd:
    """Some of them, on a thread of their own; the first few talk to everybody whom they see, all the time."""

    def __init__(self, ports: Sequence[Callable[[], int]], count: int, talkers: int) -> None:
        self.people = [Bare(ports[at % len(ports)]) for at in range(count)]
        self.sent: dict[tuple[bytes, bytes], int] = {}  # how many blocks, by sender and reader
        self._talkers = talkers
        self._talking = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(20)
        self._loop.close()

    def talk(self, on: bool) -> None:
        """Begin or cease to talk."""
        (self._talking.set if on else self._talking.clear)()

    def whole(self) -> bool:
        """Whether everybody sees everybody, and nobody else."""
        seats = {person.seat for person in self.people}
        return b"" not in seats and all(person.here == seats - {person.seat} for person in self.people)

    def fate(self, *, near: bool = False) -> tuple[int, int, int]:
        """Of blocks between seats that are still there: how many were sent, came, and came out of their order.

        With `near` only of those that had no other relay to go to.
        """
        of_seat = {person.seat: (at % 2, person) for at, person in enumerate(self.people)}
        sent = came = odd = 0
        for (sender, reader), count in self.sent.items():
            if reader in of_seat and sender in of_seat and (not near or of_seat[reader][0] == of_seat[sender][0]):
                numbers = [number for _, number in of_seat[reader][1].got.get(sender, [])]
                sent += count
                came += len({*numbers})
                odd += sum(one >= two for one, two in pairwise(numbers))
        return sent, came, odd

    def longest_gap_s(self, from_s: float, *, near: bool = False) -> float:
        """Return the longest time in which somebody got nothing of a talker at the other relay, since a moment.

        Or of the talker at the same relay, if that is asked for.
        """
        gaps = []
        for at, person in enumerate(self.people):
            talker = self.people[at % 2 if near else 1 - at % 2]
            if person is talker:
                continue
            came = person.got.get(talker.seat, [])
            times = [from_s, *(moment for moment, _ in came if moment > from_s), time.monotonic()]
            gaps.append(max(two - one for one, two in pairwise(times)))
        return max(gaps)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._tasks = [self._loop.create_task(person.live()) for person in self.people]
        self._tasks += [self._loop.create_task(self._talk(person)) for person in self.people[: self._talkers]]
        self._loop.run_forever()

    def _end(self) -> None:
        async def end() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._loop.stop()

        self._ending = self._loop.create_task(end())

    async def _talk(self, person: Bare) -> None:
        number = 0
        while True:
            await asyncio.sleep(EVERY_S)
            if self._talking.is_set() and person.writer is not None:
                number += 1
                person.writer.write(b"".join(send_frame(address, number) for address in person.here))
                for address in person.here:
                    self.sent[person.seat, address] = self.sent.get((person.seat, address), 0) + 1
