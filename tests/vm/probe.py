"""Run in the relay's place, in its sandbox: tries what a relay that was taken over might try, each thing in a process.

With `kernel` it also tries what only a kernel of the machine's own can refuse.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_libc = ctypes.CDLL(None, use_errno=True)


def asked(number: int, *words: int | bytes | None) -> None:
    """Make a call to the kernel (its number on amd64).  That it finds fault with the words means that it is allowed."""
    if _libc.syscall(number, *words) == -1 and ctypes.get_errno() in REFUSED:
        raise OSError(ctypes.get_errno(), "refused")


def unshared(flags: int) -> None:
    """Ask for namespaces of one's own."""
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "refused")


def written_and_executable() -> None:
    """Ask for memory that can be written and executed."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def own_program() -> None:
    """Put a program into the place for temporary files, and run it."""
    path = pathlib.Path(tempfile.gettempdir(), "own")
    path.write_bytes(pathlib.Path("/usr/bin/true").read_bytes())
    path.chmod(0o755)
    try:
        subprocess.run([path], check=True)
    finally:
        path.unlink()


def set_uid() -> None:
    """Make a file that would run as its owner."""
    path = pathlib.Path(tempfile.gettempdir(), "set-uid")
    path.touch()
    try:
        path.chmod(0o4755)
    finally:
        path.unlink()


def listed(path: str) -> None:
    """Demand that there is something to see."""
    if not os.listdir(path):
        raise FileNotFoundError(path)


def reached(path: str) -> None:
    """Reach who listens at a path."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def many_threads() -> None:
    """Start more threads than the unit lets it have tasks."""
    end = threading.Event()
    for _ in range(40):
        threading.Thread(target=end.wait, daemon=True).start()


def networked() -> None:
    """Demand a network card."""
    cards = pathlib.Path("/proc/self/net/dev").read_text().splitlines()[2:]
    if [card.split(":")[0].strip() for card in cards] == ["lo"]:
        raise FileNotFoundError("none")


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
    "signal other processes": lambda: os.kill(1, 0),
    "look into a process": lambda: asked(101, 3, os.getpid(), 0, 0),
    "reach the system's bus": lambda: reached("/run/dbus/system_bus_socket"),
    "open a TCP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open an IPv6 socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
    "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "run a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
    "run another program": lambda: subprocess.run(["/usr/bin/env", "true"], check=True),
    "run a program of its own": own_program,
    "have memory written and executed": written_and_executable,
    "become root": lambda: os.setuid(0),
    "change its root": lambda: os.chroot("/usr"),
    "mount something": lambda: asked(165, b"none", b"/nowhere", b"tmpfs", 0, None),
    "have a network namespace of its own": lambda: unshared(CLONE_NEWNET),
    "have a user namespace of its own": lambda: unshared(CLONE_NEWUSER),
    "load a module": lambda: asked(313, -1, b"", 0),
    "load another kernel": lambda: asked(246, 0, 0, None, 1 << 20),
    "run a program in the kernel": lambda: asked(321, 0, None, 0),
    "watch the processor": lambda: asked(298, None, 0, -1, -1, 0),
    "use keyrings": lambda: asked(250, 0, -3, 0),
    "use io_uring": lambda: asked(425, 1, bytes(120)),
    "handle its own page faults": lambda: asked(323, 1),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "change the name of the computer": lambda: socket.sethostname(socket.gethostname()),
    "rise above others": lambda: os.nice(-5),
    "be scheduled before others": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "see the kernel's keys": lambda: pathlib.Path("/proc/keys").read_bytes(),
    "make a device": lambda: os.mknod("/var/lib/parley-relay/device", 0o600 | 0o020000, os.makedev(1, 1)),
    "make a set-uid file": set_uid,
}
KERNEL_TRIES: dict[str, Callable[[], object]] = {
    "start forty threads": many_threads,
    "see a network card": networked,
}


def outcome(attempt: Callable[[], object]) -> str:
    """Try it in a process of its own, which nothing of it outlives."""
    pid = os.fork()
    if not pid:
        try:
            attempt()
        except (OSError, subprocess.SubprocessError, RuntimeError):
            os._exit(1)
        except BaseException as error:  # the probe itself is at fault
            print(repr(error), flush=True)
            os._exit(2)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {0: "ALLOWED", 1: "DENIED"}.get(status, "BROKEN")


for what, attempt in (TRIES | (KERNEL_TRIES if sys.argv[1:] == ["kernel"] else {})).items():
    print(outcome(attempt), what, flush=True)
pathlib.Path("/var/lib/parley-relay/probe").unlink()
print("DONE", flush=True)
