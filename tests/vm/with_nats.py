"""A scene with an engine: NATS, certificates, configuration and drop-in by the page, all on the relay's computer."""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

from client_help import until
from guests import seated
from page import demand, passage, seconds, tell
from play import Play
from scenes import SETTINGS, WITH_AN_ENGINE, exposed, probed
from typed import commands

SAMPLE = "/usr/share/doc/parley-relay/examples/nats-server.conf"
DROP_IN = "/etc/systemd/system/parley-relay.service.d"


def here(text: str) -> str:
    """Put this computer in the place of the two on which the page has its engines."""
    return re.sub(r"10\.0\.0\.[56]", "127.0.0.1", text)


def engine(play: Play) -> None:
    """Install NATS with the sample of its configuration, and with certificates made as the page says."""
    authority, certificate, install, put_in_place, try_it = commands(passage("1. **The engine.**", "\n2. **"))
    play.desk.type_there(install)
    for_relay = re.sub(r"-addext \S+ ", "", certificate).replace("engine-1", "relay-1")
    for command in (authority, here(certificate), for_relay):
        play.desk.type(command)
    play.desk.type(f"scp engine-ca.pem engine-1*.pem relay-1*.pem root@{play.relay.host}:")
    play.machine.run(f"sed 's/10\\.0\\.0\\.[56]/127.0.0.1/' {SAMPLE} >/etc/nats-server.conf")
    for command in (put_in_place, try_it, "systemctl restart nats-server"):
        play.desk.type_there(command)


def write(play: Play, settings: str) -> None:
    """Change the relay's configuration, as an editor would."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "parley-relay.toml")
        file.write_text(settings)
        play.machine.put(file, "etc/parley-relay")


def joined(play: Play) -> None:
    """Give the relay its part of the configuration, and its service the drop-in, as the page says."""
    step = passage("2. **The relays.**", "\n3. **")
    table = "\n".join(line.strip() for line in step.splitlines() if line.startswith("        "))
    table = re.sub(r', "tls:[^"]*"', "", here(table))  # there is no second one here
    write(play, play.machine.run(f"cat {SETTINGS}").replace("\n[engine]\n", f"\n{table}\n"))
    for command in commands(step):
        if command.startswith("install "):
            play.desk.type_there(command)
    demand("nats.conf" in play.machine.run(f"ls {DROP_IN}"), "the page leads to no drop-in")
    tell(f"  {play.again(lambda: play.machine.run('systemctl restart parley-relay'))}")


def stat(play: Play, name: str) -> int:
    """Return one of the relay's counts."""
    return int(json.loads(play.machine.run("parley-relay stats --json"))[name])


def on_engine(play: Play) -> str:
    """Return what doctor says of the engine."""
    said = play.asked_inside()
    lines = [line for line in said.splitlines() if "engine" in line]
    demand(len(lines) == 1, f"doctor says {len(lines)} things about the engine:\n{said}")
    return lines[0]


def with_an_engine(play: Play) -> None:
    """The service with the drop-in for an engine, and a NATS server on the same computer, which is killed once."""
    machine = play.machine
    kept = machine.run(f"cat {SETTINGS}")
    engine(play)
    joined(play)
    exposed(machine, WITH_AN_ENGINE)
    denied = probed(machine, more=("open a TCP socket", "open an IPv6 socket"))
    machine.run("rm /usr/share/parley-relay/probe.py; rmdir /home/ann")
    tell(f"  it can open TCP sockets, too; denied: {denied} others")
    until(lambda: stat(play, "engine_up") == 1, "the relay has reached its engine")
    tell(f"  {on_engine(play)}")
    demand(on_engine(play).startswith("ok"), "doctor isn't content with the engine")
    play.talk()

    pid, states = machine.show("parley-relay", "MainPID"), play.states()
    machine.run("systemctl kill -s KILL nats-server")
    until(lambda: stat(play, "engine_up") == 0, "the relay notices that the engine is gone")
    tell(f"  its engine is killed:\n      {on_engine(play)}")
    demand(on_engine(play).startswith("bad"), "doctor is content without an engine")
    demand(seated(play.relay), "without its engine the relay lets nobody in")
    play.talk()
    begin_s = time.monotonic()
    machine.run("systemctl start nats-server")
    until(lambda: stat(play, "engine_up") == 1, "the relay has reached its engine again")
    tell(f"  started again, it is reached after {seconds(begin_s)}")
    play.talk()
    demand((pid, states) == (machine.show("parley-relay", "MainPID"), play.states()), "somebody had to go for that")

    write(play, kept)
    machine.run(f"rm -r {DROP_IN} /etc/nats *.pem /etc/parley-relay/*.pem && systemctl daemon-reload")
    tell(f"  without it again: {play.again(lambda: machine.run('systemctl restart parley-relay'))}")
    machine.run("apt-get purge -y nats-server")
