"""The sealed blocks of the newest messages: by reader, and no more of them than there is room for."""

from __future__ import annotations

from chatcore.archive import MAX_BLOCKS, BlockArchive


def mid(number: int) -> bytes:
    return number.to_bytes(16)


def test_the_copies_of_a_message_are_kept_by_reader() -> None:
    archive = BlockArchive()
    archive.open(mid(1), 3)
    blocks: list[bytes] = []
    archive.put(mid(1), b"carol", blocks)
    archive.put(mid(1), b"bob", [b"1"])
    blocks += [b"2", b"3"]  # they are there when they are sent
    assert archive.get(mid(1)) == ((b"bob", (b"1",)), (b"carol", (b"2", b"3")))
    archive.open(mid(1), 3)
    archive.put(mid(1), b"bob", [b"4"])
    assert archive.get(mid(1))[0] == (b"bob", (b"4",))
    archive.put(mid(2), b"bob", [b"of a message that nobody opened"])
    assert archive.get(mid(2)) == ()


def test_the_oldest_messages_make_way() -> None:
    archive = BlockArchive()
    for number in range(5):
        archive.open(mid(number), MAX_BLOCKS // 4)
        archive.put(mid(number), b"bob", [b"block"])
    assert [bool(archive.get(mid(number))) for number in range(5)] == [False, True, True, True, True]
    archive.put(mid(0), b"bob", [b"too late"])
    assert not archive.get(mid(0))
    archive.open(mid(9), MAX_BLOCKS + 1)  # one alone may be larger
    archive.put(mid(9), b"bob", [b"block"])
    assert [number for number in range(10) if archive.get(mid(number))] == [9]
    archive.open(mid(10), 1)
    archive.put(mid(10), b"bob", [b"block"])
    assert [number for number in range(11) if archive.get(mid(number))] == [10]
