"""Ask a relay for rooms with a wrong pass, one that is in use and others that aren't in turns: the program of S5.

    python -m trials.asker HOST PORT PASS TIMES

Prints how many different answers there were, the median times of both (microseconds), the Kolmogorov-Smirnov distance
of the two distributions, and what chance alone exceeds once in a thousand times.
"""

from __future__ import annotations

import bisect
import secrets
import socket
import statistics
import sys
import time

from relay_help import join_frame

from chatcore.wire import FRAME_SIZE
from relay.keys import from_base64url

ROOM = b"in use".ljust(32, b".")


def ask(host: str, port: int, room: bytes, relay_pass: bytes) -> tuple[bytes, float, socket.socket]:
    """Return the answer, and how long it took in microseconds."""
    sock = socket.create_connection((host, port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    time.sleep(0.001)  # until the relay is done with the connection itself
    begun_ns = time.perf_counter_ns()
    sock.sendall(join_frame(room, relay_pass))
    data = b""
    while len(data) < FRAME_SIZE and (piece := sock.recv(FRAME_SIZE - len(data))):
        data += piece
    return data, (time.perf_counter_ns() - begun_ns) / 1000, sock


def distance(first: list[float], second: list[float]) -> float:
    """Return the greatest difference between the two distribution functions."""
    first, second = sorted(first), sorted(second)
    return max(
        abs(bisect.bisect_right(first, x) / len(first) - bisect.bisect_right(second, x) / len(second))
        for x in first + second
    )


def main() -> None:
    """Ask as told."""
    host, port, relay_pass, times = sys.argv[1:]
    _, _, inside = ask(host, int(port), ROOM, from_base64url(relay_pass))
    wrong = secrets.token_bytes(32)
    answers: set[bytes] = set()
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * int(times)):
        room = ROOM if number % 2 else secrets.token_bytes(32)
        answer, micros, sock = ask(host, int(port), room, wrong)
        sock.close()
        answers.add(answer)
        took[number % 2].append(micros)
    inside.close()
    unknown, known = took
    bound = 1.95 * (2 / int(times)) ** 0.5
    print(len(answers), statistics.median(known), statistics.median(unknown), distance(known, unknown), bound)


if __name__ == "__main__":
    main()
