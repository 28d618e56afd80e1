"""Frames: one size, one version, and what a stream of them means."""

from __future__ import annotations

import pytest

from chatcore.errors import WireError
from chatcore.wire import (
    BLOCK_SIZE,
    FRAME_SIZE,
    HEADER_SIZE,
    VERSION,
    Frame,
    FrameReader,
    Kind,
    Refusal,
    join_block,
    parse_frame,
)

FRAME = Frame(Kind.SEND, 0x0102, 0x03040506, b"address!", bytes(range(256)))


def test_a_frame_byte_by_byte() -> None:
    data = FRAME.to_bytes()
    assert len(data) == FRAME_SIZE == 272
    assert data[:HEADER_SIZE] == b"\x01\x05\x01\x02\x03\x04\x05\x06address!"
    assert data[HEADER_SIZE:] == FRAME.block
    assert parse_frame(data) == parse_frame(memoryview(data)) == FRAME


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_comes_back(kind: Kind) -> None:
    assert parse_frame(Frame(kind).to_bytes()) == Frame(kind)


def test_the_numbers_of_kinds_and_refusals_are_those_of_the_protocol() -> None:
    assert [kind.name for kind in Kind] == ["JOIN", "WELCOME", "PRESENT", "LEFT", "SEND", "PING", "PONG", "REFUSED"]
    assert [kind.value for kind in Kind] == list(range(1, 9))
    assert [refusal.value for refusal in Refusal] == list(range(1, 8))


@pytest.mark.parametrize("size", [0, 1, 16, 271, 273, 544])
def test_another_size_is_no_frame(size: int) -> None:
    with pytest.raises(WireError, match="272"):
        parse_frame(bytes((1, 5)).ljust(size, b"\0")[:size])


@pytest.mark.parametrize("version", [v for v in range(256) if v != VERSION])
def test_another_version_is_said_before_anything_else(version: int) -> None:
    with pytest.raises(WireError, match="version"):
        parse_frame(bytes((version, 99)) + FRAME.to_bytes()[2:])


@pytest.mark.parametrize("kind", [0, 9, 10, 128, 255])
def test_an_unknown_kind_is_refused(kind: int) -> None:
    with pytest.raises(WireError, match="kind"):
        parse_frame(bytes((1, kind)) + FRAME.to_bytes()[2:])


def test_a_frame_of_another_shape_is_never_written() -> None:
    for frame in (Frame(Kind.SEND, block=bytes(255)), Frame(Kind.SEND, address=bytes(7))):
        with pytest.raises(ValueError, match="256"):
            frame.to_bytes()
    for room_id, relay_pass in ((bytes(31), bytes(32)), (bytes(32), bytes(33))):
        with pytest.raises(ValueError, match="32"):
            join_block(room_id, relay_pass)


def test_a_join_block() -> None:
    block = join_block(b"r" * 32, b"p" * 32)
    assert block == b"r" * 32 + b"p" * 32 + bytes(BLOCK_SIZE - 64)
    assert join_block(b"r" * 32)[32:] == bytes(224)


def test_a_frame_shows_its_kind_only() -> None:
    assert repr(FRAME) == "Frame(SEND)"


def test_a_reader_keeps_less_than_a_frame() -> None:
    reader, data = FrameReader(), FRAME.to_bytes() * 3
    assert reader.receive_data(data[:271]) == []
    assert reader.pending_bytes == 271
    assert reader.receive_data(data[271:545]) == [FRAME, FRAME]
    assert reader.pending_bytes == 1
    assert reader.receive_data(b"") == []
    assert reader.receive_data(data[545:]) == [FRAME]
    assert reader.pending_bytes == 0


def test_a_reader_gives_the_good_frames_and_then_only_the_error() -> None:
    reader, good = FrameReader(), FRAME.to_bytes()
    assert reader.receive_data(good + bytes(FRAME_SIZE) + good) == [FRAME]
    for data in (b"", good, good * 5, bytes(1000)):
        with pytest.raises(WireError):
            reader.receive_data(data)
        assert reader.pending_bytes <= FRAME_SIZE  # whatever is still sent, it isn't heaped up
