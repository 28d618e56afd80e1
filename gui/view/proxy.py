"""The page on which a person says through which proxy relays are reached."""

from __future__ import annotations

from typing import Any

from gui import theme
from gui.events import Emit
from gui.proxy import (
    DIRECTLY,
    DIRECTLY_NOTE,
    GIVEN,
    HOLDS,
    THROUGH,
    THROUGH_NOTE,
    TITLE,
    TOR,
    TYPE_ONE,
    ProxyKnown,
    SetProxy,
)
from gui.psg import sg
from gui.shown import Check
from gui.view.choice import Choice, group
from gui.view.form import INNER, LEAST, SIZE, FormPage
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import Remark, press_on_return

ADDRESS = "-ADDRESS-"


class ProxyPage(FormPage):
    """Implements `gui.pages.CreateView`."""

    def __init__(self, kit: Kit, state: ProxyKnown, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, state = self.kit, self.state
        proxied = bool(state.address or state.problem)
        self.directly = Choice(kit, DIRECTLY, value=not proxied, round_mark=True, changed=self._arrange)
        self.through = Choice(kit, THROUGH, value=proxied, round_mark=True, changed=self._arrange)
        self.address = kit.field(
            ADDRESS, value=state.address or TOR, placeholder="Host and port", height=42, expand_x=True, pad=(0, (0, 2))
        )
        self.save = kit.button("Save", command=self._save, height=44, size=theme.TEXT, expand_x=True)
        self.done, self.given = Remark(kit, wrap=INNER - 30), self.note(GIVEN)
        return self.frame(
            [
                [kit.text(TITLE, size=theme.BIG, bold=True, pad=(0, (0, 10)))],
                [self.done],
                [kit.gap(1, 6)],
                [self.directly],
                [self.note(DIRECTLY_NOTE, 14)],
                [self.through],
                [kit.gap(1, 6)],
                [self.address],
                *self.feet(),
                [kit.gap(1, 6)],
                [self.note(THROUGH_NOTE, 6)],
                [self.given],
                [self.note(HOLDS, 14)],
                [kit.gap(INNER, 2)],
                [self.save],
            ]
        )

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life."""
        self.start(window)
        group(self.directly, self.through)
        self.set_busy("")
        self.set_problem(self.state.problem)
        self.done.tell(Check(True, self.state.done) if self.state.done else Check())
        show(self.given, self.state.given)
        self._arrange()
        press_on_return(window[ADDRESS].Widget, self.save)
        (self.through if self.through.value else self.directly).Widget.focus_set()

    def set_problem(self, sentence: str) -> None:
        """As in `FormPage`; what was done before is no longer said."""
        self.done.tell(Check())
        self.address.fail(bool(sentence))
        super().set_problem(sentence)

    def buttons(self) -> tuple[Any, ...]:
        """Return what can be pressed."""
        return self.save, self.back

    def _arrange(self) -> None:
        show(self.address, self.through.value)

    def _save(self) -> None:
        if self.busy:
            return
        self.set_problem("")
        address = self.text(ADDRESS).strip() if self.through.value else ""
        if self.through.value and not address:
            self.set_problem(TYPE_ONE)
        else:
            self.emit(SetProxy(address))


def open_proxy(kit: Kit, state: ProxyKnown, emit: Emit, **where: Any) -> tuple[ProxyPage, sg.Window]:
    """Make the page in a window of its own."""
    page = ProxyPage(kit, state, emit)
    window = make_window(
        kit, f"{TITLE} — Parley", page.layout(), size=SIZE, least=LEAST, ground=kit.p.well, resizable=True, **where
    )
    page.attach(window)
    return page, window
