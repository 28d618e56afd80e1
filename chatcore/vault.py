"""What is kept of rooms, on the disk: a SQLite file in which every value is sealed.  A shell.

One row for each thing that changes alone: a line with the numbers under which it is owed, a standing, an
acknowledgement.  A row's key is a keyed hash and its value is sealed for that very place (`seal_record`), so the file
shows how much there is and when it grew, and nothing else; rows can't be changed or exchanged unseen.  Changes are
committed all or none, and synced when `commit` returns.

One program at a time: the file is locked while it is open.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import sqlite3
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum
from pathlib import Path

from chatcore.delivery import LOG_SIZE, MID_SIZE
from chatcore.errors import CryptoError, VaultError
from chatcore.kept import Changes, Kept, Line, Standing
from chatcore.seal import FP_SIZE, LABEL, SealKeys, open_record, seal_record

FILE_NAME = "rooms.parley"
KEYS_SIZE = 64  # what a vault is opened with: 32 bytes for tags, 32 for masks
VERSION = 2  # 1 didn't keep what had gone out: there everything owed may have
KEY_SIZE = 16
KEPT_LINES = 2000  # of a room that `load` returns, besides those that are still owed

DAMAGED = "What is kept of your rooms at {} is damaged, and was left as it is. Put back a copy of it, or move it away."
OTHER_VERSION = "What is kept of your rooms at {} is from another version of Parley. Bring Parley up to date."
IN_USE = "What is kept of your rooms at {} is in use. Is Parley open twice?"
DISK_FULL = "There is no room on the disk for {}. What was committed is safe; make room, then open the room again."
UNWRITABLE = "What is kept of your rooms at {} can't be used ({}). See that it belongs to you, then try again."

_SCHEMA = """
CREATE TABLE item (
    seq INTEGER PRIMARY KEY,  -- the order in which things came
    room BLOB NOT NULL, kind INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
    UNIQUE (room, kind, key)
);
"""
_PUT = (
    "INSERT INTO item (room, kind, key, value) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (room, kind, key) DO UPDATE SET value = excluded.value"
)
_LINE = struct.Struct(f">{FP_SIZE}sQh")  # sender, when; how many readers, -1 when they aren't known
_STANDING = struct.Struct(f">{FP_SIZE}sQQQ")  # peer, head, cursor, low; then reached u64; log 8 and cursor u64 each
_REACHED = struct.Struct(">Q")
_GONE = 1 << 63  # beside a number: it went out as soon as it was committed
_LOG = struct.Struct(f">{LOG_SIZE}sQ")
_ARRIVAL = struct.Struct(f">{FP_SIZE}sQ{MID_SIZE}s")  # by whom, when, what
_LOSS = struct.Struct(f">{FP_SIZE}s{MID_SIZE}s")  # for whom, what


_Row = tuple[bytes, int, bytes, bytes]  # room, kind, key, value


class _Kind(IntEnum):
    LOG = 0
    LINE = 1
    STANDING = 2
    ARRIVAL = 3
    LOSS = 4
    TAKEN_BACK = 5  # as LOSS


def _pack_line(line: Line, numbers: dict[bytes, int]) -> bytes:
    """`numbers` are those under which the line is owed, by reader; 0 stands for one who is owed nothing.

    With a number may stand `_GONE`.
    """
    readers = line.readers or ()
    head = _LINE.pack(line.sender, line.at_ms, -1 if line.readers is None else len(readers))
    owed = [numbers.get(fp, 0) for fp in readers] if numbers else []
    return b"".join((head, *readers, bytes((bool(owed),)), struct.pack(f">{len(owed)}Q", *owed), line.mid, line.rest))


def _parse_line(data: bytes) -> tuple[Line, dict[bytes, int]]:
    sender, at_ms, count = _LINE.unpack_from(data)
    at = _LINE.size
    readers = tuple(data[at + FP_SIZE * index : at + FP_SIZE * (index + 1)] for index in range(max(0, count)))
    at += FP_SIZE * len(readers)
    numbers = struct.unpack_from(f">{len(readers) if data[at] else 0}Q", data, at + 1)
    at += 1 + 8 * len(numbers)
    line = Line(data[at : at + MID_SIZE], sender, data[at + MID_SIZE :], at_ms, None if count < 0 else readers)
    return line, {fp: number for fp, number in zip(readers, numbers, strict=False) if number}


def _pack_standing(fp: bytes, standing: Standing) -> bytes:
    head = _STANDING.pack(fp, standing.head, standing.cursor, standing.low)
    return b"".join((head, _REACHED.pack(standing.reached), *(_LOG.pack(*log) for log in standing.logs)))


def _parse_standing(data: bytes) -> tuple[bytes, Standing]:
    fp, head, cursor, low = _STANDING.unpack_from(data)
    rest = data[_STANDING.size :]
    if len(rest) % _LOG.size:
        (reached,), rest = _REACHED.unpack_from(rest), rest[_REACHED.size :]
    else:
        reached = _GONE  # of version 1: it isn't known, so all that is owed may have gone out
    return fp, Standing(head, cursor, low, tuple(_LOG.iter_unpack(rest)), reached)


class Vault:
    """The file of one profile.  May be used from any thread, by one at a time."""

    def __init__(self, path: Path, keys: bytes) -> None:
        """Open the file, or make it; `keys` are the 64 bytes that the profile keeps for it.  Raises VaultError."""
        self._path = path
        self._keys = SealKeys(keys[:32], keys[32:])
        self._rooms: dict[bytes, RoomVault] = {}
        self._lock = threading.Lock()
        with self._explained():
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._base = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
            try:
                self._set_up()
            except BaseException:
                self._base.close()
                raise

    def _set_up(self) -> None:
        base = self._base
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute("PRAGMA secure_delete = ON")
        base.execute("BEGIN IMMEDIATE")  # takes the lock now, not at the first message
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version == 0:
            base.execute(_SCHEMA)
            base.execute(f"PRAGMA user_version = {VERSION}")
        elif version == 1:
            base.execute(f"PRAGMA user_version = {VERSION}")  # rows of both versions can be told apart
        elif version != VERSION:
            raise VaultError(OTHER_VERSION.format(self._path))
        base.execute("COMMIT")

    def __repr__(self) -> str:
        return "Vault()"

    def close(self) -> None:
        """Give the file free."""
        with self._lock:
            self._base.close()

    def room(self, room_id: bytes) -> RoomVault:
        """Return what is kept of one room (32 bytes name it)."""
        hidden = self.hidden(b"room", room_id)
        return self._rooms.setdefault(hidden, RoomVault(self, hidden))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the disk say into one sentence."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise VaultError(IN_USE.format(self._path)) from None
            if code == sqlite3.SQLITE_FULL:
                raise VaultError(DISK_FULL.format(self._path)) from None
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT):
                raise VaultError(DAMAGED.format(self._path)) from None
            raise VaultError(UNWRITABLE.format(self._path, error)) from None
        except OSError as error:
            raise VaultError(UNWRITABLE.format(self._path, error.strerror)) from None
        except (CryptoError, struct.error, IndexError):
            raise VaultError(DAMAGED.format(self._path)) from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing.  Raises VaultError."""
        with self._lock, self._explained():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise

    def forget(self, hidden: bytes) -> None:
        """Leave nothing of a room, in the file or in the one beside it.  Raises VaultError."""
        self._rooms.pop(hidden, None)
        with self.transaction() as base:
            base.execute("DELETE FROM item WHERE room = ?", (hidden,))
        with self._lock, self._explained():
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def hidden(self, *parts: bytes) -> bytes:
        """Return 16 bytes that stand for something in the file, and tell nothing about it ("On the disk")."""
        return hmac.digest(self._keys.tag, LABEL + b"row" + b"".join(parts), "sha256")[:KEY_SIZE]

    def seal(self, place: bytes, data: bytes) -> bytes:
        """Seal a value for its place."""
        return seal_record(self._keys, place, data)

    def open(self, place: bytes, record: bytes) -> bytes:
        """Open a value.  Raises CryptoError."""
        return open_record(self._keys, place, record)


class RoomVault:
    """The rows of one room.  Once it was erased it takes nothing any more: a room that is being closed still talks."""

    def __init__(self, vault: Vault, room: bytes) -> None:
        self._vault, self._room = vault, room
        self._erased = False

    def __repr__(self) -> str:
        return "RoomVault()"

    def _place(self, kind: int, key: bytes) -> bytes:
        return self._room + bytes((kind,)) + key

    def _row(self, kind: _Kind, key: bytes, data: bytes) -> _Row:
        hidden = self._vault.hidden(self._room, bytes((kind,)), key)
        return self._room, kind, hidden, self._vault.seal(self._place(kind, hidden), data)

    def _read(
        self, base: sqlite3.Connection, first: _Kind, last: _Kind, since: int = 0
    ) -> Iterator[tuple[int, int, bytes]]:
        """Yield sequence number, kind and data of the rows of these kinds that came at `since` or later, in order."""
        rows = base.execute(
            "SELECT seq, kind, key, value FROM item WHERE room = ? AND kind BETWEEN ? AND ? AND seq >= ? ORDER BY seq",
            (self._room, first, last, since),
        )
        for seq, kind, key, value in rows:
            yield seq, kind, self._vault.open(self._place(kind, key), value)

    def load(self) -> Kept:
        """Return what was committed: the newest lines, and all that are still owed.  Raises VaultError."""
        with self._vault.transaction() as base:
            kept, since = self._load_lines(base)
            # What became of a line came after it: of what became of older ones nothing need be opened.
            for _, kind, data in self._read(base, _Kind.ARRIVAL, _Kind.TAKEN_BACK, since):
                if kind == _Kind.ARRIVAL:
                    fp, at_ms, mid = _ARRIVAL.unpack(data)
                    kept.arrived.setdefault(mid, {})[fp] = at_ms
                else:
                    fp, mid = _LOSS.unpack(data)
                    became = kept.undelivered if kind == _Kind.LOSS else kept.taken_back
                    became.setdefault(mid, set()).add(fp)
        return kept

    def _load_lines(self, base: sqlite3.Connection) -> tuple[Kept, int]:
        """Return everything but what became of the lines, and the sequence number of the oldest line."""
        kept = Kept()
        numbers: dict[bytes, dict[bytes, int]] = {}
        seqs: dict[bytes, int] = {}
        for seq, kind, data in self._read(base, _Kind.LOG, _Kind.STANDING):
            match kind:
                case _Kind.LOG:
                    kept.log = data
                case _Kind.LINE:
                    line, owed = _parse_line(data)
                    kept.lines[line.mid], numbers[line.mid], seqs[line.mid] = line, owed, seq
                case _Kind.STANDING:
                    fp, standing = _parse_standing(data)
                    kept.standings[fp] = standing
        for mid, owed in numbers.items():
            for fp, marked in owed.items():
                number, standing = marked & ~_GONE, kept.standings.get(fp, Standing())
                if number >= standing.low:
                    kept.owed.setdefault(fp, {})[number] = mid
                if marked & _GONE and number > standing.reached:
                    kept.standings[fp] = replace(standing, reached=number)
        still = {mid for owed_to in kept.owed.values() for mid in owed_to.values()}
        newest = set(list(kept.lines)[-KEPT_LINES:])
        kept.lines = {mid: line for mid, line in kept.lines.items() if mid in newest or mid in still}
        return kept, min((seqs[mid] for mid in kept.lines), default=0)

    def commit(self, changes: Changes) -> None:
        """Write changes down; they are on the disk when this returns.  Raises VaultError, and then nothing is."""
        numbers: dict[bytes, dict[bytes, int]] = {}
        for fp, number, mid in changes.owed:
            gone = _GONE if number and changes.gone.get(fp) == number else 0
            numbers.setdefault(mid, {})[fp] = number | gone
        rows = [self._row(_Kind.LINE, line.mid, _pack_line(line, numbers.pop(line.mid, {}))) for line in changes.lines]
        for fp, standing in changes.standings.items():
            rows.append(self._row(_Kind.STANDING, fp, _pack_standing(fp, standing)))
        for mid, fp, at_ms in changes.arrived:
            rows.append(self._row(_Kind.ARRIVAL, mid + fp, _ARRIVAL.pack(fp, at_ms, mid)))
        for mid, fp in changes.undelivered:
            rows.append(self._row(_Kind.LOSS, mid + fp, _LOSS.pack(fp, mid)))
        for mid, fp in changes.taken_back:
            rows.append(self._row(_Kind.TAKEN_BACK, mid + fp, _LOSS.pack(fp, mid)))
        with self._vault.transaction() as base:
            if self._erased:
                return
            if changes.log is not None:
                rows.append(self._row(_Kind.LOG, b"", changes.log))
                rows += self._renumbered(base, numbers)
            else:
                rows += [self._closed_up(base, mid, changed) for mid, changed in numbers.items()]
            base.executemany(_PUT, rows)

    def _closed_up(self, base: sqlite3.Connection, mid: bytes, changed: dict[bytes, int]) -> _Row:
        """Return a line of before with the numbers that it has since another was taken back."""
        hidden = self._vault.hidden(self._room, bytes((_Kind.LINE,)), mid)
        rows = base.execute(
            "SELECT value FROM item WHERE room = ? AND kind = ? AND key = ?", (self._room, _Kind.LINE, hidden)
        )
        line, numbers = _parse_line(self._vault.open(self._place(_Kind.LINE, hidden), rows.fetchone()[0]))
        return self._row(_Kind.LINE, mid, _pack_line(line, numbers | changed))

    def _renumbered(self, base: sqlite3.Connection, numbers: dict[bytes, dict[bytes, int]]) -> list[_Row]:
        """Return the lines of before a new log, with the numbers that they have in it: most have none."""
        lines = [_parse_line(data) for _, _, data in self._read(base, _Kind.LINE, _Kind.LINE)]
        return [
            self._row(_Kind.LINE, line.mid, _pack_line(line, numbers.get(line.mid, {})))
            for line, owed in lines
            if owed or line.mid in numbers
        ]

    def erase(self) -> None:
        """Keep nothing of this room any more.  Raises VaultError."""
        self._erased = True
        self._vault.forget(self._room)
