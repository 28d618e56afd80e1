"""Scenes in which whoever runs the relay changes it, or mends it, by what the page says: a port, Prometheus, a relay
that has given up.
"""

from __future__ import annotations

import re
from dataclasses import replace

from client_help import until
from guests import seated
from page import demand, passage, tell
from play import PATIENCE_S, Play
from scenes import SETTINGS
from typed import commands

DROP_IN = "/etc/systemd/system/parley-relay.socket.d"  # where `systemctl edit` puts what is typed into it
RESTART = "systemctl restart parley-relay.socket parley-relay"


def another_port(play: Play) -> None:
    """Another port, by the page: the relay serves there, and says so, and nobody is at the old one."""
    machine, text = play.machine, passage("**Another port.**", "\n\n")
    edit, head, nothing, listen = re.findall(r"`([^`\n]+)`", text)[:4]
    port = int(listen.partition("=")[2])
    demand((edit, RESTART) == tuple(commands(text)), f"the page has other commands: {commands(text)}")
    machine.run(f"mkdir -p {DROP_IN} && printf '%s\\n' '{head}' '{nothing}' '{listen}' >{DROP_IN}/override.conf")
    machine.run(f"sed -i 's/^port = .*/port = {port}/' {SETTINGS} && systemctl daemon-reload && {RESTART}")
    there = replace(play.relay, port=port)
    until(lambda: seated(there, timeout_s=2), "it serves at the new port", PATIENCE_S)
    demand(not seated(play.relay, timeout_s=2), "it still serves at the old port")
    demand(machine.run("parley-relay line").strip() == there.to_text(), "its line has another port")
    said = play.asked_inside()
    demand(f"ok    port {port}" in said and "\nbad" not in said, f"doctor isn't content:\n{said}")
    tell(f"  it serves at {port}, its line says so, and doctor is content")
    back = f"rm -r {DROP_IN} && sed -i 's/^port = .*/port = {play.relay.port}/' {SETTINGS}"
    machine.run(f"{back} && systemctl daemon-reload && {RESTART}")
    until(lambda: seated(play.relay, timeout_s=2), "it serves at the old port again", PATIENCE_S)
    play.talk()


def counted(play: Play) -> None:
    """Who has no network is read by Prometheus all the same, by what the page says."""
    machine, text = play.machine, passage("**For Prometheus**", "| page | says |")
    (setting,) = re.findall(r"`(listen = [^`\n]+)`", text)
    enable, read = commands(text)
    machine.run(f"sed -i 's,^# listen = \"127.*,{setting},' {SETTINGS} && {enable}")
    until(lambda: seated(play.relay), "the relay gives a seat")
    said = machine.run(f"apt-get install -y curl >/dev/null && {read}")
    demand("\nparley_relay_ready 1\n" in said, f"no counts:\n{said}")
    play.talk()
    tell(f"  {said.count('# HELP')} kinds of numbers at {read.split()[-1]}")


def given_up(play: Play) -> None:
    """The relay ends ten times in two minutes, and systemd gives it up: does what the page says bring it back?"""
    machine = play.machine
    (row,) = (line for line in passage("\n## When something is wrong\n", "\n## ").splitlines() if "given up" in line)
    (mend,) = commands(row)

    def end_it() -> bool:
        machine.run("systemctl kill -s KILL parley-relay; sleep 0.5", check=False)
        return machine.show("parley-relay", "ActiveState") == "failed"

    def cause() -> None:
        until(end_it, "systemd gives up", PATIENCE_S)
        demand(not seated(play.relay, timeout_s=2), "it has given up, and serves")
        until(lambda: "so the relay isn't running; start it" in play.asked_inside(), "doctor says so", PATIENCE_S)
        machine.run(mend)

    tell(f"  {mend}: {play.again(cause)}, systemd's giving up included")
