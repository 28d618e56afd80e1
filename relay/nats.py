"""The language of a NATS server, as far as a relay needs it: publish, subscribe, and no more.  Pure.

Written after the description of the client protocol at docs.nats.io.  What comes is bounded: a line has an end, what is
too long to be one of our messages is skipped without being kept, and whatever isn't said here is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chatcore.errors import WireError

MAX_LINE_BYTES = 32_768  # an INFO names all servers of a cluster; all else is short
PING, PONG = b"PING\r\n", b"PONG\r\n"


@dataclass(frozen=True, slots=True)
class Info:
    """What a server says of itself, at first and whenever it changes."""

    max_payload: int
    tls_required: bool
    leaving: bool  # it will close soon: go elsewhere

    @classmethod
    def parse(cls, text: bytes) -> Info:
        """Read the JSON of an INFO.  Raises WireError."""
        try:
            found: Any = json.loads(text)
            size = found.get("max_payload", 1 << 20)
            if type(size) is not int:
                raise ValueError
            needs_tls = bool(found.get("tls_required"))
            return cls(size, needs_tls, bool(found.get("ldm")))
        except (ValueError, AttributeError, RecursionError):
            raise WireError("no INFO") from None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for one of our subscriptions."""

    sid: int
    subject: str
    payload: bytes

    def __repr__(self) -> str:
        """Say nothing of what it holds: a subject names a room."""
        return "Delivery()"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a server doesn't like; `fatal` when it will hang up."""

    fatal: bool
    denied: bool  # a subject, or us


@dataclass(frozen=True, slots=True)
class Skipped:
    """A message was too long to be one of ours."""


Said = Info | Delivery | Trouble | Skipped | bytes  # PING or PONG


class Reader:
    """Cuts what a server sends.  Keeps less than one line and one message of `max_message_bytes`."""

    def __init__(self, max_message_bytes: int) -> None:
        self._most = max_message_bytes
        self._data = bytearray()
        self._skip = 0
        self._head: tuple[int, str, int] | None = None  # sid, subject and size of the message whose bytes are to come

    @property
    def kept_bytes(self) -> int:
        """How much of something incomplete is kept."""
        return len(self._data)

    def receive_data(self, data: bytes) -> Iterator[Said]:
        """Take bytes in pieces of any size.  Raises WireError at what no server of ours says."""
        kept, at = self._data, min(self._skip, len(data))
        self._skip -= at
        kept += data[at:]
        at = 0
        try:
            while not self._skip:
                if self._head is not None:
                    sid, subject, size = self._head
                    if len(kept) - at < size + 2:
                        break
                    if kept[at + size : at + size + 2] != b"\r\n":
                        raise WireError("a message that doesn't end")
                    self._head = None
                    payload = bytes(kept[at : at + size])
                    at += size + 2
                    yield Delivery(sid, subject, payload)
                    continue
                end = kept.find(b"\r\n", at)
                if end < 0:
                    if len(kept) - at > MAX_LINE_BYTES + 1:
                        raise WireError("a line without an end")
                    break
                if end - at > MAX_LINE_BYTES:
                    raise WireError("a line too long")
                said = self._line(bytes(kept[at:end]))
                at = end + 2
                skipped = min(self._skip, len(kept) - at)
                self._skip -= skipped
                at += skipped
                if said is not None:
                    yield said
        finally:
            del kept[:at]

    def _line(self, line: bytes) -> Said | None:
        word, _, rest = line.partition(b" ")
        match word.upper():
            case b"MSG":
                return self._message(rest)
            case b"PING":
                return PING
            case b"PONG":
                return PONG
            case b"+OK":
                return None
            case b"INFO":
                return Info.parse(rest)
            case b"-ERR":
                text = rest.lower()
                subject = b"permissions violation" in text
                return Trouble(not subject, subject or b"authoriz" in text or b"authentic" in text)
        raise WireError("unknown")

    def _message(self, rest: bytes) -> Said | None:
        parts = rest.split()
        try:
            subject, sid, *_reply, size = rest.decode("ascii").split()
            if len(parts) > 4 or not (sid.isdigit() and size.isdigit() and len(sid) < 10 and len(size) < 10):
                raise ValueError
        except ValueError:
            raise WireError("no message") from None
        if int(size) > self._most:
            self._skip = int(size) + 2
            return Skipped()
        self._head = int(sid), subject, int(size)
        return None


def connect(user: str, password: str) -> bytes:
    """Return what is said first.  With echo: a relay knows by its own words that the engine carries them."""
    said: dict[str, Any] = {
        "verbose": False, "pedantic": False, "echo": True, "lang": "python", "version": "1", "protocol": 1,
        "headers": False, "no_responders": False,
    }  # fmt: skip
    if user:
        said |= {"user": user, "pass": password}
    return b"CONNECT " + json.dumps(said).encode() + b"\r\n" + PING


def subscribe(subject: str, sid: int) -> bytes:
    """Ask for what is published there."""
    return f"SUB {subject} {sid}\r\n".encode()


def unsubscribe(sid: int) -> bytes:
    """Ask for no more of it."""
    return f"UNSUB {sid}\r\n".encode()


def publish(subject: str, payload: bytes) -> bytes:
    """Say something there."""
    return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
