"""LONG: a crowd of programs that talk while everything is killed at random moments, and a judge.

Every member is a program with a profile and a vault on the disk; the relay is `relay_server.py` with TLS on loopback.
While random members say messages, the relay and members are ended with SIGKILL, put to sleep (SIGSTOP, as a laptop that
is closed) or closed for minutes.  When everything has arrived, everybody's vault is read: that is what their windows
would show.
"""

from __future__ import annotations

import contextlib
import math
import random
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from judge import mistakes
from relay_help import Process

from chatcore.invite import RelayAddress
from trials.sheet import Sheet, case
from trials.stage import PATIENCE_S, Program, Stage, rss_mib, wait

BURST = (1, 1, 2, 5, 10)  # how many messages somebody says in a row
SIZES = (0, 20, 90, 500)  # letters that are added to a message: one block, or five
# A relay that is killed every few seconds would be met by the back-off, which is there for just that: it waits up to
# half a minute.  Here a connection counts as a lasting one sooner, so that a hundred kills fit into an hour.
TIMING = {"stable_s": 3.0}


@dataclass
class Plan:
    """How long the long one is."""

    members: int = 50
    messages: int = 20_000
    relay_kills: int = 100
    member_kills: int = 50
    offline: int = 10
    offline_s: float = 300.0
    most_owed: int = 20_000  # copies that may wait before nothing more is said for a while
    most_s: float = 0.0  # after so long nobody is killed any more, and nothing more is said; 0: no such end
    seed: int = 1


PLAN = Plan()


@dataclass
class Outcome:
    """What a trial found; times are in seconds, from a kill until all who are there are here for each other."""

    said: int = 0
    copies: int = 0
    wrong: list[str] = field(default_factory=list)
    after_relay_s: list[float] = field(default_factory=list)
    after_member_s: list[float] = field(default_factory=list)
    offline: int = 0
    last_s: float = 0.0  # from the last message until everything had arrived
    talk_s: float = 0.0
    relay_mib: float = 0.0


class Trial:
    """A room, its relay, its members, and a die."""

    def __init__(self, home: Path, plan: Plan) -> None:
        self.home, self.plan, self.dice = home, plan, random.Random(plan.seed)
        self.relay = Process(home / "relay", "--port", "0")
        self.port = self.relay.port
        address = RelayAddress.parse(self.relay.line)
        names = [f"member {number}" for number in range(plan.members)]
        self.stage = Stage(home, names, lambda name: address, talkative=False, timing=TIMING)
        self.away: dict[str, tuple[float, bool]] = {}  # until when; whether asleep, else closed
        self.outcome = Outcome()
        self.asked = 0
        self.allowed = 0  # how much may have been asked for by now

    def begin(self) -> None:
        """Have everybody come in, a few at a time."""
        members = [*self.stage.members.values()]
        for at in range(0, len(members), 5):
            for member in members[at : at + 5]:
                member.start(self.stage.invite.to_text())
            self.until_whole(members[: at + 5])
            tell(f"{at + 5} are here")

    def there(self) -> list[Program]:
        """Return those who aren't away."""
        return [member for name, member in self.stage.members.items() if name not in self.away]

    def until_whole(self, members: list[Program] | None = None) -> None:
        """Wait until these (all who are there) are here for each other, while they go on talking."""
        those = members or self.there()
        end_s = time.monotonic() + PATIENCE_S * 3
        while not all(member.here >= len(those) - 1 for member in those):
            if time.monotonic() > end_s:
                wait(lambda: False, f"all are here: {self.stage.states()}", 0)
            if members is None and self.asked < self.allowed:
                self.talk()
            time.sleep(0.05)

    def talk(self) -> None:
        """Have somebody say something, unless too much waits already."""
        there = self.there()
        if sum(max(0, member.owed) for member in there) > self.plan.most_owed:
            return
        member = self.dice.choice(there)
        count = min(self.dice.choice(BURST), self.plan.messages - self.asked)
        member.say(*(f"{self.asked + at} of {member.name} " + "." * self.dice.choice(SIZES) for at in range(count)))
        self.asked += count

    def kill_relay(self) -> None:
        """End the relay and start it at once."""
        begun_s = time.monotonic()
        self.outcome.relay_mib = max(self.outcome.relay_mib, rss_mib(self.relay.process.pid, "VmHWM"))
        self.relay.process.kill()
        self.relay.process.communicate()
        self.relay = Process(self.home / "relay", "--port", str(self.port))
        for member in self.stage.members.values():
            member.here = -1  # what they told before no longer counts
        self.until_whole()
        self.outcome.after_relay_s.append(time.monotonic() - begun_s)
        tell(f"relay killed: whole again after {self.outcome.after_relay_s[-1]:.1f} s; {self.asked} said")

    def kill_member(self) -> None:
        """End a member and start it at once."""
        begun_s = time.monotonic()
        member = self.dice.choice(self.there())
        member.kill()
        member.start()
        self.until_whole()
        self.outcome.after_member_s.append(time.monotonic() - begun_s)
        tell(f"{member.name} killed: whole again after {self.outcome.after_member_s[-1]:.1f} s; {self.asked} said")

    def send_away(self) -> None:
        """Put somebody to sleep, or close them."""
        member = self.dice.choice(self.there())
        asleep = self.outcome.offline % 2 == 0
        self.outcome.offline += 1
        if asleep:
            member.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
        else:
            member.end()
        self.away[member.name] = (time.monotonic() + self.plan.offline_s, asleep)
        tell(f"{member.name} {'asleep' if asleep else 'closed'}; {self.asked} said")

    def fetch(self, everybody: bool = False) -> None:
        """Have those come back whose time is over."""
        for name, (until_s, asleep) in list(self.away.items()):
            if everybody or time.monotonic() >= until_s:
                member = self.stage[name]
                del self.away[name]
                member.here = -1
                if asleep:
                    member.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
                else:
                    member.start()
                self.until_whole()
                tell(f"{name} is back; {self.asked} said")

    def run(self) -> Outcome:
        """Talk, kill, wait until everything has arrived, judge."""
        plan = self.plan
        turns = [self.kill_relay] * plan.relay_kills + [self.kill_member] * plan.member_kills
        self.dice.shuffle(turns)
        early = len(turns) // 2  # who goes away goes in the first half, to be back before the end
        for _ in range(plan.offline):
            turns.insert(self.dice.randrange(early + 1), self.send_away)
        moments = sorted(self.dice.randrange(plan.messages) for _ in turns)
        begun_s = time.monotonic()
        end_s = begun_s + (plan.most_s or math.inf)
        for moment, turn in [*zip(moments, turns, strict=True), (plan.messages, lambda: None)]:
            self.allowed = moment
            while self.asked < moment and time.monotonic() < end_s:
                self.talk()
                time.sleep(0.01)
            if time.monotonic() >= end_s:
                break
            self.allowed = min(plan.messages, moment + plan.messages // len(turns))  # they talk while it is mended, too
            self.fetch()
            turn()
        self.allowed = self.asked
        while self.away:
            self.fetch(everybody=time.monotonic() >= end_s)
            time.sleep(0.5)
        self.outcome.talk_s = time.monotonic() - begun_s
        self.outcome.last_s = self.stage.until_settled(PATIENCE_S * 5)
        for member in self.stage.members.values():
            member.end()
        self.relay.end()
        said, got, missing = self.stage.histories()
        self.outcome.said, self.outcome.copies = sum(map(len, said.values())), sum(map(len, got.values()))
        self.outcome.wrong += missing + mistakes(said, got)
        if self.outcome.wrong:
            tell("; ".join(f"{what}: {count}" for what, count in self.stage.narrow.items()))
        return self.outcome

    def end_all(self) -> None:
        """Leave no program behind."""
        for member in self.stage.members.values():
            member.kill()
        self.relay.process.kill()
        with contextlib.suppress(ValueError):
            self.relay.process.communicate()


def tell(sentence: str) -> None:
    print(time.strftime("%H:%M:%S"), sentence, file=sys.stderr, flush=True)


def times(row: list[float]) -> str:
    """Say median and worst."""
    return f"median {statistics.median(row):.1f}, worst {max(row):.1f}" if row else "none"


@case("LONG", "the relay and the members are killed at random moments, or asleep or closed for minutes", slow=True)
def long(sheet: Sheet, home: Path) -> None:
    trial = Trial(home, PLAN)
    try:
        trial.begin()
        outcome = trial.run()
    finally:
        trial.end_all()
    sheet.note("members", PLAN.members)
    sheet.note("messages asked for", trial.asked)
    sheet.note("committed", outcome.said)
    sheet.note("relay killed", len(outcome.after_relay_s))
    sheet.note("members killed", len(outcome.after_member_s))
    sheet.note(f"away for {PLAN.offline_s:.0f} s", outcome.offline)
    sheet.none("lost, doubled, forged or out of order", len(outcome.wrong), outcome.copies)
    sheet.note("whole again after the relay's end, s", times(outcome.after_relay_s))
    sheet.note("after a member's end, s", times(outcome.after_member_s))
    sheet.note("talk took s", outcome.talk_s)
    sheet.note("then everything had arrived after s", outcome.last_s)
    sheet.note("relay had at most MiB", outcome.relay_mib)
    sheet.note("seed", PLAN.seed)
    sheet.broken += outcome.wrong
