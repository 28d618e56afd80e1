"""Puts right-to-left text into the order, and Arabic letters into the shapes, in which they are read.  Pure.

Tk on X11 draws characters from left to right as they come, so Hebrew would stand backwards and Arabic in single
letters; Windows and macOS do this themselves.  The order is that of the Unicode Bidirectional Algorithm (UAX #9, rules
P2 to L4) for text without explicit controls, which `safetext` has taken out, and without rule N0 (pairs of brackets).
The shapes are the compatibility forms of Unicode, taken from the character database.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_MIRRORED = dict(zip("()[]{}<>«»‹›≤≥", ")(][}{><»«›‹≥≤", strict=True))
_NEUTRAL = ("B", "S", "WS", "ON")
_LAM, _TATWEEL, _ZWNJ, _ZWJ = "\u0644", "\u0640", "\u200c", "\u200d"


def visual_lines(paragraph: str, fits: Callable[[str], bool]) -> list[str]:
    """Break a paragraph (no line feed) at blanks into lines that fit, each in the order in which it is drawn.

    `fits` says whether a text, in reading order, is narrow enough for one line.
    """
    text = shape(paragraph)
    clusters, levels, base = _levels(text)
    lines: list[str] = []
    start = at = 0
    while start < len(clusters):
        end = at = start
        while at < len(clusters):
            at = next((i + 1 for i in range(at, len(clusters)) if clusters[i].isspace()), len(clusters))
            if end > start and not fits("".join(clusters[start:at]).rstrip()):
                break
            end = at
        last = end if end == len(clusters) else _without_blanks(clusters, end)
        lines.append(_reorder(clusters[start:last], levels[start:last], base))
        start = end
    return lines or [""]


def visual(line: str) -> str:
    """Return one line in the order in which it is drawn; text without right-to-left letters comes back as it is."""
    return visual_lines(line, lambda text: True)[0] if RTL.search(line) else line


# -- the order -------------------------------------------------------------------------------------------------------


def _levels(text: str) -> tuple[list[str], list[int], int]:
    """Return letters with their marks, the embedding level of each, and that of the paragraph (0 or 1)."""
    clusters: list[str] = []
    for char in text:
        if clusters and unicodedata.bidirectional(char) == "NSM":
            clusters[-1] += char  # W1, and L3: marks stay behind their letter
        else:
            clusters.append(char)
    kinds = [unicodedata.bidirectional(cluster[0]) or "L" for cluster in clusters]
    kinds = ["ON" if kind in ("BN", "NSM") else kind for kind in kinds]
    base = next((int(kind != "L") for kind in kinds if kind in ("L", "R", "AL")), 0)
    _resolve_numbers(kinds, "R" if base else "L")
    _resolve_neutrals(kinds, "R" if base else "L")
    rise = {"L": (0, 1), "R": (1, 0), "EN": (2, 1), "AN": (2, 1)}  # I1, I2
    return clusters, [base + rise[kind][base] for kind in kinds], base


def _resolve_numbers(kinds: list[str], edge: str) -> None:
    """Apply W2 to W7 in place."""
    strong = edge
    for i, kind in enumerate(kinds):
        if kind in ("L", "R", "AL"):
            strong = kind
        elif kind == "EN" and strong == "AL":
            kinds[i] = "AN"
    for i in range(len(kinds)):
        if kinds[i] == "AL":
            kinds[i] = "R"
    for i in range(1, len(kinds) - 1):
        before, after = kinds[i - 1], kinds[i + 1]
        if before == after and kinds[i] in {"EN": ("ES", "CS"), "AN": ("CS",)}.get(before, ()):
            kinds[i] = before
    for start, end in _runs(kinds, ("ET",)):
        if "EN" in (kinds[start - 1] if start else "", kinds[end] if end < len(kinds) else ""):
            kinds[start:end] = ["EN"] * (end - start)
    strong = edge
    for i, kind in enumerate(kinds):
        if kind in ("ES", "ET", "CS"):
            kinds[i] = "ON"
        elif kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[i] = "L"


def _resolve_neutrals(kinds: list[str], edge: str) -> None:
    """Apply N1 and N2 in place: what stands between equals is like them, else like the paragraph."""
    for start, end in _runs(kinds, _NEUTRAL):
        before = kinds[start - 1] if start else edge
        after = kinds[end] if end < len(kinds) else edge
        sides = {"R" if side in ("EN", "AN") else side for side in (before, after)}
        kinds[start:end] = [sides.pop() if len(sides) == 1 else edge] * (end - start)


def _runs(kinds: list[str], wanted: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return start and end of each run of the wanted kinds."""
    runs: list[tuple[int, int]] = []
    for i, kind in enumerate(kinds):
        if kind not in wanted:
            continue
        if runs and runs[-1][1] == i:
            runs[-1] = (runs[-1][0], i + 1)
        else:
            runs.append((i, i + 1))
    return runs


def _without_blanks(clusters: list[str], end: int) -> int:
    """Return where the blanks begin that stand before `end`."""
    while end and clusters[end - 1].isspace():
        end -= 1
    return end


def _reorder(clusters: list[str], levels: list[int], base: int) -> str:
    """Apply L1, L2 and L4 to one line."""
    end = _without_blanks(clusters, len(clusters))
    levels = levels[:end] + [base] * (len(levels) - end)
    out = [_MIRRORED.get(c, c) if level % 2 else c for c, level in zip(clusters, levels, strict=True)]
    for level in range(max(levels, default=0), 0, -1):
        i = 0
        while i < len(out):
            if levels[i] < level:
                i += 1
                continue
            j = i
            while j < len(out) and levels[j] >= level:
                j += 1
            out[i:j] = out[i:j][::-1]
            i = j
    return "".join(out)


# -- the shapes ------------------------------------------------------------------------------------------------------


@functools.cache
def _forms() -> dict[str, dict[str, str]]:
    """Return for each Arabic letter (or lam with alef) its forms: isolated, final, initial, medial."""
    forms: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEFD)):
        kind, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        plain = "".join(chr(int(letter, 16)) for letter in letters)
        if len(plain) == 1 or (len(plain) == 2 and plain[0] == _LAM):
            forms.setdefault(plain, {})[kind.strip("<>")] = chr(code)
    return forms


def shape(text: str) -> str:
    """Return text with each Arabic letter in the form that its neighbours ask for; other letters stay."""
    if not any("\u0620" <= char <= "\u06ff" for char in text):
        return text
    forms = _forms()
    letters: list[str] = []  # a letter, or lam with alef, with the marks on it behind
    for char in text:
        mark = unicodedata.bidirectional(char) == "NSM"
        if letters and (mark or (letters[-1] == _LAM and _LAM + char in forms)):
            letters[-1] += char
        else:
            letters.append(char)
    out: list[str] = []
    for i, letter in enumerate(letters):
        plain = letter[:2] if letter[:2] in forms else letter[0]
        mine = forms.get(plain)
        if mine is None or letter[0] in (_TATWEEL, _ZWNJ, _ZWJ):
            out.append(letter[1:] if letter[0] in (_ZWNJ, _ZWJ) else letter)
            continue
        back = i > 0 and _goes_on(letters[i - 1], forms) and "final" in mine
        on = i + 1 < len(letters) and "initial" in mine and _takes_up(letters[i + 1], forms)
        form = {(False, False): "isolated", (True, False): "final", (False, True): "initial", (True, True): "medial"}[
            back, on
        ]
        out.append(mine.get(form, plain) + letter[len(plain) :])
    return "".join(out)


def _goes_on(letter: str, forms: dict[str, dict[str, str]]) -> bool:
    """Say whether a letter joins the one after it."""
    plain = letter[:2] if letter[:2] in forms else letter[0]
    return plain in (_TATWEEL, _ZWJ) or "initial" in forms.get(plain, {})


def _takes_up(letter: str, forms: dict[str, dict[str, str]]) -> bool:
    """Say whether a letter joins the one before it."""
    plain = letter[:2] if letter[:2] in forms else letter[0]
    return plain in (_TATWEEL, _ZWJ) or "final" in forms.get(plain, {})
