"""A question with two answers."""

from __future__ import annotations

from gui.events import Emit, Sheet, SheetClosed
from gui.psg import sg
from gui.shown import ConfirmState
from gui.view.kit import Kit, Rows
from gui.view.page_window import make_window

WIDTH = 420


class ConfirmSheet:
    """The answer that does nothing is the default when the other can't be undone."""

    def __init__(self, kit: Kit, state: ConfirmState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p, state = self.kit, self.kit.p, self.state
        self.no = kit.button("Cancel", kind="outline", command=self._no, height=42, width=110)
        self.yes = kit.button(
            state.yes, kind="danger" if state.danger else "main", command=self._yes, height=42, width=150
        )
        return [
            [
                kit.panel(
                    [
                        [kit.text(state.title, size=19, bold=True, wrap=WIDTH)],
                        [kit.text(state.text, colour=p.soft, wrap=WIDTH, pad=(0, (10, 24)))],
                        [self.no, kit.push(), self.yes],
                        [kit.gap(WIDTH, 1)],
                    ],
                    pad=(29, (26, 24)),
                )
            ]
        ]

    def attach(self, window: sg.Window) -> None:
        """Put the keyboard on the default answer."""
        self.window = window
        window.first = (self.no if self.state.danger else self.yes).Widget

    def tell(self, state: ConfirmState) -> None:
        """Do nothing: another question is another sheet."""

    def _yes(self) -> None:
        self.emit(self.state.event)

    def _no(self) -> None:
        self.emit(SheetClosed(Sheet.CONFIRM))


def open_confirm(kit: Kit, state: ConfirmState, emit: Emit, parent: sg.Window) -> tuple[ConfirmSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = ConfirmSheet(kit, state, emit)
    window = make_window(kit, "Parley", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
