"""Pages in windows that are too low or too narrow for them: everything can still be reached.  Real windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gallery
import pytest
from gui_help import WORDS, an_invite, mid
from screen import Screen

from gui.checks import check_invite
from gui.events import OpenRecent, Sheet
from gui.psg import hidden_root
from gui.shown import (
    Check,
    CreateState,
    InviteState,
    Quote,
    Reader,
    ReadersState,
    RoomRow,
    SealedLine,
    StartState,
    Tick,
    WaitingState,
)
from gui.view import create, start
from gui.view.dressing import outer

LINK = an_invite().to_text()
RECENT = tuple(RoomRow(bytes((n,)) * 32, "Cabin weekend " * 5, "relay.example.org:7256", "Tue") for n in range(3))
SMALL = [(760, 600), (500, 600), (480, 420)]


def resize(screen: Screen, size: tuple[int, int]) -> None:
    screen.top.geometry(f"{size[0]}x{size[1]}")
    for _ in range(200):
        screen.update()
        if (screen.top.winfo_width(), screen.top.winfo_height()) == size:
            return
        screen.top.after(10)
    raise AssertionError("the window keeps its size")


def is_in_view(top: Any, widget: Any) -> bool:
    """Say whether a widget lies within its window, whole."""
    top.update()
    x, y = widget.winfo_rootx() - top.winfo_rootx(), widget.winfo_rooty() - top.winfo_rooty()
    right, low = x + widget.winfo_width(), y + widget.winfo_height()
    return bool(x >= 0 and y >= 0 and right <= top.winfo_width() and low <= top.winfo_height())


def tab_through(screen: Screen) -> set[str]:
    """Go through a page by Tab; everything is in view when the keyboard is on it.  Returns what was visited."""
    visited: set[str] = set()
    screen.top.focus_force()
    screen.update()
    for _ in range(40):
        screen.key("Tab")
        widget = hidden_root().focus_get()
        assert widget is not None
        if str(widget) in visited:
            return visited
        visited.add(str(widget))
        assert is_in_view(screen.top, widget), widget
    raise AssertionError("Tab doesn't come around")


@pytest.mark.parametrize("size", SMALL)
def test_everything_on_the_start_page_is_reached_in_a_small_window(screen: Screen, size: tuple[int, int]) -> None:
    page = screen.windows.show_start(StartState("", RECENT, first_time=True))
    resize(screen, size)
    page.protect.press()
    page.set_name_check(Check(False, "Type your name first: it is what the others will see."))
    page.set_invite_check(check_invite(LINK[:-9]))
    page.create.press()
    assert is_in_view(screen.top, page.problem.Widget)
    visited = tab_through(screen)
    for element in (page.name.input, page.invite.input, page.again, page.anonymous, page.protect, page.passphrase.input,
                    page.again_field.input, page.create, page.host, *(row.forget for row in page.rows)):  # fmt: skip
        assert str(element.Widget) in visited


def test_without_its_logo_the_start_page_keeps_the_edge_of_its_card(screen: Screen) -> None:
    page = screen.windows.show_start(StartState("", first_time=True))
    resize(screen, (480, 420))
    assert not page.logo.Widget.winfo_ismapped()
    assert page.welcome.Widget.winfo_rooty() - page.scroller.card.Widget.winfo_rooty() >= page.kit.px(20)


def test_a_room_of_many_is_reached_in_a_small_window(screen: Screen) -> None:
    many = tuple(RoomRow(bytes((n,)) * 32, f"Room {n}", "relay.example.org:7256", "Tue") for n in range(12))
    page = screen.windows.show_start(StartState("Maya", many))
    resize(screen, (480, 420))
    visited = tab_through(screen)
    assert all(str(row.open.Widget) in visited for row in page.rows)
    page.rows[11].open.press()
    assert screen.last() == OpenRecent(bytes((11,)) * 32, "Maya")


def test_what_is_hidden_takes_no_room_on_the_start_page(screen: Screen) -> None:
    """The rows of the recent rooms are gone when there are none: nothing scrolls that would fit."""
    page = screen.windows.show_start(StartState("", (), first_time=True))
    for recent in ((), RECENT, ()):
        page.set_rooms(recent)
        screen.update()
        canvas, body = page.scroller.canvas.Widget, outer(page.scroller.body)
        if not recent:
            assert body.winfo_reqheight() <= canvas.winfo_height()
            assert canvas.yview() == (0.0, 1.0)
            empty = body.winfo_reqheight()
        else:
            assert body.winfo_reqheight() >= empty + 100


@pytest.mark.parametrize("size", SMALL)
def test_everything_on_the_page_of_a_new_room_is_reached_in_a_small_window(
    screen: Screen, size: tuple[int, int]
) -> None:
    page = screen.windows.show_create(CreateState())
    resize(screen, size)
    page.set_problem("This isn't a relay's line. Copy the whole line that the relay printed.")
    assert is_in_view(screen.top, page.problem.Widget)
    assert str(page.go.Widget) in tab_through(screen)


@pytest.mark.parametrize("size", SMALL)
def test_a_locked_profile_is_opened_in_a_small_window(screen: Screen, size: tuple[int, int]) -> None:
    page = screen.windows.show_unlock("Maya")
    resize(screen, size)
    page.set_problem("This passphrase doesn't open the profile. Try again.")
    assert is_in_view(screen.top, page.problem.Widget)
    assert str(page.skip.Widget) in tab_through(screen)


def test_what_has_the_keyboard_stays_in_view_when_the_window_shrinks(screen: Screen) -> None:
    state = WaitingState(b"f" * 32, "Waiting to be let in", "Maya can let you in.", "Read the words.", WORDS, "Trouble")
    page = screen.windows.show_waiting(state)
    page.stop.Widget.focus_force()
    resize(screen, (480, 420))
    assert is_in_view(screen.top, page.stop.Widget)


def test_at_the_door_the_words_stand_in_two_columns_where_four_do_not_fit(screen: Screen) -> None:
    state = WaitingState(b"f" * 32, "Waiting to be let in", "Maya can let you in.", "Read the words.", WORDS)
    screen.windows.show_waiting(state)
    for width, columns in ((600, 4), (480, 2), (600, 4)):
        resize(screen, (width, 620))
        shown = {label.cget("text"): label for label in screen.widgets(screen.top) if label.winfo_class() == "Label"}
        assert set(WORDS) <= set(shown)
        left, right = screen.top.winfo_rootx(), screen.top.winfo_rootx() + width
        words = [shown[word] for word in WORDS]
        assert all(left <= word.winfo_rootx() <= right - word.winfo_width() for word in words)
        assert [word.winfo_rooty() for word in words[:columns]] == [words[0].winfo_rooty()] * columns
        assert words[columns].winfo_rooty() > words[0].winfo_rooty()


def test_the_wheel_and_the_page_keys_scroll_where_there_is_more(screen: Screen) -> None:
    page = screen.windows.show_start(StartState("Maya", RECENT))
    where = page.scroller.canvas.Widget.yview
    resize(screen, (600, 1000))
    screen.key("Next", screen.field(start.NAME))
    assert where() == (0.0, 1.0), "all of it is in view"
    resize(screen, (760, 500))
    assert not is_in_view(screen.top, page.rows[-1].forget.Widget)
    screen.key("Next", screen.field(start.NAME))
    screen.key("Next")
    assert is_in_view(screen.top, page.rows[-1].forget.Widget)
    screen.key("Prior")
    screen.field(start.NAME).event_generate("<Button-4>")
    screen.field(start.NAME).event_generate("<Button-4>")
    screen.update()
    assert where()[0] == 0.0


def test_the_card_gives_up_its_margin_in_a_narrow_window_and_takes_it_back(screen: Screen) -> None:
    page = screen.windows.show_create(CreateState())
    for width in (500, 700, 480):
        resize(screen, (width, 800))
        assert is_in_view(screen.top, page.go.Widget)
        assert is_in_view(screen.top, screen.field(create.TITLE).master.master)


# -- the room ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1280, 800), (900, 640), (760, 600), (500, 600), (480, 420)])
@pytest.mark.parametrize("alone", [True, False])
def test_no_crowd_at_the_door_pushes_the_composer_or_the_status_out(
    screen: Screen, size: tuple[int, int], alone: bool
) -> None:
    page = screen.windows.show_room(gallery.ALONE if alone else gallery.ROOM)
    resize(screen, size)
    page.set_banners([replace(gallery.KNOCK, key=str(number)) for number in range(8)])
    for element in (page.composer.send, page.composer.note, page.status.privacy, page.status.connection):
        assert is_in_view(screen.top, element.Widget)
    strips = [strip for strip in page.banners.strips if strip.Widget.winfo_ismapped()]
    assert f"{8 - len(strips)} more" in strips[-1].note.get()
    connection = page.status.connection.Widget
    assert (
        page.status.privacy.Widget.winfo_rootx() + page.status.privacy.Widget.winfo_width() <= connection.winfo_rootx()
    )


def test_more_strips_come_with_more_height(screen: Screen) -> None:
    page = screen.windows.show_room(gallery.ROOM)
    page.set_banners([replace(gallery.KNOCK, key=str(number)) for number in range(4)])
    for size, shown in (((700, 420), 1), ((700, 800), 3)):
        resize(screen, size)
        screen.update()
        assert sum(strip.Widget.winfo_ismapped() for strip in page.banners.strips) == shown


# -- low screens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("high", [720, 768, 1080])
def test_many_readers_and_their_blocks_fit_a_low_screen(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, high: int
) -> None:
    monkeypatch.setattr("tkinter.Misc.winfo_screenheight", lambda widget: high)
    screen.windows.show_room(gallery.ROOM)
    readers = tuple(Reader(bytes((n,)) * 32, f"Name {n}", "Arrived 12:13", False, Tick.ALL) for n in range(12))
    lines = tuple(SealedLine(f"Name {n}", "aa bb cc dd ee ff 00 …", "256 bytes") for n in range(12))
    state = ReadersState(
        mid(1), Quote(gallery.fp("alice"), "alice", "12:13", "long " * 99), "These people", readers, "Encrypted " * 12
    )
    screen.windows.show_readers(state)
    screen.windows.show_readers(replace(state, sealed=lines))
    sheet = screen.windows.sheets[Sheet.READERS][0]
    screen.update()
    assert is_in_view(sheet.window.TKroot, sheet.done.Widget)
    assert sheet.window.TKroot.winfo_height() <= high - 72
    canvas = sheet.list.Widget
    canvas.focus_force()
    screen.update()
    for _ in range(12):
        canvas.event_generate("<Down>")
    assert canvas.yview()[1] == 1.0, "the last reader is reached by keyboard"


@pytest.mark.parametrize("high", [600, 768, 1080])
def test_an_invite_fits_a_low_screen(screen: Screen, monkeypatch: pytest.MonkeyPatch, high: int) -> None:
    monkeypatch.setattr("tkinter.Misc.winfo_screenheight", lambda widget: high)
    screen.windows.show_room(gallery.ROOM)
    screen.windows.show_invite(InviteState("Cabin weekend", LINK, "Whoever has this link can knock. " * 5, "Copied."))
    invite = screen.windows.sheets[Sheet.INVITE][0]
    screen.update()
    assert is_in_view(invite.window.TKroot, invite.copy.Widget)
    assert invite.window.TKroot.winfo_height() <= high - 72
