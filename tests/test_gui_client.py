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
from gui import look

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
        [f"Parley%3Ajoin%2Frelay.example.org%3A7256%2F{SECRET}"],
    ],
)
def test_an_invite_is_never_an_argument(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert gui_client.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.strip() == gui_client.INVITE_IN_ARGUMENTS
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("arguments", [["--theme", "pink"], ["--theme"], ["--profile"]])
def test_wrong_arguments_have_their_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gui_client.main(arguments)
    assert ended.value.code == 2
    assert "usage: parley" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--passphrase", SECRET], ["--prof", SECRET], [SECRET], [f"join/x:1/{SECRET}"], ["--invite-stdin", SECRET]],
)
def test_what_is_not_known_is_not_repeated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert gui_client.main(arguments) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{gui_client.UNKNOWN_ARGUMENT}\n")


def test_what_was_asked_for_reaches_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def run_nothing(*how: object) -> int:
        asked.append(how)
        return 0

    monkeypatch.setattr(gui_client, "_run", run_nothing)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"  parley:join/x/{SECRET}\n"))
    assert gui_client.main([]) == 0
    dark = ["--theme", "dark", "--proxy", "127.0.0.1:9050"]
    assert gui_client.main(["--name", "Léa", "--profile", "p", *dark, "--invite-stdin"]) == 0
    assert asked == [
        ("", None, None, "", None),
        ("Léa", Path("p"), "dark", f"parley:join/x/{SECRET}", "127.0.0.1:9050"),
    ]


def test_the_look_is_as_it_was_left_unless_another_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    look.keep(tmp_path, dark=True)
    seen: list[bool] = []

    def windows(emit: object, *, dark: bool) -> None:
        seen.append(dark)
        raise InterruptedError  # that is all that was to be seen

    monkeypatch.setattr("gui.view.windows.Windows", windows)
    for theme in (None, "light", "dark"):
        with pytest.raises(InterruptedError):
            gui_client._run("", tmp_path, theme, "")
    look.keep(tmp_path, dark=False)
    with pytest.raises(InterruptedError):
        gui_client._run("", tmp_path, None, "")
    assert seen == [True, False, True, False]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [b"", b"dark", b"dark\n\n", b"light\n", bytes(99), None])
def test_what_is_no_look_is_light(tmp_path: Path, kept: bytes | None) -> None:
    if kept is None:
        (tmp_path / "look.txt").mkdir()
    else:
        (tmp_path / "look.txt").write_bytes(kept)
    assert not look.is_dark(tmp_path)
    assert not look.is_dark(tmp_path / "nowhere")
    look.keep(tmp_path / "look.txt" / "nowhere", dark=True)  # it isn't worth a sentence


def _invite_taken(data: bytes, *, close: bool = False) -> str:
    """Return what --invite-stdin makes of standard input, in a process whose locale knows no more than ASCII."""
    program = "import gui_client, sys; gui_client._run = lambda *how: print(ascii(how[3])) or 0; \
sys.exit(gui_client.main(['--invite-stdin']))"
    start = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    command = [sys.executable, "-c", *([start] if close else []), program]
    more = {"PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, input=data, env=os.environ | more)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().strip()


def test_anything_on_standard_input_is_taken() -> None:
    assert _invite_taken(f" parley:join/x/{SECRET}\n\n".encode()) == f"'parley:join/x/{SECRET}'"
    assert _invite_taken(b"") == "''"
    assert _invite_taken(b"\xff\xc3\xbc\x00") == r"'\ufffd\xfc\x00'"
    assert _invite_taken(b"", close=True) == "''"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_at_a_terminal_it_asks_for_the_invite_and_can_be_interrupted() -> None:
    import pty

    ours, theirs = pty.openpty()
    program = "import gui_client, sys; gui_client._run = lambda *how: 7; sys.exit(gui_client.main(['--invite-stdin']))"
    for answer, status in ((b"parley:join/x\n\x04", 7), (b"\x03", 130)):
        with subprocess.Popen(
            [sys.executable, "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {program}"],
            cwd=ROOT,
            stdin=theirs,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                assert process.stderr is not None
                assert process.stderr.readline() == "Paste the invite, press Enter, then Ctrl+D.\n"
                os.write(ours, answer)
                assert process.wait(60) == status
                assert process.stderr.read() == ""
            finally:
                process.kill()
    os.close(ours)
    os.close(theirs)


def test_no_display_is_one_sentence() -> None:
    for display in ("", ":977"):
        assert run(DISPLAY=display) == (1, f"{gui_client.NO_DISPLAY}\n")


def test_a_home_of_nobody_is_a_directory_like_any_other() -> None:
    program = """
        import sys
        import gui.backroom, gui.view.windows, gui_client
        def stop_here(directory, put, proxy):
            print(directory)
            sys.exit(7)
        gui.backroom.Backroom = stop_here
        gui.view.windows.Windows = lambda *how, **more: None
        gui_client.main(["--profile", "~nobody.of.this.name/parley"])
        """
    assert run(program=program) == (7, "~nobody.of.this.name/parley\n")


@pytest.mark.parametrize("name", ["tkinter", "_tkinter"])
def test_no_tkinter_names_the_package(tmp_path: Path, name: str) -> None:
    (tmp_path / "tkinter.py").write_text(f"raise ModuleNotFoundError('No module', name={name!r})\n")
    assert run(path=tmp_path) == (1, f"{gui_client.NO_TKINTER}\n")


@pytest.mark.parametrize("name", ["PySimpleGUI", "PIL", "segno", "cryptography", "platformdirs"])
def test_a_missing_package_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module', name={name!r})\n")
    assert run(path=tmp_path) == (1, f"{gui_client.NO_PACKAGE.format(name)}\n")


@pytest.mark.parametrize(("tool", "name"), [("move", "platformdirs"), ("doctor", "cryptography")])
def test_what_needs_no_window_names_a_missing_package_too(tmp_path: Path, tool: str, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")
    assert run(tool, path=tmp_path) == (1, f"{gui_client.NO_PACKAGE.format(name)}\n")


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
