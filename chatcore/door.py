"""Those at the door of an `ask` room: whose HELLO is verified, and who aren't let in yet.  Pure.

docs/PROTOCOL.md, "Knocking".  The owner answers a knock, so that both can see who the other is; everybody else keeps
it, unanswered, until an ADMIT comes.
"""

from __future__ import annotations

from chatcore.clock import Moment
from chatcore.link import KNOCK_S as KNOCK_S  # one time for both: the kept HELLO and the knock it stands for
from chatcore.link import Link, State

MAX_KNOCKS = 8
GONE_S = 20.0  # a knocker whose link has ended is shown so long: links of knockers are renewed
LEFT_S = 5.0  # and so long one whose seat is empty: whoever only lost the connection is back by then


class Door:
    """At most eight knocks, each for at most a quarter of an hour since it was last heard."""

    def __init__(self) -> None:
        self._knocks: dict[bytes, float] = {}  # fingerprint -> until when, in monotonic seconds
        self._turned_away: set[bytes] = set()
        self._kept: list[tuple[Link, bytes]] = []

    def __contains__(self, fp: bytes) -> bool:
        return fp in self._knocks

    def turned_away(self, fp: bytes) -> bool:
        """Whether this one was turned away in this run."""
        return fp in self._turned_away

    def turn_away(self, fp: bytes) -> None:
        """Don't hear this one any more."""
        self._turned_away.add(fp)

    def knock(self, fp: bytes, now: Moment) -> bool | None:
        """Somebody knocks.  True: for the first time; False: again; None: too many are at the door already."""
        again = fp in self._knocks
        if not again and len(self._knocks) >= MAX_KNOCKS:
            return None
        self._knocks[fp] = now.s + KNOCK_S
        return not again

    def gone(self, fp: bytes, now: Moment, *, left: bool = False) -> None:
        """The link to a knocker has ended; `left` if its seat is empty, too."""
        if fp in self._knocks:
            self._knocks[fp] = min(self._knocks[fp], now.s + (LEFT_S if left else GONE_S))

    def open(self, fp: bytes) -> bool:
        """Take somebody off the list; says whether they were on it."""
        return self._knocks.pop(fp, None) is not None

    def expired(self, now: Moment) -> list[bytes]:
        """Return those whose time is over; they are still on the list."""
        return [fp for fp, until_s in self._knocks.items() if now.s >= until_s]

    def next_tick(self) -> float | None:
        """Return when the next knock is over, in monotonic seconds."""
        return min(self._knocks.values(), default=None)

    def keep(self, link: Link, fp: bytes) -> bool:
        """Keep a HELLO that may not be answered; False when eight are kept already."""
        self._kept = [(kept, who) for kept, who in self._kept if kept.state is State.GREETED and kept is not link]
        if len(self._kept) >= MAX_KNOCKS:
            return False
        self._kept.append((link, fp))
        return True

    def take_kept(self) -> list[tuple[Link, bytes]]:
        """Return the unanswered HELLOs, to be looked at again."""
        kept, self._kept = self._kept, []
        return [(link, fp) for link, fp in kept if link.state is State.GREETED]
