"""S: strangers at a relay's door, and what its members notice of them.  Most need root: see `ground.py`."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from relay_help import BareClient, RelayThread, any_certificate, join_frame

from chatcore.wire import Kind
from relay import keys
from relay.config import Config
from trials.ground import HERE, Ground, Members, crowd, environment_of, flood, told
from trials.sheet import STRANGERS, Sheet, case
from trials.stage import wait

MANY = 1000
OFTEN: dict[str, Any] = {"max_joins_per_minute_per_address": 0}
OPEN: dict[str, Any] = {**OFTEN, "max_connections_per_address": 0}


@case("S1", "500 strangers who say nothing, half a hello, or a byte each second", slow=True, table=STRANGERS)
def slowloris(sheet: Sheet, home: Path) -> None:
    with Ground(home) as ground:
        for kind in ("silent", "half", "trickle"):
            before = ground.rss_kib()
            strangers = crowd(ground, kind, 20, 500, 500)
            wait(lambda: ground.stats()["connections"] >= 500, "all are here", 15)
            sheet.none(f"{kind}: rooms and seats", ground.stats()["rooms"] + ground.stats()["seats"])
            sheet.must("KiB for each", (ground.rss_kib() - before) / 500, 64)
            found = told(strangers)
            sheet.all("closed", int(found["closed"]), 500)
            sheet.must("after s", found["stayed_max_s"], 13, 9)
        flood(sheet, ground, "trickle", 500, 500, rounds=3)
        sheet.must("lines in the log", ground.log_lines(), 40)


@case("S2", "TLS hellos without end, from one address and from 1,000", slow=True, table=STRANGERS)
def handshakes(sheet: Sheet, home: Path) -> None:
    with Ground(home) as ground:
        for addresses in (1, MANY):
            found = flood(sheet, ground, "hello", addresses, 200)
            sheet.note(f"from {addresses:,}: connections/s", found["per_s"])
            sheet.note("handshakes/s", found["answered_per_s"])
        found = flood(sheet, ground, "knock", MANY, MANY, rounds=3)
        sheet.note("tries/s to connect and go", found["per_s"])
        sheet.note("connections/s", found["answered_per_s"])
        sheet.must("the relay's memory after all, MiB", ground.rss_kib() / 1024, 96)
        sheet.must("lines in the log", ground.log_lines(), 40)
    for kind, at_once in (("hello", 5 * MANY), ("knock", MANY)):
        with Ground(home / kind, limits=OFTEN) as ground, Members(ground) as members:
            strangers, done = crowd(ground, kind, 300, MANY, at_once), threading.Event()
            talk = threading.Thread(target=_talk_until, args=[members, done])
            talk.start()
            try:
                time.sleep(1)
                took_s = _newcomer(ground, 6)
            finally:
                done.set()
                talk.join()
                strangers.kill()
                strangers.communicate()
            sheet.note(f"among {at_once:,} of '{kind}' who may come as often as they like, in after s", median(took_s))
            sheet.must("at worst", max(took_s), 60)
            wrong = int(sum(found["lost"] + found["wrong"] for found in members.found))
            sheet.none("meanwhile members' blocks lost or out of order", wrong)


def _talk_until(members: Members, done: threading.Event) -> None:
    while not done.is_set():
        members.talk(1)


def _newcomer(ground: Ground, times: int) -> list[float]:
    """Return how long it takes somebody to get in, in seconds."""
    done = subprocess.run(
        [*ground.inside(first=False), sys.executable, "-m", "trials.newcomer", HERE, "7256", str(times)],
        env=environment_of(), capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found: list[float] = json.loads(done.stdout)
    return found


@case("S3", "200 connections from each address: IPv4, and a /64 of IPv6", slow=True, table=STRANGERS)
def one_address(sheet: Sheet, home: Path) -> None:
    with Ground(home, limits=OFTEN) as ground:
        for count in (1, 10):
            for six in (False, True):
                strangers = crowd(ground, "silent", 4, count, 200 * count, six=six)
                time.sleep(2)
                name = f"{count} {'/64' if six else 'IPv4'}"
                held = int(ground.stats()["connections"])
                sheet.must(f"{name}: held at once, half of them to be told to wait", held, 128 * count, 128 * count)
                if count == 1 and not six:
                    with Members(ground, members=2) as members:
                        sheet.none("meanwhile a neighbour's blocks lost", int(members.talk(1)["lost"]))
                told(strangers)
                ground.gone()
        flood(sheet, ground, "silent", 10, 2000, rounds=3)


@case("S4", "more connections than descriptors: 128 of these, 300 connections", slow=True, table=STRANGERS)
def descriptors(sheet: Sheet, home: Path) -> None:
    with Ground(home, files=128) as ground:
        sheet.must("let in at most", ground.stats()["max_connections"], 64, 32)
        with Members(ground, members=5, per_second=50) as members:
            strangers = crowd(ground, "silent", 5, 300, 300)
            time.sleep(1)
            sheet.none("members' blocks lost", int(members.talk(2)["lost"]))
            sheet.must("descriptors in use", int(ground.stats()["process_open_fds"]), 127)
            told(strangers)
            begun_s = time.monotonic()
            while True:
                with contextlib.suppress(AssertionError), Members(ground, members=2):
                    break
            sheet.must("in again after s (a Python start included)", time.monotonic() - begun_s, 3.0)
        flood(sheet, ground, "silent", 300, 300, rounds=3)
        sheet.none("times without a descriptor", int(ground.stats()["events"].get("exhausted", 0)))
        sheet.must("lines in the log", ground.log_lines(), 20)


@case("S5", "a stranger without the pass asks 3,000 times for rooms, in use or not", slow=True, table=STRANGERS)
def enumeration(sheet: Sheet, home: Path) -> None:
    word = "A" * 42 + "E"
    with Ground(home, plain=True, relay={"relay_pass": word}, limits=OPEN) as ground:
        done = subprocess.run(
            [*ground.inside(), sys.executable, "-m", "trials.asker", HERE, "7256", word, "1500"],
            env=environment_of(), capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip
    kinds, known, unknown, distance, bound = map(float, done.stdout.split())
    sheet.must("different answers", int(kinds), 1)
    sheet.note("median us in use", known)
    sheet.note("not in use", unknown)
    sheet.must("distance of the distributions (Kolmogorov-Smirnov)", distance, bound)


@case(
    "S6",
    "10,000 come at once, each alone; 256 to a room; 1,000 rooms of 10, half of whom go and return while the rest talk",
    slow=True,
    table=STRANGERS,
)
def storm(sheet: Sheet, home: Path) -> None:
    many = {**OPEN, "max_connections": 12_000}
    with Ground(home / "alone", plain=True, limits=many) as ground:
        for rooms, seats in ((10_000, 1), (1, 256)):
            base = ground.rss_kib()
            process, took_s = _storm(sheet, ground, rooms, seats)
            sheet.note("in after s", took_s)
            sheet.all("rooms", int(ground.stats()["rooms"]), rooms)
            if seats == 1:
                sheet.must("KiB for each", (ground.rss_kib() - base) / rooms, 8)
            process.kill()
            process.communicate()
            wait(lambda: ground.stats()["connections"] == 0, "all have gone", 30)
    with Ground(home / "storm", plain=True, limits=many) as ground:
        base = ground.rss_kib()
        with Members(ground, tls=False) as members:
            members.talk(1)
            calm = members.talk(4)["p99"]
            process, took_s = _storm(sheet, ground, 1000, 10)
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                sheet.note("all in after s", took_s)
                sheet.all("rooms", int(ground.stats()["rooms"]) - 1, 1000)
                sheet.must("KiB for each seat", (ground.rss_kib() - base) / 10_000, 8)
                process.stdin.write("go\n")
                process.stdin.flush()
                moved = members.talk(6)
                again, blocks, lost, news = map(int, process.stdout.readline().split())
            finally:
                process.kill()
                process.communicate()
        sheet.all("left and returned", again, 5000)
        sheet.none("blocks of those who stayed, lost or misrouted", lost, blocks)
        sheet.none("wrong news of who comes and goes", news)
        sheet.none("blocks of a room beside them lost", int(moved["lost"] + moved["wrong"]))
        sheet.note("its p99 calm, ms", calm)
        sheet.must("in the storm, ms", moved["p99"], 2 * calm)


def _storm(sheet: Sheet, ground: Ground, rooms: int, seats: int) -> tuple[subprocess.Popen[str], float]:
    """Have so many come at once; return the program that they are in, and how long it took until all were seated."""
    process = subprocess.Popen(
        [*ground.inside(first=False), sys.executable, "-m", "trials.storm", HERE, "7256", str(rooms), str(seats)],
        env=environment_of(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    joined, took_s = process.stdout.readline().split()
    sheet.all(f"{rooms:,} x {seats}: seats", int(joined), rooms * seats)
    return process, float(took_s)


@case("S7", "TLS 1.2 and older, and a session that is to be resumed", table=STRANGERS)
def old_tls(sheet: Sheet, home: Path) -> None:
    certificate, key = keys.ensure_keys(home)
    with RelayThread(Config(port=0, certificate=certificate, key=key)) as relay:
        taken = 0
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2):
            context = any_certificate()
            with contextlib.suppress(OSError, ValueError):
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = version
                context.set_ciphers("ALL:@SECLEVEL=0")
                with socket.create_connection(("127.0.0.1", relay.port), 10) as tcp, context.wrap_socket(tcp):
                    taken += 1
        sheet.none("older versions taken", taken, 3)
        context, tickets = any_certificate(), 0
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", relay.port), 10) as tcp, context.wrap_socket(tcp) as tls:
                tls.sendall(join_frame())
                assert tls.recv(2)[1] == Kind.WELCOME
                tickets += bool(tls.session is not None and tls.session.has_ticket) + bool(tls.session_reused)
        sheet.none("tickets given or sessions resumed", tickets, 3)
        with BareClient(relay.port, tls=True).join() as guest:
            sheet.note("spoken", str(guest.sock.version() if isinstance(guest.sock, ssl.SSLSocket) else ""))


@case("S8", "metrics, health and control, from another computer", slow=True, table=STRANGERS)
def private_ports(sheet: Sheet, home: Path) -> None:
    with Ground(home, metrics={"listen": "127.0.0.1:9256"}) as ground:
        sheet.note("seen from the relay's own computer", "yes" if _reaches(ground.near, "127.0.0.1") else "**no**")
        reached = [host for host in (HERE, "127.0.0.1") if _reaches(ground.far, host)]
        sheet.none("ways to them from another", len(reached), 2)
        mode = (home / "relay" / "control.sock").stat().st_mode & 0o777
        sheet.must("rights on the control socket, beyond its owner's", mode & 0o077, 0)


def _reaches(space: str, host: str) -> bool:
    script = f"import socket; socket.create_connection(('{host}', 9256), 2)"
    done = subprocess.run(
        ["ip", "netns", "exec", space, sys.executable, "-c", script], capture_output=True, check=False
    )
    return done.returncode == 0


@case("S9", "PROXY headers with made-up addresses, from where no proxy is", slow=True, table=STRANGERS)
def spoofed(sheet: Sheet, home: Path) -> None:
    with Ground(home, relay={"proxy_from": ["127.0.0.1"]}) as ground:
        found = flood(sheet, ground, "spoof", 1, 100, rounds=3)
        sheet.note("headers/s", found["per_s"])
        begun = ground.stats()["events"]
        sheet.must(
            "connections of one address that got so far as to say them, of a minute's 60", begun.get("tls", 0), 200
        )
        sheet.none("PROXY headers believed or even read", int(begun.get("proxy", 0)))
