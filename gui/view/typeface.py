"""How texts come out on a screen: the fonts it has, how wide they are, and what is left of them where room is short."""

from __future__ import annotations

import math

from gui import theme
from gui.bidi import RTL, visual, visual_lines
from gui.psg import hidden_root, pixel_factor, safe_text
from gui.wording import MARK


class Typeface:
    """The fonts of this screen, at one zoom."""

    def __init__(self, zoom: float = 1.0):
        self.k = pixel_factor() * zoom
        self.root = hidden_root()
        there = {str(name).lower(): str(name) for name in self.root.tk.splitlist(self.root.tk.call("font", "families"))}
        self.system = str(self.root.tk.call("tk", "windowingsystem"))  # x11, win32 or aqua
        own = str(self.root.tk.call("font", "actual", "TkDefaultFont", "-family"))
        wanted = () if self.system == "aqua" else theme.FAMILIES
        self.family = next((there[f.lower()] for f in wanted if f.lower() in there), own)
        fixed = str(self.root.tk.call("font", "actual", "TkFixedFont", "-family"))
        self.mono = next((there[f.lower()] for f in theme.MONO_FAMILIES if f.lower() in there), fixed)

    def px(self, size: float) -> int:
        """Return pixels of this screen for pixels at 96 per inch."""
        return math.floor(size * self.k + 0.5)

    def font(self, size: float = theme.BODY, bold: bool = False, mono: bool = False) -> tuple[str, int, str]:
        """Return a Tk font: negative sizes are pixels."""
        return (self.mono if mono else self.family, -self.px(size), "bold" if bold else "normal")

    def measure(self, text: str, font: tuple[str, int, str]) -> int:
        """Return the width of a line in pixels, as Tk draws it (`Font.measure` rounds the size to points)."""
        return int(self.root.tk.call("font", "measure", font, text))

    def line_height(self, font: tuple[str, int, str]) -> int:
        """Return the height of a line in pixels."""
        return int(self.root.tk.call("font", "metrics", font, "-linespace"))

    def clip(self, text: str, font: tuple[str, int, str], width: int) -> str:
        """Return one line of text cut to a width in pixels, with an ellipsis when something was cut.

        The mark that tells two people of the same name apart stays.
        """
        text = safe_text(text).replace("\n", " ").replace("\t", " ")
        if self.measure(text[:400], font) <= width and len(text) <= 400:
            return text
        found = MARK.search(text)
        mark = found[0] if found else ""
        text, width = text.removesuffix(mark), width - self.measure(mark, font)
        low, high = 0, min(len(text), 400)
        while low < high:
            mid = (low + high + 1) // 2
            low, high = (mid, high) if self.measure(text[:mid] + "…", font) <= width else (low, mid - 1)
        return text[:low].rstrip() + "…" + mark

    def fitting(self, text: str, brief: str, font: tuple[str, int, str], width: int) -> str:
        """Return a text, or its brief form if it is wider than `width` pixels and has one, cut as `clip` does."""
        return self.clip(brief if brief and self.measure(text, font) > width else text, font, width)

    def line(self, text: str) -> str:
        """Return text as it is to be drawn: on X11, right-to-left parts put in order, line by line.  Apply once."""
        if self.system != "x11" or not RTL.search(text):
            return text
        return "\n".join(visual(line) for line in text.split("\n"))

    def lines(self, text: str, font: tuple[str, int, str], width: int) -> str:
        """Return text of several lines as it is to be drawn; lines with right-to-left parts are broken at `width`."""
        if self.system != "x11" or not RTL.search(text):
            return text
        out: list[str] = []
        for line in text.split("\n"):
            if RTL.search(line):
                out += visual_lines(line, lambda part: self.measure(part, font) <= width)
            else:
                out.append(line)
        return "\n".join(out)
