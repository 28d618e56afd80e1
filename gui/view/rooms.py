"""The column of rooms at the left of the room page, oneself at its foot; in a narrow window a rail of pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from gui import theme
from gui.events import AnotherRoom, Emit, OpenRecent
from gui.psg import safe_name
from gui.shown import RoomRow, RoomState, Tone
from gui.view.elements import Panel
from gui.view.kit import Kit, show
from gui.view.menu import popup
from gui.view.rows import Row, RowList

WIDTH, RAIL = 264, 72
GEAR = "This room: words, report, look, leaving"
NOT_OPEN = "Not open: you are away there"

Entries = list[tuple[str, Callable[[], None]]]


class RoomsColumn(Panel):
    """The rooms.  `entries` are those of the menu behind the gear, when it is opened."""

    def __init__(self, kit: Kit, state: RoomState, emit: Emit, entries: Callable[[], Entries]):
        p = kit.p
        self.kit, self.state, self.emit, self._entries = kit, state, emit, entries
        self._rooms: Sequence[RoomRow] = ()
        self._narrow = False
        self.title = kit.text("Rooms", size=theme.HEAD, bold=True)
        self.plus = kit.icon_button(
            "plus", tooltip="Another room: join or create one (Ctrl+N)", command=lambda: emit(AnotherRoom())
        )
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

    def show_rooms(self, rooms: Sequence[RoomRow]) -> None:
        """Show these rooms."""
        self._rooms = rooms
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
            self.emit(OpenRecent(key))

    def _draw(self) -> None:
        rows = [self._row(room) for room in self._rooms]
        at = next((at for at, room in enumerate(self._rooms) if not room.is_open), None)
        if at is not None:
            rows.insert(at, Row(NOT_OPEN, NOT_OPEN, heading=True))
        self.list.set_rows(rows, slim=self._narrow)

    def _row(self, room: RoomRow) -> Row:
        badge = str(room.unread) if room.unread else ""
        colour, icon = mark(self.kit, room)
        return Row(
            room.room_id, safe_name(room.title), safe_name(room.detail), fp=room.room_id, square=True, when=room.when,
            chosen=room.room_id == self.state.room_id, text_colour=colour, text_icon=icon,
            badge="!" if (room.knock or room.tone is Tone.BAD) and self._narrow else badge,
        )  # fmt: skip


def mark(kit: Kit, room: RoomRow) -> tuple[str, str]:
    """Return colour and icon of what is said of a room, where it is more than plain."""
    if room.knock:
        return kit.p.accent_text, "door"
    return {Tone.WARN: (kit.p.warn, "offline"), Tone.BAD: (kit.p.bad, "warning")}.get(room.tone, ("", ""))
