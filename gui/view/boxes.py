"""The elements of the kit that are drawn as boxes: cards, text fields, the scrollbar.  Made through `kit.Kit`."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gui import theme
from gui.psg import sg
from gui.view.dressing import dress, has_focus
from gui.view.elements import Rows, scaled_pad

if TYPE_CHECKING:
    from gui.view.kit import Kit


class Card(sg.Column):
    """A group of rows on a rounded box, which is a picture placed behind them and drawn anew for each size.

    `inset` is the space (across, down) between the edge and the rows; `paint` changes the colours.
    """

    def __init__(
        self,
        kit: Kit,
        rows: Rows,
        *,
        key: Any = None,
        fill: str = "",
        border: str | None = None,
        radius: float = theme.RADIUS_CARD,
        inset: tuple[float, float] = (16, 14),
        pad: Any = (0, 0),
        expand_x: bool = False,
        expand_y: bool = False,
        justify: str = "left",
        align: str = "center",
    ):
        self.kit = kit
        self.ground = fill or kit.p.side
        self.border = kit.p.line if border is None else border
        self.radius = radius
        self.inset = (kit.px(inset[0]), kit.px(inset[1]))
        self.back: tk.Label | None = None
        self.outside = kit.p.ground
        super().__init__(
            [list(row) for row in rows],
            key=key,
            pad=scaled_pad(kit, pad),
            expand_x=expand_x,
            expand_y=expand_y,
            element_justification=justify,
            vertical_alignment=align,
            background_color=kit.p.ground,
        )

    def dress(self, ground: str) -> None:
        """Put the box behind the rows."""
        self.outside = ground
        self.Widget.configure(bg=ground)
        if self.back is None:
            self.back = tk.Label(self.Widget, bd=0, padx=0, pady=0, highlightthickness=0)
            self.back.place(x=0, y=0, relwidth=1, relheight=1)
            self.back.lower()
            self.Widget.bind("<Configure>", self._draw, add="+")
        self._draw()

    def paint(self, *, fill: str | None = None, border: str | None = None) -> None:
        """Change the colours of the box, and of all that lies on it."""
        if (fill is None or fill == self.ground) and (border is None or border == self.border):
            return
        self.border = self.border if border is None else border
        if fill is not None and fill != self.ground:
            self.ground = fill
            dress(self, fill)
        self._draw()

    def squeeze(self, across: float) -> None:
        """Change the space between the sides and the rows."""
        if self.kit.px(across) != self.inset[0]:
            self.inset = (self.kit.px(across), self.inset[1])
            dress(self, self.ground)

    def _draw(self, event: Any = None) -> None:
        if self.back is None:
            return
        width, height = self.Widget.winfo_width(), self.Widget.winfo_height()
        if width < 3 or height < 3:
            return
        picture = self.kit.box(width, height, self.radius, self.ground, self.border)
        self.back.configure(image=picture, bg=self.outside)
        self.back.kept = picture  # type: ignore[attr-defined]


class Field(Card):
    """A rounded text field of one line: placeholder, focus ring, error state."""

    def __init__(
        self,
        kit: Kit,
        key: Any,
        *,
        placeholder: str,
        value: str,
        width: float,
        height: float,
        password: bool,
        mono: bool,
        read_only: bool,
        size: float,
        trailing: Sequence[sg.Element],
        pad: Any,
        expand_x: bool,
    ):
        p = kit.p
        font = kit.font(size, mono=mono)
        self.placeholder, self.failed = placeholder, False
        self.rest = p.side if read_only else p.field
        self.input = sg.Input(
            value,
            key=key,
            font=font,
            border_width=0,
            pad=(0, 0),
            text_color=p.text,
            expand_x=True,
            password_char="•" if password else "",
            readonly=read_only,
            size=(max(1, kit.px(width) // max(1, kit.measure("0", font))), 1),
            background_color=self.rest,
            disabled_readonly_background_color=self.rest,
            disabled_readonly_text_color=p.text,
        )
        self.input.field = self
        self._hint: tk.Label | None = None
        self.tall = kit.px(height)
        super().__init__(
            kit,
            [[self.input, *trailing]],
            fill=self.rest,
            border=p.edge,
            radius=theme.RADIUS_BUTTON,
            inset=(18 if size >= theme.TEXT else 14, 0),
            pad=pad,
            expand_x=expand_x,
        )

    def dress(self, ground: str) -> None:
        """Draw the field; the first time, listen."""
        first = self.back is None
        super().dress(ground)
        p, entry = self.kit.p, self.input.Widget
        entry.configure(
            bg=self.ground,
            readonlybackground=self.ground,
            insertbackground=p.text,
            highlightthickness=0,
            bd=0,
            relief="flat",
            selectbackground=p.accent,
            selectforeground=p.on_accent,
            insertwidth=max(1, self.kit.px(1.5)),
        )
        if not first:
            return
        row = self.input.ParentRowFrame
        row.update_idletasks()
        self.inset = (self.inset[0], max(2, (self.tall - row.winfo_reqheight()) // 2))
        row.pack_configure(pady=self.inset[1])
        self._hint = tk.Label(
            entry,
            text=self.placeholder,
            bd=0,
            padx=0,
            pady=0,
            anchor="w",
            fg=p.faint,
            cursor="xterm",
            font=self.input.Font,
        )
        self._hint.bind("<Button-1>", lambda event: entry.focus_set())
        for name in ("<FocusIn>", "<FocusOut>"):
            entry.bind(name, self._ring, add="+")
        entry.bind("<Control-a>", self._all)
        self.back.bind("<Button-1>", lambda event: entry.focus_set())  # type: ignore[union-attr]
        self.input.TKStringVar.trace_add("write", lambda *args: self._show_hint())
        self._show_hint()

    def fail(self, failed: bool) -> None:
        """Show or clear the error state: red border and tint (say the reason in words beside it)."""
        self.failed = failed
        self._ring()

    def _ring(self, event: Any = None) -> None:
        p = self.kit.p
        inside = has_focus(self.input.Widget)
        border = p.bad if self.failed else p.accent if inside else p.edge
        self.paint(fill=p.bad_tint if self.failed else self.rest, border=border)
        self._show_hint()

    def _show_hint(self) -> None:
        if self._hint is None:
            return
        self._hint.configure(bg=self.ground)
        if self.input.TKStringVar.get():
            self._hint.place_forget()
        else:
            self._hint.place(x=1, rely=0.5, anchor="w")

    def _all(self, event: Any) -> str:
        event.widget.select_range(0, "end")
        return "break"


class ThinBar(sg.Canvas):
    """A scrollbar as a thin thumb without arrows.  `attach` it to a widget that has `yview`."""

    def __init__(self, kit: Kit):
        self.kit, self.span, self.grip = kit, (0.0, 1.0), 0.0
        self.target: Any = None
        super().__init__(size=(kit.px(8), 1), pad=(0, 0), expand_y=True)

    def dress(self, ground: str) -> None:
        """Take the ground's colour."""
        self.Widget.configure(bg=ground, bd=0, highlightthickness=0, width=self.kit.px(8), height=1)

    def attach(self, widget: Any) -> None:
        """Scroll this widget from now on."""
        self.target = widget
        widget.configure(yscrollcommand=self.set)
        for name, act in (
            ("<Configure>", self._draw),
            ("<Button-1>", self._take),
            ("<B1-Motion>", self._drag),
            ("<ButtonRelease-1>", self._let_go),
            ("<Enter>", self._draw),
            ("<Leave>", self._draw),
        ):
            self.Widget.bind(name, act)
        self._draw()

    def set(self, first: str, last: str) -> None:
        """Take the part of the whole that is in view (Tk calls this)."""
        self.span = (float(first), float(last))
        self._draw()

    def _draw(self, event: Any = None) -> None:
        canvas = self.Widget
        canvas.delete("all")
        first, last = self.span
        if last - first >= 0.999:
            return
        height, width = canvas.winfo_height(), canvas.winfo_width()
        thumb = max(self.kit.px(32), int((last - first) * height))
        top = int(first / max(1e-6, 1 - (last - first)) * (height - thumb))
        wide = self.kit.px(5)
        lit = bool(self.grip) or (event is not None and getattr(event, "type", None) == tk.EventType.Enter)
        x = width - wide - 1
        colour = self.kit.p.bar_hover if lit else self.kit.p.bar
        r = wide / 2
        canvas.create_line(x + r, top + r, x + r, top + thumb - r, width=wide, fill=colour, capstyle="round")

    def _take(self, event: Any) -> None:
        self.grip = event.y + 1
        self.start = self.span[0]
        self._draw()

    def _drag(self, event: Any) -> None:
        if self.grip and self.target is not None:
            height, share = self.Widget.winfo_height(), self.span[1] - self.span[0]
            room = max(1, height - max(self.kit.px(32), int(share * height)))
            self.target.yview_moveto(self.start + (event.y + 1 - self.grip) / room * (1 - share))

    def _let_go(self, event: Any) -> None:
        self.grip = 0.0
        self._draw()
