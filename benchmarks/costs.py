"""What TLS costs the relay, what a connection that is only there costs, and what a message in rooms of different sizes.

    python benchmarks/costs.py [--rounds 3] [--seconds 2] [--connections 10000]

See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.dialects import PARLEY  # noqa: E402
from benchmarks.programs import PYTHON, allow_files, pin_to, rss_kib, start_relay  # noqa: E402
from benchmarks.relay import measure  # noqa: E402
from chatcore.dial import client_context  # noqa: E402

ROOM_SIZES = (10, 30, 100, 250)
IDLE_ROOM = 10
SPARE_FILES = 100
SILENCE_S = 3600  # of members that answer no ping
AT_ONCE = 16
PATIENCE_S = 60  # on a machine that has other things to do


def deliveries(members: int, window: int, seconds: float, *, tls: bool) -> float:
    """Return deliveries per CPU-second of a relay of its own."""
    with tempfile.TemporaryDirectory() as state:
        program, port = start_relay(tls, Path(state))
        try:
            return measure(program, port, members, window, seconds, tls)
        finally:
            program.end()


def price_of_tls(rounds: int, seconds: float) -> None:
    """Print what is left of the rate when the relay speaks TLS."""
    for window in (1, 16):
        ratios = []
        for _ in range(rounds):
            plain = deliveries(50, window, seconds, tls=False)
            ratios.append(deliveries(50, window, seconds, tls=True) / plain)
        middle = statistics.median(ratios)
        print(f"TLS / plain, room of 50, {window} on the way: {middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


def growth(rounds: int, seconds: float) -> None:
    """Print the CPU of the relay for one message in rooms of several sizes, and the exponent by which it grows."""
    costs_us: dict[int, list[float]] = {members: [] for members in ROOM_SIZES}
    for _ in range(rounds):
        for members in ROOM_SIZES:
            costs_us[members].append(1e6 * (members - 1) / deliveries(members, 1, seconds, tls=False))
    middles = {members: statistics.median(each) for members, each in costs_us.items()}
    print("CPU for a message:", ", ".join(f"{cost:.0f} us in a room of {n}" for n, cost in middles.items()))
    slope, _ = statistics.linear_regression([math.log(n) for n in middles], [math.log(c) for c in middles.values()])
    print(f"so it grows as n^{slope:.2f}")


def config_for(connections: int, state: Path) -> Path:
    """Write a configuration with room for so many, as a relay's owner would."""
    command = [PYTHON, str(ROOT / "relay_server.py"), "init", "--host", "127.0.0.1", "--state", str(state)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (config,) = state.glob("*.toml")
    text = config.read_text()
    for key, value in (("max_connections", connections), ("silence_s", SILENCE_S), ("join_deadline_s", PATIENCE_S)):
        text, found = re.subn(f"^# {key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1
    config.write_text(text)
    return config


def enter(port: int, number: int, context: ssl.SSLContext | None) -> socket.socket:
    """Join as one of those who will say nothing; return the connection, without what TLS would keep for it here."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    if context is not None:
        sock = context.wrap_socket(sock)
    PARLEY.join(sock, number // IDLE_ROOM, number)
    return socket.socket(fileno=sock.detach())


def idle(connections: int, *, tls: bool) -> None:
    """Print how much memory of the relay a connection has that is in a room and says nothing.

    Some come at once: else each would wait for the relay, and the relay for each.
    """
    count = min(connections, allow_files() - SPARE_FILES)
    context = client_context() if tls else None
    with tempfile.TemporaryDirectory() as state, contextlib.ExitStack() as inside:
        program, port = start_relay(tls, Path(state), config_for(count, Path(state)))
        try:
            before_kib = rss_kib(program.pid)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for sock in pool.map(lambda number: enter(port, number, context), range(count)):
                    inside.enter_context(sock)
            each_kib = (rss_kib(program.pid) - before_kib) / count
        finally:
            program.end()
    print(f"memory of an idle connection, {count} of them{' with TLS' if tls else ''}: {each_kib:.2f} KiB", flush=True)


def main() -> None:
    """Read the command line and measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    pin_to(1)
    price_of_tls(options.rounds, options.seconds)
    growth(options.rounds, options.seconds)
    for tls in (False, True):
        idle(options.connections, tls=tls)


if __name__ == "__main__":
    main()
