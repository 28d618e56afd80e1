"""Puts right-to-left text into the order, and Arabic letters into the shapes, in which they are read.  Pure.

Tk on X11 draws characters from left to right as they come, so Hebrew would stand backwards and Arabic in single
letters; Windows and macOS do this themselves.  The order is that of the Unicode Bidirectional Algorithm (UAX #9), the
work is done by python-bidi and arabic-reshaper.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from arabic_reshaper import ArabicReshaper
from bidi.algorithm import get_base_level, get_display

RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_MARKED = re.compile(
    "([\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed]+)([^\u0591-\u05c7\u0610-\u061a\u064b-\u065f])"
)
_JOINERS = dict.fromkeys((0x200C, 0x200D))  # they have done their work when the letters have their shapes
_WORDS = re.compile(r"\S+\s*|\s+")
_KEEP_MARKS: dict[str, Any] = {"delete_harakat": False, "shift_harakat_position": False}
_RESHAPER = ArabicReshaper(_KEEP_MARKS)


def shape(text: str) -> str:
    """Return text with each Arabic letter in the form that its neighbours ask for; other letters stay."""
    return str(_RESHAPER.reshape(text)).translate(_JOINERS)


def visual_lines(paragraph: str, fits: Callable[[str], bool]) -> list[str]:
    """Break a paragraph (no line feed) at blanks into lines that fit, each in the order in which it is drawn.

    `fits` says whether a text, in reading order, is narrow enough for one line.
    """
    text = shape(paragraph)
    base = "R" if get_base_level(text) else "L"  # of the paragraph: a line of it may begin with anything
    lines = [""]
    for word in _WORDS.findall(text):
        if lines[-1] and not fits((lines[-1] + word).rstrip()):
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += word
    return [
        _MARKED.sub(r"\2\1", get_display(line, base_dir=base)) for line in lines
    ]  # rule L3: marks after their letter


def visual(line: str) -> str:
    """Return one line in the order in which it is drawn; text without right-to-left letters comes back as it is."""
    return visual_lines(line, lambda text: True)[0] if RTL.search(line) else line
