"""What a client keeps of a room between runs: its log, the lines, what it owes to whom, what it has taken.  Pure.

A room notes `Changes` as they happen.  Whoever keeps them commits them, all or none, before anything that follows from
them leaves this computer: a block, an acknowledgement, a line in the window.  So a client that is killed at any moment
says again what nobody has acknowledged, and takes nothing twice.  docs/PROTOCOL.md, "Delivery".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Line:
    """A message, one's own or somebody's.  `rest` is the content of its MSG without the number.

    `at_ms` is when it was written or taken here; `readers` are the fps it was sealed for (of one's own message without
    oneself), or None when the sender's list wasn't known.  `away` are those of one's own readers who weren't here then.
    """

    mid: bytes
    sender: bytes
    rest: bytes = field(repr=False)
    at_ms: int
    readers: tuple[bytes, ...] | None = field(repr=False)
    away: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """How we stand to one peer: our outbox for it, and how far each of its logs has come, the newest last.

    `head` and `reached` may be older than the newest of `owed`: a message is one change, however many it is owed to.
    """

    head: int = 0
    cursor: int = 0
    low: int = 1
    logs: tuple[tuple[bytes, int], ...] = ()
    reached: int = 0  # no number above it was ever put on a link


@dataclass(slots=True)
class Changes:
    """What has happened since the last commit, in the order in which `Kept.commit` takes it."""

    log: bytes | None = None  # a log of one's own was begun: everything owed is numbered anew, and is in `owed`
    lines: list[Line] = field(default_factory=list)
    owed: list[tuple[bytes, int, bytes]] = field(default_factory=list)  # recipient, number or 0 (not any more), mid
    standings: dict[bytes, Standing] = field(default_factory=dict)
    arrived: list[tuple[bytes, bytes, int]] = field(default_factory=list)  # mid, by whom, when (ms)
    undelivered: list[tuple[bytes, bytes]] = field(default_factory=list)  # mid, to whom
    taken_back: list[tuple[bytes, bytes]] = field(default_factory=list)  # mid, from whom
    gone: dict[bytes, int] = field(default_factory=dict)  # recipient: newest of `owed` that goes out with this commit
    goes: bool = False  # a number goes out that never did, of these or of earlier ones

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        became = (self.arrived, self.undelivered, self.taken_back)
        return self.log is not None or any((self.lines, self.owed, self.standings, self.goes, *became))


@dataclass(slots=True)
class Kept:
    """Everything that is kept of a room, in memory; what a store on a disk must give back.

    `lines` may lack old ones, but none that is still owed; `older` are the mids of those, as far as they are told.
    """

    log: bytes = b""
    lines: dict[bytes, Line] = field(default_factory=dict, repr=False)  # by mid, oldest first
    older: tuple[bytes, ...] = ()
    owed: dict[bytes, dict[int, bytes]] = field(default_factory=dict, repr=False)  # by recipient; number -> mid
    standings: dict[bytes, Standing] = field(default_factory=dict, repr=False)
    arrived: dict[bytes, dict[bytes, int]] = field(default_factory=dict, repr=False)  # by mid; by whom -> when (ms)
    undelivered: dict[bytes, set[bytes]] = field(default_factory=dict, repr=False)  # by mid
    taken_back: dict[bytes, set[bytes]] = field(default_factory=dict, repr=False)  # by mid
    lost_lines: int | None = None  # that were damaged; with any damage, 0 too, the old log must not be gone on with
    unsettled: bool = False  # more numbers may be out than these: the old log must not be gone on with either

    def commit(self, changes: Changes) -> None:
        """Take what has happened."""
        if changes.log is not None:
            self.log, self.unsettled = changes.log, False
            self.owed.clear()
        self.unsettled |= changes.goes
        for line in changes.lines:
            self.lines[line.mid] = line
        for fp, number, mid in changes.owed:
            if number:
                self.owed.setdefault(fp, {})[number] = mid
        for fp, standing in changes.standings.items():
            self.standings[fp] = standing
            owed = self.owed.get(fp, {})
            for number in [number for number in owed if not standing.low <= number <= standing.head]:
                del owed[number]
        for fp, number in changes.gone.items():
            standing = self.standings.get(fp, Standing())
            self.standings[fp] = replace(standing, reached=max(standing.reached, number))
        for mid, fp, at_ms in changes.arrived:
            self.arrived.setdefault(mid, {})[fp] = at_ms
        for mid, fp in changes.undelivered:
            self.undelivered.setdefault(mid, set()).add(fp)
        for mid, fp in changes.taken_back:
            self.taken_back.setdefault(mid, set()).add(fp)


class Store(Protocol):
    """Where a room is kept; raises VaultError, and then nothing of what it was given is kept."""

    def load(self) -> Kept:
        """Return what was committed."""

    def commit(self, changes: Changes) -> None:
        """Keep changes, all or none; when this returns they outlive the program, however it ends."""

    def settle(self) -> None:
        """Have what was committed outlive a power cut, too: before anything is promised to others because of it."""

    def rest(self) -> None:
        """Settle, and keep that no number is out that isn't kept; until the next commit with which one goes."""
