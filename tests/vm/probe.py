"""Run in the relay's place, in its sandbox: tries what a relay that was taken over might try."""

from __future__ import annotations

import mmap
import os
import pathlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable


def written_and_executable() -> None:
    """Ask for memory that can be written and executed."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def own_program() -> None:
    """Put a program into the place for temporary files, and run it."""
    path = pathlib.Path(tempfile.gettempdir(), "own")
    path.write_bytes(pathlib.Path("/usr/bin/true").read_bytes())
    path.chmod(0o755)
    subprocess.run([path], check=True)


def set_uid() -> None:
    """Make a file that would run as its owner."""
    path = pathlib.Path(tempfile.gettempdir(), "set-uid")
    path.touch()
    path.chmod(0o4755)


def listed(path: str) -> None:
    """Demand that there is something to see."""
    if not os.listdir(path):
        raise FileNotFoundError(path)


TRIES: dict[str, Callable[[], object]] = {
    "read the key": lambda: pathlib.Path("/etc/parley-relay/relay.key").read_bytes(),
    "write the state": lambda: pathlib.Path("/var/lib/parley-relay/probe").write_text("x"),
    "make a certificate": lambda: subprocess.run(["/usr/bin/openssl", "version"], check=True, capture_output=True),
    "read the spare key": lambda: pathlib.Path("/etc/parley-relay/spare.key").read_bytes(),
    "change the key": lambda: os.open("/etc/parley-relay/relay.key", os.O_WRONLY),
    "change the configuration": lambda: os.open("/etc/parley-relay/parley-relay.toml", os.O_WRONLY),
    "read the passwords": lambda: pathlib.Path("/etc/shadow").read_bytes(),
    "write to /etc": lambda: pathlib.Path("/etc/probe").touch(),
    "write to /usr": lambda: pathlib.Path("/usr/probe").touch(),
    "see homes": lambda: listed("/home"),
    "see root's home": lambda: listed("/root"),
    "see other processes": lambda: os.stat("/proc/1/cmdline"),
    "open a TCP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open an IPv6 socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "run a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
    "run another program": lambda: subprocess.run(["/usr/bin/env", "true"], check=True),
    "run a program of its own": own_program,
    "have memory written and executed": written_and_executable,
    "become root": lambda: os.setuid(0),
    "change its root": lambda: os.chroot("/usr"),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "change the name of the computer": lambda: socket.sethostname("probe"),
    "rise above others": lambda: os.nice(-5),
    "be scheduled before others": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "ask for keys of the kernel": lambda: listed("/proc/keys"),
    "make a device": lambda: os.mknod("/var/lib/parley-relay/device", 0o600 | 0o020000, os.makedev(1, 1)),
    "make a set-uid file": set_uid,
}

for what, attempt in TRIES.items():
    try:
        attempt()
    except (OSError, subprocess.SubprocessError):
        print("DENIED", what)
    else:
        print("ALLOWED", what)
pathlib.Path("/var/lib/parley-relay/probe").unlink()
print("DONE", flush=True)
