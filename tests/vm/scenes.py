"""What the service of a relay goes through, scene by scene.  What a scene is for is printed above what it finds."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from client_help import until
from guests import Crowd, certificate_at, lives, seated, stay
from machine import GUESTS, ROOT, Machine
from play import Play, demand, seconds, tell

from chatcore.invite import RelayAddress

PROBE = "/usr/bin/python3 -BEs /usr/share/parley-relay/probe.py"
NEXT = "9.9.9"  # the version to which the relay is upgraded
KEY = "/etc/parley-relay/relay.key"
CERTIFICATE = "/var/lib/parley-relay/relay.crt"
HELD = 30  # connections that are there while the certificate changes
NEW_ONES = 3


def two_talk(play: Play) -> None:
    """Two real clients talk through it."""
    play.together()
    play.talk()


def probed(machine: Machine, *words: str) -> int:
    """Put the probe into the relay's place, and demand that it may do three things; return how many it may not."""
    machine.put(ROOT / "tests" / "vm" / "probe.py", "usr/share/parley-relay")
    unit = machine.run("mkdir -p /home/ann; cat $(systemctl show --value -p FragmentPath parley-relay)")
    command = " ".join([PROBE, *words])
    unit = re.sub(r"ExecStart=.*", f"ExecStart={command}", unit)
    unit = unit.replace("Type=notify", "Type=oneshot").replace("StandardOutput=null", "StandardOutput=journal")
    unit = re.sub(r"^(Requires|After|Watchdog\w*|Restart\w*|RuntimeDirectory\w*)=.*\n", "", unit, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as here:
        file = Path(here, "parley-probe.service")
        file.write_text(unit)
        machine.put(file, "etc/systemd/system")
    machine.run("systemctl daemon-reload; systemctl start parley-probe", check=False)
    said = machine.run("journalctl -u parley-probe -o cat --no-pager")
    machine.run("rm /etc/systemd/system/parley-probe.service; systemctl daemon-reload")
    found = {word: re.findall(rf"^{word} (.*)$", said, re.MULTILINE) for word in ("ALLOWED", "DENIED", "BROKEN")}
    demand("DONE" in said and not found["BROKEN"], f"the probe did not end:\n{said}")
    wanted = ["make a certificate", "read the key", "write the state"]
    demand(sorted(found["ALLOWED"]) == wanted, f"allowed: {found['ALLOWED']}\n{said}")
    return len(found["DENIED"])


def sandbox(play: Play) -> None:
    """What the service may not do, tried from inside: a probe in the relay's place."""
    denied = probed(play.machine)
    play.machine.run("rm /usr/share/parley-relay/probe.py; rmdir /home/ann")
    tell(f"  it can read the key, write the state and make a certificate; denied: {denied} others")
    tell(f"  {play.machine.run('systemd-analyze security parley-relay | tail -1').strip()}")


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


def rotated(play: Play) -> None:
    """The key is lost; the spare key takes its place; everybody is back with the invite they have."""
    machine = play.machine
    machine.run("mv /etc/parley-relay/spare.key . && rm /etc/parley-relay/relay.key")
    machine.run("parley-relay rotate --spare spare.key")
    back = play.again(lambda: machine.run("systemctl restart parley-relay"))
    line = machine.run("parley-relay line").strip()
    fresh = RelayAddress.parse(line)
    demand(fresh.pins[0] == play.relay.pins[1], "the spare key is not the relay's key")
    demand(machine.run(f"stat -c '%U %G %a' {KEY}").strip() == "root parley-relay 640", "the key has wrong rights")
    tell(f"  {back}, with their old invite")
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

    restarts = int(machine.show("parley-relay", "NRestarts"))
    for what, cause, counted in (
        ("SIGKILL", lambda: machine.run(f"kill -9 {main_pid()}"), restarts + 1),
        ("SIGSTOP (the watchdog ends it)", lambda: machine.run(f"kill -STOP {main_pid()}"), restarts + 2),
        ("systemctl restart", lambda: machine.run("systemctl restart parley-relay"), 0),
    ):
        back = play.again(cause)
        demand(int(machine.show("parley-relay", "NRestarts")) == counted, "systemd counts other restarts")
        tell(f"  {what}: {back}")


def wrong(play: Play) -> None:
    """What doctor says when something is wrong."""
    machine = play.machine

    def outside() -> str:
        return subprocess.run(
            [sys.executable, "gui_client.py", "doctor"], input=play.relay.to_text(), cwd=ROOT,
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
