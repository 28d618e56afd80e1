"""What carries blocks and news between relays, seen from a relay: six things to ask of it, four that it tells.

A relay without one is alone and needs nothing of this.  Delivery is at most once, in the order of each sender as long
as the engine stays up; whatever is missing, doubled or made up must do no harm to whoever uses it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from relay.across import NAME

PORT = 4222  # of a NATS server
MAX_PLACES = 16
KEYS = {"nats", "cluster", "name", "ca", "certificate", "key"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server of the engine is."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Return host and port, for the owner's eyes: never the password."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read nats://[USER:PASSWORD@]HOST[:PORT], or tls://...  Raises ValueError."""
        url = urlsplit(text)
        if not re.fullmatch(r"(nats|tls)://[^\s/?#]+", text) or not url.hostname:
            raise ValueError
        if (url.username is None) != (url.password is None) or url.port == 0:
            raise ValueError
        return cls(
            url.hostname,
            url.port or PORT,
            url.scheme == "tls",
            unquote(url.username or ""),
            unquote(url.password or ""),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """The table [engine] of a configuration.  `name` says which relay this is; others of that name are its past."""

    places: tuple[Place, ...]
    cluster: str = "parley"
    name: str = "relay"
    ca: Path | None = None  # whose word counts for the engine's certificate; None: whoever the system trusts
    certificate: Path | None = None  # that we show, with its key
    key: Path | None = None


class Mistake(Exception):
    """What is wrong with the table [engine]: a sentence, and the key that it is about."""

    def __init__(self, sentence: str, key: str) -> None:
        super().__init__(sentence)
        self.sentence, self.key = sentence, key


def read(table: dict[str, Any], path_of: Callable[[str], Path]) -> Settings:
    """Read the table [engine], whose keys are all known.  Raises Mistake."""
    places = table.get("nats")
    if type(places) is not list or not 0 < len(places) <= MAX_PLACES:
        raise Mistake('nats must be a list of 1 to 16 servers, such as ["nats://10.0.0.5", "nats://10.0.0.6"].', "nats")
    names: dict[str, Any] = {}
    for key in ("cluster", "name"):
        if key in table:
            if type(table[key]) is not str or not NAME.fullmatch(table[key]):
                raise Mistake(f"{key} must be 1 to 32 small letters, digits and hyphens, without one at an end.", key)
            names[key] = table[key]
    for key in ("ca", "certificate", "key"):
        if key in table:
            if type(table[key]) is not str or not table[key] or "\0" in table[key]:
                raise Mistake(f"{key} must be the name of a file in quotes.", key)
            names[key] = path_of(table[key])
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if key in table and other not in table:
            raise Mistake(f"{key} needs {other} beside it: both are what this relay shows to the engine.", key)
    return Settings(tuple(map(_place, places)), **names)


def _place(text: Any) -> Place:
    try:
        place = Place.parse(text if type(text) is str else "")
    except ValueError:
        raise Mistake(
            "each server in nats must look like tls://USER:PASSWORD@HOST:4222 (not all of it is needed).",
            "nats",
        ) from None
    if not place.tls and not _is_near(place.host):
        raise Mistake(
            f"nats:// is not encrypted, so it is for this computer and private addresses; write tls:// for {place}.",
            "nats",
        )
    return place


def _is_near(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


class Events(Protocol):
    """What an engine tells.  None of it can be trusted; it is called on the loop's own thread."""

    def engine_is_up(self) -> None:
        """The engine was reached, for the first time or again: whatever was said meanwhile is lost."""

    def take_blocks(self, token: str, data: bytes) -> None:
        """A batch for seats of this relay in a room."""

    def take_word(self, token: str, name: str, data: bytes) -> None:
        """What the relay of this name says about a room; our own words come back, too."""

    def take_heart(self, name: str, data: bytes) -> None:
        """What the relay of this name says of itself; our own comes back, too."""


class Engine(Protocol):
    """The way to other relays.  No call waits, and none raises: what can't be sent is dropped and counted."""

    def subscribe_room(self, token: str) -> None:
        """Have `take_word` called for this room from now on, also after the engine was lost and found."""

    def unsubscribe_room(self, token: str) -> None:
        """Have it called no more."""

    def publish_batch(self, name: str, boot: str, token: str, blocks: bytes) -> None:
        """Send blocks to the relay of this name and boot, for its seats in a room."""

    def publish_word(self, token: str, data: bytes) -> None:
        """Tell all relays something about a room."""

    def beat(self, data: bytes) -> None:
        """Tell all relays about this one, each second.  An engine from which that doesn't come back is given up."""

    async def close(self) -> None:
        """Bring out what was said, and end."""
