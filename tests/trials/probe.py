"""Members who talk at a steady rate, and how long their words take: the program that a flood is measured by.

    python -m trials.probe HOST PORT tls|plain MEMBERS MESSAGES_PER_SECOND

Reads lines from standard input: a number of seconds, for which it talks.  After each it prints one JSON object:
`sent` and `got` blocks, `lost`, `wrong` (doubled or out of order), and latencies in milliseconds (`p50`, `p99`, `max`).
A latency counts from when the message was due, so a relay (or a machine) that stands still can't hide it.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
import struct
import sys
import time

from relay_help import any_certificate, join_frame

from chatcore.wire import FRAME_SIZE, HEADER, VERSION, Kind

STAMP = struct.Struct(">QQI")  # when it was due (ns), its number among those from this sender to this reader, who sent
PATIENCE_S = 15.0
ROOM = b"probe".ljust(32, b".")


class Member:
    """One seat."""

    def __init__(self, host: str, port: int, tls: bool, number: int) -> None:
        self.number, self.rest, self.unsent = number, b"", b""
        sock = socket.create_connection((host, port), PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock: socket.socket = any_certificate().wrap_socket(sock) if tls else sock
        self.sock.sendall(join_frame(ROOM))
        data = b""
        while len(data) < FRAME_SIZE:
            piece = self.sock.recv(FRAME_SIZE - len(data))
            if not piece:
                raise SystemExit("the relay didn't let a member in")
            data += piece
        if data[1] != Kind.WELCOME:
            raise SystemExit(f"the relay refused a member ({data[3]})")
        self.address = data[8:16]
        self.sock.setblocking(False)
        self.next_for: dict[int, int] = {}  # reader -> number of the next block for it
        self.next_from: dict[int, int] = {}

    def flush(self) -> None:
        """Send what can be sent."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]

    def frames(self) -> list[bytes]:
        """Return the blocks that have come."""
        pieces = [self.rest]
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while True:
                piece = self.sock.recv(1 << 18)
                if not piece:
                    raise SystemExit("the relay closed a member")
                pieces.append(piece)
        data = b"".join(pieces)
        end = len(data) - len(data) % FRAME_SIZE
        self.rest = data[end:]
        return [data[at : at + FRAME_SIZE] for at in range(0, end, FRAME_SIZE)]


class Probe:
    """The room."""

    def __init__(self, host: str, port: int, tls: bool, members: int, per_second: float) -> None:
        self.members = [Member(host, port, tls, number) for number in range(members)]
        self.every_s = 1 / per_second
        self.selector = selectors.DefaultSelector()
        for member in self.members:
            self.selector.register(member.sock, selectors.EVENT_READ, member)
        self.turn = self.sent = self.got = self.wrong = 0
        self.latencies: list[int] = []

    def talk(self, seconds: float) -> dict[str, float]:
        """Talk for so long, wait for what is on its way, and return what came of it."""
        self.sent = self.got = self.wrong = 0
        self.latencies = []
        due_s = begun_s = time.monotonic()
        while due_s < begun_s + seconds:
            now_s = time.monotonic()
            if now_s >= due_s:
                self._say(due_s)
                due_s += self.every_s
            else:
                self._read(due_s - now_s)
        end_s = time.monotonic() + PATIENCE_S
        while self.got < self.sent and time.monotonic() < end_s:
            self._read(0.1)
        times = sorted(self.latencies) or [0]
        shown = {"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100], "max": times[-1]}
        return {
            "sent": self.sent,
            "got": self.got,
            "lost": self.sent - self.got,
            "wrong": self.wrong,
            **{name: value / 1e6 for name, value in shown.items()},
        }

    def _say(self, due_s: float) -> None:
        self.turn += 1
        member = self.members[self.turn % len(self.members)]
        for other in self.members:
            if other is not member:
                number = member.next_for.get(other.number, 0)
                member.next_for[other.number] = number + 1
                block = STAMP.pack(int(due_s * 1e9), number, member.number).ljust(256, b"\x5a")
                member.unsent += HEADER.pack(VERSION, Kind.SEND, 0, 0, other.address) + block
                self.sent += 1
        member.flush()

    def _read(self, wait_s: float) -> None:
        for member in self.members:
            if member.unsent:
                member.flush()
        for key, _ in self.selector.select(max(0.0, wait_s)):
            member = key.data
            for frame in member.frames():
                if frame[1] == Kind.PING:
                    member.unsent += frame[:1] + bytes([Kind.PONG]) + frame[2:]
                elif frame[1] == Kind.SEND:
                    due_ns, number, sender = STAMP.unpack_from(frame, 16)
                    self.wrong += number != member.next_from.get(sender, 0)
                    member.next_from[sender] = number + 1
                    self.got += 1
                    self.latencies.append(time.monotonic_ns() - due_ns)


def main() -> None:
    """Talk when told to."""
    host, port, tls, members, per_second = sys.argv[1:]
    probe = Probe(host, int(port), tls == "tls", int(members), float(per_second))
    print("ready", flush=True)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        while not selector.select(0):
            probe._read(0.05)  # pings have to be answered while nothing is measured
        line = sys.stdin.readline()
        if not line:
            return
        print(json.dumps(probe.talk(float(line))), flush=True)


if __name__ == "__main__":
    main()
