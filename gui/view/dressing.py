"""What PySimpleGUI leaves undone once a window has its widgets: grounds, the filling of rows, hiding in place."""

from __future__ import annotations

from typing import Any

from gui.psg import sg


def outer(element: sg.Element) -> Any:
    """Return the widget of an element that is packed into its row."""
    widget = element.Widget
    while widget.master is not element.ParentRowFrame:
        widget = widget.master
    return widget


def dress(container: Any, ground: str) -> None:
    """Give every element the colour of its ground, and make sizes follow `expand_x` and `expand_y` in any order.

    PySimpleGUI works out the filling of a row from left to right, so that the last element can undo what an earlier one
    asked for; here a row grows in a direction when any of its elements does.
    """
    inset = getattr(container, "inset", (0, 0))
    count = len(container.Rows)
    for number, row in enumerate(container.Rows):
        frame = row[0].ParentRowFrame
        frame.configure(bg=ground, bd=0, highlightthickness=0)
        wide, tall = any(e.expand_x for e in row), any(e.expand_y for e in row)
        if frame.winfo_manager():
            frame.pack_configure(
                fill=_fill(wide, tall),
                expand=tall,
                padx=inset[0],
                pady=(inset[1] if number == 0 else 0, inset[1] if number == count - 1 else 0),
            )
        for element in row:
            _dress_one(element, ground)


def _dress_one(element: sg.Element, ground: str) -> None:
    widget = outer(element)
    if widget.winfo_manager():
        widget.pack_configure(fill=_fill(element.expand_x, element.expand_y), expand=element.expand_x)
    if isinstance(element, sg.Column):
        inner = getattr(element, "ground", "") or ground
        element.Widget.configure(bg=inner, bd=0, highlightthickness=0)
        dress(element, inner)
    if hasattr(element, "dress"):
        element.dress(ground)
    elif not isinstance(element, sg.Column):
        element.Widget.configure(bg=ground, highlightthickness=0)


def _fill(wide: bool, tall: bool) -> str:
    return "both" if wide and tall else "x" if wide else "y" if tall else "none"


def focus_owner(widget: Any) -> str:
    """Return the name of the widget of this program that has the keyboard, or nothing.

    Not by `focus_get`, which raises when it is one of Tk's own, a menu or the list of a field, unknown to Python.
    """
    return str(widget.tk.call("focus"))


def has_focus(widget: Any) -> bool:
    """Say whether a widget has the keyboard."""
    return focus_owner(widget) == str(widget)


def take_focus(top: Any) -> None:
    """Give a window the keyboard, on the widget that had it last or asked for it.

    Never by force: what another program has is that program's until the person comes back, and then Tk hands it on.
    (And Tk crashes now and then where a window takes the keyboard by force while another one goes.)
    """
    top.tk.call("focus", top.tk.call("focus", "-lastfor", top))


def show(element: sg.Element, on: bool) -> None:
    """Show or hide an element in its place; a row without a shown element takes no room."""
    widget, frame = outer(element), element.ParentRowFrame
    if bool(widget.winfo_manager()) == on:
        return
    container = element.ParentContainer
    row = next(r for r in container.Rows if element in r)
    if on:
        _pack_back(widget, [outer(e) for e in row])
        if not frame.winfo_manager():
            _pack_back(frame, [r[0].ParentRowFrame for r in container.Rows])
    else:
        _pack_away(widget)
        if not any(outer(e).winfo_manager() for e in row):
            _pack_away(frame)
        if not any(r[0].ParentRowFrame.winfo_manager() for r in container.Rows):
            frame.master.configure(height=1)  # Tk leaves a frame as large as it was when the last in it goes


def _pack_away(widget: Any) -> None:
    widget.packing = {k: v for k, v in widget.pack_info().items() if k != "in"}
    widget.pack_forget()


def _pack_back(widget: Any, order: list[Any]) -> None:
    after = order[order.index(widget) + 1 :]
    following = next((w for w in after if w.winfo_manager()), None)
    if following is None:
        widget.pack(**widget.packing)
    else:
        widget.pack(before=following, **widget.packing)
