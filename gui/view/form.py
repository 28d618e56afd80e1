"""A page with fields and buttons, in a card: what those that are one's own have in common."""

from __future__ import annotations

from typing import Any

from gui import theme
from gui.events import Back, Emit
from gui.psg import sg
from gui.shown import Check
from gui.view.kit import Kit, Rows, show
from gui.view.parts import Remark, centred
from gui.view.scroller import INSET, Scroller

SIZE, LEAST = (600, 812), (480, 420)
INNER = 424


class FormPage:
    """What such a page has: it can be busy, say a problem, and be left."""

    kit: Kit
    emit: Emit
    window: sg.Window
    busy = False

    def start(self, window: sg.Window) -> None:
        """Begin, with no problem."""
        self.window = window
        self.set_problem("")
        window.TKroot.bind("<Escape>", lambda event: self.emit(Back()))

    def frame(self, rows: Rows, justify: str = "left") -> Rows:
        """Return these rows in a card, with a way back."""
        kit, p = self.kit, self.kit.p
        self.back = kit.icon_button("back", tooltip="Back (Esc)", command=lambda: self.emit(Back()), side=36)
        card = kit.card(rows, fill=p.ground, radius=theme.RADIUS_PAGE, inset=(INSET, 32), justify=justify)
        self.scroller = Scroller(kit, [centred(card, kit=kit), [kit.gap(1, 44)]], ground=p.well, card=card)
        return [[kit.gap(10, 48), self.back], [self.scroller]]

    def label(self, text: str, top: float = 22) -> sg.Element:
        """Return the heading of a part."""
        return self.kit.text(text, size=theme.TEXT, bold=True, pad=((3, 0), (top, 6)))

    def note(self, text: str, bottom: float = 8) -> sg.Element:
        """Return small words."""
        kit = self.kit
        return kit.text(text, size=theme.SMALL, colour=kit.p.soft, wrap=INNER - 8, pad=((3, 0), (0, bottom)))

    def secret(self, key: str, placeholder: str, width: float = 120) -> Any:
        """Return a field whose text isn't shown."""
        return self.kit.field(
            key, placeholder=placeholder, password=True, height=42, width=width, expand_x=True, pad=(0, (0, 6))
        )

    def text(self, key: str) -> str:
        """Return what stands in a field."""
        return str(self.window[key].get())

    def set_problem(self, sentence: str) -> None:
        """Say why it didn't work; empty takes it away."""
        self.problem.tell(Check(False, sentence) if sentence else Check())
        if sentence:
            self.scroller.see(self.problem)

    def buttons(self) -> tuple[Any, ...]:
        """Return what can be pressed."""
        raise NotImplementedError

    def set_busy(self, sentence: str) -> None:
        """Switch the page off and say what it waits for; an empty sentence switches it on."""
        self.busy = bool(sentence)
        for button in self.buttons():
            button.set_on(not self.busy)
        self.waiting.update(sentence)
        show(self.waiting, self.busy)

    def feet(self) -> Rows:
        """Return the rows in which a problem, and what is waited for, are said."""
        kit = self.kit
        self.problem = Remark(kit, wrap=INNER - 30)
        self.waiting = kit.text("", colour=kit.p.soft, icon="clock", pad=((3, 0), (8, 0)))
        return [[self.problem], [self.waiting]]

    problem: Remark
    waiting: Any
