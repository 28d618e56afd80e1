"""The proxy through which relays are reached, if a person wants one: SOCKS5 (RFC 1928), as Tor speaks it.  Pure.

docs/PROTOCOL.md, "Through a proxy".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chatcore.errors import ProxyError
from chatcore.invite import is_host, is_onion

MAX_CHARS = 300

NOT_A_PROXY = "The address of a proxy is a host and a port, such as 127.0.0.1:9050, which is Tor's."
ONLY_SOCKS5 = "Parley goes through SOCKS5 proxies only. Give the host and the port of one, such as 127.0.0.1:9050."
NO_PASSWORDS = "Parley has no name and password for a proxy. Use one on this computer that asks for none, such as Tor."

_SCHEME = re.compile("([a-z][a-z0-9+.-]*)://", re.IGNORECASE | re.ASCII)
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})/?", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """Where it is: an IP address or a name, and a port, 1 to 65535.  `parse` sees that they can be."""

    host: str
    port: int

    def __repr__(self) -> str:
        return "Proxy()"  # an address is nobody's business in a log

    @property
    def place(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read `host:port`, with or without `socks5://` in front.  Raises ProxyError with one sentence."""
        text = text.strip()
        if len(text) > MAX_CHARS:
            raise ProxyError(NOT_A_PROXY)
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[1].lower() not in ("socks5", "socks5h"):
            raise ProxyError(ONLY_SOCKS5)
        rest = text[scheme.end() :] if scheme is not None else text
        if "@" in rest:
            raise ProxyError(NO_PASSWORDS)
        place = _PLACE.fullmatch(rest)
        if place is None:
            raise ProxyError(NOT_A_PROXY)
        host, port = place[1] or place[2], int(place[3])
        # An onion service is behind a proxy, and its name is looked up nowhere else.
        if not is_host(host) or (place[1] and ":" not in host) or is_onion(host) or not 1 <= port <= 65535:
            raise ProxyError(NOT_A_PROXY)
        return cls(host, port)
