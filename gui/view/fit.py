"""How high a sheet is: as its lists want, and on a low screen the lists scroll the sooner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui.psg import sg
from gui.view.kit import Kit, ThinBar, show
from gui.view.page_window import BARS


@dataclass(frozen=True, slots=True)
class FitList:
    """A canvas with `count` rows of `row` pixels: at most so many are shown, and on the lowest of screens the least."""

    canvas: sg.Canvas
    bar: ThinBar
    row: int
    count: int
    most: int
    least: int


def fit(kit: Kit, window: sg.Window, lists: list[FitList]) -> list[bool]:
    """Make a sheet as high as its lists want and the screen has; the first gives way first.  Says which scroll."""
    top: Any = window.TKroot
    shown = [min(one.count, one.most) for one in lists]
    for one, rows in zip(lists, shown, strict=True):
        one.canvas.Widget.configure(height=max(1, rows * kit.px(one.row)))
    top.update_idletasks()
    over = top.winfo_reqheight() - (top.winfo_screenheight() - kit.px(BARS))
    for at, one in enumerate(lists):
        if over > 0 and shown[at]:
            row = kit.px(one.row)
            fewer = max(min(shown[at], one.least), shown[at] + (-over // row))
            one.canvas.Widget.configure(height=max(1, fewer * row))
            over -= (shown[at] - fewer) * row
            shown[at] = fewer
        show(one.bar, one.count > shown[at])
    top.geometry("")
    return [one.count > rows for one, rows in zip(lists, shown, strict=True)]
