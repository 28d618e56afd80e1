"""A menu at a place on the screen."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

from gui import theme
from gui.view.kit import Kit


def popup(kit: Kit, over: Any, entries: Sequence[tuple[str, Callable[[], None]]], x: int, y: int) -> tk.Menu:
    """Show a menu at a place on the screen."""
    p = kit.p
    old = getattr(over, "popup_menu", None)
    if old is not None:
        old.destroy()
    menu = over.popup_menu = tk.Menu(
        over, tearoff=False, bg=p.field, fg=p.text, activebackground=p.tint, activeforeground=p.accent_text, bd=1,
        relief="flat", activeborderwidth=kit.px(5), font=kit.font(theme.NOTE),
    )  # fmt: skip
    for words, act in entries:
        menu.add_command(label=f" {words}  ", command=act)
    menu.tk_popup(x, y)
    return menu
