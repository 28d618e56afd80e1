"""The profile: what is kept, how it is sealed, and that no mishap costs anything."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault_help import MemoryBackend
from world import ENGINE, RELAY, fp, key

from chatcore import ownfile
from chatcore.engines.reference import ReferenceEngine
from chatcore.errors import PassphraseError, ProfileError, TextError
from chatcore.invite import Invite, Mode, new_invite
from chatcore.lock import Guard, find_lock
from chatcore.members import StatementType, make_statement
from chatcore.oskeyring import Keyring
from chatcore.pins import Pin
from chatcore.profile import FILE_NAME, Profile, RoomRecord, hold
from chatcore.vaultfile import Kind

if sys.platform != "win32":
    import fcntl

PASSPHRASE = "correct horse Bätterie"
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links as POSIX has them")


class _SameKey:
    """The engine, but for `generate`: making keys is not what is tested here."""

    name = "openssl"
    generate = staticmethod(lambda: key("identity alice"))
    public_key = staticmethod(ENGINE.public_key)
    private_key = staticmethod(ENGINE.private_key)


QUICK: Any = _SameKey()


def invite(number: int = 1) -> Invite:
    return new_invite(fp("alice"), Mode.ASK, RELAY, f"Room {number}", secret=bytes([number]) * 32)


def make(directory: Path, passphrase: str | None = None) -> Profile:
    profile = Profile.create(directory, "Alice", passphrase, QUICK, Keyring(MemoryBackend()))
    profile.remember(invite(1), 1_000, [b"one", b"two"])
    profile.remember(invite(2), 2_000)
    profile.people.meet({fp("bob"): "Bob"}, invite(1).room_id, 5)
    profile.save()
    return profile


def made(directory: Path, passphrase: str | None = None) -> Path:
    """Make a profile and close it; returns its file."""
    make(directory, passphrase).close()
    return file_of(directory)


def file_of(directory: Path) -> Path:
    return directory / FILE_NAME


def again(directory: Path, passphrase: str | None = None) -> Profile:
    """Open a profile and close it at once, to see what was kept."""
    profile = Profile.open(directory, passphrase, ENGINE, Keyring(MemoryBackend()))
    profile.close()
    return profile


def same(left: Profile, right: Profile) -> bool:
    def seen(profile: Profile) -> tuple[object, ...]:
        return profile.nick, profile.rooms, profile.identity.to_der(), profile.people.records()

    return seen(left) == seen(right)


def refusal(directory: Path, passphrase: str | None = None) -> str:
    """Return the sentence with which opening fails, and check that the file stayed as it was."""
    before = file_of(directory).read_bytes()
    with pytest.raises(ProfileError) as caught:
        again(directory, passphrase)
    assert file_of(directory).read_bytes() == before
    return str(caught.value)


def everything_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, "", PASSPHRASE])
def test_what_was_saved_is_what_is_opened(tmp_path: Path, passphrase: str | None) -> None:
    assert not Profile.exists(tmp_path)
    first = make(tmp_path, passphrase)
    first.close()
    assert Profile.exists(tmp_path)
    assert Profile.needs_passphrase(tmp_path) is bool(passphrase)
    opened = Profile.open(tmp_path, passphrase, ENGINE)
    assert same(first, opened)
    assert opened.guard is (Guard.PASSPHRASE if passphrase else Guard.NOBODY)
    assert opened.rooms == [RoomRecord(invite(2), 2_000, ()), RoomRecord(invite(1), 1_000, (b"one", b"two"))]
    assert opened.people.find(fp("bob")) == Pin(fp("bob"), "Bob", 5, 5, 5, (invite(1).room_id,), member=True)
    opened.nick = "Alice B."
    opened.erase(invite(1).room_id)
    opened.remember(invite(2), 3_000, [b"three"])
    opened.save()
    opened.close()
    later = again(tmp_path, passphrase)
    assert (later.nick, later.rooms) == ("Alice B.", [RoomRecord(invite(2), 3_000, (b"three",))])
    bob = later.people.find(fp("bob"))
    assert bob is not None
    assert bob.rooms == ()
    assert later.loss is None


def test_that_rooms_are_opened_on_demand_alone_is_kept_and_goes_into_copies(tmp_path: Path) -> None:
    profile = make(tmp_path / "one")
    assert profile.at_start
    profile.at_start = False
    profile.save()
    profile.export(tmp_path / "copy", PASSPHRASE)
    profile.close()
    assert not again(tmp_path / "one").at_start
    brought = Profile.bring(tmp_path / "copy", tmp_path / "two", PASSPHRASE, ENGINE)
    assert not brought.at_start
    brought.at_start = True
    brought.save()
    brought.close()
    assert again(tmp_path / "two", PASSPHRASE).at_start


def test_if_that_choice_is_what_is_damaged_nothing_is_opened(tmp_path: Path) -> None:
    profile = make(tmp_path)
    profile.at_start = False
    profile.save()
    profile.close()
    with contextlib.closing(sqlite3.connect(file_of(tmp_path))) as base, base:
        base.execute("UPDATE item SET value = x'00' WHERE kind = ?", (Kind.CHOICE,))
    profile = Profile.open(tmp_path, None, ENGINE)
    assert profile.loss is not None
    profile.save()
    profile.close()
    assert not profile.at_start
    assert not again(tmp_path).at_start


@pytest.mark.parametrize(
    ("mode", "said", "member"),
    [
        (Mode.OPEN, [], True),
        (Mode.ASK, [], False),
        (Mode.ASK, [("JOIN", 1)], False),
        (Mode.ASK, [("JOIN", 1), ("ADMIT", 2)], True),
        (Mode.ASK, [("JOIN", 1), ("ADMIT", 2), ("LEAVE", 3)], False),
        (Mode.ASK, [("LEAVE", 3), ("JOIN", 4), ("ADMIT", 2)], True),
        (Mode.OPEN, [("JOIN", 3), ("LEAVE", 3)], False),
        (Mode.OPEN, [("LEAVE", 0)], False),
    ],
)
def test_whether_one_belonged_to_a_room_is_seen_from_what_was_said(
    mode: Mode, said: list[tuple[str, int]], member: bool
) -> None:
    room = replace(invite(), mode=mode)
    statements = [b"", b"\x04 of a later version"]
    for kind, time_ms in said:
        signer = key("identity alice" if kind == "ADMIT" else "identity bob")
        what = make_statement(StatementType[kind], room.room_id, signer, fp("bob"), time_ms, "Bob")
        statements.append(what.raw)
    record = RoomRecord(room, 0, tuple(statements))
    assert record.has(fp("bob")) is member
    assert record.has(fp("alice")), "it is her room"
    assert record.has(fp("carol")) is (mode is Mode.OPEN)


def test_what_isnt_there_any_more_leaves_the_file(tmp_path: Path) -> None:
    profile = make(tmp_path)
    profile.remember(invite(1), 3_000, [b"two", b"three"])
    profile.save()
    profile.remember(invite(1), 4_000, [b"three"])
    profile.save()
    profile.close()
    assert again(tmp_path).rooms == [RoomRecord(invite(1), 4_000, (b"three",)), RoomRecord(invite(2), 2_000, ())]


def test_both_engines_open_a_profile(tmp_path: Path) -> None:
    first = make(tmp_path)
    first.close()
    assert same(first, Profile.open(tmp_path, None, ReferenceEngine()))


def test_an_identity_is_made_with_the_engine(tmp_path: Path) -> None:
    one = Profile.create(tmp_path / "one", "Alice", None, ENGINE)
    two = Profile.create(tmp_path / "two", "Alice", None, ENGINE)
    assert one.identity.modulus != two.identity.modulus


def test_an_anonymous_profile_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("wrote a file")

    for module, name in ((sqlite3, "connect"), (ownfile, "put"), (tempfile, "mkstemp"), (os, "open")):
        monkeypatch.setattr(module, name, refuse)
    profile = Profile.anonymous(ENGINE, "Nobody")
    assert profile.is_anonymous
    profile.remember(invite(), 1)
    profile.save()
    assert [room.invite for room in profile.rooms] == [invite()]
    profile.erase(invite().room_id)
    profile.close()
    assert profile.rooms == []
    with pytest.raises(ProfileError, match="Nothing is kept"):
        profile.room(invite().room_id)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_nick_that_does_not_fit_makes_no_profile(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="This name can't be used"):
        Profile.create(tmp_path, "x" * 65, None, QUICK)
    assert list(tmp_path.iterdir()) == []


# -- the passphrase ----------------------------------------------------------------------------------------------------


def test_attack_56_a_sealed_file_shows_nothing(tmp_path: Path) -> None:
    profile = make(tmp_path, PASSPHRASE)
    der = profile.identity.to_der()
    for _ in range(2):  # with the log beside it, and then without
        seen = everything_in(tmp_path)
        secrets = (b"Alice", b"Bob", fp("bob"), der, der[100:140], invite(1).secret, b"Room 1", PASSPHRASE.encode())
        for secret in (*secrets, invite(1).to_text().encode()[-60:], b"one", b"two"):
            assert len(secret) < 4 or secret not in seen
        profile.close()


def test_the_wrong_passphrase_and_none_at_all(tmp_path: Path) -> None:
    first = make(tmp_path, PASSPHRASE)
    first.close()
    before = file_of(tmp_path).read_bytes()
    for wrong in ("correct horse bätterie", PASSPHRASE + " ", "x"):
        with pytest.raises(PassphraseError, match=r"^This passphrase doesn't open the profile. Try again; capital and"):
            again(tmp_path, wrong)
    for nothing in (None, ""):
        with pytest.raises(PassphraseError, match=r"^This profile is locked. Enter its passphrase.$"):
            again(tmp_path, nothing)
    assert file_of(tmp_path).read_bytes() == before
    assert same(first, again(tmp_path, PASSPHRASE))


def test_the_same_letters_typed_elsewhere_are_the_same_passphrase(tmp_path: Path) -> None:
    first = make(tmp_path, "Bätterie")
    first.close()
    assert same(first, again(tmp_path, "Ba\u0308tterie"))


# -- what is no profile ------------------------------------------------------------------------------------------------


def test_another_version_says_so(tmp_path: Path) -> None:
    file = made(tmp_path)
    lock = find_lock(file.read_bytes())
    assert lock is not None
    later = lock.to_bytes().replace(b"parley lock\3", b"parley lock\4")
    body = later[:-16]
    later = body + hashlib.sha256(b"parley/1 lock" + body).digest()[:16]
    with contextlib.closing(sqlite3.connect(file)) as base, base:
        base.execute("UPDATE item SET value = ? WHERE kind = 255", (later,))
        base.execute("UPDATE spare SET value = ? WHERE kind = 255", (later,))
    assert refusal(tmp_path) == (
        f"The profile at {file} is from another version of Parley, and was left as it is. Bring Parley up to date."
    )


@given(data=st.binary(max_size=300))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_profile_or_a_sentence(tmp_path: Path, data: bytes) -> None:
    for end in ("", "-wal"):
        file_of(tmp_path).with_name(FILE_NAME + end).unlink(missing_ok=True)
    file_of(tmp_path).write_bytes(data)
    file_of(tmp_path).chmod(0o600)
    refusal(tmp_path)


def test_no_profile_says_so(tmp_path: Path) -> None:
    for ask in (lambda: Profile.open(tmp_path, None, ENGINE), lambda: Profile.needs_passphrase(tmp_path / "none")):
        with pytest.raises(
            ProfileError, match=r"^There is no profile at .* yet\. Make one, or choose another directory\.$"
        ):
            ask()


# -- the disk ----------------------------------------------------------------------------------------------------------


def failing(number: int) -> Callable[..., Any]:
    def fail(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def leftovers(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name != FILE_NAME]


@pytest.mark.parametrize(
    ("where", "number", "sentence"),
    [
        ((os, "fsync"), errno.ENOSPC, "There is no room on the disk for the profile at"),
        ((os, "fsync"), errno.EDQUOT, "There is no room on the disk for the profile at"),
        ((os, "link"), errno.EIO, "can't be written"),
        ((tempfile, "mkstemp"), errno.EROFS, "Read-only file system"),
        ((tempfile, "mkstemp"), errno.EACCES, "choose a directory that is yours"),
    ],
)
def test_a_making_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], number: int, sentence: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*where, failing(number))
        with pytest.raises(ProfileError) as caught:
            Profile.create(tmp_path, "Bob", None, QUICK)
    assert sentence in str(caught.value)
    assert "Nothing was lost" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    made(tmp_path)


def test_a_directory_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProfileError, match=r"can't be written \(.*\)\. Nothing was lost; choose a directory"):
        Profile.create(tmp_path / "file" / "under", "Alice", None, QUICK)
    with pytest.raises(ProfileError, match=r"can't be read \(.*\)\. See that it belongs to you"):
        Profile.open(tmp_path / "file", None, ENGINE)


@posix
def test_file_and_directory_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "new" / "place")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file_of(tmp_path / "new" / "place").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new" / "place").stat().st_mode) == 0o700
    assert leftovers(tmp_path / "new" / "place") == [FILE_NAME + "-wal"]
    assert stat.S_IMODE(file_of(tmp_path / "new" / "place").with_name(FILE_NAME + "-wal").stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602, 0o604])
@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_file_that_others_can_get_at_is_refused(tmp_path: Path, mode: int, end: str) -> None:
    first = make(tmp_path)
    first.close()
    exposed = file_of(tmp_path).with_name(FILE_NAME + end)
    exposed.touch()
    exposed.chmod(mode)
    assert refusal(tmp_path) == (
        f"Others on this computer can get at the profile at {exposed}. Make it yours alone (chmod 600), then try again."
    )
    exposed.chmod(0o600)
    assert same(first, again(tmp_path))


@posix
@pytest.mark.parametrize("end", ["", "-wal", ".whole"])
def test_a_link_is_not_followed(tmp_path: Path, end: str) -> None:
    made(tmp_path / "mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(file_of(tmp_path / "mine").read_bytes())
    before = elsewhere.read_bytes()
    link = file_of(tmp_path / "mine").with_name(FILE_NAME + end)
    link.unlink(missing_ok=True)
    link.symlink_to(elsewhere)
    for ask in (lambda: again(tmp_path / "mine"), lambda: Profile.needs_passphrase(tmp_path / "mine")):
        with pytest.raises(ProfileError, match="is no file of its own but a link or a device"):
            ask()
    with pytest.raises(ProfileError, match="There is a profile at"):
        Profile.create(tmp_path / "mine", "Bob", None, QUICK)
    assert elsewhere.read_bytes() == before


@posix
def test_a_pipe_does_not_hold_us_up(tmp_path: Path) -> None:
    os.mkfifo(file_of(tmp_path), 0o600)
    with pytest.raises(ProfileError, match="is no file of its own but a link or a device"):
        Profile.open(tmp_path, None, ENGINE)


def test_two_windows_dont_have_one_profile(tmp_path: Path) -> None:
    one = make(tmp_path)
    with pytest.raises(ProfileError, match="Parley is open already"):
        Profile.open(tmp_path, None, ENGINE)
    one.nick = "One"
    one.save()
    one.close()
    assert again(tmp_path).nick == "One"
    assert leftovers(tmp_path) == []


@posix
def test_one_window_has_a_profile_and_the_next_is_told(tmp_path: Path) -> None:
    made(tmp_path)
    let_go = hold(tmp_path)
    with pytest.raises(ProfileError) as caught:
        hold(tmp_path)
    assert str(caught.value) == (
        f"Parley is open already with the profile at {file_of(tmp_path)}. "
        "Go on in that window, or choose another directory (--profile)."
    )
    let_go()
    hold(tmp_path)()
    assert leftovers(tmp_path) == []


@posix
def test_who_is_killed_has_no_profile_any_more(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from chatcore.profile import hold; \
hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(ProfileError, match="Parley is open already"):
                hold(tmp_path)
        finally:
            other.kill()
    hold(tmp_path)()


def test_a_directory_that_can_not_be_held_is_for_the_profile_to_complain_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(tmp_path / "none")()
    (tmp_path / "file").write_text("x")
    hold(tmp_path / "file")()
    if sys.platform != "win32":
        monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    hold(tmp_path)()


def test_two_that_are_made_at_once_are_one(tmp_path: Path) -> None:
    rival = Profile.create(tmp_path / "rival", "Rival", None, QUICK)
    rival.close()

    class Slow(_SameKey):
        @staticmethod
        def generate() -> Any:
            file_of(tmp_path / "rival").rename(file_of(tmp_path))
            return key("identity alice")

    slow: Any = Slow()
    with pytest.raises(ProfileError, match=r"There is a profile at .* already"):
        Profile.create(tmp_path, "Late", None, slow)
    assert again(tmp_path).nick == "Rival"
    assert leftovers(tmp_path) == ["rival"]


def test_what_a_killed_program_left_is_wiped_by_the_next(tmp_path: Path) -> None:
    made(tmp_path)
    for name in (".profile-abc", ".profile-abc-journal"):
        (tmp_path / name).write_bytes(b"half a profile")
    hold(tmp_path)()
    assert leftovers(tmp_path) == []


def test_repr_shows_no_secret(tmp_path: Path) -> None:
    profile = make(tmp_path, PASSPHRASE)
    lock = profile._vault.lock  # type: ignore[union-attr]
    shown = repr(profile) + repr(profile.rooms) + repr(lock) + str(vars(profile))
    assert repr(profile) == "Profile(passphrase, 2 rooms)"
    for secret in (lock.kept, invite(1).secret):
        assert repr(secret)[2:-1][:20] not in repr(profile) + repr(profile.rooms) + repr(lock)
        assert secret.hex()[:20] not in shown
