"""A crowd of strangers: the program that floods a relay.

    python -m trials.crowd KIND HOST PORT SECONDS ADDRESSES AT_ONCE [SOURCE-NETWORK]

`silent` connects and says nothing; `half` sends half of a TLS hello, `trickle` a byte of it each second, `hello` all of
it, waits for the answer that cost the relay a signature, and goes.  `knock` connects and goes, `http` asks for a page,
`spoof` begins with a PROXY header of an address drawn anew.  `silent`, `half` and `trickle` stay until they are closed,
the others come again at once.
AT_ONCE connections come from so many ADDRESSES of the network, in turn.
Prints one JSON object: how many came, how many were answered and closed, and how long those that stayed were let stay.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import selectors
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field

from relay_help import any_certificate

PATIENT = ("silent", "half", "trickle")
KNOCK_S = 0.01


def client_hello() -> bytes:
    """Return the first bytes of a TLS client; they may be sent again and again, and cost the sender nothing."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = any_certificate().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@dataclass
class Stranger:
    """One connection."""

    sock: socket.socket
    begun_s: float
    connected: bool = False
    due: bytes = b""
    next_s: float = 0.0


@dataclass
class Crowd:
    """All of them."""

    kind: str
    host: str
    port: int
    sources: list[str]
    came: int = 0
    answered: int = 0
    closed: int = 0
    stayed_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.here: dict[int, Stranger] = {}
        self.hello = client_hello()
        self.family = socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def run(self, seconds: float, at_once: int) -> dict[str, float]:
        """Flood for so long."""
        end_s = time.monotonic() + seconds
        began_s = time.monotonic()
        for _ in range(at_once):
            self.come()
        while (now_s := time.monotonic()) < end_s and self.here:
            for key, events in self.selector.select(0.05):
                self.meet(key.data, events)
            if self.kind == "trickle":
                self.trickle(now_s)
            elif self.kind == "knock":
                self.give_up(now_s - KNOCK_S)
        took_s = time.monotonic() - began_s
        for stranger in self.here.values():
            stranger.sock.close()
        stayed = sorted(self.stayed_s) or [0.0]
        return {
            "came": self.came,
            "answered": self.answered,
            "closed": self.closed,
            "left": len(self.here),
            "per_s": self.came / took_s,
            "answered_per_s": self.answered / took_s,
            "stayed_min_s": stayed[0],
            "stayed_max_s": stayed[-1],
        }

    def come(self) -> None:
        """Connect once more, from the next address."""
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # so that no port stays taken
        if self.sources:
            sock.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are counted for each address
            if self.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND: a route makes an address ours, too
            sock.bind((self.sources[self.came % len(self.sources)], 0))
        self.came += 1
        sock.connect_ex((self.host, self.port))
        stranger = Stranger(sock, time.monotonic())
        self.here[sock.fileno()] = stranger
        self.selector.register(sock, selectors.EVENT_WRITE, stranger)

    def meet(self, stranger: Stranger, events: int) -> None:
        """Go on with a connection that something happened to."""
        try:
            if not stranger.connected:
                stranger.connected = True
                self.selector.modify(stranger.sock, selectors.EVENT_READ, stranger)
                self.greet(stranger)
                return
            if stranger.sock.recv(65_536):
                self.answered += 1
                if self.kind in PATIENT:
                    return
            else:
                self.closed += 1
        except BlockingIOError:
            return
        except OSError:
            self.closed += 1
        self.go(stranger)

    def greet(self, stranger: Stranger) -> None:
        """Say the first words."""
        if self.kind == "half":
            stranger.sock.send(self.hello[: len(self.hello) // 2])
        elif self.kind == "trickle":
            stranger.due = self.hello
        elif self.kind == "hello":
            stranger.sock.send(self.hello)
        elif self.kind == "http":
            stranger.sock.send(b"GET / HTTP/1.1\r\nHost: relay.example\r\n\r\n")
        elif self.kind == "spoof":
            claimed = ipaddress.ip_address(0xC6120000 + self.came % 60_000).packed
            stranger.sock.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + claimed + bytes(8) + self.hello)
        elif self.kind == "knock":
            self.answered += not stranger.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.go(stranger)

    def trickle(self, now_s: float) -> None:
        """Send a byte of each that has something to say."""
        for stranger in list(self.here.values()):
            if stranger.due and now_s >= stranger.next_s:
                try:
                    stranger.sock.send(stranger.due[:1])
                except OSError:
                    continue  # which the selector sees, too
                stranger.due, stranger.next_s = stranger.due[1:], now_s + 1

    def give_up(self, since_s: float) -> None:
        """Let those go who came before that and aren't connected yet: the kernel would ask again after a second."""
        late = itertools.takewhile(lambda stranger: stranger.begun_s < since_s, self.here.values())
        for stranger in list(late):
            self.go(stranger)

    def go(self, stranger: Stranger) -> None:
        """End a connection; who isn't patient comes again."""
        self.stayed_s.append(time.monotonic() - stranger.begun_s)
        self.here.pop(stranger.sock.fileno(), None)
        self.selector.unregister(stranger.sock)
        stranger.sock.close()
        if self.kind not in PATIENT:
            self.come()


def main() -> None:
    """Flood as told."""
    kind, host, port, seconds, addresses, at_once, *network = sys.argv[1:]
    sources: list[str] = []
    if network:
        net = ipaddress.ip_network(network[0])
        step = 1 << 64 if net.version == 6 else 1  # of IPv6 another /64 each
        sources = [str(net[1 + step * number]) for number in range(int(addresses))]
    crowd = Crowd(kind, host, int(port), sources)
    print(json.dumps(crowd.run(float(seconds), int(at_once))), flush=True)


if __name__ == "__main__":
    main()
