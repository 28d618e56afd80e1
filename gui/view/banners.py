"""The strips above the log: somebody knocks, something needs a look.  They never take the keyboard."""

from __future__ import annotations

from collections.abc import Sequence

from gui import art, theme
from gui.events import DismissBanner, Emit
from gui.shown import Banner, Tone
from gui.view.boxes import Card
from gui.view.elements import Panel
from gui.view.kit import Kit, show

SLOTS = 3  # shown at once, fewer in a low window; the last one counts the rest


class Strip(Card):
    """One strip, made once and told what to show."""

    def __init__(self, kit: Kit, emit: Emit):
        self.emit = emit
        self.banner: Banner | None = None
        p = kit.p
        self.face = kit.picture()
        self.title = kit.text("", bold=True)
        self.note = kit.text("", size=theme.NOTE, colour=p.soft)
        self.action = kit.button("", command=self._act, height=36, width=132)
        self.close = kit.icon_button("close", tooltip="Put this away", command=self._close, side=32, glyph=16)
        super().__init__(
            kit,
            [[self.face, kit.gap(13), kit.panel([[self.title], [self.note]]), kit.push(), kit.gap(12), self.action,
              kit.gap(4), self.close]],
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
            self.face.set(art.avatar(p, banner.fp, side))
        else:
            self.face.set(art.icon(icon, kit.px(22), ink))
        self.title.update(banner.title, colour=p.text)
        self.note.update(" · ".join(filter(None, (banner.text, f"{more} more" if more else ""))))
        show(self.note, bool(banner.text or more))
        if banner.action:
            self.action.set_words(banner.action[0], fit=True)
            self.action.set_kind(button)
        show(self.action, banner.action is not None)
        show(self.close, banner.closable)

    def wrap(self, width: int) -> None:
        """Break the lines so that the strip is at most so many pixels wide."""
        spare = 2 * self.inset[0] + self.kit.px(36 + 13 + 12 + 4)
        for part, shown in (
            (self.action, self.banner and self.banner.action),
            (self.close, self.banner and self.banner.closable),
        ):
            spare += part.size[0] if shown else 0
        for words in (self.title, self.note):
            words.Widget.configure(wraplength=max(self.kit.px(120), width - spare))

    def _act(self) -> None:
        if self.banner and self.banner.action:
            self.emit(self.banner.action[1])

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
