"""A Debian with a kernel of its own, in a computer that qemu imitates: slow, and nothing in it is this computer's.

Commands reach it through the QEMU guest agent, a package of Debian's: a serial port, with a line of JSON for each
(QEMU's docs/interop/qemu-ga-ref).  No use is made of the processor's help (KVM), so that it is the same everywhere.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from machine import CACHE, ENVIRONMENT, HERE, NEEDED, THERE, Machine, debian, open_way, run

KERNEL = ["linux-image-cloud-amd64", "initramfs-tools", "zstd", "udev", "qemu-guest-agent", "systemd-timesyncd"]
CLOUD = ["cloud-init", "netplan.io", "e2fsprogs"]  # which do nothing in a computer that is given no user data
LATER = ["curl"]
DISK_MIB = 2000  # a file with holes: some 500 MiB
MEMORY_MIB = 1024
BOOT_S = 600.0
LOOK_S = 0.2
# What the kernel needs to find its disk; all the modules there are would take it a minute to unpack.
SMALL_INITRD = (
    'mkdir -p "$1"/etc/initramfs-tools/conf.d && echo MODULES=list >"$1"/etc/initramfs-tools/conf.d/small '
    '&& printf "virtio_pci\\nvirtio_blk\\next4\\n" >"$1"/etc/initramfs-tools/modules'
)
# As in a provider's image: what cloud-init writes for the network is read, and it makes no locale that isn't there.
IMAGE = (
    'chroot "$1" systemctl enable systemd-networkd && echo "locale: C.UTF-8" >"$1"/etc/cloud/cloud.cfg.d/99-image.cfg'
)
# cx16: the kernel of Debian 13 uses an instruction that qemu 7.2 gets wrong.
COMPUTER = ["-accel", "tcg,thread=single", "-cpu", "max,cx16=off", "-smp", "1", "-m", str(MEMORY_MIB),
            "-nodefaults", "-display", "none", "-no-reboot", "-device", "virtio-rng-pci"]  # fmt: skip


def debian_with_kernel(suite: str) -> Path:
    """Return a Debian that can boot by itself and lacks nothing but the relay."""
    hooks = (f"--essential-hook={SMALL_INITRD}", f"--customize-hook={IMAGE}")
    return debian(CACHE / f"{suite}-kernel", suite, [*KERNEL, *CLOUD, *NEEDED], LATER, *hooks)


class Computer(Machine):
    """Booted by qemu."""

    def __init__(self, suite: str) -> None:
        super().__init__(suite)
        self.disk = CACHE / f"disk-{suite}-{os.getpid()}.img"
        self.console = CACHE / f"console-{suite}-kernel.log"
        self.seed: Path | None = None  # what cloud-init finds (NoCloud); then it sets up the network, too
        self._qemu: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        self._agent, port = socket.socketpair()
        self._lines = self._agent.makefile("rb")
        tree = debian_with_kernel(self.suite)
        run("truncate", "-s", f"{DISK_MIB}M", self.disk)
        run("mkfs.ext4", "-q", "-F", "-d", tree, self.disk)
        run("ip", "tuntap", "add", "dev", "outside", "mode", "tap")
        open_way("outside")
        # A disk with these files, and the name by which cloud-init knows it.
        disk = f"if=virtio,format=raw,readonly=on,file.driver=vvfat,file.label=CIDATA,file.dir={self.seed}"
        (kernel,), (initrd,) = (list((tree / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
        self._qemu = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *COMPUTER,
             "-kernel", str(kernel), "-initrd", str(initrd),
             "-append", "root=/dev/vda rw console=ttyS0 panic=-1 net.ifnames=0", "-serial", f"file:{self.console}",
             "-drive", f"file={self.disk},if=virtio,format=raw,cache=unsafe",
             *(("-drive", disk) if self.seed else ()),
             "-netdev", "tap,id=way,ifname=outside,script=no,downscript=no", "-device", "virtio-net-pci,netdev=way",
             "-chardev", f"socket,id=agent,fd={port.fileno()}", "-device", "virtio-serial",
             "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
            stdin=subprocess.DEVNULL, pass_fds=[port.fileno()],
        )  # fmt: skip
        port.close()
        self._ask("guest-ping", patience_s=BOOT_S)
        self.run("systemctl is-system-running --wait", check=False, timeout_s=BOOT_S)
        if not self.seed:
            self.run(f"ip link set eth0 up; ip address add {THERE}/24 dev eth0; ip route add default via {HERE}")

    def halt(self) -> None:
        if self._qemu is not None:
            self._qemu.kill()  # its disk goes, too
            self._qemu.wait()
        self._agent.close()
        run("ip", "link", "delete", "outside", check=False)
        self.disk.unlink(missing_ok=True)

    def run(self, command: str, *, check: bool = True, timeout_s: float = 300) -> str:
        return self._exec(command, check=check, timeout_s=timeout_s)

    def put(self, source: Path, directory: str = "root") -> None:
        self._exec(f"cat >/{directory}/{source.name}", source.read_bytes())

    def _exec(self, command: str, data: bytes = b"", *, check: bool = True, timeout_s: float = 60) -> str:
        words: dict[str, Any] = {
            "path": "/bin/bash", "arg": ["-c", f"cd; {command}"], "env": [f"{k}={v}" for k, v in ENVIRONMENT.items()],
            "input-data": base64.b64encode(data).decode(), "capture-output": True,
        }  # fmt: skip
        pid, end_s = self._ask("guest-exec", **words)["pid"], time.monotonic() + timeout_s
        while not (done := self._ask("guest-exec-status", pid=pid))["exited"]:
            if time.monotonic() > end_s:
                raise RuntimeError(f"in the machine: {command}: no end after {timeout_s:.0f} s")
            time.sleep(LOOK_S)
        said = b"".join(base64.b64decode(done.get(name, "")) for name in ("out-data", "err-data"))
        text = said.decode("utf-8", "replace").replace("\r\n", "\n")  # apt's, who thinks that there is a terminal
        if check and done.get("exitcode") != 0:
            raise RuntimeError(f"in the machine: {command}: {done.get('exitcode', 'ended by a signal')}\n{text}")
        return text

    def _ask(self, what: str, *, patience_s: float = 60, **words: Any) -> dict[str, Any]:
        self._agent.settimeout(patience_s)
        with contextlib.suppress(OSError):
            self._agent.sendall(json.dumps({"execute": what, "arguments": words}).encode() + b"\n")
            if line := self._lines.readline():
                answer: dict[str, Any] = json.loads(line)
                if "return" in answer:
                    found: dict[str, Any] = answer["return"]
                    return found
                raise RuntimeError(f"in the machine: {what}: {answer}")
        raise RuntimeError(f"the machine doesn't answer; look at {self.console}")
