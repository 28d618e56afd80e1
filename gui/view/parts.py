"""What several pages have in common: a sentence under a field, eight words to compare, how a page is asked to wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from gui import art, theme
from gui.psg import sg
from gui.shown import Check
from gui.view.elements import Panel, Push
from gui.view.kit import Kit, show

WORD_COUNT, ACROSS = 8, 4


class Remark(Panel):
    """The sentence under a field: green with a tick, or red with a triangle and what to do below it."""

    def __init__(self, kit: Kit, *, wrap: float):
        p = kit.p
        self.mark = kit.picture()
        self.sentence = kit.text("", size=theme.NOTE, wrap=wrap)
        self.cure = kit.text("", size=theme.NOTE + 0.5, colour=p.text, wrap=wrap)
        super().__init__(
            kit,
            [[self.mark, kit.gap(8), kit.panel([[self.sentence], [self.cure]])]],
            None, ground="", pad=(2, (7, 0)), expand_x=True, expand_y=False, justify="left", align="top",
        )  # fmt: skip

    def tell(self, check: Check) -> None:
        """Show what a check found; nothing when there is nothing to say."""
        kit, p = self.kit, self.kit.p
        colour, icon = (p.good, "tick") if check.ok else (p.bad, "warning")
        sentence, cure = check.sentence, check.cure
        if not check.ok and not cure and ". " in sentence:  # what is wrong, and then what helps
            sentence, cure = sentence.split(". ", 1)
            sentence += "."
        self.sentence.update(sentence, colour=colour)
        self.sentence.Widget.configure(font=kit.font(theme.NOTE, bold=not check.ok))
        self.cure.update(cure)
        self.mark.set(art.icon(icon, kit.px(16), colour))
        self.mark.Widget.pack_configure(anchor="n", pady=kit.px(1))
        show(self.cure, bool(cure))
        show(self, bool(sentence))


class WordGrid(Panel):
    """Eight words in rows, of four if nothing else is said, numbered so that they can be read in turn."""

    def __init__(self, kit: Kit, *, width: float, size: float = 18, ground: str = "", across: int = ACROSS):
        p = kit.p
        each = (width - (across - 1) * theme.S2) / across
        self.words: list[Any] = []
        rows: list[list[sg.Element]] = []
        for number in range(WORD_COUNT):
            label = kit.text("", size=size, bold=True)
            self.words.append(label)
            card = kit.card(
                [
                    [kit.text(str(number + 1), size=theme.TINY, bold=True, colour=p.soft), kit.push()],
                    [kit.push(), label, kit.push()],
                    [kit.gap(each - 22, 1)],
                ],
                inset=(11, 9), radius=theme.RADIUS_BUTTON, pad=((theme.S2 if number % across else 0, 0), 0),
            )  # fmt: skip
            if number % across == 0:
                rows += [[kit.gap(1, theme.S2)], []] if rows else [[]]
            rows[-1].append(card)
        super().__init__(
            kit, rows, None, ground=ground, pad=(0, 0), expand_x=False,
            expand_y=False, justify="left", align="top",
        )  # fmt: skip

    def tell(self, words: Sequence[str]) -> None:
        """Show these eight words, or dots while they are worked out."""
        p = self.kit.p
        for number, label in enumerate(self.words):
            label.update(words[number] if words else "…", colour=p.text if words else p.faint)


def centred(*elements: sg.Element, kit: Kit) -> list[sg.Element]:
    """Return a row with these in its middle."""
    return [kit.push(), *elements, kit.push()]


def on_text(element: sg.Input, changed: Callable[[str], None]) -> None:
    """Call `changed` with the field's text whenever it is another, however that came about."""
    variable = element.TKStringVar
    seen = [variable.get()]

    def look(*_: object) -> None:
        text = variable.get()
        if text != seen[0]:
            seen[0] = text
            changed(text)

    variable.trace_add("write", look)


def press_on_return(widget: Any, button: Push) -> None:
    """Let Return in a field press the page's main button."""
    for key in ("<Return>", "<KP_Enter>"):
        widget.bind(key, lambda event: button.press())


def rings(kit: Kit, fp: bytes, side: float, radii: Sequence[float]) -> Image.Image:
    """Return one's own picture within circles that grow fainter outwards."""
    p = kit.p
    size = kit.px(2 * radii[-1])
    image = Image.new("RGBA", (size, size), p.ground + "00")
    for number, radius in enumerate(reversed(radii)):
        share = (number + 1) / (len(radii) + 1) * 0.55
        d = kit.px(2 * radius)
        image.alpha_composite(
            art.box(d, d, d // 2, theme.mix(p.ground, p.accent, share * 0.75)), ((size - d) // 2,) * 2
        )
    face = art.avatar(p, fp, kit.px(side), square=True)
    image.alpha_composite(face, ((size - face.width) // 2, (size - face.height) // 2))
    return image
