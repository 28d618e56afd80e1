"""A relay in a machine, come by as the page says, and two people in a room on it."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable

from client_help import Ear, Person, room_on, until
from guests import seated
from machine import ROOT, THERE, Machine, run

from chatcore.cable import Timing
from chatcore.events import MessageReceived, RoomEvent
from chatcore.invite import Invite, RelayAddress

PAGE = ROOT / "docs" / "SELF_HOSTING.md"
AS_PEOPLE_DO = Timing()
PATIENCE_S = 90.0  # an imitated computer is slow


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


# -- the page ----------------------------------------------------------------------------------------------------------


def five_commands() -> list[str]:
    """Return the commands of the page, as they stand there."""
    section = PAGE.read_text("utf-8").split("## Five commands", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    demand(block, "the page has no block of commands")
    assert block is not None
    commands = block[1].splitlines()
    demand(len(commands) == 5, f"the page has {len(commands)} commands instead of five")
    return commands


def follow(machine: Machine, commands: list[str]) -> str:
    """Do what the page says, here and there, and return the line for invites that it leads to."""
    begin_s, there, line = time.monotonic(), False, ""
    for command in commands:
        words, step_s = shlex.split(command), time.monotonic()
        if words[:1] == ["scp"]:
            demand(words[-1] == f"root@{THERE}:", f"the page copies to another place: {command}")
            machine.put(ROOT / words[1])
        elif words == ["ssh", f"root@{THERE}"]:
            there = True
        elif there:
            said = machine.run(command, check=not command.endswith("doctor"))
            found = re.search(r"^parley:relay/\S+$", said, re.MULTILINE)
            line = found[0] if found else line
            if command.endswith("doctor"):
                tell("    " + said.strip().replace("\n", "\n    "))
                bad = [finding for finding in said.splitlines() if finding.startswith("bad")]
                demand(said.startswith("ok") and not bad, "doctor isn't content with a new relay")
        else:
            run("/bin/sh", "-c", f"cd {shlex.quote(str(ROOT))} && {command}")
        tell(f"  {seconds(step_s):>7}  {command}")
    tell(f"  {seconds(begin_s):>7}  from an empty Debian to a relay; downloads not counted")
    demand(
        line.startswith(f"parley:relay/{THERE}:7256/") and "+" in line, f"no line for invites, or a wrong one: {line}"
    )
    return line


# -- two people -------------------------------------------------------------------------------------------------------


class Clocked(Ear):
    """Hears, and notes when."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_s: dict[str, float] = {}

    def __call__(self, room_id: bytes, event: RoomEvent) -> None:
        if isinstance(event, MessageReceived):
            self.heard_s[event.text] = time.monotonic()
        super().__call__(room_id, event)


class Play:
    """A machine with a relay, and two people in a room on it."""

    def __init__(self, machine: Machine, line: str) -> None:
        self.machine = machine
        self.relay = RelayAddress.parse(line)
        self.invite: Invite = room_on(self.relay)
        self.ears = {"a": Clocked(), "b": Clocked()}  # who hears, by the letter of what they say
        self.alice = Person("alice", self.invite, AS_PEOPLE_DO, self.ears["a"])
        self.bob = Person("bob", self.invite, AS_PEOPLE_DO, self.ears["b"])
        self.said = 0

    def end(self) -> None:
        """Stop the clients."""
        self.alice.client.stop()
        self.bob.client.stop()

    def talk(self, times: int = 1, every_s: float = 0.0) -> list[float]:
        """Have each say things that the other gets; return how long each of these took, in seconds."""
        said_s = {}
        for _ in range(times):
            self.said += 1
            for person, letter in ((self.alice, "a"), (self.bob, "b")):
                said_s[f"{letter}{self.said}"] = time.monotonic()
                person.say(f"{letter}{self.said}")
            time.sleep(every_s)
        for letter, other in (("a", "b"), ("b", "a")):
            ear, last = self.ears[other], f"{letter}{self.said}"
            ear.until(lambda ear=ear, last=last: last in ear.heard_s, f"{last} arrives", PATIENCE_S)  # type: ignore[misc]
        heard_s = self.ears["a"].heard_s | self.ears["b"].heard_s
        return [heard_s[text] - moment_s for text, moment_s in said_s.items()]

    def together(self) -> None:
        """Wait until the two see each other."""
        for ear, other in ((self.ears["a"], "bob"), (self.ears["b"], "alice")):
            ear.until(lambda ear=ear, other=other: other in ear.here(), f"{other} is seen", PATIENCE_S)  # type: ignore[misc]

    def counted(self) -> str:
        """Return what became of all that was said; fail if something was lost, doubled or out of order."""
        for letter, other in (("a", "b"), ("b", "a")):
            got = [text for _, text in self.ears[other].texts()]
            wanted = [f"{letter}{number}" for number in range(1, self.said + 1)]
            demand(got == wanted, f"{len(got)} of {len(wanted)} messages {letter}… came, or not in their order")
        return f"{2 * self.said} messages: 0 lost, 0 doubled, 0 out of order"

    def states(self) -> list[int]:
        """Return how often the connection of each has changed."""
        return [len(ear.states()) for ear in self.ears.values()]

    def again(self, cause: Callable[[], object]) -> str:
        """Do something to the relay; tell after how long it gives a seat, and the two are together again."""
        before, begin_s = self.states(), time.monotonic()
        cause()
        return self.back(before, begin_s)

    def back(self, before: list[int], begin_s: float) -> str:
        """Wait until both have noticed that something happened then, and return the same."""
        until(
            lambda: all(now > then for now, then in zip(self.states(), before, strict=True)), "both notice", PATIENCE_S
        )
        until(lambda: seated(self.relay, timeout_s=2), "the relay gives a seat", PATIENCE_S)
        back = seconds(begin_s)
        self.talk()
        return f"a seat after {back}, the two together after {seconds(begin_s)}"
