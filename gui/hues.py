"""Which hue each person of a room has: no two members share one while there is another.  Pure.

Everybody has the hue of their fingerprint (`theme.own_hue`) unless another member has it; so most people look the same
in every room and on every computer, and those who don't are settled in the order of the fingerprints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gui.theme import HUES, own_hue


class Hues:
    """The hues of one room, for as long as it is open."""

    def __init__(self) -> None:
        self.of: dict[bytes, int] = {}
        self._members: frozenset[bytes] = frozenset()

    def settle(self, members: Iterable[bytes], others: Iterable[bytes] = ()) -> None:
        """Give a hue to everybody who has none.  Who has one keeps it, unless members share it and one is free.

        `others` are known without being members: who has left, or knocks.
        """
        before, self._members = self._members, frozenset(members)
        if self._members == before and self.of.keys() >= set(others):
            return
        taken: Counter[int] = Counter()
        late: list[bytes] = []
        for fp in sorted(self._members, key=lambda fp: (fp not in before, fp)):
            self._keep_or_wait(fp, self.of.get(fp), taken, late)
        later: list[bytes] = []
        for fp in late:
            self._keep_or_wait(fp, own_hue(fp), taken, later)
        for fp in later:
            if fp not in self.of or len(taken) < HUES:
                self.of[fp] = _next(fp, taken)
            taken[self.of[fp]] += 1
        for fp in sorted(set(others) - self.of.keys()):
            self.of[fp] = _next(fp, taken)

    def _keep_or_wait(self, fp: bytes, hue: int | None, taken: Counter[int], late: list[bytes]) -> None:
        if hue is None or taken[hue]:
            late.append(fp)
        else:
            self.of[fp] = hue
            taken[hue] = 1


def _next(fp: bytes, taken: Counter[int]) -> int:
    """Return the hue that fewest have; among those the next after one's own."""
    return min(range(HUES), key=lambda hue: (taken[hue], (hue - own_hue(fp)) % HUES))
