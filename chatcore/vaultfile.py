"""The file of a vault: how SQLite lays it out, how it is made, opened and looked at.  Knows no keys.  A shell."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path

from chatcore import ownfile
from chatcore.errors import ProfileError, VaultError
from chatcore.lock import VERSION, Lock, OtherVersionError, find_lock
from chatcore.salvage import PAGE_SIZE, committed, newest

KEY_SIZE = 16

DAMAGED = "The profile at {} is damaged, and was left as it is. Put back a copy of it, or move it away and begin anew."
SPOILED = (
    "The profile at {} can't be read any more. "
    "Close Parley and start it again: what is whole is kept, and you are told what isn't."
)
OTHER_VERSION = "The profile at {} is from another version of Parley, and was left as it is. Bring Parley up to date."

_COLUMNS = "room BLOB NOT NULL, kind INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL"
_SCHEMA = (
    f"CREATE TABLE item (seq INTEGER PRIMARY KEY, {_COLUMNS}, UNIQUE (room, kind, key))",  # in the order they came
    f"CREATE TABLE spare (seq INTEGER PRIMARY KEY, {_COLUMNS})",  # what nothing goes without, again, on another page
)
PUT = (
    "INSERT INTO item (room, kind, key, value) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (room, kind, key) DO UPDATE SET value = excluded.value"
)
TAKE_AWAY = "DELETE FROM item WHERE room = ? AND kind = ? AND key = ?"

Row = tuple[bytes, int, bytes, bytes]  # room, kind, key, sealed value


class Kind(IntEnum):
    """What a row is.  Those of a room, then those of the profile."""

    LOG = 0
    LINE = 1
    STANDING = 2
    ARRIVAL = 3
    LOSS = 4
    TAKEN_BACK = 5
    UNSETTLED = 6  # more numbers may be out than the file knows
    STATEMENT = 16
    DAMAGE = 17  # how many lines of the room were lost
    IDENTITY = 32
    NICK = 33
    RECORD = 34  # of a room: how to get there
    PERSON = 35
    CHOICE = 36  # of the person, where it isn't the usual one
    LOCK = 255  # not sealed: what the keys are had with


_MALFORMED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
SPARED = (Kind.LOCK, Kind.IDENTITY)


def write_anew(path: Path, lock: Lock, rows: Iterable[Row], *, replace: bool) -> None:
    """Put a whole new vault in its place, all or nothing.  Raises ProfileError; what was there is then as it was."""
    all_rows = [(bytes(KEY_SIZE), Kind.LOCK, bytes(KEY_SIZE), lock.to_bytes()), *rows]
    with explained(path), ownfile.scratch(path) as new:
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as base:
            base.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            base.execute("PRAGMA auto_vacuum = INCREMENTAL")
            base.execute("PRAGMA journal_mode = OFF")  # until it has its name it is nothing
            base.execute("PRAGMA synchronous = OFF")
            base.execute("BEGIN")
            for statement in _SCHEMA:
                base.execute(statement)
            base.executemany(PUT, all_rows)
            spared = [row for row in all_rows if row[1] in SPARED]
            base.executemany("INSERT INTO spare (room, kind, key, value) VALUES (?, ?, ?, ?)", spared)
            base.execute(f"PRAGMA user_version = {VERSION}")
            base.execute("COMMIT")
        ownfile.put(new, path, replace=replace)


class MalformedError(VaultError):
    """What SQLite can't make sense of."""


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into one sentence.  Raises VaultError, by which a room knows to stop."""
    try:
        with ownfile.explained(path):
            yield
    except VaultError:
        raise
    except ProfileError as error:
        raise VaultError(str(error)) from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise VaultError(ownfile.IN_USE.format(path)) from None
        if code == sqlite3.SQLITE_FULL:
            raise VaultError(ownfile.DISK_FULL.format(path)) from None
        if code in _MALFORMED:
            raise MalformedError(SPOILED.format(path)) from None
        raise VaultError(ownfile.UNWRITABLE.format(path, error)) from None


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, and see that nobody else has it and that it is laid out as ours are.

    Raises MalformedError for one that has to be made anew, VaultError for everything else.
    """
    base = begin(path)
    try:
        prepare(path, base)
    except BaseException:
        base.close()
        raise
    return base


def begin(path: Path) -> sqlite3.Connection:
    """Begin with a file; nothing of it is read, nor is it locked, before it is prepared.  Raises VaultError."""
    with explained(path):
        return sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)


def prepare(path: Path, base: sqlite3.Connection) -> None:
    """Do the rest of `connect`.  Raises like it."""
    with explained(path):
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")  # see `Vault.settle`
        base.execute("PRAGMA secure_delete = ON")
        base.execute("PRAGMA temp_store = MEMORY")  # what it sets aside would stay in /var/tmp, keys and all
        base.execute("BEGIN IMMEDIATE")  # takes the lock now, not at the first message
        laid_out = {sql for (sql,) in base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        base.execute("COMMIT")
        if laid_out != set(_SCHEMA):
            raise MalformedError(SPOILED.format(path))


def look(path: Path, base: sqlite3.Connection, log: bytes) -> tuple[Lock | None, bool]:
    """Return the lock, if it can be read, and whether the file is sound; `log` is what lay beside it."""
    with explained(path):
        try:
            (read,) = base.execute("PRAGMA wal_checkpoint").fetchall()
            (verdict,) = base.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = base.execute("PRAGMA user_version").fetchone()
            (raw,) = base.execute("SELECT value FROM item WHERE kind = ?", (Kind.LOCK,)).fetchone() or (b"",)
            lock = Lock.parse(raw)
        except OtherVersionError:
            raise VaultError(OTHER_VERSION.format(path)) from None
        except (ValueError, TypeError):
            return None, False
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in _MALFORMED:
                return None, False
            raise
    return lock, verdict == "ok" and version == VERSION and committed(log) <= read[1]


def overwrite_log(path: Path, base: sqlite3.Connection) -> None:
    """Leave nothing of what was in the log beside a vault, nor on the disk where the log was.  Raises VaultError."""
    with explained(path):
        ((busy, written, moved),) = base.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        if busy or written != moved:
            raise VaultError(ownfile.IN_USE.format(path))
        # A log is in use, though SQLite may see nothing in it: whoever blanked it may have been killed.
        if written >= 0:
            with contextlib.suppress(FileNotFoundError):
                ownfile.blank(path.with_name(path.name + "-wal"))
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def found_lock(path: Path, image: bytes) -> Lock | None:
    """Look for the lock in the bytes of a vault that is damaged.  Raises VaultError when it is of another version."""
    try:
        return find_lock(image)
    except OtherVersionError:
        raise VaultError(OTHER_VERSION.format(path)) from None


def peek(path: Path) -> Lock:
    """Return the lock of a vault that isn't open, damaged or not.  Raises ProfileError."""
    ownfile.finish(path)
    ownfile.check(path)
    image = ownfile.read(path)
    beside = path.with_name(path.name + "-wal")
    log = newest(ownfile.read(beside)) if beside.exists() else b""
    lock = found_lock(path, log) or found_lock(path, image)
    if lock is None:
        raise VaultError(DAMAGED.format(path))
    return lock
