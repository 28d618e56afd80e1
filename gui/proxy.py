"""Through which proxy relays are reached: what the page says, what is asked there, and what is answered.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

LINK_DIRECT, LINK_PROXIED = "Proxy", "Through a proxy"  # on the start page, which says so at a glance
TITLE = "How relays are reached"
DIRECTLY = "Directly"
DIRECTLY_NOTE = "The relay sees your IP address; your provider sees the relay's."
THROUGH = "Through a SOCKS5 proxy"
THROUGH_NOTE = (
    "Tor listens at 127.0.0.1:9050, Tor Browser at 127.0.0.1:9150. Whoever runs another proxy sees which relay you "
    "use, and when. The proxy looks up the relay's name, too. While it is off, nothing goes to any relay elsewhere."
)
TOR = "127.0.0.1:9050"
HOLDS = (
    "It holds for every room, anonymous visits among them; those that are open are connected anew. It is kept beside "
    "your profile, where anybody with this disk can see it. A relay on this computer is reached directly."
)
GIVEN = "It was given when Parley was started, and isn't kept."
TYPE_ONE = "Type the host and the port of the proxy, such as 127.0.0.1:9050, which is Tor's."
SET_DIRECTLY = "Relays are reached directly from now on."
SET_THROUGH = "Relays are reached through this proxy alone from now on."


@dataclass(frozen=True, slots=True)
class OpenProxy:
    """Show the page that says through which proxy relays are reached."""


@dataclass(frozen=True, slots=True)
class SetProxy:
    """Reach relays through the proxy at `host:port` from now on; empty: directly."""

    address: str


@dataclass(frozen=True, slots=True)
class ProxyKnown:
    """Through which proxy relays are reached, empty for none; and what was done last or is wrong, in a sentence."""

    address: str = ""
    given: bool = False  # when the program was started, and not kept
    done: str = ""
    problem: str = ""
