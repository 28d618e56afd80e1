"""The sealed blocks of the newest messages, as they went over the wire.  Pure; bounded.

Kept so that a person who asks *who could read this* can be shown the ciphertext itself.  A block is sealed for one
reader and opens with a session key that lives in memory: what is kept here gives nothing away that the
relay didn't see.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

MAX_BLOCKS = 16_384  # 4 MiB


class BlockArchive:
    """For each message id, for each reader's fingerprint, the 256-byte blocks; the oldest messages go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, dict[bytes, tuple[bytes, ...]]] = OrderedDict()
        self._blocks = 0

    def put(self, mid: bytes, reader: bytes, blocks: Sequence[bytes]) -> None:
        """Keep the blocks of one copy; a copy that is sent again replaces the first."""
        copies = self._kept.setdefault(mid, {})
        self._blocks += len(blocks) - len(copies.get(reader, ()))
        copies[reader] = tuple(blocks)
        while self._blocks > MAX_BLOCKS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._blocks -= sum(map(len, oldest.values()))

    def get(self, mid: bytes) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
        """Return the copies of a message, by reader; empty when they are no longer kept."""
        return tuple(sorted(self._kept.get(mid, {}).items()))
