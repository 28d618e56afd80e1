"""What strangers can hand to a relay or a client, and what it comes to: one function for each kind of input.

A target takes any bytes and returns its verdict, a few words that a corpus can keep.  Whatever must hold for all bytes
it asserts by itself; an error that isn't ours goes through.  `tests/test_corpus.py` holds the verdicts of what is kept
in `tests/corpus`, and `tests/fuzz.py` looks for inputs that nobody thought of.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cluster_help import Relays
from relay_help import ROOM, Bench

from chatcore.errors import ConfigError, WireError
from chatcore.wire import FRAME_SIZE, HEADER, HEADER_SIZE, Frame, FrameReader, Kind, Refusal
from relay import across, nats, proxy
from relay.config import CONFIG_NAME, Config, load
from relay.limits import Limits

PASS = bytes(range(100, 132))
KNOWN_ROOM = bytes(range(32))
LISTS = re.compile(r"; the (tables|keys) are .*")  # which grow


def _whole(data: bytes) -> list[bytes]:
    return [data]


def _single(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _odd(data: bytes) -> list[bytes]:
    """Cut into pieces whose sizes the bytes themselves decide, so that a fuzzer can choose them."""
    pieces, at = [], 0
    while at < len(data):
        size = 1 + data[(at + len(data)) // 2] * 7 % 613
        pieces.append(data[at : at + size])
        at += size
    return pieces


def _named(frames: list[Frame]) -> str:
    counted = Counter(frame.kind.name.lower() for frame in frames)
    return " ".join(f"{name}={counted[name]}" for name in sorted(counted)) or "nothing"


# -- the reader of frames, on the client's side ------------------------------------------------------------------------


def frames(data: bytes) -> str:
    """Read a stream of frames: which kinds, and how it ends.  The pieces in which it comes must not matter."""
    verdicts = {_read(pieces(data)) for pieces in (_whole, _single, _odd)}
    assert len(verdicts) == 1, verdicts
    return verdicts.pop()


def _read(pieces: list[bytes]) -> str:
    reader, got, end = FrameReader(), [], ""
    for piece in [*pieces, b""]:
        try:
            got += reader.receive_data(piece)
        except WireError as error:
            end = f"; {error}"
            break
        assert reader.pending_bytes <= FRAME_SIZE
    if not end and reader.pending_bytes:
        end = "; a beginning"
    for frame in got:
        assert len(frame.to_bytes()) == FRAME_SIZE
    return _named(got) + end


# -- the relay: what a seat says ---------------------------------------------------------------------------------------


def seat(data: bytes) -> str:
    """Say this from a seat: what the others hear, and what comes back.  Addresses are 0...01 (it) to 0...03."""
    outcomes = [_say(pieces(data)) for pieces in (_whole, _odd)]
    expected = _by_the_rules(data)
    assert outcomes[0] == outcomes[1] == expected, (outcomes, expected)
    return "; ".join(_named(frames) for frames in expected)


def _say(pieces: list[bytes]) -> list[list[Frame]]:
    bench = Bench()
    guests = [bench.join() for _ in range(3)]
    stranger = bench.join(bytes(32))
    for guest in guests:
        guest.take()
    stranger.take()
    for piece in pieces:
        guests[0].feed(piece)
    assert stranger.take() == []
    assert len(guests[0].seat.tail) < FRAME_SIZE
    return [guest.take() for guest in guests]


def _by_the_rules(data: bytes) -> list[list[Frame]]:
    """Go by docs/PROTOCOL.md, "The wire", frame by frame."""
    addresses = [number.to_bytes(8, "big") for number in (1, 2, 3)]
    heard: list[list[Frame]] = [[], [], []]
    for at in range(0, len(data) - FRAME_SIZE + 1, FRAME_SIZE):
        version, kind, argument, number, address = HEADER.unpack_from(data, at)
        if version == 1 and kind == Kind.SEND:
            if address in addresses:
                block = data[at + HEADER_SIZE : at + FRAME_SIZE]
                heard[addresses.index(address)].append(Frame(Kind.SEND, 0, 0, addresses[0], block))
        elif version == 1 and kind == Kind.PING:
            heard[0].append(Frame(Kind.PONG, argument, number))
        elif version != 1 or kind != Kind.PONG:
            heard[0].append(Frame(Kind.REFUSED, Refusal.MALFORMED if version == 1 else Refusal.VERSION))
            for other in (1, 2):
                heard[other].append(Frame(Kind.LEFT, 0, 0, addresses[0]))
            break
    return heard


# -- the relay: how a stranger comes in --------------------------------------------------------------------------------


def join(data: bytes) -> str:
    """Say this first of all, to a relay with a pass: "seat", "waits", or why not."""
    answers = {_knock(pieces(data), room_is_there) for pieces in (_whole, _odd) for room_is_there in (True, False)}
    if len(answers) > 1:  # that the room is there shows to whom has the pass, and comes in
        assert {answer[0] for answer in answers} == {"seat"}, answers
    return answers.pop()[0]


def _knock(pieces: list[bytes], room_is_there: bool) -> tuple[str, int]:
    bench = Bench(Limits(max_seats_per_room=3), PASS)
    if room_is_there:
        bench.join(KNOWN_ROOM, PASS)
    rooms = len(bench.switch.rooms)
    guest = bench.guest()
    for piece in pieces:
        guest.feed(piece)
    answer = guest.take()
    if not answer:
        assert len(guest.seat.tail) < FRAME_SIZE
        assert len(bench.switch.rooms) == rooms, "a stranger made a room"
        return "waits", 0
    if answer[0].kind is Kind.WELCOME:
        assert answer[0].address == guest.address or guest.seat.closing
        return "seat", answer[0].argument
    assert [frame.kind for frame in answer] == [Kind.REFUSED]
    assert len(bench.switch.rooms) == rooms
    return f"refused: {Refusal(answer[0].argument).name.lower()}", 0


# -- the header of a proxy ---------------------------------------------------------------------------------------------


def proxied(data: bytes) -> str:
    """Read a PROXY header as the server does: 16 bytes, then as many as they say."""
    head = data[: proxy.HEAD_SIZE]
    try:
        size = proxy.rest_size(head)
        assert 0 <= size <= proxy.MAX_REST_BYTES
        if len(data) < proxy.HEAD_SIZE + size:
            return "a beginning"
        host = proxy.source(head, data[proxy.HEAD_SIZE : proxy.HEAD_SIZE + size])
    except WireError as error:
        return f"{error}"
    if host is None:
        return "speaks for itself"
    assert str(ipaddress.ip_address(host)) == host
    return f"speaks for {host}"


# -- the configuration -------------------------------------------------------------------------------------------------


def configuration(data: bytes) -> str:
    """Load a configuration: "good", or the one sentence about it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as home:
        path = Path(home) / CONFIG_NAME
        path.write_bytes(data)
        try:
            made = load(path)
        except ConfigError as error:
            said = str(error)
            assert said.startswith(str(path)), said
            assert said.isprintable(), said
            assert said.endswith("."), said
            assert len(said) < 1000, said
            return LISTS.sub(r"; the \1 are listed.", said.replace(str(path), "").lstrip(":, "))
    assert isinstance(made, Config)
    assert 0 < made.port < 65_536
    assert made.limits.max_connections >= 1
    assert all(value >= 0 for value in vars_of(made.limits))
    return "good"


def vars_of(limits: Limits) -> list[int]:
    """Return all numbers of the limits."""
    return [getattr(limits, name) for name in limits.__slots__]


# -- what comes of an engine, and of whoever else uses it --------------------------------------------------------------


def nats_server(data: bytes) -> str:
    """Read what a NATS server says: how much of each kind, and how it ends.  The pieces must not matter."""
    verdicts = {_hear(pieces(data)) for pieces in (_whole, _single, _odd)}
    assert len(verdicts) == 1, verdicts
    return verdicts.pop()


def _hear(pieces: list[bytes]) -> str:
    reader, said, end = nats.Reader(across.MAX_MESSAGE_BYTES), Counter[str](), "open"
    try:
        for piece in pieces:
            for one in reader.receive_data(piece):
                said[type(one).__name__.lower() if not isinstance(one, bytes) else "ping or pong"] += 1
            assert reader.kept_bytes <= nats.MAX_LINE_BYTES + across.MAX_MESSAGE_BYTES + 2
    except WireError:
        end = "refused"
    return ", ".join([*(f"{count} {name}" for name, count in sorted(said.items())), end])


def other_relay(data: bytes) -> str:
    """Take bytes from the engine, as all that they could be, in a room of two: what they say, and what changes."""
    relays = Relays(1)
    bench, cluster = relays.benches[0], relays.cluster(0)
    seats = [bench.join().seat for _ in range(2)]
    for word in (across.Message(across.About.CHANGE, b"a relay.", 1, 0, come=(across.RECORD.pack(1, b"far seat"),)),):
        cluster.take_word(across.token_of(ROOM), "other", word.to_bytes())
    before = cluster.refused
    cluster.take_word(across.token_of(ROOM), "other", data)
    cluster.take_heart("third", data)
    cluster.take_blocks(across.token_of(ROOM), data)
    relays.beat()
    room = bench.switch.rooms[ROOM]
    assert [*room.seats.values()] == seats
    assert room.keys() == room.seats.keys() | room.far.keys()
    assert cluster.far_seats == len(room.far) <= bench.switch.limits.max_seats_per_room
    assert len(cluster.relays) <= 3
    try:
        what = across.parse(data).about.name
    except WireError:
        what = "no message"
    refused = cluster.refused - before
    return f"{what}: {len(room.far)} far, {len(cluster.relays)} relays, {cluster.blocks_in} blocks, {refused} refused"


TARGETS: dict[str, Callable[[bytes], str]] = {
    "frames": frames,
    "seat": seat,
    "join": join,
    "proxy": proxied,
    "configuration": configuration,
    "nats_server": nats_server,
    "other_relay": other_relay,
}
