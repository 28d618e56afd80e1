"""What takes the place of a file, killed at every step: nothing is left of the old one, nothing is lost of the new."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from test_profile import PASSPHRASE, QUICK, file_of, invite
from test_protection import posix, with_room
from test_twofiles import copied, is_whole, killed_after
from test_twofiles import opened as move
from vault_help import MemoryBackend

from chatcore import ownfile, profile, vault
from chatcore.errors import PassphraseError, VaultError
from chatcore.oskeyring import Keyring
from chatcore.profile import FILE_NAME, Profile
from chatcore.salvage import PAGE_SIZE

MOST_STEPS = 200
WAL_HEADER_SIZE, FRAME_HEADER_SIZE = 32, 24


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(MemoryBackend())


class Watched:
    """The files of a directory, held open: by this they can be read when they have lost their names."""

    def __init__(self, directory: Path) -> None:
        self._files: dict[str, BinaryIO] = {}
        for path in sorted(directory.iterdir()):
            self._files[path.name] = path.open("rb")

    def left(self) -> dict[str, bytes]:
        """Return what isn't zeros, of those that aren't there any more."""
        found: dict[str, bytes] = {}
        for name, file in self._files.items():
            file.seek(0)
            data = file.read().strip(b"\0")
            if os.fstat(file.fileno()).st_nlink == 0 and data:
                found[name] = data
        return found

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def killed_everywhere(
    tmp_path: Path,
    lay: Callable[[Path], Path],
    work: Callable[[Path], object],
    check: Callable[[Path], object],
    stride: int = 1,
) -> int:
    """Do something, killed before each of its steps, and then again as the next start does; returns how many there are.

    `lay(directory)` puts files there and returns where to work.  Whatever has lost its name by the end is overwritten.
    """
    for steps in range(0, MOST_STEPS, stride):
        home = lay(tmp_path / str(steps))
        watched = Watched(home)
        killed = killed_after(steps, partial(work, home))
        profile.hold(home)()
        check(home)
        assert watched.left() == {}, steps
        assert not [name for name in os.listdir(home) if name.endswith((".whole", "-wal")) or name[0] == "."], steps
        watched.close()
        shutil.rmtree(tmp_path / str(steps))
        if not killed:
            return steps
    pytest.fail("it never ended")


def seen(home: Path, keyring: Keyring) -> tuple[object, ...]:
    """Open a profile, as a start does; returns what is kept there."""
    with contextlib.closing(Profile.open(home, None, QUICK, keyring)) as found:
        kept = found.room(invite(1).room_id).load()
        return found.nick, list(kept.lines), kept.lost_lines


def spoil(directory: Path, *, log: bool) -> None:
    """Spoil the second page of the file, or the second of the log: its check and its head."""
    path = file_of(directory).with_name(FILE_NAME + "-wal" * log)
    at = WAL_HEADER_SIZE + 2 * FRAME_HEADER_SIZE + PAGE_SIZE - 8 if log else PAGE_SIZE
    data = bytearray(path.read_bytes())
    data[at : at + 60] = bytes(60)
    path.write_bytes(data)


@posix
@pytest.mark.parametrize("log", [False, True])
def test_a_file_that_is_made_anew_is_overwritten_whenever_that_was_killed(
    log: bool, tmp_path: Path, keyring: Keyring
) -> None:
    """It lay open to everybody: with the keys in it, what is sealed later could be read by whoever has the disk.

    `log`: what was kept last stands beside it, and SQLite can't read it any more.
    """
    whole = tmp_path / "whole"
    profile = with_room(tmp_path / "first", None, keyring)
    if log:
        shutil.copytree(tmp_path / "first", whole)
    profile.close()
    if not log:
        shutil.copytree(tmp_path / "first", whole)
    spoil(whole, log=log)

    def lay(directory: Path) -> Path:
        shutil.copytree(whole, directory)
        return directory

    found = seen(lay(tmp_path / "expected"), keyring)
    assert (found[0], found[2] is None) == ("Alice", False)

    def check(home: Path) -> None:
        assert seen(home, keyring) == found

    assert killed_everywhere(tmp_path, lay, lambda home: seen(home, keyring), check) > 15


@posix
def test_a_log_of_which_only_the_head_is_overwritten_is_overwritten_by_the_next(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of that: SQLite then sees a log with nothing in it, and cuts it short as it is."""
    profile = with_room(tmp_path / "first", None, keyring)
    shutil.copytree(tmp_path / "first", tmp_path / "killed")
    profile.close()
    log = file_of(tmp_path / "killed").with_name(f"{FILE_NAME}-wal")
    with contextlib.closing(sqlite3.connect(file_of(tmp_path / "killed"), isolation_level=None)) as base:
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        base.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        data = log.read_bytes()
    assert len(data) > PAGE_SIZE
    log.write_bytes(bytes(PAGE_SIZE) + data[PAGE_SIZE:])
    log.chmod(0o600)
    blanked: list[bytes] = []
    blank = ownfile.blank

    def look(path: Path) -> None:
        blank(path)
        blanked.append(path.read_bytes())

    monkeypatch.setattr(ownfile, "blank", look)
    assert seen(tmp_path / "killed", keyring) == seen(tmp_path / "first", keyring)
    assert blanked[0] == bytes(len(data))


@posix
def test_who_doesnt_know_the_passphrase_costs_a_damaged_profile_nothing(tmp_path: Path, keyring: Keyring) -> None:
    """SQLite would take away the log, when it is closed again, with all that only we can read in it."""
    profile = with_room(tmp_path / "first", PASSPHRASE, keyring)
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "first", killed)
    profile.close()
    spoil(killed, log=True)
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    for wrong in (None, "a guess"):
        with pytest.raises(PassphraseError):
            Profile.open(killed, wrong, QUICK, keyring)
        assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


@posix
def test_a_full_disk_costs_a_damaged_profile_nothing(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_room(tmp_path / "first", None, keyring)
    for name in ("full", "at once"):
        shutil.copytree(tmp_path / "first", tmp_path / name)
        spoil(tmp_path / name, log=True)
    profile.close()

    def full(*_: object, **__: object) -> None:
        raise VaultError("There is no room on the disk.")

    with monkeypatch.context() as patch:
        patch.setattr(vault, "write_anew", full)
        with pytest.raises(VaultError, match="no room"):
            seen(tmp_path / "full", keyring)
    found = seen(tmp_path / "full", keyring)
    assert found == seen(tmp_path / "at once", keyring)
    assert found[2] is not None


@posix
def test_what_sqlite_left_beside_a_file_goes_with_it(tmp_path: Path) -> None:
    names = [FILE_NAME + end for end in ("", *ownfile.BESIDE)]

    def lay(directory: Path) -> Path:
        directory.mkdir()
        for name in (*names, FILE_NAME + ".whole"):
            (directory / name).write_bytes(name.encode() * 3000)
            (directory / name).chmod(0o600)
        return directory

    def finish(home: Path) -> None:
        ownfile.finish(home / FILE_NAME)

    def is_done(home: Path) -> None:
        finish(home)
        assert os.listdir(home) == [FILE_NAME]
        assert (home / FILE_NAME).read_bytes() == f"{FILE_NAME}.whole".encode() * 3000

    assert killed_everywhere(tmp_path, lay, finish, is_done) > 10


@posix
@pytest.mark.parametrize(("name", "stride"), [("open", 4), ("locked", 11)])
def test_a_profile_of_two_files_that_is_moved_is_overwritten_whenever_that_was_killed(
    name: str, stride: int, tmp_path: Path
) -> None:
    def lay(directory: Path) -> Path:
        directory.mkdir()
        return copied(name, directory)

    assert killed_everywhere(tmp_path, lay, lambda home: move(home).close(), is_whole, stride) > 15
