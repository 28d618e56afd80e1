"""Somebody in front of a window: runs `gui_client` in this process, and does with its widgets what a person does.

Knows what is written on the screen and nothing of the program behind it: looks for words on widgets, and gives mouse
and keyboard events to Tk.  Orders come on standard input, one JSON list on a line: a word of `Person`, then its
arguments.  Each is tried until it works or its time is up, and answered by one JSON list: true and a result, or false
and a sentence.  With `--invite-stdin` the first line is the invite.

    python tools/person.py --profile DIR [what else gui_client takes]
"""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import sys
import threading
import time
import tkinter as tk
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any, TextIO

from PIL import Image, ImageGrab

ROOT = Path(__file__).resolve().parent.parent
GLANCE_MS = 30  # how often the screen is looked at
PATIENCE_S = 30.0


class Missing(Exception):
    """What was looked for isn't on the screen (yet)."""


class Person:
    """Eyes and hands.  Everything here runs in the thread of the window."""

    def __init__(self, root: tk.Misc) -> None:
        self.root = root
        self._view: Image.Image | None = None  # at the last glance
        self._left: set[tk.Misc] = set()  # windows whose X was pressed, and that may still be on their way out

    # -- eyes

    def sees(self, words: str) -> str:
        """Return the text on the screen that contains these words."""
        for text in self._texts():
            if words in text:
                return text
        raise Missing(f"nowhere on the screen: {words!r}")

    def reads(self) -> list[str]:
        """Return all text on the screen."""
        return list(self._texts())

    def photographs(self, path: str, title: str = "") -> str:
        """Save a picture of the newest window, or of the one with this title, once it stands still."""
        window = self._window(title)
        window.lift()
        window.update_idletasks()  # on a busy machine the glances leave Tk no time to draw
        x, y = window.winfo_rootx(), window.winfo_rooty()
        box = (x, y, x + window.winfo_width(), y + window.winfo_height())
        before, self._view = self._view, ImageGrab.grab(bbox=box, xdisplay=os.environ.get("DISPLAY"))
        if before is None or before.tobytes() != self._view.tobytes():
            raise Missing(f"still moving: {title!r}")
        self._view.save(path)
        return path

    # -- hands

    def moves(self, x: int, y: int, title: str = "") -> None:
        """Move the newest window, or the one with this title."""
        self._window(title).geometry(f"+{x}+{y}")

    def presses(self, words: str) -> None:
        """Click on the button, or whatever else, on which exactly these words are written."""
        widget = self._find(lambda widget: _text(widget) == words, words)
        if str(widget.cget("cursor")) != "hand2":
            raise Missing(f"switched off, or not there yet: {words!r}")
        at = {"x": widget.winfo_width() // 2, "y": widget.winfo_height() // 2}
        for event in ("<Enter>", "<Motion>", "<ButtonPress-1>", "<ButtonRelease-1>"):
            widget.event_generate(event, **at)

    def types(self, hint: str, text: str, end: str = "") -> None:
        """Write letters, digits and spaces into the empty field with this hint, then press `end`: "Control-n"."""
        field = self._field(hint)
        for character in text:
            field.event_generate("<Key>", keysym="space" if character == " " else character)
        if end:
            field.event_generate(f"<{end}>")

    def pastes(self, hint: str, text: str = "", end: str = "") -> None:
        """Paste `text`, or what is on the clipboard, into the field with this hint, then press `end`."""
        field = self._field(hint)
        if text:
            self.root.clipboard_clear()
            self.root.clipboard_append(text)
        field.event_generate("<<Paste>>")
        if end:
            field.event_generate(f"<{end}>")

    def closes(self, title: str = "") -> None:
        """Press the X of the newest window, or of the one with this title."""
        window = self._window(title, self._left)
        self._left.add(window)
        self.root.tk.call(window.protocol("WM_DELETE_WINDOW"))

    # -- inside

    def _widgets(self, under: tk.Misc | None = None) -> Iterator[tk.Misc]:
        """Yield what can be seen, newest windows first."""
        children = (under or self.root).winfo_children()
        for child in reversed(children) if under is None else children:
            if child.winfo_ismapped():
                yield child
            yield from self._widgets(child)

    def _texts(self) -> Iterator[str]:
        return (text for text in map(_text, self._widgets()) if text)

    def _find(self, wanted: Callable[[tk.Misc], bool], words: str) -> Any:
        for widget in self._widgets():
            if wanted(widget):
                return widget
        raise Missing(f"nowhere on the screen: {words!r}")

    def _field(self, hint: str) -> Any:
        """Return the field that shows this hint, with the keyboard in it."""
        field = self._find(lambda widget: _text(widget) == hint, hint).master
        if not isinstance(field, (tk.Entry, tk.Text)):
            raise Missing(f"not a field: {hint!r}")
        if str(field.cget("state")) != "normal":
            raise Missing(f"switched off: {hint!r}")
        if self.root.tk.call("focus"):
            field.focus_set()
        else:
            field.focus_force()  # without a window manager nobody else gives the keyboard to a new program
        return field

    def _window(self, title: str, left: Container[tk.Misc] = ()) -> Any:
        for child in reversed(self.root.winfo_children()):
            if (
                isinstance(child, tk.Toplevel)
                and child not in left
                and child.winfo_viewable()
                and title in child.title()
            ):
                return child
        raise Missing(f"no window: {title!r}")


def _text(widget: tk.Misc) -> str:
    if isinstance(widget, (tk.Label, tk.Button)):
        return str(widget.cget("text")).strip()
    if isinstance(widget, tk.Text):
        return widget.get("1.0", "end-1c")
    if isinstance(widget, tk.Entry):
        return "" if widget.cget("show") else widget.get()
    return ""


def obey(root: tk.Misc, commands: TextIO, answers: TextIO) -> None:
    """Do, from now on, what is asked."""
    person = Person(root)
    orders: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    order: list[Any] = []
    until_s = 0.0
    doing = False

    def listen() -> None:
        for line in commands:
            orders.put(json.loads(line))
        os.kill(os.getpid(), signal.SIGTERM)  # whoever gave the orders is gone

    def answer(*result: Any) -> None:
        nonlocal order
        order = []
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    def glance() -> None:
        nonlocal order, until_s, doing
        root.after(GLANCE_MS, glance)
        if doing:  # what is being done lets Tk go on meanwhile; it is done, and answered, once
            return
        if not order and not orders.empty():
            order, until_s = orders.get(), time.monotonic() + PATIENCE_S
        if order:
            doing = True
            try:
                result = getattr(person, order[0])(*order[1:])
            except (Missing, tk.TclError) as trouble:
                if time.monotonic() > until_s:
                    answer(False, f"{trouble}; there is: {person.reads()}")
            else:
                answer(True, result)
            finally:
                doing = False

    threading.Thread(target=listen, name="orders", daemon=True).start()
    root.after(GLANCE_MS, glance)


def main() -> int:
    """Run the window with somebody in front of it.  Returns its exit status."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the program prints is no answer
    commands = sys.stdin
    sys.stdin = io.StringIO(commands.readline() if "--invite-stdin" in sys.argv else "")
    sys.path.insert(0, str(ROOT))
    import gui_client
    from gui.psg import hidden_root

    obey(hidden_root(), commands, answers)
    return gui_client.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
