"""The window that a page or a sheet is: made, dressed and filled out of sight, then shown.

A window that is on the screen draws whatever is put into it, again and again: it costs twice the time, and where the
screen can't hide a window (X11 without a compositor) people see it being built.
"""

from __future__ import annotations

import tkinter as tk
from typing import Any

from gui import theme
from gui.psg import release, safe_name, sg
from gui.view.dressing import dress
from gui.view.kit import Kit, Rows

BARS = 72  # pixels of a screen that title bar and task bar take


class PageWindow(sg.Window):
    """A window that isn't seen until it is made, and is gone when it is closed."""

    first: Any = None  # the widget that gets the keyboard; Tk gives it to none that isn't on the screen

    def appear(self) -> None:
        """Show the window as it is now."""
        top = self.TKroot
        top.update_idletasks()
        top.deiconify()
        top.update_idletasks()
        if self.first is not None:
            self.first.focus_set()

    def _create_thread_queue(self) -> None:
        """Take it off the screen: PySimpleGUI calls this when there is a window, and nothing in it yet."""
        super()._create_thread_queue()
        self.TKroot.withdraw()

    def close(self) -> None:
        """Close the window; again does nothing."""
        if not self.is_closed(quick_check=True):
            release(self)
            super().close()


def make_window(
    kit: Kit,
    title: str,
    rows: Rows,
    *,
    size: tuple[float, float] | None = None,
    least: tuple[float, float] | None = None,
    ground: str = "",
    resizable: bool = False,
    parent: sg.Window | None = None,
    justify: str = "left",
    location: tuple[int, int] | None = None,
) -> sg.Window:
    """Make and dress a window.  Closing it by its X gives `sg.WINDOW_CLOSE_ATTEMPTED_EVENT`; nothing closes by itself.

    `size` and `least` are pixels at 96 per inch; without a size it fits its rows.  With a `parent` it is a sheet over
    that window: centred on it, above it, Escape gives the close event; it is shown by `appear`, when it is filled.
    """
    p = kit.p
    ground = ground or p.ground
    window = PageWindow(
        safe_name(title),
        [list(row) for row in rows],
        size=(kit.px(size[0]), kit.px(size[1])) if size else (None, None),
        background_color=ground,
        margins=(0, 0),
        element_padding=(0, 0),
        element_justification=justify,
        font=kit.font(),
        icon=kit.icon_png,
        location=location,  # without one it is placed below, when its size is known
        resizable=resizable,
        grab_anywhere=False,
        grab_anywhere_using_control=False,
        debugger_enabled=False,
        use_default_focus=False,
        enable_close_attempted_event=True,
        use_custom_titlebar=False,
        tooltip_background_color=p.text,
        tooltip_text_color=p.ground,
        tooltip_font=kit.font(theme.SMALL),
        finalize=True,
    )
    window.disable_debugger()
    window.kit = kit
    top = window.TKroot
    dress(window, ground)
    top.configure(bg=ground)
    for child in top.winfo_children():
        if isinstance(child, tk.Frame):
            child.configure(bg=ground)
    if least:
        top.minsize(kit.px(least[0]), kit.px(least[1]))
    top.update_idletasks()
    if parent is not None:
        place_over(top, parent.TKroot)
        top.bind("<Escape>", lambda event: window.write_event_value(sg.WINDOW_CLOSE_ATTEMPTED_EVENT, None))
        return window
    if location is None:
        _put_in_the_middle(top, *(window._Size if size else (top.winfo_reqwidth(), top.winfo_reqheight())))
    window.appear()
    return window


def place_over(top: Any, under: Any) -> None:
    """Put a sheet over the middle of its page, which it is then above; again once it is filled: it is larger."""
    top.update_idletasks()
    width, height = max(top.winfo_width(), top.winfo_reqwidth()), max(top.winfo_height(), top.winfo_reqheight())
    x = under.winfo_rootx() + (under.winfo_width() - width) // 2
    y = under.winfo_rooty() + (under.winfo_height() - height) // 2
    x = max(0, min(x, top.winfo_screenwidth() - width))
    y = max(0, min(y, top.winfo_screenheight() - height))
    top.transient(under)
    top.geometry(f"+{x}+{y}")


def _put_in_the_middle(top: Any, width: int, height: int) -> None:
    """Put a window into the middle of the screen."""
    top.geometry(
        f"+{max(0, (top.winfo_screenwidth() - width) // 2)}+{max(0, (top.winfo_screenheight() - height) // 2)}"
    )
