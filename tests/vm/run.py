"""`make test-vm`: the page followed to the letter in a clean Debian, and what a relay's service goes through.

Scene by scene, in a real systemd (machine.py), with real clients that talk through it all.  What can be counted is
counted; times are reported, and judged by nobody.  `--suite trixie` takes Debian 13 instead of 12; `--qemu` boots it
with a kernel of its own (kernel.py), for what only that can show.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "vm")]

import alone  # noqa: E402
import anew  # noqa: E402
import changed  # noqa: E402
import clocks  # noqa: E402
import cloud  # noqa: E402
import leaked  # noqa: E402
import scenes  # noqa: E402
import unpackaged  # noqa: E402
import with_nats  # noqa: E402
from guests import seated  # noqa: E402
from kernel import Computer, debian_with_kernel  # noqa: E402
from machine import HERE, THERE, Container, clean_debian, enter_own_network, run  # noqa: E402
from page import Desk, Failed, demand, five_commands, follow, seconds, tell  # noqa: E402
from play import Play  # noqa: E402
from sizes import MEMORY_BYTES, SmallVps, measured  # noqa: E402

from chatcore.invite import RelayAddress  # noqa: E402

IN_A_CONTAINER = (
    scenes.two_talk, scenes.sandbox, scenes.upgraded, scenes.reloaded, changed.counted, changed.another_port,
    scenes.killed, changed.given_up, scenes.wrong, with_nats.with_an_engine, anew.restored,
    anew.key_without_its_configuration, anew.key_lost, leaked.key_leaked, scenes.gone, unpackaged.from_sources,
)  # fmt: skip
WITH_A_KERNEL = (
    scenes.two_talk, alone.walls, alone.bad_way, scenes.reloaded, scenes.killed, alone.out_of_memory,
    clocks.wrong_clock, cloud.first_boot,
)  # fmt: skip
PROGRAMS = {
    "systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "dpkg-scanpackages": "dpkg-dev",
    "nsenter": "util-linux", "ip": "iproute2", "nft": "nftables", "lintian": "lintian", "ssh": "openssh-client",
}  # fmt: skip
PROGRAMS_FOR_QEMU = PROGRAMS | {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"}


def sizes_of(suite: str) -> int:
    """Measure a relay under the limits of a small VPS."""
    with SmallVps() as vps, Desk() as desk, Container(suite) as machine:
        vps.take(machine)
        machine.run("systemctl restart systemd-journald dbus")
        tell(f"one core, {MEMORY_BYTES >> 20} MiB, {suite}")
        relay = RelayAddress.parse(follow(desk, machine, five_commands()))
        machine.run("systemctl stop ssh")
        for line in asyncio.run(measured(relay, machine, vps)):
            tell(f"  {line}")
        demand(seated(relay), "the relay doesn't serve any more")
    return 0


def main() -> int:
    """Return 0 if everything was as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="which Debian (bookworm, trixie)")
    parser.add_argument("--qemu", action="store_true", help="with a kernel of its own")
    names = sorted({scene.__name__ for scene in IN_A_CONTAINER + WITH_A_KERNEL})
    parser.add_argument("--scene", action="append", choices=names, help="only this one")
    parser.add_argument("--sizes", action="store_true", help="measure what a small VPS carries, and nothing else")
    options = parser.parse_args()
    programs = PROGRAMS_FOR_QEMU if options.qemu else PROGRAMS
    lacking = [package for program, package in programs.items() if shutil.which(program) is None]
    if os.geteuid() != 0 or lacking:
        cure = f", and needs: apt-get install {' '.join(lacking)}" if lacking else ""
        print(f"test-vm: boots a Debian, which only root may{cure}", file=sys.stderr)
        return 2
    (debian_with_kernel if options.qemu else clean_debian)(options.suite)
    if not options.qemu:
        unpackaged.wheels()
    run("/usr/bin/env", f"VERSION={scenes.NEXT}", ROOT / "tools" / "make-deb")
    enter_own_network()
    if options.sizes:
        return sizes_of(options.suite)
    begin_s = time.monotonic()
    with Desk() as desk, Computer(options.suite) if options.qemu else Container(options.suite) as machine:
        booted = f"{options.suite}: booted in {seconds(begin_s)}"
        tell(f"{booted}, Linux {machine.run('uname -r').strip()}, {machine.run('systemctl --version').splitlines()[0]}")
        try:
            tell("the page, command by command")
            play = Play(desk, machine, follow(desk, machine, five_commands()))
            run("lintian", "--fail-on", "error,warning,info", *(ROOT / "build").glob("parley-relay_0*_all.deb"))
            try:
                for scene in WITH_A_KERNEL if options.qemu else IN_A_CONTAINER:
                    if not options.scene or scene.__name__ in options.scene:
                        tell(str(scene.__doc__).strip())
                        scene(play)
                        tell(f"  {play.counted()}")
            finally:
                play.end()
        except (Failed, AssertionError, RuntimeError, OSError) as error:
            tell(f"FAILED: {error}")
            tell(machine.run("journalctl -u 'parley*' --no-pager | tail -n 40", check=False))
            return 1
    tell(f"all as it has to be, in {seconds(begin_s)}; we were {HERE}, the relay {THERE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
