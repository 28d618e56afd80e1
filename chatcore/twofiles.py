"""The two files of before the vault: `profile.parley` of JSON and `rooms.parley`.  Read once, to be moved.  A shell.

`profile.parley` had two lines.  The first was JSON: what is kept (base64 for bytes, the identity as PKCS#1 DER), or,
with a passphrase, the same sealed with ChaCha20-Poly1305 under a key that scrypt made of it.  The second was the
SHA-256 of the first in hex.  `rooms.parley` was SQLite, its rows sealed as those of a vault are, with 64 bytes of
keys that stood in the other file; the first 32 of them also hid what rows are about.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from chatcore import ownfile
from chatcore.errors import InviteError, PassphraseError, ProfileError, VaultError
from chatcore.invite import Invite
from chatcore.lock import SALT_SIZE, Lock, stretch
from chatcore.pins import People
from chatcore.salvage import committed
from chatcore.vault import LOCKED, NOT_THIS_ONE, Damage, Vault
from chatcore.vaultfile import DAMAGED, OTHER_VERSION, Row, overwrite_log

ROOMS_NAME = "rooms.parley"
FORMAT = "parley profile"
MAX_FILE_BYTES = 64 * 2**20
NONCE_SIZE, KEYS_SIZE = 12, 64
_BOUND_TO = f"{FORMAT} 1".encode()


@dataclass(slots=True)
class Old:
    """What the JSON said."""

    identity: bytes = field(repr=False)  # PKCS#1 DER
    nick: str
    rooms: list[tuple[Invite, int, tuple[bytes, ...]]]  # last visit in ms; statements
    people: People
    keys: bytes = field(repr=False)  # of `rooms.parley`


def is_old(path: Path) -> bool:
    """Say whether a profile is still of the old kind."""
    return ownfile.read(path, 1) == b"{"


def needs_passphrase(path: Path) -> bool:
    """Say whether the JSON is sealed.  Raises ProfileError."""
    return "lock" in _outer(path)


def read(path: Path, passphrase: str | None) -> Old:
    """Read the JSON.  Raises PassphraseError, or ProfileError for everything else."""
    outer = _outer(path)
    try:
        content = _dict(_inner(outer, passphrase) if "lock" in outer else outer["content"])
        keys = _bytes(content["vault"]) if "vault" in content else b""
        rooms = [_room(room) for room in _list(content["rooms"])]
        people = People(_list(content.get("people", [])))
        return Old(_bytes(content["identity"]), _text(content["nick"]), rooms, people, keys)
    except (KeyError, TypeError, ValueError, InviteError):
        raise ProfileError(DAMAGED.format(path)) from None


def read_rooms(path: Path, lock: Lock, keys: bytes) -> tuple[list[Row], Damage | None]:
    """Return the rows of `rooms.parley`, as they are, and what is lost of them.  Raises ProfileError."""
    if not path.exists():
        return [], None
    ownfile.check(path)
    beside = path.with_name(path.name + "-wal")
    log = ownfile.read(beside) if beside.exists() else b""
    rows: list[Row] = []
    well = False
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path, timeout=0.0)) as base:
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version > 2:
            raise VaultError(OTHER_VERSION.format(path))
        (_, in_log, _) = base.execute("PRAGMA wal_checkpoint").fetchone()
        (verdict,) = base.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict == "ok" and in_log >= committed(log):
            rows = base.execute("SELECT room, kind, key, value FROM item ORDER BY seq").fetchall()
            well = True
            overwrite_log(path, base)  # else SQLite takes it away as it is
    return (rows, None) if well else Vault.believe(path, lock, keys, log)


# -- JSON, read strictly: each of these raises ValueError --------------------------------------------------------------


def _outer(path: Path) -> dict[str, Any]:
    """Return the JSON of the first line.  Raises ProfileError."""
    data = ownfile.read(path, MAX_FILE_BYTES + 1)
    line, _, check = data.partition(b"\n")
    try:
        if len(data) > MAX_FILE_BYTES or check != hashlib.sha256(line).hexdigest().encode() + b"\n":
            raise ValueError
        outer = _dict(json.loads(line))
        if outer.get("format") != FORMAT:
            raise ValueError
    except (ValueError, RecursionError):
        raise ProfileError(DAMAGED.format(path)) from None
    if outer.get("version") != 1:
        raise ProfileError(OTHER_VERSION.format(path))
    return outer


def _inner(outer: dict[str, Any], passphrase: str | None) -> object:
    """Open what is sealed.  Raises PassphraseError, and KeyError or ValueError for a file that is damaged."""
    given = _dict(outer["lock"])
    salt, nonce, sealed = _bytes(given["salt"]), _bytes(outer["nonce"]), _bytes(outer["sealed"])
    if [given["n"], given["r"], given["p"]] != [2**15, 8, 1] or len(salt) != SALT_SIZE or len(nonce) != NONCE_SIZE:
        raise ValueError  # no others were ever written
    if not passphrase:
        raise PassphraseError(LOCKED)
    key = stretch(passphrase, salt, (15, 8, 1))[:32]
    try:
        return json.loads(ChaCha20Poly1305(key).decrypt(nonce, sealed, _BOUND_TO))
    except InvalidTag:
        raise PassphraseError(NOT_THIS_ONE) from None


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error:
        raise ValueError from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError
    return value


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


def _room(value: object) -> tuple[Invite, int, tuple[bytes, ...]]:
    room = _dict(value)
    if type(room["last_visit_ms"]) is not int:
        raise ValueError
    statements = tuple(_bytes(raw) for raw in _list(room["statements"]))
    return Invite.parse(_text(room["invite"])), room["last_visit_ms"], statements
