"""A column of rows with a picture, two lines and a mark at the right: people, rooms.  One canvas, drawn from data.

The rows are given whole and drawn anew when they change.  Works by mouse and by keyboard: Up, Down, Return, space.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from gui import art, theme
from gui.psg import sg
from gui.view.dressing import has_focus
from gui.view.kit import Kit, ThinBar


@dataclass(frozen=True, slots=True)
class Row:
    """One row.  `heading` makes it a small title instead.  Texts are safe to show.

    `mark` is an icon at the right with its colour; `badge` a number in a pill there; `when` a time on the first line.
    """

    key: Hashable
    title: str
    text: str = ""
    fp: bytes = b""
    square: bool = False
    presence: art.Presence = ""
    text_colour: str = ""
    text_icon: str = ""
    when: str = ""
    badge: str = ""
    mark: tuple[str, str] = ("", "")
    chosen: bool = False
    heading: bool = False


class RowList(sg.Column):
    """The rows as an element.  `act` gets the key of a row that was clicked; None makes them plain to look at."""

    def __init__(
        self,
        kit: Kit,
        *,
        width: float,
        row_height: float = 56,
        avatar: float = 36,
        ground: str = "",
        act: Callable[[Hashable], None] | None = None,
        key: Any = None,
        tinted: bool = False,
    ):
        self.kit, self.act, self.tinted = kit, act, tinted
        self.ground = ground or kit.p.side
        self.row_height, self.avatar, self.wide = kit.px(row_height), avatar, kit.px(width)
        self._rows: tuple[Row, ...] = ()
        self._spots: list[tuple[int, int, Row]] = []  # top, bottom
        self._over: Hashable = None
        self._at: Hashable = None
        self._slim = False
        self._ready = False
        self._drawn_at = 0.0
        self.canvas = sg.Canvas(size=(self.wide - kit.px(8), 40), key=key, pad=(0, 0), expand_x=True, expand_y=True)
        self.bar = ThinBar(kit)
        super().__init__([[self.canvas, self.bar]], pad=(0, 0), expand_x=True, expand_y=True,
                         background_color=self.ground)  # fmt: skip

    def dress(self, ground: str) -> None:
        """Listen, and draw what was given so far."""
        if self._ready:
            return
        self._ready = True
        canvas = self.canvas.Widget
        canvas.configure(bg=self.ground, bd=0, highlightthickness=0, takefocus=1 if self.act else 0)
        self.bar.dress(self.ground)
        self.bar.attach(canvas)
        canvas.configure(yscrollcommand=self._scrolled)
        for name, do in (("<Configure>", self._draw), ("<Motion>", self._move), ("<Leave>", self._leave),
                         ("<ButtonRelease-1>", self._click), ("<Button-4>", lambda e: self._wheel(-1)),
                         ("<Button-5>", lambda e: self._wheel(1)), ("<Up>", lambda e: self._step(-1)),
                         ("<MouseWheel>", lambda e: self._wheel(-1 if e.delta > 0 else 1)),
                         ("<Down>", lambda e: self._step(1)), ("<Return>", self._type), ("<space>", self._type),
                         ("<FocusIn>", self._enter), ("<FocusOut>", self._draw)):  # fmt: skip
            canvas.bind(name, do)
        self._draw()

    def set_rows(self, rows: Sequence[Row], slim: bool | None = None) -> None:
        """Show these rows; `slim` shows the pictures only."""
        slim = self._slim if slim is None else slim
        if tuple(rows) == self._rows and slim == self._slim:
            return
        self._rows, self._slim = tuple(rows), slim
        if self._ready:
            self._draw()

    def rows(self) -> tuple[Row, ...]:
        """Return what is shown."""
        return self._rows

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self, event: Any = None) -> None:
        kit, canvas = self.kit, self.canvas.Widget
        canvas.delete("all")
        canvas.kept = []
        self._spots.clear()
        width = canvas.winfo_width()
        if width < 10:
            width = self.wide - kit.px(8)
        rows = [row for row in self._rows if not (row.heading and self._slim)]
        heights = [kit.px(36) if row.heading else self.row_height for row in rows]
        canvas.configure(scrollregion=(0, 0, width, max(sum(heights), 1)))
        top, bottom = canvas.canvasy(0), canvas.canvasy(max(canvas.winfo_height(), canvas.winfo_reqheight()))
        self._drawn_at = top
        y = 0
        for row, height in zip(rows, heights, strict=True):
            if y + height <= top or y >= bottom:  # two hundred avatars at once would take a second
                if not row.heading:
                    self._spots.append((y, y + height, row))
            elif row.heading:
                canvas.create_text(kit.px(20), y + kit.px(10), text=row.title, anchor="nw", fill=kit.p.soft,
                                   font=kit.font(theme.SMALL, bold=True))  # fmt: skip
            else:
                self._row(canvas, row, y, width, height)
                self._spots.append((y, y + height, row))
            y += height

    def _scrolled(self, first: str, last: str) -> None:
        self.bar.set(first, last)
        if self._ready and self.canvas.Widget.canvasy(0) != self._drawn_at:
            self._draw()

    def _row(self, canvas: Any, row: Row, y: int, width: int, height: int) -> None:
        kit, p, px = self.kit, self.kit.p, self.kit.px
        ground = self.ground
        focused = row.key == self._at and has_focus(canvas)
        if row.chosen or focused or (row.key == self._over and self.act):
            ground = p.tint if row.chosen else p.hover
            spare = px(8) if self._slim else px(9)
            box = kit.box(width - spare, height - px(4), theme.RADIUS_STRIP, ground, p.accent if focused else "")
            canvas.create_image(spare, y + px(2), image=box, anchor="nw")
        if row.chosen and self._slim:
            canvas.create_rectangle(0, y + px(12), px(4), y + height - px(12), fill=p.accent, width=0)
        left = (width + px(8) - px(self.avatar)) // 2 if self._slim else px(20)
        picture = kit.avatar(row.fp, self.avatar, square=row.square, presence=row.presence, ring=ground)
        canvas.create_image(left, y + height // 2, image=picture, anchor="w")
        canvas.kept.append(picture)
        if self._slim:
            if row.badge:
                self._badge(canvas, row.badge, left + px(self.avatar), y + px(14))
            return
        x, right = left + px(self.avatar + 12), width - px(12)
        first, second = y + height // 2 - px(9), y + height // 2 + px(11)
        bold, small = kit.font(theme.BODY, bold=True), kit.font(theme.SMALL)
        if row.mark[0]:
            canvas.create_image(right, y + height // 2, anchor="e", image=kit.icon(row.mark[0], 18, row.mark[1]))
            right -= px(26)
        edge = right
        if row.when:
            colour, font = (p.accent_text, kit.font(theme.SMALL, bold=True)) if row.badge else (p.soft, small)
            canvas.create_text(right, first, text=row.when, anchor="e", fill=colour, font=font)
            edge -= kit.measure(row.when, font) + px(8)
        canvas.create_text(
            x, first, text=kit.line(kit.clip(row.title, bold, edge - x)), anchor="w", fill=p.text, font=bold
        )
        if row.badge:
            right -= self._badge(canvas, row.badge, right, second) + px(6)
        colour = row.text_colour or (p.text if row.badge else p.soft)
        if row.text_icon:
            canvas.create_image(x, second, anchor="w", image=kit.icon(row.text_icon, 14, colour))
            x += px(20)
        if row.text:
            canvas.create_text(
                x, second, text=kit.line(kit.clip(row.text, small, right - x)), anchor="w", fill=colour, font=small
            )

    def _badge(self, canvas: Any, text: str, right: int, middle: int) -> int:
        kit, font = self.kit, self.kit.font(theme.TINY, bold=True)
        width = max(kit.px(20), kit.measure(text, font) + kit.px(12))
        canvas.create_image(right, middle, anchor="e", image=kit.box(width, kit.px(20), 10, kit.p.accent))
        canvas.create_text(right - width // 2, middle, text=text, fill=kit.p.on_accent, font=font)
        return width

    # -- the mouse and the keyboard ----------------------------------------------------------------------------------

    def _at_y(self, y: int) -> Row | None:
        real = self.canvas.Widget.canvasy(y)
        return next((row for top, bottom, row in self._spots if top <= real < bottom), None)

    def _move(self, event: Any) -> None:
        row = self._at_y(event.y)
        key = row.key if row else None
        if key != self._over:
            self._over = key
            event.widget.configure(cursor="hand2" if row and self.act else "")
            if self.act:
                self._draw()

    def _leave(self, event: Any) -> None:
        if self._over is not None:
            self._over = None
            self._draw()

    def _click(self, event: Any) -> None:
        row = self._at_y(event.y)
        if row and self.act:
            self.act(row.key)

    def _wheel(self, by: int) -> str:
        if self.bar.span[1] - self.bar.span[0] < 0.999:
            self.canvas.Widget.yview_scroll(by * 2, "units")
        return "break"

    def _enter(self, event: Any) -> None:
        """Let the keyboard begin at the row that is chosen, so that it is seen where it is."""
        keys = [row.key for *_, row in self._spots]
        if keys and self._at not in keys:
            self._at = next((row.key for *_, row in self._spots if row.chosen), keys[0])
        self._draw()

    def _step(self, by: int) -> str:
        keys = [row.key for *_, row in self._spots]
        if keys and self.act:
            at = keys.index(self._at) + by if self._at in keys else 0
            self._at = keys[min(max(at, 0), len(keys) - 1)]
            self._draw()
            top = next(top for top, _, row in self._spots if row.key == self._at)
            height = max(1, int(str(self.canvas.Widget.cget("scrollregion")).split()[3]))
            if not self.bar.span[0] * height <= top <= self.bar.span[1] * height - self.row_height:
                self.canvas.Widget.yview_moveto(top / height)
        return "break"

    def _type(self, event: Any) -> str:
        if self._at is not None and self.act:
            self.act(self._at)
        return "break"
