"""Each habit of PySimpleGUI that would hurt is cured, and stays cured."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import weakref
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gallery
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gui import psg, theme
from gui.psg import sg
from gui.view.kit import Kit
from gui.view.page_window import make_window

ROOT = Path(__file__).parent.parent


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, cwd=ROOT, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- certificates ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(tmp_path: Path) -> Generator[str]:
    """Yield the address of an HTTPS server on loopback whose certificate nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = tmp_path / "stranger.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Quiet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    class Server(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            return None  # a refused handshake is what the test is about

    server = Server(("127.0.0.1", 0), Quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}/"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_certificates_are_still_checked_after_the_import(stranger: str) -> None:
    assert ssl._create_default_https_context is ssl.create_default_context
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(stranger, timeout=10)
    # What the cure is for: the bare toolkit takes the stranger's certificate.
    bare = f"import PySimpleGUI, urllib.request; print(urllib.request.urlopen({stranger!r}, timeout=10).status)"
    assert _python(bare) == "204"


def test_the_import_leaves_the_warnings_alone() -> None:
    code = "import warnings; a = list(warnings.filters); import gui.psg; print(list(warnings.filters) == a)"
    assert _python(code) == "True"


# -- settings, keys, popups ------------------------------------------------------------------------------------------

HOSTILE = {
    "-enable debugger-": True,
    "-theme-": "HotDogStand",
    "-print event values-": True,
    "-snapshot keysym manual-": "<F12>",
    "-watermark-": True,
    "-custom titlebar-": True,
}
LOOK = """
import json, os, sys
{setup}
window = {make}
top = window.TKroot
top.update()
top.focus_force()
top.event_generate("<F12>")
top.update()
print(json.dumps([window.DebuggerEnabled, bool(top.bind("<F12>")), bool(top.bind("<Pause>")), sg.theme()]))
"""


@pytest.fixture
def hostile_home(tmp_path: Path) -> Path:
    """A home with a settings file that turns the debugger on and lets F12 photograph the window to disk."""
    for place in (".config/PySimpleGUI/settings", "AppData/Local/PySimpleGUI/settings"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        settings = {**HOSTILE, "-screenshots folder-": str(tmp_path), "-screenshots filename-": "taken.png"}
        (folder / "_PySimpleGUI_settings_global_.json").write_text(json.dumps(settings), "utf-8")
    return tmp_path


def test_a_hostile_settings_file_has_no_effect(hostile_home: Path) -> None:
    home = {"HOME": str(hostile_home), "USERPROFILE": str(hostile_home)}
    ours = LOOK.format(
        setup="from gui import theme\nfrom gui.view.kit import Kit, sg\n"
        "from gui.view.page_window import make_window\nkit = Kit(theme.LIGHT)",
        make="make_window(kit, 'room', [[kit.text('hello')]])",
    )
    assert json.loads(_python(ours, **home))[:3] == [False, False, False]
    assert not list(hostile_home.glob("*.png"))
    # The same file in the bare toolkit, so that this test can't pass by looking in the wrong place.
    bare = LOOK.format(setup="import PySimpleGUI as sg", make="sg.Window('room', [[sg.Text('hello')]], finalize=True)")
    assert json.loads(_python(bare, **home).splitlines()[-1])[:3] == [True, True, True]


@pytest.fixture
def window() -> Generator[Any]:
    kit = Kit(theme.LIGHT)
    window = make_window(kit, "A room", [[kit.field("-NAME-")], [kit.button("Go", "-GO-")]])
    yield window
    window.close()


def test_a_mistyped_key_is_a_key_error_and_opens_nothing(window: Any) -> None:
    before = len(psg.hidden_root().winfo_children())
    with pytest.raises(KeyError):
        window["-NAMEE-"]
    with pytest.raises(KeyError):
        window["-NAMEE-"].update("x")
    assert len(psg.hidden_root().winfo_children()) == before


def test_the_debugger_and_control_drag_are_off(window: Any) -> None:
    top = window.TKroot
    assert window.DebuggerEnabled is False
    for keys in ("<Pause>", "<Cancel>", "<Control-Button-1>", "<Control-Left>", "<ButtonPress-1>"):
        assert not top.bind(keys)


# -- faults and interrupts -------------------------------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the window's log says, kept away from the one that fails a test."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    alone = logging.Logger("alone")
    alone.addHandler(Keep())
    monkeypatch.setattr(psg, "log", alone)
    return lines


def test_a_fault_in_a_callback_is_reported_without_its_text(window: Any, said: list[str], capfd: Any) -> None:
    seen: list[int] = []
    root = psg.hidden_root()
    kept = root.report_callback_exception
    try:
        psg.catch_faults(lambda: seen.append(1))

        def fail() -> None:
            raise ValueError("the text of a message")

        window.TKroot.after(1, fail)
        gallery.pump(window, lambda: bool(seen))
    finally:
        root.report_callback_exception = kept
    assert len(said) == 1
    assert said[0].startswith("a callback of the window failed: ValueError at test_psg.py:")
    assert said[0].endswith(" fail")
    assert capfd.readouterr() == ("", "")
    window.write_event_value("-STILL-", 1)
    assert window.read(timeout=5000)[0] == "-STILL-"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP")
def test_a_program_that_is_to_outlive_its_terminal_does(window: Any) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        undo = psg.catch_interrupts(lambda: None)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        undo()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_ctrl_c_reaches_the_program_instead_of_ending_it(window: Any, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    undo = psg.catch_interrupts(lambda: window.write_event_value("-STOP-", None))
    try:
        window.TKroot.after(10, lambda: os.kill(os.getpid(), number))
        assert window.read(timeout=10_000)[0] == "-STOP-"
    finally:
        undo()
    assert signal.getsignal(number) is before


def test_a_closed_window_leaves_nothing_behind() -> None:
    root = psg.hidden_root()

    def left() -> tuple[int, int]:
        gc.collect()
        return len(root.image_names()), len(root.tk.splitlist(root.tk.call("info", "commands")))

    def open_and_close() -> weakref.ref[Any]:
        page, window, _ = gallery.open_room(gallery.ROOM)
        window.TKroot.update()
        window.close()
        window.close()
        return weakref.ref(page)

    open_and_close()
    before = left()
    pages = [open_and_close() for _ in range(3)]
    assert left() == before
    assert [page() for page in pages[:-1]] == [None, None]  # PySimpleGUI remembers the last one it has run


def test_the_screen_s_factor_is_one_at_96_dots_per_inch() -> None:
    per_inch = psg.hidden_root().winfo_fpixels("1i")
    assert psg.pixel_factor() == pytest.approx(max(1.0, per_inch / 96), abs=0.07)


def test_the_settings_stand_in_remembers_nothing() -> None:
    inside = sg.PySimpleGUI if hasattr(sg, "PySimpleGUI") else sys.modules["PySimpleGUI.PySimpleGUI"]
    settings = inside.pysimplegui_user_settings
    settings.set("-theme-", "HotDogStand")
    settings.save()
    assert settings.get("-theme-", "mine") == "mine"
    assert settings.read() == settings.load() == {}
    assert inside.main_global_get_screen_snapshot_symcode() == ""
