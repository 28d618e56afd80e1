"""L: more than any room will ever ask of a relay.  Needs root: see `ground.py`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from trials.ground import HERE, Ground, Members, environment_of, told
from trials.sheet import STRANGERS, Sheet, case

OPEN_DOOR = {"max_joins_per_minute_per_address": 0, "max_connections_per_address": 0}
NO_PACE = {"max_bytes_per_second_per_seat": 0, "max_bytes_per_second_per_reader": 0}
BLOCKS, KILLS = 10_000_000, 300
PATIENCE_S = 300.0


def _stream(ground: Ground, *words: str, first: bool = True) -> subprocess.Popen[str]:
    command = [*ground.inside(first=first), sys.executable, "-m", "trials.stream", HERE, "7256", *words]
    return subprocess.Popen(command, env=environment_of(), stdout=subprocess.PIPE, text=True)


def _most_rss_kib(ground: Ground, process: subprocess.Popen[str]) -> int:
    most = 0
    while process.poll() is None:
        most = max(most, ground.rss_kib())
        time.sleep(0.1)
    return most


@case(
    "L1",
    "a room of 50 at 3,000 messages/s (147,000 blocks/s, plain TCP), one of whom stops reading",
    slow=True,
    table=STRANGERS,
)
def laggard(sheet: Sheet, home: Path) -> None:
    with Ground(home, plain=True, limits=OPEN_DOOR) as ground:
        begin_kib = ground.rss_kib()
        calm = told(_stream(ground, "steady", "50", "3000", "4", "0"), PATIENCE_S)
        results, most = [], 0
        for _ in range(3):
            process = _stream(ground, "steady", "50", "3000", "8", "1")
            most = max(most, _most_rss_kib(ground, process))
            results.append(told(process, PATIENCE_S))
        sheet.note("calm: p50 ms", calm["p50"])
        sheet.note("p99 ms", calm["p99"])
        sheet.none("the others' blocks lost, doubled or misrouted", int(sum(r["lost"] + r["wrong"] for r in results)))
        sheet.must("their p99 ms, median of 3", median(r["p99"] for r in results), 5)
        sheet.note("max ms", median(r["max"] for r in results))
        sheet.note("the laggard is closed after s", median(r["cut_s"] for r in results))
        sheet.must("memory, MiB more", (most - begin_kib) / 1024, 32)


@case(
    "L2",
    f"a day's work in little: {BLOCKS:,} blocks among 20 seats, {KILLS} of which are ended at random moments",
    slow=True,
    table=STRANGERS,
)
def day(sheet: Sheet, home: Path) -> None:
    with Ground(home, plain=True, limits={**OPEN_DOOR, **NO_PACE}) as ground:
        begin_kib = ground.rss_kib()
        process = _stream(ground, "work", "20", str(BLOCKS), str(KILLS), "1", first=False)
        most = _most_rss_kib(ground, process)
        found = told(process, PATIENCE_S)
        sheet.note("blocks sent", int(found["sent"]))
        sheet.note("delivered", int(found["got"]))
        sheet.none("lost between seats that lived", int(found["lost"]))
        sheet.none("doubled, out of order or misrouted", int(found["wrong"]), int(found["got"]))
        sheet.note("in s", found["s"])
        sheet.must("memory, MiB more", (most - begin_kib) / 1024, 32)
        sheet.none("mistakes in the log", sum("fault" in line for line in (home / "log").read_text().splitlines()))


@case("L3", "a seat pours at its limit into the room of those who talk", slow=True, table=STRANGERS)
def pourer(sheet: Sheet, home: Path) -> None:
    with Ground(home) as ground, Members(ground) as members:
        calm, flooded = [], []
        members.talk(1)
        for _ in range(4):
            calm.append(members.talk(3)["p99"])
            words = ["room", HERE, "7256", "6"]
            process = subprocess.Popen(
                [*ground.inside(first=False), sys.executable, "-m", "trials.pour", *words],
                env=environment_of(), stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            time.sleep(2)  # until it has used up what it may say at once
            flooded.append(members.talk(3)["p99"])
            found = told(process, PATIENCE_S)
        sheet.note("it pours MiB/s", found["mib_per_s"])
        sheet.none("members' blocks lost", int(sum(f["lost"] + f["wrong"] for f in members.found)))
        sheet.note("members' p99 calm, ms", median(calm))
        sheet.must("poured at, ms", median(flooded), 2 * median(calm))


@case(
    "L4",
    "4 MiB/s poured at one on a slow line, to whom another talks (no limit for each reader)",
    slow=True,
    table=STRANGERS,
)
def slow_line(sheet: Sheet, home: Path) -> None:
    with Ground(home, plain=True, limits={**OPEN_DOOR, "max_bytes_per_second_per_reader": 0}) as ground:
        command = [*ground.inside(), sys.executable, "-m", "trials.pour", "slow", HERE, "7256", "12"]
        process = subprocess.Popen(command, env=environment_of(), stdout=subprocess.PIPE, text=True)
        found = told(process, PATIENCE_S)
        sheet.note("the line carries KiB/s", found["line"])
        sheet.note("poured at it KiB/s", found["poured"])
        sheet.none("words lost", int(found["lost"]))
        sheet.note("a word's p50, ms", found["p50"])
        sheet.must("p99, ms", found["p99"], 2500)
        sheet.note("if they had waited behind what was poured, ms", found["fifo"])
        sheet.none("times the slow one was thrown out", int(found["out"]))
