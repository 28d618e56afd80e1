"""The way to a relay: from its address to a `Cable`, directly or through a SOCKS5 proxy.  Shell.

With a proxy there is no other way: not when it is off, not when it refuses.  It is told the relay's name and looks it
up itself, so that no name server near us hears of it; an onion service is never looked up or dialled without one.
What goes through it is what would go without it: TLS to the relay, whose pin is looked at before the first byte.
docs/PROTOCOL.md, "Transport" and "Through a proxy".
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable
from typing import Any

import python_socks
from python_socks.async_.asyncio import Proxy as Socks

from chatcore.cable import NO_ANSWER, Cable, Timing
from chatcore.errors import NoWayError, PinError, RelayError
from chatcore.invite import RelayAddress, is_onion
from chatcore.proxy import Proxy

NOT_THE_RELAY = (
    "What answers at the relay's address is not the relay of this invite, so nothing was sent to it. "
    "Ask whoever made the room for a new invite; if that is you, make a new room with the line that the relay prints."
)
NO_NAME = "The relay's name can't be found. Check your network connection; Parley keeps trying."
RELAY_OFF = "The relay is off, or can't be reached at its address. Parley keeps trying."
HUNG_UP = "The relay hung up at once: it may be full. Parley keeps trying."
NO_WAY = "There is no way to the relay just now. Check your network connection; Parley keeps trying."
NO_TLS = "What answers at the relay's address doesn't speak TLS 1.3 as a relay does. Parley keeps trying."

ONLY_BY_TOR = (
    "This relay is an onion service, which is reached through Tor alone, so nothing was sent. "
    "Start Tor, set 127.0.0.1:9050 as the proxy for relays (on the start page), then open the room again."
)
PROXY_OFF = "The proxy can't be reached, and nothing goes to the relay without it. Start it; Parley keeps trying."
PROXY_MUTE = "What answers at the proxy's address is no SOCKS5 proxy. Set its address right; Parley keeps trying."
PROXY_HUNG_UP = "The proxy hung up: it may be starting, or be no SOCKS5 proxy. Parley keeps trying."
PROXY_ASKS = "The proxy asks for a name and a password, which Parley doesn't have. Use one that asks for none."
PROXY_LATE = "Nothing came back through the proxy in time: it or the relay may be off. Parley keeps trying."
PROXY_FAILED = (
    "The proxy found no way to the relay: it may have no network yet, or the relay is off. Parley keeps trying."
)
PROXY_FORBIDS = "The proxy's rules don't allow this relay. Change them, or use another proxy; Parley keeps trying."
PROXY_NO_NET = "The proxy has no network just now. Parley keeps trying."
PROXY_NO_HOST = "The proxy can't find the relay: it is off, or its name is wrong. Parley keeps trying."
PROXY_RELAY_OFF = "The proxy found the relay's computer, but the relay is off. Parley keeps trying."
PROXY_NO_KIND = "The proxy can't take the relay's kind of address. Use another proxy, such as Tor."

TURNS = 20  # of the loop, of which a transport needs four to close

# What a proxy says (RFC 1928, section 6); all that isn't here is said by nobody who means to be understood.
_REPLIES = {
    1: PROXY_FAILED, 2: PROXY_FORBIDS, 3: PROXY_NO_NET, 4: PROXY_NO_HOST, 5: PROXY_RELAY_OFF, 6: PROXY_LATE,
    7: PROXY_MUTE, 8: PROXY_NO_KIND,
}  # fmt: skip
# How begins what the library says where a proxy has no code for it.
_WORDS = {
    "No acceptable authentication": PROXY_ASKS,
    "Username and password authentication failure": PROXY_ASKS,
    "Connection closed": PROXY_HUNG_UP,
}


def way_to(relay: RelayAddress, proxy: Proxy | None) -> Proxy | None:
    """Return the proxy by which this relay is reached: none for one on this computer.

    Raises NoWayError for an onion service without a proxy.
    """
    way = None if relay.is_here else proxy
    if way is None and is_onion(relay.host):
        raise NoWayError(ONLY_BY_TOR)
    return way


async def dial(relay: RelayAddress, cable: Callable[[], Cable], timing: Timing, proxy: Proxy | None = None) -> Cable:
    """Connect to the relay, through the proxy if there is one, and return the cable.

    Raises PinError when something else than the relay of the invite answers, NoWayError for an onion service without a
    proxy, and RelayError when nothing answers; each has one sentence for a person.
    """
    way = way_to(relay, proxy)
    loop = asyncio.get_running_loop()
    more: dict[str, Any] = {}
    if relay.pins:
        more = {"ssl": client_context(), "server_hostname": relay.host, "ssl_shutdown_timeout": 1.0}
    try:
        async with asyncio.timeout(timing.dial_s + (timing.proxy_s if way else 0.0)):
            sock = await (_through(way, relay, timing) if way else _connect(loop, relay, timing))
            try:
                _, made = await loop.create_connection(cable, sock=sock, **more)
            except BaseException:
                await _let_go(sock)
                raise
    except socket.gaierror:
        raise RelayError(NO_NAME) from None
    except ConnectionRefusedError:
        raise RelayError(RELAY_OFF) from None
    except TimeoutError:
        raise RelayError(NO_ANSWER) from None
    except ConnectionError:
        raise RelayError(HUNG_UP) from None
    except ssl.SSLError:
        raise RelayError(NO_TLS) from None
    except OSError:  # no route, no network
        raise RelayError(NO_WAY) from None
    if not made.ready:
        raise PinError(NOT_THE_RELAY)
    return made


async def _connect(loop: asyncio.AbstractEventLoop, relay: RelayAddress, timing: Timing) -> socket.socket:
    """Connect to the first address that answers.  Raises OSError, with the reason of the last one.

    asyncio would do this too, but can lose an open socket when it is cancelled in the wrong moment.
    """
    places = await loop.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
    failure: OSError = socket.gaierror()
    for family, kind, proto, _, address in places:
        sock = socket.socket(family, kind, proto)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(timing.dial_s / (len(places) + 1)):
                await loop.sock_connect(sock, address)
            return sock
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
    raise failure


async def _let_go(sock: socket.socket) -> None:
    """See a socket closed that asyncio has made a transport for: by that, in a few turns of the loop.

    Closed beneath it, its number could be the next socket's while the loop still takes it for this one: the next
    connection would fail with a fault, or worse.
    """
    try:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        for _ in range(TURNS):
            if sock.fileno() < 0:
                break
            await asyncio.sleep(0)
    finally:
        sock.close()


async def _through(proxy: Proxy, relay: RelayAddress, timing: Timing) -> socket.socket:
    """Have a proxy connect to the relay.  Raises RelayError with one sentence.

    Name and password (RFC 1929) are random for each connection.  Who wants none doesn't ask for them; Tor takes them
    to mean that this connection shares its circuit with no other: rooms, people, and the connections that follow each
    other aren't to be told as one's by their circuit.
    """
    lot = secrets.token_hex(16)
    socks = Socks(python_socks.ProxyType.SOCKS5, proxy.host, proxy.port, lot, lot, rdns=True)
    try:
        return await socks.connect(relay.host, relay.port, timeout=timing.proxy_s)
    except python_socks.ProxyTimeoutError:
        raise RelayError(PROXY_LATE) from None
    except python_socks.ProxyConnectionError:
        raise RelayError(PROXY_OFF) from None
    except python_socks.ProxyError as error:
        said = [sentence for begin, sentence in _WORDS.items() if str(error).startswith(begin)]
        raise RelayError(*said or [_REPLIES.get(error.error_code or 0, PROXY_MUTE)]) from None
    except OSError:
        raise RelayError(PROXY_HUNG_UP) from None
    except ValueError:  # an answer that can't be read
        raise RelayError(PROXY_MUTE) from None


def client_context() -> ssl.SSLContext:
    """Return a TLS 1.3 context that trusts nobody by itself: whom to trust is for the pin to say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
