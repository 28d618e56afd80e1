"""F3 to F5: a network that loses, holds and cuts, in a network namespace of its own (Linux, root, nft)."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import wraps
from itertools import count
from pathlib import Path
from types import TracebackType

from relay_help import Process

from chatcore.invite import RelayAddress
from trials.sheet import Case, Sheet, case
from trials.stage import PATIENCE_S, Stage, judge, paced, seconds_between, share, wait

_NUMBERS = count()


class Net:
    """A namespace with a loopback, and a firewall in it that does as a case likes."""

    def __init__(self) -> None:
        self.name = f"parley-{os.getpid()}-{next(_NUMBERS)}"
        self.under = ("ip", "netns", "exec", self.name)

    def __enter__(self) -> Net:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        self.run("nft", "add", "table", "ip", "trial")
        self.run("nft", "add", "chain", "ip", "trial", "in", "{ type filter hook input priority 0; }")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def run(self, *command: str) -> str:
        return subprocess.run([*self.under, *command], check=True, capture_output=True, text=True).stdout

    def drop(self, port: int, what: str = "") -> None:
        """Drop packets from and to a port; `what` says which of them."""
        for way in ("sport", "dport"):
            self.run("nft", "add", "rule", "ip", "trial", "in", f"tcp {way} {port} {what} drop")

    def heal(self) -> None:
        """Drop nothing any more."""
        self.run("nft", "flush", "chain", "ip", "trial", "in")

    def ports_of(self, pid: int) -> list[int]:
        """Return the local ports of the connections of a program."""
        lines = self.run("ss", "-Htnp", "state", "established").splitlines()
        return [int(found[1]) for line in lines if f"pid={pid}," in line and (found := re.search(r":(\d+)\s", line))]


@contextlib.contextmanager
def room(home: Path, *names: str) -> Iterator[tuple[Net, Process, Stage]]:
    """Have programs in a room over a relay, all in one namespace."""
    with Net() as net, Process(home / "relay", "--port", "0", under=net.under) as relay:
        address = RelayAddress.parse(relay.line)
        with Stage(home, names, lambda name: address, under=net.under) as stage:
            yield net, relay, stage.start()


def rooted(run: Case) -> Case:
    """Leave a case out where there are no namespaces."""

    @wraps(run)
    def check(sheet: Sheet, home: Path) -> None:
        if os.geteuid() or not shutil.which("nft") or not shutil.which("ip"):
            sheet.note("left out", "needs root, ip and nft")
        else:
            run(sheet, home)

    return check


def until_connection(stage: Stage, name: str, state: str, since_s: float, patience_s: float = PATIENCE_S) -> float:
    """Wait until somebody's connection is in a state (again); returns how long after `since_s` that was."""

    def moments() -> list[float]:
        return [moment for moment, one, _ in stage[name].of("connection") if one == state and moment > since_s]

    wait(moments, f"{name} is {state}", patience_s)
    return moments()[0] - since_s


def held(sheet: Sheet, home: Path, for_s: float) -> None:
    """Hold the network for so long, while people talk."""
    with room(home, "alice", "bob") as (net, relay, stage):
        net.drop(relay.port)
        begun_s = time.monotonic()
        paced(stage, ("alice", "bob"), 2, 10, "into the silence ")
        time.sleep(max(0.0, begun_s + for_s - time.monotonic()))
        net.heal()
        healed_s = time.monotonic()
        what = f"{for_s:.0f} s"
        sheet.must(f"{what}: arrived after s", stage.until_settled(), 60)
        lost = [
            moment - begun_s
            for moment, state, _ in stage["bob"].of("connection")
            if state == "reconnecting" and moment > begun_s
        ]
        sheet.note("noticed after s", lost[0] if lost else "never: the connection lived")
        sheet.note("whole again after s", stage.until_whole() and time.monotonic() - healed_s)
        judge(sheet, stage)


@case("F3", "the network is silent for 30 s, and for 5 minutes", slow=True)
@rooted
def silent(sheet: Sheet, home: Path) -> None:
    for for_s in (30.0, 300.0):
        (home / f"{for_s}").mkdir()
        held(sheet, home / f"{for_s}", for_s)


@case("F4", "1, 5 and 10 % of all packets are lost, in both directions", slow=True)
@rooted
def lossy(sheet: Sheet, home: Path) -> None:
    for percent in (0, 1, 5, 10):
        (home / f"{percent}").mkdir()
        with room(home / f"{percent}", "alice", "bob", "carol") as (net, relay, stage):
            if percent:
                net.drop(relay.port, f"numgen random mod 100 < {percent}")
            paced(stage, ("alice", "bob", "carol"), 20, 30)
            stage.until_settled()
            row = [
                s for one in stage.members.values() for two in stage.members.values() for s in seconds_between(one, two)
            ]
            sheet.note(
                f"{percent} %: p50, p99, worst, ms",
                ", ".join(f"{share(row, part) * 1000:.0f}" for part in (0.5, 0.99, 1)),
            )
            judge(sheet, stage)


@case("F5", "a connection is half open (as after a NAT's time-out), a laptop sleeps", slow=True)
@rooted
def half_open(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob") as (net, _, stage):
        (port,) = net.ports_of(stage["bob"].pid)
        net.drop(port)
        begun_s = time.monotonic()
        stage["bob"].here = -1
        paced(stage, ("alice", "bob"), 2, 10, "half open ")
        sheet.must("half open: noticed after s", until_connection(stage, "bob", "reconnecting", begun_s), 46)
        stage.until_settled()
        sheet.must("everything had arrived after s", time.monotonic() - begun_s, 120)
        net.heal()
        stage.until_whole()
        asleep_s = time.monotonic()
        os.kill(stage["bob"].pid, signal.SIGSTOP)
        paced(stage, ("alice",), 2, 10, "asleep ")
        wait(lambda: stage["alice"].here == 0, "she sees that he is away", 200)
        sheet.must("asleep: shown as away after s", time.monotonic() - asleep_s, 95)
        time.sleep(max(0.0, asleep_s + 120 - time.monotonic()))
        os.kill(stage["bob"].pid, signal.SIGCONT)
        sheet.must("awake: everything had arrived after s", stage.until_settled(), 60)
        for name in stage.members:
            got = stage[name].got()
            sheet.none(f"{name}: shown twice", len(got) - len({*got}), len(got))
        judge(sheet, stage)
