"""What a relay, or whoever sits before it, sees of talk and of silence: sizes and times, seat by seat, over TLS.

    python tests/capture.py [--period 1] [--rounds 8] [--beats 12] [--members 3] [--off]

`capture` has a room be silent and talk in turns, while a proxy before the relay writes down when how many bytes come
from each member; then it tries to tell the two apart: by counting bytes, and by a two-sample test of the gaps.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from client_help import HASTY, Person, room_on, through, tls_config, until  # noqa: E402
from proxy import Proxy  # noqa: E402
from relay_help import RelayThread  # noqa: E402

from chatcore import rhythm  # noqa: E402
from chatcore.events import MessageReceived, SteadyChanged  # noqa: E402
from chatcore.invite import RelayAddress  # noqa: E402

Pieces = list[tuple[float, int]]  # monotonic seconds, bytes


@dataclass(frozen=True)
class Seen:
    """What was seen of one member in all rounds of one kind: bytes for each round, gaps in seconds, sizes of writes."""

    bytes_a_round: tuple[int, ...]
    gaps_s: tuple[float, ...]
    sizes: frozenset[int]


@dataclass(frozen=True)
class Figures:
    """The outcome; `p_gaps` for each member: how often chance alone makes the gaps differ as much."""

    members: int
    period_s: float
    rounds: int
    said: int
    arrived: int
    silent: tuple[Seen, ...]
    talking: tuple[Seen, ...]
    p_gaps: tuple[float, ...]
    p_bytes: tuple[float, ...]  # the same of the bytes of a round
    bytes_a_beat: float  # of each member, sent and received, in silence

    @property
    def most_apart(self) -> int:
        """By how many bytes the mean round of talk and the mean round of silence of somebody differ, at most."""
        return max(
            abs(sum(one.bytes_a_round) - sum(other.bytes_a_round)) // self.rounds
            for one, other in zip(self.silent, self.talking, strict=True)
        )

    def lines(self) -> list[str]:
        """Say it in a few lines."""
        gaps = sorted(gap for seen in (*self.silent, *self.talking) for gap in seen.gaps_s)
        return [
            f"{self.members} members, {self.rounds} rounds each of silence and of talk ({self.said} messages)",
            f"bytes sent in a round: silence {[seen.bytes_a_round for seen in self.silent]}",
            f"                       talk    {[seen.bytes_a_round for seen in self.talking]}",
            f"sizes of writes: {sorted({size for seen in (*self.silent, *self.talking) for size in seen.sizes})[:12]}",
            f"gaps: {len(gaps)}, from {gaps[0]:.4f} to {gaps[-1]:.4f} s" if gaps else "gaps: none",
            f"bytes a beat of one member, sent and received, in silence: {self.bytes_a_beat:.0f}",
            f"two-sample test of the gaps, each member: p = {', '.join(f'{p:.3f}' for p in self.p_gaps)}",
            f"and of the bytes of a round: p = {', '.join(f'{p:.3f}' for p in self.p_bytes)}",
        ]


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the statistic of Kolmogorov and Smirnov: how far the two distributions are apart at most, 0 to 1."""
    if not one or not other:
        return float(bool(one) != bool(other))
    ranked = sorted([(value, 1 / len(one)) for value in one] + [(value, -1 / len(other)) for value in other])
    most = height = 0.0
    for at, (value, step) in enumerate(ranked):
        height += step
        if at + 1 == len(ranked) or ranked[at + 1][0] != value:
            most = max(most, abs(height))
    return most


def chance(one: Sequence[float], other: Sequence[float], *, turns: int = 999, seed: int = 1) -> float:
    """Return how often two random halves of all the values are at least as far apart (a permutation test)."""
    seen, dice, both = distance(one, other), random.Random(seed), [*one, *other]
    further = 0
    for _ in range(turns):
        dice.shuffle(both)
        further += distance(both[: len(one)], both[len(one) :]) >= seen - 1e-12
    return (further + 1) / (turns + 1)


def look(pieces: Pieces, spans: list[tuple[float, float]]) -> Seen:
    """Take out what came in these spans of time."""
    rounds = [[piece for piece in pieces if begin <= piece[0] < end] for begin, end in spans]
    gaps = [later[0] - earlier[0] for one in rounds for earlier, later in pairwise(one)]
    sizes = frozenset(size for one in rounds for _, size in one)
    return Seen(tuple(sum(size for _, size in one) for one in rounds), tuple(gaps), sizes)


def capture(home: Path, *, members: int = 3, period_s: int = 1, rounds: int = 8, beats: int = 12) -> Figures:
    """Have a room be silent and talk in turns, `rounds` times each for so many beats; `period_s` 0: no rhythm.

    Without a rhythm a beat is a second of `rhythm.SECOND_S`, too.
    """
    names = [f"member {number}" for number in range(members)]
    beat_s, dice = rhythm.seconds(period_s or 1), random.Random(5)
    spans: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    said, received, silent_s = 0, 0, 0.0
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(RelayThread(tls_config(home)))
        proxy = stack.enter_context(Proxy(relay.port))
        invite = through(room_on(RelayAddress.parse(relay.server.line), owner=names[0]), proxy.port)
        timing = replace(HASTY, renew_s=24 * 3600.0)
        people = []
        for number, name in enumerate(names):
            people.append(stack.enter_context(Person(name, invite, timing)))
            until(lambda number=number: len(proxy.pieces) > number, "connected")  # type: ignore[misc]
        for person in people:
            person.until_here(*{*names} - {person.name})
        if period_s:
            people[0].client.keep_steady(people[0].room_id, period_s)
            for person in people:
                person.ear.until(lambda ear=person.ear: bool(ear.of(SteadyChanged)), "a rhythm")  # type: ignore[misc]
        settle = _settled(people)
        time.sleep(max(2.0, 3 * beat_s))  # the last of the handshake
        for number in range(2 * rounds):
            talking = number % 2 == 1
            begin, before = time.monotonic(), proxy.received_bytes
            for _ in range(beats):
                if talking and dice.random() < 0.8:
                    dice.choice(people).say("x" * dice.choice((5, 60, 300)))
                    said += 1
                time.sleep(max(0.0, beat_s * dice.uniform(0.5, 1.5)) if talking else beat_s)
            time.sleep(max(0.0, begin + beats * beat_s - time.monotonic()))
            spans[talking].append((begin, begin + beats * beat_s))
            if not talking:
                received += proxy.received_bytes - before
                silent_s += time.monotonic() - begin
            if talking:  # what was said last is no silence
                until(lambda wanted=said: settle() >= wanted * (members - 1), "all has arrived", 600)  # type: ignore[misc]
                time.sleep(6 * beat_s)
        arrived = settle()
    silent, talked = (tuple(look(pieces, spans[kind]) for pieces in proxy.pieces[:members]) for kind in (False, True))
    p_gaps = tuple(chance(one.gaps_s, other.gaps_s) for one, other in zip(silent, talked, strict=True))
    p_bytes = tuple(chance(one.bytes_a_round, other.bytes_a_round) for one, other in zip(silent, talked, strict=True))
    sent = sum(sum(seen.bytes_a_round) for seen in silent)
    a_beat = sent / members / rounds / beats + received / members / (silent_s / beat_s)
    return Figures(members, period_s * rhythm.SECOND_S, rounds, said, arrived, silent, talked, p_gaps, p_bytes, a_beat)


def _settled(people: list[Person]) -> Callable[[], int]:
    return lambda: sum(len(person.ear.of(MessageReceived)) for person in people)


def main() -> int:
    """Capture and print the figures; status 1 when talk and silence can be told apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--period", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--beats", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-capture-") as home:
        figures = capture(
            Path(home), members=options.members, period_s=options.period, rounds=options.rounds, beats=options.beats
        )
    print("\n".join(figures.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
