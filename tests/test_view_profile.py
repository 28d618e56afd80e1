"""The page about one's profile, and the one that brings a copy: what is on them, and what they tell.  Real windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tkinter import filedialog

import pytest
from screen import Screen

from chatcore.lock import Guard
from gui import events, news, profile_words
from gui.events import Sheet
from gui.shown import ProfileState, StartState
from gui.view import profile, start


def state(guard: Guard, *, keyring: bool = True, done: str = "") -> ProfileState:
    return profile_words.profile("Maya", news.ProfileKnown(guard, keyring, "/somewhere/copy.parley", done))


def test_an_unprotected_profile_says_so_and_takes_a_passphrase(screen: Screen) -> None:
    screen.windows.show_profile(state(Guard.NOBODY))
    seen = screen.reads()
    assert "Your profile isn't protected" in seen
    assert "Whoever has this disk can read all that is kept of you, and speak as you." in seen
    assert "Remove the protection" not in seen
    screen.press("Set a passphrase")
    assert profile.TYPE_ONE.split(". ")[0] in screen.reads()
    screen.type(profile.NEW, "open sesame")
    screen.type(profile.NEW_AGAIN, "open barley")
    screen.press("Set a passphrase")
    assert "These two passphrases aren't the same." in screen.reads()
    screen.field(profile.NEW_AGAIN).delete(0, "end")
    screen.type(profile.NEW_AGAIN, "open sesame")
    screen.key("Return", screen.field(profile.NEW_AGAIN))
    assert screen.last() == events.Protect(Guard.PASSPHRASE, "open sesame")
    screen.press("Use the keyring of this system")
    assert screen.last() == events.Protect(Guard.KEYRING)


def test_what_is_changed_asks_for_the_passphrase_that_holds(screen: Screen) -> None:
    screen.windows.show_profile(state(Guard.PASSPHRASE, done=profile_words.CHANGED[Guard.PASSPHRASE]))
    seen = screen.reads()
    assert "Protected by your passphrase" in seen
    assert "Your new passphrase holds from now on." in seen
    screen.type(profile.CURRENT, "old")
    screen.press("Remove the protection")
    assert screen.last() == events.Protect(Guard.NOBODY, "", "old")
    assert "Your new passphrase holds from now on." not in screen.reads(), "it would stand beside what went wrong next"
    screen.type(profile.NEW, "new")
    screen.type(profile.NEW_AGAIN, "new")
    screen.press("Change the passphrase")
    assert screen.last() == events.Protect(Guard.PASSPHRASE, "new", "old")


def test_a_keyring_is_offered_where_there_is_one(screen: Screen) -> None:
    screen.windows.show_profile(state(Guard.NOBODY, keyring=False))
    assert "Use the keyring of this system" not in screen.reads()
    screen.windows.show_profile(state(Guard.KEYRING))
    seen = screen.reads()
    assert "Protected by the keyring of this system" in seen
    assert "Use the keyring of this system" not in seen
    assert "Remove the protection" in seen


def test_a_copy_wants_a_passphrase_of_its_own(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    page = screen.windows.show_profile(state(Guard.NOBODY))
    assert profile_words.ONE_PLACE in screen.reads()
    told = len(screen.told)
    screen.press("Save a copy")
    assert screen.told[told:] == []
    screen.type(profile.COPY, "for the stick")
    screen.type(profile.COPY_AGAIN, "for the stick")
    monkeypatch.setattr(filedialog, "asksaveasfilename", lambda **_: "/elsewhere/mine.parley")
    screen.press("Choose…")
    screen.press("Save a copy")
    assert screen.last() == events.ExportProfile("/elsewhere/mine.parley", "for the stick")
    page.set_busy("Writing the copy…")
    assert "Writing the copy…" in screen.reads()
    told = len(screen.told)
    screen.press("Save a copy")
    screen.press("Erase everything")
    assert screen.told[told:] == []
    page.set_busy("")
    page.set_problem("There is no room on the disk. Make room.")
    assert "There is no room on the disk." in screen.reads()


def test_whether_rooms_are_opened_at_the_start_is_a_tick_that_says_what_it_costs(screen: Screen) -> None:
    page = screen.windows.show_profile(replace(state(Guard.NOBODY), at_start=True))
    assert {profile.AT_START, profile.AT_START_NOTE} <= set(screen.reads())
    screen.press(profile.AT_START)
    assert screen.last() == events.OpenAtStart(False)
    screen.key("space", page.at_start.Widget)
    assert screen.last() == events.OpenAtStart(True)
    page.set_busy("Writing the copy…")
    told = len(screen.told)
    screen.press(profile.AT_START)
    assert page.at_start.value
    assert [event for event in screen.told[told:] if isinstance(event, events.OpenAtStart)] == []


def test_the_end_of_it_is_asked_about_and_escape_goes_back(screen: Screen) -> None:
    screen.windows.show_profile(state(Guard.NOBODY))
    screen.press("Erase everything")
    assert screen.last() == events.EraseProfile()
    screen.windows.show_confirm(profile_words.ERASE)
    assert "Erase everything?" in screen.reads(screen.sheet(Sheet.CONFIRM))
    screen.press("Erase", screen.sheet(Sheet.CONFIRM))
    assert screen.last() == events.EraseProfile(sure=True)
    screen.windows.close_sheet(Sheet.CONFIRM)
    screen.key("Escape")
    assert events.Back() in screen.told


def test_a_copy_is_brought(screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = screen.windows.show_import()
    assert profile_words.ONE_PLACE in screen.reads()
    monkeypatch.setattr(filedialog, "askopenfilename", lambda **_: str(tmp_path / "copy"))
    screen.press("Choose…")
    screen.type(profile.COPY, "sesame")
    screen.key("Return", screen.field(profile.COPY))
    assert screen.last() == events.ImportProfile(str(tmp_path / "copy"), "sesame")
    monkeypatch.setattr(filedialog, "askopenfilename", lambda **_: "")  # the dialog was closed
    screen.press("Choose…")
    screen.press("Make it my profile")
    assert screen.last() == events.ImportProfile(str(tmp_path / "copy"), "sesame")
    page.set_busy("Opening the copy…")
    told = len(screen.told)
    screen.press("Make it my profile")
    assert screen.told[told:] == []


def test_the_start_page_leads_there_and_says_that_a_profile_isnt_protected(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya", has_profile=True, unprotected=True))
    assert start.UNPROTECTED in screen.reads()
    assert "Bring a profile from a copy" not in screen.reads()
    screen.press("Your profile")
    assert screen.last() == events.OpenProfile()
    screen.windows.show_start(StartState("Maya", has_profile=True))
    assert start.UNPROTECTED not in screen.reads()
    screen.windows.show_start(StartState("", first_time=True))
    assert "Your profile" not in screen.reads()
    assert start.IN_THE_CLEAR in screen.reads()
    screen.press("Bring a profile from a copy")
    assert screen.last() == events.BeginImport()
