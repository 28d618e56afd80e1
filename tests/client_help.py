"""Help for the tests of the client: people with real clients, and a relay that does whatever a test tells it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from relay_help import RelayThread
from world import key

from chatcore.cable import Cable, Timing
from chatcore.client import Client
from chatcore.engines import PrivateKey
from chatcore.events import (
    Connection,
    ConnectionChanged,
    MessageReceived,
    Presence,
    RoomEvent,
    RosterChanged,
)
from chatcore.invite import Invite, Mode, RelayAddress, new_invite
from chatcore.kept import Store
from chatcore.seal import fingerprint
from chatcore.wire import FRAME_SIZE, Frame, FrameReader, Kind, parse_frame
from relay import keys
from relay.config import Config
from relay.limits import Limits

DEADLINE_S = 30.0
E = TypeVar("E")

# Patience for tests: what takes seconds with people takes tens of milliseconds here.
HASTY = Timing(retry_first_s=0.05, retry_most_s=0.4, flush_s=5.0)
NIMBLE = replace(HASTY, renew_again_s=0.5, look_out_s=0.05)
RELAY_PASS = b"w" * 32
SEAT = b"seat no1"


class Ear:
    """Hears what a client has to tell; `until` waits for it."""

    def __init__(self) -> None:
        self.events: list[RoomEvent] = []
        self.threads: set[str] = set()
        self._news = threading.Condition()

    def __call__(self, room_id: bytes, event: RoomEvent) -> None:
        with self._news:
            self.threads.add(threading.current_thread().name)
            self.events.append(event)
            self._news.notify_all()

    def until(self, condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait for a condition that an event brings about."""
        with self._news:
            assert self._news.wait_for(condition, deadline_s), f"waited in vain: {what}\n{self.events[-5:]}"

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in list(self.events) if isinstance(event, kind)]

    def states(self) -> list[Connection]:
        return [event.state for event in self.of(ConnectionChanged)]

    def until_state(self, state: Connection, times: int = 1) -> ConnectionChanged:
        """Wait until the connection has been in this state so often; returns the event."""
        self.until(lambda: self.states().count(state) >= times, f"{state} {times}x")
        return [event for event in self.of(ConnectionChanged) if event.state is state][times - 1]

    def texts(self) -> list[tuple[str, str]]:
        return [(event.nick, event.text) for event in self.of(MessageReceived)]

    def here(self) -> set[str]:
        """Who else is here, by nick."""
        rosters = self.of(RosterChanged)
        return {one.nick for one in rosters[-1].members if one.presence is Presence.HERE} if rosters else set()


class Person:
    """Somebody with a client of their own, in one room."""

    def __init__(
        self,
        name: str,
        invite: Invite,
        timing: Timing = HASTY,
        emit: Ear | None = None,
        statements: tuple[bytes, ...] = (),
        store: Store | None = None,
    ) -> None:
        self.name = name
        self.ear = emit or Ear()
        self.identity = key(f"identity {name}")
        self.fp = fingerprint(self.identity.modulus)
        self.client = Client(self.ear, timing=timing)
        self.client.start()
        self.room_id = self.client.open_room(invite, self.identity, name, statements, store)

    def __enter__(self) -> Person:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.client.stop()

    def say(self, text: str) -> None:
        self.client.say(self.room_id, text)

    def until_here(self, *names: str) -> None:
        self.ear.until(lambda: self.ear.here() >= set(names), f"{self.name} sees {names}")

    def until_text(self, text: str) -> None:
        self.ear.until(lambda: text in [said for _, said in self.ear.texts()], f"{self.name} gets {text!r}")


def identity(name: str) -> PrivateKey:
    return key(f"identity {name}")


def room_on(relay: RelayAddress, *, owner: str = "alice", mode: Mode = Mode.OPEN, title: str = "Den") -> Invite:
    return new_invite(fingerprint(identity(owner).modulus), mode, relay, title, secret=b"s" * 32)


def plain(port: int) -> RelayAddress:
    """A relay on loopback without TLS."""
    return RelayAddress("127.0.0.1", port)


def through(invite: Invite, port: int) -> Invite:
    """The same room and relay key, reached over another port."""
    return replace(invite, relay=replace(invite.relay, port=port))


def tls_config(state: Path, limits: Limits | None = None, port: int = 0) -> Config:
    """A relay on loopback with TLS, its key in this directory."""
    certificate, secret = keys.ensure_keys(state)
    return Config(port=port, certificate=certificate, key=secret, limits=limits or Limits())


def pin_in(state: Path) -> bytes:
    return keys.pin_of(keys.ensure_keys(state)[0])


def free_port() -> int:
    """A port on which nobody listens, as far as one can know."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def two_relays(tmp_path: Path) -> Iterator[tuple[RelayThread, RelayAddress, RelayThread, RelayAddress]]:
    """Two relays, the second with a pass, and how they are reached."""
    configs = tls_config(tmp_path / "old"), replace(tls_config(tmp_path / "new"), relay_pass=RELAY_PASS)
    with RelayThread(configs[0], unlimited=True) as old, RelayThread(configs[1], unlimited=True) as new:
        yield old, address_of(old), new, address_of(new, RELAY_PASS)


def address_of(relay: RelayThread, relay_pass: bytes = b"") -> RelayAddress:
    certificate = relay.server.config.certificate
    assert certificate is not None
    return RelayAddress("127.0.0.1", relay.port, (keys.pin_of(certificate),), relay_pass)


class Heard:
    """A socket that remembers what it received."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = bytearray()

    def sendall(self, data: bytes) -> None:
        self.sock.sendall(data)

    def recv(self, size: int) -> bytes:
        piece = self.sock.recv(size)
        self.data += piece
        return piece


class FakeRelay:
    """Takes connections, does what the script says with each, and remembers every byte that came in."""

    def __init__(self, script: Callable[[Heard], None], state: Path | None = None, port: int = 0) -> None:
        """With a state directory it speaks TLS with the key in there."""
        self.script = script
        self.got: list[bytes] = []  # application bytes of each connection that is over
        self.accepted = 0
        self.context = keys.server_context(*keys.ensure_keys(state)) if state is not None else None
        self._listener = socket.create_server(("127.0.0.1", port))
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept, name="fake relay", daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> FakeRelay:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._thread, *self._threads):
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(sock,), name="fake relay seat", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(DEADLINE_S)
        heard = Heard(sock)
        try:
            if self.context is not None:
                heard = Heard(self.context.wrap_socket(sock, server_side=True))
            self.script(heard)
        except (OSError, EOFError):
            pass
        finally:
            heard.sock.close()
            self.got.append(bytes(heard.data))


def receive(sock: Heard, size: int) -> bytes:
    """Receive exactly so many bytes; EOFError when there are fewer."""
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def receive_all(heard: Heard) -> None:
    """Receive until the other end closes."""
    with contextlib.suppress(OSError):
        while heard.recv(65_536):
            pass


def stay(heard: Heard) -> None:
    """Answer PINGs until the other end closes."""
    with contextlib.suppress(OSError, EOFError):
        while True:
            frame = parse_frame(receive(heard, FRAME_SIZE))
            if frame.kind is Kind.PING:
                heard.sendall(Frame(Kind.PONG, frame.argument, frame.number).to_bytes())


def welcome() -> bytes:
    return Frame(Kind.WELCOME, address=SEAT).to_bytes()


def take_join(heard: Heard) -> bytes:
    return receive(heard, FRAME_SIZE)


def hang_up(heard: Heard) -> None:
    take_join(heard)


def seat_and_stay(heard: Heard) -> None:
    """What a relay does with the only one in a room."""
    take_join(heard)
    heard.sendall(welcome())
    stay(heard)


class Nobody:
    """Owns a cable and does nothing with it."""

    def frames_came(self, cable: Cable) -> None: ...
    def seat_given(self) -> None: ...
    def writable_again(self) -> None: ...
    def round_trip(self, seconds: float) -> None: ...


def frames(data: bytes | bytearray) -> list[Frame]:
    return FrameReader().receive_data(bytes(data))


def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition, with an end."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, f"waited in vain: {what}"
        time.sleep(0.005)


@contextlib.contextmanager
def people(invite: Invite, *names: str, timing: Timing = HASTY) -> Iterator[list[Person]]:
    """Several in one room."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Person(name, invite, timing)) for name in names]


@contextlib.contextmanager
def friends(directory: Path) -> Iterator[tuple[Person, Person]]:
    """Alice and bob in a room, here for each other."""
    with (
        RelayThread(tls_config(directory)) as relay,
        people(room_on(RelayAddress.parse(relay.server.line)), "alice", "bob") as (alice, bob),
    ):
        alice.until_here("bob")
        bob.until_here("alice")
        yield alice, bob


def no_retry(one: Person, room: RelayAddress) -> None:
    """Show that a room is left alone: meanwhile another one on the same client connects again and again."""
    one.client.open_room(room_on(room, owner="bob"), one.identity, "x")
    one.ear.until_state(Connection.RECONNECTING, 6)


def threads() -> set[str]:
    """The threads of clients.  (The engine keeps one of its own for all of them, as long as the program runs.)"""
    own = {"parley-io", "parley-worker", "parley-aside"}
    return {thread.name for thread in threading.enumerate() if thread.name in own}
