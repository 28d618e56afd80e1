"""Sockets, time and signals around the switch: asyncio, or uvloop where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast

from chatcore.errors import ConfigError, RelayError, WireError
from relay import across, keys, proxy
from relay.cluster import Cluster
from relay.config import Config, is_loopback, is_wildcard
from relay.connection import RESET, Connection, TlsConnection
from relay.engine_nats import NatsEngine, context_of
from relay.intake import INTAKE_BYTES
from relay.journal import Journal, quiet_asyncio
from relay.limits import Door, Limits, is_among, network_of
from relay.porch import Porch
from relay.switch import Switch
from relay.system import notify_service_manager, open_file_limit

BACKLOG = 1024
TURNED_AWAY_AT_ONCE = 8  # of those who come too often; who is let in costs more, and is one stranger's turn
ACCEPT_AGAIN_S = 0.25
RESERVED_FILES = 64  # descriptors for all that isn't a connection
STOP_S = 3.0
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def line_of(config: Config) -> str:
    """Return the line that people put into invites.  Raises ConfigError when the certificate can't be used.

    Behind a TLS terminator it is the terminator's key that clients see, so its pin is the spare one.
    """
    pins = [config.spare_pin] if config.spare_pin else []
    if not config.behind_tls_terminator:
        pins = [keys.pin_of(config.certificate), *pins] if config.certificate is not None else []
    pins = list(dict.fromkeys(pins))  # a relay that is just changing over to its spare key has one
    return keys.relay_line(config.host, config.public_port or config.port, tuple(pins), config.relay_pass)


_UNTIL_RESTART = ("listen", "port", "event_loop", "metrics", "control", "engine")


def _context_of(config: Config) -> ssl.SSLContext | None:
    if config.certificate is None or config.key is None:
        return None
    return keys.server_context(config.certificate, config.key)


def _end_of(config: Config) -> int | None:
    """Return when the certificate ends, in seconds since 1970; None when there is none, or it doesn't say."""
    with contextlib.suppress(ConfigError):
        return keys.validity(config.certificate)[1] if config.certificate is not None else None
    return None


class Server:
    """One relay: listeners, connections, and the beat."""

    def __init__(self, config: Config, *, unlimited: bool = False, passed: Sequence[socket.socket] = ()) -> None:
        """`passed` are sockets on which the service manager listens for us, instead of those in the configuration."""
        self.config = config
        self._passed = passed
        self._unlimited = unlimited
        self.limits = self._limits_of(config)
        self.context = _context_of(config)
        self.ends_s = _end_of(config)
        self.journal = Journal()
        self.sealed = memoryview(bytearray(INTAKE_BYTES))
        self.port = config.port
        self.line = ""  # what people put into invites; empty until started
        self.state = "starting"  # then "ready", at last "stopping"
        self.lag_s = 0.0  # how late the last beat came: how long something else kept the loop
        self.loop: asyncio.AbstractEventLoop
        self.switch: Switch
        self.engine: NatsEngine | None = None  # to other relays
        self.porch: Porch
        self.door: Door
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._beat: asyncio.TimerHandle | None = None
        self._beat_due_s = 0.0

    def _limits_of(self, config: Config) -> Limits:
        return config.limits.unlimited() if self._unlimited else config.limits

    def reload(self, config: Config) -> list[str]:
        """Take over another configuration's certificate, limits and pass; return a sentence on what it didn't.

        Connections stay as they are, under the certificate with which they came.  Raises ConfigError when the
        configuration can't be used, and then nothing has changed.
        """
        context, line = _context_of(config), line_of(replace(config, port=self.port))
        remarks = []
        if fixed := [name for name in _UNTIL_RESTART if getattr(config, name) != getattr(self.config, name)]:
            remarks.append(f"a change of {' and '.join(fixed)} needs a restart, and the rest is taken over.")
            config = replace(config, **{name: getattr(self.config, name) for name in fixed})
        if line != self.line:
            remarks.append("the line for invites has changed; `line` prints it, and invites made before may end.")
            self.line = line
        self.config, self.context, self.limits = config, context, self._limits_of(config)
        self.ends_s = _end_of(config)
        self.switch.limits, self.switch.relay_pass = self.limits, config.relay_pass
        self.door.rule(self.limits, self._most_connections())
        for seat in self.switch.seats:
            if isinstance(seat.port, Connection):
                seat.port.rule()
        return remarks

    async def start(self) -> None:
        """Listen.  Raises RelayError with one sentence when that isn't possible."""
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _loop, context: self.journal.fault(context.get("exception")))
        quiet_asyncio()
        self.switch = Switch(self.limits, self.config.relay_pass, later=self.loop.call_soon, note=self.journal.note)
        self.porch = Porch(self.loop.call_later, time.perf_counter, self.switch)
        self.door = Door(self.limits, self._most_connections())
        self._listen()
        self.line = line_of(replace(self.config, port=self.port))
        self._meet_others()
        for listener in self._listeners:
            self._watch(listener)
        self._beat_due_s = self.loop.time() + 1
        self._beat = self.loop.call_at(self._beat_due_s, self._on_beat)
        self.state = "ready"
        self.journal.note("listening")
        notify_service_manager("READY=1")

    def _meet_others(self) -> None:
        """Join the other relays, if the configuration names an engine.  Whether it is up now doesn't matter."""
        if self.config.engine is not None:
            boot = secrets.token_bytes(across.BOOT_SIZE)
            self.engine = NatsEngine(self.config.engine, boot, note=self.journal.note, fault=self.journal.fault)
            self.switch.cluster = Cluster(
                self.switch, self.engine, boot, later=self.loop.call_soon, now_ms=lambda: time.time_ns() // 1_000_000
            )
            self.engine.start(self.switch.cluster)

    def _most_connections(self) -> int:
        """Return the cap on connections, kept below the real limit on descriptors."""
        within = connections_within(self.limits.max_connections, open_file_limit())
        if within < self.limits.max_connections:
            self.journal.note("files")
        return within

    def _listen(self) -> None:
        if self._passed:
            self._listeners = list(self._passed)
            self.port = self._listeners[0].getsockname()[1]
            if self.config.port not in (0, self.port):
                raise ConfigError(
                    f"the service manager listens on port {self.port}, and the configuration says {self.config.port}; "
                    "write the same into both (systemctl edit parley-relay.socket), or leave it to public_port."
                )
            return
        for host in self.config.listen:
            try:
                self._listeners.append(listener(host, self.port))
            except OSError as error:
                no_ipv6 = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and is_wildcard(host)
                if no_ipv6 and len(self.config.listen) > 1:
                    continue  # this computer has no IPv6 (or no IPv4), and that is no mistake
                self._close_listeners()
                raise RelayError(why_not_listening(error, host, self.port)) from None
            self.port = self.port or self._listeners[0].getsockname()[1]
        if not self._listeners:
            raise RelayError("the relay can't listen on any address; look at `listen` in its configuration.")

    def _watch(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            try:
                self.loop.add_reader(listener, self._on_arrival, listener)
            except OSError as error:  # the kernel has no room for it
                self._watch_later(listener, error)

    def _watch_later(self, listener: socket.socket, trouble: Exception) -> None:
        """Note why, and wait: asking again at once would burn a core until there is a descriptor, say."""
        self._note_trouble(trouble)
        self.loop.call_later(ACCEPT_AGAIN_S, self._watch, listener)

    def _on_arrival(self, listener: socket.socket) -> None:
        self.loop.remove_reader(listener)  # the rest of their line waits in the kernel
        self.porch.arrive(partial(self._let_in, listener))

    def _let_in(self, listener: socket.socket) -> None:
        if listener.fileno() < 0:
            return
        try:
            self._accept(listener)
        except BlockingIOError:
            self._watch(listener)
        except Exception as error:  # whatever it is, others want to come in after it
            self._watch_later(listener, error)
        else:
            self.porch.arrive(partial(self._let_in, listener))

    def _accept(self, listener: socket.socket) -> None:
        """Let in the first who may come in, or turn some away.  Raises OSError, BlockingIOError if nobody waits."""
        for _ in range(TURNED_AWAY_AT_ONCE):
            try:
                sock, peer = listener.accept()
            except ConnectionAbortedError:
                continue  # who was next has gone
            sock.setblocking(False)
            if not is_among(peer[0], self.config.proxy_from):
                if self._admit(sock, network_of(peer[0])):
                    return
            elif self.door.hold():
                self._spawn(self._introduce(sock, peer[0]))
                return
            else:
                self._turn_away(sock, "crowd")

    def _let_all_in(self, listener: socket.socket) -> None:
        try:
            for _ in range(BACKLOG):
                self._accept(listener)
        except BlockingIOError:
            pass
        except Exception as error:  # whatever it is, those inside are to hear of the end
            self._note_trouble(error)

    def _note_trouble(self, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in _OUT_OF_FILES:
            self.journal.note("exhausted")
        else:
            self.journal.fault(error)

    def _turn_away(self, sock: socket.socket, word: str) -> None:
        self.journal.note(word)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()

    def _admit(self, sock: socket.socket, network: str) -> bool:
        verdict = self.door.arrive(network, self.loop.time())
        if not verdict.enter:
            self._turn_away(sock, "crowd")
            return False
        kind = Connection if self.context is None else TlsConnection
        connection = kind(self, sock, self.door.name(network), verdict.doom)
        self._spawn(self._connect(connection, sock))
        return True

    async def _introduce(self, sock: socket.socket, proxy_host: str) -> None:
        """Read for whom a proxy connects, and not one byte more; then that address counts at the door."""
        host = None
        try:
            async with asyncio.timeout(self.limits.join_deadline_s):
                head = await self._exactly(sock, proxy.HEAD_SIZE)
                rest = await self._exactly(sock, proxy.rest_size(head))
            host = proxy.source(head, rest) or proxy_host
        except (WireError, OSError, TimeoutError):
            self._turn_away(sock, "proxy")
        except asyncio.CancelledError:
            sock.close()
            raise
        finally:
            self.door.let_go()
        if host is not None:
            self._admit(sock, network_of(host))

    async def _exactly(self, sock: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self.loop.sock_recv(sock, size - len(data))
            if not piece:
                raise WireError("the connection ended in a PROXY header")
            data += piece
        return data

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: Connection, sock: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: connection, sock)
        except (OSError, asyncio.CancelledError):
            sock.close()
            self.lost(connection)

    def note(self, word: str) -> None:
        """Log one word."""
        self.journal.note(word)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        if connection.network is not None:
            self.door.leave(connection.network)
            connection.network = None

    def _on_beat(self) -> None:
        now_s = self.loop.time()
        self.lag_s = max(0.0, now_s - self._beat_due_s)
        self._beat_due_s = now_s + 1
        self._beat = self.loop.call_at(self._beat_due_s, self._on_beat)
        self.switch.beat()
        self.door.beat(self.loop.time())
        self.journal.beat()
        notify_service_manager("WATCHDOG=1")

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(ValueError, AttributeError):
                self.loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()

    async def stop(self) -> None:
        """Drain: tell everybody to come back, those on the way in too; flush; end after STOP_S at the latest."""
        notify_service_manager("STOPPING=1")
        self.state = "stopping"
        self.journal.note("stopping")
        self.switch.shut_down()
        if not self._passed:  # at those who come to such a socket looks whoever is started next
            for listener in self._listeners:
                self._let_all_in(listener)
        self._close_listeners()
        end_s = self.loop.time() + STOP_S
        while self.door.connections and self.loop.time() < end_s:
            await asyncio.sleep(0.02)
        for seat in list(self.switch.seats):
            seat.port.reset()
        await asyncio.sleep(0)
        if self.engine is not None:
            await self.engine.close()
        if self._beat is not None:
            self._beat.cancel()
        self.journal.tell()
        self.journal.note("stopped")


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens at this address.  Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    sock = socket.create_server(cast(Any, address), family=family, backlog=BACKLOG)
    sock.setblocking(False)
    return sock


def why_not_listening(error: OSError, host: str, port: int) -> str:
    """Return one sentence about what `listener` raised."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: stop the other program (or relay), or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"port {port} needs special rights: choose one above 1023 with --port."
    return f"the relay can't listen on {host}: this is no address of this computer; look at `listen` or --host."


def check_exposure(config: Config, *, plaintext: bool, unlimited: bool) -> None:
    """Raise ConfigError when a relay that others can reach would be open in a way that only suits this computer."""
    public = [host for host in config.listen if not is_loopback(host)]
    if plaintext and public and not config.behind_tls_terminator:
        raise ConfigError(
            f"--plaintext is refused on {public[0] or 'a public address'}, because others could read along; leave it "
            "out, or set behind_tls_terminator = true if a program in front of the relay does TLS."
        )
    if public and is_loopback(config.host) and not plaintext:
        raise ConfigError(
            f"the line for invites would say {config.host}, which others can't dial; write what they dial as host into "
            "the configuration, or make one with: parley-relay init --host NAME-OR-IP"
        )
    if unlimited and public:
        raise ConfigError(
            f"--unlimited is refused on {public[0] or 'a public address'}, because one stranger could then use up the "
            "relay; it is for benchmarks on 127.0.0.1."
        )


def check(config: Config) -> None:
    """Raise ConfigError if a relay could not start with this configuration, or take it over while it runs."""
    check_exposure(config, plaintext=config.behind_tls_terminator, unlimited=False)
    if not config.behind_tls_terminator:
        _context_of(config)
    if config.engine is not None:
        context_of(config.engine)
    line_of(config)
    loop_factory(config.event_loop)


def files_for(connections: int) -> int:
    """Return how many descriptors so many connections need, with those that are only told to go, and all else."""
    return connections + connections // 16 + RESERVED_FILES


def connections_within(most: int, files: int | None) -> int:
    """Return how many connections, `most` at most, so many descriptors allow (None: as many as you like)."""
    if files is None or files_for(most) <= files:
        return most
    return max(1, (files - RESERVED_FILES) * 16 // 17)


class NewLoop(Protocol):
    """Something that makes an event loop."""

    def __call__(self) -> asyncio.AbstractEventLoop:
        """Make it."""


def loop_factory(choice: str) -> NewLoop:
    """Return what makes the event loop: "asyncio", "uvloop", or "auto" for uvloop where it is installed."""
    if choice == "asyncio":
        return asyncio.SelectorEventLoop
    try:
        import uvloop
    except ImportError:
        if choice == "uvloop":
            raise ConfigError('event_loop = "uvloop" needs the uvloop package; install it, or write "auto".') from None
        return asyncio.SelectorEventLoop
    return cast(NewLoop, uvloop.new_event_loop)


def configure_logging_off() -> None:
    """Keep Python's last-resort handler from printing warnings of a relay that runs inside another program."""
    logging.getLogger("parley.relay").addHandler(logging.NullHandler())
