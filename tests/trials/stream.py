"""One room in which everybody pours, every block checked: the program of L1 and L2.

    python -m trials.stream HOST PORT steady SEATS MESSAGES_PER_SECOND SECONDS STALL
    python -m trials.stream HOST PORT work SEATS BLOCKS KILLS SEED

`steady` lets the seats talk in turns at this rate; if STALL is 1, the first of them stops reading after a second.
Latencies count from when a message was due.  `work` lets everybody send as fast as the relay takes it, and ends seats
with a reset at random moments; another comes in their place at once.
A block says whom it is for and its number among those of its sender for that seat; so whatever is lost, doubled, out of
order or brought to somebody else is seen.  Between two seats that live to the end none may be missing; what somebody
had said who was ended may break off, but not have a hole.  Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import random
import selectors
import socket
import struct
import sys
import time

from relay_help import join_frame

from chatcore.wire import FRAME_SIZE, HEADER, VERSION, Kind

FRAME = struct.Struct(">BB6x8s8sQQ232x")  # version, kind, address | for whom, its number, when it was due (ns)
assert FRAME.size == FRAME_SIZE
ROOM = b"stream".ljust(32, b".")
READ_BYTES = 1 << 18
PATIENCE_S = 20.0
RESET = b"\1\0\0\0\0\0\0\0"


class Seat:
    """One seat, from its connection to its end."""

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port), PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(join_frame(ROOM))
        self.rest = b""
        while len(self.rest) < FRAME_SIZE:
            self.rest += self.sock.recv(FRAME_SIZE - len(self.rest))
        _, kind, self.address, *_ = FRAME.unpack(self.rest)
        if kind != Kind.WELCOME:
            raise SystemExit(f"the relay refused a seat ({self.rest[3]})")
        self.rest = self.unsent = b""
        self.sock.setblocking(False)
        self.sent: dict[bytes, int] = {}  # to whom -> how many; also: who is there
        self.got: dict[bytes, int] = {}

    def say(self, due_ns: int) -> int:
        """Say something to everybody, and return to how many."""
        pack, head = FRAME.pack, (VERSION, Kind.SEND)
        self.unsent += b"".join([pack(*head, to, to, number, due_ns) for to, number in self.sent.items()])
        for to in self.sent:
            self.sent[to] += 1
        self.flush()
        return len(self.sent)

    def flush(self) -> None:
        """Send what can be sent."""
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]

    def end(self) -> None:
        """Go without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


class Stream:
    """The room."""

    def __init__(self, host: str, port: int, seats: int) -> None:
        self.place = (host, port)
        self.selector = selectors.DefaultSelector()
        self.seats: list[Seat] = []
        for _ in range(seats):
            self.come()
        self.sent = self.got = self.wrong = 0
        self.latencies: list[int] = []
        self.stalled: Seat | None = None
        while any(len(seat.sent) < seats - 1 for seat in self.seats):
            self.read(0.1)

    def come(self) -> None:
        """Let another seat in."""
        seat = Seat(*self.place)
        self.seats.append(seat)
        self.selector.register(seat.sock, selectors.EVENT_READ, seat)

    def read(self, wait_s: float) -> None:
        """Take all that has come."""
        for key, _ in self.selector.select(max(0.0, wait_s)):
            seat: Seat = key.data
            try:
                data = seat.rest + seat.sock.recv(READ_BYTES)
            except BlockingIOError:
                continue
            if data == seat.rest:
                raise SystemExit("the relay closed a seat")
            end = len(data) - len(data) % FRAME_SIZE
            seat.rest = data[end:]
            self.take(seat, memoryview(data)[:end])

    def take(self, seat: Seat, data: memoryview) -> None:
        """Check whole frames."""
        now_ns, me, got = time.monotonic_ns(), seat.address, seat.got
        for _, kind, address, to, number, due_ns in FRAME.iter_unpack(data):
            if kind == Kind.SEND:
                if to != me or got.get(address, 0) != number:
                    self.wrong += 1
                got[address] = number + 1
                self.got += 1
                self.latencies.append(now_ns - due_ns)
            elif kind == Kind.PRESENT:
                seat.sent[address] = 0
            elif kind == Kind.LEFT:
                del seat.sent[address]
            elif kind == Kind.PING:
                seat.unsent += HEADER.pack(VERSION, Kind.PONG, 0, 0, bytes(8)) + bytes(256)
            else:
                raise SystemExit(f"the relay sent {kind}")

    def steady(self, per_second: float, seconds: float, stall: bool) -> dict[str, float]:
        """Talk at a rate; return what came of it."""
        due_s = begun_s = time.monotonic()
        turn, first, cut_s = 0, self.seats[0], 0.0
        while due_s < begun_s + seconds:
            time.sleep(0.0005)  # else this program would be busier than the relay; it counts in what is measured
            now_s = time.monotonic()
            if stall and self.stalled is None and now_s > begun_s + 1:
                self.stalled = first
                self.selector.unregister(first.sock)
                self.latencies.clear()
            while due_s <= now_s:
                turn += 1
                seat = self.seats[1 + turn % (len(self.seats) - 1)]
                self.sent += seat.say(int(due_s * 1e9))
                due_s += 1 / per_second
            self.read(0)
            if self.stalled is not None and not cut_s and first.address not in self.seats[1].sent:
                cut_s = now_s - begun_s - 1
        self.settle()
        times = sorted(self.latencies)
        return {
            "sent": self.sent, "got": self.got, "wrong": self.wrong, "lost": self.missing(), "cut_s": cut_s,
            "p50": times[len(times) // 2] / 1e6, "p99": times[len(times) * 99 // 100] / 1e6, "max": times[-1] / 1e6,
        }  # fmt: skip

    def work(self, blocks: int, kills: int, seed: int) -> dict[str, float]:
        """Pour so many blocks, with so many ends at random moments; return what came of it."""
        dice, begun_s = random.Random(seed), time.monotonic()
        moments = sorted(dice.randrange(blocks) for _ in range(kills))
        while self.sent < blocks:
            for seat in self.seats:
                seat.flush()
                if not seat.unsent:
                    self.sent += seat.say(0)
            self.read(0)
            while moments and self.sent >= moments[0]:
                moments.pop(0)
                gone = self.seats.pop(dice.randrange(len(self.seats)))
                self.selector.unregister(gone.sock)
                gone.end()
                self.come()
            self.latencies.clear()
        self.settle()
        took_s = time.monotonic() - begun_s
        return {"sent": self.sent, "got": self.got, "wrong": self.wrong, "lost": self.missing(), "s": took_s}

    def settle(self) -> None:
        """Wait for what is on its way."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s and (self.missing() or any(seat.unsent for seat in self.seats)):
            for seat in self.seats:
                seat.flush()
            self.read(0.05)

    def missing(self) -> int:
        """Return how many blocks between two seats that live haven't come."""
        alive = [seat for seat in self.seats if seat is not self.stalled]
        return sum(
            abs(seat.sent.get(other.address, 0) - other.got.get(seat.address, 0))
            for seat in alive
            for other in alive
            if other is not seat
        )


def main() -> None:
    """Stream as told."""
    host, port, kind, seats, *numbers = sys.argv[1:]
    stream = Stream(host, int(port), int(seats))
    first, second, third = map(float, numbers)
    if kind == "steady":
        print(json.dumps(stream.steady(first, second, bool(third))), flush=True)
    else:
        print(json.dumps(stream.work(int(first), int(second), int(third))), flush=True)


if __name__ == "__main__":
    main()
