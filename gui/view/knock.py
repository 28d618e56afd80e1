"""The two sides of a door: the sheet of who may let in, and the page of who waits.  Both show the same eight words."""

from __future__ import annotations

from typing import Any

from PIL import Image

from gui import art, theme
from gui.events import AnotherRoom, Emit, LetIn, Sheet, SheetClosed, StopWaiting, TurnAway
from gui.psg import sg
from gui.shown import KnockState, WaitingState
from gui.view.dressing import outer
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import WordGrid, centred, rings
from gui.view.scroller import Scroller

WIDTH, SLIM_WIDTH = 520, 256  # of the grid of words, in four columns and in two
WIDE = 560  # of a window in which four fit
DOTS, DOT_MS = 3, 450
SAME_WORDS = "You should both see these words"


class KnockSheet:
    """Who is at the door: turn away, or let in."""

    def __init__(self, kit: Kit, state: KnockState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        self.face = kit.picture()
        self.title = kit.text("", size=theme.TITLE, bold=True, wrap=WIDTH - 84)
        self.detail = kit.text("", size=theme.BODY, colour=p.soft, wrap=WIDTH - 84, pad=(0, (6, 0)))
        self.warning = kit.text("", wrap=WIDTH - 90)
        self.warning_card = kit.card(
            [[kit.gap(4), kit.picture(art.icon("warning", kit.px(20), p.bad)), kit.gap(13), self.warning]],
            fill=p.bad_tint, border=p.bad, radius=theme.RADIUS_STRIP, inset=(15, 13), expand_x=True, pad=(0, (18, 0)),
        )  # fmt: skip
        self.grid = WordGrid(kit, width=WIDTH)
        self.ask = kit.text("", bold=True, wrap=WIDTH - 90)
        self.promise = kit.text("", wrap=WIDTH - 90, pad=(0, (5, 0)))
        self.no = kit.button("Turn away", kind="danger", command=self._turn_away, height=44, width=130)
        self.yes = kit.button("Let in", command=self._let_in, height=44, width=160)
        advice = kit.card(
            [[kit.gap(4), kit.picture(art.icon("phone", kit.px(18), p.accent_text)), kit.gap(13),
              kit.panel([[self.ask], [self.promise]])]],
            fill=p.tint, border=p.tint, radius=theme.RADIUS_STRIP, inset=(15, 13), expand_x=True,
        )  # fmt: skip
        return [
            [
                kit.panel(
                    [
                        [self.face, kit.gap(18), kit.panel([[self.title], [self.detail]])],
                        [self.warning_card],
                        [kit.text(SAME_WORDS, bold=True, pad=((1, 0), (24, 10)))],
                        [self.grid],
                        [kit.gap(1, 16)],
                        [advice],
                        [kit.gap(1, 24)],
                        [self.no, kit.push(), self.yes],
                    ],
                    pad=(29, (24, 26)),
                )
            ]
        ]

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life.

        Neither answer is the default of Return: who is let in has to be chosen.
        """
        self.window = window
        self.tell(self.state)
        self.no.Widget.lower(self.yes.Widget)
        window.first = window.TKroot

    def tell(self, state: KnockState) -> None:
        """Show this state."""
        self.state = state
        kit = self.kit
        self.face.set(kit.face(state.fp, kit.px(64)))
        self.title.update(state.title)
        self.detail.update(state.detail)
        self.grid.tell(state.words)
        self.warning.update(state.warning)
        show(self.warning_card, bool(state.warning))
        self.ask.update(state.ask)
        self.promise.update(state.promise)
        self.no.set_words("Close" if state.gone else "Turn away")
        self.no.set_kind("outline" if state.gone else "danger")
        self.yes.set_on(not state.gone)

    def _turn_away(self) -> None:
        self.emit(SheetClosed(Sheet.KNOCK) if self.state.gone else TurnAway(self.state.fp))

    def _let_in(self) -> None:
        self.emit(LetIn(self.state.fp))


class WaitingPage:
    """Implements `gui.pages.WaitingView`."""

    def __init__(self, kit: Kit, state: WaitingState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit
        self.step = 0

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        self.face = kit.picture(rings(kit, self.state.own_fp, 64, (49, 62, 76)))
        self.title = kit.text(self.state.title, size=theme.TITLE, bold=True, pad=(0, (14, 0)))
        self.words = kit.text("", colour=p.soft, wrap=460, justify="center", pad=(0, (7, 0)))
        self.dots = kit.picture()
        self.trouble = kit.text("", size=theme.NOTE, colour=p.warn, icon="offline", wrap=440, pad=(0, (10, 0)))
        self.same = kit.text(SAME_WORDS, bold=True, pad=(0, (22, 10)))
        self.grid, self.slim_grid = WordGrid(kit, width=WIDTH), WordGrid(kit, width=SLIM_WIDTH, across=2)
        self.advice = kit.text("", colour=p.soft, wrap=400, justify="center", pad=(0, (22, 0)))
        self.stop = kit.button(
            "Stop waiting", kind="outline", command=lambda: self.emit(StopWaiting()), height=44, width=160, size=15
        )
        rows: list[list[sg.Element]] = [
            [self.face], [self.title], [self.words], [kit.gap(1, 14)], [self.dots], [self.trouble], [self.same],
            [self.grid], [self.slim_grid], [self.advice], [kit.gap(1, 26)], [self.stop],
        ]  # fmt: skip
        self.back = kit.icon_button(
            "back", tooltip="Back, and go on waiting (Esc)", command=lambda: self.emit(AnotherRoom()), side=36
        )
        self.scroller = Scroller(kit, [centred(kit.panel(rows, justify="center"), kit=kit)], ground=p.ground)
        return [[kit.gap(10, 48), self.back], [self.scroller]]

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life, and start the dots, its only movement."""
        self.window = window
        self.update(self.state)
        show(self.slim_grid, False)
        window.TKroot.bind("<Escape>", lambda event: self.emit(AnotherRoom()))
        window.TKroot.bind("<Configure>", self._fit, add="+")
        self.stop.Widget.focus_set()
        self._move()

    def _fit(self, event: Any) -> None:
        """Put the words in two columns where four don't fit."""
        wide = event.width >= self.kit.px(WIDE)
        if event.widget is self.window.TKroot and wide != bool(outer(self.grid).winfo_manager()):
            show(self.grid, wide)
            show(self.slim_grid, not wide)
            self.scroller.keep()

    def update(self, state: WaitingState) -> None:
        """Show this state."""
        self.state = state
        self.title.update(state.title)
        self.words.update(state.text)
        self.trouble.update(state.connection)
        show(self.trouble, bool(state.connection))
        for grid in (self.grid, self.slim_grid):
            grid.tell(state.words)
        self.advice.update(state.advice)

    def _move(self) -> None:
        self.step = (self.step + 1) % (DOTS + 1)
        self.dots.set(_dots(self.kit, self.step))
        self.dots.Widget.after(DOT_MS, self._move)  # ends with the widget


def _dots(kit: Kit, lit: int) -> Image.Image:
    side, apart = kit.px(8), kit.px(16)
    image = Image.new("RGBA", (apart * (DOTS - 1) + side, side), kit.p.ground + "00")
    for number in range(DOTS):
        colour = kit.p.accent if number < lit else kit.p.off
        image.alpha_composite(art.box(side, side, side // 2, colour), (number * apart, 0))
    return image


def open_knock(kit: Kit, state: KnockState, emit: Emit, parent: sg.Window) -> tuple[KnockSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = KnockSheet(kit, state, emit)
    window = make_window(kit, "Somebody is knocking", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window


def open_waiting(kit: Kit, state: WaitingState, emit: Emit, **where: Any) -> tuple[WaitingPage, sg.Window]:
    """Make the page in a window of its own."""
    page = WaitingPage(kit, state, emit)
    window = make_window(
        kit, "Knocking — Parley", page.layout(), size=(600, 640), least=(480, 420), resizable=True, **where
    )
    page.attach(window)
    return page, window
