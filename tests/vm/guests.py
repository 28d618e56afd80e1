"""People who only come and go: one seat, a certificate, or a crowd that keeps coming while something happens."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
import ssl
import threading
import time

from machine import GUESTS

from chatcore.invite import RelayAddress
from chatcore.wire import FRAME_SIZE, NO_PASS, ROOM_ID_SIZE, Frame, Kind, Refusal, join_block, parse_frame

EACH_S = 0.1
PATIENCE_S = 20.0


class ComeBackError(OSError):
    """Who was just coming in when the relay was told to stop is told to come back in some seconds, and does."""


def unpinned() -> ssl.SSLContext:
    """Return a context that takes any certificate: the two who talk compare the pin, guests only count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def joining(relay: RelayAddress, room: bytes) -> bytes:
    """Return the first frame that a guest sends."""
    return Frame(Kind.JOIN, block=join_block(room, relay.relay_pass or NO_PASS)).to_bytes()


def _tls(relay: RelayAddress, source: str, timeout_s: float) -> ssl.SSLSocket:
    tcp = socket.create_connection((relay.host, relay.port), timeout_s, (source, 0))
    try:
        return unpinned().wrap_socket(tcp)
    except OSError:
        tcp.close()
        raise


def stay(relay: RelayAddress, source: str = GUESTS[0], timeout_s: float = PATIENCE_S) -> ssl.SSLSocket:
    """Go in, through TLS, and stay.  Raises OSError when that isn't possible."""
    sock = _tls(relay, source, timeout_s)
    try:
        sock.sendall(joining(relay, secrets.token_bytes(ROOM_ID_SIZE)))
        data = b""
        while len(data) < FRAME_SIZE:
            piece = sock.recv(FRAME_SIZE - len(data))
            if not piece:
                raise ConnectionResetError("it closed")
            data += piece
        answer = parse_frame(data)
        if answer.kind is Kind.REFUSED and answer.argument == Refusal.SHUTTING_DOWN:
            raise ComeBackError
        if answer.kind is not Kind.WELCOME:
            raise ConnectionRefusedError(f"it answered {answer.kind.name} {answer.argument}")
    except BaseException:
        sock.close()
        raise
    return sock


def take_a_seat(relay: RelayAddress, source: str = GUESTS[0], timeout_s: float = PATIENCE_S) -> None:
    """Go in, and out again.  Raises OSError when that isn't possible."""
    stay(relay, source, timeout_s).close()


def lives(sock: ssl.SSLSocket) -> bool:
    """Tell whether a connection on which nobody reads otherwise is still there."""
    sock.settimeout(0)
    try:
        while sock.recv(65_536):
            pass
    except ssl.SSLWantReadError:
        return True
    except OSError:
        pass
    return False


def end_of(sock: ssl.SSLSocket, timeout_s: float) -> float:
    """Answer what the relay asks until it ends the connection; return when that was (monotonic), inf if it wasn't."""
    end_s = time.monotonic() + timeout_s
    try:
        while True:
            sock.settimeout(max(0.1, end_s - time.monotonic()))
            if not sock.recv(65_536):
                break
            sock.sendall(Frame(Kind.PONG).to_bytes())
    except TimeoutError:
        return float("inf")
    except OSError:
        pass
    return time.monotonic()


def seated(relay: RelayAddress, timeout_s: float = PATIENCE_S, source: str = GUESTS[0]) -> bool:
    """Tell whether the relay gives a seat."""
    with contextlib.suppress(OSError):
        take_a_seat(relay, source, timeout_s)
        return True
    return False


def certificate_at(relay: RelayAddress) -> bytes:
    """Return the certificate that is served, in DER."""
    with _tls(relay, GUESTS[1], PATIENCE_S) as sock:
        return sock.getpeercert(binary_form=True) or b""


class Crowd:
    """Somebody new every tenth of a second, each from the next of a hundred addresses."""

    def __init__(self, relay: RelayAddress) -> None:
        self.relay = relay
        self.arrived = self.refused = self.told_to_come_back = 0
        self.longest_s = 0.0
        self.why: list[str] = []
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Crowd:
        self._threads.append(threading.Thread(target=self._come))
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in list(self._threads):
            thread.join(PATIENCE_S + 5)

    def _come(self) -> None:
        for source in itertools.cycle(GUESTS):
            if self._end.wait(EACH_S):
                return
            thread = threading.Thread(target=self._one, args=(source,))
            self._threads.append(thread)
            thread.start()

    def _one(self, source: str) -> None:
        begin_s, why, back = time.monotonic(), "", 0
        try:
            take_a_seat(self.relay, source)
        except ComeBackError:
            back = 1
        except OSError as error:
            why = f"{type(error).__name__}: {error}"
        with self._lock:
            self.arrived += 1
            self.told_to_come_back += back
            self.longest_s = max(self.longest_s, time.monotonic() - begin_s)
            if why:
                self.refused += 1
                self.why.append(why)
