"""A few pages for who runs the relay, over HTTP on this computer alone, and the question that `stats` asks.

One request for each connection, a head of a few kilobytes, a few seconds, a handful at once: nobody who can reach this
can hold up the relay, and nothing here runs unless somebody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chatcore.errors import RelayError
from relay.config import Place
from relay.counts import as_table, counts, exposition
from relay.server import Server

Page = tuple[int, str, str]  # status, media type, text

MAX_HEAD_BYTES = 4096
MAX_AT_ONCE = 8
DEADLINE_S = 5.0
PUBLIC_MODE = 0o660  # the metrics' socket: for the relay's own group, too
PRIVATE_MODE = 0o600
MAX_ANSWER_BYTES = 1 << 20
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_TEXT = "text/plain; charset=utf-8"


def pages_of(server: Server) -> dict[str, Callable[[], Page]]:
    """Return what a relay has to say about itself, by path."""

    def ready() -> Page:
        state = server.state
        if state == "ready" and server.engine is not None and not server.engine.is_well:
            state = "without its engine"  # people at other relays can't be reached from here
        return (200 if state == "ready" else 503), _TEXT, f"{state}\n"

    def metrics() -> Page:
        if server.state == "starting":
            return ready()
        return 200, "text/plain; version=0.0.4; charset=utf-8", exposition(counts(server))

    def stats() -> Page:
        if server.state == "starting":
            return ready()
        return 200, "application/json", json.dumps(as_table(counts(server))) + "\n"

    return {
        "/healthz": lambda: (200, _TEXT, "alive\n"),  # whoever reads this has been answered by the loop
        "/readyz": ready,
        "/metrics": metrics,
        "/stats": stats,
    }


class Monitor:
    """Serves pages.  GET and HEAD are all it knows."""

    def __init__(self, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._pages = pages
        self._servers: list[asyncio.Server] = []
        self._sockets: list[tuple[Path, int]] = []  # and their inodes
        self._busy = 0

    async def listen(self, place: Place, mode: int) -> None:
        """Serve at this place; `mode` is that of a unix socket.  Raises RelayError with one sentence."""
        try:
            if isinstance(place, Path):
                sock = _unix_listener(place, mode)
                self._sockets.append((place, place.stat().st_ino))
                server = await asyncio.start_unix_server(self._serve, sock=sock, limit=MAX_HEAD_BYTES)
            else:
                host, port = place
                server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD_BYTES, backlog=MAX_AT_ONCE)
        except OSError as error:
            where = place if isinstance(place, Path) else f"{place[0]}, port {place[1]}"
            if error.errno == errno.EADDRINUSE:
                raise RelayError(f"{where}: something else serves there; stop it, or choose another place.") from None
            raise RelayError(f"{where}: can't serve there ({error.strerror or error}); choose another place.") from None
        self._servers.append(server)

    def close(self) -> None:
        """Serve no more, and take the sockets out of the file system."""
        for server in self._servers:
            server.close()
        for path, inode in self._sockets:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:  # and not that of a relay that has taken its place
                    path.unlink()
        self._servers.clear()
        self._sockets.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._busy >= MAX_AT_ONCE:
            writer.transport.abort()
            return
        self._busy += 1
        writer.transport.set_write_buffer_limits(high=0)  # so that `drain` waits until all is written
        try:
            async with asyncio.timeout(DEADLINE_S):
                writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
                writer.write_eof()
                await reader.read(1)  # until the peer has read it and closed
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            self._busy -= 1
            writer.transport.abort()

    def _answer(self, head: bytes) -> bytes:
        """Return the whole answer to the head of a request (RFC 9112, 3)."""
        match head.split(b"\r\n", 1)[0].split(b" "):
            case [method, target, version] if version in (b"HTTP/1.0", b"HTTP/1.1"):
                status, kind, text = self._page(method, target.partition(b"?")[0].decode("latin-1"))
            case _:
                method, status, kind, text = b"", 400, _TEXT, "This is not a request of HTTP/1.1.\n"
        body = text.encode()
        more = "Allow: GET, HEAD\r\n" if status == 405 else ""
        lines = (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{more}Connection: close\r\n\r\n"
        )
        return lines.encode() + (b"" if method == b"HEAD" else body)

    def _page(self, method: bytes, path: str) -> Page:
        page = self._pages.get(path)
        if page is None:
            return 404, _TEXT, f"The pages are {', '.join(self._pages)}.\n"
        if method not in (b"GET", b"HEAD"):
            return 405, _TEXT, "These pages can only be read.\n"
        return page()


def _unix_listener(path: Path, mode: int) -> socket.socket:
    """Listen on a unix socket that has this mode from its first moment on.

    One that a killed relay has left is replaced; one on which something answers, and a file, are not (EADDRINUSE).
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode) or _answers(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
        sock.listen(MAX_AT_ONCE)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    sock.setblocking(False)
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(DEADLINE_S)
        try:
            sock.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # not ours, or busy: at any rate not dead
            return True
    return True


def ask(path: Path) -> dict[str, Any]:
    """Ask the relay behind this control socket for its counts.  Raises RelayError with one sentence."""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(DEADLINE_S)
            sock.connect(str(path))
            sock.sendall(b"GET /stats HTTP/1.1\r\nHost: relay\r\n\r\n")
            while (piece := sock.recv(65_536)) and len(answer) <= MAX_ANSWER_BYTES:
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        found = json.loads(body)
        if not head.startswith(b"HTTP/1.1 200 ") or not isinstance(found, dict):
            raise ValueError
    except (FileNotFoundError, ConnectionRefusedError):
        raise RelayError(
            f"{path}: no relay answers there; start it, name its configuration (--config), or set `control` in it."
        ) from None
    except OSError as error:
        raise RelayError(
            f"{path}: can't be asked ({error.strerror or error}); ask as the user that the relay runs as, or as root."
        ) from None
    except ValueError:
        raise RelayError(f"{path}: what answers there is no relay; look at `control` in the configuration.") from None
    return found
