"""What a message carries for the people: `app kind u8`, then for kind 1 the text in UTF-8; kind 2 is a reply.  Pure.

docs/PROTOCOL.md, "Application bytes".  Other kinds (reactions, files) are for later versions.
"""

from __future__ import annotations

import struct

from chatcore.errors import TextError
from chatcore.events import Quote
from chatcore.members import pack_nick

TEXT_KIND = 1
REPLY_KIND = 2
_QUOTE = struct.Struct(">16s32sQ")  # mid, fingerprint of the author, when it came to the writer of the reply (ms)
MAX_TEXT_BYTES = 41_000


def pack_text(text: str, answers: Quote | None = None) -> bytes:
    """Return the application bytes of a text, or of a reply to what `answers` names.

    Raises TextError, a sentence for its writer, if it can't be sent.
    """
    if not text.strip():
        raise TextError("There is nothing to send yet: write something first.")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise TextError("This text has a broken character in it: take it out and send again.") from None
    if len(raw) > MAX_TEXT_BYTES:
        raise TextError(
            f"This message is too long: {len(raw):,} bytes, and {MAX_TEXT_BYTES:,} is the most. Send it in pieces."
        )
    if answers is None:
        return bytes((TEXT_KIND,)) + raw
    return bytes((REPLY_KIND,)) + _QUOTE.pack(answers.mid, answers.author, answers.came_ms) + raw


def parse_text(app: bytes) -> str | None:
    """Return the text, or None for something this version can't show."""
    head = 1 if app[:1] == bytes((TEXT_KIND,)) else 1 + _QUOTE.size if app[:1] == bytes((REPLY_KIND,)) else 0
    if not head or len(app) < head:
        return None
    try:
        return app[head:].decode()
    except UnicodeDecodeError:
        return None


def parse_quote(app: bytes) -> Quote | None:
    """Return what a reply answers, or None for anything else."""
    if app[:1] != bytes((REPLY_KIND,)) or len(app) < 1 + _QUOTE.size:
        return None
    return Quote(*_QUOTE.unpack_from(app, 1))


def check_nick(nick: str) -> None:
    """Raise TextError, with a sentence for its owner, for a name that doesn't fit on the wire (64 bytes of UTF-8)."""
    try:
        pack_nick(nick)
    except ValueError:
        raise TextError(
            "This name can't be used: it is longer than 64 bytes, or has a broken character in it."
        ) from None
