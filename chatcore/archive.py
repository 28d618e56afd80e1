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
        self._kept: OrderedDict[bytes, dict[bytes, Sequence[bytes]]] = OrderedDict()
        self._sizes: dict[bytes, int] = {}  # blocks of a message, over all its copies
        self._blocks = 0

    def open(self, mid: bytes, size: int) -> None:
        """Make room for a message whose copies take `size` blocks in all; the oldest messages go for it."""
        if mid in self._kept:
            return
        self._kept[mid], self._sizes[mid] = {}, size
        self._blocks += size
        while self._blocks > MAX_BLOCKS and len(self._kept) > 1:
            oldest, _ = self._kept.popitem(last=False)
            self._blocks -= self._sizes.pop(oldest)

    def put(self, mid: bytes, reader: bytes, blocks: Sequence[bytes]) -> None:
        """Keep one copy, if its message is still kept; a copy that is sent again replaces the first.

        `blocks` may be a list that is filled only when the blocks are encrypted.
        """
        copies = self._kept.get(mid)
        if copies is not None:
            copies[reader] = blocks

    def get(self, mid: bytes) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
        """Return the copies of a message, by reader; empty when they are no longer kept."""
        return tuple((reader, tuple(blocks)) for reader, blocks in sorted(self._kept.get(mid, {}).items()))
