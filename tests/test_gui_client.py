"""The front door: what it refuses, and what it says where it can't open a window.  No traceback, no secret."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import gui_client

ROOT = Path(__file__).parent.parent
SECRET = "AQCsesame7781"


def run(*arguments: str, program: str = "", path: Path | None = None, **environment: str) -> tuple[int, str]:
    """Run the front door, or a program of our own, in a process; returns its status and all it printed."""
    command = [sys.executable, *(["-c", textwrap.dedent(program)] if program else ["gui_client.py"]), *arguments]
    more = {"PYTHONPATH": os.pathsep.join(filter(None, (str(path or ""), str(ROOT))))} | environment
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, input="", env=os.environ | more
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    return done.returncode, said


@pytest.mark.parametrize(
    "arguments",
    [
        [f"parley:join/relay.example.org:7256/{SECRET}"],
        ["--invite", f"PARLEY:join/relay.example.org:7256/{SECRET}"],
        [f"--name=parley:join/{SECRET}"],
    ],
)
def test_an_invite_is_never_an_argument(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert gui_client.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.strip() == gui_client.INVITE_IN_ARGUMENTS
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("arguments", [["--theme", "pink"], ["--passphrase", "x"], ["--prof", "x"], ["more"]])
def test_wrong_arguments_have_their_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gui_client.main(arguments)
    assert ended.value.code == 2
    assert "usage: parley" in capsys.readouterr().err


def test_what_was_asked_for_reaches_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def run_nothing(*how: object) -> int:
        asked.append(how)
        return 0

    monkeypatch.setattr(gui_client, "_run", run_nothing)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"  parley:join/x/{SECRET}\n"))
    assert gui_client.main([]) == 0
    assert gui_client.main(["--name", "Léa", "--profile", "p", "--theme", "dark", "--invite-stdin"]) == 0
    assert asked == [("", None, False, ""), ("Léa", Path("p"), True, f"parley:join/x/{SECRET}")]


def test_no_display_is_one_sentence() -> None:
    for display in ("", ":977"):
        assert run(DISPLAY=display) == (1, f"{gui_client.NO_DISPLAY}\n")


@pytest.mark.parametrize("name", ["tkinter", "_tkinter"])
def test_no_tkinter_names_the_package(tmp_path: Path, name: str) -> None:
    (tmp_path / "tkinter.py").write_text(f"raise ModuleNotFoundError('No module', name={name!r})\n")
    assert run(path=tmp_path) == (1, f"{gui_client.NO_TKINTER}\n")


@pytest.mark.parametrize("name", ["PySimpleGUI", "PIL", "segno", "cryptography", "platformdirs"])
def test_a_missing_package_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module', name={name!r})\n")
    assert run(path=tmp_path) == (1, f"{gui_client.NO_PACKAGE.format(name)}\n")


def test_a_fault_that_ends_the_program_is_one_sentence_and_a_place() -> None:
    program = f"""
        import gui_client, sys
        def fault(*how): raise ValueError({SECRET!r})
        gui_client._run = fault
        sys.exit(gui_client.main([]))
        """
    status, said = run(program=program)
    assert status == 1
    assert said.splitlines()[-1] == gui_client.ENDED
    assert "ValueError at <string>:" in said
    assert SECRET not in said


def test_a_fault_in_the_window_is_said_in_the_window_and_it_goes_on(tmp_path: Path) -> None:
    """Somebody types, the controller fails, the page says so; then the window is closed and the program ends well."""
    program = f"""
        import sys, tkinter as tk
        import gui_client
        from gui.controller import Controller
        from gui.events import NameEdited
        from gui.psg import hidden_root

        handle = Controller.handle
        def fault(self, event):
            if isinstance(event, NameEdited):
                raise ValueError({SECRET!r})
            return handle(self, event)
        Controller.handle = fault

        def widgets(under):
            for child in under.winfo_children():
                yield child
                yield from widgets(child)

        typed = False
        def look():
            global typed
            for widget in widgets(hidden_root()):
                if isinstance(widget, tk.Label) and widget.winfo_ismapped() and "went wrong" in widget.cget("text"):
                    print("it said so", flush=True)
                    top = widget.winfo_toplevel()
                    hidden_root().tk.call(top.protocol("WM_DELETE_WINDOW"))
                    return
                if isinstance(widget, tk.Entry) and widget.winfo_ismapped() and hasattr(widget, "bound") and not typed:
                    typed = True
                    widget.insert(0, "M")
            for widget in widgets(hidden_root()):
                if isinstance(widget, tk.Entry) and widget.bind("<Return>"):
                    widget.bound = True
            hidden_root().after(30, look)
        hidden_root().after(30, look)
        sys.exit(gui_client.main(["--profile", {str(tmp_path / "profile")!r}]))
        """
    status, said = run(program=program)
    assert status == 0, said
    assert "it said so" in said
    assert "ValueError at" in said
    assert SECRET not in said
    assert not (tmp_path / "profile").exists()
