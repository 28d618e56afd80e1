"""Scenes for a machine with a kernel of its own: limits that only a kernel keeps, and a way that is bad.

The other scenes (scenes.py) go there as well.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from guests import end_of, seated, stay
from machine import GUESTS, Machine
from page import Failed, demand, tell
from play import PATIENCE_S, Play
from scenes import LEAST_EXPOSED, PROBE, exposed, probed

GROUP = "/sys/fs/cgroup/system.slice/parley-relay.service"
ROOM_BYTES = 2 * 2**20  # what the service gets beyond what it has, before it is to have too much
FILL_S = 120.0
BAD_WAYS = ("", "delay 100ms 20ms loss 2%", "delay 100ms 20ms loss 10%")  # tc-netem(8), each way
MESSAGES, EVERY_S, NEWCOMERS = 50, 0.2, 10


def walls(play: Play) -> None:
    """What the service may not do, tried from inside; and that all of it can be done outside."""
    machine = play.machine
    denied = probed(machine, "kernel")
    left = "/etc/probe /usr/probe /var/lib/parley-relay/device"
    outside = machine.run(f"{PROBE} kernel; rm -f {left}")
    machine.run("rm /usr/share/parley-relay/probe.py; rmdir /home/ann")
    failed = [line for line in outside.splitlines() if not line.startswith(("ALLOWED", "DONE"))]
    demand(outside.endswith("DONE\n") and not failed, f"the probe can't do it anywhere: {failed}")
    tell(f"  in the relay's place: 3 allowed (its key, its state, its certificate), {denied} others denied")
    tell(f"  outside, as root: {outside.count('ALLOWED')} of {3 + denied} allowed")
    exposed(machine, LEAST_EXPOSED)


@contextlib.contextmanager
def shaped(machine: Machine, how: str) -> Iterator[None]:
    """Have the machine's kernel treat what comes, and what goes, in this way."""
    machine.run(
        "modprobe ifb numifbs=0; ip link add way type ifb; ip link set way up; tc qdisc add dev eth0 ingress; "
        "tc filter add dev eth0 parent ffff: matchall action mirred egress redirect dev way; "
        f"tc qdisc add dev eth0 root netem {how}; tc qdisc add dev way root netem {how}"
    )
    try:
        yield
    finally:
        machine.run("tc qdisc del dev eth0 root; tc qdisc del dev eth0 ingress; ip link del way")


def bad_way(play: Play) -> None:
    """The way between relay and people delays and loses, to and fro: does all arrive, and after how long?"""
    for how in BAD_WAYS:
        with shaped(play.machine, how):
            times = sorted(1000 * s for s in play.talk(MESSAGES, EVERY_S))
            seats, tries = [], 0
            for source in GUESTS[:NEWCOMERS]:
                begin_s, seat = time.monotonic(), False
                while not seat:
                    seat, tries = seated(play.relay, 30, source), tries + 1
                    demand(time.monotonic() - begin_s < PATIENCE_S, "a newcomer gets no seat")
                seats.append(time.monotonic() - begin_s)
            said = play.machine.run("tc -s qdisc show dev eth0; tc -s qdisc show dev way")
        counts = re.findall(r"qdisc netem .*\n Sent \d+ bytes (\d+) pkt \(dropped (\d+)", said)
        sent, lost = (sum(map(int, column)) for column in zip(*counts, strict=True))
        demand("loss" not in how or lost, f"nothing was lost:\n{said}")
        p50, p99, worst = times[len(times) // 2], times[int(len(times) * 0.99) - 1], times[-1]
        tell(
            f"  {how or 'as it is'}: a message took p50 {p50:.0f}, p99 {p99:.0f}, worst {worst:.0f} ms; a newcomer's "
            f"seat {min(seats):.1f} to {max(seats):.1f} s in {tries} tries for {NEWCOMERS}; "
            f"of {sent + lost} packets {lost} lost"
        )


def others(machine: Machine) -> dict[str, str]:
    """Return the main process of each service that runs, but the relay's."""
    units = machine.run("systemctl list-units --type=service --state=running --plain --no-legend").splitlines()
    names = [line.split()[0] for line in units if not line.startswith("parley-")]
    return {name: machine.show(name, "MainPID") for name in names}


def out_of_memory(play: Play) -> None:
    """People come until the service has too little memory: the kernel ends it, and it alone; when is it back?"""
    machine, before = play.machine, others(play.machine)
    # Anew, so that the pages of its program's files count as its predecessor's, who read them first.  At the limit the
    # kernel takes those that count as its own, and reads them again, as long as there are any, and ends nobody.
    play.again(lambda: machine.run("systemctl restart parley-relay"))
    most = int(machine.run(f"cat {GROUP}/memory.current")) + ROOM_BYTES
    machine.run(f"systemctl set-property --runtime parley-relay MemoryMax={most}")
    states, held = play.states(), list[ssl.SSLSocket]()
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(end_of, stay(play.relay, GUESTS[-1]), FILL_S)
        while not end.done():
            with contextlib.suppress(OSError):
                held.append(stay(play.relay, GUESTS[len(held) % len(GUESTS)], 5))
    for sock in held:
        sock.close()
    end_s = end.result()
    if end_s == float("inf"):
        raise Failed(f"{len(held)} connections, and it still runs:\n{machine.run(f'cat {GROUP}/memory.stat')}")
    back = play.back(states, end_s)
    log = machine.run("journalctl -k -o cat --no-pager | grep -i 'out of memory'; journalctl -u parley-relay -o cat")
    demand("Memory cgroup out of memory" in log and "'oom-kill'" in log, f"it ended for another reason:\n{log}")
    demand(machine.show("parley-relay", "NRestarts") == "1", "systemd counts other restarts")
    demand(others(machine) == before, "another service ended, too")
    machine.run("systemctl set-property --runtime parley-relay MemoryMax=75%")
    tell(f"  MemoryMax={most / 2**20:.1f} MiB: ended with {len(held)} connections more than the two")
    tell(f"  {back}; {len(before)} other services unharmed")
