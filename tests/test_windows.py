"""Real windows, each a process of its own, on real relays over TLS: they create, invite, knock, talk, go, come back.

In front of each window sits a `person.py`, who looks for words on the screen and uses mouse and keyboard.  Every order
is tried until it works or its time is up, so nothing here sleeps.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tkinter as tk
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from relay.embedded import EmbeddedRelay

ROOT = Path(__file__).parent.parent
NAME, LINK = "What the others will see", "Paste the link that you were sent"


def has_display() -> bool:
    try:
        tk.Tk().destroy()
    except tk.TclError:
        return False
    return True


pytestmark = [
    pytest.mark.skipif(not has_display(), reason="there is no display, and no Xvfb to stand in for one"),
    pytest.mark.timeout(240),
]


class Someone:
    """A person in front of a window: `alice("presses", "Join room")` returns when it has worked."""

    def __init__(self, home: Path, name: str, *arguments: str) -> None:
        self.name, self.directory = name, home / name
        self._log = (home / f"{name}.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, ROOT / "tools" / "person.py", "--profile", self.directory, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def __call__(self, word: str, *arguments: Any) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([word, *arguments]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"{self.name}'s window is gone: {self.said()}"
        done, result = json.loads(answer)
        assert done, f"{self.name} {word} {arguments}: {result}"
        return result

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def leaves_the_screen(self) -> None:
        """Close the window by its X, and see that the program ends by itself and has printed nothing."""
        self("closes")
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # it says what every thread is doing
            self._process.wait(10)
            pytest.fail(f"{self.name}'s program doesn't end: {self.said()}")
        assert (status, self.said()) == (0, "")

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Street:
    """Where they live: opens windows, and closes what is left of them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.people: list[Someone] = []

    def __call__(self, name: str, *arguments: str) -> Someone:
        someone = Someone(self.home, name, *arguments)
        self.people.append(someone)
        return someone


@pytest.fixture(autouse=True)
def _nothing_of_tk_is_left() -> None:
    """Collect what windows of other tests left behind, before a thread of a relay does it, where Tk can't be called."""
    gc.collect()


@pytest.fixture
def street(tmp_path: Path) -> Generator[Street]:
    made = Street(tmp_path)
    yield made
    for someone in made.people:
        someone.end()


def make_room(owner: Someone, relay: EmbeddedRelay, title: str = "Cabin weekend", choice: str = "") -> str:
    """Make a room on a relay, and return its invite, as it stands on the invite sheet."""
    owner("types", NAME, owner.name)
    owner("presses", "Create a room")
    owner("types", "Cabin weekend", title)  # the hint of the field is an example
    if choice:
        owner("presses", choice)
    owner("pastes", "parley:relay/…", relay.line)
    owner("presses", "Create room")
    owner("presses", "Invite friends")
    owner("presses", "Copy link")
    owner("sees", "Copied. Parley takes it off the clipboard in 60 seconds.")
    invite = str(owner("sees", "parley:join/"))
    owner("closes", "Invite to")
    return invite


def come_in(guest: Someone, owner: Someone, invite: str, title: str = "Cabin weekend") -> None:
    guest("types", NAME, guest.name)
    guest("pastes", LINK, invite)
    guest("sees", f"Invite to “{title}” · you knock first")
    guest("presses", "Join room")
    guest("sees", "Waiting to be let in")
    owner("presses", "See who it is")
    owner("sees", f"{guest.name} would like to come in")
    owner("presses", "Let in")
    guest("sees", f"Message {title}")


def test_from_one_invite_to_a_conversation(street: Street, relay: EmbeddedRelay) -> None:
    alice, bob = street("alice"), street("bob", "--theme", "dark")
    invite = make_room(alice, relay)
    assert invite.startswith("parley:join/127.0.0.1:")
    come_in(bob, alice, invite)
    for someone in (alice, bob):
        someone("sees", "2 people · 2 here")
    alice("sees", "You let bob in")

    alice("pastes", "Message Cabin weekend", "Hello bob, the stove works.\nBring matches.", "Return")
    bob("sees", "Bring matches.")
    alice("sees", "Arrived")
    bob("types", "Message Cabin weekend", "On my way", "Return")
    alice("sees", "On my way")
    for someone in (alice, bob):
        someone("sees", "Connected · everything sent")

    bob.leaves_the_screen()
    alice("sees", "bob went away")
    alice("sees", "2 people · 1 here")
    alice("types", "Message Cabin weekend", "Still there", "Return")
    alice("sees", "Waits on this computer: bob is away")
    alice("sees", "1 message waits for people who are away")

    again = street("bob")  # the same profile: no knock, no name, no invite
    again("sees", "Still there")
    alice("sees", "bob is back")
    alice("sees", "Arrived")
    alice.leaves_the_screen()
    again("sees", "alice went away")
    again.leaves_the_screen()


def test_whoever_looks_for_another_room_stays_in_this_one(street: Street, relay: EmbeddedRelay) -> None:
    alice, bob = street("alice"), street("bob")
    come_in(bob, alice, make_room(alice, relay))
    alice("types", "Message Cabin weekend", "Half a thought", "Control-n")
    alice("sees", "You stay in the rooms that are open.")
    alice("sees", "Draft: Half a thought")
    bob("types", "Message Cabin weekend", "Are you there", "Return")
    alice("sees", "bob: Are you there")
    alice("sees", "1 new")
    bob("sees", "2 people · 2 here")
    alice("presses", "Show")
    alice("sees", "Are you there")
    alice("sees", "Half a thought")
    assert "went away" not in " ".join(bob("reads"))


def test_somebody_is_turned_away_and_never_hears_a_word(street: Street, relay: EmbeddedRelay) -> None:
    alice, bob, mallory = street("alice"), street("bob"), street("mallory")
    invite = make_room(alice, relay)
    come_in(bob, alice, invite)
    mallory("types", NAME, "mallory")
    mallory("pastes", LINK, invite)
    mallory("presses", "Join room")
    alice("presses", "See who it is")
    alice("sees", "mallory would like to come in")
    alice("presses", "Turn away")
    alice("sees", "You turned mallory away")
    alice("types", "Message Cabin weekend", "between us", "Return")
    bob("sees", "between us")
    assert not [text for text in mallory("reads") if "between us" in text]
    mallory("sees", "Waiting to be let in")
    mallory("presses", "Stop waiting")
    mallory("sees", "Welcome to Parley")
    for someone in (mallory, bob, alice):
        someone.leaves_the_screen()


def test_an_open_room_takes_whoever_has_the_invite_and_one_leaves_for_good(
    street: Street, relay: EmbeddedRelay
) -> None:
    alice, bob = street("alice"), street("bob")
    invite = make_room(alice, relay, "Open house", "Whoever has the invite comes in")
    bob("types", NAME, "bob")
    bob("pastes", LINK, f"Hi!\n> {invite[:50]}\n> {invite[50:]}\nsee you there")  # as mail programs leave it
    bob("sees", "Invite to “Open house” · you come in at once")
    bob("presses", "Join room")
    bob("sees", "Message Open house")
    alice("sees", "bob joined")
    alice("types", "Message Open house", "Welcome", "Return")
    bob("sees", "Welcome")
    bob.leaves_the_screen()
    alice("sees", "bob went away")
    alice.leaves_the_screen()


def test_a_room_on_this_computer_is_there_again_after_a_restart(street: Street) -> None:
    alice = street("alice")
    alice("types", NAME, "alice")
    alice("presses", "Host on this computer")
    alice("sees", "only programs on this computer can reach it")
    alice("types", "Cabin weekend", "At home")
    alice("presses", "Create room")
    alice("presses", "Invite friends")
    alice("sees", "The relay of this room can be reached from this computer only.")
    invite = str(alice("sees", "parley:join/"))
    alice("closes", "Invite to")
    alice.leaves_the_screen()

    alice = street("alice")
    alice("sees", "Connected")
    bob = street("bob")
    come_in(bob, alice, invite, "At home")
    alice.leaves_the_screen()
    bob("sees", "Not connected")
    bob.leaves_the_screen()


def test_bad_input_is_said_and_nothing_typed_is_lost(street: Street, relay: EmbeddedRelay) -> None:
    alice = street("alice")
    invite = make_room(alice, relay)
    bob = street("bob")
    bob("types", NAME, "bob")
    bob("pastes", LINK, invite[:-7])
    bob("sees", "This link is cut off at the end.")
    assert invite[:-7] in bob("reads")
    alice("presses", "Copy link")  # the panel of the empty room has one too
    alice("sees", "Copied. Parley takes it off the clipboard in 60 seconds.")
    alice("closes", "Invite to")
    bob("presses", "Paste again")
    bob("sees", "you knock first")
    relay.stop()
    bob("presses", "Join room")
    bob("sees", "Waiting to be let in")
    bob("sees", "On the way to the door of “Cabin weekend”.")
    alice("sees", "Not connected")
    for someone in (bob, alice):
        someone.leaves_the_screen()


def test_a_profile_with_a_passphrase_is_asked_for_it(street: Street, relay: EmbeddedRelay) -> None:
    alice = street("alice")
    alice("presses", "Protect my identity with a passphrase")
    alice("types", "Passphrase", "open sesame")
    alice("types", "The same again", "open sesame")
    make_room(alice, relay)
    alice.leaves_the_screen()
    assert b"Cabin weekend" not in (alice.directory / "profile.parley").read_bytes()

    alice = street("alice")
    alice("sees", "Your profile is locked.")
    alice("types", "Passphrase", "open barley", "Return")
    alice("sees", "This passphrase doesn't open the profile.")
    alice.leaves_the_screen()

    alice = street("alice")
    alice("types", "Passphrase", "open sesame", "Return")
    alice("sees", "Connected")
    alice.leaves_the_screen()


def test_an_anonymous_visit_leaves_nothing_behind(street: Street, relay: EmbeddedRelay) -> None:
    alice = street("alice")
    alice("presses", "Just this visit: a new identity, and nothing is kept")
    make_room(alice, relay)
    alice.leaves_the_screen()
    assert not alice.directory.exists() or not list(alice.directory.iterdir())
