"""The page, docs/SELF_HOSTING.md: its commands as they stand there, and the computer at which somebody types them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from machine import ROOT, THERE, Machine, run

PAGE = ROOT / "docs" / "SELF_HOSTING.md"
SERVER = f"root@{THERE}"
ENTER = f"ssh {SERVER}"


class Failed(Exception):
    """Something was not as it has to be."""


def demand(condition: object, sentence: str) -> None:
    """Fail with a sentence unless a condition holds."""
    if not condition:
        raise Failed(sentence)


def tell(text: str) -> None:
    """Print a line of the report."""
    print(text, flush=True)


def seconds(since_s: float) -> str:
    """Return how long ago that was."""
    return f"{time.monotonic() - since_s:.1f} s"


def passage(begin: str, end: str) -> str:
    """Return what the page says from these words on, up to those."""
    text = PAGE.read_text("utf-8")
    demand(text.count(begin) == 1, f"the page has {text.count(begin)} times: {begin}")
    return text.split(begin, 1)[1].split(end, 1)[0]


def five_commands() -> list[str]:
    """Return the commands that lead to a relay."""
    block = re.search(r"^```sh\n(.*?)^```", passage("\n## Five commands\n", "\n## "), re.MULTILINE | re.DOTALL)
    demand(block, "the page has no block of commands")
    assert block is not None
    commands = block[1].splitlines()
    demand(len(commands) == 5, f"the page has {len(commands)} commands instead of five")
    return commands


class Desk:
    """The computer of whoever runs the relay: a directory, and ssh, with a key that the server takes."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="parley-desk-")
        self.directory = Path(self._home.name, "desk")
        programs, config = Path(self._home.name, "bin"), Path(self._home.name, "config")
        self.directory.mkdir()
        programs.mkdir()
        key = Path(self._home.name, "key")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
        self._public = key.with_suffix(".pub").read_text().strip()
        config.write_text(
            f"IdentityFile {key}\nIdentitiesOnly yes\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
            "LogLevel ERROR\nConnectTimeout 60\n"
        )
        for name in ("ssh", "scp"):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec /usr/bin/{name} -F {config} "$@"\n')
            program.chmod(0o755)
        self._environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._home.cleanup()

    def be_let_in(self, machine: Machine) -> None:
        """Have the server take our key, as a provider does when it is made."""
        machine.run(f"install -d -m 700 .ssh && echo '{self._public}' >.ssh/authorized_keys")

    def type(self, command: str, *, check: bool = True, where: Path | None = None) -> str:
        """Do what a command says, as it is typed here, and return what is shown."""
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=where or self.directory, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}\n{said}")
        return said

    def type_there(self, command: str, *, check: bool = True) -> str:
        """Do what a command says, as it is typed after `ssh` there."""
        return self.type(f"{ENTER} {shlex.quote(command)}", check=check)


def follow(desk: Desk, machine: Machine, commands: list[str]) -> str:
    """Do what the page says, here and there, and return the line for invites that it leads to."""
    desk.be_let_in(machine)
    begin_s, there, line = time.monotonic(), False, ""
    for command in commands:
        step_s = time.monotonic()
        if command == ENTER:
            there = True
        elif there:
            said = desk.type_there(command, check=not command.endswith("doctor"))
            found = re.search(r"^parley:relay/\S+$", said, re.MULTILINE)
            line = found[0] if found else line
            if command.endswith("doctor"):
                tell("    " + said.strip().replace("\n", "\n    "))
                demand(said.startswith("ok") and "\nbad" not in said, "doctor isn't content with a new relay")
        else:
            desk.type(command, where=ROOT)
        tell(f"  {seconds(step_s):>7}  {command}")
    tell(f"  {seconds(begin_s):>7}  from an empty Debian to a relay; downloads not counted")
    demand(
        line.startswith(f"parley:relay/{THERE}:7256/") and "+" in line, f"no line for invites, or a wrong one: {line}"
    )
    return line
