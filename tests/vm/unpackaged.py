"""Scenes without the package: the relay from its sources, by pipx and by uv, with the commands of deploy/README.md."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from anew import LATER
from machine import CACHE, ROOT, run
from page import demand, tell
from play import Play
from scenes import LEAST_EXPOSED, exposed
from typed import OTHER_WAYS, commands

WHEELS = CACHE / "wheels"
FOR_A_BUILD = ["pip", "setuptools", "wheel", "uv"]  # which pipx and uv would fetch, or are
BESIDE = ("./.*", "./build", "__pycache__")
OFFLINE = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/wheels UV_OFFLINE=1 UV_FIND_LINKS=/srv/wheels"
SECTION = OTHER_WAYS.read_text("utf-8").partition("\n## With pipx or uv")[2].partition("\n## ")[0]
UNITS = "parley-relay install-unit"
UPDATES = ("pipx install --force .", "uv tool install --reinstall .")
AWAY = (
    "systemctl disable --now parley-relay.socket parley-relay; rm -r /opt/pipx /opt/uv /usr/local/bin/parley*; "
    "rm -r /etc/parley-relay /var/lib/parley-relay /etc/systemd/system/parley-relay.*; userdel parley-relay; true"
)


def wheels() -> Path:
    """Return what building takes, fetched the first time: the machine's network leads only to us."""
    if not (WHEELS / "ready").exists():
        shutil.rmtree(WHEELS, ignore_errors=True)
        fetch = ("download", "-q", "--no-deps", "--only-binary=:all:", "--python-version=3.11", "-d", WHEELS)
        run(ROOT / ".venv" / "bin" / "python", "-m", "pip", *fetch, *FOR_A_BUILD)
        (WHEELS / "ready").touch()
    return WHEELS


def bring(play: Play) -> None:
    """Copy the sources into the machine, and what builds them; uv is in no Debian."""
    machine = play.machine
    with tempfile.TemporaryDirectory() as place:
        sources, uv = Path(place, "sources.tar"), Path(place, "uv")
        run("tar", "-c", "-f", sources, "-C", ROOT, *(f"--exclude={name}" for name in BESIDE), ".")
        machine.put(sources)
        machine.run("mkdir -p parley /srv/wheels && tar -x -f sources.tar -C parley && rm sources.tar")
        for wheel in wheels().glob("*.whl"):
            machine.put(wheel, "srv/wheels")
            if wheel.name.startswith("uv-"):
                with zipfile.ZipFile(wheel) as packed:
                    (name,) = (name for name in packed.namelist() if name.endswith("/scripts/uv"))
                    uv.write_bytes(packed.read(name))
        machine.put(uv, "usr/local/bin")
    machine.run("chmod 755 /usr/local/bin/uv && apt-get install -y pipx")


def serves(play: Play, install: str, update: str) -> None:
    """Install it so, do what it then says, and have two people talk; then install it anew, and they talk again."""
    machine = play.machine
    machine.run(f"cd parley && export {OFFLINE} && {install}")
    said = machine.run(UNITS)
    left = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    tell("\n".join(f"  {command}" for command in (install, UNITS, *left)))
    for command in left:
        machine.run(command)
    guests = Play(play.desk, machine, machine.run("parley-relay line").strip())
    try:
        guests.together()
        guests.talk()
        guests.content(LATER)
        exposed(machine, LEAST_EXPOSED)
        machine.run(f"cd parley && export {OFFLINE} && {update}")
        tell(f"  {update}: {guests.again(lambda: machine.run('systemctl restart parley-relay'))}")
        tell(f"  {guests.counted()}")
    finally:
        guests.end()


def from_sources(play: Play) -> None:
    """Without the package, by pipx and by uv, with the commands of the paper: two people talk, also after an update."""
    play.end()
    bring(play)
    typed = commands(SECTION)
    places = re.findall(r"\b(?:PIPX|UV)_\w+=\S+ (?:PIPX|UV)_\w+=[\w/]+", SECTION)
    for place, install, update in zip(places, ("pipx install .", "uv tool install ."), UPDATES, strict=True):
        demand(f"sudo {place} {install}" in typed or install in typed, f"the paper has no {install}")
        demand(update in typed, f"the paper has no {update}")
        serves(play, f"{place} {install}", f"{place} {update}")
        play.machine.run(AWAY)
