"""Are two samples of one kind?  Two tests that assume nothing about it, from their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from capture import distance


def mann_whitney(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how likely a difference in rank as great as this is by chance (Mann and Whitney 1947; two sides).

    By the normal approximation, for samples of 20 and more; ties have the mean of their ranks.
    """
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    size, ranks, ties, at = len(ranked), 0.0, 0.0, 0
    while at < size:
        end = at
        while end < size and ranked[end][0] == ranked[at][0]:
            end += 1
        ranks += (at + end + 1) / 2 * sum(which == 0 for _, which in ranked[at:end])
        ties += (end - at) ** 3 - (end - at)
        at = end
    pairs = len(one) * len(other)
    u = ranks - len(one) * (len(one) + 1) / 2
    spread = math.sqrt(pairs / 12 * (size + 1 - ties / (size * (size - 1))))
    return math.erfc(abs(u - pairs / 2) / spread / math.sqrt(2)) if spread else 1.0


def kolmogorov_smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how likely a distance between two distributions as great as this is by chance (Smirnov 1948)."""
    size = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    root = (size + 0.12 + 0.11 / size) * distance(one, other)
    if root < 0.2:
        return 1.0
    return min(1.0, max(0.0, 2 * sum((-1.0) ** (k - 1) * math.exp(-2 * (k * root) ** 2) for k in range(1, 101))))
