"""The sheet in which a room's owner sets its steady rhythm."""

from __future__ import annotations

from gui import theme
from gui.events import Emit, SetSteady, Sheet, SheetClosed
from gui.psg import sg
from gui.shown import SteadyState
from gui.view.choice import Choice, group
from gui.view.kit import Kit, Rows
from gui.view.page_window import make_window

WIDTH = 420


class SteadySheet:
    """One choice for each rhythm, with its price."""

    def __init__(self, kit: Kit, state: SteadyState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p, state = self.kit, self.kit.p, self.state
        self.choices = {
            period_s: Choice(kit, text, value=period_s == state.period_s, round_mark=True, wrap=WIDTH - 40)
            for period_s, text in state.choices
        }
        self.no = kit.button("Cancel", kind="outline", command=self._no, height=42, width=110)
        self.yes = kit.button("Set for everyone", command=self._set, height=42, width=170)
        return [
            [
                kit.panel(
                    [
                        [kit.text("Steady rhythm", size=19, bold=True, wrap=WIDTH)],
                        [kit.text(state.what, wrap=WIDTH, pad=(0, (8, 0)))],
                        [kit.text(state.hides, colour=p.soft, wrap=WIDTH, pad=(0, (8, 10)))],
                        *[[choice] for choice in self.choices.values()],
                        [kit.text(state.cost, size=theme.NOTE, colour=p.soft, wrap=WIDTH, pad=(0, (8, 16)))],
                        [self.no, kit.push(), self.yes],
                        [kit.gap(WIDTH, 1)],
                    ],
                    pad=(29, (20, 20)),
                )
            ]
        ]

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life; Return sets."""
        self.window = window
        group(*self.choices.values())
        window.TKroot.bind("<Return>", lambda event: self._set())
        window.first = self.choices[self.state.period_s].Widget

    def tell(self, state: SteadyState) -> None:
        """Show what is set now, unless the person has begun to choose."""
        if self._chosen() == self.state.period_s and state.period_s in self.choices:
            for period_s, choice in self.choices.items():
                choice.set(period_s == state.period_s)
        self.state = state

    def _chosen(self) -> int:
        return next(period_s for period_s, choice in self.choices.items() if choice.value)

    def _set(self) -> None:
        self.emit(SetSteady(self._chosen()))

    def _no(self) -> None:
        self.emit(SheetClosed(Sheet.STEADY))


def open_steady(kit: Kit, state: SteadyState, emit: Emit, parent: sg.Window) -> tuple[SteadySheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = SteadySheet(kit, state, emit)
    window = make_window(kit, "Steady rhythm", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
