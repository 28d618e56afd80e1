"""The relay and the members on trial: real programs that are killed at random moments, and a judge.

    python tests/trial.py [--members 8] [--messages 1000] [--relay-kills 20] [--member-kills 10] [--seed 1]

Every member is a program with a profile and a vault on the disk; the relay is `relay_server.py` with TLS on loopback.
While random members say messages, the relay and the members are ended with SIGKILL at random moments and started again
at once.  When everything has arrived, everybody's vault is read: that is what their windows would show.  Nothing may be
lost, doubled, forged, or out of a sender's order.  Ends with status 1 if anything is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from judge import Got, Said, mistakes  # noqa: E402
from relay_help import Process  # noqa: E402

from chatcore.delivery import Message  # noqa: E402
from chatcore.engines.openssl import OpenSSLEngine  # noqa: E402
from chatcore.invite import Mode, RelayAddress, new_invite  # noqa: E402
from chatcore.profile import Profile  # noqa: E402
from chatcore.seal import fingerprint  # noqa: E402
from chatcore.text import parse_text  # noqa: E402
from chatcore.vault import FILE_NAME, Vault  # noqa: E402

PATIENCE_S = 120.0


class Program:
    """A member's program, which may be killed and started again."""

    def __init__(self, name: str, home: Path, invite: str) -> None:
        self.name, self.directory = name, home / name
        self.here = self.owed = -1
        self.said: set[str] = set()  # what it told to have committed
        self.start(invite)

    def start(self, invite: str | None = None) -> None:
        """Start it: with the invite the first time, then from its profile."""
        self.here = self.owed = -1
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "member.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        )
        self.tell(json.dumps({"profile": str(self.directory), "nick": self.name, "invite": invite}))
        threading.Thread(target=self.listen, args=(self.process,), daemon=True).start()

    def tell(self, line: str) -> None:
        """Write a line to it, if it lives."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def listen(self, process: subprocess.Popen[str]) -> None:
        """Take what one life of it tells."""
        assert process.stdout is not None
        for line in process.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "said":
                self.said.add(rest)
            elif process is self.process:
                self.here, self.owed = map(int, rest.split())

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Close it as a person does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Outcome:
    """What a trial found; times are in seconds, from a kill until every member is here for every other."""

    said: int = 0
    wrong: list[str] = field(default_factory=list)
    after_relay_s: list[float] = field(default_factory=list)
    after_member_s: list[float] = field(default_factory=list)
    last_s: float = 0.0  # from the last message until everything had arrived


class Trial:
    """A room, its relay, its members, and a die."""

    def __init__(self, home: Path, members: int, seed: int) -> None:
        self.home, self.dice = home, random.Random(seed)
        self.relay = Process(home / "relay", "--port", "0")
        self.port = self.relay.port
        owner = Profile.create(home / "member 0", "member 0", None, OpenSSLEngine())
        address = RelayAddress.parse(self.relay.line)
        invite = new_invite(fingerprint(owner.identity.modulus), Mode.OPEN, address, "", secret=secrets.token_bytes(32))
        self.room_id = invite.room_id
        self.members = [Program(f"member {number}", home, invite.to_text()) for number in range(members)]
        self.outcome = Outcome()
        self.wait(self.whole, "everybody is here")

    def whole(self) -> bool:
        """Whether everybody is here for everybody."""
        return all(member.here == len(self.members) - 1 for member in self.members)

    def wait(self, condition: Callable[[], bool], what: str) -> float:
        """Wait for a condition; returns how long that took, in seconds."""
        begun_s = time.monotonic()
        while not condition():
            if time.monotonic() > begun_s + PATIENCE_S:
                states = ", ".join(f"{m.name}: {m.here} here, {m.owed} owed" for m in self.members)
                raise SystemExit(f"waited in vain: {what} ({states})")
            time.sleep(0.02)
        return time.monotonic() - begun_s

    def kill_relay(self) -> None:
        """End the relay and start it at once."""
        begun_s = time.monotonic()
        self.relay.process.kill()
        self.relay.process.communicate()
        self.relay = Process(self.home / "relay", "--port", str(self.port))
        for member in self.members:
            member.here = -1  # what they told before no longer counts
        self.wait(self.whole, "everybody is here again")
        self.outcome.after_relay_s.append(time.monotonic() - begun_s)
        print(f"relay killed: whole again after {self.outcome.after_relay_s[-1]:.1f} s", file=sys.stderr)

    def kill_member(self) -> None:
        """End a member and start it at once."""
        begun_s = time.monotonic()
        member = self.dice.choice(self.members)
        member.kill()
        member.start()
        self.wait(self.whole, f"{member.name} is here again")
        self.outcome.after_member_s.append(time.monotonic() - begun_s)
        print(f"{member.name} killed: whole again after {self.outcome.after_member_s[-1]:.1f} s", file=sys.stderr)

    def run(self, messages: int, relay_kills: int, member_kills: int) -> Outcome:
        """Talk, kill, wait until everything has arrived, judge."""
        turns = ["say"] * messages + ["relay"] * relay_kills + ["member"] * member_kills
        self.dice.shuffle(turns)
        for number, turn in enumerate(turns):
            if turn == "say":
                member = self.dice.choice(self.members)
                member.tell(f"{number} of {member.name} " + "." * self.dice.choice((0, 20, 500)))
            elif turn == "relay":
                self.kill_relay()
            else:
                self.kill_member()
        self.outcome.last_s = self.wait(self.settled, "everything has arrived")
        for member in self.members:
            member.end()
        self.relay.end()
        self.judge()
        return self.outcome

    def end_all(self) -> None:
        """Leave no program behind."""
        for member in self.members:
            member.kill()
        self.relay.process.kill()
        self.relay.process.communicate()

    def settled(self) -> bool:
        """Whether nobody owes anything any more, for a second on end."""
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:
            if not self.whole() or any(member.owed for member in self.members):
                return False
            time.sleep(0.05)
        return True

    def judge(self) -> None:
        """Read the vaults, and compare."""
        said: Said = {}
        got: Got = {}
        kept, names = {}, {}
        for member in self.members:
            profile = Profile.open(member.directory, None, OpenSSLEngine())
            with contextlib.closing(Vault(member.directory / FILE_NAME, profile.vault_keys)) as vault:
                kept[member.name] = vault.room(self.room_id).load()
            names[fingerprint(profile.identity.modulus)] = member.name
        for member in self.members:
            lines = [
                (names.get(line.sender, "a stranger"), parse_text(Message.parse(line.rest).app) or "")
                for line in kept[member.name].lines.values()
            ]
            said[member.name] = [text for who, text in lines if who == member.name]
            got[member.name] = [(who, text) for who, text in lines if who != member.name]
            if not member.said <= {*said[member.name]}:
                self.outcome.wrong.append(f"{member.name}: told that it had committed what it hadn't")
        self.outcome.said = sum(map(len, said.values()))
        self.outcome.wrong += mistakes(said, got)


def times(row: list[float]) -> str:
    """Say median and worst."""
    return f"median {statistics.median(row):.1f} s, worst {max(row):.1f} s" if row else "none"


def main() -> int:
    """Run a trial and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--relay-kills", type=int, default=20)
    parser.add_argument("--member-kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-trial-") as home:
        trial = Trial(Path(home), options.members, options.seed)
        try:
            outcome = trial.run(options.messages, options.relay_kills, options.member_kills)
        finally:
            trial.end_all()
    print(f"{options.members} members, {outcome.said} messages committed, seed {options.seed}")
    print(f"relay killed {options.relay_kills} times: whole again after {times(outcome.after_relay_s)}")
    print(f"members killed {options.member_kills} times: whole again after {times(outcome.after_member_s)}")
    print(f"everything had arrived {outcome.last_s:.1f} s after the last message")
    print("\n".join(outcome.wrong) or "lost 0, doubled 0, forged 0, out of a sender's order 0")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
