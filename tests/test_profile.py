"""The profile: what is kept, how it is sealed, and that no mishap costs anything."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import ENGINE, RELAY, fp, key

from chatcore import profile as module
from chatcore.engines.reference import ReferenceEngine
from chatcore.errors import PassphraseError, ProfileError, TextError
from chatcore.invite import Invite, Mode, new_invite
from chatcore.pins import Compared, Page
from chatcore.profile import FILE_NAME, Profile, RoomRecord, hold

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
    profile = Profile.create(directory, "Alice", passphrase, QUICK)
    profile.remember(invite(1), 1_000, [b"one", b"two"])
    profile.remember(invite(2), 2_000)
    profile.save()
    return profile


def file_of(directory: Path) -> Path:
    return directory / FILE_NAME


def same(left: Profile, right: Profile) -> bool:
    return (left.nick, left.rooms, left.identity.to_der()) == (right.nick, right.rooms, right.identity.to_der())


def rewrite(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON of a profile and make its check right again, as somebody hostile would."""
    outer = json.loads(file_of(directory).read_bytes().split(b"\n")[0])
    change(outer)
    line = json.dumps(outer).encode()
    file_of(directory).write_bytes(line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n")


def refusal(directory: Path, passphrase: str | None = None) -> str:
    """Return the sentence with which opening fails, and check that the file stayed as it was."""
    before = file_of(directory).read_bytes()
    with pytest.raises(ProfileError) as caught:
        Profile.open(directory, passphrase, ENGINE)
    assert file_of(directory).read_bytes() == before
    return str(caught.value)


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, "", PASSPHRASE])
def test_what_was_saved_is_what_is_opened(tmp_path: Path, passphrase: str | None) -> None:
    assert not Profile.exists(tmp_path)
    made = make(tmp_path, passphrase)
    assert Profile.exists(tmp_path)
    assert Profile.needs_passphrase(tmp_path) is bool(passphrase)
    opened = Profile.open(tmp_path, passphrase, ENGINE)
    assert same(made, opened)
    assert opened.has_passphrase is bool(passphrase)
    assert opened.rooms == [RoomRecord(invite(2), 2_000, ()), RoomRecord(invite(1), 1_000, (b"one", b"two"))]
    opened.nick = "Alice B."
    opened.forget(invite(1).room_id)
    opened.remember(invite(2), 3_000, [b"three"])
    opened.save()
    again = Profile.open(tmp_path, passphrase, ENGINE)
    assert (again.nick, again.rooms) == ("Alice B.", [RoomRecord(invite(2), 3_000, (b"three",))])


def test_both_engines_open_a_profile(tmp_path: Path) -> None:
    assert same(make(tmp_path), Profile.open(tmp_path, None, ReferenceEngine()))


def test_an_identity_is_made_with_the_engine(tmp_path: Path) -> None:
    one = Profile.create(tmp_path / "one", "Alice", None, ENGINE)
    two = Profile.create(tmp_path / "two", "Alice", None, ENGINE)
    assert one.identity.modulus != two.identity.modulus


def test_an_anonymous_profile_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("wrote a file")

    monkeypatch.setattr(module, "_write", refuse)
    profile = Profile.anonymous(ENGINE, "Nobody")
    assert profile.is_anonymous
    profile.remember(invite(), 1)
    profile.save()
    profile.change_passphrase(PASSPHRASE)
    assert [room.invite for room in profile.rooms] == [invite()]
    assert list(tmp_path.iterdir()) == []


def test_a_nick_that_does_not_fit_makes_no_profile(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="This name can't be used"):
        Profile.create(tmp_path, "x" * 65, None, QUICK)
    assert list(tmp_path.iterdir()) == []


# -- the passphrase ----------------------------------------------------------------------------------------------------


def test_a_sealed_file_shows_nothing(tmp_path: Path) -> None:
    profile = make(tmp_path, PASSPHRASE)
    raw = file_of(tmp_path).read_bytes()
    outer = json.loads(raw.split(b"\n")[0])
    everything = raw + base64.b64decode(outer["sealed"])
    der = profile.identity.to_der()
    for secret in (b"Alice", der, base64.b64encode(der)[:40], invite(1).to_text().encode()[-60:], PASSPHRASE.encode()):
        assert secret not in everything


def test_the_wrong_passphrase_and_none_at_all(tmp_path: Path) -> None:
    made = make(tmp_path, PASSPHRASE)
    before = file_of(tmp_path).read_bytes()
    for wrong in ("correct horse bätterie", PASSPHRASE + " ", "x"):
        with pytest.raises(PassphraseError, match=r"^This passphrase doesn't open the profile. Try again; capital and"):
            Profile.open(tmp_path, wrong, ENGINE)
    for nothing in (None, ""):
        with pytest.raises(PassphraseError, match=r"^This profile is locked. Enter its passphrase.$"):
            Profile.open(tmp_path, nothing, ENGINE)
    assert file_of(tmp_path).read_bytes() == before
    assert same(made, Profile.open(tmp_path, PASSPHRASE, ENGINE))


def test_the_same_letters_typed_elsewhere_are_the_same_passphrase(tmp_path: Path) -> None:
    made = make(tmp_path, "Bätterie")
    assert same(made, Profile.open(tmp_path, "Ba\u0308tterie", ENGINE))


def test_change_the_passphrase(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.change_passphrase(PASSPHRASE)
    assert Profile.needs_passphrase(tmp_path)
    opened = Profile.open(tmp_path, PASSPHRASE, ENGINE)
    opened.change_passphrase("another")
    with pytest.raises(PassphraseError):
        Profile.open(tmp_path, PASSPHRASE, ENGINE)
    opened = Profile.open(tmp_path, "another", ENGINE)
    opened.change_passphrase(None)
    assert not Profile.needs_passphrase(tmp_path)
    assert same(made, Profile.open(tmp_path, None, ENGINE))


def test_a_passphrase_that_could_not_be_saved_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path, PASSPHRASE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(errno.EIO))
        with pytest.raises(ProfileError):
            made.change_passphrase("another")
    made.save()
    assert same(made, Profile.open(tmp_path, PASSPHRASE, ENGINE))


def test_no_two_savings_look_alike(tmp_path: Path) -> None:
    made = make(tmp_path, PASSPHRASE)
    seen = set()
    for _ in range(5):
        made.save()
        outer = json.loads(file_of(tmp_path).read_bytes().split(b"\n")[0])
        seen.add(outer["nonce"])
    assert len(seen) == 5


@pytest.mark.parametrize(
    "numbers",
    [
        {"n": 2**30},  # 1 TiB
        {"n": 2**18},
        {"n": 2**10},  # weaker than anything that we write
        {"n": 2**15 + 1},
        {"n": 32768.0},
        {"n": True},
        {"n": "32768"},
        {"r": 2**20},
        {"r": 0},
        {"p": 2**20},
        {"p": 0},
        {"p": -1},
        {"salt": ""},
        {"salt": "AAAA"},
        {"salt": 7},
        {"salt": "é"},
    ],
)
def test_a_hostile_file_gets_no_memory(
    tmp_path: Path, numbers: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, PASSPHRASE)
    rewrite(tmp_path, lambda outer: outer["lock"].update(numbers))

    def refuse(*_args: object, **_more: object) -> bytes:
        raise AssertionError("worked on hostile numbers")

    monkeypatch.setattr(hashlib, "scrypt", refuse)
    assert "is damaged, and was left as it is" in refusal(tmp_path, PASSPHRASE)


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_file_cut_short_or_altered_is_damaged(tmp_path: Path, passphrase: str | None) -> None:
    make(tmp_path, passphrase)
    whole = file_of(tmp_path).read_bytes()
    for data in (
        b"",
        whole[:1],
        whole[: len(whole) // 2],
        whole[:-1],
        whole[:-40],
        whole + b"x",
        whole[:50] + bytes([whole[50] ^ 1]) + whole[51:],
        b"\0" * len(whole),
        b"[" * 100_000,
    ):
        file_of(tmp_path).write_bytes(data)
        sentence = refusal(tmp_path, passphrase)
        assert sentence == (
            f"The profile at {file_of(tmp_path)} is damaged, and was left as it is. "
            "Put back a copy of it, or move it away and begin anew."
        )
        with pytest.raises(ProfileError):
            Profile.needs_passphrase(tmp_path)
        with pytest.raises(ProfileError, match=r"There is a profile at .* already, and it was left as it is"):
            Profile.create(tmp_path, "Mallory", None, QUICK)


@pytest.mark.parametrize(
    "change",
    [
        lambda outer: outer.clear(),
        lambda outer: outer.update(format="something else"),
        lambda outer: outer.pop("content"),
        lambda outer: outer.update(content=[]),
        lambda outer: outer["content"].pop("identity"),
        lambda outer: outer["content"].update(identity="AAAA"),
        lambda outer: outer["content"].update(identity=7),
        lambda outer: outer["content"].update(nick=None),
        lambda outer: outer["content"].update(rooms={}),
        lambda outer: outer["content"]["rooms"].append(3),
        lambda outer: outer["content"]["rooms"][0].update(invite="parley:join/"),
        lambda outer: outer["content"]["rooms"][0].update(last_visit_ms="now"),
        lambda outer: outer["content"]["rooms"][1].update(statements=["!"]),
    ],
)
def test_a_file_with_something_else_in_it_is_damaged(tmp_path: Path, change: Callable[[Any], object]) -> None:
    make(tmp_path)
    rewrite(tmp_path, change)
    assert "is damaged, and was left as it is" in refusal(tmp_path)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_another_version_says_so(tmp_path: Path, passphrase: str | None) -> None:
    make(tmp_path, passphrase)
    rewrite(tmp_path, lambda outer: outer.update(version=2))
    assert refusal(tmp_path, passphrase) == (
        f"The profile at {file_of(tmp_path)} is from another version of Parley, and was left as it is. "
        "Bring Parley up to date."
    )


@given(data=st.binary(max_size=300))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_profile_or_a_sentence(tmp_path: Path, data: bytes) -> None:
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
        ((os, "replace"), errno.EIO, "can't be written"),
        ((tempfile, "mkstemp"), errno.EROFS, "Read-only file system"),
        ((tempfile, "mkstemp"), errno.EACCES, "choose a directory that is yours"),
    ],
)
def test_a_saving_that_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], number: int, sentence: str
) -> None:
    made = make(tmp_path)
    before = file_of(tmp_path).read_bytes()
    made.nick = "Changed"
    with monkeypatch.context() as patch:
        patch.setattr(*where, failing(number))
        with pytest.raises(ProfileError) as caught:
            made.save()
        with pytest.raises(ProfileError):
            Profile.create(tmp_path / "other", "Bob", None, QUICK)
    assert sentence in str(caught.value)
    assert "Nothing was lost" in str(caught.value)
    assert file_of(tmp_path).read_bytes() == before
    assert leftovers(tmp_path) in ([], ["other"])
    made.save()
    assert Profile.open(tmp_path, None, ENGINE).nick == "Changed"


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
        made = make(tmp_path / "new" / "place")
        made.save()
    finally:
        os.umask(before)
    assert stat.S_IMODE(file_of(tmp_path / "new" / "place").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new" / "place").stat().st_mode) == 0o700
    assert leftovers(tmp_path / "new" / "place") == []


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602, 0o604])
def test_a_file_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    made = make(tmp_path)
    file_of(tmp_path).chmod(mode)
    assert refusal(tmp_path) == (
        f"Others on this computer can get at the profile at {file_of(tmp_path)}. "
        "Make it yours alone (chmod 600), then try again."
    )
    file_of(tmp_path).chmod(0o600)
    assert same(made, Profile.open(tmp_path, None, ENGINE))


@posix
def test_a_link_is_followed_neither_for_reading_nor_for_writing(tmp_path: Path) -> None:
    made = make(tmp_path / "mine")
    elsewhere = tmp_path / "elsewhere"
    file_of(tmp_path / "mine").rename(elsewhere)
    before = elsewhere.read_bytes()
    file_of(tmp_path / "mine").symlink_to(elsewhere)
    assert "is no file of its own but a link or a device" in refusal(tmp_path / "mine")
    made.nick = "Changed"
    with pytest.raises(ProfileError, match="Another program has changed the profile"):
        made.save()
    with pytest.raises(ProfileError, match="There is a profile at"):
        Profile.create(tmp_path / "mine", "Bob", None, QUICK)
    assert elsewhere.read_bytes() == before


@posix
def test_a_pipe_does_not_hold_us_up(tmp_path: Path) -> None:
    os.mkfifo(file_of(tmp_path), 0o600)
    with pytest.raises(ProfileError, match="is no file of its own but a link or a device"):
        Profile.open(tmp_path, None, ENGINE)


def test_two_windows_on_one_profile_do_not_overwrite_each_other(tmp_path: Path) -> None:
    make(tmp_path)
    one, two = (Profile.open(tmp_path, None, ENGINE) for _ in range(2))
    one.nick = "One"
    one.save()
    one.save()
    two.nick = "Two"
    with pytest.raises(ProfileError, match="Is Parley open twice"):
        two.save()
    assert Profile.open(tmp_path, None, ENGINE).nick == "One"
    assert leftovers(tmp_path) == []


@posix
def test_one_window_has_a_profile_and_the_next_is_told(tmp_path: Path) -> None:
    make(tmp_path)
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


def test_two_that_are_made_at_once_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rival = Profile.create(tmp_path / "rival", "Rival", None, QUICK)
    assert rival.nick == "Rival"

    class Slow(_SameKey):
        @staticmethod
        def generate() -> Any:
            file_of(tmp_path / "rival").rename(file_of(tmp_path))
            return key("identity alice")

    slow: Any = Slow()
    with pytest.raises(ProfileError, match=r"There is a profile at .* already"):
        Profile.create(tmp_path, "Late", None, slow)
    assert Profile.open(tmp_path, None, ENGINE).nick == "Rival"


def test_too_much_is_refused_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 5_000)
    made.remember(invite(3), 1, [bytes(6_000)])
    with pytest.raises(ProfileError, match="would grow too large"):
        made.save()
    assert len(Profile.open(tmp_path, None, ENGINE).rooms) == 2


def test_repr_shows_no_secret(tmp_path: Path) -> None:
    made = make(tmp_path, PASSPHRASE)
    shown = repr(made) + repr(made.rooms) + repr(made._lock) + str(vars(made))
    assert repr(made) == "Profile(locked, 2 rooms)"
    lock = made._lock
    assert lock is not None
    for secret in (made.identity.to_der(), lock.key, invite(1).secret):
        assert repr(secret)[2:-1][:20] not in shown
        assert secret.hex()[:20] not in shown
    assert "parley:join" not in shown


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_the_people_it_knows_are_kept(tmp_path: Path, passphrase: str | None) -> None:
    profile = make(tmp_path, passphrase)
    profile.people.meet({fp("bob"): "Bob"}, invite(1).room_id, 5_000)
    profile.people.tick([fp("bob")], Compared(6_000, Page.PAIR, invite(1).room_id, fp("alice")))
    profile.save()
    again = Profile.open(tmp_path, passphrase, ENGINE)
    assert again.people.records() == profile.people.records()
    assert len(again.people) == 1


def test_a_profile_from_before_it_knew_people_opens(tmp_path: Path) -> None:
    make(tmp_path)
    rewrite(tmp_path, lambda outer: outer["content"].pop("people"))
    assert len(Profile.open(tmp_path, None, ENGINE).people) == 0


def test_people_that_make_no_sense_are_damage(tmp_path: Path) -> None:
    make(tmp_path)
    rewrite(tmp_path, lambda outer: outer["content"].update(people=[{"fp": 1}]))
    assert "damaged" in refusal(tmp_path)
