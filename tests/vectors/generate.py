"""Write the test vectors of docs/PROTOCOL.md: `python -m tests.vectors.generate [DIRECTORY]`.

Everything comes from fixed seeds, so that a second run writes the same bytes: keys from a SHAKE-256 stream, OAEP
through the reference engine with seeds of its own, nonces and salts from the same stream.  One file for each group; in
it, records apart by a blank line, each with a comment that says what it proves.  A record that `expect`s anything but
`success` is wrong in exactly one way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .handshake import links
from .material import Record
from .primitives import bodies, frames, keys, locks, oaep, records, sealed, signature
from .relays import between_relays
from .rooms import contents, invites, rooms, statements, words

HERE = Path(__file__).parent

GROUPS: dict[str, tuple[str, Callable[[], Iterator[Record]]]] = {
    "keys": ("RSA keys, which moduli are acceptable, and fingerprints.  Known to everybody: for tests only.", keys),
    "oaep": ("RSA-2048-OAEP, SHA-256, MGF1-SHA-256, empty label, exactly 190 bytes.", oaep),
    "signature": ("RSASSA-PKCS1-v1_5 with RSA-2048 and SHA-256.", signature),
    "seal": ("Tag and mask of 190 bytes.", sealed),
    "record": ("What is kept on a disk, sealed for its place.", records),
    "lock": ("How the keys of a vault are had; passphrases in UTF-8, in hex.", locks),
    "body": ("The 166 bytes inside a seal.", bodies),
    "room": ("Room id and room key.", rooms),
    "invite": ("Invite lines.", invites),
    "words": ("The eight words.", words),
    "link": ("The handshake of alice, who comes, with bob, who was there.", links),
    "statement": ("Statements, their hashes, and what follows from a set of them.", statements),
    "content": ("Contents of MSG and ACK, and the id of a message.", contents),
    "frame": ("Frames of the wire.", frames),
    "engine": ("What relays say to each other.", between_relays),
}


NOTE = "# Written by generate.py.  Bytes are hex, numbers decimal; names, lines and words are text.\n"


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def write(directory: Path) -> None:
    """Write one file for each group."""
    for name, (title, make) in GROUPS.items():
        text = f"# {title}\n{NOTE}"
        for comment, fields in make():
            text += f"\n# {comment}\n" + "".join(f"{field}: {_shown(value)}\n" for field, value in fields.items())
        (directory / f"{name}.txt").write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
