"""`make test-vm`: the page followed to the letter in a clean Debian, and what a relay's service goes through.

Scene by scene, in a real systemd (machine.py), with real clients that talk through it all.  What can be counted is
counted; times are reported, and judged by nobody.  `--suite trixie` takes Debian 13 instead of 12.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "vm")]

from client_help import Person, room_on, until  # noqa: E402
from guests import Crowd, certificate_at, seated  # noqa: E402
from machine import HERE, THERE, Machine, clean_debian, enter_own_network, run  # noqa: E402
from sizes import MEMORY_BYTES, SmallVps, measured  # noqa: E402

from chatcore.cable import Timing  # noqa: E402
from chatcore.invite import Invite, RelayAddress  # noqa: E402

PAGE = ROOT / "docs" / "SELF_HOSTING.md"
NEXT = "9.9.9"  # the version to which the relay is upgraded
KEY = "/etc/parley-relay/relay.key"
CERTIFICATE = "/var/lib/parley-relay/relay.crt"
AS_PEOPLE_DO = Timing()
PROGRAMS = {
    "systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "dpkg-scanpackages": "dpkg-dev",
    "nsenter": "util-linux", "ip": "iproute2", "nft": "nftables",
}  # fmt: skip


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


# -- scenes ------------------------------------------------------------------------------------------------------------


class Play:
    """A machine with a relay, and two people in a room on it."""

    def __init__(self, machine: Machine, line: str) -> None:
        self.machine = machine
        self.relay = RelayAddress.parse(line)
        self.invite: Invite = room_on(self.relay)
        self.alice = Person("alice", self.invite, AS_PEOPLE_DO)
        self.bob = Person("bob", self.invite, AS_PEOPLE_DO)
        self.said = 0

    def end(self) -> None:
        """Stop the clients."""
        self.alice.client.stop()
        self.bob.client.stop()

    def talk(self) -> None:
        """Have each say something that the other gets."""
        self.said += 1
        self.alice.say(f"a{self.said}")
        self.bob.say(f"b{self.said}")
        self.bob.until_text(f"a{self.said}")
        self.alice.until_text(f"b{self.said}")

    def together(self) -> None:
        """Wait until the two see each other."""
        self.alice.until_here("bob")
        self.bob.until_here("alice")

    def counted(self) -> str:
        """Return what became of all that was said; fail if something was lost, doubled or out of order."""
        for person, letter in ((self.bob, "a"), (self.alice, "b")):
            got = [text for _, text in person.ear.texts()]
            wanted = [f"{letter}{number}" for number in range(1, self.said + 1)]
            demand(got == wanted, f"{person.name} got {len(got)} of {len(wanted)} messages, or not in their order")
        return f"{2 * self.said} messages: 0 lost, 0 doubled, 0 out of order"

    def again(self, cause: Callable[[], object]) -> tuple[float, float]:
        """Do something to the relay; return after how long it gives a seat, and the two are together again."""
        before = [len(person.ear.states()) for person in (self.alice, self.bob)]
        begin_s = time.monotonic()
        cause()
        until(lambda: self._noticed(before), "both notice", 60)
        until(lambda: seated(self.relay, timeout_s=1), "the relay gives a seat", 60)
        back_s = time.monotonic() - begin_s
        self.talk()
        return back_s, time.monotonic() - begin_s

    def _noticed(self, before: list[int]) -> bool:
        after = [len(person.ear.states()) for person in (self.alice, self.bob)]
        return all(now > then for now, then in zip(after, before, strict=True))


def two_talk(play: Play) -> None:
    """Two real clients talk through it."""
    play.together()
    play.talk()
    tell(f"  {play.counted()}")


def sandbox(play: Play) -> None:
    """What the service may not do, tried from inside: a probe in the relay's place."""
    machine = play.machine
    machine.put(ROOT / "tests" / "vm" / "probe.py", "usr/share/parley-relay")
    unit = machine.run("cat $(systemctl show --value -p FragmentPath parley-relay)")
    unit = re.sub(r"ExecStart=.*", "ExecStart=/usr/bin/python3 -BEs /usr/share/parley-relay/probe.py", unit)
    unit = unit.replace("Type=notify", "Type=oneshot").replace("StandardOutput=null", "StandardOutput=journal")
    unit = re.sub(r"^(Requires|After|Watchdog\w*|Restart\w*|RuntimeDirectory\w*)=.*\n", "", unit, flags=re.MULTILINE)
    (machine.tree / "etc/systemd/system/parley-probe.service").write_text(unit)
    machine.run("systemctl daemon-reload; systemctl start parley-probe", check=False)
    said = machine.run("journalctl -u parley-probe -o cat --no-pager")
    machine.run("rm /usr/share/parley-relay/probe.py /etc/systemd/system/parley-probe.service; systemctl daemon-reload")
    allowed = re.findall(r"^ALLOWED (.*)$", said, re.MULTILINE)
    denied = re.findall(r"^DENIED (.*)$", said, re.MULTILINE)
    demand("DONE" in said, f"the probe did not end:\n{said}")
    demand(sorted(allowed) == ["make a certificate", "read the key", "write the state"], f"allowed: {allowed}\n{said}")
    tell(f"  allowed: {', '.join(allowed)}; denied: {len(denied)} others")
    tell(f"  {machine.run('systemd-analyze security parley-relay | tail -1').strip()}")


def upgraded(play: Play) -> None:
    """A newer package under load: how many are refused?"""
    machine = play.machine
    machine.put(ROOT / "build" / f"parley-relay_{NEXT}_all.deb")
    before = machine.show("parley-relay", "MainPID")
    with Crowd(play.relay) as crowd:
        time.sleep(2)
        begin_s = time.monotonic()
        machine.run(f"apt-get install -y ./parley-relay_{NEXT}_all.deb")
        took = seconds(begin_s)
        play.talk()
        time.sleep(4)
    demand(machine.show("parley-relay", "MainPID") != before, "the relay was not restarted")
    demand(crowd.arrived > 40, f"only {crowd.arrived} came")
    demand(not crowd.refused, f"{crowd.refused} of {crowd.arrived} were refused: {crowd.why}")
    tell(
        f"  {took}; {crowd.arrived} came meanwhile, 0 refused, {crowd.told_to_come_back} told to come back, "
        f"the longest waited {crowd.longest_s:.2f} s for a seat"
    )
    tell(f"  {play.counted()}")


def reloaded(play: Play) -> None:
    """A new certificate is served after a reload, a broken one isn't, and nobody has to go."""
    machine = play.machine
    states = len(play.alice.ear.states())
    old = certificate_at(play.relay)
    new = f"openssl req -x509 -new -key {KEY} -subj '/CN=Parley relay' -days 300 -out {CERTIFICATE}"
    machine.run(f"{new} && systemctl reload parley-relay")
    until(lambda: certificate_at(play.relay) != old, "the new certificate is served")
    new_one = certificate_at(play.relay)
    machine.run(f"echo broken > {CERTIFICATE} && systemctl reload parley-relay", check=False)
    until(lambda: "reload refused" in machine.run("journalctl -u parley-relay -o cat"), "the refusal is in the log")
    demand(certificate_at(play.relay) == new_one, "a broken certificate was taken")
    machine.run(f"{new} && systemctl reload parley-relay")
    until(lambda: certificate_at(play.relay) != new_one, "and the next good one is")
    play.talk()
    demand(len(play.alice.ear.states()) == states, "somebody lost the connection")
    tell("  new one served, broken one kept out, connections live on")


def rotated(play: Play) -> None:
    """The key is lost; the spare key takes its place; everybody is back with the invite they have."""
    machine = play.machine
    machine.run("mv /etc/parley-relay/spare.key . && rm /etc/parley-relay/relay.key")
    machine.run("parley-relay rotate --spare spare.key")
    back_s, together_s = play.again(lambda: machine.run("systemctl restart parley-relay"))
    line = machine.run("parley-relay line").strip()
    fresh = RelayAddress.parse(line)
    demand(fresh.pins[0] == play.relay.pins[1], "the spare key is not the relay's key")
    demand(machine.run(f"stat -c '%U %G %a' {KEY}").strip() == "root parley-relay 640", "the key has wrong rights")
    tell(f"  the relay is back after {back_s:.1f} s, the two together after {together_s:.1f} s, with their old invite")
    play.relay = fresh


def counted(play: Play) -> None:
    """Who has no network is read by Prometheus all the same."""
    machine = play.machine
    machine.run(
        'sed -i \'s,^# listen = "127.*,listen = "unix:/run/parley-relay/metrics.sock",\' '
        "/etc/parley-relay/parley-relay.toml; systemctl restart parley-relay; "
        "systemctl enable --now parley-relay-metrics.socket"
    )
    until(lambda: seated(play.relay), "the relay gives a seat")
    read = (
        "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:9256/metrics\").read().decode())'"
    )
    said = machine.run(read)
    demand("\nparley_relay_ready 1\n" in said, f"no counts:\n{said}")
    play.talk()
    tell(f"  {said.count('# HELP')} kinds of numbers at 127.0.0.1:9256")


def killed(play: Play) -> None:
    """The relay is killed, then stopped dead, then restarted: how long until people are together again."""
    machine = play.machine

    def main_pid() -> str:
        return machine.show("parley-relay", "MainPID")

    for what, cause, restarts in (
        ("SIGKILL", lambda: machine.run(f"kill -9 {main_pid()}"), "1"),
        ("SIGSTOP (the watchdog ends it)", lambda: machine.run(f"kill -STOP {main_pid()}"), "2"),
        ("systemctl restart", lambda: machine.run("systemctl restart parley-relay"), "0"),
    ):
        back_s, together_s = play.again(cause)
        demand(machine.show("parley-relay", "NRestarts") == restarts, "systemd counts other restarts")
        tell(f"  {what}: a seat after {back_s:.1f} s, the two together after {together_s:.1f} s")
    tell(f"  {play.counted()}")


def wrong(play: Play) -> None:
    """What doctor says when something is wrong."""
    machine = play.machine

    def outside() -> str:
        return subprocess.run(
            [sys.executable, "-m", "chatcore.doctor"], input=play.relay.to_text(), cwd=ROOT,
            capture_output=True, text=True, timeout=120, check=False,
        ).stdout  # fmt: skip

    def inside(before: str = "") -> str:
        return machine.run(f"{before} parley-relay doctor", check=False)

    def show(what: str, said: str, wanted: str) -> None:
        lines = [line for line in said.splitlines() if wanted in line]
        demand(lines, f"{what}: doctor didn't say {wanted!r}:\n{said}")
        tell(f"  {what}:\n      {lines[0]}")

    demand("bad" not in outside(), f"doctor isn't content from outside:\n{outside()}")
    with machine.firewall("drop"):
        show("a firewall that swallows", outside(), "there is no answer: a firewall on the way")
    with machine.firewall("reject with tcp reset"):
        show("a firewall that refuses", outside(), "nobody listens there")
    clock = "import sys, time, runpy; time.time = lambda: 0.0; sys.path[:0] = ['/usr/share/parley-relay']; "
    clock += "import relay_server; sys.exit(relay_server.main(['doctor']))"
    show("a wrong clock", machine.run(f'python3 -Bc "{clock}"', check=False), "before this relay was made")

    machine.run("cp -a /etc/parley-relay $HOME/kept && mount -t tmpfs -o size=64k,mode=755 none /etc/parley-relay && "
                "cp -a $HOME/kept/. /etc/parley-relay/ && cat /dev/zero > /etc/parley-relay/full; true")  # fmt: skip
    show("a full disk", inside(), "0 MiB are left")
    machine.run("systemctl restart parley-relay")
    until(lambda: seated(play.relay), "the relay starts on a full disk")
    demand("No space left" in machine.run("parley-relay host 198.51.100.7 2>&1", check=False), "no word on a full disk")
    machine.run("umount /etc/parley-relay && rm -r $HOME/kept && systemctl restart parley-relay")

    machine.run("systemctl stop parley-relay.socket parley-relay && "
                "systemd-run --unit=other python3 -m http.server 7256 --bind ::")  # fmt: skip
    until(lambda: "7256" in machine.run("ss -ltn"), "the other program has the port")
    machine.run("systemctl start parley-relay.socket", check=False)
    show("the port is in use", inside(), "what serves there speaks no TLS 1.3; stop it")
    machine.run("systemctl stop other; systemctl start parley-relay.socket parley-relay")

    ended = "openssl req -new -key {0} -subj '/CN=Parley relay' | openssl x509 -req -signkey {0} -days 0 -out {1} 2>&1"
    machine.run(ended.format(KEY, CERTIFICATE))
    time.sleep(1.1)
    show("an expired certificate", inside(), "it ended on")
    machine.run("systemctl restart parley-relay")
    until(lambda: seated(play.relay), "a relay with an expired certificate serves")
    show("and after a start", inside(), "it holds until")
    play.talk()


def gone(play: Play) -> None:
    """Removed, it keeps what it is; installed again, it is the same relay; purged, it leaves nothing."""
    machine = play.machine
    line = machine.run("parley-relay line")
    machine.run("apt-get remove -y parley-relay")
    left = machine.run("ls /etc/parley-relay; ss -ltn; systemctl list-units --all 'parley*' --plain --no-legend")
    demand("parley-relay.toml" in left and "relay.key" in left, "remove took the configuration")
    demand("7256" not in left, "something still listens")
    machine.put(ROOT / "build" / f"parley-relay_{NEXT}_all.deb")
    machine.run(f"apt-get install -y ./parley-relay_{NEXT}_all.deb")
    demand(machine.run("parley-relay line") == line, "it is another relay")
    until(lambda: seated(play.relay), "it serves again")
    play.talk()
    machine.run("apt-get purge -y parley-relay; rm -f ./parley-relay*.deb spare.key")
    left = machine.run(
        "find / -xdev -iname '*parley*' -not -path '/srv/*' -not -path '/var/log/*'; getent passwd parley-relay; "
        "getent group parley-relay; systemctl list-unit-files 'parley*' --no-legend",
        check=False,
    )
    demand(not left.strip(), f"purge left something:\n{left}")
    tell("  removed, the same relay again, purged: nothing is left")


SCENES = (two_talk, sandbox, upgraded, reloaded, counted, killed, wrong, rotated, gone)


def sizes_of(suite: str) -> int:
    """Measure a relay under the limits of a small VPS."""
    with SmallVps() as vps, Machine(suite) as machine:
        vps.take(machine)
        machine.run("systemctl restart systemd-journald dbus")
        tell(f"one core, {MEMORY_BYTES >> 20} MiB, {suite}")
        relay = RelayAddress.parse(follow(machine, five_commands()))
        for line in asyncio.run(measured(relay, machine, vps)):
            tell(f"  {line}")
        demand(seated(relay), "the relay doesn't serve any more")
    return 0


def main() -> int:
    """Return 0 if everything was as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="which Debian (bookworm, trixie)")
    parser.add_argument("--scene", action="append", choices=[s.__name__ for s in SCENES], help="only this one")
    parser.add_argument("--sizes", action="store_true", help="measure what a small VPS carries, and nothing else")
    options = parser.parse_args()
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if os.geteuid() != 0 or lacking:
        cure = f", and needs: apt-get install {' '.join(lacking)}" if lacking else ""
        print(f"test-vm: boots a Debian, which only root may{cure}", file=sys.stderr)
        return 2
    clean_debian(options.suite)
    run("/usr/bin/env", f"VERSION={NEXT}", ROOT / "tools" / "make-deb")
    enter_own_network()
    if options.sizes:
        return sizes_of(options.suite)
    begin_s = time.monotonic()
    with Machine(options.suite) as machine:
        tell(f"{options.suite}: booted in {seconds(begin_s)}, {machine.run('systemctl --version').split(chr(10))[0]}")
        try:
            tell("the page, command by command")
            play = Play(machine, follow(machine, five_commands()))
            try:
                for scene in SCENES:
                    if not options.scene or scene.__name__ in options.scene:
                        tell(str(scene.__doc__).strip())
                        scene(play)
            finally:
                play.end()
        except (Failed, AssertionError, RuntimeError) as error:
            tell(f"FAILED: {error}")
            tell(machine.run("journalctl -u 'parley*' --no-pager | tail -n 40", check=False))
            return 1
    tell(f"all as it has to be, in {seconds(begin_s)}; we were {HERE}, the relay {THERE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
