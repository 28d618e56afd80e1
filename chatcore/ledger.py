"""What happened to one's messages since it was kept last, noted as it happens; nothing, when nothing is kept.  Pure.

Which order of keeping and sending holds, and why: `kept`.  docs/PROTOCOL.md, "Delivery".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore.delivery import Owed
from chatcore.kept import Changes, Line, Standing


class Ledger:
    """`log` is one's own that was just begun, or None to go on with the one that is kept."""

    def __init__(self, log: bytes | None, *, keeps: bool) -> None:
        self._changes = Changes(log=log) if keeps else None
        self._touched: set[bytes] = set()  # peers whose standing has changed

    def take(self, standing: Callable[[bytes], Standing]) -> Changes:
        """Return what has changed since the last call; `standing` says how we stand to a peer now."""
        if self._changes is None:
            return Changes()
        changes, self._changes = self._changes, Changes()
        for fp in self._touched:
            changes.standings[fp] = standing(fp)
        self._touched.clear()
        return changes

    def touch(self, *fps: bytes) -> None:
        """How we stand to these has changed."""
        if self._changes is not None:
            self._touched.update(fps)

    def line(self, line: Line) -> None:
        """There is a new line."""
        if self._changes is not None:
            self._changes.lines.append(line)

    def begin_log(self, log: bytes, owed: Iterable[tuple[bytes, Iterable[tuple[int, Owed]]]]) -> None:
        """A log was begun: everything owed is numbered anew, and these are all who ever were owed something."""
        if self._changes is not None:
            self._changes.log, self._changes.owed = log, []
            self._changes.gone.clear()
            for fp, numbered in owed:
                self._changes.owed += [(fp, number, one.mid) for number, one in numbered]
                self._touched.add(fp)

    def owe(self, fp: bytes, number: int, mid: bytes) -> None:
        """A message is owed to somebody."""
        if self._changes is not None:
            self._changes.owed.append((fp, number, mid))

    def goes_at_once(self, fp: bytes, number: int) -> None:
        """The newest that is owed to somebody goes out: with its line, for a standing each would cost more."""
        if self._changes is not None:
            self._changes.gone[fp], self._changes.goes = number, True

    def goes(self, fp: bytes) -> None:
        """What was owed to somebody before goes out for the first time."""
        self.touch(fp)
        if self._changes is not None:
            self._changes.goes = True

    def take_back(self, fp: bytes, mid: bytes, behind: Iterable[tuple[int, Owed]]) -> None:
        """A message is owed to somebody no more; those `behind` it have moved up."""
        self.touch(fp)
        if self._changes is not None:
            self._changes.owed += [(fp, 0, mid), *((fp, number, one.mid) for number, one in behind)]
            self._changes.taken_back.append((mid, fp))

    def arrived(self, fp: bytes, mids: Iterable[bytes], at_ms: int) -> None:
        """Somebody has acknowledged messages."""
        self.touch(fp)
        if self._changes is not None:
            self._changes.arrived += [(mid, fp, at_ms) for mid in mids]

    def gave_up(self, fp: bytes, mids: Iterable[bytes]) -> None:
        """Messages will never get to somebody."""
        self.touch(fp)
        if self._changes is not None:
            self._changes.undelivered += [(mid, fp) for mid in mids]
