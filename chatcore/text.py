"""What a message carries for the people: `app kind u8`, then for kind 1 the text in UTF-8.  Pure.

docs/PROTOCOL.md, "Application bytes".  Other kinds (replies, reactions, files) are for later versions.
"""

from __future__ import annotations

from chatcore.errors import TextError
from chatcore.members import pack_nick

TEXT_KIND = 1
MAX_TEXT_BYTES = 41_000


def pack_text(text: str) -> bytes:
    """Return the application bytes of a text.  Raises TextError, a sentence for its writer, if it can't be sent."""
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
    return bytes((TEXT_KIND,)) + raw


def parse_text(app: bytes) -> str | None:
    """Return the text, or None for something this version can't show."""
    if not app or app[0] != TEXT_KIND:
        return None
    try:
        return app[1:].decode()
    except UnicodeDecodeError:
        return None


def check_nick(nick: str) -> None:
    """Raise TextError, with a sentence for its owner, for a name that doesn't fit on the wire (64 bytes of UTF-8)."""
    try:
        pack_nick(nick)
    except ValueError:
        raise TextError(
            "This name can't be used: it is longer than 64 bytes, or has a broken character in it."
        ) from None
