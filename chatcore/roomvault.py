"""The rows of one room in the vault: its log, lines, standings, what became of them.  A shell; implements `Store`."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace

from chatcore.courier import MAX_TAKEN
from chatcore.delivery import LOG_SIZE, MID_SIZE
from chatcore.kept import Changes, Kept, Line, Standing
from chatcore.salvage import Place
from chatcore.seal import FP_SIZE
from chatcore.vault import Vault
from chatcore.vaultfile import PUT, TAKE_AWAY, Kind, Row

KEPT_LINES = 2000  # of a room that `load` returns, besides those that are still owed
OLDER_LINES = MAX_TAKEN - KEPT_LINES  # of which it returns the mid: whoever begins a new log may say them again

_LINE = struct.Struct(f">{FP_SIZE}sQh")  # sender, when; how many readers, -1 when they aren't known
_STANDING = struct.Struct(f">{FP_SIZE}sQQQ")  # peer, head, cursor, low; then reached u64; log 8 and cursor u64 each
_REACHED = struct.Struct(">Q")
_MISTRUST = (Kind.DAMAGE, Kind.UNSETTLED)  # why a log isn't gone on with: gone when the next is begun
_HAS_NUMBERS, _HAS_AWAY = 1, 2  # what follows the readers: a number for each, a bit for each
_GONE = 1 << 63  # beside a number: it went out as soon as it was committed
_LOG = struct.Struct(f">{LOG_SIZE}sQ")
_ARRIVAL = struct.Struct(f">{FP_SIZE}sQ{MID_SIZE}s")  # by whom, when, what
_LOSS = struct.Struct(f">{FP_SIZE}s{MID_SIZE}s")  # for whom, what


def _pack_line(line: Line, numbers: dict[bytes, int]) -> bytes:
    """`numbers` are those under which the line is owed, by reader; 0 stands for one who is owed nothing.

    With a number may stand `_GONE`.
    """
    readers = line.readers or ()
    head = _LINE.pack(line.sender, line.at_ms, -1 if line.readers is None else len(readers))
    bits = sum(1 << index for index, fp in enumerate(readers) if fp in line.away) if line.away else 0
    away = bits.to_bytes(_bytes_of_bits(len(readers))) if bits else b""
    flags = (_HAS_NUMBERS if numbers and readers else 0) | (_HAS_AWAY if away else 0)
    numbered = struct.pack(f">{len(readers)}Q", *map(numbers.get, readers, (0,) * len(readers))) if numbers else b""
    return b"".join((head, *readers, bytes((flags,)), numbered, away, line.mid, line.rest))


def _bytes_of_bits(count: int) -> int:
    return (count + 7) // 8


def _parse_line(data: bytes) -> tuple[Line, dict[bytes, int]]:
    sender, at_ms, count = _LINE.unpack_from(data)
    at = _LINE.size
    readers = tuple(data[at + FP_SIZE * index : at + FP_SIZE * (index + 1)] for index in range(max(0, count)))
    at += FP_SIZE * len(readers)
    flags = data[at]
    numbers = struct.unpack_from(f">{len(readers) if flags & _HAS_NUMBERS else 0}Q", data, at + 1)
    at += 1 + 8 * len(numbers)
    size = _bytes_of_bits(len(readers)) if flags & _HAS_AWAY else 0
    bits = int.from_bytes(data[at : at + size])
    away = tuple(fp for index, fp in enumerate(readers) if bits >> index & 1)
    at += size
    line = Line(data[at : at + MID_SIZE], sender, data[at + MID_SIZE :], at_ms, None if count < 0 else readers, away)
    return line, {fp: number for fp, number in zip(readers, numbers, strict=False) if number}


def _pack_standing(fp: bytes, standing: Standing) -> bytes:
    head = _STANDING.pack(fp, standing.head, standing.cursor, standing.low)
    return b"".join((head, _REACHED.pack(standing.reached), *(_LOG.pack(*log) for log in standing.logs)))


def _parse_standing(data: bytes) -> tuple[bytes, Standing]:
    fp, head, cursor, low = _STANDING.unpack_from(data)
    rest = data[_STANDING.size :]
    if len(rest) % _LOG.size:
        (reached,), rest = _REACHED.unpack_from(rest), rest[_REACHED.size :]
    else:
        reached = _GONE  # of version 1: it isn't known, so all that is owed may have gone out
    return fp, Standing(head, cursor, low, tuple(_LOG.iter_unpack(rest)), reached)


class RoomVault:
    """The rows of one room.  Once it was erased it takes nothing any more: a room that is being closed still talks."""

    def __init__(self, vault: Vault, room_id: bytes) -> None:
        """`room_id` has 32 bytes."""
        self._vault, self._room = vault, vault.hidden(b"room", room_id)
        self._erased = False
        self._torn: list[int] = []  # sequence numbers of rows that don't open; they go when a new log is begun
        self._lost_lines = 0
        self._unsettled = False  # there is that row

    def __repr__(self) -> str:
        return "RoomVault()"

    @property
    def hidden(self) -> bytes:
        """What stands for the room in the file (16 bytes)."""
        return self._room

    def _row(self, kind: Kind, what: bytes, data: bytes) -> Row:
        return self._vault.row(self._room, kind, what, data)

    def _read(
        self, base: sqlite3.Connection, first: Kind, last: Kind, since: int = 0
    ) -> Iterator[tuple[int, int, bytes]]:
        """Yield sequence number, kind and data of the whole rows of these kinds that came at `since` or later."""
        for seq, kind, data in self._vault.read(base, self._room, first, last, since):
            if data is not None:
                yield seq, kind, data
            elif seq not in self._torn:
                self._torn.append(seq)
                self._lost_lines += kind == Kind.LINE

    def load(self) -> Kept:
        """Return what was committed: the newest lines, and all that are still owed.  Raises VaultError."""
        self._torn, self._lost_lines = [], 0
        with self._vault.transaction() as base:
            kept, since = self._load_lines(base)
            # What became of a line came after it: of what became of older ones nothing need be opened.
            for _, kind, data in self._read(base, Kind.ARRIVAL, Kind.TAKEN_BACK, since):
                if kind == Kind.ARRIVAL:
                    fp, at_ms, mid = _ARRIVAL.unpack(data)
                    kept.arrived.setdefault(mid, {})[fp] = at_ms
                else:
                    fp, mid = _LOSS.unpack(data)
                    became = kept.undelivered if kind == Kind.LOSS else kept.taken_back
                    became.setdefault(mid, set()).add(fp)
            kept.unsettled = self._unsettled = any(self._read(base, Kind.UNSETTLED, Kind.UNSETTLED))
            marks = [int.from_bytes(data) for _, _, data in self._read(base, Kind.DAMAGE, Kind.DAMAGE)]
        if self._torn or marks:
            kept.lost_lines = self._lost_lines + sum(marks)
            for fp, owed in kept.owed.items():  # how far they had come may be what was lost
                for number, mid in list(owed.items()):
                    if any(fp in became.get(mid, ()) for became in (kept.arrived, kept.undelivered, kept.taken_back)):
                        del owed[number]
        return kept

    def _load_lines(self, base: sqlite3.Connection) -> tuple[Kept, int]:
        """Return everything but what became of the lines, and the sequence number of the oldest line."""
        kept = Kept()
        numbers: dict[bytes, dict[bytes, int]] = {}
        seqs: dict[bytes, int] = {}
        for seq, kind, data in self._read(base, Kind.LOG, Kind.STANDING):
            match kind:
                case Kind.LOG:
                    kept.log = data
                case Kind.LINE:
                    line, owed = _parse_line(data)
                    kept.lines[line.mid], numbers[line.mid], seqs[line.mid] = line, owed, seq
                case Kind.STANDING:
                    fp, standing = _parse_standing(data)
                    kept.standings[fp] = standing
        for mid, owed in numbers.items():
            for fp, marked in owed.items():
                number, standing = marked & ~_GONE, kept.standings.get(fp, Standing())
                if number >= standing.low:
                    kept.owed.setdefault(fp, {})[number] = mid
                if marked & _GONE and number > standing.reached:
                    kept.standings[fp] = replace(standing, reached=number)
        still = {mid for owed_to in kept.owed.values() for mid in owed_to.values()}
        mids = list(kept.lines)
        newest = set(mids[-KEPT_LINES:])
        kept.older = tuple(mids[-KEPT_LINES - OLDER_LINES : -KEPT_LINES])
        kept.lines = {mid: line for mid, line in kept.lines.items() if mid in newest or mid in still}
        return kept, min((seqs[mid] for mid in kept.lines), default=0)

    def commit(self, changes: Changes) -> None:
        """Write changes down, all or none.  Raises VaultError, and then nothing is.

        Before the first number since `rest` goes out, the disk has it that there may be more than it knows: asking it
        for each message alone would take longer than encrypting it.
        """
        numbers: dict[bytes, dict[bytes, int]] = {}
        for fp, number, mid in changes.owed:
            gone = _GONE if number and changes.gone.get(fp) == number else 0
            numbers.setdefault(mid, {})[fp] = number | gone
        with self._vault.transaction() as base:
            if self._erased:
                return
            rows = self._rows(changes, numbers)
            if changes.log is not None:
                base.executemany("DELETE FROM item WHERE seq = ?", ((seq,) for seq in self._torn))
                base.executemany(TAKE_AWAY, (self._vault.place(self._room, one, b"") for one in _MISTRUST))
                rows.append(self._row(Kind.LOG, b"", changes.log))
                rows += self._renumbered(base, numbers)
            else:
                rows += [self._closed_up(base, mid, changed) for mid, changed in numbers.items()]
            unsettled = self._unsettled and changes.log is None
            begins = changes.goes and not unsettled
            if begins:
                rows.append(self._row(Kind.UNSETTLED, b"", b""))
            base.executemany(PUT, rows)
        self._unsettled = unsettled or begins
        if begins or changes.log is not None:  # after a power cut the old log mustn't be gone on with
            self._vault.settle()

    def _rows(self, changes: Changes, numbers: dict[bytes, dict[bytes, int]]) -> list[Row]:
        """Seal what is new; what is left in `numbers` is of lines of before."""
        rows = [self._row(Kind.LINE, line.mid, _pack_line(line, numbers.pop(line.mid, {}))) for line in changes.lines]
        for fp, standing in changes.standings.items():
            rows.append(self._row(Kind.STANDING, fp, _pack_standing(fp, standing)))
        for mid, fp, at_ms in changes.arrived:
            rows.append(self._row(Kind.ARRIVAL, mid + fp, _ARRIVAL.pack(fp, at_ms, mid)))
        for mid, fp in changes.undelivered:
            rows.append(self._row(Kind.LOSS, mid + fp, _LOSS.pack(fp, mid)))
        for mid, fp in changes.taken_back:
            rows.append(self._row(Kind.TAKEN_BACK, mid + fp, _LOSS.pack(fp, mid)))
        return rows

    def settle(self) -> None:
        """Have what was committed outlive a power cut.  Raises VaultError."""
        self._vault.settle()

    def rest(self) -> None:
        """Settle, and note that no number is out that the file doesn't know.  Raises VaultError."""
        self._vault.settle()
        if self._unsettled and not self._erased:
            with self._vault.transaction() as base:
                base.execute(TAKE_AWAY, self._vault.place(self._room, Kind.UNSETTLED, b""))
            self._unsettled = False

    def _closed_up(self, base: sqlite3.Connection, mid: bytes, changed: dict[bytes, int]) -> Row:
        """Return a line of before with the numbers that it has since another was taken back."""
        line, numbers = _parse_line(self._vault.find(base, self._room, Kind.LINE, mid))
        return self._row(Kind.LINE, mid, _pack_line(line, numbers | changed))

    def _renumbered(self, base: sqlite3.Connection, numbers: dict[bytes, dict[bytes, int]]) -> list[Row]:
        """Return the lines of before a new log, with the numbers that they have in it: most have none."""
        lines = [_parse_line(data) for _, _, data in self._read(base, Kind.LINE, Kind.LINE)]
        return [
            self._row(Kind.LINE, line.mid, _pack_line(line, numbers.get(line.mid, {})))
            for line, owed in lines
            if owed or line.mid in numbers
        ]

    def erase(self, gone: Iterable[Place] = ()) -> None:
        """Keep nothing of this room any more, nor of what is in other places.  Raises VaultError."""
        self._erased = True
        self._vault.erase(self._room, gone)
