"""What the window does next, without a window: the controller between a window and a backroom that only remember."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gui_help import BOB, CAROL, NOON, Stage, an_invite, heard, mid

from chatcore import names
from chatcore.events import Damaged, MessageArrived
from chatcore.invite import CUT_SHORT, NOT_A_RELAY, TITLE_TOO_LONG, Mode
from chatcore.lock import Guard
from chatcore.profile import Loss
from gui import checks, events, news, sentences
from gui.events import Sheet
from gui.shown import Check, MessageItem, Tick

LINE = "parley:relay/relay.example.org:7256/" + "A" * 43


def test_it_needs_no_toolkit_and_no_display() -> None:
    program = "import sys, gui.controller; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "gui.controller" in loaded
    assert not loaded & {"tkinter", "_tkinter", "PySimpleGUI", "PIL", "asyncio"}


# -- the start page ----------------------------------------------------------------------------------------------------


def test_the_first_start_asks_for_a_name() -> None:
    stage = Stage().start()
    assert stage.view.page == "start"
    assert stage.page.state.first_time
    assert stage.view.title == "Parley"


def test_the_profile_fills_the_page() -> None:
    room = news.Remembered(b"r" * 32, "Cabin weekend", "relay.example.org:7256", NOON - 60_000)
    stage = Stage().start(room, nick="Maya", first_time=False)
    assert stage.page.state.name == "Maya"
    assert [(r.title, r.detail) for r in stage.page.state.rooms] == [("Cabin weekend", "relay.example.org:7256")]
    stage(events.OpenRecent(b"r" * 32, "Maya"))
    assert stage.back.asked[-1] == ("open_recent", b"r" * 32, "Maya")
    assert stage.page.busy


def test_every_room_is_listed_newest_first() -> None:
    """What isn't listed can be neither opened nor erased."""
    rooms = [news.Remembered(bytes((n,)) * 32, f"Room {n}", "x:1", NOON - n) for n in range(9)]
    stage = Stage().start(*rooms[:8], first_time=False)
    page = stage.page
    assert [r.title for r in page.state.rooms] == [f"Room {n}" for n in range(8)]
    stage(news.ProfileFound("Maya", tuple(rooms[:7])))
    assert stage.page is page
    assert len(page.rooms) == 7
    stage(news.ProfileFound("Maya", tuple(rooms)))
    assert stage.page is not page, "a page has no place for more rooms than it was made for"
    assert len(stage.page.rooms) == 9


def test_a_relay_of_this_computer_is_called_so() -> None:
    room = news.Remembered(b"r" * 32, "Cabin weekend", "127.0.0.1:41731", NOON, only_here=True)
    assert Stage().start(room, first_time=False).page.state.rooms[0].detail == "On this computer"


def test_a_name_given_at_the_start_goes_before_that_of_the_profile() -> None:
    assert Stage(name="Léa").start(nick="Maya", first_time=False).page.state.name == "Léa"


def test_an_invite_given_at_the_start_is_in_the_field_and_checked() -> None:
    stage = Stage(invite_text=an_invite().to_text()).start()
    assert stage.page.state.invite_text == an_invite().to_text()
    assert stage.page.state.invite_check.ok


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("\u202eevil", names.TURNED), ("   ", names.BLANK), ("a" * 65, names.TOO_LONG), ("a\x00b", names.UNSEEN)],
)
def test_a_name_that_cannot_be_used_is_said_while_it_is_typed(typed: str, sentence: str) -> None:
    stage = Stage().start()(events.NameEdited(typed))
    assert stage.page.name_check == Check(False, sentence)
    stage(events.NameEdited("Maya"))
    assert stage.page.name_check.ok


def test_an_invite_is_checked_while_it_is_pasted() -> None:
    stage = Stage().start()
    good = an_invite().to_text()
    stage(events.InviteEdited(good[:-9]))
    check = stage.page.invite_check
    assert check.ok is False
    assert f"{check.sentence} {check.cure}" == CUT_SHORT
    stage(events.InviteEdited("> " + good[:30] + "=\n> " + good[30:]))
    assert stage.page.invite_check.ok
    assert "Cabin weekend" in stage.page.invite_check.sentence
    stage(events.InviteEdited(""))
    assert stage.page.invite_check.ok is None


def test_joining_wants_a_name_and_an_invite() -> None:
    stage = Stage().start()(events.Join("", an_invite().to_text()))
    assert stage.page.name_check.sentence == names.EMPTY
    stage(events.Join("Maya", ""))
    assert stage.page.invite_check.sentence == sentences.NO_INVITE
    assert stage.back.asked == [("look",)]
    stage(events.Join("  Maya ", an_invite().to_text(), anonymous=True))
    assert stage.back.asked[-1] == ("join", "Maya", an_invite().to_text(), True, "")
    assert stage.page.busy == "Joining the room…"


def test_what_failed_is_said_and_nothing_typed_is_lost() -> None:
    stage = Stage().start()
    page = stage.page
    stage(events.Join("Maya", an_invite().to_text()), news.Failed("The disk is full."))
    assert stage.page is page
    assert (page.busy, page.problem) == ("", "The disk is full.")


def test_a_damaged_profile_still_allows_a_visit() -> None:
    stage = Stage()
    stage.controller.begin()
    stage(news.Failed("The identity file is damaged."))
    assert stage.view.page == "start"
    assert stage.page.problem == "The identity file is damaged."
    assert stage.page.state.anonymous


def test_while_the_keyring_is_asked_there_is_a_window_that_says_so() -> None:
    stage = Stage()
    stage.controller.begin()
    stage(news.KeyringAsked(), events.NameEdited("Al"), events.OpenProfile())
    assert (stage.view.page, stage.page.busy) == ("start", "Waiting for the keyring of this system…")
    assert stage.back.asked == [("look",)]
    stage(news.ProfileFound("Alice"), news.KeyringAsked())
    assert (stage.page.busy, stage.page.state.name, stage.page.state.has_profile) == ("", "Al", True)

    stage = Stage()
    stage.controller.begin()
    stage(news.KeyringAsked(), news.Failed("The keyring gave no answer."))
    assert (stage.page.busy, stage.page.problem, stage.page.state.anonymous) == (
        "",
        "The keyring gave no answer.",
        True,
    )


def test_a_locked_profile_asks_for_its_passphrase() -> None:
    stage = Stage().start(first_time=False, locked=True)
    assert stage.view.page == "unlock"
    stage(events.Unlock("wrong"))
    assert stage.page.busy
    stage(news.Failed("This passphrase doesn't open the profile."))
    assert stage.view.page == "unlock"
    assert stage.page.problem == "This passphrase doesn't open the profile."
    stage(events.Unlock("right"), news.ProfileFound("Maya"))
    assert stage.view.page == "start"
    assert stage.page.state.name == "Maya"
    assert [asked for asked in stage.back.asked if asked[0] == "unlock"] == [("unlock", "wrong"), ("unlock", "right")]


def test_one_can_visit_without_the_passphrase() -> None:
    stage = Stage().start(first_time=False, locked=True)(events.SkipUnlock())
    assert stage.view.page == "start"
    assert stage.page.state.anonymous


# -- making a room -----------------------------------------------------------------------------------------------------


def test_making_a_room_keeps_what_was_chosen_on_the_start_page() -> None:
    stage = Stage().start()(events.BeginCreate("Maya", host_here=True, passphrase="open sesame"))
    assert stage.view.page == "create"
    assert stage.page.state.host_here
    stage(events.Create("Cabin weekend", Mode.ASK, None))
    assert stage.back.asked[-1] == ("create", "Maya", "Cabin weekend", Mode.ASK, None, False, "open sesame")
    assert stage.page.busy


@pytest.mark.parametrize(
    ("title", "line", "sentence"),
    [
        ("", LINE, checks.ROOM_NAME_MISSING),
        ("  ", None, checks.ROOM_NAME_MISSING),
        ("x" * 65, None, TITLE_TOO_LONG),
        ("Cabin", "hello", NOT_A_RELAY),
        ("Cabin", "", NOT_A_RELAY),
    ],
)
def test_a_room_that_cannot_be_made_says_why(title: str, line: str | None, sentence: str) -> None:
    stage = Stage().start()(events.BeginCreate("Maya"), events.Create(title, Mode.OPEN, line))
    assert stage.page.problem == sentence
    assert stage.back.asked == [("look",)]


def test_one_can_go_back_but_not_while_something_is_under_way() -> None:
    stage = Stage().start()(events.BeginCreate("Maya"), events.Create("Cabin", Mode.OPEN, LINE), events.Back())
    assert stage.view.page == "create"
    stage(news.Failed("The relay can't be reached."), events.Back())
    assert stage.view.page == "start"
    assert stage.page.state.name == "Maya"


def test_no_room_without_a_name() -> None:
    stage = Stage().start()(events.BeginCreate(""))
    assert stage.view.page == "start"
    assert stage.page.name_check.sentence == names.EMPTY


# -- from room to room, and back ---------------------------------------------------------------------------------------


def test_closing_a_room_keeps_the_membership_and_its_late_events_are_dropped() -> None:
    stage = Stage().talking()
    stage(events.OpenInvite(), events.CloseRoom())
    assert ("close_room", stage.room_id) in stage.back.asked
    assert stage.view.sheets == {}
    stage.core(heard(1, "late"))
    assert stage.view.page == "start"


def test_after_the_first_room_the_start_page_knows_of_the_profile_that_was_made() -> None:
    stage = Stage().start(first_time=True).open()
    stage(events.CloseRoom(), news.ProfileFound("Alice", guard=Guard.PASSPHRASE))
    shown = stage.page.state
    assert (shown.first_time, shown.has_profile, shown.unprotected) == (False, True, False)
    stage(news.ProfileFound("Alice", guard=Guard.PASSPHRASE))
    assert stage.page.state is shown, "without a change the page stays, with what is typed in it"


def test_news_of_the_profile_take_nobody_away_from_the_page_that_makes_a_room() -> None:
    stage = Stage().start(nick="Alice", first_time=False).open()
    stage(events.CloseRoom(), events.BeginCreate("Alice"), news.ProfileFound("Alice"))
    assert stage.view.page == "create"


# -- the look and the end ----------------------------------------------------------------------------------------------


def test_an_open_invite_is_shown_again_in_the_other_look_and_a_closed_one_is_not() -> None:
    stage = Stage().talking()
    stage(events.OpenInvite())
    stage.view.sheets.clear()  # a page takes its sheets with it
    stage(events.ThemeToggled())
    assert Sheet.INVITE in stage.view.sheets
    stage(events.SheetClosed(Sheet.INVITE), events.ThemeToggled())
    assert Sheet.INVITE not in stage.view.sheets


def test_another_look_shows_the_same_with_what_was_typed() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(heard(1, "hi"), stage.sent(2, "hello", BOB, CAROL), MessageArrived((mid(2),), BOB, NOON))
    stage.page.typed = "half a sent"
    before = stage.page
    stage(events.ShowReaders(mid(2)), events.ThemeToggled())
    assert stage.view.dark
    assert stage.page is not before
    assert stage.log.items[0] == before.log.items[0]
    assert stage.log.texts == before.log.texts
    assert stage.log.ticks == before.log.ticks == {mid(1): None, mid(2): Tick.SOME}
    assert stage.page.typed == "half a sent"
    stage.core(heard(3, "more"))
    assert stage.log.texts == ["hi", "hello", "more"]
    assert stage.back.dark is True
    stage(events.ThemeToggled())
    assert stage.view.dark is False
    assert stage.back.dark is False


def test_closing_ends_the_program() -> None:
    stage = Stage().start()
    assert stage.controller.handle(events.NameEdited("M"))
    assert not stage.controller.handle(events.Close())


def test_nothing_of_a_message_invite_or_passphrase_is_in_a_repr() -> None:
    secret = "sesame-7781"
    shown = repr(
        [
            events.Join("Maya", secret, passphrase=secret),
            events.InviteEdited(secret),
            events.BeginCreate("Maya", passphrase=secret),
            events.Unlock(secret),
            events.Send(secret),
            events.OpenLink(secret),
            news.RoomOpened(b"", secret, "", Mode.ASK, b"", "", b"", False),
            MessageItem(b"", b"", "", secret, ""),
        ]
    )
    assert secret not in shown


# -- one's profile -----------------------------------------------------------------------------------------------------


def test_the_page_about_ones_profile() -> None:
    stage = Stage().start(nick="Maya", first_time=False)
    assert (stage.page.state.has_profile, stage.page.state.unprotected) == (True, True)
    stage(events.OpenProfile(), news.ProfileKnown(Guard.NOBODY, True, "/copy"))
    assert stage.view.page == "profile"
    assert (stage.page.state.name, stage.page.state.may_use_keyring) == ("Maya", True)
    stage(events.Protect(Guard.PASSPHRASE, "sesame"))
    assert stage.page.busy == "Sealing everything anew…"
    stage(events.OpenProfile(), events.Back())  # it is busy
    assert stage.view.page == "profile"
    stage(news.Failed("The disk is full."))
    assert (stage.page.busy, stage.page.problem) == ("", "The disk is full.")
    stage(
        events.ExportProfile("/copy", "x"), news.ProfileKnown(Guard.PASSPHRASE, True, "/copy", "The copy is written.")
    )
    assert (stage.page.state.done, stage.page.state.has_passphrase) == ("The copy is written.", True)
    stage(events.ThemeToggled())
    assert stage.view.page == "profile"
    stage(events.Back())
    assert stage.view.page == "start"
    assert not stage.page.state.unprotected
    assert stage.back.asked[1:] == [("profile",), ("protect", Guard.PASSPHRASE, "sesame", ""), ("export", "/copy", "x")]


def test_erasing_a_room_is_asked_about() -> None:
    room = news.Remembered(b"r" * 32, "Cabin weekend", "relay.example.org:7256", NOON)
    stage = Stage().start(room, nick="Maya", first_time=False)
    stage(events.ForgetRecent(room.room_id))
    question = stage.view.sheets[Sheet.CONFIRM]
    assert question.title == "Erase “Cabin weekend”?"
    assert question.danger
    assert "Parley can't bring it back. Flash disks and backups may keep traces, and" in question.text
    assert "you need its invite" in question.text
    assert ("forget", room.room_id) not in stage.back.asked
    stage(question.event)
    assert stage.back.asked[-1] == ("forget", room.room_id)
    assert Sheet.CONFIRM not in stage.view.sheets


def test_erasing_everything_is_asked_about_and_leaves_an_empty_start_page() -> None:
    stage = Stage().start(nick="Maya", first_time=False)
    stage(events.OpenProfile(), news.ProfileKnown(Guard.NOBODY, False), events.EraseProfile())
    assert stage.view.sheets[Sheet.CONFIRM].danger
    assert ("erase",) not in stage.back.asked
    stage(events.EraseProfile(sure=True))
    assert stage.back.asked[-1] == ("erase",)
    assert Sheet.CONFIRM not in stage.view.sheets
    stage(news.ProfileFound(first_time=True))
    assert stage.view.page == "start"
    assert (stage.page.state.name, stage.page.state.first_time, stage.page.state.has_profile) == ("", True, False)


def test_a_copy_is_brought_where_there_is_no_profile() -> None:
    stage = Stage().start()(events.BeginImport())
    assert stage.view.page == "import"
    stage(events.ThemeToggled(), events.ImportProfile("/copy", "wrong"), news.Failed("This passphrase isn't right."))
    assert (stage.view.page, stage.page.problem) == ("import", "This passphrase isn't right.")
    stage(events.ImportProfile("/copy", "right"), news.ProfileFound("Maya", guard=Guard.PASSPHRASE))
    assert stage.view.page == "start"
    assert (stage.page.state.name, stage.page.state.unprotected) == ("Maya", False)


def test_what_a_damaged_profile_lacks_is_said_on_the_start_page() -> None:
    stage = Stage()
    stage.controller.begin()
    stage(news.ProfileFound("Maya", loss=Loss((("Cabin weekend", 12), ("Book club", 1)), rooms=1, people=2)))
    assert stage.page.problem == (
        "The file of your profile was damaged. What can be read was kept; lost: 12 lines of “Cabin weekend”; 1 line of "
        "“Book club”; 1 room, to enter again with the invite; 2 people you knew."
    )
    assert sentences.loss(Loss(nick=True, newest=True)).endswith("lost: your name; perhaps what was written last.")
    assert sentences.loss(Loss()).endswith("lost: nothing that can be named.")
    stage.open().core(Damaged(3), Damaged(0))
    assert [line for line in stage.page.log.lines if "damaged" in line] == [
        "What was kept of this room was damaged: 3 lines can't be read any more.",
        "What was kept of this room was damaged: no line of it is lost.",
    ]
