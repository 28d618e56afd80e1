"""The connection report: a calm line first, how long the way was, what was counted, and a file to keep."""

from __future__ import annotations

from typing import Any

from gui import art, theme
from gui.events import Emit, SaveReport, TickNames
from gui.psg import sg
from gui.shown import ReportState, Tone
from gui.view.fit import FitList, fit
from gui.view.kit import Kit, Rows, ThinBar, show
from gui.view.page_window import make_window

WIDTH = 660
CHART, SCALE = 120, 44  # the height of the chart, and the room for its numbers
ROW, LIST_ROWS, LEAST_ROWS = 40, 11, 3
VALUE, LABEL = 84, 190  # from the right edge to the text; from the left edge


class ReportSheet:
    """Told of each new state of the same report."""

    def __init__(self, kit: Kit, state: ReportState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p, state = self.kit, self.kit.p, self.state
        self.detail = kit.text("", colour=p.soft, pad=(0, (5, 14)))
        self.mark, self.calm = kit.picture(), kit.text("", bold=True, wrap=WIDTH - 80)
        self.band = kit.card([[self.mark, kit.gap(12), self.calm]], inset=(15, 11), expand_x=True,
                             radius=theme.RADIUS_STRIP, border="", fill=p.good_tint)  # fmt: skip
        self.chart_title = kit.text("Round trip in milliseconds", size=theme.NOTE, bold=True, colour=p.soft,
                                    pad=(0, (16, 6)))  # fmt: skip
        self.chart = sg.Canvas(size=(kit.px(WIDTH), kit.px(CHART)), pad=(0, 0))
        self.table, self.bar = sg.Canvas(size=(kit.px(WIDTH - 32), 1), pad=(0, 0), expand_x=True), ThinBar(kit)
        self.card = kit.card([[self.table, self.bar]], inset=(14, 6), fill=p.ground, expand_x=True, pad=(0, (14, 0)))
        self.place = kit.field(
            "-REPORT-PLACE-", value=state.place, height=40, size=theme.NOTE, width=200, expand_x=True
        )
        self.names = kit.button("", kind="link", icon="box", command=lambda: self.emit(TickNames()))
        self.said = kit.text("", size=theme.NOTE, colour=p.soft, wrap=WIDTH, pad=(0, (8, 0)))
        self.save = kit.button("Save report", command=self._save, height=40, width=130)
        return [
            [
                kit.panel(
                    [
                        [kit.text(state.title, size=theme.TITLE, bold=True)],
                        [self.detail],
                        [self.band],
                        [self.chart_title],
                        [self.chart],
                        [self.card],
                        [kit.gap(WIDTH, 8)],
                        [self.names],
                        [self.place, kit.gap(10), self.save],
                        [self.said],
                    ],
                    pad=(29, (24, 20)),
                )
            ]
        ]

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life."""
        self.window, canvas, p = window, self.table.Widget, self.kit.p
        canvas.configure(highlightthickness=1, highlightcolor=p.accent, highlightbackground=p.ground, bd=0, takefocus=1,
                         bg=p.ground)  # fmt: skip
        self.chart.Widget.configure(highlightthickness=0, bd=0, bg=p.ground)
        self.bar.attach(canvas)
        for keys, by in (("<Button-4>", -1), ("<Button-5>", 1), ("<Up>", -1), ("<Down>", 1)):
            canvas.bind(keys, lambda event, by=by: canvas.yview_scroll(by, "units"))
        canvas.bind("<MouseWheel>", lambda event: canvas.yview_scroll(-1 if event.delta > 0 else 1, "units"))
        self.place.input.Widget.bind("<Return>", lambda event: self._save())
        self.tell(self.state)
        window.first = self.save.Widget

    def tell(self, state: ReportState) -> None:
        """Show this state."""
        self.state = state
        kit, p = self.kit, self.kit.p
        self.detail.update(kit.clip(state.detail, kit.font(theme.BODY), kit.px(WIDTH)))
        good = state.tone is Tone.GOOD
        self.band.paint(fill=p.good_tint if good else p.warn_tint)
        colour, icon = (p.good, "tick") if good else (p.warn, "warning")
        self.mark.set(art.icon(icon, kit.px(20), colour))
        self.calm.update(state.calm)
        drawn = len(state.points) > 1
        show(self.chart_title, drawn)
        show(self.chart, drawn)
        if drawn:
            self._draw_chart()
        self._draw_table()
        self.names.icon = "box_ticked" if state.names else "box"
        self.names.set_words("With the names of the room and its people", fit=True)
        self.said.update(state.said or state.foot, colour=p.bad if state.bad else p.soft)
        fit(kit, self.window, [FitList(self.table, self.bar, ROW, len(state.rows), LIST_ROWS, LEAST_ROWS)])

    def _save(self) -> None:
        self.emit(SaveReport(self.place.input.TKStringVar.get().strip()))

    def _draw_chart(self) -> None:
        kit, p, canvas, state = self.kit, self.kit.p, self.chart.Widget, self.state
        canvas.delete("all")
        left, right, top, low = kit.px(SCALE), kit.px(WIDTH - 8), kit.px(20), kit.px(CHART - 20)
        most = max(10, *(ms for _, ms in state.points))
        small = kit.font(theme.SMALL)

        def at(x: float, ms: float) -> tuple[float, float]:
            return left + x * (right - left), low - ms / most * (low - top)

        for share in (0, 0.5, 1):
            _, y = at(0, most * share)
            canvas.create_line(left, y, right, y, fill=p.line)
            canvas.create_text(left - kit.px(8), y, text=str(round(most * share)), font=small, fill=p.soft, anchor="e")
        for mark in state.marks:
            x, _ = at(mark.at, 0)
            canvas.create_line(x, top - kit.px(4), x, low, fill=p.warn, width=kit.px(1.5))
        if len(state.marks) == 1:
            x, _ = at(state.marks[0].at, 0)
            anchor = "s" if kit.px(120) < x < kit.px(WIDTH - 90) else "sw" if x <= kit.px(120) else "se"
            canvas.create_text(x, top - kit.px(4), text=state.marks[0].label, font=small, fill=p.warn, anchor=anchor)
        line = [coordinate for x, ms in state.points for coordinate in at(x, ms)]
        canvas.create_line(*line, fill=p.accent_text, width=kit.px(1.5))
        for text, x, anchor in ((state.span[0], left, "nw"), (state.span[1], right, "ne")):
            canvas.create_text(x, low + kit.px(4), text=text, font=small, fill=p.soft, anchor=anchor)

    def _draw_table(self) -> None:
        kit, p, canvas = self.kit, self.kit.p, self.table.Widget
        canvas.delete("all")
        row, right = kit.px(ROW), kit.px(WIDTH - 46)
        bold, small = kit.font(theme.NOTE, bold=True), kit.font(theme.NOTE)
        self.pictures: list[Any] = []
        for number, one in enumerate(self.state.rows):
            y = number * row + row // 2
            picture = kit.icon(one.icon, 17, p.soft)
            self.pictures.append(picture)
            canvas.create_image(0, y, image=picture, anchor="w")
            canvas.create_text(kit.px(30), y, text=one.label, font=bold, fill=p.text, anchor="w")
            text = kit.clip(one.text, small, right - kit.px(LABEL + VALUE))
            canvas.create_text(kit.px(LABEL), y, text=text, font=small, fill=p.soft, anchor="w")
            canvas.create_text(right, y, text=one.value, font=bold, fill=p.text, anchor="e")
            if number:
                canvas.create_line(0, number * row, right, number * row, fill=p.line)
        canvas.configure(scrollregion=(0, 0, 1, len(self.state.rows) * row), yscrollincrement=row)


def open_report(kit: Kit, state: ReportState, emit: Emit, parent: sg.Window) -> tuple[ReportSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = ReportSheet(kit, state, emit)
    window = make_window(kit, f"{state.title} — Parley", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
