"""Look for an input that nobody thought of, ten minutes for each target of `tests/targets.py`.

    python tests/fuzz.py                            # all targets, ten minutes each
    python tests/fuzz.py seat proxy --minutes 1     # some, for a minute each

Hypothesis cuts, joins, repeats and damages what is in the corpus, and what it puts together itself.  What it finds it
shrinks and prints as a line for the corpus; status 1 then.  The seed is drawn anew each time, and printed.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from corpus import entries  # noqa: E402
from hypothesis import HealthCheck, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from targets import TARGETS  # noqa: E402

MAX_BYTES = 70_000
EXAMPLES = 2_000  # of one seed; then another
Edit = tuple[int, int, bytes]


def _edited(data: bytes, edits: list[Edit]) -> bytes:
    for at, size, put in edits:
        at %= len(data) + 1
        data = data[:at] + put + data[at + size :]
    return data[:MAX_BYTES]


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Return what to try on a target: the corpus, damaged; its pieces in another order; and anything."""
    kept = [entry.data for entry in entries(target)]
    whole = st.sampled_from(sorted((data for data in kept if len(data) <= MAX_BYTES), key=len))
    lines = sorted({line + b"\n" for data in kept for line in data[:4096].split(b"\n")}, key=len)
    frames = sorted({data[at : at + 272] for data in kept for at in range(0, min(len(data), 8160), 272)}, key=len)
    part = st.sampled_from(frames if target in ("frames", "seat", "join") else lines)
    put = st.one_of(st.binary(max_size=8), part, st.sampled_from([b"\0", b"\xff", b"\1", b'"', b"[", b"\r\n"]))
    edits = st.lists(st.tuples(st.integers(0, MAX_BYTES), st.sampled_from([0, 0, 1, 1, 2, 8, 272]), put), max_size=6)
    repeated = st.builds(lambda some, times: b"".join(some) * times, st.lists(part, max_size=8), st.integers(1, 20))
    return st.builds(_edited, st.one_of(whole, repeated, st.binary(max_size=600)), edits)


def fuzz(target: str, seconds: float) -> int:
    """Try inputs for so long; return how many.  What goes wrong is raised, with the smallest input that does it."""
    judge, end_s, tried = TARGETS[target], time.monotonic() + seconds, 0
    strategy = inputs(target)
    last = b""

    def attempt(data: bytes) -> None:
        nonlocal tried, last
        tried, last = tried + 1, data
        begun_s = time.monotonic()
        judge(data)
        assert time.monotonic() - begun_s < 20, "took too long"

    while time.monotonic() < end_s:
        number = secrets.randbits(32)
        rounds: Callable[[], None] = seed(number)(
            settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))(
                given(strategy)(attempt)
            )
        )
        try:
            rounds()
        except BaseException:
            print(f"{target}: wrong after {tried} inputs (seed {number}); for the corpus:\ninput: {last.hex()}")
            raise
    return tried


def main() -> int:
    """Fuzz the targets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target (10)")
    options = parser.parse_args()
    if unknown := {*options.targets} - {*TARGETS}:
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    for target in options.targets or TARGETS:
        tried = fuzz(target, options.minutes * 60)
        print(f"{target}: {tried:,} inputs in {options.minutes:g} minutes, nothing wrong", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
