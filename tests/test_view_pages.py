"""Every page and sheet but the room: what is on it, what it tells, by mouse and by keyboard.  Real windows."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tkinter as tk
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gui_help import WORDS, an_invite, mid
from screen import Screen, words_in

from chatcore import moving
from chatcore.events import Presence
from chatcore.invite import Mode
from gui import events, move, steady
from gui.bridge import Bridge
from gui.checks import check_invite
from gui.events import Sheet, ViewEvent
from gui.news import AppEvent
from gui.psg import hidden_root
from gui.shown import (
    Check,
    Composer,
    ConfirmState,
    CreateState,
    Header,
    InviteState,
    KnockState,
    MoveState,
    Person,
    Quote,
    Reader,
    ReadersState,
    ReportRow,
    ReportState,
    RoomRow,
    RoomState,
    SealedLine,
    StartState,
    Status,
    Tick,
    Tone,
    WaitingState,
    WordsPerson,
    WordsState,
)
from gui.view import create, knock, readers, start
from gui.view.page_window import PageWindow

ROOT_DIRECTORY = Path(__file__).parent.parent
FP = bytes(range(32))
LINK = an_invite().to_text()
RECENT = (
    RoomRow(b"r" * 32, "Cabin weekend", "relay.example.org:7256", "12:13"),
    RoomRow(b"s" * 32, "Book club", "chat.example.org:7256", "Tue"),
)
KNOCK = KnockState(FP, "Léa would like to come in", "Cabin weekend", "Ask Léa.", "Nothing is encrypted to Léa.", WORDS)
MOVE = MoveState("Cabin weekend", "The room is on relay.example.org:7256 now.", move.FOLLOWS, move.SEES)
READERS = ReadersState(
    mid(1),
    Quote(FP, "Maya", "12:13", "On the phone\nis fine"),
    "These 2 people, and nobody else",
    (Reader(FP, "Jonas", "Arrived 12:13", False, Tick.ALL), Reader(b"t" * 32, "Tom", "Away", True, Tick.WAITING)),
    "Encrypted separately for 2 people.",
)
ROOM = RoomState(
    b"r" * 32,
    "Cabin weekend",
    FP,
    "Maya",
    (),
    (Person(FP, "Maya", Presence.SELF, "You", is_self=True),),
    Header("Only you so far"),
    Status("Only the people in this room can read this", Tone.PLAIN, "Connected", Tone.GOOD),
    Composer(enabled=False, placeholder="You can write as soon as somebody is here"),
)


# -- the start page ----------------------------------------------------------------------------------------------------


def test_what_is_typed_and_pasted_is_told_at_once(screen: Screen) -> None:
    screen.windows.show_start(StartState(""))
    screen.type(start.NAME, "Maya")
    assert screen.last() == events.NameEdited("Maya")
    hidden_root().clipboard_clear()
    hidden_root().clipboard_append(LINK)
    screen.field(start.INVITE).focus_force()
    screen.field(start.INVITE).event_generate("<<Paste>>")
    assert screen.last() == events.InviteEdited(LINK)


def test_join_is_off_until_the_invite_is_good(screen: Screen) -> None:
    page = screen.windows.show_start(StartState("Maya", invite_text=LINK))
    screen.press("Join room")
    screen.key("Return", screen.field(start.INVITE))
    assert not [event for event in screen.told if isinstance(event, events.Join)]
    page.set_invite_check(check_invite(LINK))
    assert "Invite to “Cabin weekend” · you knock first" in screen.reads()
    screen.press("Join room")
    assert screen.last() == events.Join("Maya", LINK)


def test_return_in_a_field_joins(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya", invite_text=LINK, invite_check=check_invite(LINK)))
    screen.key("Return", screen.field(start.NAME))
    assert screen.last() == events.Join("Maya", LINK)


def test_a_bad_invite_says_so_in_words_and_is_pasted_again_with_one_click(screen: Screen) -> None:
    bad = LINK[:-9]
    page = screen.windows.show_start(StartState("Maya", invite_text=bad, invite_check=check_invite(bad)))
    words = screen.reads()
    assert "This link is cut off at the end." in words
    assert "Copy the whole line from the message and paste it again." in words
    assert page.invite.border == page.kit.p.bad
    hidden_root().clipboard_clear()
    hidden_root().clipboard_append(LINK)
    screen.press("Paste again")
    assert screen.last() == events.InviteEdited(LINK)
    page.set_invite_check(check_invite(LINK))
    assert "Paste again" not in screen.reads()
    assert page.invite.border != page.kit.p.bad


def test_a_bad_name_says_so_below_its_field(screen: Screen) -> None:
    page = screen.windows.show_start(StartState(""))
    page.set_name_check(Check(False, "This name is too long. Use at most 64 bytes."))
    assert "This name is too long." in screen.reads()
    assert "Use at most 64 bytes." in screen.reads()
    page.set_name_check(Check(True))
    assert "This name is too long." not in screen.reads()


def test_a_passphrase_can_be_set_when_the_profile_is_made(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya", first_time=True))
    assert start.NO_RESET not in screen.reads()
    screen.press(start.PROTECT)
    assert start.NO_RESET in screen.reads()
    screen.press("Create a room")
    assert "Type a passphrase, or take the tick away." in screen.reads()
    screen.type(start.PASSPHRASE, "sesame")
    screen.type(start.AGAIN, "sesam")
    assert screen.field(start.PASSPHRASE).cget("show")
    screen.press("Create a room")
    assert "These two passphrases aren't the same." in screen.reads()
    assert not [event for event in screen.told if isinstance(event, events.BeginCreate)]
    screen.type(start.AGAIN, "e")
    screen.press("Create a room")
    assert "These two passphrases aren't the same." not in screen.reads()
    assert screen.last() == events.BeginCreate("Maya", passphrase="sesame")
    screen.press(start.ANONYMOUS)
    assert start.PROTECT not in screen.reads()
    screen.press("Host on this computer")
    assert screen.last() == events.BeginCreate("Maya", host_here=True, anonymous=True)


def test_who_has_a_profile_is_not_asked_for_a_new_passphrase(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    assert start.PROTECT not in screen.reads()


def test_recent_rooms_are_opened_and_forgotten(screen: Screen) -> None:
    page = screen.windows.show_start(StartState("Maya", RECENT))
    words = screen.reads()
    assert {"Your rooms", "Cabin weekend", "Book club", "12:13"} <= set(words)
    screen.press("Book club")
    assert screen.last() == events.OpenRecent(b"s" * 32, "Maya")
    page.rows[0].forget.press()
    assert screen.last() == events.ForgetRecent(b"r" * 32)
    page.set_rooms(())
    assert "Your rooms" not in screen.reads()


def test_rooms_that_are_open_say_what_is_new_and_one_goes_back_to_the_last(screen: Screen) -> None:
    page = screen.windows.show_start(StartState("Maya", RECENT, back="Cabin weekend"))
    assert "3 new" not in screen.reads()
    assert {"Another room", "You stay in the rooms that are open. The arrow leads back."} <= set(screen.reads())
    cabin = RoomRow(b"r" * 32, "Cabin weekend", "Bob: hi", "12:14", is_open=True, unread=3)
    club = RoomRow(b"s" * 32, "Book club", "Eve is at the door", "12:13", is_open=True, knock=True)
    page.set_rooms((cabin, club))
    assert {"Bob: hi", "3 new", "Eve is at the door", "Show"} <= set(screen.reads())
    assert "Open" not in screen.reads()
    assert [row.forget.Widget.winfo_ismapped() for row in page.rows[:2]] == [0, 0], "it is closed before it is erased"
    page.rows[1].open.press()
    assert screen.last() == events.OpenRecent(b"s" * 32, "Maya")
    page.back.press()
    assert screen.last() == events.Back()
    screen.key("Escape")
    assert screen.told[-2:] == [events.Back(), events.Back()]
    assert not screen.windows.show_start(StartState("Maya", RECENT)).back.Widget.winfo_ismapped()


def test_while_busy_nothing_can_be_pressed(screen: Screen) -> None:
    page = screen.windows.show_start(
        StartState("Maya", RECENT, invite_text=LINK, invite_check=check_invite(LINK), problem="The disk is full.")
    )
    assert "The disk is full." in screen.reads()
    page.set_busy("Joining the room…")
    before = list(screen.told)
    for words in ("Joining the room…", "Create a room", "Host on this computer", "Cabin weekend"):
        screen.press(words)
    screen.key("Return", screen.field(start.NAME))
    assert [e for e in screen.told if e not in before and not isinstance(e, events.FocusChanged)] == []
    page.set_busy("")
    screen.press("Join room")
    assert screen.last() == events.Join("Maya", LINK)


def test_tab_goes_through_the_page(screen: Screen) -> None:
    screen.windows.show_start(StartState("", invite_text=LINK, invite_check=check_invite(LINK)))
    screen.field(start.NAME).focus_force()
    reached = []
    for _ in range(8):
        screen.key("Tab")
        widget: Any = hidden_root().focus_get()
        reached.append(widget.get() if isinstance(widget, tk.Entry) else str(widget.cget("text")).strip())
    order = [LINK, start.ANONYMOUS, "Join room", "Create a room", "Host on this computer"]
    assert [text for text in reached if text in order][:5] == order
    screen.key("space")  # after the fields nothing else is needed than the keyboard
    screen.key("Return")


def test_a_low_window_leaves_the_picture_out(screen: Screen) -> None:
    page = screen.windows.show_start(StartState("Maya"))
    screen.top.geometry("600x680")
    screen.update()
    screen.update()
    assert not page.logo.Widget.winfo_ismapped()
    assert "Host on this computer" in screen.reads()


# -- making a room, opening a profile ----------------------------------------------------------------------------------


def test_a_room_on_a_relay(screen: Screen) -> None:
    screen.windows.show_create(CreateState())
    screen.type(create.TITLE, "Book club")
    screen.field(create.RELAY).insert(0, "parley:relay/x")
    screen.press("Whoever has the invite comes in")
    screen.press("Create room")
    assert screen.last() == events.Create("Book club", Mode.OPEN, "parley:relay/x")


def test_a_room_on_this_computer_says_who_can_reach_it(screen: Screen) -> None:
    page = screen.windows.show_create(CreateState())
    assert create.HERE_NOTE not in screen.reads()
    screen.press("This computer")
    assert create.HERE_NOTE in screen.reads()
    assert create.LINE_NOTE not in screen.reads()
    screen.type(create.TITLE, "Book")
    screen.key("Return", screen.field(create.TITLE))
    assert screen.last() == events.Create("Book", Mode.ASK, None)
    page.set_problem("The relay could not be started. Try another port.")
    assert "The relay could not be started." in screen.reads()


def test_choices_go_by_arrow_keys_and_escape_goes_back(screen: Screen) -> None:
    page = screen.windows.show_create(CreateState(host_here=True))
    screen.key("Down", page.ask.Widget)
    assert (page.ask.value, page.open.value) == (False, True)
    screen.key("Escape")
    assert screen.last() == events.Back()


def test_a_locked_profile(screen: Screen) -> None:
    page = screen.windows.show_unlock("Maya")
    assert "Welcome back, Maya" in screen.reads()
    screen.type(create.PASSPHRASE, "sesame")
    screen.key("Return", screen.field(create.PASSPHRASE))
    assert screen.last() == events.Unlock("sesame")
    page.set_busy("Opening your profile…")
    told = len(screen.told)
    screen.key("Return", screen.field(create.PASSPHRASE))
    assert len([e for e in screen.told[told:] if isinstance(e, events.Unlock)]) == 0
    page.set_busy("")
    page.set_problem("This passphrase doesn't open the profile. Try again.")
    assert "This passphrase doesn't open the profile." in screen.reads()
    assert screen.field(create.PASSPHRASE).selection_present(), "typing replaces it"
    screen.press("Go on without it, just this visit")
    assert screen.last() == events.SkipUnlock()


# -- the door ----------------------------------------------------------------------------------------------------------


def test_a_knock_shows_the_words_and_takes_an_answer(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_knock(replace(KNOCK, words=()))
    top = screen.sheet(Sheet.KNOCK)
    assert "Léa would like to come in" in screen.reads(top)
    screen.windows.show_knock(KNOCK)
    assert screen.sheet(Sheet.KNOCK) is top
    assert set(WORDS) <= set(screen.reads(top))
    told = len(screen.told)
    screen.key("Return", top)
    assert not [e for e in screen.told[told:] if isinstance(e, events.LetIn)], "whom to let in has to be chosen"
    screen.press("Turn away", top)
    assert screen.last() == events.TurnAway(FP)
    screen.press("Let in", top)
    assert screen.last() == events.LetIn(FP)


def test_hostile_names_cannot_disturb_the_knock(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_knock(replace(KNOCK, title="\u202eevil\n" * 30 + "x" * 500))
    shown = "".join(screen.reads(screen.sheet(Sheet.KNOCK)))
    assert "\u202e" not in shown
    assert "Let in" in shown


def test_who_knocks_sees_the_same_words(screen: Screen) -> None:
    waiting = WaitingState(FP, "Waiting to be let in", "Maya can see it.", "When Maya calls, read the words.", ())
    page = screen.windows.show_waiting(waiting)
    page.update(replace(waiting, words=WORDS, connection="The relay doesn't answer."))
    words = screen.reads()
    assert {*WORDS, knock.SAME_WORDS, "The relay doesn't answer."} <= set(words)
    page.update(replace(waiting, words=WORDS))
    assert "The relay doesn't answer." not in screen.reads()
    screen.press("Stop waiting")
    assert screen.last() == events.StopWaiting()
    page.back.press()
    screen.key("Escape")
    assert screen.told[-2:] == [events.AnotherRoom(), events.AnotherRoom()], "one goes on waiting"


# -- sheets ------------------------------------------------------------------------------------------------------------


def _all_words(under: Any) -> set[str]:
    """Return the words of all widgets, seen or not."""
    words: set[str] = set()
    for child in under.winfo_children():
        words |= {*words_in(child), *_all_words(child)}
    return words


def test_a_sheet_is_filled_before_it_is_seen(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy computer what is filled afterwards is seen half empty."""
    filled: list[set[str]] = []

    def appear(window: Any) -> None:
        assert not window.TKroot.winfo_viewable()
        filled.append(_all_words(window.TKroot))
        shown(window)

    screen.windows.show_start(StartState("Maya"))
    shown = PageWindow.appear
    monkeypatch.setattr(PageWindow, "appear", appear)
    people = tuple(WordsPerson(bytes((n,)) * 32, f"Person {n}", "Not compared yet", Tone.WARN) for n in range(4))
    report = ReportState("Report", "Cabin", "Nothing lost", Tone.GOOD, ((0.0, 12), (1.0, 40)), (),
                         ("9:00", "10:00"), (ReportRow("tick", "Gaps", "none", "0"),), "None", "r.txt")  # fmt: skip
    windows = screen.windows
    sheets: dict[Sheet, Callable[[], None]] = {
        Sheet.INVITE: lambda: windows.show_invite(InviteState("Cabin weekend", LINK, "Whoever has this can knock.")),
        Sheet.KNOCK: lambda: windows.show_knock(KNOCK),
        Sheet.READERS: lambda: windows.show_readers(READERS),
        Sheet.WORDS: lambda: windows.show_words(
            WordsState("Room words", "Cabin", WORDS, "Read them out.", "Who read them?", people)
        ),
        Sheet.REPORT: lambda: windows.show_report(report),
        Sheet.STEADY: lambda: windows.show_steady(steady.state("Cabin weekend", 5, 0)),
        Sheet.MOVE: lambda: windows.show_move(MOVE),
        Sheet.CONFIRM: lambda: windows.show_confirm(ConfirmState("Leave?", "For good.", "Leave", events.LeaveRoom())),
    }
    for kind, show in sheets.items():
        show()
        top = screen.sheet(kind)
        seen = set(screen.reads(top))
        assert seen, kind
        assert seen <= filled.pop(), kind
        assert top.winfo_viewable()
        assert str(top.focus_get()).startswith(str(top)), f"{kind} has the keyboard"
        windows.close_sheet(kind)


def test_the_invite_is_shown_and_copied(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    state = InviteState("Cabin weekend", LINK, "Whoever has this link can knock.")
    screen.windows.show_invite(state)
    top = screen.sheet(Sheet.INVITE)
    assert {"Invite to Cabin weekend", LINK, "Whoever has this link can knock."} <= set(screen.reads(top))
    screen.press("Copy link", top)
    assert screen.last() == events.CopyInvite(clear=True)
    screen.press("Take it off the clipboard after a minute", top)
    screen.key("Return", top)
    assert screen.last() == events.CopyInvite(clear=False)
    screen.windows.show_invite(replace(state, copied="Copied."))
    assert "Copied." in screen.reads(top)


def test_the_owner_chooses_a_steady_rhythm(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_steady(steady.state("Cabin weekend", 5, 0))
    top = screen.sheet(Sheet.STEADY)
    words = screen.reads(top)
    assert "Off: a block goes out when there is something to say" in words
    assert "Every 5 s · 40 MB a day" in words
    assert any("can't tell talk from silence" in text and "who comes and goes" in text for text in words)
    screen.press("Every 5 s · 40 MB a day", top)
    screen.press("Set for everyone", top)
    assert screen.last() == events.SetSteady(5)
    screen.windows.show_steady(steady.state("Cabin weekend", 5, 2))  # it keeps what is being chosen
    screen.key("Return", top)
    assert screen.last() == events.SetSteady(5)
    screen.key("Escape", top)
    assert screen.last() == events.SheetClosed(Sheet.STEADY)


def test_the_owner_moves_a_room(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_move(MOVE)
    top = screen.sheet(Sheet.MOVE)
    assert {MOVE.where, MOVE.follows, MOVE.sees} <= set(screen.reads(top))
    window = screen.windows.sheets[Sheet.MOVE][1]
    window["-MOVE-LINE-"].update("parley:relay/…")
    screen.press("Move everyone", top)
    assert screen.last() == events.MoveRoom("parley:relay/…")
    screen.windows.show_move(replace(MOVE, busy=move.ASKING))
    assert move.ASKING in screen.reads(top)
    told = len(screen.told)
    screen.press("Move everyone", top)
    assert len(screen.told) == told
    screen.windows.show_move(replace(MOVE, problem=moving.SAME))
    reads = screen.reads(top)
    assert "The room is on that relay already." in reads
    assert "Paste the line of another one." in reads
    assert window["-MOVE-LINE-"].get() == "parley:relay/…"  # it is for the person to mend
    screen.key("Escape", top)
    assert screen.last() == events.SheetClosed(Sheet.MOVE)


def test_who_could_read_a_message(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_readers(READERS)
    top = screen.sheet(Sheet.READERS)
    words = screen.reads(top)
    assert {"Maya", "On the phone is fine", "Jonas", "Arrived 12:13", "Tom", "Away"} <= set(words)
    screen.press(readers.SHOW, top)
    assert screen.last() == events.ShowSealed(mid(1))
    screen.windows.show_readers(replace(READERS, sealed=(SealedLine("Jonas", "9f 3a …", "2 × 256 bytes"),)))
    words = screen.reads(top)
    assert {"9f 3a …", "2 × 256 bytes"} <= set(words)
    screen.press(readers.HIDE, top)
    assert screen.last() == events.ShowSealed(mid(1), hide=True)
    screen.windows.show_readers(replace(READERS, sealed=(), sealed_note="No longer kept.", note_tone=Tone.WARN))
    assert "No longer kept." in screen.reads(top)
    screen.press("Done", top)
    assert screen.last() == events.SheetClosed(Sheet.READERS)


def test_another_message_is_another_sheet(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_readers(READERS)
    screen.windows.show_readers(replace(READERS, mid=mid(2), quote=Quote(FP, "Jonas", "12:14", "Another")))
    assert "Another" in screen.reads(screen.sheet(Sheet.READERS))


def test_many_readers_scroll(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    many = tuple(Reader(bytes((n,)) * 32, f"Person {n}", "Arrived", False, Tick.ALL) for n in range(60))
    screen.windows.show_readers(replace(READERS, readers=many))
    top = screen.sheet(Sheet.READERS)
    assert "Person 59" in screen.reads(top)
    assert top.winfo_height() < 800


@pytest.mark.parametrize("danger", [True, False])
def test_a_question_has_a_safe_default(screen: Screen, danger: bool) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_confirm(ConfirmState("Leave?", "For good.", "Leave it", events.LeaveRoom(sure=True), danger))
    sheet, window = screen.windows.sheets[Sheet.CONFIRM]
    default = (sheet.no if danger else sheet.yes).Widget
    default.focus_force()
    screen.update()
    assert window.TKroot.focus_get() is default
    screen.key("Return")
    assert screen.last() == (events.SheetClosed(Sheet.CONFIRM) if danger else events.LeaveRoom(sure=True))
    screen.press("Leave it", window.TKroot)
    assert screen.last() == events.LeaveRoom(sure=True)


# -- the windows together ----------------------------------------------------------------------------------------------


def test_one_page_at_a_time_in_the_same_place(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.top.geometry("+200+60")
    screen.update()
    screen.windows.show_confirm(ConfirmState("Open?", "x", "Yes", events.Close()))
    screen.windows.show_create(CreateState())
    screen.update()
    assert len([w for w in hidden_root().winfo_children() if isinstance(w, tk.Toplevel) and w.winfo_viewable()]) == 1
    assert abs(screen.top.winfo_x() - 200) < 40
    screen.windows.set_title("evil\u202e\ntitle")
    assert screen.top.title() == "evil title"


def test_a_room_is_as_large_as_the_one_before_it_also_by_way_of_the_start_page(screen: Screen) -> None:
    screen.windows.show_room(ROOM)
    screen.top.geometry("700x600+30+30")
    screen.update()
    screen.windows.show_start(StartState("Maya", back="Cabin weekend"))
    screen.update()
    assert screen.top.winfo_width() == screen.windows.kit.px(start.SIZE[0])
    screen.windows.show_room(replace(ROOM, room_id=b"s" * 32))
    screen.update()
    assert (screen.top.winfo_width(), screen.top.winfo_height()) == (700, 600)


def test_what_is_done_on_a_page_or_on_a_sheet_over_it_is_for_its_room(screen: Screen) -> None:
    door = WaitingState(FP, "Waiting", "Maya can see it.", "Read the words.", WORDS, room_id=b"s" * 32)
    screen.windows.show_waiting(door).stop.press()
    page = screen.windows.show_room(ROOM)
    page.emit(events.Send("hi"))
    page.emit(events.ThemeToggled())
    screen.windows.show_confirm(ConfirmState("Leave?", "For good.", "Leave it", events.LeaveRoom(sure=True)))
    screen.press("Leave it", screen.sheet(Sheet.CONFIRM))
    done = [event for event in screen.told if not isinstance(event, events.FocusChanged)]
    assert done == [events.StopWaiting(), events.Send("hi"), events.ThemeToggled(), events.LeaveRoom(sure=True)]
    assert screen.where == [b"s" * 32, ROOM.room_id, ROOM.room_id]


def test_another_look(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    before = screen.top.cget("bg")
    screen.windows.set_theme(not screen.windows.kit.p.dark)
    screen.windows.show_start(StartState("Maya"))
    assert screen.top.cget("bg") != before


def read_once(screen: Screen, *, until: type[ViewEvent]) -> list[AppEvent]:
    """Run the loop until an event of this kind has come."""
    bridge: Bridge[AppEvent] = Bridge(screen.windows.wake)
    handled: list[AppEvent] = []
    screen.windows._emit = bridge.put
    bridge.start()

    def handle(event: AppEvent) -> bool:
        handled.append(event)
        return not isinstance(event, until)

    screen.windows.run(bridge, handle, lambda: None)
    assert bridge.close(screen.windows.pump)
    return handled


def press_x(*tops: Any) -> None:
    for top in tops:
        top.tk.call(top.protocol("WM_DELETE_WINDOW"))


def test_the_x_of_the_page_ends_the_program(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.top.after(50, lambda: press_x(screen.top))
    assert events.Close() in read_once(screen, until=events.Close)


def test_two_windows_closed_at_once_are_both_heard(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_knock(KNOCK)
    top = screen.sheet(Sheet.KNOCK)
    screen.top.after(50, lambda: press_x(top, screen.top))
    told = read_once(screen, until=events.Close)
    assert events.SheetClosed(Sheet.KNOCK) in told
    assert events.Close() in told


def test_escape_closes_a_sheet_and_the_page_stays(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_knock(KNOCK)
    top = screen.sheet(Sheet.KNOCK)
    top.after(50, lambda: (top.focus_force(), top.event_generate("<Escape>")))
    assert events.SheetClosed(Sheet.KNOCK) in read_once(screen, until=events.SheetClosed)
    screen.windows.close_sheet(Sheet.KNOCK)
    screen.update()
    assert "Join room" in screen.reads()


def clipboard() -> str:
    try:
        return str(hidden_root().clipboard_get())
    except tk.TclError:  # nothing there
        return ""


def test_what_is_copied_leaves_the_clipboard_again_unless_it_is_no_longer_there(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.copy(LINK, 60)
    assert hidden_root().clipboard_get() == LINK
    screen.windows._clear_clipboard()  # what the timer calls
    assert clipboard() == ""
    screen.windows.copy(LINK, 60)
    hidden_root().clipboard_clear()
    hidden_root().clipboard_append("something else")
    screen.windows._clear_clipboard()
    assert hidden_root().clipboard_get() == "something else"
    screen.windows.copy(LINK)
    screen.windows._clear_clipboard()
    assert hidden_root().clipboard_get() == LINK, "only what was to leave leaves"


def test_the_clipboard_is_emptied_at_the_end(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.copy(LINK, 60)
    screen.windows.close()
    assert clipboard() == ""


def test_what_is_left_of_a_page_goes_in_the_gui_thread() -> None:
    """Pages come and go while another thread makes so much garbage that Python would collect there."""
    program = """
        import gc, threading
        from gui.bridge import Bridge
        from gui.shown import StartState
        from gui.view.windows import Windows, collecting_here

        def litter():
            while not ended.wait(0.001):
                for _ in range(1000):
                    ring = []
                    ring.append(ring)

        ended, pages, threads = threading.Event(), [0], set()
        gc.callbacks.append(lambda phase, info: threads.add(threading.current_thread().name))
        bridge = Bridge(lambda: windows.wake())
        windows = Windows(bridge.put)
        worker = threading.Thread(target=litter)

        def turn(event):
            pages[0] += 1
            if pages[0] == 1:
                worker.start()
            windows.show_start(StartState("Maya"))
            bridge.put(event)
            return pages[0] < 4

        bridge.put("turn")
        bridge.start()
        with collecting_here():
            threads.clear()
            windows.run(bridge, turn, lambda: None)
            ended.set()
            worker.join()
            windows.close()
            bridge.close(windows.pump)
        assert threads == {"MainThread"}, threads
        """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, cwd=ROOT_DIRECTORY, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_link_goes_to_the_browser(screen: Screen) -> None:
    screen.windows.open_link("https://example.org/")
    assert screen.opened == ["https://example.org/"]


def test_the_room_page_comes_in_the_same_frame(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    page = screen.windows.show_room(ROOM)
    assert page is screen.windows.page
    assert "Cabin weekend" in screen.reads()


def test_a_new_page_stays_where_the_old_one_was_under_the_frame_of_a_window_manager(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.top.geometry("+40+30")
    screen.update()
    # A window manager puts a window into a frame: then this says where its inside is, and `geometry` where the frame.
    monkeypatch.setattr("tkinter.Misc.winfo_x", lambda widget: 41)
    monkeypatch.setattr("tkinter.Misc.winfo_y", lambda widget: 50)
    for dark in (True, False):
        screen.windows.set_theme(dark)
        screen.windows.show_start(StartState("Maya"))
        screen.update()
        assert screen.top.geometry().endswith("+40+30")


def test_every_page_and_sheet_in_dark() -> None:
    screen = Screen(dark=True)
    screen.windows.show_unlock("Maya")
    screen.windows.show_create(CreateState())
    screen.windows.show_waiting(WaitingState(FP, "Waiting", "Maya can see it.", "Read the words.", WORDS))
    screen.windows.show_room(ROOM)
    screen.windows.show_start(StartState("Maya", RECENT, problem="The disk is full."))
    screen.windows.show_knock(KNOCK)
    screen.windows.show_readers(READERS)
    screen.windows.show_invite(InviteState("Cabin weekend", LINK, "Whoever has this link can knock."))
    screen.windows.show_confirm(ConfirmState("Leave?", "For good.", "Leave it", events.Close()))
    screen.windows.show_words(WordsState("Room words", "Cabin weekend", WORDS, "Read them out.", "", ()))
    screen.windows.show_steady(steady.state("Cabin weekend", 5, 0))
    screen.windows.show_move(MOVE)
    screen.windows.show_report(
        ReportState(
            "Connection report", "Cabin weekend", "Nothing out of order", Tone.GOOD, ((0.0, 20), (1.0, 30)), (),
            ("12:00", "12:13"), (ReportRow("link", "Reconnects", "The connection never broke", "0"),),
            "Numbers and times.", "report.txt",
        )
    )  # fmt: skip
    screen.update()
    assert set(screen.windows.sheets) == set(Sheet)
    code = screen.windows.sheets[Sheet.INVITE][0].code.image.convert("RGB")
    assert code.getpixel((1, 1)) == (255, 255, 255), "a code is dark on white in every look"
    screen.windows.close()
    screen.update()


def test_who_has_gone_from_the_door_cant_be_let_in(screen: Screen) -> None:
    screen.windows.show_room(ROOM)
    screen.windows.show_knock(replace(KNOCK, gone=True))
    top = screen.sheet(Sheet.KNOCK)
    told = len(screen.told)
    screen.press("Let in", top)
    assert not [event for event in screen.told[told:] if isinstance(event, events.LetIn)]
    screen.press("Close", top)
    assert screen.last() == events.SheetClosed(Sheet.KNOCK)
    screen.windows.show_knock(KNOCK)
    assert "Turn away" in screen.reads(top)
