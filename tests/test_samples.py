"""The two tests that judge times: they find what differs, and nothing where nothing does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from trials.samples import kolmogorov_smirnov, mann_whitney

Test = Callable[[Sequence[float], Sequence[float]], float]
TESTS: tuple[Test, ...] = (mann_whitney, kolmogorov_smirnov)


def sample(seed: int, size: int = 1000, shift: float = 0.0) -> list[float]:
    dice = random.Random(seed)
    return [dice.expovariate(1.0) + shift for _ in range(size)]


@pytest.mark.parametrize("test", TESTS)
def test_samples_of_one_kind_pass_nearly_always(test: Test) -> None:
    found = [test(sample(seed), sample(1000 + seed)) for seed in range(200)]
    assert 0 <= sum(p < 0.01 for p in found) <= 8
    assert 60 <= sum(p < 0.5 for p in found) <= 140  # any p is as likely as any other
    assert all(0 <= p <= 1 for p in found)


@pytest.mark.parametrize("test", TESTS)
def test_a_shift_is_found(test: Test) -> None:
    assert test(sample(1), sample(2, shift=0.3)) < 1e-6
    assert test(sample(1, shift=0.3), sample(2)) < 1e-6


def test_another_spread_around_the_same_middle_is_found() -> None:
    dice = random.Random(1)
    narrow, wide = ([dice.gauss(0, spread) for _ in range(1000)] for spread in (1, 2))
    assert kolmogorov_smirnov(narrow, wide) < 1e-6
    assert mann_whitney(narrow, wide) > 0.01


@pytest.mark.parametrize("test", TESTS)
def test_what_is_all_the_same_is_of_one_kind(test: Test) -> None:
    assert test([1.0] * 50, [1.0] * 70) == 1.0


def test_values_worked_out_by_hand() -> None:
    # U is 0; its mean is 4.5 and its spread sqrt(9 * 7 / 12), so z is 1.964
    assert mann_whitney([1, 2, 3], [4, 5, 6]) == pytest.approx(0.0495, abs=0.0001)
    # Half of the ranks are tied: the same U, with a spread of sqrt(4 / 12 * (5 - 12 / 12))
    assert mann_whitney([1, 1], [2, 2]) == pytest.approx(0.0833, abs=0.0001)
    # The distance is 1/2; (sqrt(50) + 0.12 + 0.11 / sqrt(50)) / 2 is 3.60, and 2 exp(-2 * 3.60 ** 2) is 1e-11
    one = [float(n) for n in range(100)]
    assert kolmogorov_smirnov(one, [value + 50 for value in one]) == pytest.approx(1.04e-11, rel=0.1)
