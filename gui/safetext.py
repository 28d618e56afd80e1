"""Makes text of strangers safe to show.  Pure: no toolkit, no state but one look at a system library.

Names, room titles and messages are whatever a member chose to send.  Shown as they are, they could turn other text
round (bidirectional controls), hide (zero-width characters), spill over the lines above and below (piles of combining
marks), freeze the window (one endless line) or, with old X libraries, end the program (colour glyphs).  Everything that
the window shows or copies goes through here.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import unicodedata

MAX_MARKS = 4  # combining marks kept on one letter; no living orthography needs more
MAX_RUN = (
    2000  # characters of one line; Tk lays a line out in quadratic time (41,000: 80 ms, and again when it is scrolled)
)
MAX_NAME = 64  # characters of a name or title that are shown
PLACEHOLDER = "\N{REPLACEMENT CHARACTER}"
MIN_LIBXFT = 20305  # 2.3.5 was the first that draws colour glyphs; older ones end the program with BadLength

_BREAKS = dict.fromkeys((0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), "\n")
_BIDI = frozenset((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_JOINERS = frozenset((0x200C, 0x200D))  # Persian, Indic scripts and emoji need them inside a message
_UNSEEN = frozenset((0x00AD, 0x034F, 0x180E, 0x200B, *range(0x2060, 0x2065), *range(0x206A, 0x2070), 0xFEFF))
_BLANKS = frozenset((0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0))  # letters by category, but drawn as nothing


@functools.cache
def wide_glyphs_are_safe() -> bool:
    """Say whether code points above U+FFFF (emoji) can be drawn without the X server ending this program for it."""
    if not sys.platform.startswith(("linux", "freebsd", "openbsd", "netbsd")):
        return True  # Windows and macOS draw text without libXft
    try:
        return int(ctypes.CDLL("libXft.so.2").XftGetVersion()) >= MIN_LIBXFT
    except (OSError, AttributeError):
        return False  # a Tk with its own, unknown copy


def safe_text(text: str, *, wide: bool | None = None, whole: bool = False) -> str:
    """Return a message as it may be shown: line feeds and tabs stay, what could deceive or hang is neutralised.

    `wide` says whether code points above U+FFFF may stay; by default the X library is asked.  `whole` leaves long lines
    in one piece, for the clipboard.  Idempotent.
    """
    shown = _filter(text, _wide(wide), _BIDI | _UNSEEN)
    return shown if whole else _break_runs(shown)


def safe_name(text: str, *, limit: int = MAX_NAME, wide: bool | None = None) -> str:
    """Return a name or title as it may be shown: one line, single blanks, nothing invisible, `limit` characters.

    Two names that look the same come out the same, as far as invisible characters go.  Never empty.
    """
    shown = " ".join(_filter(text, _wide(wide), _BIDI | _UNSEEN | _JOINERS | _BLANKS).split())
    if len(shown) > limit:
        shown = shown[: limit - 1].rstrip() + "…"
    return shown or PLACEHOLDER


def can_be_seen(name: str) -> bool:
    """Say whether anything of a name is left to show."""
    return safe_name(name).strip(PLACEHOLDER) != ""


def _wide(wide: bool | None) -> bool:
    return wide_glyphs_are_safe() if wide is None else wide


def _filter(text: str, wide: bool, drop: frozenset[int]) -> str:
    if text.isascii() and text.replace("\n", "").isprintable():
        return text  # most messages
    out: list[str] = []
    marks = 0
    for char in text.replace("\r\n", "\n").translate(_BREAKS):
        code = ord(char)
        category = unicodedata.category(char)
        if category in ("Mn", "Me"):
            marks += 1
            if marks > MAX_MARKS or code in drop:
                continue
        else:
            if code in drop or 0xE0000 <= code <= 0xE0FFF:
                continue
            marks = 0
            if char not in "\n\t" and (
                category in ("Cc", "Cs") or code & 0xFFFE == 0xFFFE or (code > 0xFFFF and not wide)
            ):
                char = PLACEHOLDER
        out.append(char)
    return "".join(out)


def _break_runs(text: str) -> str:
    """Break lines of more than `MAX_RUN` characters, at a blank where there is one: each stays cheap to draw."""
    if len(text) <= MAX_RUN:
        return text
    lines = []
    for line in text.split("\n"):
        while len(line) > MAX_RUN:
            cut = max(line.rfind(" ", 1, MAX_RUN), line.rfind("\t", 1, MAX_RUN)) + 1 or MAX_RUN
            lines.append(line[:cut])
            line = line[cut:]
        lines.append(line)
    return "\n".join(lines)
