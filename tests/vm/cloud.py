"""A scene for a machine with a kernel of its own: its first boot makes it a relay (deploy/cloud-init.yaml).

The user data is the file as it stands, with an address and a sum filled in, on a disk such as hypervisors hand over
(cloud-init's NoCloud: a file system called CIDATA).  The network is set up from there, too.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from anew import LATER
from kernel import Computer
from machine import HERE, ROOT, THERE
from page import Failed, demand, seconds, tell
from play import Play

FILE = ROOT / "deploy" / "cloud-init.yaml"
PAPER = ROOT / "deploy" / "README.md"
PATIENCE_S = 900.0
NETWORK = f"""\
version: 2
ethernets:
  eth0:
    addresses: [{THERE}/24]
    routes: [{{to: 0.0.0.0/0, via: {HERE}}}]
"""


class Quiet(SimpleHTTPRequestHandler):
    """Hands files out, and says nothing of it."""

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def handed_out(directory: Path) -> Iterator[str]:
    """Have everybody who asks here get the files of a directory; yield its address."""
    with ThreadingHTTPServer((HERE, 0), functools.partial(Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HERE}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def user_data(text: str, place: str, package: Path) -> str:
    """Return the file with what somebody fills in: where the package is to be had, and its sum."""
    whole, addresses = re.subn(r"https://example\.org/(?=parley-relay_)", f"{place}/", text)
    whole, sums = re.subn("PUT-THE-SUM-HERE", hashlib.sha256(package.read_bytes()).hexdigest(), whole)
    demand((addresses, sums) == (1, 1) and f"/{package.name}\n" in whole, "the file has other places to fill in")
    return whole


def first_boot(play: Play) -> None:
    """Another server makes itself a relay at its first boot, by cloud-init: is the line where the page says?"""
    machine, text = play.machine, FILE.read_text("utf-8")
    assert isinstance(machine, Computer)
    (package,) = (ROOT / "build").glob("parley-relay_0*_all.deb")
    (show,) = re.findall(r"^# Afterwards, on the server: (.+)$", text, re.MULTILINE)
    demand(f"`{show.split()[-1]}`" in PAPER.read_text("utf-8"), "the paper has the line elsewhere")
    play.end()
    with tempfile.TemporaryDirectory() as seed, handed_out(package.parent) as place:
        Path(seed, "user-data").write_text(user_data(text, place, package))
        Path(seed, "meta-data").write_text("instance-id: parley-1\nlocal-hostname: relay\n")
        Path(seed, "network-config").write_text(NETWORK)
        machine.seed, begin_s = Path(seed), time.monotonic()
        machine.anew()
        said = machine.run("cloud-init status --wait --long", check=False, timeout_s=PATIENCE_S)
    if "status: done" not in said:
        raise Failed(f"cloud-init: {said}\n{machine.run('tail -n 60 /var/log/cloud-init-output.log', check=False)}")
    took = seconds(begin_s)
    line = machine.run(show).strip()
    demand(line == machine.run("parley-relay line").strip(), f"another line than the relay's: {line}")
    demand(machine.run("stat -c '%U %a' /var/log/parley-relay.line").strip() == "root 600", "others can read the line")
    tell(f"  {machine.run('cloud-init --version').strip()}: done after {took}, the boot included")
    guests = Play(play.desk, machine, line)
    try:
        guests.together()
        guests.talk()
        guests.content(LATER)
        tell(f"  two people see each other by the line that {show} shows, and both doctors are content")
    finally:
        guests.end()
