"""What a page shows in the middle of its window, and scrolls where the window is too low for it."""

from __future__ import annotations

from typing import Any

from gui.psg import sg
from gui.view.boxes import Card, ThinBar
from gui.view.dressing import focus_owner, outer
from gui.view.elements import Panel, Rows
from gui.view.kit import Kit

MARGIN = 24  # pixels kept free above and below what is scrolled into view
INSET, NARROW_INSET = 43, 24  # between the edge of a page's card and what lies on it
NARROW = 530  # below so many pixels the card gives up some of its inset


class Scroller(Panel):
    """Rows that can all be reached: by the wheel, the bar, and the keyboard, which takes what it comes to into view.

    `card` is the card among the rows that grows narrower with the window.
    """

    def __init__(self, kit: Kit, rows: Rows, *, ground: str, card: Card | None = None):
        self.card = card
        self.canvas = sg.Canvas(size=(1, 1), pad=(0, 0), expand_x=True, expand_y=True)
        self.bar = ThinBar(kit)
        self.body = kit.panel(rows, ground=ground, justify="center")  # after the canvas, so that it lies over it
        super().__init__(
            kit, [[self.canvas, self.bar, self.body]], None, ground=ground, pad=(0, 0), expand_x=True, expand_y=True,
            justify="left", align="top",
        )  # fmt: skip

    def dress(self, ground: str) -> None:
        """Hang the rows into the canvas, and listen."""
        canvas, body = self.canvas.Widget, outer(self.body)
        canvas.configure(bd=0, highlightthickness=0, takefocus=0)
        body.pack_forget()
        self.item = canvas.create_window(0, 0, window=body, anchor="nw")
        self.bar.attach(canvas)
        body.bind("<Configure>", self._fit, add="+")
        canvas.bind("<Configure>", self._resized, add="+")
        top = canvas.winfo_toplevel()
        for name, by in (("<Button-4>", -1), ("<Button-5>", 1), ("<Prior>", -8), ("<Next>", 8)):
            top.bind(name, lambda event, by=by: canvas.yview_scroll(by, "units"))
        top.bind("<MouseWheel>", lambda event: canvas.yview_scroll(-1 if event.delta > 0 else 1, "units"))
        top.bind("<FocusIn>", lambda event: self._reach(str(event.widget)), add="+")

    def see(self, element: sg.Element) -> None:
        """Scroll as far as it takes to see this element."""
        self.canvas.Widget.update_idletasks()  # it may have been shown a moment ago
        self._fit()
        self._reach(str(outer(element)))

    def keep(self) -> None:
        """Keep in view what has the keyboard, though rows have come or gone."""
        self.canvas.Widget.update_idletasks()
        self._resized()

    def _resized(self, event: Any = None) -> None:
        """Fit, and keep in view what has the keyboard."""
        self._fit()
        self._reach(focus_owner(self.canvas.Widget))

    def _reach(self, name: str) -> None:
        """Scroll to a widget by its Tk name; nothing happens when it isn't among the rows."""
        body, canvas = outer(self.body), self.canvas.Widget
        if not name.startswith(f"{body}."):
            return
        margin, low = self.kit.px(MARGIN), canvas.winfo_height()
        top = int(canvas.tk.call("winfo", "rooty", name)) - body.winfo_rooty() - margin
        bottom = top + int(canvas.tk.call("winfo", "height", name)) + 2 * margin
        if top < canvas.canvasy(0):
            canvas.yview_moveto(max(0, top) / body.winfo_height())
        elif bottom > canvas.canvasy(low):
            canvas.yview_moveto((bottom - low) / body.winfo_height())

    def _fit(self, event: Any = None) -> None:
        """Give the rows the width there is; put them in the middle if there is height to spare."""
        canvas, body = self.canvas.Widget, outer(self.body)
        wide, high, need = canvas.winfo_width(), canvas.winfo_height(), body.winfo_reqheight()
        if self.card is not None:
            self.card.squeeze(NARROW_INSET if wide < self.kit.px(NARROW) else INSET)
        canvas.itemconfigure(self.item, width=wide)
        canvas.coords(self.item, 0, max(0, (high - need) // 2))
        canvas.configure(scrollregion=(0, 0, wide, max(high, need)))
