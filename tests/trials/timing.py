"""A24: does the time of an answer tell what a block was worth?  A real client, over a socket, asked thousands of times.

The case is the relay and a member at once: it shakes hands with a program, then sends block after block in mixed order
(one that is good and means nothing, one with a wrong tag, one that isn't even OAEP), each followed by a PING, and takes
the time until the next frame comes out.  Two tests say whether the times are of one kind.  The same is done to a client
with a flaw of a millisecond (`tests/flawed_member.py`): a test that can't fail would be none.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from attacker import LOG, sealed_blocks
from world import ENGINE, key

from chatcore.clock import Moment
from chatcore.content import Content, ContentKind
from chatcore.delivery import Ready
from chatcore.engines import PublicKey
from chatcore.errors import ParleyError
from chatcore.hello import Greeting, Self
from chatcore.invite import RelayAddress
from chatcore.link import Link, State
from chatcore.members import StatementType, make_statement
from chatcore.seal import Body, SealKeys, fingerprint, seal
from chatcore.wire import FRAME_SIZE, Frame, Kind, parse_frame
from relay import keys
from trials.samples import kolmogorov_smirnov, mann_whitney
from trials.sheet import Sheet, case
from trials.stage import Stage, share

TIMES = 3000
ALICE, MALLORY = b"alice!!!", b"mallory!"
KINDS = ("good", "wrong tag", "no OAEP")
GAP_S = 0.0005  # from a block to the PING behind it, where they don't come together
PAUSE_S = 0.002
DEADLINE_S = 30.0
DUMMY = 7


class Opposite:
    """The relay and a member, on one socket with the client that is measured."""

    def __init__(self, sock: socket.socket, stage: Stage) -> None:
        self.sock, self.dice = sock, random.Random(24)
        self.data = b""
        self.session = key("session mallory of the clock")
        identity = key("identity mallory of the clock")
        invite = stage.invite
        me = Self(
            invite.room_id, invite.room_key, identity, self.session, "mallory", self.dice.randbytes, ENGINE.public_key
        )
        assert self.frame().kind is Kind.JOIN
        self.give(Frame(Kind.WELCOME, address=ALICE), Frame(Kind.PRESENT, address=MALLORY))
        self.blocks(self.session.modulus)
        self.other: PublicKey = ENGINE.public_key(self.block())
        self.link = Link(me, self.other, self.now(), first=True)
        self.link.greet(self.now())
        self.flush()
        while not isinstance(news := self.hear(), Greeting):
            pass
        self.link.answer(Ready(clock_ms=self.now().ms).to_bytes(), self.now())
        self.flush()
        while self.link.state is not State.UP:
            self.hear()
        fp = fingerprint(identity.modulus)
        self.say(
            ContentKind.STMT, make_statement(StatementType.JOIN, invite.room_id, identity, fp, self.now().ms, "m").raw
        )
        self.say(ContentKind.READY, Ready(LOG, 0, 1, clock_ms=self.now().ms).to_bytes())
        while not (isinstance(news := self.hear(), Content) and news.kind == ContentKind.ACK):
            pass

    def now(self) -> Moment:
        return Moment(time.monotonic(), time.time_ns() // 1_000_000)

    def give(self, *frames: Frame) -> None:
        self.sock.sendall(b"".join(frame.to_bytes() for frame in frames))

    def blocks(self, *blocks: bytes) -> None:
        self.give(*(Frame(Kind.SEND, address=MALLORY, block=block) for block in blocks))

    def flush(self) -> None:
        self.blocks(*sealed_blocks(self.link))

    def say(self, kind: ContentKind, data: bytes) -> None:
        self.link.send(kind, data)
        self.flush()

    def frame(self) -> Frame:
        while len(self.data) < FRAME_SIZE:
            piece = self.sock.recv(65_536)
            if not piece:
                raise EOFError
            self.data += piece
        frame, self.data = parse_frame(self.data[:FRAME_SIZE]), self.data[FRAME_SIZE:]
        return frame

    def block(self) -> bytes:
        while (frame := self.frame()).kind is not Kind.SEND:
            if frame.kind is Kind.PING:
                self.give(Frame(Kind.PONG, frame.argument, frame.number))
        return frame.block

    def hear(self) -> Greeting | Content | None:
        with contextlib.suppress(ParleyError):
            return self.link.receive(self.block(), self.now())
        return None

    def make(self, kind: str) -> bytes:
        """Return a block of one of the three kinds."""
        if kind == "no OAEP":
            return b"\1" + self.dice.randbytes(255)
        if kind == "good":
            self.link.send(cast(ContentKind, DUMMY), b"")
            return sealed_blocks(self.link)[0]
        wrong = SealKeys(self.dice.randbytes(32), self.dice.randbytes(32))
        return self.other.encrypt(seal(wrong, self.link._next_out, Body(DUMMY, 1, 1, b"").to_bytes()))

    def ask(self, block: bytes, number: int, gap_s: float) -> float:
        """Send a block and a PING, together or apart; returns the seconds until the next frame after the PING."""
        send, ping = Frame(Kind.SEND, address=MALLORY, block=block).to_bytes(), Frame(Kind.PING, 0, number).to_bytes()
        if gap_s:
            self.sock.sendall(send)
            end_s = time.perf_counter() + gap_s
            while time.perf_counter() < end_s:
                pass
            begun_s = time.perf_counter()
            self.sock.sendall(ping)
        else:
            begun_s = time.perf_counter()
            self.sock.sendall(send + ping)
        while (frame := self.frame()).kind is not Kind.PONG or frame.number != number:
            pass
        return time.perf_counter() - begun_s


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Stay on one core.

    The client is given another: where both wake at once on one, we would measure how long we wait for its worker, which
    nobody on the far side of a network does.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def opposite(home: Path, program: str) -> Iterator[Opposite]:
    """Meet a client, and be all that it sees."""
    certificate, secret = keys.ensure_keys(home / "relay")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = RelayAddress("127.0.0.1", listener.getsockname()[1], (keys.pin_of(certificate),))
        cores = sorted(os.sched_getaffinity(0))
        with (
            on_core(cores[0]),
            Stage(home, ("alice",), lambda name: address, talkative=False, program=program) as stage,
        ):
            stage["alice"].under = ("taskset", "-c", str(cores[-1]))
            stage["alice"].start(stage.invite.to_text())
            listener.settimeout(DEADLINE_S)
            tcp, _ = listener.accept()
            tcp.settimeout(DEADLINE_S)
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with keys.server_context(certificate, secret).wrap_socket(tcp, server_side=True) as sock:
                yield Opposite(sock, stage)


def measure(home: Path, program: str, times: int, gap_s: float) -> dict[str, list[float]]:
    """Return the times in seconds for each kind, asked in mixed order."""
    rows: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with opposite(home, program) as other:
        order = list(KINDS) * times
        other.dice.shuffle(order)
        made = [other.make(kind) for kind in order]  # ahead: what it takes us to make one must not be seen
        for number, (kind, block) in enumerate(zip(order, made, strict=True), 1):
            time.sleep(PAUSE_S)  # what the one before has caused is over
            rows[kind].append(other.ask(block, number, gap_s))
    return rows


def likeness(rows: dict[str, list[float]]) -> float:
    """Return the smallest of what both tests say of all pairs, as one test would say it (Bonferroni)."""
    pairs = [(one, other) for at, one in enumerate(KINDS) for other in KINDS[:at]]
    found = [test(rows[a], rows[b]) for a, b in pairs for test in (mann_whitney, kolmogorov_smirnov)]
    return min(1.0, min(found) * len(found))


@case("A24", "asks by the time of an answer what a block was worth: good, a wrong tag, no OAEP", slow=True)
def timing(sheet: Sheet, home: Path) -> None:
    for what, gap_s in (("together with a PING", 0.0), ("PING half a millisecond later", GAP_S)):
        (home / what).mkdir()
        rows = measure(home / what, "member.py", TIMES, gap_s)
        medians = ", ".join(f"{share(rows[kind], 0.5) * 1e6:.0f}" for kind in KINDS)
        sheet.note(f"{what}: blocks of each kind", TIMES)
        sheet.note("medians (good, tag, OAEP), µs", medians)
        sheet.must("that they are of one kind, p", likeness(rows), 1.0, 0.01)
    (home / "flawed").mkdir()
    flawed = measure(home / "flawed", "flawed_member.py", TIMES // 10, 0.0)
    sheet.must("a client that takes 1 ms longer for no OAEP: p", likeness(flawed), 1e-6)
