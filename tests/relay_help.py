"""Help for the tests of the relay: a switch without sockets, a relay in a thread, and a bare client."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from chatcore.wire import FRAME_SIZE, NO_PASS, Frame, Kind, join_block, parse_frame
from relay.config import Config
from relay.counts import counts
from relay.lanes import AS_IT_IS, Seal, Way
from relay.limits import Limits
from relay.seat import Seat
from relay.server import Server, loop_factory
from relay.switch import Switch

ROOT = Path(__file__).resolve().parent.parent
ROOM = bytes(range(32))
OTHER_ROOM = bytes(range(32, 64))
DEADLINE_S = 20.0
_OF_SYSTEMD = ("NOTIFY_SOCKET", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "JOURNAL_STREAM")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, with an end."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, f"waited in vain: {what}"
        time.sleep(0.01)


def frames_in(data: bytes | bytearray) -> list[Frame]:
    """Cut what was written; it must be whole frames."""
    assert len(data) % FRAME_SIZE == 0
    return [parse_frame(bytes(data[at : at + FRAME_SIZE])) for at in range(0, len(data), FRAME_SIZE)]


def send_frame(address: bytes, mark: int = 0, **more: int) -> bytes:
    """Return a SEND frame whose block tells it from others."""
    return Frame(Kind.SEND, address=address, block=mark.to_bytes(4, "big") * 64, **more).to_bytes()


def join_frame(room: bytes = ROOM, relay_pass: bytes = NO_PASS) -> bytes:
    """Return a JOIN frame."""
    return Frame(Kind.JOIN, block=join_block(room, relay_pass)).to_bytes()


class FakePort:
    """Keeps what a seat writes."""

    def __init__(self) -> None:
        self.seal: Seal = AS_IT_IS
        self.written = bytearray()
        self.writes = 0
        self.finished = False
        self.closed = False
        self.was_reset = False
        self.unsent = 0

    @property
    def way(self) -> Way:
        return type(self).send, self

    def send(self, data: bytes) -> int:
        self.written += data
        self.writes += 1
        return len(data)

    def keep(self, rest: bytes) -> None:
        raise AssertionError("all of it was taken")

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = True

    def reset(self) -> None:
        self.was_reset = True

    def unsent_bytes(self) -> int:
        return self.unsent


class Guest:
    """A seat of a `Bench` with its port."""

    def __init__(self, bench: Bench, seat: Seat, port: FakePort) -> None:
        self.bench = bench
        self.seat = seat
        self.port = port

    @property
    def address(self) -> bytes:
        return self.seat.address

    def feed(self, data: bytes, piece_bytes: int = 1 << 20) -> None:
        """Give bytes to the seat as a socket would: in pieces, through the shared buffer."""
        while data and not self.seat.closing:
            size = min(len(self.seat.get_buffer()), len(data), piece_bytes)
            self.give(data[:size])
            data = data[size:]
        self.bench.turn()

    def give(self, data: bytes) -> None:
        """Give bytes to the seat in one read, and leave the turn of the loop unended."""
        self.seat.get_buffer()[: len(data)] = data
        self.seat.buffer_updated(len(data))

    def take(self) -> list[Frame]:
        """Return the frames written since the last call."""
        frames = frames_in(self.port.written)
        self.port.written.clear()
        return frames


class Bench:
    """A switch with fake ports; `turn` is the end of a turn of the loop."""

    def __init__(self, limits: Limits | None = None, relay_pass: bytes = NO_PASS) -> None:
        self.words: list[str] = []
        self.pending: list[Callable[[], None]] = []
        self.drawn: list[bytes] = []
        self.switch = Switch(
            limits or Limits(),
            relay_pass,
            later=self.pending.append,
            note=self.words.append,
            random_bytes=self._draw,
        )
        self._count = 0

    def _draw(self, size: int) -> bytes:
        if self.drawn:
            return self.drawn.pop(0)
        self._count += 1
        return (self._count & (1 << 8 * size) - 1).to_bytes(size, "big")

    def turn(self) -> None:
        while self.pending:
            self.pending.pop(0)()

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.switch.beat()
        self.turn()

    def guest(self) -> Guest:
        port = FakePort()
        return Guest(self, self.switch.open(port), port)

    def join(self, room: bytes = ROOM, relay_pass: bytes = NO_PASS) -> Guest:
        guest = self.guest()
        guest.feed(join_frame(room, relay_pass))
        return guest


class RelayThread:
    """A relay with any configuration, on its own thread, on loopback."""

    def __init__(self, config: Config, *, unlimited: bool = False) -> None:
        self.server = Server(config, unlimited=unlimited)
        self._loop_choice = config.event_loop
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> RelayThread:
        self._thread.start()
        assert self._up.wait(DEADLINE_S)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    @property
    def port(self) -> int:
        return self.server.port

    def call(self, work: Callable[[], object]) -> None:
        """Do something on the relay's own thread, and return when it is done."""

        async def do() -> None:
            work()

        asyncio.run_coroutine_threadsafe(do(), self.loop).result(DEADLINE_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=loop_factory(self._loop_choice)) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        await self.server.start()
        self._up.set()
        await self.stop.wait()
        await self.server.stop()


class BareClient:
    """A blocking socket that speaks frames."""

    def __init__(
        self,
        port: int,
        *,
        tls: bool,
        receive_bytes: int = 0,
        host: str = "127.0.0.1",
        patience_s: float = DEADLINE_S,
    ) -> None:
        self.tcp = socket.socket()
        if receive_bytes:
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.tcp.settimeout(patience_s)
        self.tcp.connect((host, port))
        self.local_port = self.tcp.getsockname()[1]
        self.sock: socket.socket = self.tcp
        if tls:
            self.sock = any_certificate().wrap_socket(self.tcp)
        self.seat = b""
        self.others: list[bytes] = []
        self._data = b""

    def __enter__(self) -> BareClient:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def frame(self) -> Frame:
        """Return the next frame; EOFError when the relay has closed."""
        while len(self._data) < FRAME_SIZE:
            piece = self.sock.recv(65_536)
            if not piece:
                raise EOFError
            self._data += piece
        data, self._data = self._data[:FRAME_SIZE], self._data[FRAME_SIZE:]
        return parse_frame(data)

    def at_end(self) -> bool:
        """Tell whether the relay closes without another frame."""
        try:
            self.frame()
        except (EOFError, ConnectionResetError, ssl.SSLError):
            return True
        return False

    def join(self, room: bytes = ROOM, relay_pass: bytes = NO_PASS) -> BareClient:
        self.send(join_frame(room, relay_pass))
        welcome = self.frame()
        assert welcome.kind is Kind.WELCOME, (welcome, welcome.argument)
        self.seat = welcome.address
        for _ in range(welcome.argument):
            present = self.frame()
            assert present.kind is Kind.PRESENT
            self.others.append(present.address)
        return self


def counted() -> set[str]:
    """Return the names of all that a relay counts."""

    async def known() -> set[str]:
        server = Server(Config(port=0))
        await server.start()
        found = {count.name for count in counts(server)}
        await server.stop()
        return found | {"parley_relay_certificate_end_seconds"}  # where there is a certificate

    return asyncio.run(known())


def any_certificate() -> ssl.SSLContext:
    """Return a client context that looks at no certificate: pins are the client's part, not the relay's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def command(*arguments: str) -> list[str]:
    """Return the command line of the relay's front door."""
    return [sys.executable, str(ROOT / "relay_server.py"), *arguments]


def environment(state: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the relay's default state directory is this one."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_SYSTEMD}
    return {**kept, "STATE_DIRECTORY": str(state), **more}


class Process:
    """The relay as its own process; `under` is a command that runs it, as `ip netns exec NAME` does."""

    def __init__(self, state: Path, *arguments: str, under: Sequence[str] = (), **env: str) -> None:
        self.process = subprocess.Popen(
            [*under, *command("run", *arguments)],
            env=environment(state, **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().strip()
        match = re.fullmatch(r"parley:relay/127\.0\.0\.1:(\d+)/\S+", self.line)
        assert match, (self.line, self.process.poll())
        self.port = int(match[1])

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Stop it and return status, the rest of stdout, and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err


def run_relay(state: Path, *arguments: str) -> tuple[int, str]:
    """Run the relay's front door to its end; return status and stderr."""
    done = subprocess.run(
        command(*arguments), env=environment(state), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr
