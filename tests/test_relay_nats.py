"""The language of a NATS server: what is read whatever the pieces it comes in, what is skipped, what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcore.errors import WireError
from relay import nats
from relay.nats import MAX_LINE_BYTES, Delivery, Info, Reader, Said, Skipped, Trouble

MOST = 1000


def read(data: bytes, piece: int = 1 << 20) -> list[Said]:
    reader = Reader(MOST)
    return [said for at in range(0, len(data), piece) for said in reader.receive_data(data[at : at + piece])]


def message(subject: str, sid: int, payload: bytes) -> bytes:
    return f"MSG {subject} {sid} {len(payload)}\r\n".encode() + payload + b"\r\n"


INFO = b'INFO {"server_id":"X","version":"2.9.10","max_payload":65536,"tls_required":true}\r\n'
TALK = (
    INFO
    + b"PONG\r\n"
    + message("parley.c.h.a", 2, b"hello\r\nPING\r\n")
    + b"+OK\r\nping\r\n"
    + message("parley.c.h.a", 12345, b"")
    + b"MSG a.b 3 _INBOX.reply 4\r\nfour\r\n"
    + message("big", 4, bytes(MOST + 1))
    + b"-ERR 'Permissions Violation for Subscription to \"x\"'\r\n"
    + b"-ERR 'Slow Consumer'\r\n"
)
SAID = [
    Info(65536, True, False),
    nats.PONG,
    Delivery(2, "parley.c.h.a", b"hello\r\nPING\r\n"),
    nats.PING,
    Delivery(12345, "parley.c.h.a", b""),
    Delivery(3, "a.b", b"four"),
    Skipped(),
    Trouble(False, True),
    Trouble(True, False),
]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 500, 1001, 1 << 20])
def test_what_is_said_does_not_depend_on_the_pieces_it_comes_in(piece: int) -> None:
    assert read(TALK, piece) == SAID


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=12), st.integers(1, 300))
def test_payloads_come_whole(payloads: list[bytes], piece: int) -> None:
    data = b"".join(message("s", at, payload) for at, payload in enumerate(payloads))
    assert read(data, piece) == [Delivery(at, "s", payload) for at, payload in enumerate(payloads)]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.sampled_from([INFO, b"PING\r\n", b"MSG ", b"\r\n", b"MSG a 1 5\r\n", b"-ERR ", b"MSG a 1 99999\r\n"]),
        ),
        max_size=20,
    )
)
def test_nonsense_is_refused_or_means_something_and_nothing_piles_up(pieces: list[bytes]) -> None:
    reader = Reader(MOST)
    try:
        for piece in pieces:
            list(reader.receive_data(piece))
            assert reader.kept_bytes <= MAX_LINE_BYTES + MOST
    except WireError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SUB a 1\r\n",
        b"MSG a 1\r\n",
        b"MSG a x 5\r\n",
        b"MSG a 1 -5\r\n",
        b"MSG a 1 99999999999\r\n",
        b"MSG a b c d 5\r\n",
        b"MSG \xff 1 5\r\n",
        b"MSG a 1 2\r\nabc\r\n",
        b"HMSG a 1 2 4\r\n",
        b"INFO not json\r\n",
        b"INFO []\r\n",
        b'INFO {"max_payload":"lots"}\r\n',
        b"INFO " + b"[" * 30_000 + b"\r\n",
        b"\r\n",
        b"x" * (MAX_LINE_BYTES + 2),
        b"PING " + b"x" * (MAX_LINE_BYTES - 4) + b"\r\n",
    ],
)
def test_what_no_engine_of_ours_says_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        read(data)


def test_the_longest_line_is_read_in_any_pieces() -> None:
    line = b"PING " + b"x" * (MAX_LINE_BYTES - 5) + b"\r\n"
    assert read(line) == read(line, 1) == read(line, MAX_LINE_BYTES + 1) == [nats.PING]


def test_of_what_is_too_long_nothing_is_kept() -> None:
    reader = Reader(MOST)
    assert list(reader.receive_data(b"MSG a 1 900000000\r\n")) == [Skipped()]
    for _ in range(50):
        assert list(reader.receive_data(bytes(1_000_000))) == []
        assert reader.kept_bytes == 0


def test_what_we_say_is_one_line_each() -> None:
    assert nats.publish("a.b", b"x\r\n") == b"PUB a.b 3\r\nx\r\n\r\n"
    assert nats.subscribe("a.*", 7) == b"SUB a.* 7\r\n"
    assert nats.unsubscribe(7) == b"UNSUB 7\r\n"
    said, ping, rest = nats.connect("us\r\ner", 'pass"word').split(b"\r\n")
    assert (ping, rest) == (b"PING", b"")
    told = json.loads(said.removeprefix(b"CONNECT "))
    assert (told["user"], told["pass"], told["echo"], told["headers"]) == ("us\r\ner", 'pass"word', True, False)
    assert "user" not in json.loads(nats.connect("", "").split(b"\r\n")[0].removeprefix(b"CONNECT "))


def test_a_delivery_shows_neither_subject_nor_payload() -> None:
    assert repr(Delivery(1, "parley.c.room", b"secret")) == "Delivery()"
