"""Eight words that people compare aloud, for a room or for two of its members.  Pure.  docs/PROTOCOL.md, "Words".

Whoever sees another set of identities gets other words.  88 bits, and half a million rounds to try one set, so that
nobody finds a second set with the same words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from chatcore.seal import LABEL, digest

WORD_COUNT = 8
WORD_BITS = 11
LIST_SIZE = 2**WORD_BITS  # 2,048
ROUNDS = 2**19
_SIZE = WORD_COUNT * WORD_BITS // 8  # 11 bytes


def room_words(words: Sequence[str], room_id: bytes, epoch: int, fps: Iterable[bytes]) -> tuple[str, ...]:
    """Choose eight of a list of 2,048 words for all members (32-byte fingerprints, oneself among them), or for two.

    Takes some 0.2 s and holds no interpreter lock meanwhile: not for the thread of a window.
    """
    if len(words) != LIST_SIZE:
        raise ValueError("the list has 2,048 words")
    everybody = sorted(set(fps))
    password = digest(b"words", len(everybody).to_bytes(2) + b"".join(everybody))
    salt = LABEL + b"words" + room_id + epoch.to_bytes(4)
    bits = int.from_bytes(hashlib.pbkdf2_hmac("sha256", password, salt, ROUNDS, _SIZE))
    return tuple(words[bits >> at & (LIST_SIZE - 1)] for at in range(8 * _SIZE - WORD_BITS, -1, -WORD_BITS))
