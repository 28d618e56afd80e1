"""The list that `words` chooses from: the 2,048 English words of BIP-39, as the `mnemonic` package ships them.

Apart from the core, which reads no files.
"""

from __future__ import annotations

from functools import cache


@cache
def english() -> tuple[str, ...]:
    """Return the 2,048 words; the first four letters of each are enough to tell it."""
    from mnemonic import Mnemonic  # here, because only who asks for words should wait for it

    return tuple(Mnemonic("english").wordlist)
