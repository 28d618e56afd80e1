"""The kit that every page is made of: fonts, pictures and the elements, over PySimpleGUI.

A page is a function that returns rows; an element doesn't know its ground, `make_window` gives each the colour of the
panel that it lies on.  Sizes are pixels at 96 per inch; the kit multiplies them by the screen's factor and the zoom.

    NAME, GO = "-NAME-", "-GO-"

    def layout(kit: Kit) -> list[list[sg.Element]]:
        return [
            [kit.card([
                [kit.text("Welcome", size=theme.BIG, bold=True)],
                [kit.gap(height=12)],
                [kit.field(NAME, placeholder="Your name", expand_x=True)],
                [kit.gap(height=12)],
                [kit.push(), kit.button("Join room", GO)],
            ], expand_x=True)],
        ]

    kit = Kit(theme.LIGHT)
    window = make_window(kit, "Parley", layout(kit), size=(600, 800))
    event, values = window.read()          # GO, {NAME: "..."}; X gives sg.WINDOW_CLOSE_ATTEMPTED_EVENT
    window[NAME].field.fail(True)          # red border; the sentence goes into a kit.text below it
    window[GO].set_on(False)               # grey, no events
    show(window[SOME_PANEL], False)        # hide an element, its row with it

A button gives its key as an event, or calls `command` when one is given.  Text goes through `safe_text`, also later.
Sheets (small windows over a page) are windows of their own: `make_window(..., parent=window)`; read all of them with
`sg.read_all_windows`, never one inside the other.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from PIL import Image

from gui import art, theme
from gui.psg import sg
from gui.shown import Tone
from gui.theme import Palette
from gui.view.boxes import Card, Field, ThinBar
from gui.view.dressing import show
from gui.view.elements import Command, Panel, Picture, Push, Rows, Rule, Words
from gui.view.typeface import Typeface

__all__ = [
    "Card",
    "Field",
    "Kit",
    "Panel",
    "Picture",
    "Push",
    "Rows",
    "Rule",
    "ThinBar",
    "Words",
    "show",
]

MAX_PHOTOS = 600  # new pictures until those out of use are dropped: a window leaves one for each size it had


class Kit(Typeface):
    """One look: palette, fonts and pictures.  A new theme or zoom is a new kit, and new windows."""

    def __init__(self, palette: Palette, zoom: float = 1.0):
        super().__init__(zoom)
        self.p = p = palette
        self.tones = {
            Tone.PLAIN: p.soft, Tone.GOOD: p.good, Tone.WARN: p.warn, Tone.BAD: p.bad, Tone.ACCENT: p.accent_text,
        }  # fmt: skip
        self.hues: Mapping[bytes, int] = {}  # of the people of the room that is shown
        self._photos: dict[Hashable, tk.PhotoImage] = {}
        self._full = MAX_PHOTOS
        self.icon_png = art.png(art.logo(64, palette))

    # -- pictures ----------------------------------------------------------------------------------------------------

    def photo(self, key: Hashable, draw: Callable[[], Image.Image]) -> tk.PhotoImage:
        """Return a Tk picture, drawn when it isn't kept from before."""
        kept = self._photos.get(key)
        if kept is None:
            if len(self._photos) >= self._full:
                self._forget()
            kept = self._photos[key] = tk.PhotoImage(master=self.root, data=art.png(draw()))
        return kept

    def _forget(self) -> None:
        """Drop the pictures that no widget shows; one that is shown would turn blank."""
        for key, photo in list(self._photos.items()):
            if not self.root.tk.getboolean(self.root.tk.call("image", "inuse", photo.name)):
                del self._photos[key]
        self._full = len(self._photos) + MAX_PHOTOS

    def icon(self, name: str, size: float = 18, colour: str = "", space: float = 0) -> tk.PhotoImage:
        """Return an icon, with `space` pixels of nothing at its right (for a label's icon)."""
        colour = colour or self.p.soft
        side, spare = self.px(size), self.px(space)

        def draw() -> Image.Image:
            image = art.icon(name, side, colour)
            if not spare:
                return image
            wide = Image.new("RGBA", (side + spare, side), colour + "00")
            wide.paste(image, (0, 0))
            return wide

        return self.photo(("icon", name, side, spare, colour), draw)

    def avatar(
        self, fp: bytes, size: float = 40, *, square: bool = False, presence: art.Presence = "", ring: str = ""
    ) -> tk.PhotoImage:
        """Return the picture of an identity, or of a room (`square`)."""
        side, ring = self.px(size), ring or self.p.ground
        key = ("avatar", fp, self.hues.get(fp), side, square, presence, ring)
        return self.photo(key, lambda: self.face(fp, side, square=square, presence=presence, ring=ring))

    def face(self, fp: bytes, side: int, **how: Any) -> Image.Image:
        """Return the picture of an identity as `art.avatar` draws it, in the colour that it has in this room."""
        return art.avatar(self.p, fp, side, hue=self.hues.get(fp), **how)

    def person_colour(self, fp: bytes) -> str:
        """Return the colour that an identity has in this room."""
        return theme.person_colour(self.p, fp, self.hues.get(fp))

    def box(
        self, width: int, height: int, radius: float, fill: str, border: str = "", line: float = 1
    ) -> tk.PhotoImage:
        """Return a rounded box; width and height are real pixels."""
        r, thick = self.px(radius), max(1, self.px(line))
        key = ("box", width, height, r, fill, border, thick)
        return self.photo(key, lambda: art.box(width, height, r, fill, border, thick))

    # -- elements ----------------------------------------------------------------------------------------------------

    def text(
        self,
        text: str = "",
        key: Any = None,
        *,
        size: float = theme.BODY,
        bold: bool = False,
        mono: bool = False,
        colour: str = "",
        icon: str = "",
        icon_colour: str = "",
        wrap: float = 0,
        justify: str = "left",
        pad: Any = (0, 0),
        expand_x: bool = False,
        name: bool = False,
    ) -> Words:
        """Make a label; at `wrap` its lines break (0: never); `name` marks a name or title: one short line."""
        return Words(
            self,
            text,
            key,
            size=size,
            bold=bold,
            mono=mono,
            colour=colour,
            icon=icon,
            icon_colour=icon_colour,
            wrap=wrap,
            justify=justify,
            pad=pad,
            expand_x=expand_x,
            name=name,
        )

    def button(
        self,
        text: str,
        key: Any = None,
        *,
        kind: str = "main",
        command: Command | None = None,
        icon: str = "",
        size: float = theme.BODY,
        width: float = 0,
        height: float = 40,
        pad: Any = (0, 0),
        expand_x: bool = False,
        tooltip: str = "",
        on: bool = True,
    ) -> Push:
        """Make a button of one of the `kinds`: main, soft, outline, danger, link, plain."""
        return Push(
            self,
            text,
            key,
            kind=kind,
            command=command,
            icon=icon,
            size=size,
            width=width,
            height=height,
            pad=pad,
            expand_x=expand_x,
            tooltip=tooltip,
            on=on,
        )

    def icon_button(
        self,
        icon: str,
        key: Any = None,
        *,
        tooltip: str,
        kind: str = "plain",
        command: Command | None = None,
        side: float = 36,
        glyph: float = 20,
        pad: Any = (0, 0),
        on: bool = True,
    ) -> Push:
        """Make a square button with an icon only; the tooltip says what it does."""
        return Push(
            self,
            "",
            key,
            kind=kind,
            command=command,
            icon=icon,
            glyph=glyph,
            width=side,
            height=side,
            pad=pad,
            tooltip=tooltip,
            on=on,
        )

    def field(
        self,
        key: Any,
        *,
        placeholder: str = "",
        value: str = "",
        width: float = 240,
        height: float = 48,
        password: bool = False,
        mono: bool = False,
        read_only: bool = False,
        size: float = theme.TEXT,
        trailing: Sequence[sg.Element] = (),
        pad: Any = (0, 0),
        expand_x: bool = False,
    ) -> Field:
        """Make a rounded text field; `window[key]` is the input, `window[key].field` this."""
        return Field(
            self,
            key,
            placeholder=placeholder,
            value=value,
            width=width,
            height=height,
            password=password,
            mono=mono,
            read_only=read_only,
            size=size,
            trailing=trailing,
            pad=pad,
            expand_x=expand_x,
        )

    def card(self, rows: Rows, **options: Any) -> Card:
        """Make a rounded panel (see `Card`)."""
        return Card(self, rows, **options)

    def panel(
        self,
        rows: Rows,
        key: Any = None,
        *,
        ground: str = "",
        pad: Any = (0, 0),
        expand_x: bool = False,
        expand_y: bool = False,
        justify: str = "left",
        align: str = "center",
    ) -> Panel:
        """Make a plain group of rows; `ground` is its colour, that of what it lies on by default."""
        return Panel(
            self, rows, key, ground=ground, pad=pad, expand_x=expand_x, expand_y=expand_y, justify=justify, align=align
        )

    def notice(
        self,
        title: str,
        text: str = "",
        *,
        kind: str = "accent",
        key: Any = None,
        icon: str = "",
        picture: Image.Image | None = None,
        action: Push | None = None,
        title_key: Any = None,
        text_key: Any = None,
        wrap: float = 0,
        pad: Any = (0, 0),
    ) -> Card:
        """Make a message across the page: accent, good, warn, bad.  Colour is never alone: give an icon or picture."""
        p = self.p
        fill, ink, border = {
            "accent": (p.tint, p.accent_text, ""),
            "good": (p.good_tint, p.good, ""),
            "warn": (p.warn_tint, p.warn, ""),
            "bad": (p.bad_tint, p.bad, p.bad),
        }[kind]
        lines = [[self.text(title, title_key, bold=True, wrap=wrap)]]
        if text or text_key is not None:
            lines.append([self.text(text, text_key, size=theme.NOTE, wrap=wrap, colour=p.soft, pad=(0, (2, 0)))])
        row: list[sg.Element] = [self.panel(lines)]
        if picture is not None:
            row = [self.picture(picture), self.gap(12), *row]
        elif icon:
            row = [self.picture(art.icon(icon, self.px(22), ink)), self.gap(12), *row]
        if action is not None:
            row += [self.push(), self.gap(12), action]
        return Card(
            self,
            [row],
            key=key,
            fill=fill,
            border=border,
            radius=theme.RADIUS_STRIP,
            inset=(14, 11),
            expand_x=True,
            pad=pad,
        )

    def picture(self, image: Image.Image | None = None, key: Any = None, *, pad: Any = (0, 0)) -> Picture:
        """Make a picture; `window[key].set(image)` changes it."""
        return Picture(self, image, key, pad=pad)

    def gap(self, width: float = 1, height: float = 1) -> sg.Canvas:
        """Make an empty space."""
        return sg.Canvas(size=(self.px(width), self.px(height)), pad=(0, 0))

    def push(self) -> sg.Canvas:
        """Make a space that takes what is left of a row's width."""
        return sg.Canvas(size=(1, 1), pad=(0, 0), expand_x=True)

    def fill(self) -> sg.Canvas:
        """Make a row that takes what is left of a panel's height."""
        return sg.Canvas(size=(1, 1), pad=(0, 0), expand_y=True)

    def rule(self, pad: Any = (0, 0), upright: bool = False) -> Rule:
        """Make a hairline across, or `upright` down the row."""
        return Rule(self, pad, upright)
