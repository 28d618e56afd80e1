"""The room page: the rooms at the left, the log with its composer, the people at the right, the status below.

Built as `RoomPage(kit, state, emit)`; `layout()` gives the rows of a window, `attach(window)` brings the page to life
in it and fills it from the state.  From then on it is driven through `gui.pages.RoomView`.  Below `NARROW` pixels the
rooms shrink to a rail of pictures and the people stand in place of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from gui.events import (
    AnotherRoom,
    Answer,
    CloseRoom,
    Emit,
    LeaveRoom,
    OpenInvite,
    OpenMove,
    OpenReport,
    OpenSteady,
    OpenWords,
    ShowReaders,
    ThemeToggled,
    TogglePeople,
)
from gui.psg import sg
from gui.shown import (
    Banner,
    Composer,
    Delivery,
    Header,
    LogItem,
    Note,
    Person,
    Quiet,
    Quoted,
    RoomRow,
    RoomState,
    Status,
    Tick,
)
from gui.view.answer_bar import AnswerBar
from gui.view.banners import Banners
from gui.view.composer import ComposerBox
from gui.view.dressing import focus_owner
from gui.view.elements import Panel
from gui.view.header import HeaderBar
from gui.view.kit import Kit, Rows, show
from gui.view.log import RowLog
from gui.view.quiet import QuietPanel
from gui.view.rooms import RoomsColumn
from gui.view.roster import Roster
from gui.view.status_bar import StatusBar

NARROW = 820
SIZE, LEAST = (1280, 800), (480, 420)


class RoomPage:
    """One room; implements `gui.pages.RoomView`."""

    def __init__(self, kit: Kit, state: RoomState, emit: Emit, copy: Callable[[str], None] | None = None):
        self.kit, self.state, self.emit = kit, state, emit
        kit.hues = state.hues
        self._log = RowLog(kit, emit, copy=copy)
        self.composer = ComposerBox(kit, emit)
        self.answer_bar = AnswerBar(kit, emit)
        self.banners = Banners(kit, emit)
        self.quiet_panel = QuietPanel(kit, emit, state.own_fp)
        back = kit.icon_button("back", tooltip="Back to the room (Esc)", command=self.toggle_people)
        self.roster = Roster(kit, back, self._open_person)
        self.window: sg.Window | None = None
        self._quiet = state.quiet
        self._people = tuple(state.people)
        self._wide_people = state.show_people
        self._people_page = False
        self._narrow = False
        self._size = (0, 0)

    # -- the layout --------------------------------------------------------------------------------------------------

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit = self.kit
        self.left_rule, self.right_rule = kit.rule(upright=True), kit.rule(upright=True)
        self.left, self.middle = RoomsColumn(kit, self.state, self.emit, self.gear_entries), self._middle()
        self.status = StatusBar(kit)
        self.columns = kit.panel(
            [[self.left, self.left_rule, self.middle, self.right_rule, self.roster]], expand_x=True, expand_y=True
        )
        self.status_rule = kit.rule()
        return [[self.columns], [self.status_rule], [self.status]]

    def _middle(self) -> Panel:
        kit = self.kit
        self.header = HeaderBar(kit, self.state, self.emit, self.toggle_people)
        return kit.panel(
            [[self.header], [kit.rule()], [self.banners], [self.quiet_panel], [self._log], [self.answer_bar],
             [self.composer]],
            expand_x=True, expand_y=True,
        )  # fmt: skip

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life in a window made of its layout, and fill it from the state."""
        self.window, state, kit = window, self.state, self.kit
        top = window.TKroot
        self.header.attach()
        self.left.attach()
        keys = {"i": lambda: self.emit(OpenInvite()), "p": self.toggle_people, "j": self._readers, "r": self._answer,
                "n": lambda: self.emit(AnotherRoom())}  # fmt: skip
        main_key = "Command" if kit.system == "aqua" else "Control"
        for widget in (top, self.composer.text, self._log.text):  # in a text Tk has uses of its own for these keys
            for key, act in keys.items():
                widget.bind(f"<{main_key}-{key}>", _stopping(act))
        for element in (self.status, self.status_rule):  # what is packed last gives way first, and these don't
            element.ParentRowFrame.pack_configure(side="bottom", before=self.columns.ParentRowFrame)
        self._keep_composer()
        top.bind("<Escape>", self._escape)
        top.bind("<Configure>", self._resized, add="+")
        self._log.text.bind("<Key>", self._typed)
        self._log.extend(state.items)
        self.set_rooms(state.rooms)
        self.set_header(state.header)
        self.set_roster(state.people)
        self.set_status(state.status)
        self.set_banners(state.banners)
        self.set_composer(state.composer)
        self.set_quiet(state.quiet)
        if state.delivery:
            self._log.set_delivery(state.delivery)
        self.set_answering(state.answering)
        if state.draft:
            self.composer.put(state.draft)
        top.update_idletasks()
        self._resized()
        self.focus()

    # -- RoomView ----------------------------------------------------------------------------------------------------

    @property
    def log(self) -> RoomPage:
        """The log of this page."""
        return self

    def extend(self, items: Sequence[LogItem]) -> None:
        """Append rows to the log."""
        self._log.extend(items)

    def set_tick(self, mid: bytes, tick: Tick) -> None:
        """Change the tick of an own message."""
        self._log.set_tick(mid, tick)

    def set_note(self, mid: bytes, note: Note | None) -> None:
        """Say under an own message what became of it."""
        self._log.set_note(mid, note)

    def set_delivery(self, delivery: Delivery | None) -> None:
        """Put the delivery line under that message."""
        self._log.set_delivery(delivery)

    def rename(self, fp: bytes, name: str) -> None:
        """Show this name for `fp` from now on."""
        self._log.rename(fp, name)

    def set_header(self, header: Header) -> None:
        """Say the second line of the header."""
        self.header.tell(header)

    def set_rooms(self, rooms: Sequence[RoomRow]) -> None:
        """Show these rooms in the column."""
        self.left.show_rooms(rooms)

    def set_roster(self, people: Sequence[Person]) -> None:
        """Show these people."""
        self._people = tuple(people)
        self.roster.show_people(people)
        self._draw_people_button()

    def set_status(self, status: Status) -> None:
        """Say the status bar."""
        self.status.tell(status)

    def set_banners(self, banners: Sequence[Banner]) -> None:
        """Show exactly these strips."""
        stay = self._log.at_bottom()
        self.banners.tell(banners)
        self._fit_quiet()
        if stay:
            self._log.to_bottom()
        self.keep_keyboard()

    def set_composer(self, composer: Composer) -> None:
        """Switch the composer on or off."""
        self.composer.set_state(composer)
        self.keep_keyboard()

    def set_quiet(self, quiet: Quiet | None) -> None:
        """Show the welcome panel over the empty log, or take it away."""
        self._quiet = quiet
        if quiet is not None:
            self.quiet_panel.tell(quiet)
        show(self.quiet_panel, quiet is not None)
        show(self._log, quiet is None)
        self._keep_composer()
        self._fit_quiet()

    def set_answering(self, quoted: Quoted | None) -> None:
        """Show above the composer what is answered with the next text, or nothing."""
        if quoted == self.answer_bar.quoted and quoted is not None:
            return
        stay = self._log.at_bottom()
        self.answer_bar.tell(quoted)
        self._keep_composer()
        if stay:
            self._log.to_bottom()
        if quoted is not None:
            self.focus()
        self.keep_keyboard()

    def composer_taken(self, text: str) -> None:
        """Clear the composer if it still holds `text`."""
        self.composer.taken(text)

    def composer_refused(self, text: str, sentence: str) -> None:
        """Keep the text, and say the sentence under the composer until the text is changed."""
        self.composer.refused(text, sentence)

    def draft(self) -> str:
        """Return what stands in the composer."""
        return self.composer.draft()

    def show_people(self, shown: bool) -> None:
        """Show or hide the people (below `NARROW` pixels they replace the log)."""
        self._wide_people = shown
        if self._narrow:
            self._people_page = shown
        self._arrange()

    # -- what a person does ------------------------------------------------------------------------------------------

    def focus(self) -> None:
        """Put the keyboard into the composer, or in an empty room on the way to invite somebody."""
        if self._narrow and self._people_page:
            return
        if self.composer.state.enabled:
            self.composer.text.focus_set()
        elif self._quiet is not None and self._quiet.can_invite:
            self.quiet_panel.invite.Widget.focus_set()

    def keep_keyboard(self) -> None:
        """Take the keyboard from what was hidden meanwhile."""
        top = self.composer.text.winfo_toplevel()
        owner = focus_owner(top)
        if owner == str(top) or (owner.startswith(f"{top}.") and not top.tk.call("winfo", "viewable", owner)):
            self.focus()

    def toggle_people(self) -> None:
        """Show or hide the people; in a narrow window this is the page's own matter."""
        if self._narrow:
            self._people_page = not self._people_page
            self._arrange()
            self.focus()
        else:
            self.emit(TogglePeople())

    def _readers(self) -> None:
        item = self._log.chosen()
        if item is not None:
            self.emit(ShowReaders(item.mid))

    def _answer(self) -> None:
        item = self._log.chosen()
        if item is not None:
            self.emit(Answer(item.mid))

    def _escape(self, event: Any) -> None:
        if self._narrow and self._people_page:
            self.toggle_people()
        elif self.answer_bar.quoted is not None:
            self.emit(Answer())
        else:
            self.focus()

    def _typed(self, event: Any) -> str | None:
        """Take a letter typed while the log has the keyboard into the composer."""
        held = 0x4 | (0x20000 if self.kit.system == "win32" else 0x8)  # Control, Alt
        if event.char and event.char.isprintable() and not event.state & held and self.composer.state.enabled:
            self.composer.text.focus_set()
            self.composer.text.insert("insert", event.char)
            return "break"
        return None

    def _open_person(self, key: Hashable) -> None:
        if isinstance(key, bytes):
            self.emit(OpenWords(key))

    def gear_entries(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the entries of the menu behind the gear."""
        look = "Light look" if self.kit.p.dark else "Dark look"
        own = any(person.is_self and person.is_owner for person in self._people)
        return [
            ("Words of this room…", lambda: self.emit(OpenWords())),
            ("Connection report…", lambda: self.emit(OpenReport())),
            *([("Steady rhythm…", lambda: self.emit(OpenSteady()))] if own else []),
            *([("Move to another relay…", lambda: self.emit(OpenMove()))] if own else []),
            (look, lambda: self.emit(ThemeToggled())),
            ("Close this room and stay a member", lambda: self.emit(CloseRoom())),
            ("Leave this room for good…", lambda: self.emit(LeaveRoom())),
        ]

    def _keep_composer(self) -> None:
        """Have a low window take from the log, never from what one writes in; a log that comes back is packed first."""
        log = self._log.ParentRowFrame
        for element in (self.composer, self.answer_bar):
            if log.winfo_manager() and element.ParentRowFrame.winfo_manager():
                element.ParentRowFrame.pack_configure(side="bottom", before=log)

    # -- arranging ---------------------------------------------------------------------------------------------------

    def _resized(self, event: Any = None) -> None:
        top = self.window.TKroot
        if event is not None and event.widget is not top:
            return
        size = (top.winfo_width(), top.winfo_height())
        if size == self._size:
            return
        first, self._size = self._size == (0, 0), size
        narrow = size[0] < self.kit.px(NARROW)
        if narrow != self._narrow or first:
            self._narrow, self._people_page = narrow, False
            self._arrange()
        self._fit()

    def _arrange(self) -> None:
        """Put the columns where the width of the window wants them."""
        narrow = self._narrow
        page = narrow and self._people_page
        self.left.arrange(narrow)
        show(self.middle, not page)
        show(self.roster, page or (not narrow and self._wide_people))
        show(self.right_rule, not narrow and self._wide_people)
        show(self.roster.back, page)
        fill = "both" if page else "y"
        if self.roster.Widget.winfo_manager():
            self.roster.Widget.pack_configure(fill=fill, expand=page)
        self._draw_people_button()
        self.window.TKroot.update_idletasks()
        self._fit()

    def _fit(self) -> None:
        """Cut and break texts to the width of the middle column."""
        width = self._middle_width()
        self.header.fit(width)
        self.banners.fit(width, self._size[1])
        self.answer_bar.fit(width)
        self.status.fit(self._size[0])
        self._fit_quiet()

    def _middle_width(self) -> int:
        width = self._size[0] or self.kit.px(SIZE[0])
        people = 0 if self._narrow or not self._wide_people else self.roster.Widget.winfo_reqwidth() + 1
        return width - self.left.width() - 1 - people

    def _fit_quiet(self) -> None:
        if self._quiet is not None and self._size[1]:
            strips = self.banners.Widget
            strips.update_idletasks()
            taken = self.kit.px(65 + 92 + 26) + (strips.winfo_reqheight() if self.banners.banners else 0)
            self.quiet_panel.fit(self._middle_width(), self._size[1] - taken)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw_people_button(self) -> None:
        if self.window is None:
            return
        self.header.count_people(len(self._people), self._narrow, self._wide_people)


def _stopping(act: Callable[[], None]) -> Callable[[Any], str]:
    def run(event: Any) -> str:
        act()
        return "break"

    return run
