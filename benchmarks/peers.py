"""The relay beside the servers that people would otherwise put there, in one run.  See benchmarks/README.md.

    python benchmarks/peers.py [--rounds 3] [--seconds 2] [--only NAME ...] [--reference "COMMAND {port}"]

All do the same work: a text of 256 bytes from one member of a room to each of the others, each on its own (a server
that has channels only, like ngIRCd, gets one line and repeats it).  What isn't installed is left out, and said so:
nats-server, redis-server, mosquitto, ngircd, and the package `websockets`.  `--reference` is any other relay that
speaks frames like ours with addresses that its members choose (`BARE` in dialects.py).

`barest` is the least that a relay in Python does (barest.py), so with a reference in C a second table says how much of
it the interpreter could reach, and how much of it the relay does.  The floor is one bare `send()` of 272 bytes for each
delivery in a Python loop, and nothing else.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import dialects  # noqa: E402
from benchmarks.dialects import Dialect  # noqa: E402
from benchmarks.load import BrokenError, Load  # noqa: E402
from benchmarks.programs import (  # noqa: E402
    Program,
    allow_files,
    cpu_s,
    free_port,
    has_module,
    pin_to,
    start,
    start_python,
    start_relay,
    wait_for,
)
from benchmarks.relay import WARM_S, floor  # noqa: E402

Start = Callable[[Path], tuple[Program, int]]  # in a directory of its own; the port
HERE = Path(__file__).resolve().parent
ELSEWHERE = ("/usr/sbin", "/usr/local/sbin", str(ROOT / ".venv/bin"))  # often not where a shell looks
RELAY, FLOOR, BAREST, REFERENCE = "relay", "floor", "barest", "reference"
PER_SECOND = 400.0

MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 0
log_dest none
"""
NGIRCD = """[Global]
Name = benchmark.invalid
Info = x
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = x
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
"""


@dataclass(frozen=True)
class Shape:
    """So many rooms of so many members, and messages that each sender keeps on the way."""

    rooms: int
    members: int
    window: int

    def __str__(self) -> str:
        return f"{self.rooms} x {self.members}x{self.window}" if self.rooms > 1 else f"{self.members}x{self.window}"


SHAPES = (Shape(1, 50, 1), Shape(1, 50, 16), Shape(1, 200, 16), Shape(20, 10, 4), Shape(100, 10, 4))


@dataclass
class Contender:
    """A server, what it speaks, and what was measured of it, round by round."""

    name: str
    dialect: Dialect
    start: Start
    rates: dict[Shape, list[float]] = field(default_factory=dict)  # deliveries per CPU-second
    delays_ms: list[tuple[float, float]] = field(default_factory=list)  # p50 and p99


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=":".join(ELSEWHERE))


def _serve(command: str) -> Start:
    """Return what starts a command with {port}, {home} and {name}.conf files filled in, and waits until it listens."""

    def start_it(home: Path) -> tuple[Program, int]:
        port = free_port()
        for name, text in (("mosquitto", MOSQUITTO), ("ngircd", NGIRCD)):
            (home / f"{name}.conf").write_text(text.format(port=port))
        home.chmod(0o755)  # some go on as another user
        program = start(shlex.split(command.format(port=port, home=home)))
        try:
            wait_for(port, program)
        except OSError:
            program.end()
            raise
        return program, port

    return start_it


def contenders(reference: str) -> tuple[list[Contender], list[str]]:
    """Return whom there is to measure, and what isn't installed."""
    found = [Contender(RELAY, dialects.PARLEY, lambda home: start_relay(tls=False, state=home))]
    missing = []
    if reference:
        found.append(Contender(REFERENCE, dialects.BARE, _serve(reference)))
    for name, dialect, arguments in (
        ("nats-server", dialects.NATS, "-a 127.0.0.1 -p {port}"),
        ("redis-server", dialects.REDIS, "--bind 127.0.0.1 --port {port} --save '' --dir {home}"),
        ("mosquitto", dialects.MQTT, "-c {home}/mosquitto.conf"),
        ("ngircd", dialects.IRC, "-n -f {home}/ngircd.conf"),
    ):
        if path := _program(name):
            found.append(Contender(name, dialect, _serve(f"{path} {arguments}")))
        else:
            missing.append(name)
    if has_module("websockets.asyncio.server"):
        found.append(
            Contender("websockets", dialects.WEBSOCKET, lambda _: start_python([str(HERE / "websocket_peer.py")]))
        )
    else:
        missing.append("websockets")
    found.append(Contender(BAREST, dialects.BARE, lambda _: start_python([str(HERE / "barest.py")])))
    found.append(Contender("naive", dialects.PARLEY, lambda _: start_python([str(HERE / "relay.py"), "--be-naive"])))
    return found, missing


def measure(contender: Contender, shape: Shape, seconds: float) -> float:
    """Return deliveries per CPU-second of the server."""
    with tempfile.TemporaryDirectory() as home:
        program, port = contender.start(Path(home))
        try:
            load = Load(port, shape.rooms, shape.members, dialect=contender.dialect)
            load.run(WARM_S, shape.window)
            before_s = cpu_s(program.pid)
            deliveries = load.run(seconds, shape.window)
            used_s = cpu_s(program.pid) - before_s
            load.finish()
        finally:
            program.end()
    return deliveries / max(used_s, 0.01)


def measure_delay(contender: Contender, seconds: float) -> tuple[float, float]:
    """Return p50 and p99, in ms, of what is said 400 times a second in a room of 50, from when it was due."""
    with tempfile.TemporaryDirectory() as home:
        program, port = contender.start(Path(home))
        try:
            load = Load(port, 1, 50, dialect=contender.dialect)
            load.run_at(PER_SECOND, WARM_S)
            delays_s = sorted(load.run_at(PER_SECOND, seconds))
            load.finish()
        finally:
            program.end()
    return 1000 * delays_s[len(delays_s) // 2], 1000 * delays_s[len(delays_s) * 99 // 100]


def ratios(ours: list[float], theirs: list[float]) -> str:
    """Return how many times theirs ours is: the median of the rounds, and between which it lies."""
    each = [our / their for our, their in zip(ours, theirs, strict=True)]
    return f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})"


def _head(first: str, *last: str) -> list[str]:
    return ["| " + " | ".join([first, *map(str, SHAPES), *last]) + " |", "|" + "---|" * (len(SHAPES) + 1 + len(last))]


def shares(found: list[Contender]) -> str:
    """Return what the interpreter and the relay reach of the reference, for Markdown; nothing without a reference."""
    of = {contender.name: contender.rates for contender in found}
    if REFERENCE not in of:
        return ""
    lines = _head(f"of the {REFERENCE}")
    for name in (RELAY, BAREST):
        if name in of:
            lines.append("| " + " | ".join([name, *(ratios(of[name][s], of[REFERENCE][s]) for s in SHAPES)]) + " |")
    return "\n".join(lines)


def table(found: list[Contender], floors: dict[Shape, list[float]]) -> str:
    """Return all that was measured, for Markdown."""
    lines = _head("server", "400/s: p50 / p99 ms")
    ours = found[0].rates
    for name, rates, delays in [(c.name, c.rates, c.delays_ms) for c in found] + [(FLOOR, floors, [])]:
        cells = [name]
        for shape in SHAPES:
            rate = f"{statistics.median(rates[shape]) / 1000:.0f} k"
            cells.append(rate if name == RELAY else f"{rate}, {ratios(ours[shape], rates[shape])}")
        p50_p99 = [statistics.median(column) for column in zip(*delays, strict=True)]
        cells.append(" / ".join(f"{value:.2f}" for value in p50_p99))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Read the command line, let all take turns, and print the table; status 1 when something got lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these, and the relay")
    parser.add_argument("--reference", default="", metavar="COMMAND", help="another relay; {port} is filled in")
    options = parser.parse_args()
    pin_to(1)
    allow_files()
    found, missing = contenders(options.reference)
    found = [c for c in found if not options.only or c.name in (RELAY, *options.only)]
    floors: dict[Shape, list[float]] = {}
    try:
        for shape in SHAPES:
            for _ in range(options.rounds):
                for contender in found:
                    contender.rates.setdefault(shape, []).append(measure(contender, shape, options.seconds))
                floors.setdefault(shape, []).append(floor(shape.members, options.seconds))
        for _ in range(options.rounds):
            for contender in found:
                contender.delays_ms.append(measure_delay(contender, options.seconds))
    except (BrokenError, OSError) as problem:
        print(f"{contender.name}: {problem}", file=sys.stderr)
        return 1
    print(f"Deliveries per CPU-second of the server, and how many times that the relay's are; {time.strftime('%F')},")
    print(f"medians (least-most) of {options.rounds} rounds of {options.seconds:g} s.")
    print(table(found, floors))
    if lines := shares(found):
        print(f"\n{lines}")
    if missing:
        print(f"Not installed, and so not measured: {', '.join(missing)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
