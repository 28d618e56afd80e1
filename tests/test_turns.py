"""What waits for the worker is taken in turns."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from chatcore.turns import Turns
from chatcore.wire import Frame, Kind


def block(sender: int, number: int, kind: Kind = Kind.SEND) -> bytes:
    return Frame(kind, number=number, address=bytes([sender]) * 8).to_bytes()


def said(frame: bytes) -> tuple[int, int]:
    return frame[8], int.from_bytes(frame[4:8])


def test_who_talks_most_lets_everybody_else_have_their_turn() -> None:
    turns = Turns()
    for number in range(1000):
        turns.add(1.0, block(1, number))
    turns.add(2.0, block(2, 0))
    turns.add(2.0, block(3, 0))
    turns.add(2.0, block(2, 1))
    taken = [said(frame) for frame in turns.take(6)]
    assert taken == [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2)]
    assert len(turns) == 997


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60), st.integers(0, 2**32))
def test_each_sender_keeps_the_order_and_nothing_is_lost(steps: list[tuple[int, bool]], seed: int) -> None:
    rng, turns = random.Random(seed), Turns()
    came: list[tuple[int, int]] = []
    taken: list[tuple[int, int]] = []
    since: list[float] = []
    for number, (sender, take) in enumerate(steps):
        turns.add(float(number), block(sender, number))
        came.append((sender, number))
        if take:
            if turns.oldest_s is not None:
                since.append(turns.oldest_s)
            taken += [said(frame) for frame in turns.take(rng.randrange(4))]
    assert len(turns) == len(came) - len(taken)
    waiting = set(came) - set(taken)
    assert turns.oldest_s == (min(number for _, number in waiting) if waiting else None)
    taken += [said(frame) for frame in turns.take(100)]
    for sender in range(1, 6):
        assert [one for one in taken if one[0] == sender] == [one for one in came if one[0] == sender]
    assert since == sorted(since)  # a room's clock never goes back
    assert turns.oldest_s is None
    assert turns.take(1) == []


def test_the_news_of_a_seat_stays_before_what_the_seat_says() -> None:
    turns = Turns()
    for sender in range(1, 200):
        turns.add(1.0, block(sender, 0, Kind.PRESENT))
        turns.add(1.0, block(sender, 1))
    taken = [said(frame) for frame in turns.take(1000)]
    assert [number for _, number in taken] == [0] * 199 + [1] * 199
