"""What a small VPS carries: the whole machine, systemd and all, on one core and in 512 MiB (cgroups, version 1)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import ssl
import time
from pathlib import Path

from guests import joining, unpinned
from machine import GUESTS, Container

from chatcore.invite import RelayAddress
from chatcore.wire import FRAME_SIZE, ROOM_ID_SIZE, Frame, Kind, parse_frame

MEMORY_BYTES = 512 * 2**20
CORE = "0"
TALK_S = 10.0
WINDOW = 32
READ_BYTES = 1 << 18
IDLE = (1000, 2000, 4000)

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SmallVps:
    """Limits for all that runs in a machine, and all that this starts."""

    def __init__(self) -> None:
        self.groups = {
            name: Path("/sys/fs/cgroup", name, f"parley-{os.getpid()}") for name in ("memory", "cpuset", "cpuacct")
        }

    def __enter__(self) -> SmallVps:
        if not all(group.parent.is_dir() for group in self.groups.values()):
            raise RuntimeError("the sizes are measured with cgroups of version 1, which this computer doesn't have")
        for group in self.groups.values():
            group.mkdir()
        (self.groups["memory"] / "memory.limit_in_bytes").write_text(str(MEMORY_BYTES))
        (self.groups["cpuset"] / "cpuset.cpus").write_text(CORE)
        (self.groups["cpuset"] / "cpuset.mems").write_text("0")
        return self

    def __exit__(self, *_: object) -> None:
        for group in self.groups.values():
            with contextlib.suppress(OSError):
                group.rmdir()

    def take(self, machine: Container) -> None:
        """Put a machine under the limits.  What it has used before counts elsewhere: restart what is to be measured."""
        for _ in range(2):  # what was started while we looked
            for pid in machine.processes():
                for group in self.groups.values():
                    with contextlib.suppress(ProcessLookupError):
                        (group / "cgroup.procs").write_text(str(pid))

    def memory_mib(self) -> float:
        """Return what the machine uses without what it could give back (the file cache)."""
        lines = (self.groups["memory"] / "memory.stat").read_text().splitlines()
        found = {name: int(value) for name, value in (line.split() for line in lines)}
        kernel = int((self.groups["memory"] / "memory.kmem.usage_in_bytes").read_text())
        return (found["total_rss"] + kernel) / 2**20


def relay_mib(machine: Container) -> float:
    """Return the memory of the relay alone."""
    kib = machine.run("grep VmRSS /proc/$(systemctl show --value -p MainPID parley-relay)/status").split()[1]
    return int(kib) / 1024


def relay_cpu_s(machine: Container) -> float:
    """Return the processor time that the relay has used."""
    stat = machine.run("cat /proc/$(systemctl show --value -p MainPID parley-relay)/stat").rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def _join(relay: RelayAddress, context: ssl.SSLContext, room: bytes, source: str) -> tuple[Ends, bytes, int]:
    """Go in; return the connection, the own address, and how many others are there."""
    reader, writer = await asyncio.open_connection(relay.host, relay.port, ssl=context, local_addr=(source, 0))
    writer.write(joining(relay, room))
    welcome = parse_frame(await reader.readexactly(FRAME_SIZE))
    if welcome.kind is not Kind.WELCOME:
        raise ConnectionRefusedError(f"{welcome.kind.name} {welcome.argument}")
    return (reader, writer), welcome.address, welcome.argument


async def crowd(relay: RelayAddress, machine: Container, vps: SmallVps) -> list[str]:
    """Come in thousands, and stay; return a line for each thousand."""
    context, lines = unpinned(), []
    ends: list[Ends] = []
    before_mib = relay_mib(machine)
    lines.append(f"with nobody there: the machine {vps.memory_mib():.0f} MiB, the relay {before_mib:.0f} MiB")
    for many in IDLE:
        begin_s, begin_cpu_s, had = time.monotonic(), relay_cpu_s(machine), len(ends)
        while len(ends) < many:
            batch = [
                _join(relay, context, secrets.token_bytes(ROOM_ID_SIZE), GUESTS[(len(ends) + at) % len(GUESTS)])
                for at in range(25)
            ]
            ends += [joined[0] for joined in await asyncio.gather(*batch)]
        came = len(ends) - had
        cpu_s, wall_s = relay_cpu_s(machine) - begin_cpu_s, time.monotonic() - begin_s
        now_mib = relay_mib(machine)
        lines.append(
            f"{len(ends)} connections: the machine {vps.memory_mib():.0f} MiB, the relay {now_mib:.0f} MiB "
            f"({(now_mib - before_mib) * 1024 / len(ends):.0f} KiB each); {came / wall_s:.0f} came in a second, "
            f"{1000 * cpu_s / came:.2f} ms of processor for each"
        )
    for _, writer in ends:
        writer.transport.abort()
    await asyncio.sleep(2)
    return lines


def unbound(machine: Container) -> None:
    """Take away how fast a seat may send: one that talks shows what the core carries, and not what it is allowed."""
    change = r"s/^# (max_bytes_per_second_per_(seat|reader)) = .*/\1 = 0/"
    machine.run(
        f"cd /etc/parley-relay && sed -i -E '{change}' parley-relay.toml && "
        "test $(grep -c '^max_bytes_per_second.* = 0$' parley-relay.toml) = 2 && systemctl restart parley-relay"
    )


async def talk(relay: RelayAddress, machine: Container, members: int) -> str:
    """One member talks to all others as fast as they read; return how much that was.  The relay bounds nobody."""
    context, room = unpinned(), secrets.token_bytes(ROOM_ID_SIZE)
    joined = [await _join(relay, context, room, GUESTS[at % len(GUESTS)]) for at in range(members)]
    (reader, writer), _, _ = joined[0]
    others = [address for _, address, _ in joined[1:]]
    # By bytes: who looks at each block is slower than the relay.  Of each other one frame says that they are here.
    got = [-(members - 1) * FRAME_SIZE] * (members - 1)
    more = asyncio.Event()

    def least() -> int:
        return min(got) // FRAME_SIZE

    async def listen(at: int, source: asyncio.StreamReader) -> None:
        while data := await source.read(READ_BYTES):
            got[at] += len(data)
            more.set()

    async def drop(source: asyncio.StreamReader) -> None:
        while await source.read(READ_BYTES):
            pass

    tasks = [asyncio.create_task(listen(at, ends[0])) for at, (ends, _, _) in enumerate(joined[1:])]
    tasks.append(asyncio.create_task(drop(reader)))
    message = b"".join(Frame(Kind.SEND, address=address).to_bytes() for address in others)
    begin_s, begin_cpu_s, sent = time.monotonic(), relay_cpu_s(machine), 0
    while time.monotonic() - begin_s < TALK_S:
        while sent - least() >= WINDOW:
            more.clear()
            await more.wait()
        writer.write(message)
        await writer.drain()
        sent += 1
    while least() < sent:
        await asyncio.sleep(0.01)
    wall_s, cpu_s = time.monotonic() - begin_s, relay_cpu_s(machine) - begin_cpu_s
    for task in tasks:
        task.cancel()
    for ends, _, _ in joined:
        ends[1].transport.abort()
    blocks = sent * (members - 1)
    return (
        f"a room of {members}: {sent / wall_s:.0f} messages a second, {blocks / wall_s:.0f} blocks; "
        f"{1000 * cpu_s / sent:.2f} ms of processor for each message, {blocks / cpu_s:.0f} blocks for each second of it"
    )


async def measured(relay: RelayAddress, machine: Container, vps: SmallVps) -> list[str]:
    """Return a line for each thing that was measured."""
    lines = await crowd(relay, machine, vps)
    unbound(machine)
    return lines + [await talk(relay, machine, members) for members in (10, 50)]
