"""What the service of a relay goes through, scene by scene.  What a scene is for is printed above what it finds."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from client_help import until
from guests import Crowd, certificate_at, lives, seated, stay
from machine import GUESTS, ROOT, Machine
from page import demand, seconds, tell
from play import Play

PROBE = "/usr/bin/python3 -BEs /usr/share/parley-relay/probe.py"
NEXT = "9.9.9"  # the version to which the relay is upgraded
KEY = "/etc/parley-relay/relay.key"
CERTIFICATE = "/var/lib/parley-relay/relay.crt"
SETTINGS = "/etc/parley-relay/parley-relay.toml"
KEYS = "/srv/keys"
LEAST_EXPOSED, WITH_AN_ENGINE = 0.3, 0.9  # what `systemd-analyze security` may say at most
HELD = 30  # connections that are there while the certificate changes
NEW_ONES = 3


def two_talk(play: Play) -> None:
    """Two real clients talk through it."""
    play.together()
    play.talk()


def exposed(machine: Machine, at_most: float) -> None:
    """Demand that systemd finds the service exposed no more than that, as it is loaded."""
    said = machine.run("systemd-analyze security --no-pager parley-relay")
    found = re.search(r"Overall exposure level for parley-relay.service: ([\d.]+) .*", said)
    demand(found and float(found[1]) <= at_most, f"it is exposed more than {at_most}:\n{said}")
    tell(f"  {found[0] if found else ''}")


def probed(machine: Machine, *words: str, more: tuple[str, ...] = ()) -> int:
    """Put the probe into the relay's place, and demand that it may do three things, and `more`; return how many not."""
    machine.put(ROOT / "tests" / "vm" / "probe.py", "usr/share/parley-relay")
    unit = machine.run("mkdir -p /home/ann; systemctl cat parley-relay")  # with what was dropped in
    command = " ".join([PROBE, *words])
    unit = re.sub(r"ExecStart=.*", f"ExecStart={command}", unit)
    unit = unit.replace("Type=notify", "Type=oneshot").replace("StandardOutput=null", "StandardOutput=journal")
    unit = re.sub(r"^(Requires|After|Watchdog\w*|Restart\w*|RuntimeDirectory\w*)=.*\n", "", unit, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as here:
        file = Path(here, "parley-probe.service")
        file.write_text(unit)
        machine.put(file, "etc/systemd/system")
    machine.run("systemctl daemon-reload; systemctl start parley-probe", check=False)
    said = machine.run("journalctl -u parley-probe -o cat --no-pager").rpartition("Starting parley-probe")[2]
    machine.run("rm /etc/systemd/system/parley-probe.service; systemctl daemon-reload")
    found = {word: re.findall(rf"^{word} (.*)$", said, re.MULTILINE) for word in ("ALLOWED", "DENIED", "BROKEN")}
    demand("DONE" in said and not found["BROKEN"], f"the probe did not end:\n{said}")
    wanted = sorted(("make a certificate", "read the key", "write the state", *more))
    demand(sorted(found["ALLOWED"]) == wanted, f"allowed: {found['ALLOWED']}\n{said}")
    return len(found["DENIED"])


def sandbox(play: Play) -> None:
    """What the service may not do, tried from inside: a probe in the relay's place."""
    denied = probed(play.machine)
    play.machine.run("rm /usr/share/parley-relay/probe.py; rmdir /home/ann")
    tell(f"  it can read the key, write the state and make a certificate; denied: {denied} others")
    exposed(play.machine, LEAST_EXPOSED)


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


def reloaded(play: Play) -> None:
    """New certificates are served after a reload, a broken one isn't, and nobody has to go."""
    machine, states, longest_s = play.machine, play.states(), 0.0
    held = [stay(play.relay, source) for source in GUESTS[:HELD]]
    seen = [certificate_at(play.relay)]
    new = f"openssl req -x509 -new -key {KEY} -subj '/CN=Parley relay' -days 300 -out {CERTIFICATE}"

    def refusals() -> int:
        return machine.run("journalctl -u parley-relay -o cat").count("reload refused")

    with Crowd(play.relay) as crowd:
        for _ in range(NEW_ONES):
            machine.run(f"echo broken > {CERTIFICATE} && systemctl reload parley-relay", check=False)
            until(lambda: refusals() == len(seen), "the refusal is in the log", 60)
            demand(certificate_at(play.relay) == seen[-1], "a broken certificate was taken")
            machine.run(new)
            begin_s = time.monotonic()
            machine.run("systemctl reload parley-relay")
            until(lambda: certificate_at(play.relay) not in seen, "the new certificate is served", 60)
            longest_s = max(longest_s, time.monotonic() - begin_s)
            seen.append(certificate_at(play.relay))
            play.talk()
    lost = [sock for sock in held if not lives(sock)]
    for sock in held:
        sock.close()
    demand(not lost and play.states() == states, f"{len(lost)} of {HELD} lost their connections, or the two did")
    demand(
        not crowd.refused and not crowd.told_to_come_back, f"of those who came, {crowd.refused} refused: {crowd.why}"
    )
    tell(f"  {NEW_ONES} times a broken one, kept out, and a new one, served at most {longest_s:.1f} s after the reload")
    tell(f"  of {HELD} connections and the two who talk 0 lost; {crowd.arrived} came meanwhile, 0 refused")


def killed(play: Play) -> None:
    """The relay is killed, then stopped dead, then restarted: how long until people are together again."""
    machine = play.machine

    def main_pid() -> str:
        return machine.show("parley-relay", "MainPID")

    restarts = int(machine.show("parley-relay", "NRestarts"))
    for what, cause, counted in (
        ("SIGKILL", lambda: machine.run(f"kill -9 {main_pid()}"), restarts + 1),
        ("SIGSTOP (the watchdog ends it)", lambda: machine.run(f"kill -STOP {main_pid()}"), restarts + 2),
        ("systemctl restart", lambda: machine.run("systemctl restart parley-relay"), 0),
    ):
        back = play.again(cause)
        demand(int(machine.show("parley-relay", "NRestarts")) == counted, "systemd counts other restarts")
        tell(f"  {what}: {back}")


@contextlib.contextmanager
def small_and_full(machine: Machine, directory: str) -> Iterator[None]:
    """Put a directory on a file system of its own, on which there is no room any more."""
    machine.run(
        f"cp -a {directory} $HOME/kept && mount -t tmpfs -o size=64k none {directory} && "
        f"cp -a $HOME/kept/. {directory}/ && cat /dev/zero >{directory}/full",
        check=False,
    )
    try:
        yield
    finally:
        machine.run(f"umount {directory} && rm -r $HOME/kept")


def wrong(play: Play) -> None:
    """What doctor says when something is wrong."""
    machine, inside = play.machine, play.asked_inside

    def outside() -> str:
        return play.asked_outside(play.relay)

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

    ended = "openssl req -new -key {0} -subj '/CN=Parley relay' | openssl x509 -req -signkey {0} -days 0 -out {1} 2>&1"
    elsewhere = f"mkdir {KEYS} && cp -a {KEY} {KEYS} && sed -i 's,^key = .*,key = \"{KEYS}/relay.key\",' {SETTINGS}"
    back = f"sed -i 's,^key = .*,key = \"relay.key\",' {SETTINGS} && rm -r {KEYS} && systemctl reload parley-relay"
    for directory, before, after in (
        ("/etc/parley-relay", "", ""),
        ("/var/lib/parley-relay", ended.format(KEY, CERTIFICATE), ""),
        (KEYS, elsewhere, back),
    ):
        machine.run(before)
        with small_and_full(machine, directory):
            machine.run("systemctl restart parley-relay")
            until(lambda: seated(play.relay), "the relay starts on a full disk")
            show(f"a full disk at {directory}", inside(), f"0 MiB are left where {directory} is")
            if directory == "/etc/parley-relay":
                said = machine.run("parley-relay host 198.51.100.7 2>&1", check=False)
                demand("No space left" in said, "no word on a full disk")
            play.talk()
        machine.run(after)

    machine.run("systemctl stop parley-relay.socket parley-relay && "
                "systemd-run --unit=other python3 -m http.server 7256 --bind ::")  # fmt: skip
    until(lambda: "7256" in machine.run("ss -ltn"), "the other program has the port")
    machine.run("systemctl start parley-relay.socket", check=False)
    show("the port is in use", inside(), "what serves there speaks no TLS 1.3; stop it")
    machine.run("systemctl stop other; systemctl start parley-relay.socket parley-relay")

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
    machine.run("apt-get purge -y parley-relay; rm -f ./parley-relay* spare.key")
    left = machine.run(
        "find / -xdev -iname '*parley*' -not -path '/srv/*' -not -path '/var/log/*'; getent passwd parley-relay; "
        "getent group parley-relay; systemctl list-unit-files 'parley*' --no-legend",
        check=False,
    )
    demand(not left.strip(), f"purge left something:\n{left}")
    tell("  removed, the same relay again, purged: nothing is left")
