"""The windows: one page at a time, sheets over it, and the one loop that reads them all.

Implements `gui.pages.View`.  Every page and sheet is a window of PySimpleGUI; another page is another window, put where
the old one was, and so is the same page in another look.  What the person does, the X of a
window included, is queued at once.  `read` is called in one place, never within itself.
"""

from __future__ import annotations

import contextlib
import gc
import re
import tkinter as tk
import webbrowser
from collections.abc import Callable, Iterator
from typing import Any

from gui import theme
from gui.bridge import Bridge
from gui.events import Close, Emit, FocusChanged, InRoom, RoomAct, Sheet, SheetClosed, ViewEvent
from gui.news import AppEvent
from gui.proxy import ProxyKnown
from gui.psg import hidden_root, safe_name, sg
from gui.shown import (
    ConfirmState,
    CreateState,
    InviteState,
    KnockState,
    MoveState,
    ProfileState,
    ReadersState,
    ReportState,
    RoomState,
    StartState,
    SteadyState,
    WaitingState,
    WordsState,
)
from gui.view.confirm import open_confirm
from gui.view.create import CreatePage, UnlockPage, open_create, open_unlock
from gui.view.dressing import focus_owner, take_focus
from gui.view.invite import open_invite
from gui.view.kit import Kit
from gui.view.knock import WaitingPage, open_knock, open_waiting
from gui.view.move import open_move
from gui.view.page_window import BARS, make_window, place_over
from gui.view.profile import ImportPage, ProfilePage, open_import, open_profile
from gui.view.proxy import ProxyPage, open_proxy
from gui.view.readers import open_readers
from gui.view.report import open_report
from gui.view.room import LEAST, SIZE, RoomPage
from gui.view.start import StartPage, open_start
from gui.view.steady import open_steady
from gui.view.words import open_words

WAKE = "-WAKE-"
COLLECT_MS = 1000


class Windows:
    """All windows of the program.  `emit` queues what the person does; use everything from the GUI thread."""

    def __init__(self, emit: Emit, *, dark: bool = False, open_url: Callable[[str], Any] = webbrowser.open) -> None:
        self._emit, self._open_url = emit, open_url
        self.kit = Kit(theme.DARK if dark else theme.LIGHT)
        self.page: Any = None
        self.main: sg.Window | None = None
        self.sheets: dict[Sheet, tuple[Any, sg.Window]] = {}
        self._kind = ""
        self._sizes: dict[str, tuple[int, int]] = {}  # that the pages of a kind had last
        self._focused = True
        self._passing, self._timer = "", ""  # what leaves the clipboard again, and the timer for it

    # -- the loop ------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Make `run` look into its queue; from any thread but the GUI's.  Waits until it does, and may raise."""
        if self.main is not None:
            self.main.write_event_value(WAKE, None)

    def run(self, bridge: Bridge[AppEvent], handle: Callable[[AppEvent], bool], flush: Callable[[], None]) -> None:
        """Read and handle until `handle` says that it is enough."""
        while True:
            # Before the first page there is no window that could be woken.
            for event in bridge.drain(wait=self.main is None):
                if not handle(event):
                    return
            flush()
            if self.main is None:
                continue
            sg.read_all_windows()  # what it returns is only that there is something in the queue

    def _answer_the_x(self, top: Any, event: ViewEvent) -> None:
        """Queue an event when the X in the title bar is pressed.

        PySimpleGUI reads one event at a time, and of two that come together it may lose one: not this one.
        """
        top.protocol("WM_DELETE_WINDOW", lambda: self._emit(event))

    # -- View: pages ---------------------------------------------------------------------------------------------------

    def show_start(self, state: StartState) -> StartPage:
        """Show the start page."""
        return self._turn("small", lambda **where: open_start(self.kit, state, self._emit, **where))

    def show_create(self, state: CreateState) -> CreatePage:
        """Show the page that makes a room."""
        return self._turn("small", lambda **where: open_create(self.kit, state, self._emit, **where))

    def show_unlock(self, name: str) -> UnlockPage:
        """Show the page that asks for the passphrase."""
        return self._turn("lock", lambda **where: open_unlock(self.kit, name, self._emit, **where))

    def show_profile(self, state: ProfileState) -> ProfilePage:
        """Show the page about one's profile."""
        return self._turn("small", lambda **where: open_profile(self.kit, state, self._emit, **where))

    def show_proxy(self, state: ProxyKnown) -> ProxyPage:
        """Show the page that says through which proxy relays are reached."""
        return self._turn("small", lambda **where: open_proxy(self.kit, state, self._emit, **where))

    def show_import(self) -> ImportPage:
        """Show the page that makes a copy one's profile."""
        return self._turn("small", lambda **where: open_import(self.kit, self._emit, **where))

    def show_waiting(self, state: WaitingState) -> WaitingPage:
        """Show the page of the one who knocks."""
        emit = self._in_room(state.room_id)
        return self._turn("door", lambda **where: open_waiting(self.kit, state, emit, **where))

    def show_room(self, state: RoomState) -> RoomPage:
        """Show the room page."""

        def make(**where: Any) -> tuple[RoomPage, sg.Window]:
            page = RoomPage(self.kit, state, self._in_room(state.room_id), copy=self.copy)
            window = make_window(self.kit, state.title, page.layout(), size=SIZE, least=LEAST, resizable=True, **where)
            page.attach(window)
            return page, window

        return self._turn("room", make)

    def _in_room(self, room_id: bytes) -> Emit:
        """Return what its page, and sheets over it, are given to report with."""

        def emit(event: ViewEvent) -> None:
            self._emit(InRoom(room_id, event) if isinstance(event, RoomAct) else event)

        return emit

    def _turn(self, kind: str, make: Callable[..., tuple[Any, sg.Window]]) -> Any:
        """Put a page in the place of the one before: about its middle, as large as the last of its own kind."""
        before = self.main
        for sheet in list(self.sheets):
            self.close_sheet(sheet)
        place = _place(before.TKroot) if before is not None else None
        page, window = make(**({"location": place[:2]} if place else {}))
        if place is not None:
            self._sizes[self._kind] = place[2:]
            _put(window.TKroot, place, self._sizes.get(kind))
        _keep_on_screen(window.TKroot)
        self.page, self.main, self._kind = page, window, kind
        self._watch_focus(window.TKroot)
        self._answer_the_x(window.TKroot, Close())
        if before is not None:
            before.close()
        return page

    def _watch_focus(self, top: Any) -> None:
        top.bind("<FocusIn>", lambda event: self._look_at_focus(), add="+")
        top.bind("<FocusOut>", lambda event: top.after_idle(self._look_at_focus), add="+")

    def _look_at_focus(self) -> None:
        """Tell whether any of our windows has the keyboard, when that changed."""
        focused = bool(focus_owner(hidden_root()))
        if focused != self._focused:
            self._focused = focused
            self._emit(FocusChanged(focused))

    # -- View: sheets --------------------------------------------------------------------------------------------------

    def show_invite(self, state: InviteState) -> None:
        """Open the invite sheet, or show this state in the one that is open."""
        self._sheet(Sheet.INVITE, state, open_invite)

    def show_steady(self, state: SteadyState) -> None:
        """Open the sheet for the steady rhythm, or show this state in the one that is open."""
        self._sheet(Sheet.STEADY, state, open_steady)

    def show_move(self, state: MoveState) -> None:
        """Open the sheet that moves a room, or show this state in the one that is open."""
        self._sheet(Sheet.MOVE, state, open_move)

    def show_knock(self, state: KnockState) -> None:
        """Open the knock sheet, or show this state in the one that is open."""
        self._sheet(Sheet.KNOCK, state, open_knock)

    def show_readers(self, state: ReadersState) -> None:
        """Open the sheet of readers, or show this state in the one that is open."""
        shown = self.sheets.get(Sheet.READERS)
        if shown is not None and shown[0].state.mid != state.mid:
            self.close_sheet(Sheet.READERS)
        self._sheet(Sheet.READERS, state, open_readers)

    def show_words(self, state: WordsState) -> None:
        """Open the sheet of words, or show this state in the one that is open."""
        shown = self.sheets.get(Sheet.WORDS)
        if shown is not None and shown[0].state.pair != state.pair:
            self.close_sheet(Sheet.WORDS)
        self._sheet(Sheet.WORDS, state, open_words)

    def show_report(self, state: ReportState) -> None:
        """Open the connection report, or show this state in the one that is open."""
        self._sheet(Sheet.REPORT, state, open_report)

    def show_confirm(self, state: ConfirmState) -> None:
        """Ask; replaces a question that is open."""
        self.close_sheet(Sheet.CONFIRM)
        self._sheet(Sheet.CONFIRM, state, open_confirm)

    def _sheet(self, kind: Sheet, state: Any, make: Callable[..., tuple[Any, sg.Window]]) -> None:
        if kind in self.sheets:
            shown, window = self.sheets[kind]
            shown.tell(state)
            _raise_into_view(window.TKroot)  # it may have grown
        elif self.main is not None:
            emit = self.page.emit if self._kind in ("room", "door") else self._emit
            self.sheets[kind] = make(self.kit, state, emit, self.main)
            window = self.sheets[kind][1]
            top = window.TKroot
            self._answer_the_x(top, SheetClosed(kind))
            top.bind("<Escape>", lambda event: self._emit(SheetClosed(kind)))
            self._watch_focus(top)
            place_over(top, self.main.TKroot)
            window.appear()

    def close_sheet(self, sheet: Sheet) -> None:
        """Close this sheet if it is open, and give the keyboard back to the page."""
        shown = self.sheets.pop(sheet, None)
        if shown is None:
            return
        had_keyboard = bool(focus_owner(shown[1].TKroot))
        shown[1].close()
        if had_keyboard and self.main is not None and not self.sheets:
            take_focus(self.main.TKroot)
            if isinstance(self.page, RoomPage):
                self.page.keep_keyboard()

    # -- View: the rest ------------------------------------------------------------------------------------------------

    def set_title(self, title: str) -> None:
        """Name the main window."""
        if self.main is not None:
            self.main.TKroot.title(safe_name(title, limit=120))

    def set_theme(self, dark: bool) -> None:
        """Use this look from now on; the controller shows everything again."""
        self.kit = Kit(theme.DARK if dark else theme.LIGHT)

    def copy(self, text: str, clear_after_s: int = 0) -> None:
        """Put `text` on the clipboard; after `clear_after_s` seconds empty it, if it still holds `text`."""
        root = hidden_root()
        self._forget_timer()
        root.clipboard_clear()
        root.clipboard_append(text)
        if clear_after_s:
            self._passing = text
            self._timer = root.after(clear_after_s * 1000, self._clear_clipboard)

    def _forget_timer(self) -> str:
        text, timer, self._passing, self._timer = self._passing, self._timer, "", ""
        if timer:
            hidden_root().after_cancel(timer)
        return text

    def _clear_clipboard(self) -> None:
        text, root = self._forget_timer(), hidden_root()
        try:
            there = str(root.clipboard_get())
        except tk.TclError:  # empty, or no text
            return
        if text and there == text:
            root.clipboard_clear()
            root.clipboard_append("")

    def open_link(self, url: str) -> None:
        """Hand a link to the browser."""
        self._open_url(url)

    def close(self) -> None:
        """Close every window.  An invite doesn't stay on the clipboard of a program that is gone."""
        self._clear_clipboard()
        for sheet in list(self.sheets):
            self.sheets.pop(sheet)[1].close()
        if self.main is not None:
            self.main.close()
            self.main = self.page = None
        gc.collect()  # here, in the GUI thread (see `collecting_here`)

    def hide(self) -> None:
        """Take every window off the screen: what is left to do may take a moment."""
        for window in (*(sheet for _, sheet in self.sheets.values()), self.main):
            if window is not None:
                window.TKroot.withdraw()

    @staticmethod
    def pump() -> None:
        """Let Tk handle what is due, a wake that waits for this thread among it."""
        hidden_root().update()


@contextlib.contextmanager
def collecting_here() -> Iterator[None]:
    """Let no thread but this one, the GUI's, collect garbage.

    What is left of a closed window is a ring of objects.  Python's collector runs in whatever thread makes it run, and
    Tk's variables and pictures call Tk when they go: from another thread that waits for the GUI, or fails.
    """
    was_on = gc.isenabled()
    root = hidden_root()
    timer = ""

    def collect() -> None:
        nonlocal timer
        timer = root.after(COLLECT_MS, collect)
        grown = [
            n for n, (have, most) in enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True)) if have > most
        ]
        if grown:
            gc.collect(grown[-1])

    gc.disable()
    collect()
    try:
        yield
    finally:
        root.after_cancel(timer)
        if was_on:
            gc.enable()


def _place(top: Any) -> tuple[int, int, int, int]:
    """Return where a window is: left and top as they are set again (a frame of the window manager's included), size."""
    top.update_idletasks()
    width, height, x, y = map(int, re.split("[x+]", top.geometry()))
    return x, y, width, height


def _put(top: Any, place: tuple[int, int, int, int], size: tuple[int, int] | None) -> None:
    """Move a new window to where the old one was, about its middle, with this size or, if none is given, its own."""
    x, y, width, height = place
    top.update_idletasks()
    wide, tall = size or (top.winfo_width(), top.winfo_height())
    if (wide, tall) != (width, height):
        x = max(0, min(x + (width - wide) // 2, top.winfo_screenwidth() - wide))
        y = max(0, min(y + (height - tall) // 2, top.winfo_screenheight() - tall))
    top.geometry(f"{wide}x{tall}+{x}+{y}" if size else f"+{x}+{y}")


def _keep_on_screen(top: Any) -> None:
    """Make a window smaller that is larger than the screen, title bar and task bar included."""
    top.update_idletasks()
    wide = min(top.winfo_width(), top.winfo_screenwidth())
    tall = min(top.winfo_height(), top.winfo_screenheight() - BARS)
    if (wide, tall) != (top.winfo_width(), top.winfo_height()):
        top.geometry(f"{wide}x{tall}+{max(0, (top.winfo_screenwidth() - wide) // 2)}+0")


def _raise_into_view(top: Any) -> None:
    """Move a window up whose lower end isn't on the screen."""
    x, y, _, tall = _place(top)
    low = top.winfo_screenheight() - BARS
    if y + tall > low and y > 0:
        top.geometry(f"+{x}+{max(0, low - tall)}")
