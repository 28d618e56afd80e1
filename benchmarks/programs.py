"""Programs under measurement: started on a core of their own, and what they used of it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = os.environ.get("SERVER_PYTHON", sys.executable)  # runs what is measured; the load keeps its own
START_S = 10.0
STOP_S = 10.0


def pin_to(core: int) -> None:
    """Keep this process on one core, so that it and its opponent don't take turns on the same."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def allow_files() -> int:
    """Let this process and those it starts open as many files as they may at most; return how many that are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used (proc(5): fields 14 and 15, counted behind the name)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kib(pid: int) -> int:
    """Return how much memory a process has in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def start(
    command: Sequence[str], environment: dict[str, str] | None = None, output: int = subprocess.DEVNULL
) -> Program:
    """Start a program on the first core."""
    return Program(
        command, env=environment, stdout=output, stderr=subprocess.DEVNULL, text=True, preexec_fn=lambda: pin_to(0)
    )


class Program(subprocess.Popen[str]):
    """A program that was started, and has to be ended."""

    def end(self) -> None:
        """Ask it to end, and make it."""
        self.send_signal(signal.SIGTERM)
        try:
            self.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()


def start_relay(tls: bool, state: Path, config: Path | None = None) -> tuple[Program, int]:
    """Start the project's relay and return it and its port."""
    options = ["run", "--port", "0", "--unlimited", *([] if tls else ["--plaintext"])]
    if config is not None:
        options += ["--config", str(config)]
    return start_python([str(ROOT / "relay_server.py"), *options], {**os.environ, "STATE_DIRECTORY": str(state)})


def start_python(arguments: Sequence[str], environment: dict[str, str] | None = None) -> tuple[Program, int]:
    """Start a script whose first line ends with :PORT/, and return it and the port."""
    program = start([PYTHON, *arguments], environment, subprocess.PIPE)
    assert program.stdout is not None
    return program, int(program.stdout.readline().split(":")[2].split("/")[0])


def has_module(name: str) -> bool:
    """Say whether the interpreter of what is measured finds a module."""
    return subprocess.run([PYTHON, "-c", f"import {name}"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def wait_for(port: int, program: Program) -> None:
    """Wait until something listens.  Raises OSError when it doesn't."""
    end_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end_s or program.poll() is not None:
                raise
            time.sleep(0.05)
        else:
            return
