"""What a person keeps between visits: identity, name, rooms, the people known; all in one vault.  A shell.

WITHOUT A PASSPHRASE OR A KEYRING THE VAULT OPENS FOR EVERYBODY: whoever can read the file is its owner, as far as
anybody can tell.  Profiles of the two files of before (chatcore.twofiles) are moved when they are opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from chatcore import ownfile, twofiles
from chatcore.engines import Engine, PrivateKey
from chatcore.errors import CryptoError, InviteError, PassphraseError, ProfileError
from chatcore.invite import Invite, Mode, RelayAddress
from chatcore.lock import KEYS_SIZE, SALT_SIZE, SECRET_SIZE, Guard, Lock
from chatcore.members import StatementType, parse_statement
from chatcore.oskeyring import Keyring
from chatcore.pins import People
from chatcore.roomvault import RoomVault
from chatcore.seal import digest
from chatcore.text import check_nick
from chatcore.vault import NOT_THIS_ONE, Damage, Vault
from chatcore.vaultfile import DAMAGED, Kind, Row, peek, write_anew

FILE_NAME = "profile.parley"
NOTHING_KEPT = "Nothing is kept of this visit."
UNSEALED = "Type a passphrase first: without one everybody could open it."
COPY_TAKEN = "There is a file at {} already, and it was left as it is. Choose another name for the copy."
NOT_CLOSED = (
    "The profile at {} is open, or was never closed, and what was kept last is not in this file. "
    "Open that profile (--profile) and write a copy of it, then bring the copy."
)
SEALING_SIZE = 64  # of the keys: those that seal; the rest hides what rows are about
TIME_SIZE = 8
ON_DEMAND = b"rooms on demand"  # a choice: none is opened at the start

Own = tuple[bytes, Kind, bytes]  # the hidden room (or that of the profile), the kind, and what a row is about


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A room that was visited: how to get there, when (ms since 1970 UTC), and what was known of its members.

    If the room has moved, the invite has the relay where it was before: where it is, one of the statements says.
    """

    invite: Invite
    last_visit_ms: int = 0
    statements: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def relay(self) -> RelayAddress:
        """Where the room is."""
        for raw in self.statements:
            if raw[:1] == bytes((StatementType.RELAY,)) and (relay := parse_statement(raw).relay) is not None:
                return relay
        return self.invite.relay

    def has(self, fp: bytes) -> bool:
        """Say whether somebody belongs to the room, as far as was known.  Who left or stood at its door doesn't."""
        told = {StatementType.JOIN: -1, StatementType.LEAVE: -1, StatementType.ADMIT: -1}
        for raw in self.statements:
            if raw and raw[0] in told and fp in raw and (said := parse_statement(raw)).subject == fp:
                told[said.type] = max(told[said.type], said.time_ms)
        if told[StatementType.LEAVE] >= max(told[StatementType.JOIN], 0):
            return False
        return self.invite.mode is Mode.OPEN or fp == self.invite.owner_fp or told[StatementType.ADMIT] >= 0


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost of a profile whose file was damaged; the rest was kept."""

    lines: tuple[tuple[str, int], ...] = ()  # title of a room, and how many of its lines
    rooms: int = 0  # that aren't listed any more: it takes their invites to enter them again
    people: int = 0
    nick: bool = False
    newest: bool = False  # what was written last can't be read: nobody knows what it was


class Profile:
    """One identity, its rooms, and the people it knows.  `rooms` has the room visited last in front."""

    def __init__(self, vault: Vault | None, identity: PrivateKey, nick: str, keyring: Keyring | None = None) -> None:
        """Use `create`, `open` or `anonymous`.  Without a vault nothing is ever written."""
        self.identity = identity
        self.nick = nick
        self.rooms: list[RoomRecord] = []
        self.people = People()
        self.loss: Loss | None = None
        self.at_start = True  # its rooms are opened then
        self._vault, self._keyring = vault, keyring or Keyring()
        self._stores: dict[bytes, RoomVault] = {}
        self._saved: dict[Own, bytes] = {}

    def __repr__(self) -> str:
        kind = "anonymous" if self._vault is None else self._vault.lock.guard.name.lower()
        return f"Profile({kind}, {len(self.rooms)} rooms)"

    @property
    def is_anonymous(self) -> bool:
        """Whether it is for one visit only."""
        return self._vault is None

    @property
    def guard(self) -> Guard:
        """What it takes to open the file."""
        return self._vault.lock.guard if self._vault is not None else Guard.NOBODY

    # -- where profiles come from

    @classmethod
    def create(
        cls, directory: Path, nick: str, passphrase: str | None, engine: Engine, keyring: Keyring | None = None
    ) -> Profile:
        """Make an identity and a vault for it in a directory, which is made (0700) if it isn't there.

        No passphrase, or an empty one, leaves it open to everybody.  Raises TextError for the nick, ProfileError when
        there is a profile already or it can't be written.
        """
        check_nick(nick)
        path = Path(directory) / FILE_NAME
        ownfile.check_vacant(path)
        identity, keys = engine.generate(), secrets.token_bytes(KEYS_SIZE)
        lock = _lock(keys, passphrase)
        rows = [(Kind.IDENTITY, b"", identity.to_der()), (Kind.NICK, b"", nick.encode())]
        profile = cls(Vault.make(path, lock, keys, rows), identity, nick, keyring)
        profile._saved = dict(profile._rows())
        return profile

    @classmethod
    def open(cls, directory: Path, passphrase: str | None, engine: Engine, keyring: Keyring | None = None) -> Profile:
        """Open the profile in a directory; `loss` says what a damaged one lacks.

        Raises PassphraseError, or ProfileError for everything else; then what is on the disk is as it was.
        """
        path, keyring = Path(directory) / FILE_NAME, keyring or Keyring()
        ownfile.finish(path)
        damage = _move(path, passphrase, engine) if twofiles.is_old(path) else None
        vault = Vault.open(path, passphrase, keyring)
        try:
            for left in (path.with_name(twofiles.ROOMS_NAME + end) for end in ("", *ownfile.BESIDE)):
                with ownfile.explained(left):
                    ownfile.wipe(left)  # it was moved, and then the program was killed
            profile = cls._read(vault, engine, keyring)
            if profile is None:
                vault = vault.make_anew()
                profile = cls._read(vault, engine, keyring)
            if profile is None:
                raise ProfileError(DAMAGED.format(path))
        except BaseException:
            vault.close()
            raise
        if vault.damage or damage:
            profile.loss = profile._loss(vault.damage or damage or Damage())
        if vault.damage and vault.damage.kinds[Kind.CHOICE]:
            profile.at_start = False
        return profile

    @classmethod
    def _read(cls, vault: Vault, engine: Engine, keyring: Keyring) -> Profile | None:
        """Read the rows of the profile; None when one of them is damaged."""
        own: dict[int, list[bytes]] = {}
        with vault.transaction() as base:
            for _, kind, data in vault.read(base, vault.own, Kind.IDENTITY, Kind.CHOICE):
                if data is None:
                    return None
                own.setdefault(kind, []).append(data)
            try:
                (identity,), (nick,) = own[Kind.IDENTITY], own.get(Kind.NICK, [b""])
                profile = cls(vault, engine.private_key(identity), nick.decode(), keyring)
                for record in own.get(Kind.RECORD, ()):
                    invite = Invite.parse(record[TIME_SIZE:].decode())
                    hidden = profile.room(invite.room_id).hidden
                    statements = tuple(raw for _, _, raw in vault.read(base, hidden, Kind.STATEMENT, Kind.STATEMENT))
                    whole = tuple(raw for raw in statements if raw is not None)
                    if len(whole) < len(statements):
                        return None
                    profile.rooms.append(RoomRecord(invite, int.from_bytes(record[:TIME_SIZE]), whole))
                profile.people = People(json.loads(record) for record in own.get(Kind.PERSON, ()))
                profile.at_start = ON_DEMAND not in own.get(Kind.CHOICE, ())
            except (KeyError, ValueError, CryptoError, InviteError):
                raise ProfileError(DAMAGED.format(vault.path)) from None
        profile.rooms.sort(key=lambda room: -room.last_visit_ms)
        profile._saved = dict(profile._rows())
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
        """Whether it takes a passphrase to open the profile.  Raises ProfileError when it can't be read."""
        return Profile.guard_at(directory) is Guard.PASSPHRASE

    @staticmethod
    def guard_at(directory: Path) -> Guard:
        """Return who has what opens the profile that is kept there.  Raises ProfileError when it can't be read."""
        path = Path(directory) / FILE_NAME
        ownfile.finish(path)
        if twofiles.is_old(path):
            return Guard.PASSPHRASE if twofiles.needs_passphrase(path) else Guard.NOBODY
        return peek(path).guard

    # -- what is kept

    def room(self, room_id: bytes) -> RoomVault:
        """Return what is kept of one room (32 bytes name it).  Not of an anonymous profile."""
        if room_id not in self._stores:
            self._stores[room_id] = RoomVault(self._kept(), room_id)
        return self._stores[room_id]

    def record(self, room_id: bytes) -> RoomRecord | None:
        """Return how to get to a room, and who is in it; None for one that isn't kept."""
        return next((room for room in self.rooms if room.invite.room_id == room_id), None)

    def remember(self, invite: Invite, last_visit_ms: int, statements: Iterable[bytes] = ()) -> None:
        """Keep a room, in front of the others; `save` writes it."""
        self.rooms = [room for room in self.rooms if room.invite.room_id != invite.room_id]
        self.rooms.insert(0, RoomRecord(invite, last_visit_ms, tuple(statements)))

    def erase(self, room_id: bytes) -> None:
        """Keep nothing of a room any more, here and on the disk.  Whom one met there stays known.

        Raises ProfileError; then the room is still listed, so that it can be tried again.
        """
        people = People(self.people.records())
        people.forget_room(room_id)
        if self._vault is not None:
            store, record = self.room(room_id), (self._vault.own, Kind.RECORD, room_id)
            store.erase([self._vault.place(*record)])
            del self._stores[room_id]
            self._saved = {o: data for o, data in self._saved.items() if o != record and o[0] != store.hidden}
        self.rooms = [room for room in self.rooms if room.invite.room_id != room_id]
        self.people = people
        self.save()

    def save(self) -> None:
        """Write what has changed, all or nothing.  Raises ProfileError; what was on the disk is then still there."""
        vault = self._vault
        if vault is None:
            return
        wanted = dict(self._rows())
        changed = [vault.row(*place, data) for place, data in wanted.items() if self._saved.get(place) != data]
        gone = [vault.place(*place) for place in self._saved.keys() - wanted.keys()]
        if changed or gone:
            vault.put(changed, gone)
            self._saved = wanted

    def sealed_rows(self) -> list[Row]:
        """Return everything that `save` keeps, sealed."""
        return [self._vault.row(*place, data) for place, data in self._rows()] if self._vault is not None else []

    # -- who may open it

    def protect(self, guard: Guard, passphrase: str = "", current: str = "") -> None:
        """Have the file guarded otherwise from now on; everything in it is sealed anew, all or nothing.

        `current` is the passphrase that holds now, if one does.  Raises PassphraseError when it doesn't, and
        ProfileError; then what was still holds, unless the sentence says otherwise.
        """
        vault, salt = self._kept(), secrets.token_bytes(SALT_SIZE)
        self._check(current)
        old, keys = vault.lock, secrets.token_bytes(SEALING_SIZE) + vault.keys[SEALING_SIZE:]
        secret: bytes | str = passphrase
        if guard is Guard.PASSPHRASE and not passphrase:
            raise PassphraseError(UNSEALED)
        if guard is Guard.KEYRING:
            secret = secrets.token_bytes(SECRET_SIZE)
            self._keyring.keep(salt.hex(), secret)
        try:
            vault.change_lock(Lock.make(keys, guard, salt, secret), keys)
        except BaseException:
            if vault.lock is not old:  # the new one holds, and only the older state isn't overwritten
                self._forget(old)
            elif guard is Guard.KEYRING:
                self._keyring.drop(salt.hex())
            raise
        self._forget(old)

    def _forget(self, old: Lock) -> None:
        """Have nobody get the key of an older state any more, unless a power cut could bring that state back."""
        if old.guard is Guard.KEYRING:
            with contextlib.suppress(ProfileError):
                self._kept().settle()
                self._keyring.drop(old.name)

    @property
    def keyring_offered(self) -> bool:
        """Whether the system has a keyring that could guard it."""
        return self._keyring.offered

    def _check(self, current: str) -> None:
        lock = self._kept().lock
        try:
            if lock.guard is Guard.PASSPHRASE:
                lock.open(current)
        except CryptoError:
            raise PassphraseError(NOT_THIS_ONE) from None

    def _kept(self) -> Vault:
        if self._vault is None:
            raise ProfileError(NOTHING_KEPT)
        return self._vault

    # -- copies, and the end

    def export(self, path: Path, passphrase: str) -> None:
        """Write a copy of everything into one file, sealed with a passphrase of its own.  Replaces nothing.

        Raises PassphraseError without one, and ProfileError.
        """
        vault = self._kept()
        if not passphrase:
            raise PassphraseError(UNSEALED)
        if os.path.lexists(path):
            raise ProfileError(COPY_TAKEN.format(path))
        keys = secrets.token_bytes(SEALING_SIZE) + vault.keys[SEALING_SIZE:]
        lock = Lock.make(keys, Guard.PASSPHRASE, secrets.token_bytes(SALT_SIZE), passphrase)
        write_anew(path, lock, vault.sealed_for(keys), replace=False)

    @classmethod
    def bring(
        cls, file: Path, directory: Path, passphrase: str, engine: Engine, keyring: Keyring | None = None
    ) -> Profile:
        """Make a copy the profile of a directory that has none, with the passphrase of the copy.

        Raises PassphraseError, and ProfileError for everything else; then there is still none.
        """
        path = Path(directory) / FILE_NAME
        ownfile.check_vacant(path)
        with contextlib.suppress(OSError):
            if os.stat(file.with_name(file.name + "-wal")).st_size:
                raise ProfileError(NOT_CLOSED.format(file))
        data = ownfile.read(file, others=True)
        with ownfile.explained(path), ownfile.scratch(path) as new:
            new.write_bytes(data)
            try:
                vault = Vault.open(new, passphrase, keyring or Keyring())
                damage, whole = vault.damage, cls._read(vault, engine, keyring or Keyring())
                (whole or vault).close()
            except ProfileError as error:
                raise type(error)(str(error).replace(str(new), str(file))) from None
            ownfile.put(new, path, replace=False)
        brought = cls.open(directory, passphrase, engine, keyring)
        if damage and not brought.loss:
            brought.loss = brought._loss(damage)
        return brought

    def erase_all(self) -> None:
        """Leave nothing of the profile: the key in the keyring goes first, then the files, overwritten.

        Raises ProfileError.  It must not be used afterwards.
        """
        vault = self._kept()
        if vault.lock.guard is Guard.KEYRING:
            self._keyring.drop(vault.lock.name)
        vault.close()
        with ownfile.explained(vault.path):
            for name in (twofiles.ROOMS_NAME, vault.path.name):
                for end in (*ownfile.BESIDE, ""):  # the profile last: killed here, it is still there to be erased
                    ownfile.wipe(vault.path.with_name(name + end))

    def close(self) -> None:
        """Give the file free."""
        if self._vault is not None:
            self._vault.close()

    def _rows(self) -> Iterator[tuple[Own, bytes]]:
        """Yield everything that `save` keeps, by its place."""
        if self._vault is None:
            return
        own = self._vault.own
        yield (own, Kind.IDENTITY, b""), self.identity.to_der()
        yield (own, Kind.NICK, b""), self.nick.encode()
        for room in self.rooms:
            record = room.last_visit_ms.to_bytes(TIME_SIZE) + room.invite.to_text().encode()
            yield (own, Kind.RECORD, room.invite.room_id), record
            hidden = self.room(room.invite.room_id).hidden
            for raw in room.statements:
                yield (hidden, Kind.STATEMENT, digest(b"statement", raw)), raw
        for person in self.people.records():
            yield (own, Kind.PERSON, person["fp"].encode()), json.dumps(person).encode()
        if not self.at_start:
            yield (own, Kind.CHOICE, ON_DEMAND), ON_DEMAND

    def _loss(self, damage: Damage) -> Loss:
        titles = {self.room(room.invite.room_id).hidden: room.invite.title for room in self.rooms}
        lines = tuple((title, damage.lines[room]) for room, title in titles.items() if damage.lines.get(room))
        return Loss(
            lines,
            damage.kinds[Kind.RECORD],
            damage.kinds[Kind.PERSON],
            not self.nick,
            damage.newest,
        )


def usual_directory() -> Path:
    """Return where a person's profile is, unless they say otherwise."""
    return Path(platformdirs.user_data_dir("parley", appauthor=False))


def hold(directory: Path) -> Callable[[], None]:
    """Have a profile's directory for this window, until what is returned is called or the program has ended.

    A second window with the same identity would take messages that the first then never shows.  Raises ProfileError
    when another has it.
    """
    let_go = ownfile.hold(directory, FILE_NAME)
    ownfile.clear_scratch(directory)
    return let_go


def _lock(keys: bytes, passphrase: str | None) -> Lock:
    salt = secrets.token_bytes(SALT_SIZE)
    return Lock.make(keys, Guard.PASSPHRASE, salt, passphrase) if passphrase else Lock.make(keys, Guard.NOBODY, salt)


def _move(path: Path, passphrase: str | None, engine: Engine) -> Damage | None:
    """Move a profile of two files into a vault; returns what of its rooms can't be read.  Raises ProfileError.

    The vault takes the place of `profile.parley` when it is whole; `rooms.parley` goes after that.  Killed before, all
    is as it was; killed after, all is moved.
    """
    old = twofiles.read(path, passphrase)
    sealing = old.keys or secrets.token_bytes(SEALING_SIZE)
    keys = sealing + sealing[:32]  # where rows are was hidden with the key of the tags
    lock = _lock(keys, passphrase if twofiles.needs_passphrase(path) else None)
    rows, damage = twofiles.read_rooms(path.with_name(twofiles.ROOMS_NAME), lock, keys)
    try:
        moved = Profile(Vault.in_memory(path, lock, keys), engine.private_key(old.identity), old.nick)
    except (ValueError, CryptoError):
        raise ProfileError(DAMAGED.format(path)) from None
    moved.rooms = [RoomRecord(*room) for room in old.rooms]
    moved.people = old.people
    write_anew(path, lock, rows + moved.sealed_rows(), replace=True)
    moved.close()
    return damage
