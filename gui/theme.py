"""Colours, type sizes and distances, and a check that every text can be read.  No toolkit is imported here.

Contrast is the ratio of WCAG 2.1 (success criteria 1.4.3 and 1.4.11, level AA): 4.5 for text, 3.0 for the parts of a
control that carry meaning.  `audit` lists each pair that the window uses, so that a new colour can't slip below unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

AA_TEXT = 4.5
AA_PART = 3.0


@dataclass(frozen=True, slots=True)
class Palette:
    """One look.  Colours are `#rrggbb`; `people` are the hues that names and avatars take, by fingerprint."""

    name: str
    dark: bool
    ground: str  # the log, dialogs
    side: str  # the columns beside the log, cards on the ground
    field: str  # text fields
    well: str  # the page behind a floating card; the status bar
    line: str  # hairlines
    edge: str  # borders of fields and outline buttons
    text: str
    soft: str  # second lines, times
    faint: str  # placeholders, text of buttons that are off
    accent: str  # face of the main button, focus rings
    accent_hover: str
    on_accent: str
    accent_text: str  # links and marked words
    tint: str  # selected rows, strips, soft buttons
    tint_hover: str
    hover: str
    off: str  # face of a button that is off
    good: str
    good_tint: str
    warn: str
    warn_tint: str
    bad: str
    bad_tint: str
    bad_hover: str
    bar: str  # thumb of the scrollbar
    bar_hover: str
    away: str  # the ring of somebody who isn't here
    people: tuple[str, ...]
    on_people: str  # the pattern on an avatar


LIGHT = Palette(
    name="light",
    dark=False,
    ground="#ffffff",
    side="#f7f8fa",
    field="#ffffff",
    well="#f3f5f9",
    line="#e3e6ec",
    edge="#dfe2ea",
    text="#16181d",
    soft="#5a6172",
    faint="#646b7c",
    accent="#5450cf",
    accent_hover="#4541b8",
    on_accent="#ffffff",
    accent_text="#4a45bd",
    tint="#edecfc",
    tint_hover="#e2e0fa",
    hover="#eff0f4",
    off="#ecedf2",
    good="#0d7a46",
    good_tint="#e6f5ed",
    warn="#9a5200",
    warn_tint="#fdf1dd",
    bad="#c0262d",
    bad_tint="#fdeaea",
    bad_hover="#fbdcdc",
    bar="#d9dce3",
    bar_hover="#b4b9c6",
    away="#808694",
    people=(
        "#b3224f",
        "#0b69b5",
        "#107a55",
        "#9c4a00",
        "#7b3fc4",
        "#00717f",
        "#a12e6f",
        "#556300",
        "#5450cf",
        "#3f5f7f",
    ),
    on_people="#fbf3f2",
)

DARK = Palette(
    name="dark",
    dark=True,
    ground="#16171c",
    side="#1b1c22",
    field="#1f2129",
    well="#101115",
    line="#2b2d36",
    edge="#343743",
    text="#eceef3",
    soft="#a3a9b8",
    faint="#969cab",
    accent="#645fe0",
    accent_hover="#5752d3",
    on_accent="#ffffff",
    accent_text="#b3aefb",
    tint="#27264a",
    tint_hover="#302f5a",
    hover="#262831",
    off="#262831",
    good="#40cf8b",
    good_tint="#15291f",
    warn="#f5ae45",
    warn_tint="#33260f",
    bad="#ff8a8a",
    bad_tint="#3b1a1d",
    bad_hover="#4a2124",
    bar="#353842",
    bar_hover="#525664",
    away="#8b91a0",
    people=(
        "#ff8aa2",
        "#70b6ff",
        "#54d39a",
        "#ffae62",
        "#c49bff",
        "#4fd3df",
        "#ff93c8",
        "#c3d052",
        "#8f8bff",
        "#a9bfe0",
    ),
    on_people="#25222b",
)

# Type sizes in pixels at 96 per inch.  Weight makes the order, not colour.
TINY, SMALL, NOTE, BODY, TEXT, HEAD, TITLE, BIG = 11.5, 12.5, 13.5, 14, 15, 17, 22, 24
# The one list of distances.
S1, S2, S3, S4, S5, S6 = 4, 8, 12, 16, 20, 24
RADIUS_BUTTON, RADIUS_STRIP, RADIUS_CARD, RADIUS_PAGE = 10, 12, 14, 18

FAMILIES = ("Inter", "Segoe UI", "Cantarell", "Noto Sans", "DejaVu Sans")  # the first that is there; macOS uses its own
MONO_FAMILIES = ("DejaVu Sans Mono", "Cascadia Mono", "Consolas", "Noto Sans Mono", "Liberation Mono")


HUES = len(LIGHT.people)


def own_hue(fp: bytes) -> int:
    """Return the hue of an identity: the same for the same fingerprint (32 bytes) in every room, on every computer."""
    return fp[0] % HUES


def person_colour(palette: Palette, fp: bytes, hue: int | None = None) -> str:
    """Return the colour of an identity, in its own hue or in the one that a room gave it."""
    return palette.people[own_hue(fp) if hue is None else hue] if fp else palette.soft


def mix(first: str, second: str, share: float) -> str:
    """Return `first` with `share` (0..1) of `second` in it."""
    pairs = zip(_rgb(first), _rgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, 1.0 to 21.0 (WCAG 2.1, "contrast ratio")."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(channel) for channel in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True, slots=True)
class Pair:
    """One foreground on one background, as the window uses it, and the ratio that it must reach."""

    what: str
    ratio: float
    needed: float


def audit(palette: Palette) -> tuple[Pair, ...]:
    """Return every pair of colours that the window puts on each other, with its contrast."""
    p = palette
    texts = [
        *((f"{name} on {ground}", getattr(p, name), getattr(p, ground))
          for name in ("text", "soft", "accent_text", "good", "warn", "bad")
          for ground in ("ground", "side", "field", "well")),
        *((f"{name} on {ground}", getattr(p, name), getattr(p, ground))
          for name in ("text", "soft", "accent_text") for ground in ("tint", "hover")),
        ("accent_text on tint_hover", p.accent_text, p.tint_hover),
        ("placeholder", p.faint, p.field),
        ("placeholder, field off", p.faint, p.side),
        ("main button", p.on_accent, p.accent),
        ("main button, hover", p.on_accent, p.accent_hover),
        ("button off", p.faint, p.off),
        ("danger button", p.bad, p.bad_tint),
        ("danger button, hover", p.bad, p.bad_hover),
        ("text on danger", p.text, p.bad_tint),
        ("text on warning", p.text, p.warn_tint),
        ("warning", p.warn, p.warn_tint),
        ("good on tint", p.good, p.good_tint),
        *((f"name {i}", hue, p.ground) for i, hue in enumerate(p.people)),
    ]  # fmt: skip
    parts = [
        ("focus ring", p.accent, p.field),
        ("focus ring on side", p.accent, p.side),
        ("away ring", p.away, p.side),
        *((f"avatar {i}", p.on_people, hue) for i, hue in enumerate(p.people)),
    ]
    return tuple(
        Pair(what, contrast(over, under), needed)
        for needed, pairs in ((AA_TEXT, texts), (AA_PART, parts))
        for what, over, under in pairs
    )
