"""A box to tick and a button of a group, drawn by the kit, with words beside them.  By mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image

from gui import art, theme
from gui.psg import safe_text, sg
from gui.view.dressing import has_focus
from gui.view.elements import scaled_pad
from gui.view.kit import Kit


class Choice(sg.Text):
    """A mark and words.  `round_mark`: one of a group (see `group`); else a box that is ticked and unticked.

    `value` says whether it is chosen; `changed` is called after the person changed it.
    """

    def __init__(
        self,
        kit: Kit,
        text: str,
        *,
        value: bool = False,
        round_mark: bool = False,
        changed: Callable[[], None] = lambda: None,
        size: float = theme.BODY,
        wrap: float = 0,
        pad: Any = (0, 0),
    ):
        self.kit, self.value, self.round_mark, self.changed, self.wrap = kit, value, round_mark, changed, wrap
        self.others: list[Choice] = []
        self._over = False
        self._ground = kit.p.ground
        super().__init__(safe_text(text), font=kit.font(size), text_color=kit.p.text, pad=scaled_pad(kit, pad))

    def dress(self, ground: str) -> None:
        """Take the ground's colour, draw the mark and listen."""
        first = not hasattr(self.Widget, "kept")
        self._ground = ground
        self.Widget.configure(
            bg=ground, bd=0, padx=0, pady=self.kit.px(3), highlightthickness=0, compound="left", takefocus=1,
            cursor="hand2", wraplength=self.kit.px(self.wrap), justify="left", anchor="w",
        )  # fmt: skip
        if first:
            for name, act in (
                ("<Enter>", lambda e: self._hover(True)),
                ("<Leave>", lambda e: self._hover(False)),
                ("<FocusIn>", lambda e: self._draw()),
                ("<FocusOut>", lambda e: self._draw()),
                ("<ButtonRelease-1>", lambda e: self.press()),
                ("<space>", lambda e: self.press()),
                ("<Up>", lambda e: self._step(-1)),
                ("<Down>", lambda e: self._step(1)),
            ):
                self.Widget.bind(name, act, add="+")
        self._draw()

    def press(self) -> None:
        """Do what a click does."""
        if self.round_mark:
            if self.value:
                return
            for other in self.others:
                other.set(other is self)
        else:
            self.set(not self.value)
        self.changed()

    def set(self, value: bool) -> None:
        """Choose it, or not, without telling anybody."""
        self.value = value
        self._draw()

    def _step(self, by: int) -> None:
        """Go to the next of the group, by an arrow key."""
        if self.others:
            to = self.others[(self.others.index(self) + by) % len(self.others)]
            to.Widget.focus_set()
            to.press()

    def _hover(self, over: bool) -> None:
        self._over = over
        self._draw()

    def _draw(self) -> None:
        widget, kit, p = self.Widget, self.kit, self.kit.p
        focused = has_focus(widget)
        side, space = kit.px(20), kit.px(9)
        radius = side // 2 if self.round_mark else kit.px(6)
        edge = p.accent if self.value or focused or self._over else p.faint

        def draw() -> Image.Image:
            image = Image.new("RGBA", (side + space, side), self._ground)
            thick = max(1, kit.px(2 if focused else 1.4))
            fill = p.accent if self.value and not self.round_mark else p.field
            ring = p.text if focused and self.value else edge
            image.alpha_composite(art.box(side, side, radius, fill, ring, thick))
            if self.value and self.round_mark:
                dot = kit.px(10)
                at = ((side - dot) // 2,) * 2
                image.alpha_composite(art.box(dot, dot, dot // 2, p.accent), at)
            elif self.value:
                glyph = kit.px(14)
                image.alpha_composite(art.icon("tick", glyph, p.on_accent), ((side - glyph) // 2,) * 2)
            return image

        key = ("choice", self.round_mark, self.value, focused, self._over, self._ground, side)
        picture = kit.photo(key, draw)
        widget.configure(image=picture)
        widget.kept = picture


def group(*choices: Choice) -> None:
    """Make these a group: choosing one gives up the others."""
    for choice in choices:
        choice.others = list(choices)
