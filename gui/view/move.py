"""The sheet in which a room's owner moves it to another relay."""

from __future__ import annotations

from gui import theme
from gui.events import Emit, MoveRoom, Sheet, SheetClosed
from gui.psg import sg
from gui.shown import Check, MoveState
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import Remark, press_on_return

WIDTH = 420
LINE = "-MOVE-LINE-"


class MoveSheet:
    """Takes the line of the new relay."""

    def __init__(self, kit: Kit, state: MoveState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p, state = self.kit, self.kit.p, self.state
        self.line = kit.field(LINE, value=state.line, placeholder="parley:relay/…", expand_x=True, height=44)
        self.problem = Remark(kit, wrap=WIDTH - 30)
        self.waiting = kit.text("", size=theme.NOTE, colour=p.soft, icon="clock", pad=((3, 0), (8, 0)))
        self.no = kit.button("Cancel", kind="outline", command=self._no, height=42, width=110)
        self.yes = kit.button("Move everyone", command=self._move, height=42, width=170)
        return [
            [
                kit.panel(
                    [
                        [kit.text("Move to another relay", size=19, bold=True, wrap=WIDTH)],
                        [kit.text(state.where, wrap=WIDTH, pad=(0, (8, 0)))],
                        [kit.text("The line that the new relay printed", size=theme.NOTE, bold=True,
                                  pad=((3, 0), (14, 7)))],
                        [self.line],
                        [self.problem],
                        [self.waiting],
                        [kit.text(state.follows, wrap=WIDTH, pad=(0, (14, 0)))],
                        [kit.text(state.sees, colour=p.soft, wrap=WIDTH, pad=(0, (8, 18)))],
                        [self.no, kit.push(), self.yes],
                        [kit.gap(WIDTH, 1)],
                    ],
                    pad=(29, (20, 20)),
                )
            ]
        ]  # fmt: skip

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life; Return moves."""
        self.window = window
        press_on_return(window[LINE].Widget, self.yes)
        self.tell(self.state)
        window.first = window[LINE].Widget

    def tell(self, state: MoveState) -> None:
        """Show what came of it; what was pasted stays."""
        self.state = state
        self.problem.tell(Check(False, state.problem) if state.problem else Check())
        self.line.fail(bool(state.problem))
        self.waiting.update(state.busy)
        show(self.waiting, bool(state.busy))
        self.yes.set_on(not state.busy)

    def _move(self) -> None:
        self.emit(MoveRoom(str(self.window[LINE].get())))

    def _no(self) -> None:
        self.emit(SheetClosed(Sheet.MOVE))


def open_move(kit: Kit, state: MoveState, emit: Emit, parent: sg.Window) -> tuple[MoveSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = MoveSheet(kit, state, emit)
    window = make_window(kit, "Move to another relay", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
