"""The plain elements of the kit: labels, pictures, lines, buttons, panels.  Made through `kit.Kit`.

Each is a PySimpleGUI element that draws its own face; `dress(ground)` gives it the colour that it lies on, once the
window has made its widgets, and may be called again.
"""

from __future__ import annotations

import math
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from gui import art, theme
from gui.psg import safe_name, safe_text, sg
from gui.theme import Palette
from gui.view.dressing import has_focus

if TYPE_CHECKING:
    from gui.view.kit import Kit

Rows = Sequence[Sequence[sg.Element]]
Command = Callable[[], None]


def scaled_pad(kit: Kit, pad: Any) -> Any:
    """Return a padding of PySimpleGUI's form, multiplied by the kit's factor."""
    if isinstance(pad, (int, float)):
        return (kit.px(pad), kit.px(pad))
    return tuple(tuple(kit.px(v) for v in side) if isinstance(side, tuple) else kit.px(side) for side in pad)


# -- the elements ----------------------------------------------------------------------------------------------------


class Words(sg.Text):
    """A label whose text can't do harm, with an icon before it if wanted."""

    def __init__(
        self,
        kit: Kit,
        text: str,
        key: Any,
        *,
        size: float,
        bold: bool,
        mono: bool,
        colour: str,
        icon: str,
        icon_colour: str,
        wrap: float,
        justify: str,
        pad: Any,
        expand_x: bool,
        name: bool,
    ):
        self.kit, self.wrap, self.icon, self.name = kit, wrap, icon, name
        self.colour, self.icon_colour = colour or kit.p.text, icon_colour
        self.glyph = size + 3
        super().__init__(
            self._safe(text),
            key=key,
            font=kit.font(size, bold, mono),
            text_color=self.colour,
            pad=scaled_pad(kit, pad),
            justification=justify,
            expand_x=expand_x,
        )

    def _safe(self, text: str) -> str:
        return self.kit.line(safe_name(text) if self.name and text else safe_text(text))

    def dress(self, ground: str) -> None:
        """Take the ground's colour and drop Tk's stray pixels."""
        self.Widget.configure(bg=ground, bd=0, padx=0, pady=0, highlightthickness=0, wraplength=self.kit.px(self.wrap))
        self._draw_icon()

    def _draw_icon(self) -> None:
        picture: Any = ""
        if self.icon:
            picture = self.kit.icon(self.icon, self.glyph, self.icon_colour or self.colour, space=6)
        self.Widget.configure(image=picture, compound="left" if self.icon else "none")
        self.Widget.kept = picture

    def update(self, value: str | None = None, *, colour: str = "", icon: str | None = None, **more: Any) -> None:
        """Change the text, colour or icon."""
        if colour:
            self.colour = colour
            more["text_color"] = colour
        if icon is not None:
            self.icon = icon
        super().update(None if value is None else self._safe(value), **more)
        if colour or icon is not None:
            self._draw_icon()


class Picture(sg.Text):
    """A picture in a label."""

    def __init__(self, kit: Kit, image: Image.Image | None, key: Any, *, pad: Any):
        self.kit, self.image = kit, image
        super().__init__("", key=key, pad=scaled_pad(kit, pad), font=kit.font())

    def dress(self, ground: str) -> None:
        """Take the ground's colour and show the picture."""
        self.Widget.configure(bg=ground, bd=0, padx=0, pady=0, highlightthickness=0)
        self.set(self.image)

    def set(self, image: Image.Image | None) -> None:
        """Show another picture."""
        self.image = image
        kept: Any = tk.PhotoImage(master=self.kit.root, data=art.png(image)) if image is not None else ""
        self.Widget.configure(image=kept)
        self.Widget.kept = kept


class Rule(sg.Canvas):
    """A hairline."""

    def __init__(self, kit: Kit, pad: Any, upright: bool):
        self.colour = kit.p.line
        super().__init__(size=(1, 1), pad=scaled_pad(kit, pad), expand_x=not upright, expand_y=upright)

    def dress(self, ground: str) -> None:
        """Take the line's colour."""
        self.Widget.configure(bg=self.colour, bd=0, highlightthickness=0, width=1, height=1)


def kinds(p: Palette) -> dict[str, tuple[str, str, str, str]]:
    """Return for each kind of button: face, face under the pointer, text, border.  An empty face is the ground's."""
    return {
        "main": (p.accent, p.accent_hover, p.on_accent, ""),
        "soft": (p.tint, p.tint_hover, p.accent_text, ""),
        "outline": (p.field, p.hover, p.text, p.edge),
        "danger": (p.bad_tint, p.bad_hover, p.bad, ""),
        "link": ("", "", p.accent_text, ""),
        "plain": ("", p.hover, p.soft, ""),
        "chosen": (p.tint, p.tint_hover, p.accent_text, ""),
        "off": (p.off, p.off, p.faint, ""),
    }


class Push(sg.Text):
    """A button: a label with a drawn face, the same on every system.  Works by mouse and by keyboard."""

    def __init__(
        self,
        kit: Kit,
        text: str,
        key: Any,
        *,
        kind: str,
        command: Command | None,
        icon: str,
        width: float,
        height: float,
        pad: Any,
        expand_x: bool = False,
        tooltip: str = "",
        on: bool = True,
        glyph: float = 18,
        size: float = theme.BODY,
    ):
        self.kit, self.kind, self.command, self.icon, self.glyph, self.on = kit, kind, command, icon, glyph, on
        self._font = kit.font(size, bold=True)
        self.words = self._with_room(text)
        self._margin = 2 * kit.px(4 if kind == "link" else 18 if width == 0 or not icon else 12)
        self._least = kit.px(width)
        self.size = (self._width(), kit.px(height if kind != "link" else min(height, 28)))
        self._over = self._down = False
        self._ground = kit.p.ground
        self._drawn: Any = None
        super().__init__(
            self.words, key=key, font=self._font, pad=scaled_pad(kit, pad), expand_x=expand_x, tooltip=tooltip or None
        )

    def dress(self, ground: str) -> None:
        """Take the ground's colour, draw the face and listen."""
        first = self._drawn is None
        self._ground, self._drawn = ground, ()
        width, height = self.size
        self.Widget.configure(
            bd=0,
            padx=0,
            pady=0,
            highlightthickness=0,
            anchor="center",
            compound="center",
            width=width,
            height=height,
            image=self.kit.box(1, 1, 0, ground),
        )
        if first:
            for name, act in (
                ("<Configure>", self._draw),
                ("<Enter>", self._enter),
                ("<Leave>", self._leave),
                ("<FocusIn>", self._draw),
                ("<FocusOut>", self._draw),
                ("<Button-1>", self._press),
                ("<ButtonRelease-1>", self._release),
                ("<Return>", self._type),
                ("<KP_Enter>", self._type),
                ("<space>", self._type),
            ):
                self.Widget.bind(name, act, add="+")
        self._draw()

    def set_on(self, on: bool) -> None:
        """Switch the button on or off; off it is grey, and gives no events."""
        if on != self.on:
            self.on = on
            self._draw()

    def set_kind(self, kind: str) -> None:
        """Change how the button looks."""
        if kind != self.kind:
            self.kind = kind
            self._draw()

    def set_words(self, text: str, *, fit: bool = False) -> None:
        """Change the text; the width stays, or with `fit` grows and shrinks with it."""
        self.words = self._with_room(text)
        if fit:
            self.size = (self._width(), self.size[1])
            self.Widget.configure(width=self.size[0])
        super().update(self.words)
        self._draw()

    def press(self) -> None:
        """Do what a click does."""
        if not self.on:
            return
        if self.command is not None:
            self.command()
        else:
            self._generic_callback_handler()

    def _width(self) -> int:
        words = self.kit.measure(self.words, self._font) + self._margin if self.words else self.kit.px(self.glyph)
        return max(self._least, words)

    def _with_room(self, text: str) -> str:
        """Put blanks before the words where the icon will be, for Tk centres the text over the face."""
        if not (self.icon and text):
            return safe_text(text)
        blank = max(1, self.kit.measure(" ", self._font))
        return " " * math.ceil(self.kit.px(self.glyph + 8) / blank) + safe_text(text)

    def _draw(self, event: Any = None) -> None:
        p, widget = self.kit.p, self.Widget
        focused = self.on and has_focus(widget)
        width, height = max(widget.winfo_width(), 1), max(widget.winfo_height(), 1)
        if width == 1 or height == 1:
            width, height = self.size
        state = (width, height, self.kind, self.on, self._over, self._down, focused, self._ground, self.words)
        if state == self._drawn:
            return
        self._drawn = state
        bare = self.kind in ("link", "plain")
        face, hover, ink, border = kinds(p)[self.kind if self.on or bare else "off"]
        if self._over and self.on:
            face = hover
        if not self.on and bare:
            ink = p.faint
        ring = ""
        if focused:
            ring = p.text if self.kind == "main" else p.accent
        radius = theme.RADIUS_BUTTON if face or border or ring else 0  # else the corners of nothing would show

        def draw() -> Image.Image:
            line = max(1, self.kit.px(2 if ring else 1))
            image = art.box(width, height, self.kit.px(radius), face or self._ground, ring or border, line)
            if self.icon:
                side = self.kit.px(self.glyph)
                x = (width - (self.kit.measure(self.words, self._font) if self.words else side)) // 2
                image.alpha_composite(art.icon(self.icon, side, ink), (max(x, 0), max((height - side) // 2, 0)))
            return image

        picture = self.kit.photo(
            ("push", *state[:3], self.on, self._over, ring, self._ground, self.icon, self.words), draw
        )
        widget.configure(
            image=picture,
            bg=self._ground,
            fg=ink,
            takefocus=1 if self.on else 0,
            cursor="hand2" if self.on else "arrow",
        )
        widget.kept = picture

    def _enter(self, event: Any) -> None:
        self._over = True
        self._draw()

    def _leave(self, event: Any) -> None:
        self._over = False
        self._draw()

    def _press(self, event: Any) -> None:
        self._down = True

    def _release(self, event: Any) -> None:
        inside = 0 <= event.x < event.widget.winfo_width() and 0 <= event.y < event.widget.winfo_height()
        down, self._down = self._down, False
        if down and inside:
            self.press()

    def _type(self, event: Any) -> str:
        self.press()
        return "break"


class Panel(sg.Column):
    """A plain group of rows."""

    def __init__(
        self,
        kit: Kit,
        rows: Rows,
        key: Any,
        *,
        ground: str,
        pad: Any,
        expand_x: bool,
        expand_y: bool,
        justify: str,
        align: str,
    ):
        self.kit, self.ground = kit, ground
        super().__init__(
            [list(row) for row in rows],
            key=key,
            pad=scaled_pad(kit, pad),
            expand_x=expand_x,
            expand_y=expand_y,
            element_justification=justify,
            vertical_alignment=align,
            background_color=ground or kit.p.ground,
        )
