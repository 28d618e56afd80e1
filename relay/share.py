"""What a relay remembers of others: which there are, and what each has in which of our rooms.  Pure; see cluster.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcore.wire import ADDRESS_SIZE
from relay import across
from relay.limits import Bucket
from relay.seat import word_of

if TYPE_CHECKING:
    from relay.seat import Room

NOTHING_FITS = -1  # in place of a number: what comes next has to be a list


def word_in(record: bytes) -> int:
    """Return the address in a record, as a word."""
    return word_of(record[-ADDRESS_SIZE:])


class Relay:
    """Another relay, from its start to its end."""

    __slots__ = ("boot", "holdings", "name", "silence")

    def __init__(self, name: str, boot: bytes) -> None:
        self.name = name
        self.boot = boot.hex()
        self.silence = 0  # beats
        self.holdings: dict[Share, Holding] = {}


class FarSeat:
    """A seat at another relay."""

    __slots__ = ("address", "out", "record", "relay", "word")

    def __init__(self, record: bytes, relay: Relay) -> None:
        self.record = record
        self.address = record[-ADDRESS_SIZE:]
        self.word = word_in(record)
        self.relay = relay
        self.out: list[bytes] = []  # frames as the seat will get them, written by whoever sends here


class Holding:
    """What another relay has in one room, as far as it was heard."""

    __slots__ = ("asked", "digest", "heard", "number", "rounds", "seats", "short")

    def __init__(self) -> None:
        self.number = 0  # of the last change that was heard
        self.digest = 0
        self.seats: dict[int, FarSeat] = {}
        self.short = False  # there was no place for all of them
        self.rounds = 0
        self.asked = 0  # up to which beat a list may be on its way
        self.heard = False  # anything since it was met, or met again


class Share:
    """One of our rooms, as we tell others about it."""

    __slots__ = (
        "bucket",
        "come",
        "digest",
        "gone",
        "holdings",
        "latest_ms",
        "listed",
        "lists",
        "number",
        "opened",
        "own",
        "room",
        "token",
    )

    def __init__(self, room: Room, beat: int) -> None:
        self.room = room
        self.token = across.token_of(room.room_id)
        self.own: dict[int, bytes] = {}  # records
        self.come: dict[int, bytes] = {}  # since the last change that was told
        self.gone: dict[int, bytes] = {}
        self.number = 0
        self.digest = 0
        self.holdings: dict[Relay, Holding] = {}
        self.bucket: Bucket | None = None
        self.latest_ms = 0  # since when the newest seat is there that we know of, here or elsewhere
        self.opened = beat
        self.listed = 0  # at which beat
        self.lists = 0  # and how often
