"""The strips above the log: somebody knocks, something needs a look.  They never take the keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gui import art, theme
from gui.events import DismissBanner, Emit
from gui.shown import Banner, Tone
from gui.view.boxes import Card
from gui.view.elements import Panel, Rows
from gui.view.kit import Kit, show

NARROW = 480  # pixels of a strip below which two answers stand under its words
SLOTS = 3  # shown at once, fewer in a low window; the last one counts the rest


class Strip(Card):
    """One strip, made once and told what to show."""

    def __init__(self, kit: Kit, emit: Emit):
        self.kit, self.emit = kit, emit
        self.banner: Banner | None = None
        p = kit.p
        self.face = kit.picture()
        self.title = kit.text("", bold=True)
        self.note = kit.text("", size=theme.NOTE, colour=p.soft)
        self.beside, self.below = self._answers(above=True), self._answers(above=False)
        self.close = kit.icon_button("close", tooltip="Put this away", command=self._close, side=32, glyph=16)
        super().__init__(
            kit,
            [[self.face, kit.gap(13), kit.panel([[self.title], [self.note], [self.below]]), kit.push(), kit.gap(12),
              self.beside, kit.gap(4), self.close]],
            fill=p.tint, border="", radius=theme.RADIUS_STRIP, inset=(14, 12), pad=(20, (12, 0)), expand_x=True,
        )  # fmt: skip

    def tell(self, banner: Banner, more: int) -> None:
        """Show this banner; `more` others wait behind it."""
        self.banner = banner
        kit, p = self.kit, self.kit.p
        fill, ink, border, icon, button = {
            Tone.PLAIN: (p.side, p.soft, p.line, "info", "outline"),
            Tone.GOOD: (p.good_tint, p.good, p.good_tint, "tick", "outline"),
            Tone.WARN: (p.warn_tint, p.warn, p.warn_tint, "warning", "outline"),
            Tone.BAD: (p.bad_tint, p.bad, p.bad, "warning", "main"),
            Tone.ACCENT: (p.tint, p.accent_text, p.tint, "info", "main"),
        }[banner.tone]
        self.paint(fill=fill, border=border)
        side = kit.px(36)
        if banner.fp:
            self.face.set(kit.face(banner.fp, side))
        else:
            self.face.set(art.icon(icon, kit.px(22), ink))
        self.title.update(banner.title, colour=p.text)
        self.note.update(" ".join(filter(None, (banner.text, f"({more} more)" if more else ""))))
        show(self.note, bool(banner.text or more))
        for panel in (self.beside, self.below):
            if banner.action:
                panel.action.set_words(banner.action[0], fit=True)
                panel.action.set_kind(button)
            show(panel.action, banner.action is not None)
            if banner.second:
                panel.second.set_words(banner.second[0], fit=True)
            show(panel.second, banner.second is not None)
        show(self.close, banner.closable)

    def wrap(self, width: int) -> None:
        """Break the lines so that the strip is at most so many pixels wide; where that is little, answers go below."""
        spare = 2 * self.inset[0] + self.kit.px(36 + 13 + 12 + 4)
        banner = self.banner
        if banner is not None:
            answers = ((self.beside.action, banner.action), (self.beside.second, banner.second))
            narrow = width < self.kit.px(NARROW) and banner.second is not None
            show(self.beside, banner.action is not None and not narrow)
            show(self.below, narrow)
            spare += 0 if narrow else max((part.size[0] for part, shown in answers if shown), default=0)
            spare += self.close.size[0] if banner.closable else 0
        for words in (self.title, self.note):
            words.Widget.configure(wraplength=max(self.kit.px(120), width - spare))

    def _answers(self, above: bool) -> Any:
        """Return the buttons: one above the other, or side by side."""
        kit = self.kit
        action = kit.button("", command=self._act, height=36, width=132)
        second = kit.button("", kind="link", command=self._second, height=28, size=theme.NOTE)
        rows: Rows = [[action], [second]] if above else [[kit.gap(1, 8)], [action, kit.gap(8), second]]
        panel: Any = kit.panel(rows, justify="center" if above else "left")
        panel.action, panel.second = action, second
        return panel

    def _act(self) -> None:
        if self.banner and self.banner.action:
            self.emit(self.banner.action[1])

    def _second(self) -> None:
        if self.banner and self.banner.second:
            self.emit(self.banner.second[1])

    def _close(self) -> None:
        if self.banner:
            self.emit(DismissBanner(self.banner.key))


class Banners(Panel):
    """All strips, top first."""

    def __init__(self, kit: Kit, emit: Emit):
        self.strips = [Strip(kit, emit) for _ in range(SLOTS)]
        self.banners: tuple[Banner, ...] = ()
        self.width, self.slots = 0, SLOTS
        super().__init__(kit, [[strip] for strip in self.strips], None, ground="", pad=(0, (0, 8)), expand_x=True,
                         expand_y=False, justify="left", align="top")  # fmt: skip

    def tell(self, banners: Sequence[Banner]) -> None:
        """Show exactly these."""
        self.banners = tuple(banners)
        show(self, bool(banners))
        for number, strip in enumerate(self.strips):
            if number < len(banners):
                strip.tell(banners[number], len(banners) - self.slots if number == self.slots - 1 else 0)
            show(strip, number < min(len(banners), self.slots))
        self._wrap()

    def fit(self, width: int, height: int) -> None:
        """Fit into a column of so many pixels."""
        self.width = width
        slots = max(1, min(SLOTS, height // self.kit.px(220)))
        if slots != self.slots:
            self.slots = slots
            self.tell(self.banners)
        else:
            self._wrap()

    def _wrap(self) -> None:
        width = self.width
        if width > 0:
            for strip in self.strips:
                strip.wrap(width - 2 * self.kit.px(20))
