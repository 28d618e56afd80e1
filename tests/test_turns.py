"""What waits for the worker is taken in turns."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from chatcore.wire import Frame, Kind, Turns


def block(sender: int, number: int, kind: Kind = Kind.SEND) -> bytes:
    return Frame(kind, number=number, address=bytes([sender]) * 8).to_bytes()


Waiting = Turns[tuple[float, bytes]]


def add(turns: Waiting, came_s: float, frame: bytes) -> None:
    turns.add(frame[8:16], (came_s, frame))


def oldest_s(turns: Waiting) -> float | None:
    return min((came_s for came_s, _ in turns.heads()), default=None)


def said(frame: bytes) -> tuple[int, int]:
    return frame[8], int.from_bytes(frame[4:8])


def test_who_talks_most_lets_everybody_else_have_their_turn() -> None:
    turns: Waiting = Turns()
    for number in range(1000):
        add(turns, 1.0, block(1, number))
    add(turns, 2.0, block(2, 0))
    add(turns, 2.0, block(3, 0))
    add(turns, 2.0, block(2, 1))
    taken = [said(frame) for _, frame in turns.take(6)]
    assert taken == [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2)]
    assert turns.count == 997


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60), st.integers(0, 2**32))
def test_each_sender_keeps_the_order_and_nothing_is_lost(steps: list[tuple[int, bool]], seed: int) -> None:
    rng, turns = random.Random(seed), Waiting()
    came: list[tuple[int, int]] = []
    taken: list[tuple[int, int]] = []
    since: list[float] = []
    for number, (sender, take) in enumerate(steps):
        add(turns, float(number), block(sender, number))
        came.append((sender, number))
        if take:
            if (oldest := oldest_s(turns)) is not None:
                since.append(oldest)
            taken += [said(frame) for _, frame in turns.take(rng.randrange(4))]
    assert turns.count == len(came) - len(taken)
    waiting = set(came) - set(taken)
    assert oldest_s(turns) == (min(number for _, number in waiting) if waiting else None)
    taken += [said(frame) for _, frame in turns.take(100)]
    for sender in range(1, 6):
        assert [one for one in taken if one[0] == sender] == [one for one in came if one[0] == sender]
    assert since == sorted(since)  # a room's clock never goes back
    assert oldest_s(turns) is None
    assert turns.take(1) == []


def test_the_news_of_a_seat_stays_before_what_the_seat_says() -> None:
    turns: Waiting = Turns()
    for sender in range(1, 200):
        add(turns, 1.0, block(sender, 0, Kind.PRESENT))
        add(turns, 1.0, block(sender, 1))
    taken = [said(frame) for _, frame in turns.take(1000)]
    assert [number for _, number in taken] == [0] * 199 + [1] * 199
