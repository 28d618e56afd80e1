"""The windows of one program, with eyes and hands for tests of what is on them."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Iterator
from typing import Any

from gui import events
from gui.events import Sheet, ViewEvent
from gui.psg import hidden_root
from gui.view.windows import Windows


def words_in(widget: Any) -> list[str]:
    """Return the words that one widget has of its own, seen or not."""
    if isinstance(widget, tk.Label):
        return [str(widget.cget("text")).strip()]
    if isinstance(widget, tk.Entry):
        return [widget.get()]
    if isinstance(widget, tk.Canvas):
        canvas: Any = widget
        return [canvas.itemcget(i, "text") for i in canvas.find_all() if canvas.type(i) == "text"]
    return []


class Screen:
    """The windows of one program, and what they told."""

    def __init__(self, dark: bool) -> None:
        self.told: list[ViewEvent] = []
        self.opened: list[str] = []
        self.where: list[bytes] = []  # of which rooms it was
        self.windows: Any = Windows(self._take, dark=dark, open_url=self.opened.append)

    def _take(self, event: ViewEvent) -> None:
        if isinstance(event, events.InRoom):
            self.where.append(event.room_id)
            event = event.act
        self.told.append(event)

    def update(self) -> None:
        hidden_root().update()

    @property
    def top(self) -> Any:
        return self.windows.main.TKroot

    def sheet(self, kind: Sheet) -> Any:
        return self.windows.sheets[kind][1].TKroot

    def widgets(self, under: Any) -> Iterator[Any]:
        for child in under.winfo_children():
            if child.winfo_ismapped() and not isinstance(child, tk.Toplevel):
                yield child
                yield from self.widgets(child)

    def reads(self, under: Any = None) -> list[str]:
        """Return all words that can be seen in a window."""
        self.update()
        found = []
        for widget in self.widgets(under or self.top):
            found += words_in(widget)
        return [text for text in found if text]

    def press(self, words: str, under: Any = None) -> None:
        """Click on what says exactly this."""
        self.update()
        for widget in self.widgets(under or self.top):
            if isinstance(widget, tk.Label) and str(widget.cget("text")).strip() == words:
                at: Any = {"x": widget.winfo_width() // 2, "y": widget.winfo_height() // 2}
                for event in ("<Enter>", "<ButtonPress-1>", "<ButtonRelease-1>"):
                    widget.event_generate(event, **at)
                self.update()
                return
        raise AssertionError(f"{words!r} isn't in {self.reads(under)}")

    def field(self, key: str) -> Any:
        return self.windows.main[key].Widget

    def type(self, key: str, text: str) -> None:
        """Type letters into a field."""
        self.field(key).focus_force()
        self.update()
        for letter in text:
            self.field(key).event_generate("<Key>", keysym="space" if letter == " " else letter)
        self.update()

    def key(self, keysym: str, widget: Any = None) -> None:
        """Press a key where the keyboard is, or in this widget."""
        if widget is not None:
            widget.focus_force()
        self.update()
        (hidden_root().focus_get() or widget or self.top).event_generate(f"<{keysym}>")
        self.update()

    def last(self) -> ViewEvent:
        self.update()
        return [event for event in self.told if not isinstance(event, events.FocusChanged)][-1]
