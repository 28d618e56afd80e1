"""Parley's window: `python gui_client.py [--name N] [--profile DIR] [--theme light|dark] [--proxy P] [--invite-stdin]`.

Joins the parts: the windows, their controller, what lies behind them, and the queue between.  `gui_client.py move`
and `gui_client.py doctor` need no window.  An invite or a passphrase is never an argument, for arguments can be read by
every program on the computer.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

log = logging.getLogger("parley.gui")

MAX_STDIN_CHARS = 65_536
INVITE_IN_ARGUMENTS = (
    "An invite doesn't belong on the command line, where other programs can read it. "
    "Paste it in the window, or give it on standard input with --invite-stdin."
)
UNKNOWN_ARGUMENT = (
    "There is an argument that Parley doesn't know. An invite is pasted in the window; the rest is in --help."
)
ASK_FOR_INVITE = "Paste the invite, press Enter, then {}."
NO_TKINTER = (
    "Parley's window needs tkinter, which this Python doesn't have. "
    "On Debian and Ubuntu: apt install python3-tk. Elsewhere, install Python from python.org."
)
NO_PACKAGE = "Parley needs the Python package {}. Install what requirements.txt names: pip install -r requirements.txt."
NO_DISPLAY = "Parley's window needs a screen, and there is none here. Start it in a desktop session."
UNEXPECTED = "Something went wrong inside Parley. Try again; if it stays so, close the window and start Parley anew."
ENDED = "Parley had to stop because of a mistake of its own. Start it again; nothing that was kept is lost."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the window until it is closed.  Returns the exit status: 0, 1 when it can't run, 2 for wrong arguments."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["move"]:
        return move(words[1:])
    if words[:1] == ["doctor"]:
        return doctor(words[1:])
    if any("parley:" in unquote(word).lower() for word in words):  # before argparse, whose message would repeat it
        return _refuse(INVITE_IN_ARGUMENTS, 2)
    options, unknown = _parser().parse_known_args(words)
    if unknown:  # perhaps an invite, or a part of one
        return _refuse(UNKNOWN_ARGUMENT, 2)
    logging.basicConfig(level=logging.WARNING, format="parley: %(message)s")
    try:
        invite_text = _read_invite() if options.invite_stdin else ""
        return _run(options.name, options.profile, options.theme, invite_text, options.proxy)
    except KeyboardInterrupt:  # before there is a window to close
        return 130
    except ModuleNotFoundError as missing:
        name = (missing.name or "").split(".")[0]
        return _refuse(NO_TKINTER if name in ("tkinter", "_tkinter") else NO_PACKAGE.format(name), 1)
    except Exception as error:
        if type(error).__name__ == "TclError" and "display" in str(error):
            return _refuse(NO_DISPLAY, 1)
        log.error("a fault ended the window: %s", _where(error))
        return _refuse(ENDED, 1)


def move(arguments: Sequence[str] | None = None) -> int:
    """Move rooms to another relay, without a window (`chatcore.mover`).  Returns the exit status: 0, 1 or 2."""
    return _run_tool("mover", arguments)


def doctor(arguments: Sequence[str] | None = None) -> int:
    """Look at the way to a relay (`chatcore.doctor`).  Returns the exit status: 0, 1 or 2."""
    return _run_tool("doctor", arguments)


def _run_tool(name: str, arguments: Sequence[str] | None) -> int:
    try:
        tool = importlib.import_module(f"chatcore.{name}")
    except ModuleNotFoundError as missing:
        return _refuse(NO_PACKAGE.format((missing.name or "").split(".")[0]), 1)
    status: int = tool.main(sys.argv[1:] if arguments is None else arguments)
    return status


def _read_invite() -> str:
    """Return what is on standard input, whatever it is; nothing if that is closed."""
    if sys.stdin is None:
        return ""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        if sys.stdin.isatty():
            print(ASK_FOR_INVITE.format("Ctrl+Z and Enter" if os.name == "nt" else "Ctrl+D"), file=sys.stderr)
    return sys.stdin.read(MAX_STDIN_CHARS).strip()


def _run(name: str, directory: Path | None, theme: str | None, invite_text: str, proxy: str | None = None) -> int:
    """Join the parts and read until the end.  They are imported here so that a missing one can be named."""
    from chatcore import proxyfile
    from chatcore.errors import ProxyError

    try:
        given = proxyfile.given(proxy)
    except ProxyError as error:  # nothing is begun without it
        return _refuse(str(error), 2)
    from chatcore.profile import usual_directory
    from gui import look
    from gui.backroom import Backroom
    from gui.bridge import Bridge
    from gui.controller import Controller
    from gui.events import Close
    from gui.news import AppEvent, Failed
    from gui.psg import catch_faults, catch_interrupts
    from gui.view.windows import Windows, collecting_here

    place = Path(os.path.expanduser(directory or usual_directory()))  # never fails
    dark = look.is_dark(place) if theme is None else theme == "dark"
    bridge: Bridge[AppEvent] = Bridge(lambda: windows.wake())
    windows = Windows(bridge.put, dark=dark)
    backroom = Backroom(place, bridge.put, given)
    controller = Controller(windows, backroom, name=name, invite_text=invite_text, dark=dark, proxied=backroom.proxied)

    def handle(event: AppEvent) -> bool:
        try:
            return controller.handle(event)
        except Exception as error:
            log.error("a fault in the window: %s", _where(error))
            return controller.handle(Failed(UNEXPECTED))

    catch_faults(lambda: bridge.put(Failed(UNEXPECTED)))
    let_go = catch_interrupts(lambda: bridge.put(Close()))
    bridge.start()
    backroom.start()
    with collecting_here():
        try:
            controller.begin()
            windows.run(bridge, handle, controller.flush)
        finally:
            # The core may still put things in, so it ends first; a wake may wait for this thread: the bridge ends last.
            windows.hide()
            backroom.stop()
            windows.close()
            bridge.close(windows.pump)
            let_go()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parley",
        description="Private rooms for friends, over a relay that can't listen.",
        epilog="Without a window, `move` moves rooms of yours to another relay: move --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--name", default="", help="the name to begin with; you can still change it")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="where your identity and rooms are kept")
    parser.add_argument("--theme", choices=("light", "dark"), help="the look to begin with; else it is as you left it")
    parser.add_argument(
        "--proxy", metavar="HOST:PORT", help="reach relays through this SOCKS5 proxy (Tor: 127.0.0.1:9050), this time"
    )
    parser.add_argument("--invite-stdin", action="store_true", help="read an invite from standard input")
    return parser


def _refuse(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


def _where(error: BaseException) -> str:
    """Return kind and place of a fault.  Never its text, which may quote a message, and never a traceback."""
    trace, where = error.__traceback__, "unknown"
    while trace is not None:
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {where}"


if __name__ == "__main__":
    sys.exit(main())
