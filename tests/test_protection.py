"""Who may open a profile, copies of it, and that nothing is left of it when it is erased."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_profile import PASSPHRASE, QUICK, everything_in, file_of, invite, leftovers, made, make, same
from test_vault import LOG, all_sorts, line
from vault_help import MemoryBackend
from world import ENGINE

from chatcore import ownfile
from chatcore import vault as vault_module
from chatcore.errors import PassphraseError, ProfileError, VaultError
from chatcore.kept import Changes, Line
from chatcore.lock import Guard
from chatcore.oskeyring import Keyring
from chatcore.profile import FILE_NAME, Profile
from chatcore.salvage import PAGE_SIZE
from chatcore.seal import SealKeys, seal_record
from chatcore.vaultfile import Kind

posix = pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def keyring(backend: MemoryBackend) -> Keyring:
    return Keyring(backend)


def with_room(directory: Path, passphrase: str | None, keyring: Keyring) -> Profile:
    profile = make(directory, passphrase)
    profile.close()
    profile = Profile.open(directory, passphrase, QUICK, keyring)
    profile.room(invite(1).room_id).commit(all_sorts())
    return profile


def opens(directory: Path, passphrase: str | None, keyring: Keyring, like: Profile) -> None:
    """See that it opens, with all that is in it."""
    with contextlib.closing(Profile.open(directory, passphrase, ENGINE, keyring)) as opened:
        assert same(like, opened)
        assert opened.loss is None
        kept = opened.room(invite(1).room_id).load()
        assert (kept.log, len(kept.lines), kept.lost_lines) == (LOG, 3, None)


def test_a_passphrase_is_set_changed_and_removed(tmp_path: Path, keyring: Keyring) -> None:
    profile = with_room(tmp_path, None, keyring)
    now = ""
    for guard, new in (
        (Guard.PASSPHRASE, "first"),
        (Guard.PASSPHRASE, "second"),
        (Guard.KEYRING, ""),
        (Guard.PASSPHRASE, "third"),
        (Guard.NOBODY, ""),
        (Guard.KEYRING, ""),
        (Guard.NOBODY, ""),
    ):
        profile.protect(guard, new, now)
        assert profile.guard is guard
        profile.nick = f"Alice {new}"  # it goes on as before
        profile.save()
        profile.close()
        assert Profile.needs_passphrase(tmp_path) is (guard is Guard.PASSPHRASE)
        opens(tmp_path, new, keyring, profile)
        if guard is Guard.PASSPHRASE:
            with pytest.raises(PassphraseError):
                Profile.open(tmp_path, now, ENGINE, keyring)
        profile, now = Profile.open(tmp_path, new, ENGINE, keyring), new
    profile.close()


def test_the_keyring_has_a_secret_only_while_it_guards(
    tmp_path: Path, keyring: Keyring, backend: MemoryBackend
) -> None:
    profile = with_room(tmp_path, None, keyring)
    profile.protect(Guard.KEYRING)
    first = dict(backend.kept)
    profile.protect(Guard.KEYRING)
    assert len(first) == len(backend.kept) == 1
    assert first.keys() != backend.kept.keys()
    profile.close()
    with pytest.raises(VaultError, match="is in the keyring of this system, which didn't hand it over"):
        Profile.open(tmp_path, None, ENGINE, Keyring(MemoryBackend()))
    opens(tmp_path, None, keyring, profile)
    profile = Profile.open(tmp_path, None, ENGINE, keyring)
    profile.protect(Guard.NOBODY)
    assert backend.kept == {}
    profile.close()


def test_a_keyring_that_doesnt_keep_changes_nothing(tmp_path: Path) -> None:
    class Forgetful(MemoryBackend):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise RuntimeError("locked, and nobody to ask")

    profile = with_room(tmp_path, PASSPHRASE, Keyring(Forgetful()))
    with pytest.raises(VaultError, match=r"The keyring of this system didn't take the key\. Nothing was changed"):
        profile.protect(Guard.KEYRING, "", PASSPHRASE)
    profile.close()
    opens(tmp_path, PASSPHRASE, Keyring(MemoryBackend()), profile)


def test_a_keyring_without_an_answer_is_none_until_it_answers(tmp_path: Path, backend: MemoryBackend) -> None:
    class Slow(MemoryBackend):
        asked = 0

        def get_password(self, service: str, username: str) -> str | None:
            self.asked += 1
            answering.wait(30)
            return backend.get_password(service, username)

    answering = threading.Event()
    profile = with_room(tmp_path, None, Keyring(backend))
    profile.protect(Guard.KEYRING)
    profile.close()

    slow = Slow()
    silent = Keyring(slow, answer_s=0.05)
    with pytest.raises(VaultError, match=r"keyring of this system, which gave no answer\. Log in to the system anew"):
        Profile.open(tmp_path, None, ENGINE, silent)
    assert not silent.offered
    with pytest.raises(VaultError, match=r"gave no answer\. Nothing was changed; use a passphrase instead\."):
        silent.keep("a name", bytes(64))
    silent.drop("a name")
    assert (slow.asked, slow.kept) == (1, {}), "it is waited for once, not each time"

    answering.set()
    until = time.monotonic() + 10
    while silent.silent:
        assert time.monotonic() < until
        time.sleep(0.001)
    opens(tmp_path, None, Keyring(slow), profile)


def test_who_doesnt_know_the_passphrase_changes_nothing(tmp_path: Path, keyring: Keyring) -> None:
    profile = with_room(tmp_path, PASSPHRASE, keyring)
    before = file_of(tmp_path).read_bytes()
    for guard in Guard:
        with pytest.raises(PassphraseError, match="This passphrase doesn't open the profile"):
            profile.protect(guard, "another", "a guess")
    with pytest.raises(PassphraseError, match="Type a passphrase first"):
        profile.protect(Guard.PASSPHRASE, "", PASSPHRASE)
    assert file_of(tmp_path).read_bytes() == before
    profile.close()


def test_a_change_that_cant_be_written_isnt_made(
    tmp_path: Path, keyring: Keyring, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_room(tmp_path, PASSPHRASE, keyring)
    assert profile._vault is not None
    (pages,) = profile._vault._base.execute("PRAGMA page_count").fetchone()
    with monkeypatch.context() as patch:

        def full(*_: object) -> bytes:
            raise OSError(28, "No space left on device")

        patch.setattr(vault_module, "seal_record", full)
        with pytest.raises(ProfileError):
            profile.protect(Guard.KEYRING, "", PASSPHRASE)
    assert pages
    assert (profile.guard, backend.kept) == (Guard.PASSPHRASE, {})
    profile.nick = "Alice still"
    profile.save()
    profile.close()
    opens(tmp_path, PASSPHRASE, keyring, profile)


def test_attack_56_what_was_open_once_doesnt_open_what_is_sealed_later(tmp_path: Path, keyring: Keyring) -> None:
    """The keys that lay in the clear are no longer anywhere, and an old copy of them opens nothing."""
    profile = with_room(tmp_path, None, keyring)
    assert profile._vault is not None
    old = profile._vault.keys
    profile.close()
    assert old in everything_in(tmp_path)
    profile = Profile.open(tmp_path, None, ENGINE, keyring)
    profile.protect(Guard.PASSPHRASE, PASSPHRASE)
    vault = profile._vault
    assert vault is not None
    for state in ("open", "closed"):
        seen = everything_in(tmp_path)
        for piece in (old, old[:32], old[32:64], vault.keys[:32], vault.keys[32:64], vault.keys[64:]):
            assert piece not in seen, state
        profile.close()
    assert vault.keys[:64] != old[:64]


# -- copies ------------------------------------------------------------------------------------------------------------


def test_a_copy_has_everything_and_its_own_passphrase(tmp_path: Path, keyring: Keyring) -> None:
    profile = with_room(tmp_path / "here", PASSPHRASE, keyring)
    copy = tmp_path / "stick" / "alice.parley"
    profile.export(copy, "for the stick")
    profile.close()
    if os.name == "posix":
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert leftovers(copy.parent) == [copy.name]
    seen = copy.read_bytes()
    for secret in (b"Alice", b"Bob", profile.identity.to_der()[100:140], invite(1).secret, b"rest of message"):
        assert secret not in seen
    copy.chmod(0o644)  # as on a stick that knows no owners
    for wrong in (PASSPHRASE, "", "for the Stick"):
        with pytest.raises(PassphraseError):
            Profile.bring(copy, tmp_path / "there", wrong, ENGINE, keyring)
        assert list((tmp_path / "there").iterdir()) == []
    brought = Profile.bring(copy, tmp_path / "there", "for the stick", ENGINE, keyring)
    brought.close()
    assert brought.guard is Guard.PASSPHRASE
    opens(tmp_path / "there", "for the stick", keyring, profile)
    opens(tmp_path / "here", PASSPHRASE, keyring, profile)


def test_a_copy_replaces_nothing(tmp_path: Path, keyring: Keyring) -> None:
    profile = with_room(tmp_path / "here", None, keyring)
    copy = tmp_path / "copy"
    copy.write_text("something of mine")
    with pytest.raises(ProfileError, match=r"There is a file at .* already, and it was left as it is"):
        profile.export(copy, "x")
    assert copy.read_text() == "something of mine"
    copy.unlink()
    with pytest.raises(PassphraseError, match="Type a passphrase first"):
        profile.export(copy, "")
    with pytest.raises(ProfileError, match="can't be written"):
        profile.export(tmp_path / "here" / FILE_NAME / "below", "x")
    profile.export(copy, "x")
    profile.close()
    other = made(tmp_path / "other")
    before = other.read_bytes()
    with pytest.raises(ProfileError, match=r"There is a profile at .* already"):
        Profile.bring(copy, tmp_path / "other", "x", ENGINE, keyring)
    assert other.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"no copy at all" * 1000, b"SQLite format 3\0" + bytes(8000)])
def test_what_is_no_copy_makes_no_profile(tmp_path: Path, keyring: Keyring, data: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(ProfileError) as caught:
        Profile.bring(file, tmp_path / "there", "x", ENGINE, keyring)
    assert f"The profile at {file} is damaged" in str(caught.value)
    with pytest.raises(ProfileError, match="There is no profile at"):
        Profile.bring(tmp_path / "none", tmp_path / "there", "x", ENGINE, keyring)
    assert list((tmp_path / "there").iterdir()) == []


def test_a_copy_that_was_damaged_brings_what_is_whole(tmp_path: Path, keyring: Keyring) -> None:
    profile = with_room(tmp_path / "here", None, keyring)
    lines = [Line(n.to_bytes(16), b"b" * 32, b"rest" * 20, n, None) for n in range(100, 200)]
    profile.room(invite(1).room_id).commit(Changes(lines=lines))
    copy = tmp_path / "copy"
    profile.export(copy, "x")
    profile.close()
    copy.write_bytes(copy.read_bytes()[:-9000])
    with contextlib.closing(Profile.bring(copy, tmp_path / "there", "x", ENGINE, keyring)) as brought:
        assert brought.nick == "Alice"
        kept = brought.room(invite(1).room_id).load()
        assert kept.lost_lines
        assert 50 < len(kept.lines) < 103


# -- nothing is left ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guard", list(Guard))
def test_of_what_is_erased_nothing_is_left(
    guard: Guard, tmp_path: Path, keyring: Keyring, backend: MemoryBackend
) -> None:
    profile = with_room(tmp_path, None, keyring)
    profile.protect(guard, PASSPHRASE)
    (tmp_path / "rooms.parley").write_bytes(b"left over")
    profile.erase_all()
    assert list(tmp_path.iterdir()) == []
    assert backend.kept == {}
    assert not Profile.exists(tmp_path)


def test_what_is_wiped_is_overwritten_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyring: Keyring) -> None:
    profile = with_room(tmp_path, None, keyring)
    seen: list[bytes] = []
    unlink = os.unlink

    def look(path: Path) -> None:
        seen.append(Path(path).read_bytes())
        unlink(path)

    monkeypatch.setattr(os, "unlink", look)
    profile.erase_all()
    assert seen
    assert all(set(data) <= {0} for data in seen)


@posix
def test_the_log_is_overwritten_before_the_disk_has_its_place_back(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite cuts it short, and takes it away, as it is: with all rows of late, and the keys where nobody guards them.

    So when a room is erased, when what guards the profile is changed, and when it is closed or erased.
    """
    profile = with_room(tmp_path, None, keyring)
    log, seen = file_of(tmp_path).with_name(FILE_NAME + "-wal"), list[bytes]()
    assert profile._vault is not None

    def look(statement: str) -> None:
        if "TRUNCATE" in statement:
            seen.append(log.read_bytes())

    profile._vault._base.set_trace_callback(look)
    steps: list[tuple[Callable[[], None], int]] = [
        (lambda: profile.erase(invite(1).room_id), 2),
        (lambda: profile.protect(Guard.PASSPHRASE, PASSPHRASE), 1),
        (profile.save, 0),
    ]
    for step, cuts in steps:
        seen.clear()
        profile.nick += "x"
        profile.save()
        step()
        assert len(seen) == cuts
        assert seen[:1] == [] or len(seen[0]) > PAGE_SIZE
        assert all(set(data) <= {0} for data in seen)
    watched = tmp_path.parent / f"{tmp_path.name} watched"
    os.link(log, watched)
    seen.clear()
    profile.erase_all()
    assert set(watched.read_bytes()) <= {0}
    assert [set(data) for data in seen] == [{0}]
    watched.unlink()


def test_who_was_killed_before_the_older_state_was_overwritten_does_that_when_it_is_opened(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_room(tmp_path, None, keyring)
    vault = profile._vault
    assert vault is not None
    for number in range(40):  # what stood in the log before lies behind what is in it now
        profile.nick = f"Alice {number}"
        profile.save()
    vault._base.execute("PRAGMA wal_checkpoint").fetchall()
    before = vault.keys
    monkeypatch.setattr(vault, "overwrite_log", lambda: None)
    profile.protect(Guard.PASSPHRASE, PASSPHRASE)
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path, killed)
    profile.close()
    assert before in everything_in(killed)
    assert Profile.guard_at(killed) is Guard.PASSPHRASE  # and not what it was, though that stands behind it
    with pytest.raises(PassphraseError):
        Profile.open(killed, None, ENGINE, keyring)
    with contextlib.closing(Profile.open(killed, PASSPHRASE, ENGINE, keyring)):
        assert before not in everything_in(killed)
    opens(killed, PASSPHRASE, keyring, profile)


@posix
def test_killed_at_every_statement_of_a_change_of_keys_and_of_an_erasure_all_is_there_or_erased(
    tmp_path: Path, keyring: Keyring
) -> None:
    whole, room_id, erased = tmp_path / "whole", invite(1).room_id, 0
    profile = with_room(whole, None, keyring)
    profile.close()
    for left in range(1, 60):
        home = tmp_path / str(left)
        shutil.copytree(whole, home)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                own, count = Profile.open(home, None, QUICK, keyring), [left]

                def statement(_: str, count: list[int] = count) -> None:
                    count[0] -= 1
                    if count[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

                assert own._vault is not None
                own._vault._base.set_trace_callback(statement)
                own.protect(Guard.NOBODY)
                own.erase(room_id)
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        with contextlib.closing(Profile.open(home, None, ENGINE, keyring)) as opened:
            assert opened.loss is None
            assert opened.identity.to_der() == profile.identity.to_der()
            kept, listed = opened.room(room_id).load(), room_id in [room.invite.room_id for room in opened.rooms]
            assert (len(kept.lines), kept.lost_lines) == (3 if listed else 0, None)
            erased += not listed
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            assert not listed
            assert 5 < left - erased < left - 5  # before it, and after
            return
    pytest.fail("it never ended")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it looks at which files are open")
def test_while_everything_is_sealed_anew_nothing_is_written_elsewhere(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would put what was, keys and all, into a file in /var/tmp, to be able to undo one statement alone."""
    profile = with_room(tmp_path, None, keyring)
    profile.room(invite(1).room_id).commit(Changes(lines=[line(number) for number in range(2000)]))
    files, sealed = set[str](), 0

    def look(keys: SealKeys, context: bytes, data: bytes) -> bytes:
        nonlocal sealed
        sealed += 1
        if sealed % 200 == 0:
            files.update(os.readlink(file.path) for file in os.scandir("/proc/self/fd") if os.path.islink(file.path))
        return seal_record(keys, context, data)

    monkeypatch.setattr(vault_module, "seal_record", look)
    profile.protect(Guard.PASSPHRASE, PASSPHRASE)
    assert sealed > 2000
    assert str(file_of(tmp_path)) in files
    assert not [name for name in files if "etilqs" in name]
    profile.close()


def test_a_profile_that_wasnt_closed_is_not_brought_without_what_was_kept_last(
    tmp_path: Path, keyring: Keyring
) -> None:
    profile = with_room(tmp_path / "one", None, keyring)
    open_still = file_of(tmp_path / "one")
    sentence = f"The profile at {open_still} is open, or was never closed, and what was kept last is not in this file."
    with pytest.raises(ProfileError, match=re.escape(sentence)):
        Profile.bring(open_still, tmp_path / "two", "", ENGINE, keyring)
    assert not Profile.exists(tmp_path / "two")
    profile.close()
    with contextlib.closing(Profile.bring(open_still, tmp_path / "two", "", ENGINE, keyring)) as brought:
        assert len(brought.room(invite(1).room_id).load().lines) == 3


def test_a_copy_of_a_damaged_profile_tells_what_is_lost_and_goes_on_with_no_log_of_it(
    tmp_path: Path, keyring: Keyring
) -> None:
    profile = with_room(tmp_path / "one", None, keyring)
    vault, room_id = profile._vault, invite(1).room_id
    assert vault is not None
    for kind in (Kind.LINE, Kind.STANDING):
        one = "SELECT seq FROM item WHERE kind = ? LIMIT 1"
        vault._base.execute(f"UPDATE item SET value = randomblob(60) WHERE seq = ({one})", (kind,))
    profile.export(tmp_path / "copy", PASSPHRASE)
    for place, again in (("copy", "copy of the copy"), ("copy of the copy", "")):
        home = tmp_path / f"home of the {place}"
        with contextlib.closing(Profile.bring(tmp_path / place, home, PASSPHRASE, ENGINE, keyring)) as brought:
            kept = brought.room(room_id).load()
            assert (kept.lost_lines, len(kept.lines)) == (1, 2)
            if again:
                brought.export(tmp_path / again, PASSPHRASE)
    vault._base.execute("UPDATE item SET value = randomblob(60) WHERE kind = ?", (Kind.NICK,))
    with pytest.raises(VaultError, match="Close Parley and start it again: what is whole is kept"):
        profile.export(tmp_path / "no copy", PASSPHRASE)
    assert not (tmp_path / "no copy").exists()
    profile.close()


# -- a real keyring ----------------------------------------------------------------------------------------------------

REAL = """
import sys
from pathlib import Path
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.lock import Guard
from chatcore.oskeyring import Keyring
from chatcore.profile import Profile
engine, keyring, directory = OpenSSLEngine(), Keyring(), Path(sys.argv[1])
assert keyring.offered
profile = Profile.create(directory, "Alice", None, engine, keyring)
profile.protect(Guard.KEYRING)
name = profile._vault.lock.name
profile.close()
assert keyring.fetch(name) is not None
again = Profile.open(directory, None, engine, Keyring())
assert again.identity.to_der() == profile.identity.to_der()
again.erase_all()
assert keyring.fetch(name) is None
print("kept, opened, gone")
"""


@pytest.mark.skipif(
    not (shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")), reason="no secret service here"
)
def test_a_real_secret_service_guards_a_profile(tmp_path: Path) -> None:
    script = f'printf x | gnome-keyring-daemon --unlock --components=secrets >/dev/null; exec "$0" -c \'{REAL}\' "$1"'
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script, sys.executable, str(tmp_path / "profile")],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "kept, opened, gone\n", done.stderr


def test_without_a_keyring_none_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    keyring = Keyring()
    if sys.platform == "linux":
        assert not keyring.offered
        with pytest.raises(VaultError, match="didn't take the key"):
            keyring.keep("name", bytes(64))
        assert keyring.fetch("name") is None
        keyring.drop("name")


def test_a_keyring_that_writes_into_a_plain_file_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any package may add one, and say of it that it is to be taken before all others."""
    plain, kept = (type("Keyring", (MemoryBackend,), {"priority": number})() for number in (99, 1))
    type(plain).__module__, type(kept).__module__ = "keyrings.alt.file", "keyring.backends.SecretService"
    found: list[object] = [plain]
    monkeypatch.setattr("keyring.backend.get_all_keyring", lambda: found)
    assert not Keyring().offered
    found.append(kept)
    Keyring().keep("name", bytes(64))
    assert kept.get_password("Parley", "name") is not None
    assert plain.get_password("Parley", "name") is None


# -- in the middle of it ----------------------------------------------------------------------------------------------


def test_what_is_said_while_everything_is_sealed_anew_is_sealed_with_the_new_keys(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room's thread waits for the vault while another changes what opens it, which takes seconds if it is large."""
    profile = with_room(tmp_path, None, keyring)
    vault = profile._vault
    assert vault is not None
    transaction = vault.transaction

    def late() -> contextlib.AbstractContextManager[sqlite3.Connection]:
        monkeypatch.setattr(vault, "transaction", transaction)
        profile.protect(Guard.PASSPHRASE, PASSPHRASE)
        return transaction()

    monkeypatch.setattr(vault, "transaction", late)
    profile.room(invite(1).room_id).commit(Changes(lines=[line(9)]))
    profile.close()
    with contextlib.closing(Profile.open(tmp_path, PASSPHRASE, ENGINE, keyring)) as opened:
        kept = opened.room(invite(1).room_id).load()
        assert kept.lost_lines is None
        assert kept.lines[line(9).mid] == line(9)


def test_nobody_seals_between_the_new_lock_and_its_keys(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_room(tmp_path, None, keyring)
    vault = profile._vault
    assert vault is not None
    take, free = vault._take_keys, []

    def held(keys: bytes) -> None:
        other = threading.Thread(target=lambda: free.append(vault._mutex.acquire(blocking=False)))
        other.start()
        other.join()
        take(keys)

    monkeypatch.setattr(vault, "_take_keys", held)
    profile.protect(Guard.PASSPHRASE, PASSPHRASE)
    assert free == [False]
    profile.close()


def test_a_new_lock_whose_older_state_cant_be_overwritten_holds_and_says_so(
    tmp_path: Path, keyring: Keyring, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the keyring is then all that opens the profile."""
    profile = with_room(tmp_path, None, keyring)
    vault = profile._vault
    assert vault is not None

    def fail() -> None:
        raise VaultError("The disk is full.")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(vault, "overwrite_log", fail)
            with pytest.raises(
                VaultError, match=r"What you chose holds from now on, .* Close Parley and start it again"
            ):
                profile.protect(Guard.KEYRING)
        assert profile.guard is Guard.KEYRING
        assert [name for _, name in backend.kept] == [
            vault.lock.name
        ]  # what opens the older state isn't there any more
    profile.close()
    opens(tmp_path, None, keyring, profile)


def test_the_key_of_an_older_state_stays_in_the_keyring_while_a_power_cut_could_bring_that_back(
    tmp_path: Path, keyring: Keyring, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_room(tmp_path, None, keyring)
    profile.protect(Guard.KEYRING)
    vault, before = profile._vault, tmp_path.with_name(f"{tmp_path.name} before")
    assert vault is not None
    shutil.copytree(tmp_path, before)

    def fail(*_: object) -> None:
        raise VaultError("The disk takes nothing.")

    with monkeypatch.context() as patch:
        patch.setattr(vault, "overwrite_log", fail)
        patch.setattr(vault, "settle", fail)
        with pytest.raises(VaultError, match=r"What you chose holds from now on"):
            profile.protect(Guard.PASSPHRASE, PASSPHRASE)
    assert len(backend.kept) == 1
    opens(before, None, keyring, profile)
    profile.close()
    opens(tmp_path, PASSPHRASE, keyring, profile)


@posix
def test_what_is_made_anew_takes_the_place_of_a_file_that_is_overwritten(tmp_path: Path, keyring: Keyring) -> None:
    """Else the keys of one that lay open would lie about on the disk when a passphrase is set, and open what it had."""
    with_room(tmp_path, None, keyring).close()
    data = bytearray(file_of(tmp_path).read_bytes())
    data[PAGE_SIZE : PAGE_SIZE + 60] = bytes(60)
    file_of(tmp_path).write_bytes(data)
    with file_of(tmp_path).open("rb") as old:
        Profile.open(tmp_path, None, ENGINE, keyring).close()
        assert set(old.read()) == {0}
        assert old.tell() == len(data)
    assert set(file_of(tmp_path).read_bytes()) != {0}
    names = [FILE_NAME + end for end in (".whole", "", *ownfile.BESIDE)]
    with contextlib.ExitStack() as stack:
        olds = []
        for name in names:
            (tmp_path / name).write_bytes(b"something")
            (tmp_path / name).chmod(0o600)
            olds.append(stack.enter_context((tmp_path / name).open("rb")))
        ownfile.finish(file_of(tmp_path))
        assert [old.read() for old in olds] == [b"something", *[bytes(9)] * 4]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@posix
def test_who_is_late_to_put_a_file_in_its_place_overwrites_nothing(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows at once: the other one has done it already, and goes on with the new file."""
    with_room(tmp_path, None, keyring).close()
    shutil.copy(file_of(tmp_path), file_of(tmp_path).with_name(FILE_NAME + ".whole"))
    real = os.replace

    def late(old: Path, new: Path) -> None:
        real(old, new)
        real(old, new)

    monkeypatch.setattr(os, "replace", late)
    with pytest.raises(ProfileError, match="can't be written"):
        ownfile.finish(file_of(tmp_path))
    monkeypatch.undo()
    Profile.open(tmp_path, None, ENGINE, keyring).close()


@posix
def test_a_disk_that_lets_nothing_be_overwritten_keeps_nobody_from_opening_a_damaged_profile(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_room(tmp_path, None, keyring).close()
    data = bytearray(file_of(tmp_path).read_bytes())
    data[PAGE_SIZE : PAGE_SIZE + 60] = bytes(60)
    file_of(tmp_path).write_bytes(data)

    def refuse(file: object) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(ownfile, "_blank", refuse)
        patch.setattr(vault_module, "overwrite_log", lambda *_: None)
        profile = Profile.open(tmp_path, None, ENGINE, keyring)
        profile.close()
    assert profile.nick == "Alice"


@posix
def test_a_copy_that_isnt_taken_leaves_nothing_on_the_disk_that_isnt_overwritten(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(with_room(tmp_path / "here", PASSPHRASE, keyring)) as profile:
        profile.export(tmp_path / "copy", "for the stick")
    seen: list[bytes] = []
    unlink = os.unlink

    def look(path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            seen.append(Path(path).read_bytes())
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", look)
        with pytest.raises(PassphraseError):
            Profile.bring(tmp_path / "copy", tmp_path / "there", "another", ENGINE, keyring)
    assert max(map(len, seen)) > PAGE_SIZE
    assert all(set(left) <= {0} for left in seen)
    brought = Profile.bring(tmp_path / "copy", tmp_path / "there", "for the stick", ENGINE, keyring)
    brought.close()
    opens(tmp_path / "there", "for the stick", keyring, brought)


def test_a_killed_erasure_can_be_found_and_done_again(
    tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_room(tmp_path, None, keyring)
    gone: list[str] = []
    monkeypatch.setattr(ownfile, "wipe", lambda path: gone.append(path.name))
    profile.erase_all()
    assert gone[-1] == FILE_NAME


def test_of_a_damaged_copy_that_is_brought_it_is_told_what_is_lost(tmp_path: Path, keyring: Keyring) -> None:
    profile = with_room(tmp_path / "one", None, keyring)
    for number in range(60):
        profile.people.meet({bytes((number,)) * 32: f"person {number}"}, invite(1).room_id, number)
    profile.save()
    known = len(profile.people)
    copy = tmp_path / "copy"
    profile.export(copy, PASSPHRASE)
    profile.close()
    data, told = copy.read_bytes(), 0
    for at in range(PAGE_SIZE, len(data), PAGE_SIZE):
        copy.write_bytes(data[:at] + bytes(PAGE_SIZE) + data[at + PAGE_SIZE :])
        home = tmp_path / f"home {at}"
        try:
            brought = Profile.bring(copy, home, PASSPHRASE, ENGINE, keyring)
        except ProfileError:
            assert not Profile.exists(home)
            continue
        lost = known - len(brought.people)
        assert not lost or (brought.loss is not None and brought.loss.people == lost)
        told += bool(lost)
        brought.close()
    assert told


@pytest.mark.parametrize("end", ["-wal", "-journal", ".whole"])
def test_what_is_left_of_a_profile_that_was_moved_away_doesnt_get_into_a_new_one(
    end: str, tmp_path: Path, keyring: Keyring
) -> None:
    """SQLite would take it for part of the new file: the identity of before would be back, and the new one lost."""
    profile = with_room(tmp_path, None, keyring)
    profile.nick = "Alice of before"
    profile.save()
    log = file_of(tmp_path).with_name(FILE_NAME + "-wal").read_bytes()
    profile.close()
    copy = tmp_path / "copy"
    copy.write_bytes(file_of(tmp_path).read_bytes())
    file_of(tmp_path).unlink()
    left = file_of(tmp_path).with_name(FILE_NAME + end)
    left.write_bytes(log)
    left.chmod(0o600)
    sentence = f"Beside the place of the profile lies {left}, which belongs to one that isn't there any more. Move it"
    with pytest.raises(ProfileError, match=re.escape(sentence)):
        Profile.create(tmp_path, "Bob", None, QUICK, keyring)
    with pytest.raises(ProfileError, match=re.escape(sentence)):
        Profile.bring(copy, tmp_path, "", ENGINE, keyring)
    assert left.read_bytes() == log
    if end == ".whole":
        left.unlink()
    else:
        left.write_bytes(b"")  # as SQLite leaves it when nothing is in it
    Profile.create(tmp_path, "Bob", None, QUICK, keyring).close()
    assert not Profile.needs_passphrase(tmp_path)


@posix
@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_copy_can_be_written_where_there_are_no_links(
    code: int, tmp_path: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick says one thing, a share in the network another; still nothing is replaced."""

    def no_links(new: Path, path: Path) -> None:
        if path.name == "taken meanwhile":
            path.write_bytes(b"somebody's")
        raise OSError(code, "no links here")

    profile = with_room(tmp_path / "home", None, keyring)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_links)
        profile.export(tmp_path / "copy", PASSPHRASE)
        with pytest.raises(ProfileError):
            profile.export(tmp_path / "taken meanwhile", PASSPHRASE)
    assert (tmp_path / "taken meanwhile").read_bytes() == b"somebody's"
    profile.close()
    Profile.bring(tmp_path / "copy", tmp_path / "there", PASSPHRASE, ENGINE, keyring).close()
