"""The words page: eight words to read out on a call, of the whole room or of two people, and who read them too."""

from __future__ import annotations

from typing import Any

from gui import art, theme
from gui.events import Emit, TickWords, WordsDiffer, WordsSame
from gui.psg import sg
from gui.shown import Tone, WordsPerson, WordsState
from gui.view.fit import FitList, fit
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import WordGrid
from gui.view.rows import Row, RowList

WIDTH = 630  # of the grid
WORD = 24  # pixels of a word: it is read from a screen while one holds a telephone
ROW, LIST_ROWS, LEAST_ROWS = 52, 5, 1
SAME, DIFFER, ALONE = "All the same", "Somebody has other words", "The words differ"


class WordsSheet:
    """Made anew for another person's words; told of what changes."""

    def __init__(self, kit: Kit, state: WordsState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        self.title = kit.text("", size=theme.TITLE, bold=True)
        self.detail = kit.text("", colour=p.soft, pad=(0, (5, 16)))
        self.grid = WordGrid(kit, width=WIDTH, size=WORD)
        self.computing = kit.text("", colour=p.soft, icon="clock", pad=(0, (10, 0)))
        self.text = kit.text("", colour=p.soft, wrap=WIDTH - 4, pad=(0, (14, 0)))
        self.since = kit.text("", colour=p.accent_text, icon="info", wrap=WIDTH - 30, pad=(0, (10, 0)))
        self.advice = kit.text("", wrap=WIDTH - 90)
        self.warning = kit.card(
            [[kit.picture(art.icon("warning", kit.px(20), p.bad)), kit.gap(12), self.advice]],
            fill=p.bad_tint, border=p.bad, radius=theme.RADIUS_STRIP, inset=(15, 12), expand_x=True, pad=(0, (14, 0)),
        )  # fmt: skip
        self.heading = kit.text("", bold=True, pad=(0, (18, 8)))
        self.list = RowList(kit, width=WIDTH - 12, row_height=ROW, avatar=36, ground=p.ground, act=self._choose)
        self.people = kit.card([[self.list]], fill=p.ground, inset=(4, 4), expand_x=True)
        self.differ = kit.button(DIFFER, kind="danger", command=lambda: self.emit(WordsDiffer()), height=44)
        self.result = kit.text("", size=theme.NOTE, colour=p.soft, wrap=WIDTH - 420)
        self.same = kit.button(SAME, command=lambda: self.emit(WordsSame()), height=44, width=150)
        return [
            [
                kit.panel(
                    [
                        [self.title],
                        [self.detail],
                        [self.grid],
                        [self.computing],
                        [self.text],
                        [self.since],
                        [self.warning],
                        [self.heading],
                        [self.people],
                        [kit.gap(WIDTH, 20)],
                        [self.differ, kit.push(), self.result, kit.gap(16), self.same],
                    ],
                    pad=(29, (24, 26)),
                )
            ]
        ]

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life.  Nothing is the default of Return: that words are the same has to be said."""
        self.window = window
        self.tell(self.state)
        window.first = window.TKroot

    def tell(self, state: WordsState) -> None:
        """Show this state of the same words."""
        self.state = state
        kit = self.kit
        self.title.update(kit.clip(state.title, kit.font(theme.TITLE, bold=True), kit.px(WIDTH)))
        self.detail.update(kit.clip(state.detail, kit.font(theme.BODY), kit.px(WIDTH)))
        self.grid.tell(state.words)
        for words, text in (
            (self.computing, state.computing),
            (self.text, state.text),
            (self.since, state.since),
            (self.heading, state.heading),
            (self.result, state.result),
        ):
            words.update(text)
            show(words, bool(text))
        self.advice.update(state.advice)
        show(self.warning, bool(state.advice))
        show(self.people, bool(state.people))
        self.differ.set_words(ALONE if state.pair else DIFFER, fit=True)
        show(self.differ, bool(state.people) and bool(state.words) and not state.choosing)
        self.same.set_on(state.ready)
        show(self.same, bool(state.people) and not state.choosing)
        rows = FitList(self.list.canvas, self.list.bar, ROW, len(state.people), LIST_ROWS, LEAST_ROWS)
        fit(self.kit, self.window, [rows])
        self.list.set_rows([self._row(person) for person in state.people])

    def _row(self, person: WordsPerson) -> Row:
        p = self.kit.p
        colour = self.kit.tones[person.tone]
        mark = ("box_ticked", p.accent) if person.ticked else ("box", p.soft)
        if self.state.choosing:
            mark = ("chevron_right", p.soft)
        icon = {Tone.GOOD: "shield_check", Tone.BAD: "warning"}.get(person.tone, "")
        return Row(
            person.fp, person.name, person.detail, fp=person.fp, text_colour=colour, text_icon=icon, mark=mark
        )  # fmt: skip

    def _choose(self, key: Any) -> None:
        self.emit(TickWords(key))


def open_words(kit: Kit, state: WordsState, emit: Emit, parent: sg.Window) -> tuple[WordsSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = WordsSheet(kit, state, emit)
    window = make_window(kit, f"{state.title} — Parley", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
