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
import socket
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load import Load  # noqa: E402
from benchmarks.programs import Program, cpu_s, pin_to, start_python, start_relay  # noqa: E402
from chatcore.wire import FRAME_SIZE, HEADER, VERSION, Frame, Kind  # noqa: E402

READ_BYTES = 1 << 18
WARM_S = 0.5


# -- the contenders ----------------------------------------------------------------------------------------------------


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


# -- the table ---------------------------------------------------------------------------------------------------------


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


def measure(program: Program, port: int, members: int, window: int, seconds: float, tls: bool) -> float:
    """Return deliveries per CPU-second of a relay under this load."""
    load = Load(port, 1, members, tls=tls)
    load.run(WARM_S, window)
    before_s = cpu_s(program.pid)
    deliveries = load.run(seconds, window)
    used_s = cpu_s(program.pid) - before_s
    load.finish()
    return deliveries / max(used_s, 0.01)


def compare(members: int, window: int, rounds: int, seconds: float, tls: bool) -> None:
    """Print the table of one shape."""
    results = [Result("relay", []), Result("naive", []), Result("floor", [])]
    with tempfile.TemporaryDirectory() as state:
        programs = [start_relay(tls, Path(state)), start_python([__file__, "--be-naive"])]
        try:
            for _ in range(rounds):
                for result, (program, port) in zip(results, programs, strict=False):
                    with_tls = tls and result.name == "relay"
                    result.rates.append(measure(program, port, members, window, seconds, with_tls))
                results[2].rates.append(floor(members, seconds))
        finally:
            for program, _ in programs:
                program.end()
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
