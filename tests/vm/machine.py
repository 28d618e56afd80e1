"""A clean Debian, the network between it and us, and what boots it: here systemd-nspawn, in kernel.py qemu.

Needs root, systemd-nspawn and mmdebstrap.  The network is a namespace of its own, in which this program has put itself:
nothing here is seen by, or takes a port from, anything else on the computer.
"""

from __future__ import annotations

import abc
import contextlib
import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / "build" / "vm"
INCLUDED = ["systemd-sysv", "dbus", "iproute2", "ca-certificates", "openssh-server"]
NEEDED = ["python3", "openssl", "python3-uvloop"]
LATER = ["curl", "nats-server", "pipx"]  # what scenes install
HERE, THERE = "203.0.113.1", "203.0.113.5"
GUESTS = [f"203.0.113.{number}" for number in range(100, 200)]
BOOT_S = 90.0
MAKE_S = 3600.0  # a Debian, on a computer that has much else to do
CLONE_NEWNET = 0x40000000  # unshare(2); Python has a name for it from 3.12 on
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/" + "root",
    "LC_ALL": "C.UTF-8",
}


def run(*command: str | Path, timeout_s: float = 600, check: bool = True) -> str:
    """Run a program here and return what it said."""
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def gone(tree: Path) -> None:
    """Remove a tree, but nothing of this computer (its /dev/shm, say) that is mounted in one that is half made."""
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (place := line.split()[1]).startswith(f"{tree}/"):
            run("umount", place)
    shutil.rmtree(tree, ignore_errors=True)


def debian(tree: Path, suite: str, packages: list[str], later: list[str], *options: str) -> Path:
    """Return a Debian with these packages, and those it needs to boot, made the first time.

    Its network leads only to us, so the packages that it may need later lie in it, as an archive for apt.
    """
    include = ",".join([*INCLUDED, *packages])
    ready, made = tree / "ready", " ".join([include, *later, *options])
    if ready.is_file() and ready.read_text() == made:
        return tree
    gone(tree)
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = tree / "srv" / "archive"
    fetch = f'chroot "$1" apt-get install -y --download-only {" ".join(later)}'
    keep = 'mkdir -p "$1"/srv && cp -r "$1"/var/cache/apt/archives "$1"/srv/archive'
    hooks = (f"--customize-hook={fetch}", f"--customize-hook={keep}")
    run("mmdebstrap", "--variant=minbase", f"--include={include}", *options, *hooks, suite, tree, timeout_s=MAKE_S)
    for sources in (tree / "etc/apt/sources.list", *(tree / "etc/apt/sources.list.d").iterdir()):
        sources.unlink(missing_ok=True)
    (tree / "etc/resolv.conf").write_text("")
    (archive / "Packages").write_text(subprocess.check_output(["dpkg-scanpackages", "."], cwd=archive, text=True))
    (tree / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/archive ./\n")
    ready.write_text(made)
    return tree


def clean_debian(suite: str) -> Path:
    """Return a Debian in which nothing was done yet."""
    return debian(CACHE / suite, suite, [], NEEDED + LATER)


def enter_own_network() -> None:
    """Leave the computer's network for one of our own, for good."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace can't be made; ask as root")
    run("ip", "link", "set", "lo", "up")


class Machine(abc.ABC):
    """One boot of one copy of a Debian; we are at HERE and at GUESTS, it is at THERE."""

    def __init__(self, suite: str) -> None:
        self.suite = suite

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.halt()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.halt()

    @abc.abstractmethod
    def boot(self) -> None:
        """Start it, and wait until it says that it has started."""

    @abc.abstractmethod
    def halt(self) -> None:
        """Stop it, and leave nothing of it."""

    def anew(self) -> None:
        """Lose it, and boot another copy, in which nothing was done, at the same address."""
        self.halt()
        self.boot()

    @abc.abstractmethod
    def run(self, command: str, *, check: bool = True, timeout_s: float = 300) -> str:
        """Run a command line in it, as root in root's home, and return what it said."""

    @abc.abstractmethod
    def put(self, source: Path, directory: str = "root") -> None:
        """Copy a file into a directory of it, root's home unless told otherwise."""

    def show(self, unit: str, what: str) -> str:
        """Return one property of a unit."""
        return self.run(f"systemctl show --value -p {what} {unit}").strip()

    @contextlib.contextmanager
    def firewall(self, verdict: str) -> Iterator[None]:
        """Have somebody on the way to the relay's port "drop" or "reject" what comes."""
        run("nft", "add", "table", "inet", "way")
        run("nft", "add chain inet way out { type filter hook output priority 0; }")
        run("nft", f"add rule inet way out ip daddr {THERE} tcp dport 7256 {verdict}")
        try:
            yield
        finally:
            run("nft", "delete", "table", "inet", "way")


def open_way(device: str) -> None:
    """Give this end of the way to a machine its addresses."""
    run("ip", "link", "set", device, "up")
    for address in (HERE, *GUESTS):
        run("ip", "address", "add", f"{address}/24", "dev", device)


class Container(Machine):
    """Booted by systemd-nspawn, on the kernel of this computer."""

    def __init__(self, suite: str) -> None:
        super().__init__(suite)
        self.tree = CACHE / f"run-{suite}-{os.getpid()}"
        self.console = CACHE / f"console-{suite}.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._network = f"parley-{os.getpid()}"

    def boot(self) -> None:
        run("cp", "-a", clean_debian(self.suite), self.tree)
        run("ip", "link", "add", "outside", "type", "veth", "peer", "name", "inside")
        run("ip", "netns", "add", self._network)
        run("ip", "link", "set", "inside", "netns", self._network)
        open_way("outside")
        begin_s = time.monotonic()
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                 f"--network-namespace-path=/run/netns/{self._network}", "--console=pipe", "--machine=parley",
                 "-D", str(self.tree)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        while time.monotonic() - begin_s < BOOT_S:
            with contextlib.suppress(RuntimeError, OSError, IndexError, ValueError):
                children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
                self._init = int(children[0])
                state = self.run("systemctl is-system-running", check=False).strip()
                if state in ("running", "degraded"):
                    break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"the machine did not boot; look at {self.console}")
        self.run("ip link set lo up; ip link set inside up")
        self.run(f"ip address add {THERE}/24 dev inside; ip route add default via {HERE}")

    def halt(self) -> None:
        if self._nspawn is not None:
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                self.run("systemctl poweroff", check=False, timeout_s=10)
            try:
                self._nspawn.wait(30)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        run("ip", "link", "delete", "outside", check=False)
        run("ip", "netns", "delete", self._network, check=False)
        shutil.rmtree(self.tree, ignore_errors=True)

    def run(self, command: str, *, check: bool = True, timeout_s: float = 300) -> str:
        done = subprocess.run(
            ["nsenter", f"--target={self._init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
             "/usr/bin/env", "-i", *(f"{k}={v}" for k, v in ENVIRONMENT.items()), "/bin/bash", "-c", f"cd; {command}"],
            capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"in the machine: {command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def processes(self) -> list[int]:
        """Return the numbers, here, of all that runs in it."""
        inside = os.readlink(f"/proc/{self._init}/ns/pid")
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(place / "ns" / "pid") == inside:
                    found.append(int(place.name))
        return found

    def put(self, source: Path, directory: str = "root") -> None:
        shutil.copy(source, self.tree / directory)
