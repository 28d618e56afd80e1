"""The vault: one SQLite file for each profile, in which every value is sealed.  A shell.

One row for each thing that changes alone.  A row's key is a keyed hash and its value is sealed for that very place
(`seal_record`), so the file shows how much there is and when it grew, and nothing else; rows can't be changed or
exchanged unseen.  Changes are committed all or none, and synced when a transaction ends.  A file that is damaged is
made anew of all that still opens, and it is remembered what doesn't.  docs/PROTOCOL.md, "On the disk".

One program at a time: the file is locked while it is open.  It is readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chatcore import ownfile
from chatcore.errors import CryptoError, PassphraseError, ProfileError, VaultError
from chatcore.lock import Guard, Lock
from chatcore.oskeyring import Keyring
from chatcore.salvage import Place, carve, committed
from chatcore.seal import LABEL, SealKeys, open_record, seal_record
from chatcore.vaultfile import (
    DAMAGED,
    KEY_SIZE,
    PUT,
    SPOILED,
    TAKE_AWAY,
    Kind,
    MalformedError,
    Row,
    begin,
    connect,
    explained,
    look,
    overwrite_log,
    peek,
    prepare,
    write_anew,
)

LOCKED = "This profile is locked. Enter its passphrase."
NOT_THIS_ONE = "This passphrase doesn't open the profile. Try again; capital and small letters count."
OLD_STAYS = (
    "What you chose holds from now on, but an older state of the profile at {} with its older protection "
    "couldn't be overwritten. Close Parley and start it again: then it is."
)
NO_KEYRING = (
    "The key of the profile at {} is in the keyring of this system, which didn't hand it over. "
    "Unlock the keyring, then try again."
)
SILENT_KEYRING = (
    "The key of the profile at {} is in the keyring of this system, which gave no answer. "
    "Log in to the system anew, then start Parley again."
)


@dataclass(slots=True)
class Damage:
    """What a vault lacks that was made anew.  Rooms are named by the 16 bytes that hide them."""

    kinds: Counter[int] = field(default_factory=Counter)  # of the profile: how many of which
    lines: dict[bytes, int] = field(default_factory=dict)  # of rooms
    newest: bool = False  # commits at the end can't be read: what they held isn't known


class Vault:
    """The file of one profile.  May be used from any thread, by one at a time."""

    def __init__(self, path: Path, base: sqlite3.Connection, lock: Lock, keys: bytes) -> None:
        """Use `make` or `open`."""
        self.lock = lock
        self.damage: Damage | None = None
        self._path, self._base = path, base
        self._take_keys(keys)
        self._mutex = threading.RLock()
        self._settled = -1  # how many changes have outlived a power cut for sure
        self._unsure = False  # the disk didn't take what it was given: what is on it nobody knows
        self.own = self.hidden(b"profile")  # the rows that belong to no room

    def __repr__(self) -> str:
        return "Vault()"

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    # -- where vaults come from

    @classmethod
    def make(cls, path: Path, lock: Lock, keys: bytes, data: Iterable[tuple[Kind, bytes, bytes]]) -> Vault:
        """Make a vault where there is none; `data` are kind, what it is about, and data of the profile's own rows.

        Raises ProfileError.
        """
        empty = cls.in_memory(path, lock, keys)
        rows = [empty.row(empty.own, *one) for one in data]
        empty.close()
        write_anew(path, lock, rows, replace=False)
        return cls(path, connect(path), lock, keys)

    @classmethod
    def open(cls, path: Path, passphrase: str | None, keyring: Keyring) -> Vault:
        """Open a vault, after it was made anew of all that is whole if it is damaged.

        Raises PassphraseError, and ProfileError for everything else; then the file is as it was.
        """
        lock = peek(path)
        keys = _unlock(path, lock, passphrase, keyring)  # before SQLite touches what isn't ours, or is damaged
        beside = path.with_name(path.name + "-wal")
        log = ownfile.read(beside) if beside.exists() else b""
        with contextlib.ExitStack() as failed:
            base = failed.enter_context(contextlib.closing(begin(path)))
            try:
                prepare(path, base)
                found, well = look(path, base, log)
            except MalformedError:
                found, well = None, False
            if found is not None and well:
                if log:
                    overwrite_log(path, base)  # the program was killed, perhaps just when it wanted to do this
                if found != lock:
                    keys = _unlock(path, found, passphrase, keyring)
                failed.pop_all()
                return cls(path, base, found, keys)
            damage = cls._replace(path, base, lock, keys, log)
        return cls._made_anew(path, lock, keys, damage)

    @classmethod
    def _replace(cls, path: Path, base: sqlite3.Connection, lock: Lock, keys: bytes, log: bytes) -> Damage:
        """Have a new file of all that opens take the place of one that SQLite has open.

        When SQLite closes it, it takes the log away, with what only we can read in it: so that has to wait for the new
        file, but not where a file that is open can't be replaced.  If it comes to nothing, the log is put back.
        """
        if os.name != "posix":
            base.close()
        before = os.lstat(path)
        try:
            return cls._write_anew(path, lock, keys, log)
        except BaseException:
            in_place = os.path.samestat(before, os.lstat(path))  # a new file would be spoiled by the old log
            base.close()
            if log and in_place:
                ownfile.put_back(path.with_name(path.name + "-wal"), log)
            raise

    @classmethod
    def _write_anew(cls, path: Path, lock: Lock, keys: bytes, log: bytes) -> Damage:
        rows, damage = cls.believe(path, lock, keys, log)
        if not any(row[1] == Kind.IDENTITY for row in rows):
            raise VaultError(DAMAGED.format(path))
        write_anew(path, lock, rows, replace=True)
        return damage

    @classmethod
    def _made_anew(cls, path: Path, lock: Lock, keys: bytes, damage: Damage) -> Vault:
        vault = cls(path, connect(path), lock, keys)
        vault.damage = damage
        return vault

    @classmethod
    def believe(cls, path: Path, lock: Lock, keys: bytes, log: bytes) -> tuple[list[Row], Damage]:
        """Return the rows of a damaged file, and of the log beside it, that open, and what is lost.

        In each room stands a mark of how many lines.
        """
        judge = cls.in_memory(path, lock, keys)
        try:
            return judge._believe(ownfile.read(path), log)
        finally:
            judge.close()

    @classmethod
    def in_memory(cls, path: Path, lock: Lock, keys: bytes) -> Vault:
        """Return one that has no rows and no file, only to seal and open."""
        return cls(path, sqlite3.connect(":memory:"), lock, keys)

    def make_anew(self) -> Vault:
        """Make the file anew of all that opens, because some of it doesn't; returns the new vault, and this is closed.

        Raises ProfileError.
        """
        self.close()
        damage = Vault._write_anew(self._path, self.lock, self.keys, b"")
        return Vault._made_anew(self._path, self.lock, self.keys, damage)

    def _believe(self, image: bytes, log: bytes) -> tuple[list[Row], Damage]:
        """Return the rows that open of a damaged file, with a mark in each room, and what is lost."""
        found, whole = carve(image, log), dict[Place, tuple[int, bytes]]()
        for seq, place, value in found.rows:
            with contextlib.suppress(CryptoError):
                self._open(place, value)
                whole[place] = seq, value
        damage = Damage(newest=committed(log) > 0)
        seen = {place for _, place, _ in found.rows}  # where one of its columns is spoiled, a row is in the wrong place
        lost = _count(seen - whole.keys()) | _count(found.listed - whole.keys())
        for place, (_, value) in whole.items():
            if place[1] == Kind.DAMAGE:
                lost[place[0], Kind.LINE] += int.from_bytes(self._open(place, value))
        rooms = {room for room, kind, _ in whole if kind != Kind.LOCK} - {self.own}
        damage.lines = {room: lost[room, Kind.LINE] for room in rooms}
        damage.kinds = Counter({kind: n for (room, kind), n in lost.items() if room == self.own})
        order = sorted(
            (seq, place, value) for place, (seq, value) in whole.items() if place[1] not in (Kind.DAMAGE, Kind.LOCK)
        )
        rows = [(*place, value) for _, place, value in order]
        rows += [self.row(room, Kind.DAMAGE, b"", n.to_bytes(4)) for room, n in damage.lines.items()]
        return rows, damage

    # -- the file

    def close(self) -> None:
        """Give the file free."""
        with self._mutex:
            with contextlib.suppress(ProfileError):  # a disk that takes no more is no reason to go on
                self.overwrite_log()  # else SQLite takes it away as it is
            self._base.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing.  Raises VaultError."""
        with self._mutex, explained(self._path):
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise

    def put(self, rows: Iterable[Row], gone: Iterable[Place] = ()) -> None:
        """Write rows, and take others away, all or none.  Raises VaultError."""
        with self.transaction() as base:
            base.executemany(TAKE_AWAY, gone)
            base.executemany(PUT, rows)
        self.settle()

    def settle(self) -> None:
        """Have all that was committed outlive a power cut; nothing is done if it does already.  Raises VaultError.

        SQLite hands a commit to the system, which is enough for a program that is killed; asking the disk for each
        message alone would take longer than encrypting it.
        """
        with self._mutex, explained(self._path):
            changes = self._base.total_changes
            if changes == self._settled and not self._unsure:
                return
            if self._unsure:
                raise VaultError(ownfile.UNWRITABLE.format(self._path, "an earlier write failed"))
            self._unsure = True
            ownfile.sync(self._path.with_name(self._path.name + "-wal"))
            if self._settled < 0:
                ownfile.sync_directory(self._path.parent)
            self._settled, self._unsure = changes, False

    def read(
        self, base: sqlite3.Connection, room: bytes, first: Kind, last: Kind, since: int = 0
    ) -> Iterator[tuple[int, int, bytes | None]]:
        """Yield sequence number, kind and data of the rows of these kinds that came at `since` or later, in order.

        The data of a row that is damaged is None.
        """
        rows = base.execute(
            "SELECT seq, kind, key, value FROM item WHERE room = ? AND kind BETWEEN ? AND ? AND seq >= ? ORDER BY seq",
            (room, first, last, since),
        )
        for seq, kind, key, value in rows:
            try:
                yield seq, kind, self._open((room, kind, key), value)
            except CryptoError:
                yield seq, kind, None

    def find(self, base: sqlite3.Connection, room: bytes, kind: Kind, what: bytes) -> bytes:
        """Return the data of one row.  Raises VaultError when it isn't there, or doesn't open."""
        place = self.place(room, kind, what)
        found = base.execute("SELECT value FROM item WHERE room = ? AND kind = ? AND key = ?", place).fetchone()
        try:
            return self._open(place, found[0] if found else b"")
        except CryptoError:
            raise VaultError(SPOILED.format(self._path)) from None

    def erase(self, room: bytes, gone: Iterable[Place] = ()) -> None:
        """Leave nothing of a room (and of other rows), in the file or beside it, and give the disk its place back."""
        with self.transaction() as base:
            base.execute("DELETE FROM item WHERE room = ?", (room,))
            base.executemany(TAKE_AWAY, gone)
        self.overwrite_log()  # and with it what is given back now
        with self._mutex, explained(self._path):
            self._base.executescript("PRAGMA incremental_vacuum")  # `execute` would give back one page and stop
        self.overwrite_log()

    def change_lock(self, lock: Lock, keys: bytes) -> None:
        """Seal everything anew with other keys (96 bytes) behind another lock, all or nothing.

        Raises VaultError; if `lock` is the new one even so, it holds, and only the older state isn't overwritten.
        So whoever has an older copy of the file, and what opened that, can't read on.  The last 32 bytes, which hide
        what rows are about, have to be the same as before.
        """
        old, new = self._keys, SealKeys(keys[:32], keys[32:64])

        def anew(room: bytes, kind: int, key: bytes, value: bytes) -> bytes:
            if kind == Kind.LOCK:
                return lock.to_bytes()
            context = _context((room, kind, key))
            try:
                return seal_record(new, context, open_record(old, context, value))
            except CryptoError:  # what is damaged stays so
                return value

        with self._mutex:  # until the new keys are taken: nobody may seal with the old ones in between
            with self.transaction() as base:
                base.create_function("anew", 4, anew)
                base.execute("UPDATE item SET value = anew(room, kind, key, value)")
                base.execute("UPDATE spare SET value = anew(room, kind, key, value)")
            self.lock = lock
            self._take_keys(keys)
        try:
            self.overwrite_log()
        except ProfileError:
            raise VaultError(OLD_STAYS.format(self._path)) from None

    def sealed_for(self, keys: bytes) -> list[Row]:
        """Return all rows, sealed with other keys, of which the last 32 bytes are the same.

        In a room of which some don't open stands then how many lines are lost.  Raises VaultError when one of the
        profile doesn't.
        """
        new, rows = SealKeys(keys[:32], keys[32:64]), list[Row]()
        lost = Counter[bytes]()

        def take(place: Place, data: bytes) -> None:
            rows.append((*place, seal_record(new, _context(place), data)))

        with self.transaction() as base:
            for room, kind, key, value in base.execute("SELECT room, kind, key, value FROM item ORDER BY seq"):
                place = room, kind, key
                try:
                    data = self._open(place, value)
                except CryptoError:
                    if room == self.own:
                        raise VaultError(SPOILED.format(self._path)) from None
                    lost[room] += kind == Kind.LINE
                    continue
                if kind == Kind.DAMAGE:
                    lost[room] += int.from_bytes(data)
                elif kind != Kind.LOCK:
                    take(place, data)
        for room, lines in lost.items():
            take(self.place(room, Kind.DAMAGE, b""), lines.to_bytes(4))
        return rows

    def overwrite_log(self) -> None:
        """Leave nothing of what was in the log beside the file.  Raises VaultError."""
        with self._mutex:
            overwrite_log(self._path, self._base)

    # -- what rows are made of

    def hidden(self, *parts: bytes) -> bytes:
        """Return 16 bytes that stand for something in the file, and tell nothing about it ("On the disk")."""
        mac = self._hide.copy()  # its key is set up
        mac.update(b"".join(parts))
        return mac.digest()[:KEY_SIZE]

    def row(self, room: bytes, kind: Kind, what: bytes, data: bytes) -> Row:
        """Seal a row; `what` it is about tells it from the others of its room and kind.

        Within a transaction, unless no other thread can change the lock: the keys of a moment ago open nothing.
        """
        key = self.place(room, kind, what)[2]
        return room, kind, key, seal_record(self._keys, _context((room, kind, key)), data)

    def place(self, room: bytes, kind: Kind, what: bytes) -> Place:
        """Return where such a row is."""
        return room, kind, self.hidden(room, bytes((kind,)), what)

    def _open(self, place: Place, record: bytes) -> bytes:
        if not isinstance(record, bytes):  # a flipped bit of the file can make a number of it
            raise CryptoError
        if place[1] == Kind.LOCK:
            return record
        return open_record(self._keys, _context(place), record)

    def _take_keys(self, keys: bytes) -> None:
        self.keys, self._keys = keys, SealKeys(keys[:32], keys[32:64])
        self._hide = hmac.new(keys[64:], LABEL + b"row", "sha256")


def _unlock(path: Path, lock: Lock, passphrase: str | None, keyring: Keyring) -> bytes:
    """Return the keys.  Raises PassphraseError, or VaultError when the keyring doesn't have what it should."""
    secret: bytes | str = b""
    if lock.guard is Guard.PASSPHRASE:
        if not passphrase:
            raise PassphraseError(LOCKED)
        secret = passphrase
    elif lock.guard is Guard.KEYRING:
        found = keyring.fetch(lock.name)
        if found is None:
            raise VaultError((SILENT_KEYRING if keyring.silent else NO_KEYRING).format(path))
        secret = found
    try:
        return lock.open(secret)
    except CryptoError:
        if lock.guard is Guard.PASSPHRASE:
            raise PassphraseError(NOT_THIS_ONE) from None
        raise VaultError(NO_KEYRING.format(path)) from None


def _count(places: Iterable[Place]) -> Counter[tuple[bytes, int]]:
    """Count by room and kind."""
    return Counter((room, kind) for room, kind, _ in places)


def _context(place: Place) -> bytes:
    room, kind, key = place
    return room + bytes((kind,)) + key
