"""Where the keyboard is: it goes to a sheet, comes back to where it was, and is never left on something hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gallery
import pytest
from gui_help import WORDS, an_invite
from PIL import ImageColor
from screen import Screen

from gui.events import Close, OpenInvite, Sheet, SheetClosed, ShowKnock
from gui.psg import hidden_root
from gui.shown import Banner, Composer, ConfirmState, CreateState, InviteState, KnockState, StartState, Tone

INVITE = InviteState("Cabin weekend", an_invite().to_text(), "Whoever has this link can knock.")
FP = gallery.fp("dave")
KNOCK = KnockState(FP, "dave would like to come in", "Knocked", "Ask dave.", "Nothing is encrypted to dave.", WORDS)
DOOR = Banner("knock", Tone.ACCENT, "dave is at the door", "Knocked", ("See who it is", ShowKnock(FP)), fp=FP)


def keyboard(screen: Screen) -> Any:
    screen.update()
    return hidden_root().focus_get()


def test_the_keyboard_is_never_taken_by_force(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.top.focus_force()
    screen.update()
    tcl = hidden_root().tk
    tcl.eval("set said {}; trace add execution focus enter {apply {{said op} {lappend ::said $said}}}")
    screen.windows.show_invite(INVITE)
    assert str(keyboard(screen)).startswith(str(screen.sheet(Sheet.INVITE)))
    screen.windows.close_sheet(Sheet.INVITE)
    assert str(keyboard(screen)).startswith(str(screen.top))
    tcl.call("focus", "")  # another program has it now
    screen.windows.show_invite(INVITE)
    screen.windows.close_sheet(Sheet.INVITE)
    said = str(tcl.eval("trace remove execution focus enter [lindex [trace info execution focus] 0 1]; set said"))
    assert "focus" in said
    assert "-force" not in said


@pytest.mark.parametrize("danger", [True, False])
def test_return_gives_the_answer_that_a_question_begins_with(screen: Screen, danger: bool) -> None:
    page = screen.windows.show_room(gallery.ROOM)
    page.header.invite.Widget.focus_force()
    screen.update()
    screen.windows.show_confirm(ConfirmState("Leave?", "For good.", "Leave it", Close(), danger=danger))
    sheet = screen.windows.sheets[Sheet.CONFIRM][0]
    assert keyboard(screen) is (sheet.no if danger else sheet.yes).Widget
    screen.key("Return")
    assert screen.last() == (SheetClosed(Sheet.CONFIRM) if danger else Close())


def test_a_keyboard_on_a_widget_of_tks_own_hurts_nothing(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya", first_time=True))
    choice: Any = screen.windows.page.anonymous
    screen.windows.show_invite(INVITE)
    root = hidden_root()
    root.tk.call("entry", f"{screen.top}.stranger")  # Python has never heard of it
    root.tk.call("pack", f"{screen.top}.stranger")
    root.tk.call("focus", "-force", f"{screen.top}.stranger")
    screen.update()
    with pytest.raises(KeyError):
        root.focus_get()
    choice.press()
    screen.windows.close_sheet(Sheet.INVITE)
    screen.update()
    assert choice.value
    assert not screen.windows.sheets


def test_the_keyboard_comes_back_to_where_it_was_before_the_sheet(screen: Screen) -> None:
    page = screen.windows.show_room(gallery.ROOM)
    for widget in (page.header.invite.Widget, page._log.text, page.composer.text):
        widget.focus_force()
        screen.update()
        screen.windows.show_invite(INVITE)
        assert keyboard(screen) is not widget
        screen.windows.close_sheet(Sheet.INVITE)
        assert keyboard(screen) is widget


def test_the_keyboard_is_not_left_on_a_banner_that_is_gone(screen: Screen) -> None:
    page = screen.windows.show_room(replace(gallery.ROOM, banners=(DOOR,)))
    button = page.banners.strips[0].beside.action.Widget
    button.focus_force()
    screen.windows.show_knock(KNOCK)
    screen.windows.close_sheet(Sheet.KNOCK)
    assert keyboard(screen) is button
    page.set_banners(())
    assert keyboard(screen) is page.composer.text


def test_the_keyboard_is_not_left_on_the_panel_of_an_empty_room(screen: Screen) -> None:
    page = screen.windows.show_room(gallery.ALONE)
    page.quiet_panel.invite.Widget.focus_force()
    screen.update()
    page.set_quiet(None)
    page.set_composer(Composer(True, "Message Cabin weekend"))
    assert keyboard(screen) is page.composer.text


def test_in_an_empty_room_the_keyboard_begins_where_one_can_do_something(screen: Screen) -> None:
    page = screen.windows.show_room(gallery.ALONE)
    invite = page.quiet_panel.invite.Widget
    assert str(hidden_root().tk.call("focus", "-lastfor", screen.top)) == str(invite)
    screen.key("Return", invite)
    assert screen.last() == OpenInvite()


def test_the_column_of_rooms_shows_where_the_keyboard_is(screen: Screen) -> None:
    page = screen.windows.show_room(gallery.ROOM)
    canvas = page.left.list.canvas.Widget
    canvas.focus_force()
    screen.update()
    assert page.left.list._at == gallery.ROOM.room_id


def test_a_sheet_lies_over_the_middle_of_its_page_once_it_is_filled(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.top.geometry("700x700+60+40")
    screen.update()
    screen.windows.show_invite(INVITE)
    screen.update()
    sheet, page = screen.sheet(Sheet.INVITE), screen.top
    middle = sheet.winfo_rooty() + sheet.winfo_height() / 2
    assert abs(middle - (page.winfo_rooty() + page.winfo_height() / 2)) <= 2


def test_a_sheet_that_grows_stays_on_the_screen(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya"))
    screen.windows.show_invite(INVITE)
    sheet = screen.sheet(Sheet.INVITE)
    screen.update()
    sheet.geometry(f"+20+{sheet.winfo_screenheight() - sheet.winfo_height()}")
    screen.update()
    screen.windows.show_invite(replace(INVITE, copied="Copied."))
    screen.update()
    assert sheet.winfo_rooty() + sheet.winfo_height() <= sheet.winfo_screenheight() - 72


@pytest.mark.parametrize("dark", [False, True])
def test_a_choice_that_is_made_still_shows_that_it_has_the_keyboard(screen: Screen, dark: bool) -> None:
    screen.windows.set_theme(dark)
    page = screen.windows.show_create(CreateState())
    wanted = ImageColor.getrgb(page.kit.p.text)

    def ring(choice: Any) -> bool:
        screen.update()
        picture = choice.Widget.kept
        row = [picture.get(x, picture.height() // 2) for x in range(picture.width())]
        return any(max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 40 for pixel in row)

    for choice in (page.ask, page.there):
        assert choice.value
        assert not ring(choice)
        choice.Widget.focus_force()
        assert ring(choice)
