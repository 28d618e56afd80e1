"""A capture before the relay: talk and silence can't be told apart in steady mode, and can without it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from capture import capture, chance, distance

from chatcore import rhythm
from chatcore.wire import FRAME_SIZE


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rhythms four times as fast as people have them."""
    monkeypatch.setattr(rhythm, "SECOND_S", 0.25)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("fast")
def test_a_capture_tells_nothing_of_talk(tmp_path: Path) -> None:
    figures = capture(tmp_path, members=3, period_s=1, rounds=4, beats=12)
    assert figures.arrived == figures.said * 2
    assert figures.said > 20
    one = 2 * FRAME_SIZE + rhythm.TLS_OVERHEAD
    for seen in (*figures.silent, *figures.talking):
        assert seen.sizes <= {one, 2 * one}  # two at once if the machine stood still
        assert max(abs(sent - 12 * one) for sent in seen.bytes_a_round) <= 2 * one  # a beat at either end
    assert figures.most_apart <= one
    assert min(figures.p_gaps) > 0.0005  # chance alone does that to one of seven hundred runs
    # What the page says it costs is what went over the wires, sent and received.
    assert figures.bytes_a_beat == pytest.approx(rhythm.bytes_a_day(3, 1) / rhythm.DAY_S, rel=0.03)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("fast")
def test_without_a_rhythm_the_same_capture_tells_them_apart(tmp_path: Path) -> None:
    figures = capture(tmp_path, members=3, period_s=0, rounds=3, beats=12)
    assert figures.arrived == figures.said * 2
    assert figures.most_apart > 1000
    assert all(
        sum(talk.bytes_a_round) > 2 * sum(silence.bytes_a_round)
        for silence, talk in zip(figures.silent, figures.talking, strict=True)
    )


def test_the_two_sample_test_can_fail() -> None:
    dice = random.Random(1)
    one, same = [dice.gauss(1, 0.01) for _ in range(200)], [dice.gauss(1, 0.01) for _ in range(200)]
    later, wider = [value + 0.005 for value in same], [dice.gauss(1, 0.02) for _ in range(200)]
    assert chance(one, same) > 0.05
    assert chance(one, later) < 0.01
    assert chance(one, wider) < 0.01
    assert distance([1, 2, 3], [1, 2, 3]) == pytest.approx(0)
    assert distance([1, 2], [3, 4]) == pytest.approx(1)
    assert distance([1, 2, 3, 4], [3, 4, 5, 6]) == pytest.approx(0.5)
    assert distance([], [1]) == 1
    assert distance([], []) == 0
