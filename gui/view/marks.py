"""Small pictures in the log and beside readers: how far a message has come, who said it, who has it."""

from __future__ import annotations

import tkinter as tk
from typing import TYPE_CHECKING

from PIL import Image

from gui import art
from gui.shown import Tick

if TYPE_CHECKING:
    from gui.view.kit import Kit

SIDE = 15  # of a tick


def tick_look(kit: Kit, tick: Tick) -> tuple[str, str]:
    """Return the icon and the colour of a tick."""
    p = kit.p
    return {
        Tick.WAITING: ("clock", p.soft),
        Tick.SOME: ("tick", p.soft),
        Tick.ALL: ("ticks", p.good),
        Tick.FAILED: ("warning", p.warn),
        Tick.TAKEN_BACK: ("close", p.soft),
    }[tick]


def tick_mark(kit: Kit, tick: Tick) -> tk.PhotoImage:
    """Return the picture of a tick."""
    name, colour = tick_look(kit, tick)
    return kit.icon(name, SIDE, colour)


def bar(kit: Kit, colour: str) -> tk.PhotoImage:
    """Return the upright bar before something quoted."""
    wide, high = kit.px(11), kit.px(16)

    def draw() -> Image.Image:
        image = Image.new("RGBA", (wide, high), colour + "00")
        image.paste(art.box(kit.px(3), high, kit.px(1), colour), (0, 0))
        return image

    return kit.photo(("bar", colour, wide, high), draw)


def half_face(kit: Kit, fp: bytes, which: int, side: int, half: int, wide: int) -> tk.PhotoImage:
    """Return the upper (0) or lower (1) half of an avatar, in pixels: of the avatar, of the half, of what holds it."""

    def draw() -> Image.Image:
        whole = Image.new("RGBA", (wide, 2 * half), kit.p.ground + "00")
        whole.paste(kit.face(fp, side), (0, half - side // 2))
        return whole.crop((0, which * half, wide, (which + 1) * half))

    return kit.photo(("half", fp, kit.hues.get(fp), which, side, half), draw)


def faces(kit: Kit, fps: tuple[bytes, ...]) -> tk.PhotoImage:
    """Return small avatars in a row."""
    side, step = kit.px(17), kit.px(18)

    def draw() -> Image.Image:
        row = Image.new("RGBA", (len(fps) * step + kit.px(6), side), kit.p.ground + "00")
        for number, fp in enumerate(fps):
            row.paste(kit.face(fp, side), (number * step, 0))
        return row

    return kit.photo(("faces", fps, tuple(map(kit.hues.get, fps)), side), draw)
