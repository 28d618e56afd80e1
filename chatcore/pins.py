"""The people whom one profile knows: name and key, since when, from which rooms, and with whom words were compared.

A *pin* is what is remembered of one identity.  Its use is later: when a name that is known comes with another key, the
person at the window is told until they have settled it, once for each key.  Pure.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from chatcore.names import MAX_NAME_BYTES, looks
from chatcore.seal import FP_SIZE

MAX_PEOPLE = 2000  # the ones not compared go first, those not seen for longest
MAX_ROOMS = 16  # remembered of one person, the newest
ROOM_SIZE = 32
TOGETHER_MS = 60_000  # two of one name met within this time: neither was known before
MAX_MS = 2**63 - 1


class Page(Enum):
    """Which words were compared."""

    PAIR = "pair"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Compared:
    """That words were compared: when, which, in which room, and who ticked it (the fp of one's own identity)."""

    at_ms: int
    page: Page
    room: bytes
    by: bytes


@dataclass(frozen=True, slots=True)
class Pin:
    """One person: `nick` as seen last and under it since `named_ms`; `rooms` are room ids, the newest last.

    `member` tells those who were in a room with us from those who only stood at a door: nobody is known by that.
    `settled` is what the name looked like when its other key was accepted; empty if it never was.
    """

    fp: bytes
    nick: str
    first_ms: int
    last_ms: int
    named_ms: int
    rooms: tuple[bytes, ...] = ()
    member: bool = False
    compared: Compared | None = None
    settled: str = ""


class People:
    """All pins of a profile.  Bounded; what hostile people call themselves is kept as it is, and only compared."""

    def __init__(self, records: Iterable[object] = ()) -> None:
        """`records` are what `records()` returned once.  Raises ValueError for anything else."""
        self._pins: dict[bytes, Pin] = {}
        self._alike: dict[str, dict[bytes, None]] = {}
        for record in records:
            self._put(_pin(record))
        self._trim()

    def __len__(self) -> int:
        return len(self._pins)

    def __repr__(self) -> str:
        return f"People({len(self)})"

    def records(self) -> list[dict[str, Any]]:
        """Return everything as plain JSON: texts, numbers, lists (bytes in base64)."""
        return [_record(pin) for pin in self._pins.values()]

    def find(self, fp: bytes) -> Pin | None:
        """Return what is known of an identity."""
        return self._pins.get(fp)

    def namesakes(self, fp: bytes) -> tuple[Pin, ...]:
        """Return those who were known by the name of `fp` before it came with this key; none once that is settled.

        The compared ones first, then those known longest.  Two who were met together aren't each other's namesakes,
        unless one of them is compared.
        """
        pin = self._pins.get(fp)
        if pin is None or pin.compared is not None:
            return ()
        name = looks(pin.nick)
        if not name or pin.settled == name:
            return ()
        known = [
            other
            for other in map(self._pins.__getitem__, self._alike.get(name, ()))
            if other.fp != fp
            and (other.compared is not None or (other.member and other.named_ms + TOGETHER_MS < pin.named_ms))
        ]
        return tuple(sorted(known, key=lambda other: (other.compared is None, other.first_ms, other.fp)))

    def meet(self, nicks: Mapping[bytes, str], room: bytes, now_ms: int, *, members: bool = True) -> bool:
        """Note that these people (fp: nick) were seen in a room, or at its door.

        Says whether more than the time is new.
        """
        new = False
        for fp, nick in nicks.items():
            pin = self._pins.get(fp)
            if pin is None:
                self._put(Pin(fp, nick, now_ms, now_ms, now_ms, (room,), members))
                new = True
                continue
            rooms = pin.rooms
            if room not in rooms:
                rooms = (*rooms, room)[-MAX_ROOMS:]
            named_ms = pin.named_ms if looks(nick) == looks(pin.nick) else now_ms
            member = members or pin.member
            new |= (rooms, nick, member) != (pin.rooms, pin.nick, pin.member)
            last_ms = max(now_ms, pin.last_ms)
            self._put(replace(pin, nick=nick, last_ms=last_ms, named_ms=named_ms, rooms=rooms, member=member))
        self._trim(nicks)
        return new

    def tick(self, fps: Iterable[bytes], compared: Compared) -> None:
        """Note that words were compared with these people; those who aren't known are left out."""
        for fp in fps:
            if fp in self._pins:
                self._put(replace(self._pins[fp], compared=compared))

    def untick(self, fps: Iterable[bytes]) -> None:
        """Take back that words were compared."""
        for fp in fps:
            if fp in self._pins:
                self._put(replace(self._pins[fp], compared=None))

    def settle(self, fp: bytes) -> None:
        """Accept the other key of a known name: it is no news any more."""
        if fp in self._pins:
            self._put(replace(self._pins[fp], settled=looks(self._pins[fp].nick)))

    def forget_room(self, room: bytes) -> None:
        """Keep no longer that anybody was seen in this room, or that words were compared there; the people stay."""
        for pin in list(self._pins.values()):
            compared = pin.compared
            if compared is not None and compared.room == room:
                compared = replace(compared, room=bytes(ROOM_SIZE))
            self._put(replace(pin, rooms=tuple(one for one in pin.rooms if one != room), compared=compared))

    def _put(self, pin: Pin) -> None:
        before = self._pins.get(pin.fp)
        if before is not None:
            self._unlist(before)
        self._pins[pin.fp] = pin
        self._alike.setdefault(looks(pin.nick), {})[pin.fp] = None

    def _unlist(self, pin: Pin) -> None:
        name = looks(pin.nick)
        alike = self._alike[name]
        del alike[pin.fp]
        if not alike:
            del self._alike[name]

    def _trim(self, spared: Iterable[bytes] = ()) -> None:
        """Forget down to the bound; those just met last, so that a full room doesn't forget itself."""
        over = len(self._pins) - MAX_PEOPLE
        if over > 0:
            fresh = set(spared)
            last = sorted(
                self._pins.values(), key=lambda p: (p.compared is not None, p.fp in fresh, p.member, p.last_ms, p.fp)
            )
            for pin in last[:over]:
                self._unlist(pin)
                del self._pins[pin.fp]


# -- as plain JSON, read strictly --------------------------------------------------------------------------------------


def _record(pin: Pin) -> dict[str, Any]:
    record: dict[str, Any] = {
        "fp": _base64(pin.fp),
        "nick": pin.nick,
        "first_ms": pin.first_ms,
        "last_ms": pin.last_ms,
        "named_ms": pin.named_ms,
        "rooms": [_base64(room) for room in pin.rooms],
        "member": pin.member,
        "settled": pin.settled,
    }
    if pin.compared is not None:
        record["compared"] = {
            "at_ms": pin.compared.at_ms,
            "page": pin.compared.page.value,
            "room": _base64(pin.compared.room),
            "by": _base64(pin.compared.by),
        }
    return record


def _pin(record: object) -> Pin:
    one = _dict(record)
    try:
        nick, settled, member = one["nick"], one["settled"], one["member"]
        rooms, compared = one["rooms"], one.get("compared")
        if not (isinstance(nick, str) and isinstance(settled, str) and isinstance(rooms, list)):
            raise ValueError
        if not isinstance(member, bool):
            raise ValueError
        if len(nick.encode()) > MAX_NAME_BYTES or len(rooms) > MAX_ROOMS:
            raise ValueError
        return Pin(
            _bytes(one["fp"], FP_SIZE),
            nick,
            _ms(one["first_ms"]),
            _ms(one["last_ms"]),
            _ms(one["named_ms"]),
            tuple(_bytes(room, ROOM_SIZE) for room in rooms),
            member,
            None if compared is None else _compared(_dict(compared)),
            settled,
        )
    except KeyError:
        raise ValueError from None


def _compared(one: dict[str, Any]) -> Compared:
    return Compared(_ms(one["at_ms"]), Page(one["page"]), _bytes(one["room"], ROOM_SIZE), _bytes(one["by"], FP_SIZE))


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


def _ms(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_MS:
        raise ValueError
    return value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(value: object, size: int) -> bytes:
    if not isinstance(value, str):
        raise ValueError
    try:
        data = base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError from None
    if len(data) != size:
        raise ValueError
    return data
