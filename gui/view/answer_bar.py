"""What is answered with the next text: a strip above the composer that names it, and takes it back."""

from __future__ import annotations

from gui import theme
from gui.events import Answer, Emit
from gui.psg import safe_text
from gui.shown import Quoted
from gui.view.elements import Panel
from gui.view.kit import Kit, show


class AnswerBar(Panel):
    """Hidden while nothing is answered."""

    def __init__(self, kit: Kit, emit: Emit):
        self.quoted: Quoted | None = None
        self.width = 0
        p = kit.p
        self.name = kit.text("", size=theme.NOTE, bold=True)
        self.text = kit.text("", size=theme.NOTE, colour=p.soft)
        self.close = kit.icon_button(
            "close", tooltip="Answer nothing (Esc)", command=lambda: emit(Answer()), side=32, glyph=16
        )
        self.card = kit.card(
            [[kit.panel([[self.name], [self.text]]), kit.push(), self.close]],
            fill=p.side, border=p.line, radius=theme.RADIUS_STRIP, inset=(14, 6), expand_x=True,
        )  # fmt: skip
        super().__init__(kit, [[self.card]], None, ground="", pad=(20, (6, 0)), expand_x=True, expand_y=False,
                         justify="left", align="top")  # fmt: skip

    def tell(self, quoted: Quoted | None) -> None:
        """Show what is answered, or nothing."""
        self.quoted = quoted
        if quoted is not None:
            self.name.update(f"Reply to {quoted.name}", colour=self.kit.person_colour(quoted.fp))
            self._clip()
        show(self, quoted is not None)

    def fit(self, width: int) -> None:
        """Fit into a column of so many pixels."""
        self.width = width
        self._clip()

    def _clip(self) -> None:
        if self.quoted is not None:
            kit, room = self.kit, max(self.kit.px(80), self.width - self.kit.px(40 + 28 + 48))
            self.text.update(kit.clip(safe_text(self.quoted.text[:600]), kit.font(theme.NOTE), room))
