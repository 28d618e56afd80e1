"""Help for the tests of many relays: NATS servers, alone or as a cluster, that can be killed and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import pytest
from client_help import free_port
from relay_help import DEADLINE_S, RelayThread, until

from relay.config import Config
from relay.engine import Place, Settings

ROOT = Path(__file__).resolve().parent.parent


def find_server() -> str | None:
    """Return the nats-server of this system, or that of `tools/setup`."""
    found = shutil.which("nats-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    ours = ROOT / ".venv" / "bin" / "nats-server"
    return found or (str(ours) if ours.exists() else None)


SERVER = find_server()
needs_nats = pytest.mark.skipif(SERVER is None, reason="nats-server isn't installed: sudo apt-get install nats-server")


class Nats:
    """One NATS server on loopback, as its own process."""

    def __init__(self, directory: Path, name: str, *arguments: str) -> None:
        assert SERVER is not None
        self.port = free_port()
        self._command = [SERVER, "-a", "127.0.0.1", "-p", str(self.port), "-n", name, *arguments]
        self._log = directory / f"{name}.log"
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and wait until it takes connections."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(self.answers, f"NATS answers\n{self._log.read_text()}")

    def answers(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2) as sock:
                return sock.recv(5) == b"INFO "
        except OSError:
            return False

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(DEADLINE_S)


class Cluster:
    """Some NATS servers that pass everything on to each other."""

    def __init__(self, count: int = 1) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="parley-nats-")
        routes = [free_port() for _ in range(count)]
        each = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
        self.servers: list[Nats] = []
        for at, port in enumerate(routes):
            more = ["--cluster", f"nats://127.0.0.1:{port}", "--cluster_name", "test", "--routes", each]
            self.servers.append(Nats(Path(self._directory.name), f"nats-{at}", *(more if count > 1 else [])))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.kill()
        self._directory.cleanup()

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]


def settings_for(*ports: int, name: str = "relay") -> Settings:
    return Settings(tuple(Place("127.0.0.1", port, False) for port in ports), name=name)


def relay_on(*ports: int, name: str, loop: str = "auto") -> RelayThread:
    """A relay in a thread whose engine is at these ports, tried in any order."""
    return RelayThread(Config(port=0, event_loop=loop, engine=settings_for(*ports, name=name)), unlimited=True)


def up(*relays: RelayThread) -> None:
    """Wait until these relays are at an engine and have heard of each other."""

    def together() -> bool:
        return all(
            relay.server.engine is not None
            and relay.server.engine.up
            and relay.server.switch.cluster is not None
            and relay.server.switch.cluster.others() >= len(relays) - 1
            for relay in relays
        )

    until(together, "the relays have found each other")
