"""Where a room is: on the relay of its invite, until its owner says another; and who shows those the way who were away.

Pure.  docs/PROTOCOL.md, "Moving to another relay".
"""

from __future__ import annotations

from collections.abc import Collection

from chatcore.clock import Moment
from chatcore.invite import RelayAddress
from chatcore.members import Members

LOOK_OUT_MS = 14 * 86_400_000  # as long as messages wait for somebody who is away
LOOKOUTS = 3  # besides the owner; with one alone, one who says nothing would be enough to lose those who come back

SAME = "The room is on that relay already. Paste the line of another one."
HERE_ONLY = "Only programs on this computer can reach that relay. Paste the line of one that everybody here can reach."
PLAIN = "That line has no key to know the relay by. Paste the line of a relay that has one."


def unfit(relay: RelayAddress, now: RelayAddress) -> str:
    """Return in a sentence why a room can't be moved to a relay from where it is now, or nothing."""
    if not relay.pins:
        return PLAIN
    if relay.is_here and not now.is_here:
        return HERE_ONLY
    return SAME if relay == now else ""


class Moving:
    """`relay`: where the room is.  `before`: where it was, as far as one knows; the same as long as it hasn't moved."""

    def __init__(self, invited: RelayAddress, members: Members, fp: bytes) -> None:
        self.relay = self.before = invited
        self._members, self._fp = members, fp
        self._needless = False  # both lead to the same relay

    def settle(self, at: RelayAddress | None) -> bool:
        """Take in what the owner said last, while connected to `at`, if at all; True if the room is elsewhere now.

        Where it was is where we still are: a relay that nobody could go to is nowhere to look for anybody.  One with
        the same address and another key is no other place: the key of before, which may be a thief's, counts no more.
        """
        said = self._members.moved
        if said is None or said.relay is None or said.relay == self.relay:
            return False
        left = self.relay if at is None or at == said.relay else at
        self.relay, self._needless = said.relay, False
        if left.place != self.relay.place:
            self.before = left
        elif self.before.place == self.relay.place:
            self.before = self.relay
        return True

    def found_same(self) -> None:
        """Where the room was and where it is turned out to be the same relay, by another name."""
        self._needless = True

    def look_out(self, at: RelayAddress, here: Collection[bytes], now: Moment) -> RelayAddress | None:
        """Return where to wait for those who were away, besides the present connection (`at`); None for nowhere.

        `here` are those with whom messages flow.  For two weeks the owner waits there, and of all who are here those
        with the smallest fingerprints.  Whoever is alone does so at any time: perhaps it is they who were away.
        """
        said = self._members.moved
        if said is None or at != self.relay or self.before == self.relay or self._needless:
            return None
        if not here:
            return self.before if len(self._members.fps()) > 1 else None
        chosen = self._fp in (self._members.owner, *sorted((self._fp, *here))[:LOOKOUTS])
        return self.before if chosen and now.ms < said.time_ms + LOOK_OUT_MS else None
