"""A menu at a place on the screen."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from gui import theme
from gui.view.kit import Kit


def popup(
    kit: Kit, over: Any, entries: Sequence[tuple[str, Callable[[], None]]], x: int, y: int, *, above: bool = False
) -> tk.Menu:
    """Show a menu at a place on the screen: under it, or `above` it so that none of its entries is under the mouse."""
    p = kit.p
    old = getattr(over, "popup_menu", None)
    if old is not None:
        old.destroy()
    menu = over.popup_menu = tk.Menu(
        over, tearoff=False, bg=p.edge, fg=p.text, activebackground=p.tint, activeforeground=p.accent_text, bd=1,
        relief="flat", activeborderwidth=0, font=kit.font(theme.NOTE),
    )  # fmt: skip
    # An empty picture gives the entries their height: Tk would draw a border of the chosen one in relief.
    space = menu.space = tk.PhotoImage(master=kit.root, width=1, height=kit.px(30))  # type: ignore[attr-defined]
    for words, act in entries:
        menu.add_command(
            label=f"  {words}   ", command=act, image=space, compound="left",
            background=p.field,  # what is left of the menu's own colour is its border
        )  # fmt: skip
    if above:
        menu.update_idletasks()  # or it has no height yet
        y -= menu.winfo_reqheight()
    menu.tk_popup(x, y)
    return menu
