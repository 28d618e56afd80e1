"""A profile of the two files of before is moved into one, and nothing is lost whenever that is broken off.

`tests/twofiles` was written by the last version that had two: one profile that anybody opens, and one with a passphrase
whose program was killed, so that all of its rooms still stands in the log beside the file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from vault_help import MemoryBackend
from world import ENGINE

from chatcore import ownfile, profile, vaultfile
from chatcore.errors import PassphraseError, ProfileError
from chatcore.kept import Kept
from chatcore.lock import Guard
from chatcore.oskeyring import Keyring
from chatcore.profile import Loss, Profile

HERE = Path(__file__).parent / "twofiles"
PASSPHRASES = {"open": None, "locked": "correct horse"}
BOB, CAROL = b"b" * 32, b"c" * 32


@pytest.fixture(params=["open", "locked"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copied(request.param, tmp_path)


def copied(name: str, tmp_path: Path) -> Path:
    shutil.copytree(HERE / name, tmp_path / name)
    for file in (tmp_path / name).iterdir():
        file.chmod(0o600)
    return tmp_path / name


def opened(directory: Path) -> Profile:
    return Profile.open(directory, PASSPHRASES[directory.name], ENGINE, Keyring(MemoryBackend()))


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def is_whole(directory: Path) -> None:
    """See that everything is there, and only in the new place."""
    with contextlib.closing(opened(directory)) as found:
        assert found.nick == "Alice"
        assert [(room.invite.title, room.last_visit_ms, room.statements) for room in found.rooms] == [
            ("Room 2", 2000, ()),
            ("Room 1", 1000, (b"one", b"two")),
        ]
        assert found.guard is (Guard.PASSPHRASE if PASSPHRASES[directory.name] else Guard.NOBODY)
        assert found.loss is None
        for room in found.rooms:
            check(found.room(room.invite.room_id).load())
    assert files_in(directory) == ["profile.parley"]


def check(kept: Kept) -> None:
    assert kept.log == b"our log!"
    assert [line.rest for line in kept.lines.values()] == [b"the rest of message %d" % n for n in range(1, 41)]
    assert (sorted(kept.owed[BOB]), sorted(kept.owed[CAROL])) == ([19, 20], list(range(1, 21)))
    assert kept.standings[BOB].logs == ((b"bobs log", 20),)
    first = (1).to_bytes(16)
    assert (kept.arrived, kept.undelivered, kept.lost_lines) == ({first: {BOB: 5}}, {first: {CAROL}}, None)


def test_a_profile_of_two_files_is_moved_into_one(old: Path) -> None:
    assert Profile.exists(old)
    assert Profile.needs_passphrase(old) is (old.name == "locked")
    is_whole(old)
    assert Profile.needs_passphrase(old) is (old.name == "locked")
    is_whole(old)


def test_without_its_passphrase_nothing_is_moved(tmp_path: Path) -> None:
    old = copied("locked", tmp_path)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    for wrong in (None, "", "correct horse "):
        with pytest.raises(PassphraseError):
            Profile.open(old, wrong, ENGINE)
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before


STEPS: list[tuple[object, str]] = [
    (os, "open"), (os, "fsync"), (os, "replace"), (os, "unlink"), (os, "link"), (Path, "unlink"),
    (profile, "write_anew"), (vaultfile, "connect"), (ownfile, "put"), (ownfile, "wipe"), (ownfile, "finish"),
]  # fmt: skip


def killed_after(steps: int, work: Callable[[], object]) -> bool:
    """Do something in a program of its own, killed with -9 before that step; says whether it got so far."""
    child = os.fork()
    if child == 0:
        try:
            left = [steps]
            for owner, name in STEPS:
                patch(owner, name, left)
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def patch(owner: object, name: str, left: list[int]) -> None:
    real = getattr(owner, name)

    def step(*arguments: object, **more: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)

    setattr(owner, name, step)


@pytest.mark.skipif(os.name != "posix", reason="it takes a fork")
def test_a_move_that_is_killed_at_any_step_loses_nothing(old: Path, tmp_path: Path) -> None:
    stride = 1 if old.name == "open" else 5  # a passphrase takes its time, and changes nothing here
    for steps in range(0, 200, stride):
        directory = tmp_path / str(steps) / old.name
        shutil.copytree(old, directory)
        if not killed_after(steps, lambda directory=directory: opened(directory)):  # type: ignore[misc]
            assert steps > 15
            return
        profile.hold(directory)()  # as the next window does; it wipes what lies about half made
        is_whole(directory)
    pytest.fail("it never ended")


def test_a_move_on_a_full_disk_loses_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in old.iterdir() if path.name == "profile.parley"}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(ProfileError, match="There is no room on the disk"):
            opened(old)
    assert (old / "profile.parley").read_bytes() == before["profile.parley"]
    is_whole(old)


def test_rooms_that_are_damaged_are_moved_as_far_as_they_open(tmp_path: Path) -> None:
    old = copied("open", tmp_path)
    rooms = old / "rooms.parley"
    data = bytearray(rooms.read_bytes())
    data[100:4096] = bytes(3996)  # SQLite finds nothing any more
    data[-500] ^= 1
    rooms.write_bytes(data)
    with contextlib.closing(opened(old)) as found:
        assert found.loss is not None
        kept = [found.room(room.invite.room_id).load() for room in found.rooms]
        assert all(one.lost_lines is not None for one in kept)
        assert sum(len(one.lines) for one in kept) + sum(one.lost_lines or 0 for one in kept) == 80
        assert sum(len(one.lines) for one in kept) > 40
    assert files_in(old) == ["profile.parley"]


def test_rooms_that_are_none_any_more_are_told(tmp_path: Path) -> None:
    old = copied("open", tmp_path)
    (old / "rooms.parley").write_bytes(b"nothing that could be read" * 100)
    with contextlib.closing(opened(old)) as found:
        assert found.loss == Loss()
        assert [room.invite.title for room in found.rooms] == ["Room 2", "Room 1"]


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-40], lambda data: data.replace(b'"version": 1', b'"version": 1 ')]
)
def test_a_profile_that_was_damaged_before_is_left_as_it_is(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    old = copied("open", tmp_path)
    data = spoil((old / "profile.parley").read_bytes())
    (old / "profile.parley").write_bytes(data)
    with pytest.raises(ProfileError, match="is damaged, and was left as it is"):
        opened(old)
    assert (old / "profile.parley").read_bytes() == data
    assert (old / "rooms.parley").exists()
