"""The way to a relay: from its address to a `Cable`.  Shell.

docs/PROTOCOL.md, "Transport".
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from chatcore.cable import NO_ANSWER, Cable, Timing
from chatcore.errors import PinError, RelayError
from chatcore.invite import RelayAddress

NOT_THE_RELAY = (
    "What answers at the relay's address is not the relay of this invite, so nothing was sent to it. "
    "Ask whoever made the room for a new invite; if that is you, make a new room with the line that the relay prints."
)
NO_NAME = "The relay's name can't be found. Check your network connection; Parley keeps trying."
RELAY_OFF = "The relay is off, or can't be reached at its address. Parley keeps trying."
HUNG_UP = "The relay hung up at once: it may be full. Parley keeps trying."
NO_WAY = "There is no way to the relay just now. Check your network connection; Parley keeps trying."
NO_TLS = "What answers at the relay's address doesn't speak TLS 1.3 as a relay does. Parley keeps trying."


async def dial(relay: RelayAddress, cable: Callable[[], Cable], timing: Timing) -> Cable:
    """Connect to the relay and return the cable.

    Raises PinError when something else than the relay of the invite answers, RelayError when nothing does; each has
    one sentence for a person.
    """
    loop = asyncio.get_running_loop()
    more: dict[str, Any] = {}
    if relay.pins:
        more = {"ssl": client_context(), "server_hostname": relay.host, "ssl_shutdown_timeout": 1.0}
    try:
        async with asyncio.timeout(timing.dial_s):
            sock = await _connect(loop, relay, timing)
            try:
                _, made = await loop.create_connection(cable, sock=sock, **more)
            except BaseException:
                sock.close()
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


def client_context() -> ssl.SSLContext:
    """Return a TLS 1.3 context that trusts nobody by itself: whom to trust is for the pin to say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
