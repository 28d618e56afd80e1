"""Pictures drawn by code with Pillow: icons, rounded boxes, avatars, the QR code, the logo.  No toolkit, no files.

Sizes are pixels of the screen; colours `#rrggbb`.  Everything is drawn four times as large and scaled down, for smooth
edges.  Icons live on a grid of 24; an avatar shows a fingerprint (32 bytes), the same wherever that identity is seen.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Literal

import segno
from PIL import Image, ImageDraw

from gui.theme import LIGHT, Palette, person_colour

OVER = 4  # drawn this many times too large
STROKE = 1.8  # of the 24 of the grid
QUIET = 4  # modules of white around a QR code (ISO/IEC 18004)

Presence = Literal["", "here", "away"]
Point = tuple[float, float]


def png(image: Image.Image) -> bytes:
    """Return an image as PNG bytes, the form in which Tk takes transparency."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


# -- icons -----------------------------------------------------------------------------------------------------------


class Pen:
    """Draws on the grid of 24 with round ends and joints."""

    def __init__(self, size: int, colour: str):
        self.image = Image.new("L", (size * OVER, size * OVER), 0)
        self.draw = ImageDraw.Draw(self.image)
        self.k = size * OVER / 24
        self.colour = colour
        self.stroke = STROKE

    def line(self, *points: Point, ink: int = 255) -> None:
        """Draw a line through points."""
        scaled = [(x * self.k, y * self.k) for x, y in points]
        self.draw.line(scaled, ink, round(self.stroke * self.k), joint="curve")
        for x, y in scaled:
            self._blob(x, y, self.stroke * self.k / 2, ink)

    def arc(self, x: float, y: float, r: float, start: float, end: float, squash: float = 1.0, ink: int = 255) -> None:
        """Draw a part of a circle (or ellipse) around a point, in degrees clockwise from three o'clock."""
        steps = max(8, int(abs(end - start) / 6))
        turns = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
        self.line(*((x + r * math.cos(a), y + r * squash * math.sin(a)) for a in turns), ink=ink)

    def ring(self, x: float, y: float, r: float) -> None:
        """Draw a circle."""
        self.arc(x, y, r, 0, 360)

    def dot(self, x: float, y: float, r: float = 1.2, ink: int = 255) -> None:
        """Draw a filled circle."""
        self._blob(x * self.k, y * self.k, r * self.k, ink)

    def rect(self, x0: float, y0: float, x1: float, y1: float, r: float = 2.0) -> None:
        """Draw the outline of a rounded rectangle."""
        self.line((x0 + r, y0), (x1 - r, y0))
        self.line((x1, y0 + r), (x1, y1 - r))
        self.line((x1 - r, y1), (x0 + r, y1))
        self.line((x0, y1 - r), (x0, y0 + r))
        for x, y, start in ((x0 + r, y0 + r, 180), (x1 - r, y0 + r, 270), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90)):
            self.arc(x, y, r, start, start + 90)

    def fill(self, *points: Point, ink: int = 255) -> None:
        """Draw a filled shape."""
        self.draw.polygon([(x * self.k, y * self.k) for x, y in points], ink)

    def _blob(self, x: float, y: float, r: float, ink: int) -> None:
        self.draw.ellipse((x - r, y - r, x + r, y + r), ink)

    def done(self) -> Image.Image:
        """Return the icon, its ground transparent."""
        size = self.image.width // OVER
        out = Image.new("RGBA", (size, size), self.colour)
        out.putalpha(self.image.resize((size, size), Image.Resampling.LANCZOS))
        return out


def _person(pen: Pen, x: float = 12.0) -> None:
    pen.ring(x, 8, 3.7)
    pen.arc(x, 20.5, 7.0, 180, 360, 0.88)


def _shield(pen: Pen) -> None:
    pen.line((12, 3), (19, 5.6), (19, 11.2))
    pen.arc(10.6, 11.2, 8.4, 0, 62)
    pen.line((14.6, 18.6), (12, 21), (9.4, 18.6))
    pen.arc(13.4, 11.2, 8.4, 118, 180)
    pen.line((5, 11.2), (5, 5.6), (12, 3))


def _draw_people(pen: Pen) -> None:
    pen.ring(9.4, 8, 3.6)
    pen.arc(9.4, 20, 6.6, 180, 360, 0.9)
    pen.arc(15.4, 8, 3.6, -70, 62)
    pen.arc(15.2, 20, 6.4, -62, 0, 0.9)


def _draw_invite(pen: Pen) -> None:
    _person(pen, 9.6)
    pen.line((20, 8.2), (20, 13.8))
    pen.line((17.2, 11), (22.8, 11))


def _draw_lock(pen: Pen) -> None:
    pen.rect(5, 11, 19, 21, 2.5)
    pen.arc(12, 8, 4, 180, 360)
    pen.line((8, 8), (8, 11))
    pen.line((16, 8), (16, 11))


def _draw_shield_check(pen: Pen) -> None:
    _shield(pen)
    pen.line((8.8, 11.8), (11.2, 14.2), (15.4, 9.4))


def _draw_warning(pen: Pen) -> None:
    pen.line((12, 3.8), (21.6, 20.4), (2.4, 20.4), (12, 3.8))
    pen.line((12, 10), (12, 14.2))
    pen.dot(12, 17.3)


def _draw_clock(pen: Pen) -> None:
    pen.ring(12, 12, 9)
    pen.line((12, 6.8), (12, 12), (15.6, 14))


def _draw_ticks(pen: Pen) -> None:
    pen.line((1.8, 12.6), (6.4, 17.2), (15.6, 7.2))
    pen.line((11.6, 16.6), (12.2, 17.2), (22.2, 7.2))


def _draw_copy(pen: Pen) -> None:
    pen.rect(8.5, 8.5, 20.5, 20.5, 2.5)
    pen.line((15.5, 4.2), (15.2, 3.6), (6, 3.6), (4.2, 4.2), (3.6, 6), (3.6, 15.2), (4.2, 15.5))


def _draw_door(pen: Pen) -> None:
    pen.line((3.5, 20.8), (20.5, 20.8))
    pen.line((6, 20.8), (6, 3.2), (18, 3.2), (18, 20.8))
    pen.dot(14.4, 12.2, 1.3)


def _draw_phone(pen: Pen) -> None:
    ear = ((4, 5.2), (7.6, 3.4), (10.2, 8.4), (8, 10.4), (9.4, 12.6), (11.4, 14.6), (13.6, 16), (15.6, 13.8))
    back = ((20.6, 16.4), (18.8, 20), (17, 20.6), (12.4, 19.2), (7.2, 14.8), (4.2, 9.8), (3.4, 7), (4, 5.2))
    pen.line(*ear, *back)


def _draw_gear(pen: Pen) -> None:
    pen.ring(12, 12, 3)
    pen.ring(12, 12, 6.6)
    for i in range(8):
        a = math.radians(i * 45 + 22.5)
        pen.line((12 + 6.9 * math.cos(a), 12 + 6.9 * math.sin(a)), (12 + 9.2 * math.cos(a), 12 + 9.2 * math.sin(a)))


def _draw_search(pen: Pen) -> None:
    pen.ring(10.6, 10.6, 7)
    pen.line((15.8, 15.8), (21, 21))


def _draw_send(pen: Pen) -> None:
    pen.fill((3, 3.6), (22, 12), (3, 20.4), (6.2, 13.2), (14, 12), (6.2, 10.8))


def _draw_info(pen: Pen) -> None:
    pen.ring(12, 12, 9)
    pen.line((12, 11), (12, 16.4))
    pen.dot(12, 7.6)


def _draw_link(pen: Pen) -> None:
    pen.line((9, 8), (6.6, 8))
    pen.arc(6.6, 12, 4, 90, 270)
    pen.line((6.6, 16), (9, 16))
    pen.line((15, 8), (17.4, 8))
    pen.arc(17.4, 12, 4, -90, 90)
    pen.line((17.4, 16), (15, 16))
    pen.line((8.6, 12), (15.4, 12))


def _draw_key(pen: Pen) -> None:
    pen.ring(8, 16, 4.2)
    pen.line((11, 13), (20, 4), (22, 6))
    pen.line((17, 7), (19.4, 9.4))


def _draw_eye(pen: Pen) -> None:
    pen.arc(12, 18.6, 11.6, 213, 327)
    pen.arc(12, 5.4, 11.6, 33, 147)
    pen.ring(12, 12, 2.9)


def _draw_leave(pen: Pen) -> None:
    pen.line((13, 4), (5, 4), (5, 20), (13, 20))
    pen.line((10, 12), (20.6, 12))
    pen.line((16.6, 8), (20.6, 12), (16.6, 16))


def _draw_offline(pen: Pen) -> None:
    pen.arc(12, 19, 12.4, 222, 318)
    pen.arc(12, 19, 7.2, 222, 318)
    pen.dot(12, 18.6, 1.7)
    pen.line((4, 3.6), (20, 20.4))


def _draw_computer(pen: Pen) -> None:
    pen.rect(3, 4, 21, 16, 2)
    pen.line((8, 20.4), (16, 20.4))
    pen.line((12, 16), (12, 20.4))


def _draw_trash(pen: Pen) -> None:
    pen.line((4, 6.4), (20, 6.4))
    pen.line((9, 6.4), (9.6, 3.6), (14.4, 3.6), (15, 6.4))
    pen.line((6, 6.4), (7, 20.6), (17, 20.6), (18, 6.4))


def _draw_qr(pen: Pen) -> None:
    for x, y in ((3.4, 3.4), (14, 3.4), (3.4, 14)):
        pen.rect(x, y, x + 6.6, y + 6.6, 1)
    for x, y in ((14.4, 14.4), (20.4, 14.4), (17.4, 17.4), (14.4, 20.4), (20.4, 20.4)):
        pen.dot(x, y, 1.4)


def _draw_dots(pen: Pen) -> None:
    for x in (5, 12, 19):
        pen.dot(x, 12, 1.7)


def _strokes(*lines: tuple[Point, ...]) -> Callable[[Pen], None]:
    def draw(pen: Pen) -> None:
        for points in lines:
            pen.line(*points)

    return draw


def _draw_box(pen: Pen) -> None:
    pen.rect(3.6, 3.6, 20.4, 20.4, 4)


def _draw_box_ticked(pen: Pen) -> None:
    _draw_box(pen)
    pen.line((7.6, 12.4), (10.8, 15.4), (16.4, 8.8))


ICONS: dict[str, Callable[[Pen], None]] = {
    "back": _strokes(((19.6, 12), (4.4, 12)), ((10.8, 5.6), (4.4, 12), (10.8, 18.4))),
    "box": _draw_box,
    "box_ticked": _draw_box_ticked,
    "chevron_down": _strokes(
        ((5.6, 9), (12, 15.4), (18.4, 9)),
    ),
    "chevron_right": _strokes(
        ((9, 5.6), (15.4, 12), (9, 18.4)),
    ),
    "clock": _draw_clock,
    "close": _strokes(((5.6, 5.6), (18.4, 18.4)), ((18.4, 5.6), (5.6, 18.4))),
    "computer": _draw_computer,
    "copy": _draw_copy,
    "door": _draw_door,
    "dot": lambda pen: pen.dot(12, 12, 5.5),
    "dots": _draw_dots,
    "down": _strokes(((12, 4.4), (12, 19.6)), ((5.6, 13.2), (12, 19.6), (18.4, 13.2))),
    "eye": _draw_eye,
    "gear": _draw_gear,
    "info": _draw_info,
    "invite": _draw_invite,
    "key": _draw_key,
    "leave": _draw_leave,
    "link": _draw_link,
    "lock": _draw_lock,
    "offline": _draw_offline,
    "people": _draw_people,
    "person": _person,
    "phone": _draw_phone,
    "plus": _strokes(((12, 4.6), (12, 19.4)), ((4.6, 12), (19.4, 12))),
    "qr": _draw_qr,
    "search": _draw_search,
    "send": _draw_send,
    "shield": _shield,
    "shield_check": _draw_shield_check,
    "tick": _strokes(
        ((4.6, 12.6), (9.6, 17.6), (19.6, 7)),
    ),
    "ticks": _draw_ticks,
    "trash": _draw_trash,
    "warning": _draw_warning,
}


def icon(name: str, size: int, colour: str) -> Image.Image:
    """Return one of `ICONS` in one colour, transparent elsewhere."""
    pen = Pen(size, colour)
    if name in ("ticks", "tick"):
        pen.stroke = 2.4
    ICONS[name](pen)
    return pen.done()


# -- shapes ----------------------------------------------------------------------------------------------------------


def box(
    width: int, height: int, radius: int, fill: str, border: str = "", border_width: int = 1, dashed: bool = False
) -> Image.Image:
    """Return a rounded rectangle, transparent outside.  Only the corners are drawn large, so big ones are cheap."""
    width, height = max(width, 1), max(height, 1)
    radius = min(radius, width // 2, height // 2)
    if dashed:
        return _dashed_ring(min(width, height), border, border_width)
    if radius < 1:
        image = Image.new("RGBA", (width, height), border or fill)
        if border and width > 2 * border_width and height > 2 * border_width:
            image.paste(fill, (border_width, border_width, width - border_width, height - border_width))
        return image
    side = 2 * radius + 2
    tile = Image.new("RGBA", (side * OVER, side * OVER), (border or fill) + "00")
    draw = ImageDraw.Draw(tile)
    edge = side * OVER - 1
    draw.rounded_rectangle((0, 0, edge, edge), radius * OVER, border or fill)
    if border:
        inset = border_width * OVER
        draw.rounded_rectangle((inset, inset, edge - inset, edge - inset), max(radius * OVER - inset, 0), fill)
    tile = tile.resize((side, side), Image.Resampling.LANCZOS)
    image = Image.new("RGBA", (width, height), fill)
    r, mid = radius, radius + 1
    for x0, x1, y0, y1, at in (
        (0, r, 0, r, (0, 0)),
        (side - r, side, 0, r, (width - r, 0)),
        (0, r, side - r, side, (0, height - r)),
        (side - r, side, side - r, side, (width - r, height - r)),
    ):
        image.paste(tile.crop((x0, y0, x1, y1)), at)
    if border:
        for x0, y0, x1, y1 in (
            (mid - 1, 0, width - r, border_width),
            (mid - 1, height - border_width, width - r, height),
            (0, mid - 1, border_width, height - r),
            (width - border_width, mid - 1, width, height - r),
        ):
            image.paste(border, (x0, y0, x1, y1))
    return image


def _dashed_ring(size: int, colour: str, width: int) -> Image.Image:
    pen = Pen(size, colour)
    pen.stroke = width * 24 / size
    for turn in range(0, 360, 20):
        pen.arc(12, 12, 12 - pen.stroke, turn, turn + 11)
    return pen.done()


def over(ground: Image.Image, picture: Image.Image, x: int, y: int) -> Image.Image:
    """Lay a picture on another at a place and return the result."""
    out = ground.copy()
    out.alpha_composite(picture, (x, y))
    return out


# -- people and rooms ------------------------------------------------------------------------------------------------


def avatar(
    palette: Palette,
    fp: bytes,
    size: int,
    *,
    square: bool = False,
    presence: Presence = "",
    ring: str = "",
    hue: int | None = None,
) -> Image.Image:
    """Return the picture of an identity (round) or a room (`square`): a mirrored pattern out of 32 bytes.

    With a `presence` a dot sits at the lower right: full for here, hollow for away; `ring` is the colour around the
    dot: that of the ground on which the avatar lies.  `hue` is the one that a room gave this identity, if any.
    """
    image = box(size, size, size // 4 if square else size // 2, person_colour(palette, fp, hue))
    cell = max(1, round(size * 0.62 / 6))
    left = (size - 6 * cell) // 2
    pattern = Image.new("RGBA", (6 * cell, 6 * cell), palette.on_people + "00")
    draw = ImageDraw.Draw(pattern)
    for row in range(6):
        for column in range(3):
            bit = row * 3 + column
            # Byte 0 chose the colour; a centre column that is mostly set keeps the figure in one piece.
            set_here = fp[1 + bit % max(len(fp) - 1, 1)] % 100 < (38, 46, 62)[column] if len(fp) > 1 else False
            if set_here:
                for x in (column, 5 - column):
                    draw.rectangle(
                        (x * cell, row * cell, x * cell + cell - 1, row * cell + cell - 1), palette.on_people
                    )
    image.alpha_composite(pattern, (left, left))
    return _with_dot(palette, image, presence, ring or palette.ground) if presence else image


def _with_dot(palette: Palette, image: Image.Image, presence: Presence, ring: str) -> Image.Image:
    size = image.width
    dot = round(size * 0.42)
    pen = Image.new("RGBA", (dot * OVER, dot * OVER), ring + "00")
    draw = ImageDraw.Draw(pen)
    edge, rim = dot * OVER - 1, dot * OVER * 0.15
    draw.ellipse((0, 0, edge, edge), ring)
    draw.ellipse((rim, rim, edge - rim, edge - rim), palette.good if presence == "here" else palette.away)
    if presence == "away":
        hole = dot * OVER * 0.36
        draw.ellipse((hole, hole, edge - hole, edge - hole), ring)
    small = pen.resize((dot, dot), Image.Resampling.LANCZOS)
    spare = round(size * 0.06)
    out = Image.new("RGBA", (size + spare, size + spare), ring + "00")
    out.alpha_composite(image, (0, 0))
    out.alpha_composite(small, (size + spare - dot, size + spare - dot))
    return out


def logo(size: int, palette: Palette = LIGHT) -> Image.Image:
    """Return the mark of the program: a speech bubble with a lock in it."""
    image = box(size, size, round(size * 0.27), palette.accent)
    bubble = Pen(size, palette.on_accent)
    bubble.draw.rounded_rectangle([v * bubble.k for v in (5, 5, 19, 15.4)], 3.4 * bubble.k, 255)
    bubble.fill((7.4, 14.6), (7.4, 19.6), (13, 14.6))
    image.alpha_composite(bubble.done())
    lock = Pen(size, palette.accent)
    lock.draw.rounded_rectangle([v * lock.k for v in (9.3, 9.8, 14.7, 13.4)], 0.8 * lock.k, 255)
    lock.stroke = 1.1
    lock.arc(12, 9.4, 1.7, 180, 360)
    lock.line((10.3, 9.4), (10.3, 10.2))
    lock.line((13.7, 9.4), (13.7, 10.2))
    image.alpha_composite(lock.done())
    return image


def qr(text: str, size: int, dark: str = "#16181d", light: str = "#ffffff") -> Image.Image:
    """Return a QR code of `text` (level M), at most `size` pixels wide, its quiet zone included.

    Always dark on light: many readers refuse the reverse.  Raises `segno.DataOverflowError` above about 2,300 bytes.
    """
    matrix = segno.make(text, error="m", micro=False, boost_error=False).matrix
    modules = len(matrix) + 2 * QUIET
    image = Image.new("L", (modules, modules), 255)
    for y, row in enumerate(matrix):
        for x, module in enumerate(row):
            if module:
                image.putpixel((x + QUIET, y + QUIET), 0)
    scale = max(1, size // modules)
    image = image.resize((modules * scale, modules * scale), Image.Resampling.NEAREST)
    out = Image.new("RGBA", image.size, light)
    out.paste(dark, (0, 0), image.point(lambda v: 255 - v))
    return out
