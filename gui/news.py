"""What reaches the controller from behind the window, as frozen data.  No toolkit.

What was asked of `gui.backroom` is answered by one of these, and what the core says arrives as `FromRoom`; they go
through the same queue as what the person does (`gui.events`).  An `fp` is the 32-byte fingerprint of an identity key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chatcore.events import RoomEvent
from chatcore.invite import Mode
from chatcore.lock import Guard
from chatcore.pins import Compared, Pin
from chatcore.profile import Loss
from gui.events import ViewEvent
from gui.proxy import ProxyKnown


@dataclass(frozen=True, slots=True)
class ProfileFound:
    """What stands in the profile directory.  `locked`: it wants its passphrase; `first_time`: there is nothing yet.

    `at_start`: its rooms are to be opened when the program has begun.
    """

    nick: str = ""
    rooms: tuple[Remembered, ...] = ()
    locked: bool = False
    first_time: bool = False
    proxied: bool = False  # relays aren't reached directly
    loss: Loss | None = None  # the file was damaged; told once
    guard: Guard = Guard.NOBODY  # what it takes to open it
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class ProfileKnown:
    """Who can open the profile now, whether the system has a keyring, and what was done last, in a sentence."""

    guard: Guard
    keyring: bool
    copy_path: str = ""  # where a copy could go
    done: str = ""
    at_start: bool = False  # as in `ProfileFound`


@dataclass(frozen=True, slots=True)
class Remembered:
    """A room of the profile.  `place` is the relay's `host:port`; `only_here`: that is of this computer alone.

    `member`: one belongs to it, as far as is known; else one has left it, or stood at its door.
    """

    room_id: bytes
    title: str
    place: str
    last_visit_ms: int
    only_here: bool = False
    member: bool = False


@dataclass(frozen=True, slots=True)
class KeyringAsked:
    """The profile is being opened, and the system's keyring hasn't answered yet: it may ask the person first."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What was asked last didn't work; one sentence says why."""

    sentence: str


@dataclass(frozen=True, slots=True)
class RoomOpened:
    """The client has a seat to fight for: what follows are `FromRoom`s.

    `seen_ms` is when it was looked at last (ms since 1970 UTC), at an earlier visit; 0: never.  `member`: one belonged
    to it then, as far as is known.  `behind`: nobody asked for it to be shown.
    """

    room_id: bytes
    invite_text: str = field(repr=False)
    title: str
    mode: Mode
    own_fp: bytes
    own_nick: str
    owner_fp: bytes
    only_here: bool  # the relay's address is of this computer alone
    seen_ms: int = 0
    member: bool = False
    behind: bool = False


@dataclass(frozen=True, slots=True)
class NotOpened:
    """A room that was to be opened behind the one that is shown can't be.  Who chooses it hears why."""

    room_id: bytes


@dataclass(frozen=True, slots=True)
class RoomClosed:
    """A room was closed though nobody asked for that by itself: its profile is going to be erased."""

    room_id: bytes


@dataclass(frozen=True, slots=True)
class WordsReady:
    """The eight words of oneself and `fp` in this room."""

    room_id: bytes
    fp: bytes
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomWordsReady:
    """The eight words of these people in this room, oneself among them."""

    room_id: bytes
    fps: frozenset[bytes]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OtherKey:
    """Somebody goes by the name of a person who is known by another key, and it isn't settled yet."""

    fp: bytes
    nick: str
    known: Pin


@dataclass(frozen=True, slots=True)
class PeopleKnown:
    """What the profile knows of the people met in this room: with whom words were compared, and who has another key."""

    room_id: bytes
    compared: tuple[tuple[bytes, Compared], ...] = ()
    others: tuple[OtherKey, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportWritten:
    """The report was written, or why not: one sentence."""

    room_id: bytes
    failure: str = ""


@dataclass(frozen=True, slots=True)
class MoveAnswered:
    """The owner's word that the room moves was signed, or why not: one sentence."""

    room_id: bytes
    failure: str = ""


@dataclass(frozen=True, slots=True)
class FromRoom:
    """An event of the core."""

    room_id: bytes
    event: RoomEvent


RoomNews = FromRoom | WordsReady | RoomWordsReady | PeopleKnown | ReportWritten | MoveAnswered
PageNews = KeyringAsked | ProfileFound | ProfileKnown | ProxyKnown | Failed | RoomOpened | NotOpened | RoomClosed
BackroomEvent = RoomNews | PageNews
AppEvent = ViewEvent | BackroomEvent
"""All that goes through the queue into the GUI thread."""
