"""One connection to one relay (made by `dial`): the pin, frames, pings.  Shell; knows no rooms, keys or members.

The relay is known by its public key alone: SHA-256 of the SubjectPublicKeyInfo it presents must be one of the pins in
the invite, and that is looked at before the first byte is written.  No certificate authority, host name or date counts,
and there is no way back to them.  Plain TCP is for a relay on this computer (`RelayAddress` sees to that).
docs/PROTOCOL.md, "The wire" and "Transport".

PINGs are answered here, as soon as they are read: how long a PONG takes tells nothing of what blocks were worth.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatcore.errors import WireError
from chatcore.proxy import Proxy
from chatcore.wire import FRAME_SIZE, Frame, FrameReader, Kind, Refusal, Turns

T = TypeVar("T")

READ_HIGH_BYTES = 4 * 2**20  # read no more while so much waits for the worker: some seconds of RSA
READ_LOW_BYTES = 2**20
WRITE_HIGH_BYTES = 256 * 1024  # take no more from the room while so much waits for the relay
LEAVE_S = 2.0  # for the last bytes of a connection that is left

NO_ANSWER = "The relay doesn't answer. Parley keeps trying."
LOST = "The connection to the relay was lost. Parley is connecting again."
SILENT = "The relay has fallen silent. Parley is connecting again."
GARBLED = "The relay sent something that makes no sense. Parley is connecting again."


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a client is, in seconds."""

    dial_s: float = 20.0  # to find the relay, connect and shake hands
    proxy_s: float = 90.0  # before that, for a proxy to find a way: Tor builds it of six computers
    welcome_s: float = 15.0  # to be given a seat
    ping_after_s: float = 20.0  # of silence
    measure_s: float = 60.0  # between PINGs that show how long the way is, on a busy line too
    silence_s: float = 40.0  # until the relay is taken for gone
    flush_s: float = 2.0  # to bring out what was said last before closing
    retry_first_s: float = 1.0
    retry_most_s: float = 30.0  # of two people, one is always the later: in a minute they'd take the room for broken
    stable_s: float = 30.0  # a connection that lasted so long starts the back-off anew
    renew_s: float = 3600.0  # until another connection with a fresh key takes the place of this one; jittered
    renew_again_s: float = 300.0  # until that is tried again
    look_out_s: float = 5.0  # until those who were away are looked for at the relay of before; most who are here are up


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection ended: a sentence, or what the relay said when it refused us (`refusal` and seconds to wait)."""

    reason: str = LOST
    refusal: int = 0
    wait_s: int = 0


class Owner(Protocol):
    """Whom a cable belongs to."""

    def frames_came(self, cable: Cable) -> None:
        """Frames wait for the worker (272 bytes, no PINGs, PONGs or refusals), or the connection has ended."""

    def seat_given(self) -> None:
        """The relay has welcomed us."""

    def writable_again(self) -> None:
        """The relay has caught up with what we wrote."""

    def round_trip(self, seconds: float) -> None:
        """A PING came back so long after it went out."""


class Cable(asyncio.Protocol):
    """One connection.  Lives on the I/O thread; the worker takes frames, and sees what stands below.

    `lost` is done when the connection has ended, and says why; `gone` is set when its socket is closed, too.
    """

    def __init__(self, pins: tuple[bytes, ...], owner: Owner) -> None:
        # Each block costs a quarter of a millisecond to open: in turns, one who talks without end delays nobody.
        self._inbox: Turns[tuple[float, bytes]] = Turns()  # when it came (monotonic seconds), a frame
        self._inbox_lock = threading.Lock()
        self.scheduled = False  # the worker knows that something waits
        self.ended = False
        self.open_to_write = True
        self.ready = False  # the pin was right
        self.seated = False
        self.way: Proxy | None = None  # through which it goes
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[End] = loop.create_future()
        self.gone = asyncio.Event()
        self.made_s = self.heard_s = loop.time()
        self.drained = asyncio.Event()
        self.drained.set()
        self._loop = loop
        self._pins = pins
        self._owner = owner
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._pongs: dict[int, asyncio.Event] = {}
        self._pings = 0
        self._pinged: tuple[int, float] | None = None  # the PING whose way is timed, and when it went out
        self._reading = True
        self._leaving = False

    # -- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at the relay's key.  If it is another one, the connection is dropped before anything is written."""
        self._transport = cast(asyncio.Transport, transport)
        if self._pins:
            tls = transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(binary_form=True) if tls is not None else None
            if not is_pinned(certificate, self._pins):
                self._transport.abort()
                return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.ready = True

    def data_received(self, data: bytes) -> None:
        """Cut frames; answer what is the relay's own business; keep the rest for the room."""
        if self.lost.done() or not self.ready:
            return
        self.heard_s = self._loop.time()
        try:
            while frames := self._reader.receive_data(data):  # the second time around there is nothing, or trouble
                for frame in frames:
                    self._take(frame)
                data = b""
        except WireError:  # before it gave us a seat: no relay that we understand
            self.drop(End(GARBLED) if self.seated else End(refusal=Refusal.VERSION))
            return
        if self.waiting:
            self._owner.frames_came(self)
            if self._reading and self.waiting * FRAME_SIZE > READ_HIGH_BYTES:
                self._reading = False
                self._pause(True)

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.PING:
                if self.open_to_write:  # a relay that pings and doesn't read gets no heap of PONGs from us
                    self.write(Frame(Kind.PONG, frame.argument, frame.number).to_bytes())
            case Kind.PONG:
                if self._pinged is not None and frame.number == self._pinged[0]:
                    self._owner.round_trip(self._loop.time() - self._pinged[1])
                    self._pinged = None
                waiting = self._pongs.pop(frame.number, None)
                if waiting is not None:
                    waiting.set()
            case Kind.REFUSED:
                self.drop(End("", frame.argument or -1, frame.number))
            case Kind.WELCOME if not self.seated:
                self.seated = True
                self._owner.seat_given()
                self._keep(frame)
            case _:
                self._keep(frame)

    def _keep(self, frame: Frame) -> None:
        with self._inbox_lock:
            self._inbox.add(frame.address, (self.heard_s, frame.to_bytes()))

    def pause_writing(self) -> None:
        """The relay doesn't read as fast as we write."""
        self.open_to_write = False
        self.drained.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.open_to_write = True
        self.drained.set()
        if not self.lost.done():
            self._owner.writable_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self.drop(End())
        self.gone.set()

    # -- called by the worker

    @property
    def waiting(self) -> int:
        """How many frames wait for the worker."""
        return self._inbox.count

    @property
    def senders(self) -> int:
        """From how many addresses frames wait."""
        return len(self._inbox.queues)

    @property
    def waiting_since_s(self) -> float | None:
        """When the one came that has waited longest (monotonic seconds); None when none waits."""
        with self._inbox_lock:
            return min((came_s for came_s, _ in self._inbox.heads()), default=None)

    def take(self, most: int) -> list[bytes]:
        """Return the next frames for the room, at most so many."""
        with self._inbox_lock:
            return [frame for _, frame in self._inbox.take(most)]

    # -- called by the client

    def write(self, data: bytes) -> None:
        """Send bytes; does nothing once the connection has ended."""
        if self._transport is not None and not self._transport.is_closing() and not self.lost.done():
            self._transport.write(data)

    def write_at(self, due_s: float, data: bytes) -> None:
        """Send bytes at a time (monotonic seconds), or at once if that has passed."""
        self._loop.call_at(due_s, self.write, data)

    def drop(self, end: End) -> None:
        """End the connection at once.  The first reason counts."""
        if not self.lost.done():
            self.lost.set_result(end)
            for waiting in self._pongs.values():
                waiting.set()
            self.drained.set()
            self.ended = True
            self._owner.frames_came(self)
        if self._transport is not None and not self._leaving:
            self._transport.abort()

    def leave(self) -> None:
        """End a connection that isn't needed any more: what was written goes out, unless that takes long."""
        if self._transport is not None and not self.lost.done():
            self._leaving = True
            self._transport.close()
            self._loop.call_later(LEAVE_S, self._transport.abort)
        self.drop(End())

    def go_on_reading(self) -> None:
        """The worker has taken enough of what waits."""
        if not self._reading:
            self._reading = True
            self._pause(False)

    def _pause(self, pause: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if pause else self._transport.resume_reading)()

    async def settled(self) -> None:
        """Wait until the relay has dealt with all that was written, or the connection has ended.  A PING comes back."""
        if not self.lost.done():
            self._pings += 1
            self._pongs[self._pings] = waiting = asyncio.Event()
            self.write(Frame(Kind.PING, 0, self._pings).to_bytes())
            await waiting.wait()

    async def watch(self, timing: Timing) -> End:
        """Stay until the connection ends; ping a quiet relay, drop a silent one."""
        pinged_s = self.made_s
        while not self.lost.done():
            now_s = self._loop.time()
            if not self._reading:  # then it is us who don't listen
                self.heard_s = now_s
            if not self.seated and now_s >= self.made_s + timing.welcome_s:
                self.drop(End(NO_ANSWER))
            elif now_s >= self.heard_s + timing.silence_s:
                self.drop(End(SILENT))
            else:
                quiet = now_s >= self.heard_s + timing.ping_after_s and pinged_s <= self.heard_s
                if quiet or (self.seated and self.open_to_write and now_s >= pinged_s + timing.measure_s):
                    pinged_s = now_s
                    self._pings += 1
                    self._pinged = self._pings, now_s
                    self.write(Frame(Kind.PING, 0, self._pings).to_bytes())
                await asyncio.wait([self.lost], timeout=timing.ping_after_s / 4)
        return self.lost.result()


# -- the pin -----------------------------------------------------------------------------------------------------------


def is_pinned(certificate: bytes | None, pins: tuple[bytes, ...]) -> bool:
    """Say whether the key in a DER certificate (None: there was none) has one of the pins (32 bytes each).

    TLS has shown that the peer has the private half of that key.  Whatever is wrong with a certificate, a stranger's
    own make: it is not the relay's.
    """
    try:
        key = x509.load_der_x509_certificate(certificate or b"").public_key()
        info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # the library has several kinds, not all of one family
        return False
    pin = hashlib.sha256(info).digest()
    return any(hmac.compare_digest(pin, wanted) for wanted in pins)


# -- the loop ----------------------------------------------------------------------------------------------------------


class Loop(asyncio.SelectorEventLoop):
    """An event loop that can always be left.

    Looking up a name can hang for half a minute, and asyncio's own threads for it are waited for at the end of the
    program; here it runs on a thread that isn't.  Debug mode stays off, for it writes addresses into the log.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[threading.Thread] = set()
        self.set_debug(False)

    def aside(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run something slow on a thread of its own."""
        done: asyncio.Future[T] = self.create_future()

        def settle(result: Any, error: Exception | None) -> None:
            self.threads.discard(thread)
            if done.cancelled():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def run() -> None:
            result, failure = None, None
            try:
                result = function()
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.call_soon_threadsafe(settle, result, failure)

        thread = threading.Thread(target=run, name="parley-aside", daemon=True)
        self.threads.add(thread)
        thread.start()
        return done

    async def getaddrinfo(  # type: ignore[override]
        self, host: str | None, port: int | None, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Look up a name."""
        return await self.aside(lambda: socket.getaddrinfo(host, port, family, type, proto, flags))
