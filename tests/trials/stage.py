"""A room of real programs, each with a profile and a vault on the disk, and what can be seen of them from outside."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from judge import Got, Said, mistakes
from relay_help import Process

from chatcore import roomvault
from chatcore.delivery import Message
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.invite import Invite, Mode, RelayAddress, new_invite
from chatcore.profile import Profile
from chatcore.seal import fingerprint
from chatcore.text import parse_text
from trials.sheet import Sheet

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
TOLD_S = 10.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PATHS = f"{ROOT}:{ROOT / 'tests'}"


class InVain(Exception):
    """What was waited for didn't happen."""


def wait(condition: Callable[[], object], what: str | Callable[[], str], patience_s: float = PATIENCE_S) -> float:
    """Wait for a condition; returns how long that took, in seconds.  Raises InVain."""
    begun_s = time.monotonic()
    while not condition():
        if time.monotonic() > begun_s + patience_s:
            raise InVain(f"waited in vain: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
    return time.monotonic() - begun_s


class Program:
    """A member's program, which may be killed and started again."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        talkative: bool = True,
        timing: dict[str, float] | None = None,
        under: Sequence[str] = (),
        program: str = "member.py",
        **env: str,
    ) -> None:
        """`under` is a command that runs it, as `ip netns exec NAME` does; `env` is more for its environment."""
        self.name, self.directory = name, directory
        self.talkative, self.timing, self.under, self.env = talkative, timing or {}, under, env
        self.program = program
        self.here = self.owed = -1
        self.said: set[str] = set()  # what it told to have committed, in all its lives
        self.told: list[list[Any]] = []  # everything else, of all its lives
        self.process: subprocess.Popen[str] | None = None

    def start(self, invite: str | None = None) -> None:
        """Start it: with an invite the first time, then from its profile."""
        self.here = self.owed = -1
        self.process = subprocess.Popen(
            [*self.under, sys.executable, str(ROOT / "tests" / self.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": PATHS, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **self.env},
        )
        start = {"profile": str(self.directory), "nick": self.name, "invite": invite}
        self.say(json.dumps({**start, "talkative": self.talkative, "timing": self.timing}))
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of the process that runs now."""
        assert self.process is not None
        return self.process.pid

    def say(self, *lines: str) -> None:
        """Have it say something, if it lives."""
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("".join(f"{line}\n" for line in lines))
            self.process.stdin.flush()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                return  # killed in the middle of a word
            word, moment_s, *rest = json.loads(line)
            if word == "said":
                self.said.add(rest[0])
            if word == "stands":
                if process is self.process:
                    self.here, self.owed = rest
            else:
                self.told.append([word, moment_s, *rest])

    def of(self, word: str) -> list[list[Any]]:
        """Return what it told of one kind, each as [moment, ...]."""
        return [told[1:] for told in list(self.told) if told[0] == word]

    def got(self) -> list[str]:
        """Return the texts that were shown, in their order."""
        return [text for _, _, text, _ in self.of("got")]

    def noticed(self) -> dict[str, int]:
        """Return what it told of the relay in all, by kind: each spell counts with its last word."""
        spells = {from_ms: seen for _, seen, from_ms, _ in self.of("noticed")}
        kinds = {kind for seen in spells.values() for kind in seen}
        return {kind: sum(seen.get(kind, 0) for seen in spells.values()) for kind in sorted(kinds)}

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        """Close it as a person does."""
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Stage:
    """A room with programs for members; `relay_for` says under which address each of them finds the relay."""

    def __init__(
        self,
        home: Path,
        names: Iterable[str],
        relay_for: Callable[[str], RelayAddress],
        *,
        mode: Mode = Mode.OPEN,
        **more: Any,
    ) -> None:
        """The first name is that of the owner; `more` goes to every program."""
        self.home, self._relay_for = home, relay_for
        self.members = {name: Program(name, home / name, **more) for name in names}
        self.narrow: Counter[str] = Counter()  # how many messages weren't for all
        owner = next(iter(self.members))
        profile = Profile.create(home / owner, owner, None, OpenSSLEngine())
        profile.close()
        self.invite = new_invite(
            fingerprint(profile.identity.modulus), mode, relay_for(owner), "", secret=secrets.token_bytes(32)
        )

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        for member in self.members.values():
            member.kill()

    def __getitem__(self, name: str) -> Program:
        return self.members[name]

    def invite_of(self, name: str) -> Invite:
        """Return the invite with the relay as this member finds it."""
        return replace(self.invite, relay=self._relay_for(name))

    def start(self, *names: str) -> Stage:
        """Have members (all, if none is named) come in for the first time, and wait until these are here."""
        for name in names or self.members:
            self[name].start(self.invite_of(name).to_text())
        self.until_whole(names or None)
        return self

    def whole(self, names: Iterable[str] | None = None) -> bool:
        """Whether everybody (of these) is here for everybody."""
        those = [self[name] for name in names] if names else [*self.members.values()]
        return all(member.here >= len(those) - 1 for member in those)

    def until_whole(self, names: Iterable[str] | None = None, patience_s: float = PATIENCE_S) -> float:
        """Wait until everybody (of these) is here for everybody; returns the seconds."""
        return wait(lambda: self.whole(names), lambda: f"everybody is here ({self.states()})", patience_s)

    def settled(self, quiet_s: float = 0.5) -> bool:
        """Whether nobody has owed anything any more for so long."""
        end_s = time.monotonic() + quiet_s
        while time.monotonic() < end_s:
            if any(member.owed != 0 for member in self.members.values()):
                return False
            time.sleep(0.05)
        return True

    def until_settled(self, patience_s: float = PATIENCE_S) -> float:
        """Wait until everything has arrived and is acknowledged; returns the seconds until then."""
        return wait(self.settled, lambda: f"everything has arrived ({self.states()})", patience_s)

    def states(self) -> str:
        """Say how everybody stands."""
        failed = {name: member.of("failed")[-1:] for name, member in self.members.items()}
        return ", ".join(f"{m.name}: {m.here} here, {m.owed} owed {failed[m.name]}" for m in self.members.values())

    def histories(self) -> tuple[Said, Got, list[str]]:
        """Read the vaults: who said and got what.  Also what somebody told to have committed, and hadn't."""
        said: Said = {}
        got: Got = {}
        missing = []
        kept, names = {}, {}
        for member in self.members.values():
            profile = Profile.open(member.directory, None, OpenSSLEngine())
            shown_lines, roomvault.KEPT_LINES = (
                roomvault.KEPT_LINES,
                sys.maxsize,
            )  # a window shows the newest, we want all
            kept[member.name] = profile.room(self.invite.room_id).load()
            roomvault.KEPT_LINES = shown_lines
            profile.close()
            names[fingerprint(profile.identity.modulus)] = member.name
        for member in self.members.values():
            lines = [
                (names.get(line.sender, "a stranger"), parse_text(Message.parse(line.rest).app) or "")
                for line in kept[member.name].lines.values()
            ]
            said[member.name] = [text for who, text in lines if who == member.name]
            got[member.name] = [(who, text) for who, text in lines if who != member.name]
            for line in kept[member.name].lines.values():
                if names.get(line.sender) == member.name:
                    without = names.keys() - {line.sender, *(line.readers or ())}
                    self.narrow.update(f"{member.name} didn't write for {names[fp]}" for fp in without)
            if lacking := len(member.said - {*said[member.name]}):
                missing.append(f"{member.name} told that it had committed {lacking} that it hadn't")
        return said, got, missing


def judge(sheet: Sheet, stage: Stage) -> None:
    """Close everybody, read the vaults, and write down what is wrong with them."""
    for member in stage.members.values():
        member.end()
    said, got, missing = stage.histories()
    wrong = mistakes(said, got) + missing
    sheet.none("lost, doubled, forged or out of order", len(wrong), sum(map(len, got.values())))
    sheet.broken += wrong


def told(sheet: Sheet, stage: Stage, *kinds: str) -> None:
    """Write down what everybody told of the relay, of which these kinds must be some."""
    until_s = time.monotonic() + TOLD_S
    while True:  # a client gathers what it sees for a moment, before it tells
        seen = [member.noticed() for member in stage.members.values()]
        every = sorted({*kinds, *(kind for one in seen for kind in one)})
        total = {kind: sum(one.get(kind, 0) for one in seen) for kind in every}
        if all(total[kind] for kind in kinds) or time.monotonic() > until_s:
            break
        time.sleep(0.1)
    sheet.note("told in the room", ", ".join(f"{kind} {count:,}" for kind, count in total.items()) or "nothing")
    sheet.broken += [f"{kind} wasn't told" for kind in kinds if not total[kind]]


def texts(stage: Stage, name: str, count: int, mark: str = "") -> list[str]:
    """Have somebody say so many texts at once, and wait until they are committed."""
    said = [f"{mark}{number} of {name}" for number in range(count)]
    stage[name].say(*said)
    wait(lambda: {*said} <= stage[name].said, f"{name} has committed")
    return said


def paced(stage: Stage, names: Sequence[str], per_second: float, seconds: float, mark: str = "") -> None:
    """Have people take turns to say something, so often, for so long."""
    begun_s = time.monotonic()
    for number in range(round(per_second * seconds)):
        time.sleep(max(0.0, begun_s + number / per_second - time.monotonic()))
        stage[names[number % len(names)]].say(f"{mark}{number}")


def seconds_between(sender: Program, reader: Program) -> list[float]:
    """Return for each text that came how long after its commit the reader was shown it."""
    said = {text: moment for moment, text in sender.of("said")}
    return [moment - said[text] for moment, nick, text, _ in reader.of("got") if nick == sender.name and text in said]


def share(row: Sequence[float], part: float) -> float:
    """Return the value below which this part of a row lies (0.5: the median)."""
    return sorted(row)[min(len(row) - 1, math.floor(part * len(row)))] if row else math.nan


def put_first(*pids: int) -> None:
    """Have these programs go before all else on this machine, where one may: others would bring their own computers."""
    with contextlib.suppress(PermissionError):
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))


def cpu_s(pid: int) -> float:
    """Return the seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def rss_mib(pid: int, which: str = "VmRSS") -> float:
    """Return how much memory a process has, in MiB (`VmHWM`: had at most)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(which + ":"):
            return int(line.split()[1]) / 1024
    raise InVain(f"no {which} of {pid}")


@contextlib.contextmanager
def real_room(home: Path, *names: str, **more: Any) -> Iterator[tuple[Process, Stage]]:
    """Have programs in a room over a relay that does what relays do."""
    with Process(home / "relay", "--port", "0") as relay:
        address = RelayAddress.parse(relay.line)
        with Stage(home, names, lambda name: address, **more) as stage:
            yield relay, stage.start()
