"""A relay in a machine, and two people in a room on it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from client_help import Ear, Person, room_on, until
from guests import seated
from machine import ROOT, Machine
from page import Desk, demand, seconds

from chatcore.cable import Timing
from chatcore.events import MessageReceived, RoomEvent
from chatcore.invite import Invite, RelayAddress

AS_PEOPLE_DO = Timing()
PATIENCE_S = 90.0  # an imitated computer is slow


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
    """A machine with a relay, the computer of whoever runs it, and two people in a room on it."""

    def __init__(self, desk: Desk, machine: Machine, line: str) -> None:
        self.desk = desk
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

    def newcomer(self, name: str) -> None:
        """Have somebody come with the invite that the two have, and see both.  Their Parley compares the pins in it."""
        person = Person(name, self.invite, AS_PEOPLE_DO)
        try:
            person.ear.until(lambda: person.ear.here() >= {"alice", "bob"}, f"{name} sees the two", PATIENCE_S)
        finally:
            person.client.stop()

    def asked_inside(self) -> str:
        """Return what the relay's doctor says on its computer."""
        return self.machine.run("parley-relay doctor", check=False)

    def asked_outside(self, relay: RelayAddress) -> str:
        """Return what the doctor says on the computer of somebody who wants to get in."""
        return subprocess.run(
            [sys.executable, "gui_client.py", "doctor"], input=relay.to_text(), cwd=ROOT,
            capture_output=True, text=True, timeout=120, check=False,
        ).stdout  # fmt: skip

    def content(self, *reminders: str) -> None:
        """Demand that both doctors are content, but for reminders, and for a clock that nothing keeps right."""
        said = self.asked_inside()
        but = ("ok ", "warn  clock: ", *(f"warn  {reminder}" for reminder in reminders))
        demand("ok    port" in said, f"doctor finds no relay:\n{said}")
        wrong = [line for line in said.splitlines() if not line.startswith(but)]
        demand(not wrong, f"doctor isn't content: {wrong}")
        said = self.asked_outside(self.invite.relay)
        demand("ok" in said and "bad" not in said, f"doctor isn't content from outside:\n{said}")
