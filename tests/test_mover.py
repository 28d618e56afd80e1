"""`parley-move`: rooms are moved without a window, with real relays; what it asks for, says and refuses."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from client_help import NIMBLE, Person, free_port, identity, two_relays

import gui_client
from chatcore import doctor, mover, proxy, proxyfile
from chatcore import invite as invites
from chatcore.cable import Timing
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.events import RoomMoved
from chatcore.invite import Invite, Mode, RelayAddress, new_invite
from chatcore.members import StatementType, make_statement
from chatcore.moving import unfit
from chatcore.profile import Profile, RoomRecord, hold
from chatcore.proxy import Proxy
from chatcore.seal import fingerprint

ROOT = Path(__file__).parent.parent
ENGINE = OpenSSLEngine()
SECRET = "AQCsesame7781"
OLD, NEW = (RelayAddress(f"{name}.example", 7256, (name.encode().ljust(32),)) for name in ("old", "new"))


def a_profile(directory: Path, *rooms: tuple[str, RelayAddress], passphrase: str | None = None) -> list[Invite]:
    """Make a profile that owns these rooms."""
    with contextlib.closing(Profile.create(directory, "alice", passphrase, ENGINE)) as profile:
        made = [invite_of(profile, title, relay) for title, relay in rooms]
        for number, invite in enumerate(made):
            profile.remember(invite, number)
        profile.save()
    return made


def invite_of(profile: Profile, title: str, relay: RelayAddress) -> Invite:
    owner = fingerprint(profile.identity.modulus)
    return new_invite(owner, Mode.OPEN, relay, title, secret=title.encode().ljust(32))


def records(directory: Path) -> dict[str, RoomRecord]:
    with contextlib.closing(Profile.open(directory, None, ENGINE)) as profile:
        return {room.invite.title: room for room in profile.rooms}


class Desk:
    """Somebody at a terminal."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self.monkeypatch, self.capsys = directory, monkeypatch, capsys

    def run(self, line: str, *arguments: str) -> tuple[int, str]:
        """Run the command with a line on its standard input; returns the status and all it printed."""
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(line + "\n"))
        status = mover.main(["--profile", str(self.directory), *arguments], NIMBLE)
        said = self.capsys.readouterr()
        return status, said.out + said.err


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    monkeypatch.setattr(mover, "GREET_S", 20.0)
    return Desk(tmp_path / "profile", monkeypatch, capsys)


def test_a_room_is_moved_and_who_has_heard_is_said(desk: Desk, tmp_path: Path) -> None:
    with two_relays(tmp_path) as (_, before, _, there), contextlib.ExitStack() as stack:
        (invite,) = a_profile(desk.directory, ("Den", before))
        bob = stack.enter_context(Person("bob", invite, NIMBLE))
        assert desk.run(there.to_text()) == (0, f"Den: it is on {there.place} now.\n  Have heard: bob.\n")
        bob.ear.until(lambda: [e.relay for e in bob.ear.of(RoomMoved)] == [there], "bob has heard")
        kept = records(desk.directory)["Den"]
        assert (kept.relay, kept.invite.relay) == (there, before)
        assert desk.run(there.to_text()) == (0, f"Den: it is on {there.place} already.\n")


def test_who_was_away_is_said_and_what_they_need(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover, "GREET_S", 0.1)
    with two_relays(tmp_path) as (_, before, _, there):
        (invite,) = a_profile(desk.directory, ("Den", before))
        carol = identity("carol")
        join = make_statement(StatementType.JOIN, invite.room_id, carol, fingerprint(carol.modulus), 1, "Carol \x1b[2J")
        with contextlib.closing(Profile.open(desk.directory, None, ENGINE)) as profile:
            profile.remember(invite, 1, [join.raw])
            profile.save()
        assert desk.run(there.to_text()) == (
            0,
            f"Den: it is on {there.place} now.\n  Will hear later: Carol ?[2J.\n{mover.LATER}\n",
        )


def test_all_on_one_relay_are_moved_and_no_other(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover, "GREET_S", 0.1)
    with two_relays(tmp_path) as (_, before, _, there):
        a_profile(desk.directory, ("Den", before), ("Attic", before), ("Elsewhere", OLD))
        status, said = desk.run(there.to_text(), "--from", before.place)
        assert status == 0
        assert said.splitlines() == [f"{title}: it is on {there.place} now." for title in ("Attic", "Den")]
        assert {title: room.relay for title, room in records(desk.directory).items()} == {
            "Den": there,
            "Attic": there,
            "Elsewhere": OLD,
        }


def test_where_the_old_relay_is_gone_it_is_moved_and_said_that_nobody_could_be_told(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "CONNECT_S", 0.3)
    with two_relays(tmp_path) as (_, before, _, there):
        a_profile(desk.directory, ("Den", replace(before, port=free_port())))
        assert desk.run(there.to_text()) == (1, f"Den: it is on {there.place} now.\n{mover.UNTOLD}\n")
        assert records(desk.directory)["Den"].relay == there


def test_who_has_not_answered_in_time_is_said(desk: Desk, tmp_path: Path) -> None:
    with two_relays(tmp_path) as (_, before, _, there), contextlib.ExitStack() as stack:
        (invite,) = a_profile(desk.directory, ("Den", before))
        bob = stack.enter_context(Person("bob", invite, NIMBLE))
        status, said = desk.run(there.to_text(), "--wait", "0")
        assert status == 1
        assert said.splitlines()[1:] == ["  Will hear later: bob.", mover.LATER, mover.UNSURE]
        bob.ear.until(lambda: bool(bob.ear.of(RoomMoved)), "bob heard all the same")


@pytest.mark.parametrize("what", ["nobody listens", "another key", "another pass"])
def test_to_a_relay_that_cant_be_used_nothing_is_moved(desk: Desk, tmp_path: Path, what: str) -> None:
    with two_relays(tmp_path) as (_, before, _, there):
        a_profile(desk.directory, ("Den", before))
        bad = {
            "nobody listens": replace(there, port=free_port()),
            "another key": replace(there, pins=before.pins),
            "another pass": replace(there, relay_pass=b"x" * 32),
        }[what]
        status, said = desk.run(bad.to_text())
        assert status == 1
        assert said.startswith("The relay can't be used. Its ")
        kept = records(desk.directory)["Den"]
        assert kept.relay == before
        assert not [raw for raw in kept.statements if raw[0] == StatementType.RELAY]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", invites.NOT_A_RELAY),
        (f"parley:join/new.example:7256/{SECRET}", invites.INVITE_INSTEAD),
        ("parley:relay/new.example:7256/plain", invites.PLAIN_ELSEWHERE),
    ],
)
def test_what_is_no_line_of_a_relay_is_said(desk: Desk, line: str, sentence: str) -> None:
    a_profile(desk.directory, ("Den", OLD))
    assert desk.run(line) == (1, f"{sentence}\n")


def test_a_relay_of_this_computer_or_without_a_key_is_none_for_others(desk: Desk, tmp_path: Path) -> None:
    with two_relays(tmp_path) as (_, _, _, there):
        a_profile(desk.directory, ("Den", OLD))
        assert desk.run(there.to_text()) == (1, f"Den: it was not moved. {unfit(there, OLD)}\n")
        plain = RelayAddress("127.0.0.1", 7256)
        assert desk.run(plain.to_text()) == (1, f"Den: it was not moved. {unfit(plain, OLD)}\n")


def test_which_room_is_asked_when_there_are_several(desk: Desk) -> None:
    a_profile(desk.directory, ("Den", OLD), ("Attic", NEW))
    yours = f"Attic ({NEW.place}); Den ({OLD.place})"
    assert desk.run("") == (2, f"{mover.WHICH.format(yours)}\n")
    for nowhere in (["--room", "Cellar"], ["--from", "nowhere.example:1"], ["--room", "Den", "--from", NEW.place]):
        assert desk.run("", *nowhere) == (2, f"{mover.NO_SUCH_ROOM.format(yours)}\n")
    assert desk.run("", "--room", "den") == (1, f"{invites.NOT_A_RELAY}\n")


def test_what_others_wrote_is_no_command_for_the_terminal() -> None:
    assert mover._printable("Bob\x1b[2J\u202e\u2028 \N{DOG FACE}é") == "Bob?[2J?? \N{DOG FACE}é"


def test_of_two_with_one_title_none_is_moved(desk: Desk) -> None:
    with contextlib.closing(Profile.create(desk.directory, "alice", None, ENGINE)) as profile:
        for number in range(2):
            invite = invite_of(profile, "Den", OLD)
            profile.remember(replace(invite, secret=bytes((number,)) * 32), number)
        profile.save()
    assert desk.run("", "--room", "Den") == (2, f"{mover.SAME_TITLE}\n")


def test_only_ones_own_rooms_are_moved(desk: Desk) -> None:
    with contextlib.closing(Profile.create(desk.directory, "alice", None, ENGINE)) as profile:
        profile.remember(new_invite(b"b" * 32, Mode.OPEN, OLD, "Bob's", secret=b"s" * 32), 1)
        profile.save()
    assert desk.run("") == (2, f"{mover.NONE_IS_YOURS}\n")


def test_a_passphrase_comes_from_the_terminal_or_a_file(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_profile(desk.directory, ("Den", OLD), passphrase=SECRET)
    monkeypatch.setattr(getpass, "getpass", lambda _: SECRET)
    assert desk.run("") == (1, f"{invites.NOT_A_RELAY}\n")
    monkeypatch.setattr(getpass, "getpass", lambda _: SECRET.lower())
    assert desk.run("")[1].startswith("This passphrase doesn't open the profile.")
    file = tmp_path / "passphrase"
    file.write_bytes(SECRET.encode() + b"\r\nnothing else\n")
    assert desk.run("", "--passphrase-file", str(file)) == (1, f"{invites.NOT_A_RELAY}\n")
    for wrong in (tmp_path, tmp_path / "none"):
        assert desk.run("", "--passphrase-file", str(wrong)) == (1, f"{mover.NO_FILE}\n")


def test_without_a_terminal_it_says_how_the_passphrase_is_given(desk: Desk) -> None:
    a_profile(desk.directory, ("Den", OLD), passphrase=SECRET)
    command = [sys.executable, "gui_client.py", "move", "--profile", str(desk.directory)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, input="", start_new_session=True, env=os.environ
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{mover.NO_TERMINAL}\n")


def test_a_profile_that_a_window_has_or_that_isnt_there_has_its_sentence(desk: Desk) -> None:
    assert desk.run("") == (1, f"{mover.NOTHING_THERE.format(desk.directory)}\n")
    a_profile(desk.directory, ("Den", OLD))
    let_go = hold(desk.directory)
    try:
        status, said = desk.run("")
    finally:
        let_go()
    assert status == 1
    assert said.startswith("Parley is open already with the profile at")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "argument", [f"parley:relay/x:1/{SECRET}", f"--to=parley%3Arelay/x:1/{SECRET}", SECRET, "--al"]
)
def test_what_is_no_argument_is_not_repeated(desk: Desk, argument: str) -> None:
    status, said = desk.run("", argument)
    assert status == 2
    assert said.strip() in (mover.LINE_IN_ARGUMENTS, mover.UNKNOWN_ARGUMENT)
    assert SECRET not in said


@pytest.mark.parametrize("seconds", ["-1", "4000", "nan", "soon"])
def test_how_long_to_wait_is_a_number(desk: Desk, seconds: str) -> None:
    with pytest.raises(SystemExit) as ended:
        desk.run("", "--wait", seconds)
    assert ended.value.code == 2


@pytest.mark.parametrize(("what", "sentence"), [(KeyboardInterrupt, mover.STOPPED), (ValueError, mover.FAULT)])
def test_what_was_stopped_or_went_wrong_has_one_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, what: type[BaseException], sentence: str
) -> None:
    a_profile(desk.directory, ("Den", OLD))

    def fail(*_: object) -> str:
        raise what(SECRET)

    monkeypatch.setattr(doctor, "first_trouble", fail)
    assert desk.run(NEW.to_text()) == (1, f"{sentence}\n")
    hold(desk.directory)()  # it was let go


def test_it_goes_through_the_proxy_that_is_set_or_not_at_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    a_profile(desk.directory, ("Den", OLD))
    monkeypatch.delenv(proxyfile.VARIABLE, raising=False)
    off = Proxy("127.0.0.1", free_port())
    asked: list[Proxy | None] = []

    class Nobody(mover.Mover):
        def __init__(self, profile: Profile, wait_s: float, timing: Timing | None = None, proxy: Proxy | None = None):
            super().__init__(profile, wait_s, timing, proxy)
            asked.extend((self._client._upkeep.proxy, proxy))

        def move(self, record: RoomRecord, relay: RelayAddress) -> bool:
            return True

    monkeypatch.setattr(mover, "Mover", Nobody)
    proxyfile.keep(desk.directory, off)
    for arguments in ([], ["--proxy", off.place]):
        status, said = desk.run(NEW.to_text(), *arguments)
        assert (status, said[:38]) == (1, "The relay can't be used. Its proxy: it")
        proxyfile.keep(desk.directory, None)
    assert desk.run("", "--proxy", "http://x:1") == (1, f"{proxy.ONLY_SOCKS5}\n")
    monkeypatch.setattr(doctor, "first_trouble", lambda relay, proxy: "")
    assert desk.run(NEW.to_text(), "--proxy", off.place) == (0, "")
    assert asked == [off, off]


def test_the_page_and_the_command_know_the_same_options() -> None:
    page = (ROOT / "docs" / "SELF_HOSTING.md").read_text("utf-8")
    section = page.partition("### Moving rooms to another relay")[2].partition("\n## ")[0]
    known = set(re.findall(r"--[a-z-]+", mover._parser().format_help())) - {"--help", "--profile"}
    assert set(re.findall(r"--[a-z-]+", section)) == known
    assert gui_client.main(["move", f"--to=parley:relay/x:1/{SECRET}"]) == 2
