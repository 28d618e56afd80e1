"""The end of a relay: everybody is told, what was taken is delivered, and it is over in time."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import ipaddress
import re
import signal
import socket
import struct
import threading
from pathlib import Path

import pytest
from client_help import Person, free_port, people, pin_in, room_on, tls_config
from relay_help import (
    DEADLINE_S,
    OTHER_ROOM,
    BareClient,
    Process,
    RelayThread,
    any_certificate,
    join_frame,
    send_frame,
    until,
)

from chatcore.cable import End, Timing
from chatcore.invite import RelayAddress
from chatcore.roster import RECONNECT_GRACE_S
from chatcore.upkeep import retry_wait_s
from chatcore.wire import FRAME_SIZE, Frame, Kind, Refusal
from relay import config as configuration
from relay import proxy
from relay.config import Config
from relay.switch import WAIT_SHUTDOWN_S

LOOPS = ["asyncio", "uvloop"] if importlib.util.find_spec("uvloop") else ["asyncio"]


def start(tmp_path: Path, loop: str, *arguments: str) -> Process:
    """Run a relay under this loop."""
    path = configuration.init_state(tmp_path)
    path.write_text(path.read_text().replace('# event_loop = "auto"', f'event_loop = "{loop}"'))
    return Process(tmp_path, "--config", str(path), "--port", "0", *arguments)


def is_told_to_come_back(frame: Frame) -> bool:
    return (frame.kind, frame.argument) == (Kind.REFUSED, Refusal.SHUTTING_DOWN) and (
        WAIT_SHUTDOWN_S[0] <= frame.number <= WAIT_SHUTDOWN_S[1]
    )


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("plain", [False, True], ids=["tls", "plain"])
def test_what_the_relay_has_taken_is_delivered_before_it_ends(tmp_path: Path, loop: str, plain: bool) -> None:
    count = 8000
    with (
        start(tmp_path, loop, "--unlimited", *(["--plaintext"] if plain else [])) as process,
        BareClient(process.port, tls=not plain).join() as alice,
        BareClient(process.port, tls=not plain, receive_bytes=8192).join() as bob,
    ):
        for mark in range(count):
            alice.send(send_frame(bob.seat, mark))
        alice.send(Frame(Kind.PING, 1, 1).to_bytes())
        while alice.frame().kind is not Kind.PONG:
            pass
        process.process.send_signal(signal.SIGTERM)
        assert is_told_to_come_back(alice.frame())  # so it is draining, and most of it still waits for bob
        got = [bob.frame() for _ in range(count)]
        assert [int.from_bytes(frame.block[:4], "big") for frame in got] == list(range(count))
        assert is_told_to_come_back(bob.frame())
        assert bob.at_end()
        bob.sock.close()
        alice.sock.close()
        _, err = process.process.communicate(timeout=DEADLINE_S)
        assert process.process.returncode == 0
        assert "Traceback" not in err


@pytest.mark.parametrize("loop", LOOPS)
def test_who_is_on_the_way_in_is_told_as_well(tmp_path: Path, loop: str) -> None:
    with start(tmp_path, loop) as process, BareClient(process.port, tls=True).join() as alice:
        on_the_way = [socket.create_connection(("127.0.0.1", process.port), DEADLINE_S) for _ in range(5)]
        process.process.send_signal(signal.SIGSTOP)
        on_the_way += [socket.create_connection(("127.0.0.1", process.port), DEADLINE_S) for _ in range(20)]
        process.process.send_signal(signal.SIGTERM)
        process.process.send_signal(signal.SIGCONT)
        assert is_told_to_come_back(alice.frame())
        waits = set()
        for tcp in on_the_way:
            with any_certificate().wrap_socket(tcp) as sock:
                sock.sendall(join_frame(OTHER_ROOM))
                data = b""
                while len(data) < FRAME_SIZE and (piece := sock.recv(FRAME_SIZE)):
                    data += piece
                kind, reason, wait_s = struct.unpack_from(">xBHI", data)
                assert (kind, reason) == (Kind.REFUSED, Refusal.SHUTTING_DOWN)
                waits.add(wait_s)
        assert len(waits) > 3
        with contextlib.suppress(OSError):
            alice.sock.close()
        _, err = process.process.communicate(timeout=DEADLINE_S)
        assert process.process.returncode == 0
        assert "Traceback" not in err


@pytest.mark.parametrize("loop", LOOPS)
def test_neither_a_silent_stranger_nor_a_stuck_reader_nor_a_talker_keeps_it(tmp_path: Path, loop: str) -> None:
    with start(tmp_path, loop, "--plaintext") as process:
        silent = socket.create_connection(("127.0.0.1", process.port), DEADLINE_S)
        alice = BareClient(process.port, tls=False).join()
        stuck = BareClient(process.port, tls=False, receive_bytes=8192).join()
        for mark in range(10_000):
            alice.send(send_frame(stuck.seat, mark))
        over = threading.Event()

        def talk() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    alice.send(send_frame(stuck.seat) * 100)

        thread = threading.Thread(target=talk)
        thread.start()
        process.process.send_signal(signal.SIGTERM)
        process.process.send_signal(signal.SIGTERM)  # a second time changes nothing
        _, err = process.process.communicate(timeout=DEADLINE_S)
        over.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        assert process.process.returncode == 0
        assert "Traceback" not in err
        for sock in (silent, alice.sock, stuck.sock):
            sock.close()


def test_what_was_only_counted_is_told_at_the_end(tmp_path: Path) -> None:
    with start(tmp_path, "asyncio") as process:
        guests = [BareClient(process.port, tls=True).join() for _ in range(7)]
        process.process.send_signal(signal.SIGTERM)
        for guest in guests:
            while guest.frame().kind is not Kind.REFUSED:
                pass
            guest.sock.close()
        _, err = process.process.communicate(timeout=DEADLINE_S)
    assert re.findall(r"parley-relay: (.*)\n", err) == [
        "listening", "stopping", "shutting_down", "shutting_down x6", "stopped",
    ]  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS)
def test_who_comes_through_a_proxy_and_has_not_said_so_yet_is_told(tmp_path: Path, loop: str) -> None:
    config = Config(port=0, event_loop=loop, proxy_from=(ipaddress.ip_network("127.0.0.1"),))
    with RelayThread(config) as relay, socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S) as sock:
        sock.sendall(proxy.LOCAL_HEADER[:5])
        until(lambda: relay.server.door.connections == 1, "it is held at the door")
        relay.loop.call_soon_threadsafe(relay.stop.set)
        until(lambda: relay.server.state == "stopping", "the end has begun")
        sock.sendall(proxy.LOCAL_HEADER[5:] + join_frame())
        data = sock.recv(FRAME_SIZE, socket.MSG_WAITALL)
        assert struct.unpack_from(">xBH", data) == (Kind.REFUSED, Refusal.SHUTTING_DOWN)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_conversation_goes_on_over_three_ends_with_nothing_lost_twice_or_out_of_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    monkeypatch.setattr("relay.switch.WAIT_SHUTDOWN_S", (0, 1))
    config = dataclasses.replace(tls_config(tmp_path, port=free_port()), event_loop=loop)
    invite = room_on(RelayAddress("127.0.0.1", config.port, (pin_in(tmp_path),)))
    said: list[str] = []

    def talk(person: Person) -> None:
        for _ in range(25):
            said.append(f"{len(said)}")
            person.say(said[-1])

    with contextlib.ExitStack() as stack:
        alice, bob = stack.enter_context(people(invite, "alice", "bob"))
        for _ in range(3):
            with RelayThread(config):
                alice.until_here("bob")
                bob.until_here("alice")
                talk(alice)
                bob.until_text(said[-1])
                talk(alice)  # and the end comes while this is on its way
            talk(alice)
        with RelayThread(config):
            bob.until_text(said[-1])
            alice.until_here("bob")
            assert bob.ear.texts() == [("alice", text) for text in said]


def test_who_is_told_to_wait_longest_is_back_before_anybody_is_told_that_they_are_away() -> None:
    least, most = WAIT_SHUTDOWN_S
    longest_s = max(retry_wait_s(Timing(), 0, End(wait_s=most)) for _ in range(1000))
    assert longest_s - least + 5 < RECONNECT_GRACE_S  # 5 s to connect and to greet
