"""The column of rooms at the left of the room page, oneself at its foot; in a narrow window a rail of pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from gui import theme
from gui.events import CloseRoom, Emit, OpenRecent
from gui.psg import safe_name
from gui.shown import LogItem, MessageItem, RoomState
from gui.view.elements import Panel
from gui.view.kit import Kit, show
from gui.view.menu import popup
from gui.view.rows import Row, RowList

WIDTH, RAIL = 264, 72
GEAR = "This room: words, report, look, leaving"

Entries = list[tuple[str, Callable[[], None]]]


class RoomsColumn(Panel):
    """The rooms.  `entries` are those of the menu behind the gear, when it is opened."""

    def __init__(self, kit: Kit, state: RoomState, emit: Emit, entries: Callable[[], Entries]):
        p = kit.p
        self.kit, self.state, self.emit, self._entries = kit, state, emit, entries
        self._preview = ("", "")  # what is said of this room: text, time
        self._door = self._line = ""
        self._narrow = False
        self.title = kit.text("Rooms", size=theme.HEAD, bold=True)
        self.plus = kit.icon_button("plus", tooltip="Another room", command=lambda: emit(CloseRoom()))
        self.list = RowList(kit, width=WIDTH, row_height=68, avatar=40, act=self._open_room)
        name = kit.clip(state.own_name, kit.font(theme.BODY, True), kit.px(130))
        self.own_words = kit.panel(
            [[kit.text(name, bold=True, name=True)], [kit.text("You", size=theme.SMALL, colour=p.soft)]]
        )
        self.own_face = kit.picture()
        self.gear = kit.icon_button("gear", tooltip=GEAR, command=self.open_menu)
        self.rail_gear = kit.icon_button("gear", tooltip=GEAR, command=self.open_menu)
        self.rail_gap = kit.gap(18, 44)
        self.head_gaps = (kit.gap(21, 62), kit.gap(12))
        self.foot_gaps = (kit.gap(20, 56), kit.gap(12), kit.gap(12))
        self.foot_push, self.head_push = kit.push(), kit.push()
        super().__init__(
            kit,
            [
                [self.head_gaps[0], self.title, self.head_push, self.plus, self.head_gaps[1]],
                [self.list],
                [kit.rule()],
                [self.foot_gaps[0], self.own_face, self.foot_gaps[1], self.own_words, self.foot_push, self.gear,
                 self.foot_gaps[2]],
                [self.rail_gap, self.rail_gear],
            ],
            None, ground=p.side, pad=(0, 0), expand_x=False, expand_y=True, justify="left", align="top",
        )  # fmt: skip

    def attach(self) -> None:
        """Draw one's own face."""
        kit = self.kit
        self.own_face.set(kit.face(self.state.own_fp, kit.px(36), presence="here", ring=kit.p.side))

    def width(self) -> int:
        """Return how many pixels it takes."""
        return self.kit.px(RAIL if self._narrow else WIDTH)

    def note(self, items: Sequence[LogItem]) -> None:
        """Say what was said last in this room."""
        for item in reversed(items):
            if isinstance(item, MessageItem):
                name = "You" if item.own else item.name
                self._preview = (f"{name}: {item.text[:200]}", item.clock)
                break
        self._draw()

    def tell(self, line: str) -> None:
        """Say this of the room until something is said in it."""
        self._line = line
        self._draw()

    def knock(self, title: str) -> None:
        """Say who is at the door, or nothing."""
        self._door = title
        self._draw()

    def arrange(self, narrow: bool) -> None:
        """Be a rail, or a column."""
        self._narrow, px = narrow, self.kit.px
        wide = (self.title, self.own_words, self.gear, self.head_gaps[1], self.head_push, *self.foot_gaps[1:])
        for element in wide:
            show(element, not narrow)
        self.head_gaps[0].Widget.configure(width=px(18 if narrow else 21))
        self.foot_gaps[0].Widget.configure(width=px(18 if narrow else 20))
        for element in (self.rail_gap, self.rail_gear):
            show(element, narrow)
        self.list.canvas.Widget.configure(width=self.width() - px(8))
        self._draw()

    def open_menu(self) -> None:
        """Show the menu above the gear that is seen."""
        widget = (self.rail_gear if self._narrow else self.gear).Widget
        popup(self.kit, widget, self._entries(), widget.winfo_rootx(), widget.winfo_rooty(), above=True)

    def _open_room(self, key: Hashable) -> None:
        if key != self.state.room_id and isinstance(key, bytes):
            self.emit(OpenRecent(key, self.state.own_name))

    def _draw(self) -> None:
        state, p = self.state, self.kit.p
        text, when = self._preview
        own = Row(
            state.room_id, safe_name(state.title), self._door or text or self._line, fp=state.room_id,
            square=True, when=when, chosen=True, text_colour=p.accent_text if self._door else "",
            text_icon="door" if self._door else "", badge="!" if self._door and self._narrow else "",
        )  # fmt: skip
        others = [
            Row(one.room_id, safe_name(one.title), safe_name(one.detail), fp=one.room_id, square=True, when=one.when)
            for one in state.rooms
            if one.room_id != state.room_id
        ]
        self.list.set_rows([own, *others], slim=self._narrow)
