"""The load of the benchmarks: it counts what arrives, and says so when something doesn't."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from relay_help import DEADLINE_S, RelayThread

from benchmarks.costs import idle
from benchmarks.dialects import BARE
from benchmarks.load import BrokenError, Load
from benchmarks.peers import SHAPES, Contender, shares, table
from benchmarks.programs import start_python
from chatcore.wire import FRAME_SIZE
from relay import keys
from relay.config import Config

ROOT = Path(__file__).parent.parent


def make_config(state: Path, *, tls: bool) -> Config:
    """Return a configuration for a free port on loopback."""
    certificate, key = keys.ensure_keys(state) if tls else (None, None)
    return Config(port=0, certificate=certificate, key=key, event_loop="asyncio")


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_each_text_of_each_room_is_counted_once_for_each_reader(tmp_path: Path, tls: bool) -> None:
    with RelayThread(make_config(tmp_path, tls=tls), unlimited=True) as relay:
        load = Load(relay.port, 2, 4, tls=tls)
        load.run(0.1, 3)
        load.finish()
        said = [room.messages for room in load.rooms]
        assert min(said) > 3
        assert load.deliveries == 3 * sum(said)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_those_who_say_nothing_are_weighed(tls: bool, capsys: pytest.CaptureFixture[str]) -> None:
    idle(30, tls=tls)
    assert re.fullmatch(
        r"memory of an idle connection, 30 of them( with TLS)?: \d+\.\d\d KiB\n", capsys.readouterr().out
    )


def test_what_is_said_at_set_times_is_counted_from_then(tmp_path: Path) -> None:
    with RelayThread(make_config(tmp_path, tls=False), unlimited=True) as relay:
        load = Load(relay.port, 1, 3)
        load.run(0.05, 1)
        delays_s = load.run_at(100.0, 0.2)
        load.finish()
        assert delays_s
        assert 0 < min(delays_s) <= max(delays_s) < DEADLINE_S


def mischief(change: Callable[[bytes], bytes]) -> int:
    """Serve two members once: what the first says comes to the second, changed.  Return the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as first:
            first.sendall(first.recv(FRAME_SIZE, socket.MSG_WAITALL))
            with listener.accept()[0] as second:
                second.sendall(second.recv(FRAME_SIZE, socket.MSG_WAITALL))
                answer = change(first.recv(FRAME_SIZE, socket.MSG_WAITALL))
                second.sendall(answer)
                if answer:
                    second.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def test_a_changed_delivery_ends_the_run() -> None:
    load = Load(mischief(lambda data: data[:16] + b"0000000a" + data[24:]), 1, 2, dialect=BARE)
    with pytest.raises(BrokenError):
        load.run(DEADLINE_S, 1)
    load.close()


def test_a_server_that_goes_ends_the_run() -> None:
    load = Load(mischief(lambda _: b""), 1, 2, dialect=BARE)
    with pytest.raises((BrokenError, OSError)):
        load.run(DEADLINE_S, 1)
    load.close()


@pytest.fixture
def barest() -> Iterator[int]:
    """Start the barest relay, and return its port."""
    program, port = start_python([str(ROOT / "benchmarks" / "barest.py")])
    yield port
    program.end()


def test_the_barest_relay_brings_each_text_to_its_reader(barest: int) -> None:
    load = Load(barest, 2, 4, dialect=BARE)
    load.run(0.1, 3)
    load.finish()
    said = [room.messages for room in load.rooms]
    assert min(said) > 3
    assert load.deliveries == 3 * sum(said)


def test_the_barest_relay_keeps_the_order_wherever_a_read_ends_and_learns_it_anew_from_who_is_there(
    barest: int,
) -> None:
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(socket.create_connection(("127.0.0.1", barest), DEADLINE_S)) for _ in range(4)]
        addresses = [BARE.join(sock, 0, seat) for seat, sock in enumerate(members)]

        def say(speaker: int, readers: list[int], piece: int) -> None:
            heads = BARE.heads(0, [addresses[reader] for reader in readers])
            text = b"".join(head + bytes((at,)) * 256 for at, head in enumerate(heads * 3))
            for at in range(0, len(text), piece):
                members[speaker].sendall(text[at : at + piece])
            for at, reader in enumerate(readers):
                got = b"".join(members[reader].recv(FRAME_SIZE, socket.MSG_WAITALL) for _ in range(3))
                expected = [bytes((at + turn * len(readers),)) * 256 for turn in range(3)]
                assert got == b"".join(BARE.heads(0, [addresses[speaker]])[0] + block for block in expected)

        for piece in (FRAME_SIZE, 100, 1000, 1 << 16):
            say(2, [3, 0, 1], piece)
        members[3].close()
        members[3] = stack.enter_context(socket.create_connection(("127.0.0.1", barest), DEADLINE_S))
        addresses[3] = BARE.join(members[3], 0, 4)  # answered after the other's end was read
        for piece in (500, 1 << 16):
            say(1, [2, 3, 0], piece)


def test_what_the_interpreter_and_the_relay_reach_of_a_reference_is_a_table_of_its_own() -> None:
    ours, reference, least = (
        Contender(name, BARE, lambda _: pytest.fail("nothing starts")) for name in ("relay", "reference", "barest")
    )
    for shape in SHAPES:
        ours.rates[shape], reference.rates[shape], least.rates[shape] = [1.0, 2.0, 3.0], [4.0] * 3, [3.0] * 3
    lines = shares([ours, reference, least]).splitlines()
    assert lines[2] == "| relay |" + " 0.50 (0.25-0.75) |" * len(SHAPES)
    assert lines[3] == "| barest |" + " 0.75 (0.75-0.75) |" * len(SHAPES)
    assert shares([ours, least]) == ""


def test_the_table_compares_each_round_with_its_own_neighbours() -> None:
    ours, other = (Contender(name, BARE, lambda _: pytest.fail("nothing starts")) for name in ("relay", "other"))
    for shape in SHAPES:
        ours.rates[shape], other.rates[shape] = [3000.0, 6000.0, 9000.0], [1000.0, 3000.0, 9000.0]
    ours.delays_ms = other.delays_ms = [(0.5, 1.0), (0.25, 2.0), (0.75, 3.0)]
    lines = table([ours, other], {key: [1000.0, 1000.0, 1000.0] for key in SHAPES}).splitlines()
    assert lines[2] == "| relay |" + " 6 k |" * len(SHAPES) + " 0.50 / 2.00 |"
    assert lines[3].startswith("| other | 3 k, 2.00 (1.00-3.00) |")
    assert lines[4].startswith("| floor | 1 k, 6.00 (3.00-9.00) |")
