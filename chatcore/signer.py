"""What one member signs: of oneself, and as the owner of others and of the room.  Pure.  docs/PROTOCOL.md, "Members".

What is said again is dated so that it counts: as newer than what was said before, by whatever clock.
"""

from __future__ import annotations

from chatcore.clock import Moment
from chatcore.engines import PrivateKey
from chatcore.errors import StateError
from chatcore.invite import RelayAddress
from chatcore.members import Members, Statement, StatementType, make_statement
from chatcore.rhythm import MOST_PERIOD_S
from chatcore.seal import fingerprint

MAX_TIME_MS = 2**64 - 1


class Signer:
    """Makes statements; `members`, to whom they are still to be added, know what was said before."""

    def __init__(self, room_id: bytes, identity: PrivateKey, nick: str, members: Members) -> None:
        self.nick = nick
        self._room_id, self._identity, self._members = room_id, identity, members
        self._fp = fingerprint(identity.modulus)
        self._is_owner = self._fp == members.owner

    def sign(
        self, kind: StatementType, subject: bytes, time_ms: int, *, period_s: int = 0, relay: RelayAddress | None = None
    ) -> Statement:
        """Sign one of any kind, of any time."""
        return make_statement(kind, self._room_id, self._identity, subject, time_ms, self.nick, period_s, relay)

    def join(self, now: Moment) -> Statement | None:
        """Say that one belongs to the room, under one's nick; None when that is said already."""
        join, leave = (self._members.find(kind, self._fp) for kind in (StatementType.JOIN, StatementType.LEAVE))
        if join is None or join.nick != self.nick or (leave is not None and leave.time_ms >= join.time_ms):
            return self.sign(StatementType.JOIN, self._fp, self._own_time_ms(now))
        return None

    def leave(self, now: Moment) -> Statement:
        """Say that one belongs to the room no more."""
        return self.sign(StatementType.LEAVE, self._fp, self._own_time_ms(now))

    def _own_time_ms(self, now: Moment) -> int:
        return _after(self._members.newest_ms(self._fp), now)

    def admit(self, fp: bytes, now: Moment) -> Statement:
        """Say that somebody may belong to it.  Raises StateError for anybody but the owner."""
        if not self._is_owner:
            raise StateError("only the owner of the room lets people in")
        return self.sign(StatementType.ADMIT, fp, now.ms)

    def keep_steady(self, period_s: int, now: Moment) -> Statement | None:
        """Say in what rhythm blocks go out: one to each every 1 to 30 seconds, or 0 for none; None when it is so.

        Raises StateError for anybody but the owner, and for another period.
        """
        if not self._is_owner or not 0 <= period_s <= MOST_PERIOD_S:
            raise StateError("the owner of the room sets its rhythm, at most 30 s")
        if period_s == self._members.period_s:
            return None
        old = self._members.find(StatementType.STEADY, self._fp)
        time_ms = _after(old.time_ms if old is not None else 0, now)
        return self.sign(StatementType.STEADY, self._fp, time_ms, period_s=period_s)

    def move(self, relay: RelayAddress, at: RelayAddress, now: Moment) -> Statement | None:
        """Say on which relay the room is from now on, when that isn't where it is (`at`); None when it is.

        Raises StateError for anybody but the owner, and for a relay that isn't known by its key.
        """
        if not self._is_owner or not relay.pins:
            raise StateError("the owner of the room moves it, to a relay that is known by its key")
        if relay == at:
            return None
        old = self._members.moved
        time_ms = _after(old.time_ms if old is not None else 0, now)
        return self.sign(StatementType.RELAY, self._fp, time_ms, relay=relay)


def _after(time_ms: int, now: Moment) -> int:
    return min(max(now.ms, time_ms + 1), MAX_TIME_MS)
