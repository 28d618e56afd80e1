"""Two network namespaces: in one a relay and its members, in the other a crowd with thousands of addresses.

Nothing of it is reachable from outside.  The relay and the members go before everything else on the machine (real-time,
for the seconds that a measurement takes): a real crowd would bring computers of its own, and what else runs here isn't
what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from relay_help import environment

from relay import config as configuration
from trials.sheet import Sheet
from trials.stage import PATHS, ROOT, wait

HERE, THERE = "10.77.0.1", "10.77.0.2"
HERE6, THERE6 = "fd77::1", "fd77::2"
CROWD, CROWD6 = "10.78.0.0/16", "fd78::/32"
_TEXT = {"text": True, "check": True, "capture_output": True}


def _ip(*words: str, within: str = "") -> None:
    subprocess.run(["ip", *(("-n", within) if within else ()), *words], **_TEXT)  # type: ignore[call-overload]


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Make both; needs root."""
    near, far = (f"parley-{os.getpid()}-{side}" for side in ("near", "far"))
    _ip("netns", "add", near)
    try:
        _ip("netns", "add", far)
        _ip("link", "add", "v0", "netns", near, "type", "veth", "peer", "name", "v1", "netns", far)
        for space, link, four, six in ((near, "v0", HERE, HERE6), (far, "v1", THERE, THERE6)):
            _ip("address", "add", f"{four}/24", "dev", link, within=space)
            _ip("address", "add", f"{six}/64", "dev", link, "nodad", within=space)
            _ip("link", "set", link, "up", within=space)
            _ip("link", "set", "lo", "up", within=space)
        for crowd, via in ((CROWD, THERE), (CROWD6, THERE6)):
            _ip("route", "add", crowd, "via", via, within=near)
            _ip("route", "add", "local", crowd, "dev", "lo", within=far)  # every address of it is ours
        yield near, far
    finally:
        for space in (near, far):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


class Ground:
    """A relay in its namespace; `limits` and `relay` are what its configuration says."""

    def __init__(self, home: Path, *, files: int = 0, plain: bool = False, **tables: dict[str, Any]) -> None:
        self.home, self.tables, self.files = home, tables, files
        self.plain = plain  # as behind something that does TLS
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Ground:
        self.near, self.far = self._stack.enter_context(namespaces())
        self.path = configuration.init_state(self.home / "relay", HERE)
        self.write()
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (self.files,) * 2)) if self.files else None
        self.relay = subprocess.Popen(
            [
                *self.inside(),
                sys.executable,
                str(ROOT / "relay_server.py"),
                "run",
                "--config",
                str(self.path),
                *(["--plaintext"] * self.plain),
            ],
            env=environment(self.home / "relay"),
            stdout=subprocess.PIPE,
            stderr=(self.home / "log").open("w"),
            text=True,
            preexec_fn=limit,
        )
        self._stack.callback(self._end)
        assert self.relay.stdout is not None
        self.line = self.relay.stdout.readline().strip()
        assert self.line.startswith("parley:relay/"), (self.home / "log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        self.relay.kill()
        self.relay.communicate()

    def write(self, **changed: dict[str, Any]) -> None:
        """Write the configuration."""
        self.tables |= changed
        relay: dict[str, Any] = {"host": HERE, "listen": [HERE, HERE6, "127.0.0.1"], "control": "control.sock"}
        if self.plain:
            relay["behind_tls_terminator"] = True
        tables = {**self.tables, "relay": relay | self.tables.get("relay", {})}
        lines = [
            f"[{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in t.items()) for name, t in tables.items()
        ]
        self.path.write_text("\n".join(lines))

    def inside(self, *, first: bool = True) -> list[str]:
        """Return what a command begins with to run beside the relay, before everything else or not."""
        return ["ip", "netns", "exec", self.near, *(["chrt", "--rr", "1"] if first else [])]

    def outside(self) -> list[str]:
        """Return what a command begins with to run among the crowd."""
        return ["ip", "netns", "exec", self.far, "nice", "-n", "10"]

    def stats(self) -> dict[str, Any]:
        """Return what the relay counts."""
        command = [sys.executable, str(ROOT / "relay_server.py"), "stats", "--json", "--config", str(self.path)]
        done = subprocess.run(command, env=environment(self.home / "relay"), **_TEXT)  # type: ignore[call-overload]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def rss_kib(self) -> int:
        """Return how much memory the relay has."""
        for line in Path(f"/proc/{self.relay.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def log_lines(self) -> int:
        """Return how much it has logged."""
        return len((self.home / "log").read_text().splitlines())

    def gone(self) -> float:
        """Wait until no stranger is left, and return how long that took, in seconds."""
        seats = self.stats()["seats"]
        return wait(lambda: self.stats()["connections"] <= seats, "the strangers are gone", 30)


class Members:
    """The probe, beside the relay."""

    def __init__(self, ground: Ground, *, members: int = 10, per_second: int = 200, tls: bool = True) -> None:
        self._command = [
            *ground.inside(), sys.executable, "-m", "trials.probe",
            HERE, "7256", "tls" if tls else "plain", str(members), str(per_second),
        ]  # fmt: skip
        self.found: list[dict[str, float]] = []

    def __enter__(self) -> Members:
        self.process = subprocess.Popen(
            self._command, env=environment_of(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def talk(self, seconds: float) -> dict[str, float]:
        """Let them talk for so long, and return what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        found: dict[str, float] = json.loads(self.process.stdout.readline())
        self.found.append(found)
        return found


def environment_of() -> dict[str, str]:
    """Return what a program of the trials needs around it."""
    return {"PYTHONPATH": PATHS, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}


def crowd(
    ground: Ground, kind: str, seconds: float, addresses: int, at_once: int, *, six: bool = False
) -> subprocess.Popen[str]:
    """Start a crowd; its standard output is what it found."""
    where = [HERE6, CROWD6] if six else [HERE, CROWD]
    words = [kind, where[0], "7256", str(seconds), str(addresses), str(at_once), where[1]]
    return subprocess.Popen(
        [*ground.outside(), sys.executable, "-m", "trials.crowd", *words],
        env=environment_of(),
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str], patience_s: float = 120.0) -> dict[str, float]:
    """Wait for a crowd's end and return what it found."""
    out, _ = process.communicate(timeout=patience_s)
    found: dict[str, float] = json.loads(out)
    return found


def flood(
    sheet: Sheet, ground: Ground, kind: str, addresses: int, at_once: int, *, rounds: int = 4, seconds: float = 3.0
) -> dict[str, float]:
    """Let members talk, calm and flooded in turns, and write down what it did to them; return what the crowd found."""
    calm, flooded, found = [], [], {}
    with Members(ground) as members:
        members.talk(1)
        for _ in range(rounds):
            calm.append(members.talk(seconds)["p99"])
            strangers = crowd(ground, kind, seconds + 2.0, addresses, at_once)
            time.sleep(1.0)
            flooded.append(members.talk(seconds)["p99"])
            found = told(strangers)
            ground.gone()
        sheet.none("members' blocks lost or out of order", int(sum(f["lost"] + f["wrong"] for f in members.found)))
    sheet.note("members' p99 calm, ms", median(calm))
    sheet.must("flooded, ms", median(flooded), 2 * median(calm))
    return found
