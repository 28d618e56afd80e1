"""Gets the rows out of a damaged vault, page by page, whatever SQLite thinks of it.  Pure.

Every row of a vault is sealed for its place, so nothing read here needs to be believed: what doesn't open is no row.
The format is that of https://www.sqlite.org/fileformat.html, as far as leaf pages, overflow and the write-ahead log go.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

PAGE_SIZE = 4096  # every vault is made with it
MAX_ROW_BYTES = 2**17  # the longest is a line of 41,000 bytes with 255 readers
_HEADER_SIZE = 100  # of the file, in front of its first page
_TABLE_LEAF, _INDEX_LEAF = 0x0D, 0x0A
_LOCAL_MAX = PAGE_SIZE - 35  # bytes of a row in its page; of a longer one at least _LOCAL_MIN
_LOCAL_MIN = (PAGE_SIZE - 12) * 32 // 255 - 23
_WAL_HEADER = struct.Struct(">IIII8sII")  # magic, version, page size, sequence, salts, two checksums
_FRAME_HEADER = struct.Struct(">II8sII")  # page, pages in all if it ends a commit, salts, two checksums
_FRAME_SIZE = _FRAME_HEADER.size + PAGE_SIZE

Place = tuple[bytes, int, bytes]  # room, kind, key


@dataclass(slots=True)
class Found:
    """What was found, not believed yet: rows by their sequence number, and the places that the index knows of."""

    rows: list[tuple[int, Place, bytes]] = field(default_factory=list)  # older versions of a row first
    listed: set[Place] = field(default_factory=set)


def carve(base: bytes, log: bytes) -> Found:
    """Return what there is in the bytes of a vault and of its write-ahead log."""
    found = Found()
    pages = {at // PAGE_SIZE + 1: base[at : at + PAGE_SIZE] for at in range(0, len(base), PAGE_SIZE)}
    versions = [*pages.items(), *((number, page) for number, _, page in frames(log))]
    pages.update(versions)
    for number, page in versions:
        _take(found, pages, page, _HEADER_SIZE if number == 1 else 0)
    return found


def frames(log: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yield page number, whether a commit ends there, and the page, of the frames in use of a write-ahead log."""
    if len(log) < _WAL_HEADER.size + _FRAME_SIZE:
        return
    header = log[: _WAL_HEADER.size]
    _, _, _, _, salts, one, two = _WAL_HEADER.unpack(header)
    if _sums(header) != (one, two):  # it is the header that is damaged: its frames still agree
        salts = _FRAME_HEADER.unpack_from(log, _WAL_HEADER.size)[2]
    for at in range(_WAL_HEADER.size, len(log) - _FRAME_SIZE + 1, _FRAME_SIZE):
        number, ends, found, _, _ = _FRAME_HEADER.unpack_from(log, at)
        if found == salts:  # others are left over from before the log began again
            yield number, bool(ends), log[at + _FRAME_HEADER.size : at + _FRAME_SIZE]


def committed(log: bytes) -> int:
    """Return up to which frame the log once held whole commits, whether they can be read or not."""
    return max((count for count, (_, ends, _) in enumerate(frames(log), 1) if ends), default=0)


def newest(log: bytes) -> bytes:
    """Return the pages of all commits in a log, the last one last; not what is left in it of earlier times."""
    pages = [page for _, _, page in frames(log)]
    return b"".join(pages[: committed(log)])


def _sums(header: bytes) -> tuple[int, int]:
    """Return the checksums of the first 24 bytes of a log."""
    one = two = 0
    words = struct.unpack_from("<6I" if header[3] & 1 == 0 else ">6I", header)
    for index in range(0, 6, 2):
        one = (one + words[index] + two) & 0xFFFFFFFF
        two = (two + words[index + 1] + one) & 0xFFFFFFFF
    return one, two


def _take(found: Found, pages: dict[int, bytes], page: bytes, at: int) -> None:
    """Take what a page holds; `at` is where it begins in earnest."""
    if len(page) < at + 8 or page[at] not in (_TABLE_LEAF, _INDEX_LEAF):
        return
    (count,) = struct.unpack_from(">H", page, at + 3)
    for index in range(min(count, PAGE_SIZE // 4)):
        try:
            (start,) = struct.unpack_from(">H", page, at + 8 + 2 * index)
            if page[at] == _TABLE_LEAF:
                size, start = _varint(page, start)
                seq, start = _varint(page, start)
                row = _columns(_payload(pages, page, start, size))
                if len(row) == 5:
                    found.rows.append((seq, _place(row[1:4]), _blob(row[4])))
            else:
                size, start = _varint(page, start)
                row = _columns(page[start : start + size])
                if len(row) == 4:
                    found.listed.add(_place(row[:3]))
        except (IndexError, ValueError, struct.error):  # this cell is no row
            continue


def _place(columns: list[int | bytes]) -> Place:
    room, kind, key = columns
    if not isinstance(kind, int) or not 0 <= kind < 256:
        raise ValueError
    return _blob(room), kind, _blob(key)


def _blob(column: int | bytes) -> bytes:
    if not isinstance(column, bytes):
        raise ValueError
    return column


def _payload(pages: dict[int, bytes], page: bytes, start: int, size: int) -> bytes:
    """Return all bytes of a row, from its page and those that it runs over into."""
    if size <= _LOCAL_MAX:
        return page[start : start + size]
    local = _LOCAL_MIN + (size - _LOCAL_MIN) % (PAGE_SIZE - 4)
    local = local if local <= _LOCAL_MAX else _LOCAL_MIN
    if size > MAX_ROW_BYTES:  # also when pages of a hostile file go round in a circle
        raise ValueError
    data = bytearray(page[start : start + local])
    (number,) = struct.unpack_from(">I", page, start + local)
    while len(data) < size:
        more = pages.get(number, b"")
        if len(more) != PAGE_SIZE:
            raise ValueError
        (number,) = struct.unpack_from(">I", more)
        data += more[4:]
    return bytes(data[:size])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes, and where it ends."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _columns(payload: bytes) -> list[int | bytes]:
    """Return the columns of a row; 0 for NULL, the place of which is taken by the sequence number."""
    end, at = _varint(payload, 0)
    columns: list[int | bytes] = []
    start = end
    while at < end and len(columns) < 6:
        kind, at = _varint(payload, at)
        size = kind // 2 - 6 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind]
        piece = payload[start : start + size]
        if len(piece) != size:
            raise ValueError
        start += size
        columns.append(piece if kind >= 12 else kind - 8 if kind > 7 else int.from_bytes(piece, signed=True))
    return columns
