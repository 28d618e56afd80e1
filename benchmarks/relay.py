"""Deliveries per relay CPU-second, beside two yardsticks that run in the same minutes.  See benchmarks/README.md.

    python benchmarks/relay.py [--rounds 3] [--seconds 2] [--tls] [--shape MEMBERSxWINDOW ...]

A member sends message after message, each a block for every other member, and keeps `window` of them on the way.
Contenders take turns, round after round:

* relay:  the relay as people run it, in its own process on loopback
* naive:  the same work with asyncio streams and one write for each frame
* floor:  one bare `send()` of 272 bytes for each delivery in a Python loop, and nothing else: no frame is read

Each delivery is checked by its reader: whose it is, and that none is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import selectors
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from chatcore.wire import FRAME_SIZE, HEADER, VERSION, Frame, Kind, join_block  # noqa: E402

READ_BYTES = 1 << 18
WARM_S = 0.5


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used (proc(5): fields 14 and 15, counted behind the name)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- the contenders ----------------------------------------------------------------------------------------------------


def start_relay(tls: bool, state: Path) -> tuple[subprocess.Popen[str], int]:
    """Start the project's relay and return its process and port."""
    options = ["run", "--port", "0", "--unlimited", *([] if tls else ["--plaintext"])]
    environment = {**os.environ, "STATE_DIRECTORY": str(state)}
    return _start([str(ROOT / "relay_server.py"), *options], environment)


def start_naive() -> tuple[subprocess.Popen[str], int]:
    """Start the relay that writes each frame when it comes."""
    return _start([__file__, "--be-naive"], dict(os.environ))


def _start(command: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: pin_to(0),
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline().split(":")[2].split("/")[0])


def pin_to(core: int) -> None:
    """Keep this process on one core, so that it and its opponent don't take turns on the same."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


async def be_naive() -> None:
    """Serve one room as one would write it down first: streams, and a write for each frame."""
    writers: dict[bytes, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = os.urandom(8)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(FRAME_SIZE)
            writer.write(Frame(Kind.WELCOME, 0, 0, address).to_bytes())
            writers[address] = writer
            while True:
                data = await reader.readexactly(FRAME_SIZE)
                version, kind, _, _, to = HEADER.unpack_from(data)
                if version == VERSION and kind == Kind.SEND and to in writers:
                    writers[to].write(HEADER.pack(VERSION, Kind.SEND, 0, 0, address) + data[16:])
        writers.pop(address, None)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(f"naive:relay:{server.sockets[0].getsockname()[1]}/", flush=True)
    async with server:
        await server.serve_forever()


def floor(members: int, seconds: float) -> float:
    """Return sends per CPU-second of a process that only sends, message after message, each when the last was read."""
    pairs = []
    with socket.create_server(("127.0.0.1", 0), backlog=members) as listener:
        for _ in range(members - 1):
            reader = socket.create_connection(listener.getsockname())
            writer, _ = listener.accept()
            writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pairs.append((reader, writer))
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        pin_to(0)
        ours.close()
        sends, data = [writer.send for _, writer in pairs], bytes(FRAME_SIZE)
        while theirs.recv(1):
            for send in sends:
                send(data)
        os._exit(0)
    theirs.close()
    readers = [reader for reader, _ in pairs]
    _read_rounds(readers, ours, WARM_S)
    before_s = cpu_s(child)
    sent = _read_rounds(readers, ours, seconds)
    used_s = cpu_s(child) - before_s
    ours.close()
    os.waitpid(child, 0)
    for pair in pairs:
        for sock in pair:
            sock.close()
    return sent / max(used_s, 0.01)


def _read_rounds(readers: list[socket.socket], sender: socket.socket, seconds: float) -> int:
    """Ask for one message after the other and read it; return how many frames came."""
    buffer, frames, end_s = bytearray(READ_BYTES), 0, time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for number, reader in enumerate(readers):
            selector.register(reader, selectors.EVENT_READ, number)
        while time.monotonic() < end_s:
            sender.send(b"x")
            missing = len(readers) * FRAME_SIZE
            while missing:
                for key, _ in selector.select():
                    missing -= readers[key.data].recv_into(buffer)
            frames += len(readers)
    return frames


# -- the load ----------------------------------------------------------------------------------------------------------


class Load:
    """All members of one room in one thread; the first of them sends."""

    def __init__(self, port: int, members: int, window: int, tls: bool) -> None:
        self.window = window
        self.tls = tls
        self.socks = [self._connect(port) for _ in range(members)]
        self.addresses = [self._join(sock) for sock in self.socks]
        self.readers = self.socks[1:]
        for sock in self.socks:
            sock.setblocking(False)
        self.got = [0] * members  # frames that each member has read
        self.rests = [b""] * members
        self.messages = 0
        self.deliveries = 0
        block = os.urandom(240)
        self.heads = [HEADER.pack(VERSION, Kind.SEND, 0, 0, address) for address in self.addresses[1:]]
        self.block = block
        self.selector = selectors.DefaultSelector()
        for index, sock in enumerate(self.socks):
            self.selector.register(sock, selectors.EVENT_READ, index)
        self.unsent = b""

    def _connect(self, port: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.tls:
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(sock)

    def _join(self, sock: socket.socket) -> bytes:
        sock.sendall(Frame(Kind.JOIN, block=join_block(b"benchmark".ljust(32))).to_bytes())
        data = b""
        while len(data) < FRAME_SIZE:
            data += sock.recv(FRAME_SIZE - len(data))
        return data[8:16]

    def run(self, seconds: float) -> int:
        """Keep the window full for so long and return the deliveries in that time."""
        begin, end_s = self.deliveries, time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._pump()
            self._read(0.05)
        return self.deliveries - begin

    def finish(self) -> None:
        """Wait for what is on its way, and check that nothing was lost."""
        end_s = time.monotonic() + 10
        while self.unsent or min(self.got[1:]) < self.messages:
            if time.monotonic() > end_s:
                raise SystemExit("a delivery was lost")
            self._send()
            self._read(0.05)
        for sock in self.socks:
            sock.close()

    def _pump(self) -> None:
        while not self.unsent and self.messages - min(self.got[1:]) < self.window:
            # the number of the message is in each block, so that a reader sees a gap
            body = self.messages.to_bytes(16, "big") + self.block
            self.unsent += b"".join([head + body for head in self.heads])
            self.messages += 1
            self._send()
        self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
            while self.unsent:
                self.unsent = self.unsent[self.socks[0].send(self.unsent) :]

    def _read(self, wait_s: float) -> None:
        for key, _ in self.selector.select(0 if self.unsent else wait_s):
            index = key.data
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                while True:
                    data = self.socks[index].recv(READ_BYTES)
                    if not data:
                        raise SystemExit("the relay closed a connection")
                    self._take(index, self.rests[index] + data)

    def _take(self, index: int, data: bytes) -> None:
        whole = len(data) - len(data) % FRAME_SIZE
        self.rests[index] = data[whole:]
        for at in range(0, whole, FRAME_SIZE):
            if data[at + 1] == Kind.SEND:
                if index == 0 or int.from_bytes(data[at + 16 : at + 32], "big") != self.got[index]:
                    raise SystemExit("a delivery was lost, doubled or misrouted")
                self.got[index] += 1
                self.deliveries += 1


@dataclass
class Result:
    """Deliveries per CPU-second of one contender, round by round."""

    name: str
    rates: list[float]

    def line(self, base: float) -> str:
        """Return the row of the table; ratios are against `base`."""
        median, least, most = statistics.median(self.rates), min(self.rates), max(self.rates)
        return (
            f"  {self.name:<6} {median / 1000:9.0f} k per CPU-s  (min {least / 1000:.0f}, max {most / 1000:.0f})"
            f"   {median / base:6.2f} x floor"
        )


def measure(process: subprocess.Popen[str], port: int, members: int, window: int, seconds: float, tls: bool) -> float:
    """Return deliveries per CPU-second of a relay under this load."""
    load = Load(port, members, window, tls)
    load.run(WARM_S)
    before_s = cpu_s(process.pid)
    deliveries = load.run(seconds)
    used_s = cpu_s(process.pid) - before_s
    load.finish()
    return deliveries / max(used_s, 0.01)


def compare(members: int, window: int, rounds: int, seconds: float, tls: bool) -> None:
    """Print the table of one shape."""
    results = [Result("relay", []), Result("naive", []), Result("floor", [])]
    with tempfile.TemporaryDirectory() as state:
        processes = [start_relay(tls, Path(state)), start_naive()]
        try:
            for _ in range(rounds):
                for result, (process, port) in zip(results, processes, strict=False):
                    with_tls = tls and result.name == "relay"
                    result.rates.append(measure(process, port, members, window, seconds, with_tls))
                results[2].rates.append(floor(members, seconds))
        finally:
            for process, _ in processes:
                process.send_signal(signal.SIGTERM)
                process.wait(10)
    base = statistics.median(results[2].rates)
    print(f"room of {members}, {window} messages on the way{', relay with TLS' if tls else ''}:")
    for result in results:
        print(result.line(base))


def main() -> None:
    """Read the command line and print one table for each shape."""
    if sys.argv[1:] == ["--be-naive"]:
        asyncio.run(be_naive())
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--tls", action="store_true", help="let the relay (not the yardsticks) speak TLS")
    parser.add_argument("--shape", action="append", metavar="MEMBERSxWINDOW", help="default: 10x1 50x1 50x16 200x16")
    options = parser.parse_args()
    pin_to(1)
    for shape in options.shape or ["10x1", "50x1", "50x16", "200x16"]:
        members, window = map(int, shape.split("x"))
        compare(members, window, options.rounds, options.seconds, options.tls)


if __name__ == "__main__":
    main()
