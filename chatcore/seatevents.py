"""What a seat tells the room that owns it: what became of the connection, and what its links say.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chatcore.content import Content
from chatcore.events import Oddity
from chatcore.hello import Greeting
from chatcore.link import Link


@dataclass(frozen=True, slots=True)
class Seated:
    """The relay gave us a seat; `others` were there already."""

    others: int


@dataclass(frozen=True, slots=True)
class Turned:
    """The relay refused us."""

    refusal: int
    wait_s: int


@dataclass(frozen=True, slots=True)
class Garbled:
    """The relay speaks another version, or not our protocol at all."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """A HELLO verified; say `answer` on its link, or nothing."""

    link: Link
    greeting: Greeting


@dataclass(frozen=True, slots=True)
class Heard:
    """Content came over a link."""

    link: Link
    content: Content


@dataclass(frozen=True, slots=True)
class Gone:
    """A link has ended; `left`: the relay says that nobody sits at its address any more."""

    link: Link
    left: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """The relay says that nobody sits at the other end of a link on which messages flow.  The link goes on."""

    link: Link


@dataclass(frozen=True, slots=True)
class Back:
    """Somebody who was absent is here after all: the relay says so, or the link does."""

    link: Link


@dataclass(frozen=True, slots=True)
class Odd:
    """Something that an honest relay doesn't do; on a link, if one can be named."""

    link: Link | None
    what: Oddity
    count: int = 1


SeatEvent = Seated | Turned | Garbled | Greeted | Heard | Gone | Absent | Back | Odd
