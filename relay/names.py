"""Names of servers and their addresses, found in threads for which nobody has to wait.

A name server that is silent keeps who asks for as long as a minute, and asyncio's own way to ask one doesn't let the
program end before that; a relay that is told to stop would be killed in the middle of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

MOST_ASKED = 4  # at one time: the service may have few threads


class Names:
    """Asks for addresses; whoever asks for a name that was asked for already waits for the same answer."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host, which may be one itself.  Raises OSError when there are none."""
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        if host not in self._asked:
            if len(self._asked) >= MOST_ASKED:
                raise OSError("no answer about other names either")
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._ask, args=(loop, host), name="parley-names", daemon=True).start()
            self._asked[host] = loop.create_future()
        found = await asyncio.shield(self._asked[host])
        if not found:
            raise OSError("no such name")
        return found

    def _ask(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        found: list[str] = []
        with contextlib.suppress(OSError, UnicodeError):
            places = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(place[4][0]) for place in places))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: self._asked.pop(host).set_result(found))
