"""How much of the relay one peer, one address, and all together may have.  Pure: the time is handed in."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, replace

from chatcore.wire import Refusal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORGET_AFTER_S = 60  # every bucket is full again after this long, and a full bucket needs no memory
MAX_ADDRESSES = 32_768  # that are remembered at least; some 10 MB
WAIT_RELAY_FULL_S = 60
WAIT_TOO_FAST_S = 15


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one relay.  A per-address or rate limit of 0 is none; the others are at least 1.

    Rooms need no bound of their own: each has a connection in it.  And a relay that refused new rooms only would tell
    a stranger with a room's number whether anybody is in it.
    """

    max_connections: int = 4096
    max_seats_per_room: int = 256  # a client keeps no more addresses than this
    max_connections_per_address: int = 64  # a household, a school class behind one router
    max_joins_per_minute_per_address: int = 120
    max_bytes_per_second_per_seat: int = 4 * 1024 * 1024  # about 15,000 blocks; above it a seat is read more slowly
    max_bytes_per_second_per_reader: int = 64 * 1024  # of it for each other in the room: 240 blocks, a sixth of a core
    max_unsent_bytes_per_seat: int = 4 * 1024 * 1024  # a minute for who reads 70 kB/s; above it, who pours loses blocks
    max_unsent_bytes: int = 256 * 1024 * 1024
    join_deadline_s: int = 10
    ping_after_s: int = 30
    silence_s: int = 75
    laggard_s: int = 60

    def unlimited(self) -> Limits:
        """Return the same without the per-address and rate limits (benchmarks on loopback)."""
        return replace(
            self,
            max_connections_per_address=0,
            max_joins_per_minute_per_address=0,
            max_bytes_per_second_per_seat=0,
            max_bytes_per_second_per_reader=0,
        )

    def pace(self, seats: int) -> float:
        """Return how many bytes a second a seat may send in a room of so many; infinity if as many as it likes.

        Opening a block costs its reader a thousand times what it costs here: who pours at few could keep them busy.
        """
        in_all = self.max_bytes_per_second_per_seat or math.inf
        return min(in_all, self.max_bytes_per_second_per_reader * max(1, seats - 1) or math.inf)


def network_of(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 that one IPv6 customer owns whole."""
    address = ipaddress.ip_address(host.split("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def is_among(host: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether an address lies in one of these networks; an IPv4 address that came by IPv6 counts as what it is."""
    if not networks:
        return False
    address = ipaddress.ip_address(host.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


class Bucket:
    """A token bucket: `rate` a second, `burst` at once.  `take` may overdraw it; the debt is then to be waited for."""

    __slots__ = ("_burst", "_level", "_rate", "_then_s")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._then_s = now_s

    def take(self, amount: float, now_s: float) -> float:
        """Take `amount` and return the seconds until the bucket is out of debt (0.0 when it is)."""
        self._level = min(self._burst, self._level + (now_s - self._then_s) * self._rate) - amount
        self._then_s = now_s
        return max(0.0, -self._level / self._rate)


class _Guest:
    """What is known of one address: how many connections, and how fast they came."""

    __slots__ = ("bucket", "connections", "network", "seen_s")

    def __init__(self, network: str, bucket: Bucket | None, now_s: float) -> None:
        self.network = network
        self.connections = 0
        self.bucket = bucket
        self.seen_s = now_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the door says.  `enter`: make a connection of it; `doom`: but only to tell it why not."""

    enter: bool
    doom: tuple[Refusal, int] | None = None


WELCOME = Verdict(True)
TURNED_AWAY = Verdict(False)


class Door:
    """Counts connections, in all and for each address.

    Who comes over a limit is told so (that costs a TLS handshake); who comes over twice of it isn't even answered.
    """

    def __init__(self, limits: Limits, max_connections: int) -> None:
        self._guests: dict[str, _Guest] = {}
        self.connections = 0
        self.rule(limits, max_connections)

    def rule(self, limits: Limits, max_connections: int) -> None:
        """Go by these limits from now on.  Who is inside stays, and every address begins with a full bucket."""
        self._limits = limits
        self.max_connections = max_connections
        self._spare = max(4, max_connections // 16)  # connections that are only told that the relay is full
        for guest in self._guests.values():
            guest.bucket = self._bucket(guest.seen_s)

    def _bucket(self, now_s: float) -> Bucket | None:
        per_minute = self._limits.max_joins_per_minute_per_address
        return Bucket(per_minute / 60, per_minute / 2, now_s) if per_minute else None

    @property
    def most_connections(self) -> int:
        """How many connections there can be at one time, those included that are only told to go."""
        return self.max_connections + self._spare

    def arrive(self, network: str, now_s: float) -> Verdict:
        """Judge a new connection from this network; unless it is turned away, `leave` must follow once."""
        most = self._limits.max_connections_per_address
        guest = self._guests.get(network)
        if guest is None:
            if len(self._guests) >= max(MAX_ADDRESSES, 2 * self.most_connections):
                self._forget_half()
            guest = self._guests[network] = _Guest(network, self._bucket(now_s), now_s)
        guest.seen_s = now_s
        wait_s = guest.bucket.take(1, now_s) if guest.bucket else 0.0
        verdict = WELCOME
        if (
            self.connections >= self.most_connections
            or wait_s > FORGET_AFTER_S / 2
            or 0 < 2 * most <= guest.connections
        ):
            if guest.bucket and wait_s > FORGET_AFTER_S / 2:
                guest.bucket.take(-1, now_s)  # what isn't served isn't charged: the debt has an end
            return TURNED_AWAY
        if self.connections >= self.max_connections:
            verdict = Verdict(True, (Refusal.RELAY_FULL, WAIT_RELAY_FULL_S))
        elif wait_s > 0:
            verdict = Verdict(True, (Refusal.TOO_FAST, max(1, round(wait_s))))
        elif 0 < most <= guest.connections:
            verdict = Verdict(True, (Refusal.TOO_FAST, WAIT_TOO_FAST_S))
        guest.connections += 1
        self.connections += 1
        return verdict

    def name(self, network: str) -> str:
        """Return the name of a network from which there are connections, the same object for all of them."""
        return self._guests[network].network

    def hold(self) -> bool:
        """Count a connection whose network isn't known yet; `let_go` must follow once.  False: there is no room."""
        if self.connections >= self.most_connections:
            return False
        self.connections += 1
        return True

    def let_go(self) -> None:
        """End the count of a connection that was held."""
        self.connections -= 1

    def leave(self, network: str) -> None:
        """Forget one connection."""
        self.connections -= 1
        self._guests[network].connections -= 1

    def _forget_half(self) -> None:
        """Forget the older half of those who have no connection: these may come again a little faster, no more."""
        away = [name for name, guest in self._guests.items() if not guest.connections]
        for name in away[: len(away) // 2 + 1]:
            del self._guests[name]

    def beat(self, now_s: float) -> None:
        """Forget the addresses that have no connection and have been away for longer than any debt lasts."""
        gone = [
            name
            for name, guest in self._guests.items()
            if not guest.connections and now_s - guest.seen_s > FORGET_AFTER_S
        ]
        for name in gone:
            del self._guests[name]
