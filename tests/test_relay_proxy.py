"""A proxy in front of the relay: its header read, and believed from nobody else."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_help import DEADLINE_S, RelayThread, any_certificate, join_frame, until

from chatcore.errors import WireError
from chatcore.wire import FRAME_SIZE, Kind, Refusal
from relay import keys, proxy
from relay.config import Config
from relay.limits import Door, Limits, is_among

LOCAL, PROXY, TCP4, TCP6 = 0x20, 0x21, 0x11, 0x21
LISTED = (ipaddress.ip_network("127.0.0.1"),)


def header(host: str, tlvs: bytes = b"", command: int = PROXY) -> bytes:
    """Return the header of a proxy that connects for this address."""
    address = ipaddress.ip_address(host)
    to = bytes(len(address.packed))
    rest = address.packed + to + (4000).to_bytes(2, "big") + (7256).to_bytes(2, "big") + tlvs
    return raw(command, TCP4 if address.version == 4 else TCP6, rest)


def raw(command: int, family: int, rest: bytes) -> bytes:
    return proxy.SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


def read(data: bytes) -> str | None:
    """Read a header as the server does: 16 bytes, then as many as they say."""
    head = data[:16]
    size = proxy.rest_size(head)
    return proxy.source(head, data[16 : 16 + size])


# -- the parser --------------------------------------------------------------------------------------------------------

tlv = st.builds(
    lambda kind, value: bytes([kind]) + len(value).to_bytes(2, "big") + value,
    st.integers(0, 255),
    st.binary(max_size=60),
)


@given(st.ip_addresses(), st.lists(tlv, max_size=5).map(b"".join), st.binary(max_size=300))
def test_the_address_is_read_whatever_follows(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, tlvs: bytes, more: bytes
) -> None:
    data = header(str(address), tlvs)
    assert read(data + more) == str(address)
    assert proxy.rest_size(data[:16]) == len(data) - 16


@given(st.ip_addresses(), st.lists(tlv, min_size=1, max_size=3), st.data())
def test_a_header_that_is_cut_short_is_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, tlvs: list[bytes], data: st.DataObject
) -> None:
    whole = header(str(address), b"".join(tlvs))
    with pytest.raises(WireError):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])
    shorter = data.draw(st.integers(1, len(tlvs[-1]) - 1))  # inside the last TLV, and the size agrees
    with pytest.raises(WireError):
        read(header(str(address), b"".join(tlvs)[:-shorter]))


@given(
    st.one_of(
        st.binary(max_size=1200), st.builds(raw, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=1100))
    )
)
def test_any_bytes_are_an_address_or_nothing_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        host = read(data)
        assert host is None or ipaddress.ip_address(host)
        assert data.startswith(proxy.SIGNATURE)
        assert 16 + proxy.rest_size(data[:16]) <= len(data)


def test_a_proxy_may_speak_for_itself() -> None:
    for family in (0, TCP4, TCP6, 0x31, 0xFF):
        for rest in (b"", b"x", bytes(1024)):
            assert read(raw(LOCAL, family, rest)) is None
    with pytest.raises(WireError):
        proxy.source(raw(LOCAL, 0, b"x")[:16], b"")


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 7256\r\n",
        b"PROXY UNKNOWN\r\n" + bytes(20),
        raw(0x11, TCP4, bytes(12)),  # version 1 in the second one's clothes
        raw(0x31, TCP4, bytes(12)),
        raw(0x22, TCP4, bytes(12)),
        raw(PROXY, 0x00, b""),  # for somebody it doesn't name
        raw(PROXY, 0x12, bytes(12)),  # UDP
        raw(PROXY, 0x31, bytes(216)),  # a unix socket
        raw(PROXY, 0x32, bytes(216)),
        raw(PROXY, TCP4, bytes(11)),
        raw(PROXY, TCP6, bytes(35)),
        raw(PROXY, TCP6, bytes(12)),
        raw(PROXY, TCP4, bytes(12) + b"\1"),
        raw(PROXY, TCP4, bytes(12) + b"\1\0"),
        raw(PROXY, TCP4, bytes(12) + b"\1\0\5abcd"),
        raw(PROXY, TCP4, bytes(12) + b"\1\xff\xff"),
        raw(PROXY, TCP4, bytes(1025)),
        raw(LOCAL, 0, bytes(65_535)),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),  # TLS without a header
        join_frame(),
        b"",
    ],
)
def test_what_is_no_header_of_tcp_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        read(data)


def test_who_is_a_proxy() -> None:
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))
    for host in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "2001:db8::1%eth0"):
        assert is_among(host, networks)
    for host in ("11.0.0.1", "::ffff:11.0.0.1", "::1", "fe80::1%eth0"):
        assert not is_among(host, networks)
    assert not is_among("10.1.2.3", ())


def test_connections_that_have_not_said_for_whom_they_come_count_too() -> None:
    door = Door(Limits().unlimited(), 64)
    assert [door.hold() for _ in range(70)] == [True] * 68 + [False] * 2
    assert not door.arrive("a", 0).enter
    door.let_go()
    assert door.arrive("a", 0).doom is not None


# -- on real sockets ---------------------------------------------------------------------------------------------------


def make_config(state: Path | None = None, limits: Limits | None = None, loop: str = "asyncio") -> Config:
    certificate, key = keys.ensure_keys(state) if state else (None, None)
    return Config(
        port=0, certificate=certificate, key=key, proxy_from=LISTED, event_loop=loop, limits=limits or Limits()
    )


def answer(relay: RelayThread, data: bytes, pieces: int = 1, source: str = "127.0.0.1") -> bytes:
    """Send this, and return the first frame of the answer; nothing when the relay closes instead."""
    with socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S, (source, 0)) as sock:
        got = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for at in range(0, len(data), -(-len(data) // pieces)):
                sock.sendall(data[at : at - (-len(data) // pieces)])
            while len(got) < FRAME_SIZE and (piece := sock.recv(FRAME_SIZE - len(got))):
                got += piece
        return got[:4]


WELCOME = bytes([1, Kind.WELCOME])
TOO_FAST = bytes([1, Kind.REFUSED, 0, Refusal.TOO_FAST])


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_limits_count_the_address_that_the_proxy_names(loop: str) -> None:
    limits = Limits(max_connections_per_address=0, max_joins_per_minute_per_address=4)
    with RelayThread(make_config(limits=limits, loop=loop)) as relay:
        for host in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
            for expected in (WELCOME, WELCOME, TOO_FAST):
                assert answer(relay, header(host) + join_frame()).startswith(expected)
        assert answer(relay, header("2001:db8::2") + join_frame()).startswith(TOO_FAST)  # of the same /64
        assert answer(relay, header("::ffff:192.0.2.2") + join_frame()).startswith(TOO_FAST)
        assert answer(relay, raw(LOCAL, 0, b"abc") + join_frame()).startswith(WELCOME)
        until(lambda: relay.server.door.connections == 0, "all are forgotten")


def test_a_header_may_come_byte_by_byte_and_tls_after_it(tmp_path: Path) -> None:
    with RelayThread(make_config(tmp_path)) as relay:
        data = header("192.0.2.1", b"\4\0\3abc")
        with socket.create_connection(("127.0.0.1", relay.port), DEADLINE_S) as tcp:
            for at in range(len(data)):
                tcp.sendall(data[at : at + 1])
            with any_certificate().wrap_socket(tcp) as tls:
                tls.sendall(join_frame())
                assert tls.recv(2) == WELCOME


@pytest.mark.parametrize("data", [join_frame(), b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + join_frame()])
def test_from_a_proxy_nothing_else_is_taken(data: bytes) -> None:
    with RelayThread(make_config()) as relay:
        assert answer(relay, data) == b""
        assert not relay.server.switch.seats


def test_half_a_header_ends_at_the_deadline() -> None:
    with RelayThread(make_config(limits=Limits(join_deadline_s=1))) as relay:
        halves = [header("192.0.2.1")[:end] for end in (0, 7, 16, 20)]
        with contextlib.ExitStack() as stack:
            guests = [stack.enter_context(socket.create_connection(("127.0.0.1", relay.port), 20)) for _ in halves]
            for guest, half in zip(guests, halves, strict=True):
                guest.sendall(half)
            for guest in guests:
                with contextlib.suppress(ConnectionResetError):
                    assert guest.recv(1) == b""
        until(lambda: relay.server.door.connections == 0, "all are forgotten")


def test_from_others_a_header_is_refused(tmp_path: Path) -> None:
    """127.0.0.2 is not listed: what it says of its address is a beginning that no client makes."""
    with RelayThread(make_config()) as relay:
        spoofed = answer(relay, header("192.0.2.1") + join_frame(), source="127.0.0.2")
        assert spoofed == bytes([1, Kind.REFUSED, 0, Refusal.VERSION])
        assert answer(relay, b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", source="127.0.0.2") == spoofed
        assert answer(relay, join_frame(), source="127.0.0.2").startswith(WELCOME)
        assert set(relay.server.door._guests) == {"127.0.0.2"}
    with RelayThread(make_config(tmp_path)) as relay:
        assert not answer(relay, header("192.0.2.1") + join_frame(), source="127.0.0.2").startswith(b"\1")
        assert set(relay.server.door._guests) == {"127.0.0.2"}
