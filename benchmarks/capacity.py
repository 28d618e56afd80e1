"""What relays carry: measured unit costs, and a simulation of what is asked of them.  See docs/CAPACITY.md.

    python benchmarks/capacity.py              # simulate with the costs that stand below
    python benchmarks/capacity.py --measure    # measure them here first, and check the model against this machine

Everything is TLS.  A relay is one server with a queue: a message of a seat costs MESSAGE_US and DELIVERY_US more for
each block in it, a connection HANDSHAKE_US.  That nothing is collected into one write makes it cautious: under load the
relay gets cheaper for each block (`50x16` in benchmarks/README.md), and the model doesn't.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import socket
import ssl
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.programs import cpu_s, pin_to, rss_kib, start_relay  # noqa: E402
from benchmarks.relay import measure  # noqa: E402
from chatcore.wire import FRAME_SIZE, Frame, Kind, join_block  # noqa: E402

HEARTBEAT_S = 30.0  # after docs/PROTOCOL.md: so often each seat says to each other how far it has read
WIRE_BYTES = 272 + 22 + 66  # a frame alone in a TLS record alone in a TCP segment, down to the wire
MONTH_S = 30 * 86_400
MOST_P99_MS = 5.0
MOST_BUSY = 0.7
SEED = 1
SINGLES_PER_S = 2000
FIRST_SEATS = 200  # after which a relay's memory grows by what a seat needs, and by nothing else
SEATS = 600
ADDRESSES: dict[ssl.SSLSocket, bytes] = {}


@dataclass(frozen=True)
class Costs:
    """What one relay process needs on one core."""

    message_us: float
    delivery_us: float
    handshake_us: float
    seat_kib: float
    base_mib: float
    kernel_kib: float = 10.0  # of a seat's socket

    def on(self, slower: float) -> Costs:
        """Return what it needs on a core that is so many times as slow."""
        return replace(
            self,
            message_us=self.message_us * slower,
            delivery_us=self.delivery_us * slower,
            handshake_us=self.handshake_us * slower,
        )


CALM = Costs(message_us=25.0, delivery_us=4.8, handshake_us=1200.0, seat_kib=19.5, base_mib=42.5)
BUSY = Costs(message_us=110.0, delivery_us=8.3, handshake_us=1280.0, seat_kib=19.5, base_mib=47.0)


@dataclass(frozen=True)
class People:
    """What is asked of a relay."""

    room: int  # seats in each room
    messages_per_minute: float = 1.0  # said in each room, day and night
    blocks: int = 1  # of each message for each reader
    returns_per_hour: float = 2.0  # of each seat: a connection that was lost, a laptop that woke, the hourly key

    def singles_per_s(self) -> float:
        """Blocks that come alone, for each room: heartbeats, and acknowledgements of what was said."""
        return self.room * (self.room - 1) / HEARTBEAT_S + self.messages_per_minute / 60 * (self.room - 1)

    def messages_per_s(self) -> float:
        """Messages to everybody, for each room."""
        return self.messages_per_minute / 60

    def blocks_per_s(self) -> float:
        """All blocks, for each room."""
        return self.singles_per_s() + self.messages_per_s() * (self.room - 1) * self.blocks


@dataclass(frozen=True)
class Found:
    """What a simulation came to."""

    busy: float
    p50_ms: float
    p99_ms: float


def simulate(costs: Costs, people: People, rooms: int, seconds: float = 20.0) -> Found:
    """Run one relay with so many rooms: all that comes waits in one line, and each thing takes its time."""
    dice = random.Random(SEED)
    kinds = [
        (rooms * people.singles_per_s(), costs.message_us + costs.delivery_us),
        (
            rooms * people.messages_per_s(),
            costs.message_us + costs.delivery_us * (people.room - 1) * people.blocks,
        ),
        (rooms * people.room * people.returns_per_hour / 3600, costs.handshake_us),
    ]
    rate = sum(kind[0] for kind in kinds)
    weights, works = [kind[0] for kind in kinds], [kind[1] / 1e6 for kind in kinds]
    now_s = free_s = busy_s = 0.0
    took: list[float] = []
    drawn: list[float] = []
    most = 400_000
    while now_s < seconds and len(took) < most:
        if not drawn:
            drawn = dice.choices(works, weights, k=10_000)
        now_s += dice.expovariate(rate)
        work_s = drawn.pop()
        free_s = max(free_s, now_s) + work_s
        busy_s += work_s
        took.append(free_s - now_s)
    took.sort()
    return Found(busy_s / now_s, took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000)


def most_rooms(costs: Costs, people: People) -> int:
    """Return how many rooms one relay carries: not busier than MOST_BUSY, p99 not above MOST_P99_MS."""
    low, high = 0, 1_000_000
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        alone_s = rooms_work(costs, people) * middle
        found = simulate(costs, people, middle) if alone_s < MOST_BUSY else None
        if found is not None and found.p99_ms <= MOST_P99_MS:
            low = middle
        else:
            high = middle
    return low


def rooms_work(costs: Costs, people: People) -> float:
    """Return the processor seconds that one room needs in each second."""
    alone = people.singles_per_s() * (costs.message_us + costs.delivery_us)
    together = people.messages_per_s() * (costs.message_us + costs.delivery_us * (people.room - 1) * people.blocks)
    return (alone + together + people.room * people.returns_per_hour / 3600 * costs.handshake_us) / 1e6


def table(costs: Costs, gib: float, terabytes: float, euro: float) -> None:
    """Print what one small computer carries, by the size of its rooms, and what ends it."""
    print(
        "| rooms of | CPU | memory | traffic | one relay | blocks/s | ten relays | a hundred | cent/month for a seat |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for size in (2, 8, 20, 50, 100, 256):
        people = People(size)
        limits = {
            "CPU": most_rooms(costs, people),
            "memory": int((gib * 1024 * 0.8 - costs.base_mib) * 1024 / (costs.seat_kib + costs.kernel_kib) / size),
            "traffic": int(terabytes * 1e12 / MONTH_S / (people.blocks_per_s() * WIRE_BYTES)),
        }
        first = min(limits, key=limits.__getitem__)
        rooms = limits[first]
        cells = [f"**{n:,}**" if name == first else f"{n:,}" for name, n in limits.items()]
        seats = rooms * size
        print(
            f"| {size} | {' | '.join(cells)} | {rooms:,} rooms, {seats:,} seats | {rooms * people.blocks_per_s():,.0f} "
            f"| {10 * seats:,} seats | {100 * seats:,} seats | {100 * euro / seats:.2f} |"
        )


def measured(seconds: float) -> tuple[Costs, list[tuple[str, float, float]]]:
    """Return this machine's costs, and points that weren't used for them: name, measured, modelled."""
    pin_to(1)
    with tempfile.TemporaryDirectory() as state:
        process, port = start_relay(True, Path(state))
        try:
            with contextlib.ExitStack() as stack:  # first: what a relay has had once it keeps, and gives to who comes
                seats = [stack.enter_context(_alone(port)) for _ in range(FIRST_SEATS)]
                before_s, before_kib = cpu_s(process.pid), rss_kib(process.pid)
                seats += [stack.enter_context(_alone(port)) for _ in range(SEATS)]
                handshake_us = (cpu_s(process.pid) - before_s) / SEATS * 1e6
                seat_kib = (rss_kib(process.pid) - before_kib) / SEATS
                before_s = cpu_s(process.pid)
                _say_singles(seats, SINGLES_PER_S, 3.0)
                singles_us = (cpu_s(process.pid) - before_s) / 3 / SINGLES_PER_S * 1e6
            rates = {  # the best of five: what else runs here only makes it dearer
                n: max(measure(process, port, n, 1, seconds, True) for _ in range(5)) for n in (10, 25, 50, 100)
            }
            each_us = {n: (n - 1) * 1e6 / rate for n, rate in rates.items()}  # of one message to everybody
            delivery_us = (each_us[100] - each_us[10]) / 90
            message_us = max(1.0, each_us[10] - 9 * delivery_us)
            base_mib = (before_kib - FIRST_SEATS * seat_kib) / 1024
        finally:
            process.terminate()
            process.wait(10)
    costs = Costs(message_us, delivery_us, handshake_us, seat_kib, base_mib)
    points = [(f"room of {n}: CPU us for a message", each_us[n], message_us + (n - 1) * delivery_us) for n in (25, 50)]
    points.append((f"{SINGLES_PER_S:,} blocks/s, each from another seat: CPU us", singles_us, message_us + delivery_us))
    return costs, points


def _say_singles(seats: list[ssl.SSLSocket], per_second: int, seconds: float) -> None:
    """Let each seat in turn say a block to itself, and read the one before."""
    due_s = begun_s = time.monotonic()
    number = 0
    while due_s < begun_s + seconds:
        time.sleep(max(0.0, due_s - time.monotonic()))
        seat = seats[number % len(seats)]
        if number >= len(seats):
            seat.recv(FRAME_SIZE)
        seat.sendall(Frame(Kind.SEND, address=ADDRESSES[seat]).to_bytes())
        number += 1
        due_s += 1 / per_second


def _alone(port: int) -> ssl.SSLSocket:
    """Return a seat in a room of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
    sock.sendall(Frame(Kind.JOIN, block=join_block(os.urandom(32))).to_bytes())
    data = b""
    while len(data) < FRAME_SIZE:
        data += sock.recv(FRAME_SIZE - len(data))
    ADDRESSES[sock] = data[8:16]
    return sock


def main() -> None:
    """Simulate, perhaps after measuring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--measure", action="store_true", help="measure unit costs here first")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each point that is measured")
    parser.add_argument("--slower", type=float, default=1.5, help="a rented core beside this one (1.5)")
    parser.add_argument("--gib", type=float, default=2.0, help="memory of the computer")
    parser.add_argument("--terabytes", type=float, default=20.0, help="traffic in each month that costs nothing more")
    parser.add_argument("--euro", type=float, default=5.0, help="for it, in each month")
    options = parser.parse_args()
    machines = {"a calm core": CALM, "a core that others keep busy": BUSY}
    if options.measure:
        costs, points = measured(options.seconds)
        for name, seen, modelled in points:
            print(f"{name}: measured {seen:.0f}, modelled {modelled:.0f} ({modelled / seen:.2f})")
        machines = {"this one": costs}
    for name, costs in machines.items():
        print(f"{name}: {costs}")
        table(costs.on(options.slower), options.gib, options.terabytes, options.euro)
        print()
    rented = next(iter(machines.values())).on(options.slower)
    people = People(8)
    rooms = most_rooms(rented, people)
    print("rooms of 8, towards the end of the CPU:")
    for share in (0.25, 0.5, 1.0, 1.2, 1.35):
        found = simulate(rented, people, int(rooms * share))
        times = f"p50 {found.p50_ms:.2f} ms, p99 {found.p99_ms:.2f} ms"
        print(f"  {int(rooms * share):,} rooms: busy {found.busy:.0%}, {times}")


if __name__ == "__main__":
    main()
