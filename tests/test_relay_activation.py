"""Sockets that the service manager opened: served, kept open over a restart, and refused when they are none."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from relay_help import DEADLINE_S, ROOT, BareClient, environment

from chatcore.wire import Kind
from relay import config as configuration
from relay.config import PACKAGED, Config, default_config
from relay.server import Server
from relay.system import FIRST_PASSED, own_address

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such service manager")

# Puts descriptor 0 where a service manager puts its first, says so, and becomes the relay.
PASS_ON = f"""
import os, sys
os.dup2(0, {FIRST_PASSED})
os.environ |= {{"LISTEN_PID": sys.argv[1] if sys.argv[1] != "me" else str(os.getpid()), "LISTEN_FDS": "1"}}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@contextlib.contextmanager
def activated(state: Path, sock: socket.socket, pid: str = "me") -> Iterator[subprocess.Popen[str]]:
    """Start a relay as systemd would, with this socket."""
    door = [str(ROOT / "relay_server.py"), "run", "--config", str(state / "parley-relay.toml")]
    process = subprocess.Popen(
        [sys.executable, "-c", PASS_ON, pid, *door],
        env=environment(state),
        stdin=sock.fileno(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def relay_on(tmp_path: Path, port: int) -> Path:
    path = configuration.init_state(tmp_path / "relay")
    path.write_text(path.read_text().replace("port = 7256", f"port = {port}"))
    return path.parent


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_who_comes_while_it_restarts_is_served_by_the_next(tmp_path: Path, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    state = relay_on(tmp_path, port)
    with activated(state, listener) as first:
        assert first.stdout is not None
        assert f":{port}/" in first.stdout.readline()
        with BareClient(port, tls=True).join() as alice:
            first.send_signal(signal.SIGTERM)
            refused = alice.frame()
            assert refused.kind is Kind.REFUSED  # those who are inside are told to come back
        assert first.wait(DEADLINE_S) == 0
    waiting = [socket.create_connection(("127.0.0.1", port), DEADLINE_S) for _ in range(20)]  # and nobody is refused
    with activated(state, listener), BareClient(port, tls=True).join() as bob:
        assert bob.seat
        for sock in waiting:
            sock.close()


def test_who_waits_when_it_is_told_to_stop_is_left_for_the_next(listener: socket.socket) -> None:
    async def serve() -> socket.socket:
        server = Server(Config(port=0), passed=[listener.dup()])
        await server.start()
        late = socket.create_connection(("127.0.0.1", server.port), DEADLINE_S)
        await server.stop()  # before the loop has seen that somebody is there
        return late

    with asyncio.run(serve()) as late:
        listener.settimeout(DEADLINE_S)
        sock, peer = listener.accept()
        with sock:
            assert peer == late.getsockname()


def test_a_socket_that_is_somebody_elses_is_not_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    state = relay_on(tmp_path, port)
    with socket.create_server(("127.0.0.1", 0)) as other, activated(state, other, pid="1") as relay:
        assert relay.stdout is not None
        assert f":{port}/" in relay.stdout.readline()  # it listens where the configuration says


def test_another_port_than_the_configuration_says(tmp_path: Path, listener: socket.socket) -> None:
    state = relay_on(tmp_path, 1)
    with activated(state, listener) as relay:
        assert relay.wait(DEADLINE_S) == 78
        assert relay.stderr is not None
        said = relay.stderr.read()
    port = listener.getsockname()[1]
    assert f"listens on port {port}, and the configuration says 1; write the same into both" in said


@pytest.mark.parametrize("kind", ["unix", "datagram", "not listening", "file"])
def test_what_is_no_listening_socket(tmp_path: Path, kind: str) -> None:
    state = relay_on(tmp_path, 1)
    sock: socket.socket
    with contextlib.ExitStack() as stack:
        if kind == "unix":
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.bind(str(tmp_path / "socket"))
            sock.listen()
        elif kind == "file":
            sock = stack.enter_context((tmp_path / "file").open("w"))  # type: ignore[assignment]
        else:
            sock = stack.enter_context(
                socket.socket(type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
            )
        with activated(state, sock) as relay:
            assert relay.wait(DEADLINE_S) == 78
            assert relay.stderr is not None
            assert "is no listening TCP socket; look at ListenStream= in the socket unit." in relay.stderr.read()


def test_the_configuration_is_where_the_package_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(configuration, "PACKAGED", tmp_path / PACKAGED.name)
    assert default_config() == configuration.default_state() / PACKAGED.name
    (tmp_path / PACKAGED.name).write_text("")
    assert default_config() == tmp_path / PACKAGED.name
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))  # of a service, or of these tests
    assert default_config() == tmp_path / "state" / PACKAGED.name


def test_who_asks_finds_the_systems_relay_or_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert configuration.asked_at(Config()) == configuration.SERVICE_CONTROL
    own = tmp_path / "parley-relay" / "control.sock"
    own.parent.mkdir()
    own.touch()
    assert configuration.asked_at(Config()) == own
    assert configuration.asked_at(Config(control=tmp_path / "x")) == tmp_path / "x"


def test_the_address_in_the_world_is_one_that_can_be_dialled() -> None:
    address = own_address()
    assert address == "" or configuration.is_dialable(address)
