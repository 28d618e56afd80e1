"""I: whatever bytes and files a relay can be handed; and F: how it ends, and how its certificate is changed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import re
import secrets
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import fuzz
from corpus import Entry, entries
from relay_help import BareClient, Bench, Guest, Process, any_certificate, command, environment, join_frame, send_frame
from targets import PASS, TARGETS

from chatcore.wire import FRAME_SIZE, Frame, Kind, Refusal
from relay import config as configuration
from relay import keys
from trials.ground import Ground, Members, crowd, told
from trials.sheet import STRANGERS, Sheet, case

LENGTHS = (0, 1, 255, 256, 257, 271, 272, 273, 543, 544, 545, 2**16, 2**20 + 1)
A_WORD = re.compile(r"parley-relay: [a-z_]+( x\d+)?")
FUZZ_S = 6.0
EXIT_CONFIG = 78


def _room() -> tuple[Bench, list[Guest]]:
    bench = Bench()
    bench.drawn = [secrets.token_bytes(8) for _ in range(3)]
    guests = [bench.join() for _ in range(3)]
    for guest in guests:
        guest.take()
    return bench, guests


@case(
    "I1",
    "frames of every length, cut at every place, with every bit flipped; a million made up by chance",
    table=STRANGERS,
    slow=True,
)
def frames(sheet: Sheet, home: Path) -> None:
    _, (alice, bob, carol) = _room()
    whole = send_frame(bob.address, 1) + send_frame(carol.address, 2)
    different = 0
    for at in range(len(whole) + 1):
        for piece in (whole[:at], whole[at:]):
            alice.feed(piece)
        different += [len(guest.take()) for guest in (alice, bob, carol)] != [0, 1, 1]
    sheet.none("places at which a cut changes something", different, len(whole) + 1)
    held = 0
    for length in LENGTHS:
        _, (alice, bob, _) = _room()
        alice.feed((send_frame(bob.address) * (length // FRAME_SIZE + 1))[:length])
        held += len(bob.take()) == length // FRAME_SIZE and len(alice.seat.tail) == length % FRAME_SIZE
    sheet.all("lengths held", held, len(LENGTHS))
    astray = 0
    for bit in range(FRAME_SIZE * 8):
        _, (alice, bob, carol) = _room()
        frame = bytearray(send_frame(bob.address, 7))
        frame[bit // 8] ^= 1 << bit % 8
        alice.feed(bytes(frame))
        came = [f for f in bob.take() if f.kind is Kind.SEND]
        astray += bool([f for f in carol.take() if f.kind is Kind.SEND]) or bool(came and came[0].block != frame[16:])
    sheet.none("flipped bits that brought a block to somebody else, or another block", astray, FRAME_SIZE * 8)
    dice, sent, due, got = random.Random(1), 0, 0, 0
    while sent < 1_000_000:
        _, (alice, bob, carol) = _room()
        some = dice.randrange(1, 5000)
        for _ in range(some):
            kind = dice.choices((5, 6, 7, dice.randrange(256)), (0.9, 0.05, 0.0499, 0.0001))[0]
            sent += 1
            if kind in (1, 2, 3, 4, 8) or kind not in range(9) or kind == 0:
                alice.feed(bytes([1, kind]) + dice.randbytes(270))
                break
            to = dice.choice((bob.address, carol.address, b"\0" * 8, dice.randbytes(8)))
            due += kind == 5 and to in (bob.address, carol.address)
            alice.feed(bytes([1, kind]) + dice.randbytes(6) + to + dice.randbytes(256))
        got += sum(frame.kind is Kind.SEND for guest in (bob, carol) for frame in guest.take())
    sheet.all(f"of {sent:,} frames made up by chance, due blocks that came", got, due)


@case("I2", "52 beginnings, most of them wrong, before TLS and inside of it", table=STRANGERS, slow=True)
def beginnings(sheet: Sheet, home: Path) -> None:
    path = configuration.init_state(home)
    word = base64.urlsafe_b64encode(PASS).decode().rstrip("=")
    limits = "join_deadline_s = 2\nmax_joins_per_minute_per_address = 0\n"
    path.write_text(f'[relay]\nhost = "127.0.0.1"\nrelay_pass = "{word}"\n[limits]\n{limits}')
    kept = entries("join")
    with Process(home, "--config", str(path), "--port", "0") as process:
        closed = sum(_before_tls(process.port, entry) for entry in kept)
        sheet.all("closed, before TLS", closed, len(kept))
        as_kept = sum(_inside(process.port, entry) == entry.expect for entry in kept)
        sheet.all("answered as the corpus says, inside", as_kept, len(kept))
        with BareClient(process.port, tls=True).join(relay_pass=PASS):
            status, _, err = process.end()
    sheet.must("exit status", status, 0)
    strange = [line for line in err.splitlines() if not A_WORD.fullmatch(line)]
    sheet.none("lines in the log that aren't a word", len(strange), len(err.splitlines()))


def _before_tls(port: int, entry: Entry) -> bool:
    errors = ConnectionResetError, BrokenPipeError
    with socket.create_connection(("127.0.0.1", port), 10) as sock, contextlib.suppress(*errors):
        sock.sendall(entry.data)
        while sock.recv(4096):
            pass
    return True  # else it would have timed out, which is an error


def _inside(port: int, entry: Entry) -> str:
    with BareClient(port, tls=True) as guest:
        with contextlib.suppress(OSError):
            guest.send(entry.data)
        try:
            answer = guest.frame()
        except (EOFError, ConnectionResetError, ssl.SSLError):
            return "waits"  # and was closed at the deadline
        if answer.kind is Kind.WELCOME:
            return "seat"
        return f"refused: {Refusal(answer.argument).name.lower()}"


@case("I5", "wrong configurations: checked, started with, and reloaded while members talk", table=STRANGERS, slow=True)
def configurations(sheet: Sheet, home: Path) -> None:
    kept = entries("configuration")
    path = configuration.init_state(home)
    good = path.read_text()
    right = silent = 0
    for entry in kept:
        path.write_bytes(entry.data)
        done = _run(home, "check-config", "--config", str(path))
        wanted = 0 if entry.expect == "good" else EXIT_CONFIG
        right += done.returncode == wanted
        silent += wanted != 0 and (str(path) not in done.stderr or len(done.stderr.splitlines()) != 1)
    sheet.all("status 78 or 0, as it should be", right, len(kept))
    sheet.none("refused without one sentence and the file", silent, len(kept))
    path.write_text(good)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _run(home, "run", "--config", str(path), "--port", str(taken.getsockname()[1]))
        sheet.must("status when the port is taken", done.returncode, 1, 1)
        sheet.must("lines about it", len(done.stderr.splitlines()), 1, 1)
    with Process(home, "--config", str(path), "--port", "0") as process:
        with BareClient(process.port, tls=True).join() as alice, BareClient(process.port, tls=True).join() as bob:
            alive = refused = 0
            for entry in [entry for entry in kept if entry.expect != "good"]:
                path.write_bytes(entry.data)
                process.process.send_signal(signal.SIGHUP)
                refused += 1
                bob.send(send_frame(alice.seat, refused))
                while (frame := alice.frame()).kind is not Kind.SEND:
                    pass
                alive += int.from_bytes(frame.block[:4], "big") == refused
            sheet.all("blocks that came while wrong ones were reloaded", alive, refused)
        path.write_text(good)
        status, _, err = process.end()
    sheet.must("exit status", status, 0)
    sheet.must("reloads refused in the log", err.count("reload refused, and all stays as it was"), refused, 1)


def _run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )


@case(
    "I6",
    "the corpus, and some seconds of the fuzzer for each kind (`make fuzz`: ten minutes)",
    table=STRANGERS,
    slow=True,
)
def corpus(sheet: Sheet, home: Path) -> None:
    for target, judge in TARGETS.items():
        kept = entries(target)
        sheet.all(f"{target}: as kept", sum(judge(entry.data) == entry.expect for entry in kept), len(kept))
        sheet.note("tried", fuzz.fuzz(target, FUZZ_S))


@case("F9", "a crowd while the relay has few descriptors; one thread all the time", slow=True)
def few_of_everything(sheet: Sheet, home: Path) -> None:
    with Ground(home, files=160) as ground, Members(ground, members=5, per_second=50) as members:
        strangers = crowd(ground, "silent", 6, 300, 300)
        time.sleep(1)
        sheet.none("members' blocks lost", int(members.talk(3)["lost"]))
        threads = len(list(Path(f"/proc/{ground.relay.pid}/task").iterdir()))
        sheet.must("threads of the relay", threads, 1)
        sheet.must("descriptors of 160", int(ground.stats()["process_open_fds"]), 159, 90)
        told(strangers)
        sheet.none("times without a descriptor", int(ground.stats()["events"].get("exhausted", 0)))
        sheet.must("lines in the log", ground.log_lines(), 20)


@case("F10", "SIGTERM while ten seats pour at one that reads slowly", slow=True)
def drain(sheet: Sheet, home: Path) -> None:
    path = configuration.init_state(home)
    each = 800
    with Process(home, "--config", str(path), "--port", "0") as process, contextlib.ExitStack() as stack:
        slow = stack.enter_context(BareClient(process.port, tls=True, receive_bytes=8192).join())
        pouring = [stack.enter_context(BareClient(process.port, tls=True).join()) for _ in range(10)]
        for mark in range(each):
            for client in pouring:
                client.send(send_frame(slow.seat, mark))
        for client in pouring:  # a PONG says that all before it was taken
            client.send(bytes([1, Kind.PING]) + bytes(270))
            while client.frame().kind is not Kind.PONG:
                pass
        begun_s = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        got: dict[bytes, list[int]] = {client.seat: [] for client in pouring}
        answers: list[Frame] = []
        while not answers:
            frame = slow.frame()
            if frame.kind is Kind.SEND:
                got[frame.address].append(int.from_bytes(frame.block[:4], "big"))
            elif frame.kind is Kind.REFUSED:
                answers.append(frame)
        for client in pouring:
            while (frame := client.frame()).kind is not Kind.REFUSED:
                pass
            answers.append(frame)
        for client in (slow, *pouring):
            client.sock.close()
        status = process.process.wait(20)
        sheet.must("ended after s", time.monotonic() - begun_s, 20)
    sheet.must("status", status, 0)
    sheet.all("told to come back", sum(f.argument == Refusal.SHUTTING_DOWN for f in answers), 11)
    sheet.must("with so many different seconds to wait", len({f.number for f in answers}), 11, 3)
    wrong = sum(marks != list(range(each)) for marks in got.values())
    sheet.none(
        "blocks taken and not delivered, or out of order", each * 10 - sum(map(len, got.values())) + wrong, each * 10
    )


@case("F12", "another certificate, and a broken one, while members are in", table=STRANGERS)
def certificates(sheet: Sheet, home: Path) -> None:
    path = configuration.init_state(home)
    with (
        Process(home, "--config", str(path), "--port", "0") as process,
        BareClient(process.port, tls=True).join() as old,
    ):
        first = _pin(process.port)
        (home / keys.CERTIFICATE_NAME).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
        _reload(process)
        sheet.must("with a broken one, new guests still get the old", int(_pin(process.port) == first), 1, 1)
        (home / keys.CERTIFICATE_NAME).unlink()
        (home / keys.KEY_NAME).unlink()
        keys.init_keys(home)
        begun_s = time.monotonic()
        _reload(process)
        while _pin(process.port) == first and time.monotonic() < begun_s + 10:
            pass
        sheet.must("with a good one, the new after s", time.monotonic() - begun_s, 5)
        with BareClient(process.port, tls=True).join() as new:
            new.send(send_frame(old.seat, 5))
            while old.frame().kind is not Kind.SEND:
                pass
        sheet.note("who was in before still talks with who came after", "yes")
        status, _, err = process.end()
    sheet.must("status", status, 0)
    sheet.must("reloads refused in the log", err.count("reload refused"), 1, 1)


def _reload(process: Process) -> None:
    process.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)


def _pin(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 10) as tcp, any_certificate().wrap_socket(tcp) as tls:
        tls.sendall(join_frame(b"x" * 32))
        return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
