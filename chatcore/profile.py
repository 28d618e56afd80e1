"""What a person keeps between visits: identity, name, rooms.  One file, so this is a shell: it touches the disk.

`profile.parley` has two lines.  The first is JSON: what is kept (base64 for bytes, the identity as PKCS#1 DER), or,
with a passphrase, the same sealed with ChaCha20-Poly1305 under a key that scrypt made of the passphrase.  The second is
the SHA-256 of the first in hex, so that a damaged file and a wrong passphrase can be told apart.  WITHOUT A PASSPHRASE
THE FILE IS IN THE CLEAR: whoever can read it is its owner, as far as anybody can tell.

The file is readable by its owner alone and only ever replaced as a whole.  One that can't be read is left as it is.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from chatcore.engines import Engine, PrivateKey
from chatcore.errors import CryptoError, InviteError, PassphraseError, ProfileError
from chatcore.invite import Invite
from chatcore.pins import People
from chatcore.text import check_nick
from chatcore.vault import KEYS_SIZE

if sys.platform != "win32":
    import fcntl

FILE_NAME = "profile.parley"
FORMAT = "parley profile"
VERSION = 1
MAX_FILE_BYTES = 64 * 2**20  # some 60 rooms of the largest kind
SALT_SIZE, NONCE_SIZE, KEY_SIZE = 16, 12, 32
SCRYPT = {"n": 2**15, "r": 8, "p": 1}  # 32 MiB and a tenth of a second for one guess
# What is taken from a file: n * r * 128 bytes is the memory that it makes us use, p how often.
SCRYPT_BOUNDS = {"n": (2**14, 2**17), "r": (8, 8), "p": (1, 4)}
_MEMORY_BYTES = 2**28
_BOUND_TO = f"{FORMAT} {VERSION}".encode()

LOCKED = "This profile is locked. Enter its passphrase."
NOT_THIS_ONE = "This passphrase doesn't open the profile. Try again; capital and small letters count."
NO_PROFILE = "There is no profile at {} yet. Make one, or choose another directory."
TAKEN = "There is a profile at {} already, and it was left as it is. Open it, or choose another directory."
DAMAGED = "The profile at {} is damaged, and was left as it is. Put back a copy of it, or move it away and begin anew."
OTHER_VERSION = "The profile at {} is from another version of Parley, and was left as it is. Bring Parley up to date."
EXPOSED = "Others on this computer can get at the profile at {}. Make it yours alone (chmod 600), then try again."
NOT_A_FILE = "What is at {} is no file of its own but a link or a device. Put the profile itself there."
CHANGED = "Another program has changed the profile at {}, and it was left as it is. Is Parley open twice?"
IN_USE = "Parley is open already with the profile at {}. Go on in that window, or choose another directory (--profile)."
TOO_LARGE = "The profile at {} would grow too large, and was left as it is. Forget some rooms, then try again."
DISK_FULL = "There is no room on the disk for the profile at {}. Nothing was lost; make room, then try again."
UNREADABLE = "The profile at {} can't be read ({}). See that it belongs to you, then try again."
UNWRITABLE = "The profile at {} can't be written ({}). Nothing was lost; choose a directory that is yours."


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A room that was visited: how to get there, when (ms since 1970 UTC), and what was known of its members."""

    invite: Invite
    last_visit_ms: int = 0
    statements: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Lock:
    """A passphrase, made into a key."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def make(cls, passphrase: str, salt: bytes, n: int, r: int, p: int) -> _Lock:
        """Work out the key: some 100 ms.  The same letters typed on another system are the same passphrase (NFKC)."""
        letters = unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")
        key = hashlib.scrypt(letters, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=KEY_SIZE)
        return cls(n, r, p, salt, key)


class Profile:
    """One identity, its rooms, and the people it knows.  `rooms` has the room visited last in front."""

    def __init__(self, path: Path | None, identity: PrivateKey, nick: str, lock: _Lock | None = None) -> None:
        """Use `create`, `open` or `anonymous`.  Without a path nothing is ever written."""
        self.identity = identity
        self.nick = nick
        self.rooms: list[RoomRecord] = []
        self.people = People()
        self.vault_keys = secrets.token_bytes(KEYS_SIZE)  # what is kept of rooms is sealed with these
        self._path = path
        self._lock = lock
        self._seen: tuple[int, int, int] | None = None  # the file as it was when it was read or written last

    def __repr__(self) -> str:
        kind = "anonymous" if self._path is None else "locked" if self._lock else "open"
        return f"Profile({kind}, {len(self.rooms)} rooms)"

    @property
    def is_anonymous(self) -> bool:
        """Whether it is for one visit only."""
        return self._path is None

    @property
    def has_passphrase(self) -> bool:
        """Whether the file is sealed."""
        return self._lock is not None

    # -- where profiles come from

    @classmethod
    def create(cls, directory: Path, nick: str, passphrase: str | None, engine: Engine) -> Profile:
        """Make an identity and write it into a directory, which is made (0700) if it isn't there.

        No passphrase, or an empty one, leaves the file in the clear.  Raises TextError for the nick, ProfileError when
        there is a profile already or it can't be written.
        """
        check_nick(nick)
        path = Path(directory) / FILE_NAME
        if os.path.lexists(path):
            raise ProfileError(TAKEN.format(path))
        profile = cls(path, engine.generate(), nick, _new_lock(passphrase))
        profile.save()
        return profile

    @classmethod
    def open(cls, directory: Path, passphrase: str | None, engine: Engine) -> Profile:
        """Read the profile in a directory.  Raises PassphraseError, or ProfileError for everything else."""
        path = Path(directory) / FILE_NAME
        outer, seen = _read(path)
        try:
            lock, content = _unlock(outer, passphrase)
            profile = cls(path, engine.private_key(_bytes(content["identity"])), _text(content["nick"]), lock)
            profile.rooms = [_record(room) for room in _list(content["rooms"])]
            profile.people = People(_list(content.get("people", [])))  # older files know nobody
            if "vault" in content:
                profile.vault_keys = _bytes(content["vault"])
                if len(profile.vault_keys) != KEYS_SIZE:
                    raise ValueError
        except (KeyError, TypeError, ValueError, CryptoError, InviteError):
            raise ProfileError(DAMAGED.format(path)) from None
        profile._seen = seen
        return profile

    @classmethod
    def anonymous(cls, engine: Engine, nick: str = "") -> Profile:
        """Make an identity for one visit; nothing of it is written."""
        return cls(None, engine.generate(), nick)

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether there is something where the profile belongs, usable or not."""
        return os.path.lexists(Path(directory) / FILE_NAME)

    @staticmethod
    def needs_passphrase(directory: Path) -> bool:
        """Whether the profile is sealed.  Raises ProfileError when it can't be read."""
        return "lock" in _read(Path(directory) / FILE_NAME)[0]

    # -- what is kept

    def remember(self, invite: Invite, last_visit_ms: int, statements: Iterable[bytes] = ()) -> None:
        """Keep a room, in front of the others; `save` writes it."""
        self.forget(invite.room_id)
        self.rooms.insert(0, RoomRecord(invite, last_visit_ms, tuple(statements)))

    def forget(self, room_id: bytes) -> None:
        """Keep a room no longer; `save` makes it so on the disk.  Whom one met there stays known."""
        self.rooms = [room for room in self.rooms if room.invite.room_id != room_id]

    def change_passphrase(self, passphrase: str | None) -> None:
        """Seal the file with another passphrase, or (None, or empty) leave it in the clear from now on, and save.

        Raises ProfileError when it can't be written; then the old one still holds.
        """
        before, self._lock = self._lock, _new_lock(passphrase)
        try:
            self.save()
        except ProfileError:
            self._lock = before
            raise

    def save(self) -> None:
        """Replace the file, whole or not at all.  Raises ProfileError; what was on the disk is then still there."""
        if self._path is None:
            return
        inner = {
            "identity": _base64(self.identity.to_der()),
            "nick": self.nick,
            "vault": _base64(self.vault_keys),
            "rooms": [
                {
                    "invite": room.invite.to_text(),
                    "last_visit_ms": room.last_visit_ms,
                    "statements": [_base64(raw) for raw in room.statements],
                }
                for room in self.rooms
            ],
            "people": self.people.records(),
        }
        line = json.dumps({"format": FORMAT, "version": VERSION, **_sealed(inner, self._lock)}).encode()
        data = line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"
        if len(data) > MAX_FILE_BYTES:
            raise ProfileError(TOO_LARGE.format(self._path))
        self._seen = _write(self._path, data, self._seen)


# -- the passphrase ----------------------------------------------------------------------------------------------------


def _new_lock(passphrase: str | None) -> _Lock | None:
    return _Lock.make(passphrase, secrets.token_bytes(SALT_SIZE), **SCRYPT) if passphrase else None


def _sealed(inner: dict[str, Any], lock: _Lock | None) -> dict[str, Any]:
    if lock is None:
        return {"content": inner}
    nonce = secrets.token_bytes(NONCE_SIZE)  # one key lives through some thousand savings: far from a repeat
    sealed = ChaCha20Poly1305(lock.key).encrypt(nonce, json.dumps(inner).encode(), _BOUND_TO)
    parameters = {"n": lock.n, "r": lock.r, "p": lock.p, "salt": _base64(lock.salt)}
    return {"lock": parameters, "nonce": _base64(nonce), "sealed": _base64(sealed)}


def _unlock(outer: dict[str, Any], passphrase: str | None) -> tuple[_Lock | None, dict[str, Any]]:
    """Return lock and content.  Raises PassphraseError, and KeyError or ValueError for a file that is damaged."""
    if "lock" not in outer:
        return None, _dict(outer["content"])
    given = _dict(outer["lock"])
    numbers = {name: given[name] for name in SCRYPT}
    for name, (least, most) in SCRYPT_BOUNDS.items():
        if type(numbers[name]) is not int or not least <= numbers[name] <= most:
            raise ValueError
    salt, nonce, sealed = _bytes(given["salt"]), _bytes(outer["nonce"]), _bytes(outer["sealed"])
    if numbers["n"] & (numbers["n"] - 1) or len(salt) != SALT_SIZE or len(nonce) != NONCE_SIZE:
        raise ValueError
    if not passphrase:
        raise PassphraseError(LOCKED)
    lock = _Lock.make(passphrase, salt, **numbers)
    try:
        inner = ChaCha20Poly1305(lock.key).decrypt(nonce, sealed, _BOUND_TO)
    except InvalidTag:
        raise PassphraseError(NOT_THIS_ONE) from None
    return lock, _dict(json.loads(inner))


# -- JSON, read strictly: each of these raises ValueError --------------------------------------------------------------


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


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


def _record(value: object) -> RoomRecord:
    room = _dict(value)
    if type(room["last_visit_ms"]) is not int:
        raise ValueError
    statements = tuple(_bytes(raw) for raw in _list(room["statements"]))
    return RoomRecord(Invite.parse(_text(room["invite"])), room["last_visit_ms"], statements)


# -- the file ----------------------------------------------------------------------------------------------------------


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    """Return what tells one state of the file from another."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """Return the JSON of the first line, and the mark of the file.  Raises ProfileError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)  # not through a link; and a pipe doesn't hold us up
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ProfileError(NOT_A_FILE.format(path))
            if os.name == "posix" and status.st_mode & 0o077:
                raise ProfileError(EXPOSED.format(path))
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ProfileError(NO_PROFILE.format(path)) from None
    except OSError as error:
        raise ProfileError(
            NOT_A_FILE.format(path) if error.errno == errno.ELOOP else UNREADABLE.format(path, error.strerror)
        ) from None
    line, _, check = data.partition(b"\n")
    if len(data) > MAX_FILE_BYTES or check != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise ProfileError(DAMAGED.format(path))
    try:
        outer = _dict(json.loads(line))
    except (ValueError, RecursionError):
        raise ProfileError(DAMAGED.format(path)) from None
    if outer.get("format") != FORMAT:
        raise ProfileError(DAMAGED.format(path))
    if outer.get("version") != VERSION:
        raise ProfileError(OTHER_VERSION.format(path))
    return outer, _mark(status)


def _write(path: Path, data: bytes, seen: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """Replace the file that was `seen` (None: make it) and return the mark of the new one.  Raises ProfileError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".profile-", dir=path.parent)  # made with 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            mark = _mark(os.lstat(name))
            there = _mark(os.lstat(path)) if os.path.lexists(path) else None
            if there != seen:
                raise ProfileError(CHANGED.format(path) if seen else TAKEN.format(path))
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ProfileError((DISK_FULL if full else UNWRITABLE).format(path, error.strerror)) from None
    return mark


def hold(directory: Path) -> Callable[[], None]:
    """Have a profile's directory for this window, until what is returned is called or the program has ended.

    A second window with the same identity would take messages that the first then never shows.  Raises ProfileError
    when another has it.  Where directories can't be locked (Windows, some networks) everybody gets it; still no window
    overwrites what another has saved.
    """
    if sys.platform == "win32":
        return lambda: None
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # reading or writing will say it better
        return lambda: None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ProfileError(IN_USE.format(directory / FILE_NAME)) from None
    except OSError:
        pass
    return lambda: os.close(handle)


def _sync_directory(directory: Path) -> None:
    """Have the new name survive a power cut, where directories can be synced."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
