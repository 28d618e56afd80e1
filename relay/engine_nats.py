"""The engine of many relays: one connection to one of several NATS servers, and another one when that falls silent.

What this relay says of itself each second must come back through the connection.  When that stays away for three
seconds the connection is dropped and the next server tried, whatever TCP thinks: a server that is stopped, or behind a
broken network, looks alive to TCP for a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from chatcore.errors import ConfigError, WireError
from relay import nats
from relay.across import BLOCK_BYTES, MAX_MESSAGE_BYTES, NAME, Subjects
from relay.engine import Events, Place, Settings
from relay.names import Names

CONNECT_S = 2.0
SILENCE_S = 3.0  # until our own heart isn't heard any more
USER_TIMEOUT_MS = 4000
AGAIN_S = (0.1, 2.0)  # between tries, once every server was tried in vain
MAX_WAITING_BYTES = 4 * 2**20  # for an engine that is slow: a second of 15,000 blocks
CLOSE_S = 1.0
_READ_BYTES = 1 << 18
_BLOCKS_SID, _HEARTS_SID = 1, 2


def context_of(settings: Settings) -> ssl.SSLContext | None:
    """Return how to speak TLS with the engine; None when no place wants it.  Raises ConfigError."""
    if not any(place.tls for place in settings.places):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # From Python 3.13 on an authority has to say besides what its key is for, which one made with openssl doesn't.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the files that [engine] names can't be used ({error.strerror or 'no PEM'}); ca must be the certificate "
            "of the engine's authority, certificate and key what this relay shows to the engine."
        ) from None
    return context


class NatsEngine:
    """An `Engine` over NATS.  `note` takes words for the log, `fault` mistakes of our own."""

    def __init__(
        self,
        settings: Settings,
        boot: bytes,
        *,
        note: Callable[[str], None],
        fault: Callable[[BaseException], None],
    ) -> None:
        self.up = False
        self.down_s = time.monotonic()  # since when, while it isn't up
        self.connections = 0
        self.lost_blocks = 0  # that were never sent: it was away, or too slow
        self.refused = 0
        self._settings = settings
        self._context = context_of(settings)
        self._names = Names()
        self._subjects = Subjects(settings.cluster, settings.name, boot.hex())
        self._note = note
        self._fault = fault
        self._events: Events
        self._sids: dict[str, int] = {}
        self._tokens: dict[int, str] = {}
        self._last_sid = _HEARTS_SID
        self._out: list[bytes] = []
        self._out_bytes = self._out_blocks = 0
        self._heart = b""
        self._heard_s = 0.0
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_well(self) -> bool:
        """Whether it is up, or was a moment ago."""
        return self.up or time.monotonic() - self.down_s <= SILENCE_S

    def start(self, events: Events) -> None:
        """Begin to look for a server; it is told when one is found."""
        self._events = events
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Bring out what was said, and end."""
        self._flush()
        if self._writer is not None and self.up:
            with contextlib.suppress(OSError, TimeoutError):
                self._writer.transport.set_write_buffer_limits(high=0)
                async with asyncio.timeout(CLOSE_S):
                    await self._writer.drain()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # -- what the cluster says

    def subscribe_room(self, token: str) -> None:
        """Have words about this room."""
        self._last_sid += 1
        self._sids[token], self._tokens[self._last_sid] = self._last_sid, token
        self._write(nats.subscribe(self._subjects.room(token), self._last_sid))

    def unsubscribe_room(self, token: str) -> None:
        """Have them no more."""
        self._flush()  # what is to be said about it comes before
        sid = self._sids.pop(token)
        del self._tokens[sid]
        self._write(nats.unsubscribe(sid))

    def publish_batch(self, name: str, boot: str, token: str, blocks: bytes) -> None:
        """Send blocks to another relay."""
        self._out_blocks += len(blocks) // BLOCK_BYTES
        self._publish(self._subjects.blocks(name, boot, token), blocks)

    def publish_word(self, token: str, data: bytes) -> None:
        """Tell all relays about a room."""
        self._publish(self._subjects.own_words(token), data)

    def beat(self, data: bytes) -> None:
        """Tell all relays about this one; give up a server through which that doesn't come back."""
        self._heart = data
        self._flush()
        self._write(nats.publish(self._subjects.own_heart, data))
        now_s = time.monotonic()
        if self.up and now_s - self._heard_s > SILENCE_S:
            self._note("engine_silent")
            self._drop()
        elif not self.up and now_s - self.down_s > SILENCE_S:
            self._lose()  # nobody waits for it any more

    # -- out

    def _publish(self, subject: str, payload: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        data = nats.publish(subject, payload)
        self._out.append(data)
        self._out_bytes += len(data)

    def _flush(self) -> None:
        """Write what was said in this turn; while there is no server, keep a little for a moment."""
        writer = self._open_writer()
        waiting = writer.transport.get_write_buffer_size() if writer is not None else 0
        if self._out and waiting + self._out_bytes > MAX_WAITING_BYTES:
            self._note("engine_slow")
            self._lose()
        if writer is not None and self._out:
            writer.write(b"".join(self._out))
            self._out.clear()
            self._out_bytes = self._out_blocks = 0

    def _lose(self) -> None:
        self.lost_blocks += self._out_blocks
        self._out.clear()
        self._out_bytes = self._out_blocks = 0

    def _write(self, data: bytes) -> None:
        if (writer := self._open_writer()) is not None:
            writer.write(data)

    def _open_writer(self) -> asyncio.StreamWriter | None:
        writer = self._writer
        return writer if self.up and writer is not None and not writer.transport.is_closing() else None

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    # -- in

    async def _run(self) -> None:
        """Find a server, stay with it, find the next."""
        places = list(self._settings.places)
        random.shuffle(places)  # else all relays would be at the first
        wait_s, tried = AGAIN_S[0], 0
        while True:
            if tried >= len(places):
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
                wait_s, tried = min(wait_s * 2, AGAIN_S[1]), 0
            places.append(places.pop(0))
            try:
                reader, writer, said = await self._connect(places[-1])
            except Exception as error:  # none that comes of a server, or of its name, may end the search
                tried += 1
                if not isinstance(error, (OSError, EOFError, WireError, UnicodeError)):
                    self._fault(error)
                self._note("engine_denied" if isinstance(error, PermissionError) else "engine_away")
                continue
            tried += 1
            begun_s = time.monotonic()
            try:
                self._begin(writer)
                await self._listen(reader, said)
            except (OSError, EOFError, WireError, ssl.SSLError):
                pass
            except Exception as error:
                self._fault(error)
            finally:
                self.up, self.down_s = False, time.monotonic()
                if self.down_s - begun_s > SILENCE_S:  # else it is no better than one that can't be reached
                    wait_s, tried = AGAIN_S[0], 0
                self._writer = None
                writer.transport.abort()
            self._note("engine_lost")

    async def _connect(self, place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, nats.Reader]:
        async with asyncio.timeout(CONNECT_S):
            return await connect(place, self._context, self._names)

    def _begin(self, writer: asyncio.StreamWriter) -> None:
        self._writer, self.up = writer, True
        self.connections += 1
        self._heard_s = time.monotonic()
        self._note("engine_up")
        lines = [nats.subscribe(self._subjects.own_blocks, _BLOCKS_SID)]
        lines.append(nats.subscribe(self._subjects.all_hearts, _HEARTS_SID))
        lines += [nats.subscribe(self._subjects.room(token), sid) for sid, token in self._tokens.items()]
        writer.write(b"".join(lines))
        self._flush()
        self._events.engine_is_up()

    async def _listen(self, reader: asyncio.StreamReader, said: nats.Reader) -> None:
        while data := await reader.read(_READ_BYTES):
            for one in said.receive_data(data):
                self._take(one)

    def _take(self, said: nats.Said) -> None:
        match said:
            case nats.Delivery(sid, subject, payload):
                last = subject.rpartition(".")[2]
                if sid == _BLOCKS_SID:
                    self._events.take_blocks(last, payload)
                elif not NAME.fullmatch(last):
                    self.refused += 1
                elif sid == _HEARTS_SID:
                    if payload == self._heart and last == self._settings.name:
                        self._heard_s = time.monotonic()
                    self._events.take_heart(last, payload)
                elif sid in self._tokens:
                    self._events.take_word(self._tokens[sid], last, payload)
            case nats.PING:
                self._write(nats.PONG)
            case nats.Skipped():
                self.refused += 1
            case nats.Trouble(fatal, denied):
                self._note("engine_denied" if denied else "engine_lost")
                if fatal:
                    raise WireError("the engine hangs up")


async def _open(place: Place, names: Names) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of its addresses that answers."""
    error: OSError = OSError("no address")
    for address in await names.addresses(place.host):
        try:
            return await asyncio.open_connection(address, place.port, limit=nats.MAX_LINE_BYTES)
        except OSError as this:
            error = this
    raise error


async def connect(
    place: Place, context: ssl.SSLContext | None, names: Names
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, nats.Reader]:
    """Connect to one server and be let in.  Raises OSError, EOFError, ssl.SSLError, WireError; never waits for long."""
    reader, writer = await _open(place, names)
    try:
        _set_options(writer.get_extra_info("socket"))
        try:
            line = await reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise WireError("no INFO") from None
        info = next(nats.Reader(MAX_MESSAGE_BYTES).receive_data(line), None)
        if not isinstance(info, nats.Info) or info.max_payload < MAX_MESSAGE_BYTES:
            raise WireError("no engine, or one for shorter messages")
        if info.tls_required and not place.tls:
            raise WireError("it wants TLS")
        if place.tls:
            await writer.start_tls(context or ssl.create_default_context(), server_hostname=place.host)
        writer.write(nats.connect(place.user, place.password))
        said = nats.Reader(MAX_MESSAGE_BYTES)
        while data := await reader.read(nats.MAX_LINE_BYTES):
            for one in said.receive_data(data):
                if isinstance(one, nats.Trouble):
                    raise PermissionError
                if one == nats.PONG:
                    return reader, writer, said
        raise WireError("it hung up")
    except BaseException:
        writer.transport.abort()
        raise


def _set_options(sock: Any) -> None:
    """Let TCP itself notice a dead peer soon, too."""
    for level, name, value in (
        ("IPPROTO_TCP", "TCP_NODELAY", 1),
        ("SOL_SOCKET", "SO_KEEPALIVE", 1),
        ("IPPROTO_TCP", "TCP_KEEPIDLE", 2),
        ("IPPROTO_TCP", "TCP_KEEPINTVL", 1),
        ("IPPROTO_TCP", "TCP_KEEPCNT", 2),
        ("IPPROTO_TCP", "TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
    ):
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                sock.setsockopt(getattr(socket, level), getattr(socket, name), value)
