"""The only module that imports PySimpleGUI, and where its habits are cured.

What is cured, each held by a test in `tests/test_psg.py`:

- importing it turns the certificate checks of `urllib` off for the whole process: put back;
- it makes every `UserWarning` loud: the filters are put back;
- a mistyped key opens a modal window and then guesses another element: a `KeyError` instead;
- a settings file of the user's (theme, debugger that evaluates Python, a key that writes screenshots to disk) reaches
  into every program: it is never looked at here;
- `read()` swallows Ctrl+C and ends the process: `catch_interrupts`;
- a closed window stays in memory with all that hangs on it: `release`;
- an exception in a Tk callback goes to stderr as a traceback and is forgotten: `catch_faults`.

Everything else of the window takes the toolkit from here: `from gui.psg import sg`.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import ssl
import sys
import tkinter as tk
import warnings
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from gui.safetext import safe_name, safe_text, wide_glyphs_are_safe

_verified = ssl._create_default_https_context
_filters = list(warnings.filters)
import PySimpleGUI as sg  # type: ignore[import-untyped]  # noqa: E402  (what it changes is saved above)
from PySimpleGUI import PySimpleGUI as _inside  # noqa: E402

ssl._create_default_https_context = _verified
warnings.filters = _filters

__all__ = [
    "catch_faults",
    "catch_interrupts",
    "hidden_root",
    "pixel_factor",
    "release",
    "safe_name",
    "safe_text",
    "sg",
    "wide_glyphs_are_safe",
]

log = logging.getLogger("parley.gui")
POLL_MS = 200  # how long Ctrl+C may wait: Python sees a signal only when Tk runs a piece of Python


class _NoSettings:
    """Stands in for PySimpleGUI's per-user settings: remembers nothing, answers every question with the default."""

    full_filename = ""

    def get(self, key: object, default: object = None) -> object:
        return default

    def set(self, key: object, value: object) -> None:
        return None

    def read(self) -> dict[object, object]:
        return {}

    load = read

    def save(self) -> None:
        return None


_inside.pysimplegui_user_settings = _NoSettings()
_inside.main_global_get_screen_snapshot_symcode = lambda: ""
sg.set_options(
    suppress_error_popups=True,
    suppress_raise_key_errors=False,
    suppress_key_guessing=True,
    use_button_shortcuts=False,
    border_width=0,
    element_padding=(0, 0),
    margins=(0, 0),
)

if sys.platform == "win32":
    try:
        ctypes.windll.shcore.SetProcessDpiAwareness(1)  # before the first window; PySimpleGUI asks only old releases
    except (AttributeError, OSError):
        log.debug("this Windows has no per-process DPI setting")


def hidden_root() -> tk.Tk:
    """Return the Tk root that PySimpleGUI hides behind its windows, made when there is none yet.

    Raises `tk.TclError` where there is no display.
    """
    root: tk.Tk = _inside._get_hidden_master_root()
    return root


def pixel_factor() -> float:
    """Return how many pixels of this screen make one of the 96 per inch that sizes are given in: 1.0, 1.25, 2.0 ..."""
    if sys.platform == "darwin":
        return 1.0  # points; the system scales
    return max(1.0, round(hidden_root().winfo_fpixels("1i") / 96 * 8) / 8)


def release(window: Any) -> None:
    """Cut what keeps a window alive for ever once it is closed: traces on its variables, which Tcl holds on to.

    Call before `close`.  The window gives no more events from then on.
    """
    elements = list(window.AllKeysDict.values())
    for variable in (window.thread_strvar, *(getattr(element, "TKStringVar", None) for element in elements)):
        if isinstance(variable, tk.Variable):
            for modes, name in variable.trace_info():
                for mode in modes:
                    variable.trace_remove(mode, name)


def catch_faults(on_fault: Callable[[], None] | None = None) -> None:
    """Route exceptions in Tk callbacks to the log, without their text, which may quote a message, and to `on_fault`."""

    def report(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        where = "unknown"
        while trace is not None:
            code = trace.tb_frame.f_code
            where = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} {code.co_name}"
            trace = trace.tb_next
        log.error("a callback of the window failed: %s at %s", kind.__name__, where)
        if on_fault is not None:
            on_fault()

    hidden_root().report_callback_exception = report


def catch_interrupts(on_interrupt: Callable[[], None]) -> Callable[[], None]:
    """Have Ctrl+C, SIGTERM and a closed terminal call `on_interrupt` in the GUI thread, not end it in `read()`.

    Call from the main thread.  Returns a function that puts the former handlers back.
    """
    root = hidden_root()
    seen: list[int] = []
    kept: dict[int, Any] = {}
    timer = ""

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    def poll() -> None:
        nonlocal timer
        if seen:
            seen.clear()
            on_interrupt()
        timer = root.after(POLL_MS, poll)

    wanted = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        wanted.append(signal.SIGHUP)
    for number in wanted:
        kept[number] = signal.signal(number, note)
    timer = root.after(POLL_MS, poll)

    def undo() -> None:
        root.after_cancel(timer)
        for number, handler in kept.items():
            signal.signal(number, handler)

    return undo
