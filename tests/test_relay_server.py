"""A relay on real sockets: TLS, laggards, floods, deadlines, the end of it, and what it doesn't log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import hashlib
import importlib.util
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from relay_help import (
    DEADLINE_S,
    OTHER_ROOM,
    ROOM,
    BareClient,
    Process,
    RelayThread,
    any_certificate,
    command,
    environment,
    join_frame,
    send_frame,
    until,
)

from benchmarks.programs import rss_kib
from chatcore.wire import FRAME_SIZE, NO_PASS, Frame, Kind, Refusal
from relay import config as configuration
from relay import keys
from relay.config import Config
from relay.connection import Connection
from relay.limits import Limits, Verdict
from relay.seat import Seat
from relay.server import TURNED_AWAY_AT_ONCE
from relay.switch import GONE_PER_TURN, WAIT_SHUTDOWN_S

LOOPS = ["asyncio", "uvloop"] if importlib.util.find_spec("uvloop") else ["asyncio"]
PASS = hashlib.sha256(b"relay pass").digest()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a key and a certificate."""
    path = tmp_path_factory.mktemp("relay")
    keys.ensure_keys(path)
    return path


def make_config(
    state: Path, *, tls: bool, loop: str = "asyncio", limits: Limits | None = None, **more: object
) -> Config:
    """Return a configuration for a free port on loopback."""
    certificate, key = keys.ensure_keys(state) if tls else (None, None)
    return Config(
        port=0,
        certificate=certificate,
        key=key,
        event_loop=loop,
        limits=limits or Limits(),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(
    params=[(loop, tls) for loop in LOOPS for tls in (True, False)],
    ids=lambda p: f"{p[0]}-{'tls' if p[1] else 'plain'}",
)
def relay(request: pytest.FixtureRequest, state: Path) -> Iterator[RelayThread]:
    """Run a relay under each loop, with and without TLS."""
    loop, tls = request.param
    limits = Limits(max_unsent_bytes_per_seat=2**26, max_bytes_per_second_per_reader=0)
    with RelayThread(make_config(state, tls=tls, loop=loop, limits=limits)) as thread:
        yield thread


def client(relay: RelayThread, receive_bytes: int = 0) -> BareClient:
    """Return a client that has not joined yet."""
    return BareClient(relay.port, tls=relay.server.context is not None, receive_bytes=receive_bytes)


def test_two_seats_talk_and_see_each_other_go(relay: RelayThread) -> None:
    with client(relay).join() as alice:
        with client(relay).join() as bob, client(relay).join(OTHER_ROOM) as carol:
            assert bob.others == [alice.seat]
            assert carol.others == []
            arrival = alice.frame()
            assert (arrival.kind, arrival.address) == (Kind.PRESENT, bob.seat)
            for mark in range(100):
                alice.send(send_frame(bob.seat, mark) + send_frame(carol.seat, mark))
            for mark in range(100):
                got = bob.frame()
                assert (got.kind, got.address, got.block[:4]) == (Kind.SEND, alice.seat, mark.to_bytes(4, "big"))
            carol.send(Frame(Kind.PING, 3, 4).to_bytes())
            assert carol.frame() == Frame(Kind.PONG, 3, 4)
        gone = alice.frame()
        assert (gone.kind, gone.address) == (Kind.LEFT, bob.seat)


def test_a_fan_out_larger_than_the_read_buffer_arrives_whole(relay: RelayThread) -> None:
    with client(relay).join() as alice, client(relay).join() as bob:
        count = 10_000
        sender = threading.Thread(
            target=alice.send, args=(b"".join(send_frame(bob.seat, mark) for mark in range(count)),)
        )
        sender.start()
        assert [int.from_bytes(bob.frame().block[:4], "big") for _ in range(count)] == list(range(count))
        sender.join(DEADLINE_S)


def test_bytes_may_come_one_by_one(relay: RelayThread) -> None:
    with client(relay) as alice:
        for byte in join_frame() + Frame(Kind.PING, 1, 1).to_bytes():
            alice.send(bytes([byte]))
        assert [alice.frame().kind, alice.frame().kind] == [Kind.WELCOME, Kind.PONG]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Refusal.VERSION),
        (b"\x02" + bytes(271), Refusal.VERSION),
        (Frame(Kind.SEND).to_bytes(), Refusal.MALFORMED),
        (join_frame() + b"\x01\x09" + bytes(270), Refusal.MALFORMED),
        (join_frame() * 2, Refusal.MALFORMED),
        (join_frame() + bytes(range(256)) * 2000, Refusal.VERSION),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason_and_the_end(relay: RelayThread, data: bytes, reason: Refusal) -> None:
    with client(relay) as stranger:
        stranger.send(data)
        got = stranger.frame()
        if got.kind is Kind.WELCOME:
            got = stranger.frame()
        assert (got.kind, got.argument, got.number) == (Kind.REFUSED, reason, 0)
        assert stranger.at_end()
    until(lambda: not relay.server.switch.seats, "the stranger is forgotten")


def test_tls_1_3_only_and_no_tickets(state: Path) -> None:
    with RelayThread(make_config(state, tls=True)) as relay:
        with client(relay).join() as alice:
            assert isinstance(alice.sock, ssl.SSLSocket)
            assert alice.sock.version() == "TLSv1.3"
            assert alice.sock.session is None or not alice.sock.session.has_ticket
            der = alice.sock.getpeercert(binary_form=True)
            assert der is not None
            pem = ssl.DER_cert_to_PEM_cert(der)
            (state / "seen.crt").write_text(pem)
            pin = keys.to_base64url(keys.pin_of(state / "seen.crt"))
            assert relay.server.line == f"parley:relay/127.0.0.1:{relay.port}/{pin}"
        old = any_certificate()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S) as tcp, pytest.raises(ssl.SSLError):
            old.wrap_socket(tcp)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", join_frame(), bytes(300), b"\x16\x03\x01\x40\x00" + b"x" * 500]
)
def test_a_tls_relay_closes_on_what_is_no_tls_and_serves_on(state: Path, loop: str, data: bytes) -> None:
    with RelayThread(make_config(state, tls=True, loop=loop, limits=Limits(join_deadline_s=1))) as relay:
        with socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S) as tcp:
            tcp.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                while tcp.recv(4096):
                    pass
        until(lambda: not relay.server.switch.seats, "the stranger is forgotten")
        with client(relay).join() as alice:
            assert alice.seat


def test_a_close_in_the_middle_of_the_handshake_leaves_nothing(state: Path) -> None:
    with RelayThread(make_config(state, tls=True)) as relay:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = any_certificate().wrap_bio(incoming, outgoing)
        with pytest.raises(ssl.SSLWantReadError):
            hello.do_handshake()
        data = outgoing.read()
        for end in (1, len(data) // 2, len(data)):
            with socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S) as tcp:
                tcp.sendall(data[:end])
                if end == len(data):
                    assert tcp.recv(1)
        until(lambda: not relay.server.switch.seats and not relay.server.door.connections, "nothing is left")


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_strangers_who_do_not_join_are_closed_at_the_deadline(state: Path, tls: bool) -> None:
    with RelayThread(make_config(state, tls=tls, limits=Limits(join_deadline_s=1))) as relay:
        silent = [socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S) for _ in range(20)]
        with contextlib.closing(client(relay).sock) as half:  # after the handshake, with half a join
            half.sendall(join_frame()[:100])
            for sock in [*silent, half]:
                with contextlib.suppress(ConnectionResetError):
                    assert sock.recv(1) == b""
        for sock in silent:
            sock.close()
        until(lambda: not relay.server.door.connections, "all are forgotten")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_a_laggard_is_reset_while_the_others_go_on(state: Path, loop: str, tls: bool) -> None:
    limits = Limits(max_unsent_bytes_per_seat=256 * 1024, laggard_s=600)
    with (
        RelayThread(make_config(state, tls=tls, loop=loop, limits=limits), unlimited=True) as relay,
        client(relay).join() as alice,
        client(relay).join() as carol,
        client(relay, receive_bytes=8192).join() as laggard,
    ):
        per_round = 1000
        end_s = time.monotonic() + 30
        while True:  # until the buffers are full, and then for STUCK_S
            assert time.monotonic() < end_s
            alice.send(b"".join(send_frame(carol.seat, n) + send_frame(laggard.seat, n) for n in range(per_round)))
            got = [carol.frame() for _ in range(per_round)]
            sent = [f for f in got if f.kind is Kind.SEND]
            news = [f for f in got if f.kind is Kind.LEFT]
            sent += [carol.frame() for _ in range(per_round - len(sent))]
            sent = [f for f in sent if f.kind is Kind.SEND]
            assert [int.from_bytes(f.block[:4], "big") for f in sent] == list(range(len(sent)))
            if len(relay.server.switch.rooms[ROOM]) == 2:
                break
            assert not news
        until(lambda: relay.server.door.connections == 2, "the laggard's connection is gone")
        assert was_reset(laggard)
        alice.send(Frame(Kind.PING, 1, 1).to_bytes())


@pytest.mark.parametrize("bound", ["max_bytes_per_second_per_seat", "max_bytes_per_second_per_reader"])
def test_a_seat_that_sends_too_fast_is_read_more_slowly_and_loses_nothing(state: Path, bound: str) -> None:
    limits = replace(Limits().unlimited(), **{bound: 1_000_000})
    with (
        RelayThread(make_config(state, tls=False, limits=limits)) as relay,
        client(relay).join() as alice,
        client(relay).join() as bob,
    ):
        count = 10_000  # 2.72 MB, of which 0.5 MB may come at once, and 0.06 with the last read
        sender = threading.Thread(target=alice.send, args=(send_frame(bob.seat) * count,))
        begin_s = time.monotonic()
        sender.start()
        assert sum(bob.frame().kind is Kind.SEND for _ in range(count)) == count
        assert time.monotonic() - begin_s > 2  # (2.72 - 0.5 - 0.06) / 1 is 2.16
        sender.join(DEADLINE_S)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_a_refused_peer_goes_on_sending_is_not_even_opened(state: Path, loop: str) -> None:
    with RelayThread(make_config(state, tls=True, loop=loop)) as relay:
        with BareClient(relay.port, tls=True) as stranger:
            stranger.send(send_frame(bytes(8)))
            assert stranger.frame().kind is Kind.REFUSED
            os.write(stranger.sock.fileno(), b"this is no TLS record" * 1000)
            assert stranger.at_end()
        until(lambda: relay.server.door.connections == 0, "it is gone")
        assert relay.server.journal.totals["malformed"] == 1
        assert relay.server.journal.totals["tls"] == 0


@contextlib.contextmanager
def standing_still(relay: RelayThread) -> Iterator[None]:
    """Let a relay find all that happens meanwhile in one turn of its loop."""
    stands, go_on = threading.Event(), threading.Event()

    def stand() -> None:
        stands.set()
        go_on.wait(DEADLINE_S)

    relay.loop.call_soon_threadsafe(stand)
    assert stands.wait(DEADLINE_S)
    try:
        yield
    finally:
        go_on.set()


@pytest.mark.parametrize("way", ["closed", "half closed", "reset"])
def test_a_crowd_that_goes_in_one_moment_is_let_go_and_told_of_whole(relay: RelayThread, way: str) -> None:
    with client(relay).join() as alice, contextlib.ExitStack() as inside:
        crowd = [inside.enter_context(client(relay).join()) for _ in range(2 * GONE_PER_TURN + 1)]
        stranger = inside.enter_context(client(relay))
        for guest in crowd:
            assert alice.frame() == Frame(Kind.PRESENT, address=guest.seat)
        with standing_still(relay):
            for one in [*crowd, stranger]:
                if way == "half closed":
                    one.sock.shutdown(socket.SHUT_WR)
                    continue
                if way == "reset":
                    one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.sock.close()
        assert {alice.frame() for _ in crowd} == {Frame(Kind.LEFT, address=guest.seat) for guest in crowd}
        alice.send(Frame(Kind.PING).to_bytes())
        assert alice.frame().kind is Kind.PONG
        until(lambda: relay.server.door.connections == 1, "all are closed")
        assert len(relay.server.switch.seats) == 1
        assert relay.server.journal.totals["fault"] == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_said_with_a_goodbye_still_counts(state: Path, loop: str) -> None:
    """Under TLS both come in one read, and the goodbye doesn't unsay what was said before it."""
    with (
        RelayThread(make_config(state, tls=True, loop=loop)) as relay,
        client(relay).join() as alice,
        client(relay).join() as bob,
    ):
        assert alice.frame() == Frame(Kind.PRESENT, address=bob.seat)
        assert isinstance(bob.sock, ssl.SSLSocket)
        bob.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the goodbye would wait, and come alone
        with standing_still(relay):
            bob.send(send_frame(alice.seat, 7))
            bob.sock.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                bob.sock.unwrap()  # says it, and would wait for the relay's
        assert [alice.frame().kind, alice.frame()] == [Kind.SEND, Frame(Kind.LEFT, address=bob.seat)]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is looked up as Linux tells it")
def test_tls_keeps_nothing_of_a_burst(tmp_path: Path) -> None:
    """As much memory as the longest read or write is what OpenSSL's buffers would keep for each seat, for ever."""
    seats, burst = 30, 1000
    with Process(tmp_path, "--port", "0", "--unlimited") as process, contextlib.ExitStack() as inside:
        guests = [inside.enter_context(BareClient(process.port, tls=True).join()) for _ in range(seats + 1)]

        def talk(guest: BareClient) -> None:
            guest.send(send_frame(guest.seat) * burst + Frame(Kind.PING).to_bytes())
            while guest.frame().kind is not Kind.PONG:
                pass

        talk(guests[0])  # what the first burst of all takes is the relay's, not a seat's
        before_kib = rss_kib(process.process.pid)
        for guest in guests[1:]:
            talk(guest)
        assert (rss_kib(process.process.pid) - before_kib) / seats < burst * FRAME_SIZE / 1024 / 2


def test_one_address_can_have_so_many_connections_and_is_told_so(state: Path) -> None:
    limits = Limits(max_connections_per_address=3)
    with RelayThread(make_config(state, tls=True, limits=limits)) as relay, contextlib.ExitStack() as stack:
        guests = [stack.enter_context(client(relay).join()) for _ in range(3)]
        late = stack.enter_context(client(relay))
        late.send(join_frame())
        got = late.frame()
        assert (got.kind, got.argument) == (Kind.REFUSED, Refusal.TOO_FAST)
        assert got.number > 0
        assert late.at_end()
        guests[0].sock.close()
        until(lambda: relay.server.door.connections <= 2 or len(relay.server.switch.rooms[ROOM]) == 2, "one left")
        late.sock.close()
        until(lambda: relay.server.door.connections == 2, "both are forgotten")
        stack.enter_context(client(relay).join())


def test_a_full_relay_says_so(state: Path) -> None:
    limits = Limits(max_connections=2)
    with RelayThread(make_config(state, tls=True, limits=limits)) as relay, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(client(relay).join())
        late = stack.enter_context(client(relay))
        late.send(join_frame())
        got = late.frame()
        assert (got.kind, got.argument) == (Kind.REFUSED, Refusal.RELAY_FULL)
        assert got.number > 0


def at_the_door(port: int, count: int, stack: contextlib.ExitStack) -> list[BareClient]:
    """Return so many who are connected, as far as the kernel goes, and say nothing."""
    return [stack.enter_context(BareClient(port, tls=False)) for _ in range(count)]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_crowd_is_let_in_one_by_one_and_members_come_before_each(state: Path, loop: str) -> None:
    config = make_config(state, tls=False, loop=loop, limits=Limits(max_connections_per_address=5))
    with RelayThread(config) as relay, contextlib.ExitStack() as stack:
        done: list[str] = []
        flush, arrive = relay.server.switch.flush, relay.server.door.arrive

        def members() -> None:
            done.append("members")
            flush()

        def stranger(network: str, now_s: float) -> Verdict:
            verdict = arrive(network, now_s)
            done.append("let in" if verdict.enter else "turned away")
            return verdict

        def crowd() -> None:  # while the relay looks elsewhere, so all of them are there at once
            relay.server.switch.flush = members  # type: ignore[method-assign]
            relay.server.door.arrive = stranger  # type: ignore[method-assign]
            at_the_door(relay.port, 30, stack)

        relay.call(crowd)
        until(lambda: done.count("let in") + done.count("turned away") == 30, "all are judged")
        # Five, five who are told to wait, and those of whom the relay wants to know nothing.
        turns = [["members", "let in"]] * 10
        turns += [["members", *["turned away"] * TURNED_AWAY_AT_ONCE]] * (20 // TURNED_AWAY_AT_ONCE)
        turns += [["members", *["turned away"] * (20 % TURNED_AWAY_AT_ONCE)]]
        assert done[: 30 + len(turns)] == [word for turn in turns for word in turn]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_mistake_of_ours_at_the_door_keeps_nobody_out_after_it(state: Path, loop: str) -> None:
    with RelayThread(make_config(state, tls=False, loop=loop)) as relay, contextlib.ExitStack() as stack:
        arrive = relay.server.door.arrive
        told: list[object] = []
        relay.server.journal.fault = lambda exc: told.append(type(exc))  # type: ignore[method-assign]

        def mistaken(network: str, now_s: float) -> Verdict:
            relay.server.door.arrive = arrive  # type: ignore[method-assign]
            raise ValueError

        relay.server.door.arrive = mistaken  # type: ignore[method-assign]
        first = stack.enter_context(client(relay))
        assert first.at_end()
        stack.enter_context(client(relay).join())
        assert told == [ValueError]


def test_those_who_join_in_one_moment_are_seated_one_by_one_and_members_come_before_each(relay: RelayThread) -> None:
    done: list[str] = []
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(client(relay)) for _ in range(9)]
        until(lambda: len(relay.server.switch.seats) == 9, "all are in")
        flush, join = relay.server.switch.flush, relay.server.switch.join

        def members() -> None:
            done.append("members")
            flush()

        def stranger(seat: Seat, data: bytes) -> None:
            done.append("joins")
            join(seat, data)

        def crowd() -> None:  # while the relay looks elsewhere, so all of it is there at once
            relay.server.switch.flush = members  # type: ignore[method-assign]
            relay.server.switch.join = stranger  # type: ignore[method-assign]
            for mark, guest in enumerate(guests):
                guest.send(join_frame() + send_frame(bytes(8), mark) * 3)

        relay.call(crowd)
        until(lambda: done.count("joins") == 9, "all have joined")
        assert "joins joins" not in " ".join(done)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_a_stranger_pours_arrives_whole_and_in_order(state: Path, loop: str) -> None:
    """Though it is read again before its turn."""
    with RelayThread(make_config(state, tls=False, loop=loop)) as relay, client(relay).join() as alice:
        relay.call(lambda: setattr(relay.server.porch, "_later", lambda _, call: relay.loop.call_later(0.3, call)))
        with client(relay) as bob:
            bob.send(join_frame() + b"".join(send_frame(alice.seat, mark) for mark in range(700)))
            until(lambda: len(relay.server.switch.seats) == 2, "bob is in")
            port = cast(Connection, [*relay.server.switch.seats][1].port)
            until(lambda: bool(port.early), "his first words wait")
            waiting = len(port.early)
            relay.call(port.transport.resume_reading)
            until(lambda: len(port.early) != waiting, "more of them wait, too")
            marks = [int.from_bytes(got.block[:4], "big") for got in iter_sent(alice, 700)]
        assert marks == list(range(700))


def iter_sent(guest: BareClient, count: int) -> Iterator[Frame]:
    """Return so many blocks that come."""
    while count:
        if (got := guest.frame()).kind is Kind.SEND:
            count -= 1
            yield got


class FullKernel:
    """A loop whose kernel has no room to watch another socket, once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)

    def add_reader(self, *what: Any) -> None:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.ENOSPC, "max_user_watches")
        self.loop.add_reader(*what)


def test_a_listener_that_cant_be_watched_is_watched_later(state: Path) -> None:
    with RelayThread(make_config(state, tls=False)) as relay, contextlib.ExitStack() as stack:
        told: list[object] = []
        relay.server.journal.fault = lambda exc: told.append(type(exc))  # type: ignore[method-assign]
        full = FullKernel(relay.loop)
        relay.server.loop = cast(asyncio.AbstractEventLoop, full)
        for _ in range(3):
            stack.enter_context(client(relay).join())
        assert (full.refused, told) == (1, [OSError])


@pytest.mark.parametrize("loop", LOOPS)
def test_those_at_the_door_are_told_to_come_back_when_the_relay_ends(state: Path, loop: str) -> None:
    with contextlib.ExitStack() as stack:
        guests: list[BareClient] = []
        config = make_config(state, tls=False, loop=loop)
        with RelayThread(config, unlimited=True) as relay:

            def crowd() -> None:
                guests.extend(at_the_door(relay.port, 100, stack))
                for guest in guests:
                    guest.send(join_frame())
                relay.stop.set()

            relay.call(crowd)
        for guest in guests:
            got = guest.frame()
            assert (got.kind, got.argument) == (Kind.REFUSED, Refusal.SHUTTING_DOWN)


def test_a_relay_pass_is_asked_for(state: Path) -> None:
    with RelayThread(make_config(state, tls=True, relay_pass=PASS)) as relay:
        assert relay.server.line.endswith("/" + keys.to_base64url(PASS))
        with client(relay).join(relay_pass=PASS), client(relay) as stranger:
            stranger.send(join_frame(ROOM, NO_PASS))
            got = stranger.frame()
            assert (got.kind, got.argument) == (Kind.REFUSED, Refusal.RELAY_PASS)


def test_it_listens_on_ipv6_too(state: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on loopback")
    config = Config(host="::1", listen=("::1",), port=0)
    with RelayThread(config) as relay:
        assert relay.server.line == f"parley:relay/[::1]:{relay.port}/plain"
        with socket.create_connection(("::1", relay.port), DEADLINE_S) as sock:
            sock.sendall(join_frame())
            assert sock.recv(2) == bytes([1, Kind.WELCOME])


def was_reset(guest: BareClient) -> bool:
    """Tell whether the connection ended with a reset; what waited for the guest is then thrown away."""
    with socket.socket(fileno=os.dup(guest.sock.fileno())) as raw:
        raw.settimeout(DEADLINE_S)
        try:
            while raw.recv(65_536):
                pass
        except ConnectionResetError:
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_everybody_is_told(tmp_path: Path, number: int) -> None:
    with Process(tmp_path, "--port", "0") as process:
        assert not process.line.endswith("plain")
        guests = [BareClient(process.port, tls=True).join(bytes([n]) * 32) for n in range(5)]
        guests[0].send(send_frame(guests[0].seat, 5))
        assert guests[0].frame().kind is Kind.SEND
        process.process.send_signal(number)
        for guest in guests:
            got = guest.frame()
            assert (got.kind, got.argument) == (Kind.REFUSED, Refusal.SHUTTING_DOWN)
            assert WAIT_SHUTDOWN_S[0] <= got.number <= WAIT_SHUTDOWN_S[1]
            assert guest.at_end()
            guest.sock.close()
        out, err = process.process.communicate(timeout=DEADLINE_S)
        assert process.process.returncode == 0
        assert out == ""
        assert "Traceback" not in err


def test_it_needs_neither_standard_input_nor_standard_error(tmp_path: Path) -> None:
    """What would be a socket's descriptor then is none: uvloop ends the process when it has to close one of those."""
    start = "import os, sys; os.close(0); os.close(2); os.execv(sys.executable, sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", start, *command("run", "--port", "0")],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().split(":")[2].split("/")[0])
            guests = [BareClient(port, tls=True).join() for _ in range(3)]
            process.terminate()
            for guest in guests:
                guest.sock.close()
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


def test_it_ends_in_time_although_somebody_does_not_go(tmp_path: Path) -> None:
    with Process(tmp_path, "--plaintext", "--port", "0") as process:
        stubborn = BareClient(process.port, tls=False).join()
        status, _, err = process.end()
        assert status == 0
        assert "Traceback" not in err
        stubborn.sock.close()


def test_the_first_run_makes_a_key_for_this_computer_and_the_second_keeps_it(tmp_path: Path) -> None:
    lines = []
    for _ in range(2):
        with Process(tmp_path, "--port", "0") as process:
            lines.append(process.line.rsplit("/", 1)[1])
            status, _, err = process.end()
            assert status == 0
            assert ("first run" in err) == (len(lines) == 1)
    assert lines[0] == lines[1] == keys.to_base64url(keys.pin_of(tmp_path / "relay.crt"))


def test_it_tells_the_service_manager(tmp_path: Path) -> None:
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place))
        manager.settimeout(DEADLINE_S)
        with Process(tmp_path / "state", "--plaintext", "--port", "0", NOTIFY_SOCKET=str(place)) as process:
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            process.end()
            said = {manager.recv(100)}
            while b"STOPPING=1" not in said:
                said.add(manager.recv(100))


def test_running_out_of_descriptors_does_not_flood_the_log(tmp_path: Path) -> None:
    """The limit is pulled away under a running relay, below what it counted on."""
    resource = pytest.importorskip("resource")
    with Process(tmp_path, "--plaintext", "--unlimited", "--port", "0") as process:
        alice = BareClient(process.port, tls=False).join()
        resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, (20, 20))
        crowd = [socket.create_connection(("127.0.0.1", process.port), DEADLINE_S) for _ in range(30)]
        alice.send(Frame(Kind.PING, 1, 1).to_bytes())
        assert alice.frame().kind is Kind.PONG
        until(lambda: len(os.listdir(f"/proc/{process.process.pid}/fd")) == 20, "it has run out of them")
        time.sleep(0.2)  # in which it tries to let in the next one
        for sock in crowd:
            sock.close()
        with BareClient(process.port, tls=False).join():  # it has found its way back
            pass
        alice.sock.close()
        status, _, err = process.end()
        assert status == 0
        assert "exhausted" in err
        assert err.count("\n") < 10


def test_the_cap_on_connections_stays_below_the_limit_on_descriptors(tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128));"
        f"sys.path.insert(0, {str(Path(command()[1]).parent)!r}); import relay_server;"
        "sys.exit(relay_server.main(['run', '--plaintext', '--unlimited', '--port', '0']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(":")[2].split("/")[0])
        answers = set()
        crowd = []
        for _ in range(150):
            try:
                guest = BareClient(port, tls=False)
                crowd.append(guest)
                guest.send(join_frame())
                got = guest.frame()
                answers.add((got.kind, got.argument if got.kind is Kind.REFUSED else 0))
            except OSError:
                answers.add((Kind.LEFT, 0))  # turned away
        assert answers == {(Kind.WELCOME, 0), (Kind.REFUSED, Refusal.RELAY_FULL), (Kind.LEFT, 0)}
        for guest in crowd:
            guest.sock.close()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=DEADLINE_S)
        assert "exhausted" not in err
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_of_anybody_is_in_the_log_at_its_loudest(tmp_path: Path, loop: str) -> None:
    """Drive a relay through all it can meet, with Python's development mode on, and search what it said."""
    path = configuration.init_state(tmp_path)
    pass_text = keys.to_base64url(PASS)
    changed = re.sub(r"# (relay_pass = ).*", rf'\1"{pass_text}"', path.read_text())
    changed = changed.replace('# log = "info"', 'log = "debug"').replace(
        '# event_loop = "auto"', f'event_loop = "{loop}"'
    )
    path.write_text(changed.replace("# join_deadline_s = 10", "join_deadline_s = 1"))
    block = hashlib.shake_256(b"a block").digest(256)
    ports: list[int] = []
    with Process(tmp_path, "--port", "0", PYTHONDEVMODE="1", PYTHONASYNCIODEBUG="1") as process:

        def come(*, tls: bool = True) -> BareClient:
            guest = BareClient(process.port, tls=tls)
            ports.append(guest.local_port)
            return guest

        alice, bob = come().join(ROOM, PASS), come().join(ROOM, PASS)
        alice.send(Frame(Kind.SEND, address=bob.seat, block=block).to_bytes())
        while bob.frame().block != block:
            pass
        wrong = come()
        wrong.send(join_frame(OTHER_ROOM, hashlib.sha256(b"other").digest()))
        assert wrong.frame().kind is Kind.REFUSED
        for garbage in (b"GET / HTTP/1.1\r\nHost: secret.example\r\n\r\n", block):
            stranger = come(tls=False)
            stranger.send(garbage)
            with contextlib.suppress(OSError):
                stranger.sock.recv(1000)
        silent = come(tls=False)
        with contextlib.suppress(OSError):
            assert silent.sock.recv(1) == b""
        malformed = come()
        malformed.send(join_frame(ROOM, PASS) + b"\x01\x63" + block[:-1] + bytes(15))
        while malformed.frame().kind is not Kind.REFUSED:
            pass
        rude = come().join(ROOM, PASS)
        rude.tcp = socket.socket(fileno=os.dup(rude.sock.fileno()))
        rude.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.sock.close()
        rude.tcp.close()  # a reset
        while alice.frame().kind is not Kind.LEFT:
            pass
        seats = [alice.seat, bob.seat]
        status, out, err = process.end()
        assert status == 0
        assert out == ""
    assert "listening" in err
    assert "relay_pass" in err
    assert "Traceback" not in err
    secrets = [ROOM, OTHER_ROOM, PASS, block, *seats, hashlib.sha256(b"other").digest()]
    for secret in secrets:
        for piece in (secret, secret[:8]):
            for text in (piece.hex(), piece.hex().upper(), base64.b64encode(piece).decode().rstrip("=")[:-1]):
                assert text not in err
            assert keys.to_base64url(piece)[:-1] not in err
            assert repr(piece)[2:-1] not in err
            assert piece.decode("latin-1") not in err
    for port in ports:
        assert not re.search(rf"(?<!\d){port}(?!\d)", err)
    for word in (
        "127.0.0.1",
        "secret.example",
        str(process.port),
        keys.to_base64url(keys.pin_of(tmp_path / "relay.crt")),
    ):
        assert word not in err
