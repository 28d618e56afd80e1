"""What a relay counts, for who runs it: numbers about itself, and nothing that tells one person or room from another.

All of it is counted anyway, or looked up when somebody asks; a frame on its way pays for none of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from relay.cluster import Cluster
from relay.engine_nats import NatsEngine
from relay.journal import MOODS
from relay.server import Server
from relay.system import open_file_limit

_STARTED_S = time.time()


@dataclass(frozen=True, slots=True)
class Count:
    """One number.  A counter only grows; a gauge doesn't.  `event`, a word of the log, is the only label there is."""

    name: str
    help: str
    value: float
    event: str = ""

    @property
    def kind(self) -> str:
        """What the exposition format calls this."""
        return "counter" if self.name.endswith("_total") else "gauge"


def counts(server: Server) -> list[Count]:
    """Return all that a relay counts; it must have been started."""
    switch, door = server.switch, server.door
    rooms = switch.rooms.values()
    engine, cluster = server.engine, server.switch.cluster
    return [
        *(
            Count(f"parley_relay_{name}", text, value)
            for name, text, value in (
                ("ready", "1 while it listens and lets people in.", int(server.state == "ready")),
                ("connections", "Connections, joined or not.", door.connections),
                ("max_connections", "How many connections are let in.", door.max_connections),
                ("seats", "Connections that have joined a room.", sum(len(one.seats) for one in rooms)),
                ("rooms", "Rooms with a seat in them.", len(rooms)),
                ("laggards", "Seats that don't read as fast as they are sent to.", len(switch.laggards)),
                ("unsent_bytes", "What waits for all laggards.", switch.unsent_bytes()),
                ("joins_total", "Seats that were given.", switch.joins),
                ("frames_total", "Frames of 272 bytes that came from seats.", switch.frames),
                ("loop_lag_seconds", "How late the last beat came.", round(server.lag_s, 6)),
                ("certificate_end_seconds", "When the certificate ends, in seconds since 1970.", server.ends_s),
            )
            if value is not None
        ),
        *(Count(f"parley_relay_{name}", text, value) for name, text, value in _of_others(engine, cluster)),
        *(
            Count("parley_relay_events_total", "Words of the log, said or only counted.", server.journal.total(w), w)
            for w in MOODS
        ),
        *_process(),
    ]


def _of_others(engine: NatsEngine | None, cluster: Cluster | None) -> Iterator[tuple[str, str, float]]:
    """Yield what there is to count where rooms reach over several relays."""
    if engine is not None and cluster is not None:
        yield "engine_up", "1 while the engine carries what this relay says.", int(engine.up)
        yield "engine_connections_total", "Connections to the engine.", engine.connections
        yield "engine_lost_blocks_total", "Blocks never sent: the engine was away or too slow.", engine.lost_blocks
        yield "engine_refused_total", "What came of the engine and made no sense.", engine.refused + cluster.refused
        yield "other_relays", "Other relays that are alive.", cluster.others()
        yield "far_seats", "Seats at other relays, in rooms of this one.", cluster.far_seats
        yield "far_blocks_out_total", "Blocks for seats at other relays.", cluster.blocks_out
        yield "far_blocks_in_total", "Blocks from seats at other relays.", cluster.blocks_in


def _process() -> Iterator[Count]:
    """Yield what Prometheus expects of every process, as far as this system tells."""
    times = os.times()
    yield Count("process_cpu_seconds_total", "Processor time used.", round(times.user + times.system, 2))
    yield Count("process_start_time_seconds", "When it started, in seconds since 1970.", round(_STARTED_S, 2))
    if (limit := open_file_limit()) is not None:
        yield Count("process_max_fds", "How many descriptors it may have open.", limit)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            yield Count("process_open_fds", "How many descriptors it has open.", len(os.listdir("/proc/self/fd")))
            with open("/proc/self/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
            yield Count("process_resident_memory_bytes", "Memory in use.", pages * os.sysconf("SC_PAGE_SIZE"))


def exposition(found: Iterable[Count]) -> str:
    """Write counts in the text format of Prometheus, version 0.0.4."""
    lines: list[str] = []
    last = ""
    for count in found:
        if count.name != last:
            last = count.name
            lines += [f"# HELP {last} {count.help}", f"# TYPE {last} {count.kind}"]
        label = f'{{event="{count.event}"}}' if count.event else ""
        lines.append(f"{last}{label} {count.value}")
    return "\n".join(lines) + "\n"


def as_table(found: Iterable[Count]) -> dict[str, Any]:
    """Return counts by their names without "parley_relay_"; under "events" those that aren't 0, by their words."""
    table: dict[str, Any] = {}
    events: dict[str, float] = {}
    for count in found:
        if not count.event:
            table[count.name.removeprefix("parley_relay_")] = count.value
        elif count.value:
            events[count.event] = count.value
    return table | {"events": events}
