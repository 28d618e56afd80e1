"""Eight words that people compare aloud, for a room or for two of its members.  Pure.  docs/PROTOCOL.md, "Words".

Whoever sees another set of identities gets other words.  88 bits, and half a million rounds to try one set, so that
nobody finds a second set with the same words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

from chatcore.seal import LABEL, digest

WORD_COUNT = 8
WORD_BITS = 11  # a list of 2,048
ROUNDS = 2**19
_SIZE = WORD_COUNT * WORD_BITS // 8  # 11 bytes


@cache
def word_list() -> tuple[str, ...]:
    """Return the 2,048 English words of BIP-39; no two share their first four letters."""
    from mnemonic import Mnemonic  # here, because only who asks for words should wait for it

    return tuple(Mnemonic("english").wordlist)


def room_words(room_id: bytes, epoch: int, fps: Iterable[bytes]) -> tuple[str, ...]:
    """Return the eight words for a set of members (32-byte fingerprints, oneself among them).

    Takes some 0.2 s, without the interpreter lock: call it off the thread of a window.
    """
    everybody = sorted(set(fps))
    password = digest(b"words", len(everybody).to_bytes(2) + b"".join(everybody))
    salt = LABEL + b"words" + room_id + epoch.to_bytes(4)
    bits = int.from_bytes(hashlib.pbkdf2_hmac("sha256", password, salt, ROUNDS, _SIZE))
    words = word_list()
    return tuple(words[bits >> at & (2**WORD_BITS - 1)] for at in range(8 * _SIZE - WORD_BITS, -1, -WORD_BITS))


def pair_words(room_id: bytes, epoch: int, one: bytes, other: bytes) -> tuple[str, ...]:
    """Return the eight words for two members, the same whichever of them asks."""
    return room_words(room_id, epoch, (one, other))
