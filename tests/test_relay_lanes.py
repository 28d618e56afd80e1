"""How what waits for a room is dealt out and written: whole, in order, and whatever the sockets say."""

from __future__ import annotations

import random
import weakref

import pytest
from relay_help import OTHER_ROOM, ROOM, Bench, FakePort, Guest, join_frame, send_frame

from chatcore.wire import FRAME_SIZE, Frame, Kind, Refusal
from relay.intake import Intake
from relay.lanes import WRITE_BYTES
from relay.limits import Limits
from relay.seat import Seat


@pytest.mark.parametrize("around", [1, 2, 3, 7, 49, 200])
@pytest.mark.parametrize("frames", [1, 2, 5, 48, 49, 50, 98, 99, 147, 700, 1500])
def test_what_is_dealt_out_is_what_lies_in_the_buffer(frames: int, around: int) -> None:
    intake = Intake()
    blocks = [number.to_bytes(2, "big") * (FRAME_SIZE // 2) for number in range(frames)]
    intake.view[: frames * FRAME_SIZE] = b"".join(blocks)
    expected = [b"".join(blocks[at::around]) for at in range(min(frames, around))]
    assert list(intake.deal(frames, around)) == expected


class Narrow(FakePort):
    """Takes so many bytes of each piece and keeps the rest; or raises."""

    def __init__(self, most: int, error: type[OSError] | None = None) -> None:
        super().__init__()
        self.most = most
        self.error = error
        self.kept = bytearray()

    def send(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        return super().send(data[: self.most])

    def keep(self, rest: bytes) -> None:
        self.kept += rest


@pytest.mark.parametrize("way", ["everybody", "one by one", "rotated"])
def test_what_a_socket_does_not_take_is_kept_and_nobody_else_loses_by_it(way: str) -> None:
    bench = Bench()
    ports = [
        FakePort(),
        Narrow(100),
        Narrow(0, BlockingIOError),
        Narrow(0, ConnectionResetError),
        FakePort(),
        Narrow(0),
    ]
    readers = [Guest(bench, bench.switch.open(port), port) for port in ports]
    for guest in readers:
        guest.feed(join_frame())
    alice = bench.join()
    for port in ports:
        port.written.clear()
        if isinstance(port, Narrow):
            port.kept.clear()
    order = readers[::-1] if way == "one by one" else readers
    data = [send_frame(guest.address, number) for number in range(2) for guest in order]
    if way == "everybody":
        alice.feed(b"".join(data))
    elif way == "rotated":  # the second read begins in the middle of a message
        alice.feed(b"".join(data[:8]))
        alice.feed(b"".join(data[8:]))
    else:
        for piece in data:
            alice.feed(piece)
    expected = b"".join(Frame(Kind.SEND, 0, 0, alice.address, n.to_bytes(4, "big") * 64).to_bytes() for n in range(2))
    assert ports[0].written == ports[4].written == expected
    for port in (ports[2], ports[5]):
        assert isinstance(port, Narrow)
        assert port.kept == expected
    first, gone = ports[1], ports[3]
    assert isinstance(first, Narrow)
    assert isinstance(gone, Narrow)
    assert len(first.written) + len(first.kept) == len(expected)
    assert not gone.kept


def say(speaker: Guest, others: list[Guest], number: int) -> None:
    """Have one say something to others, and the turn of the loop not end yet."""
    speaker.give(b"".join(send_frame(guest.address, number) for guest in others))


def test_news_in_the_same_turn_comes_after_what_was_said_before_it() -> None:
    bench = Bench()
    alice, bob, carol = bench.join(), bench.join(), bench.join()
    for guest in (alice, bob, carol):
        guest.take()

    say(alice, [bob, carol], 1)
    say(bob, [alice, carol], 2)
    say(alice, [bob, carol], 3)
    bench.switch.lost(bob.seat)
    bench.turn()
    assert [(f.kind, f.block[3]) for f in carol.take()] == [
        (Kind.SEND, 1),
        (Kind.SEND, 2),
        (Kind.SEND, 3),
        (Kind.LEFT, 0),
    ]
    assert carol.port.writes == 2  # one at its join, and one for all of this
    assert bob.take() == []


def test_who_is_refused_gets_first_what_was_said_to_all_in_this_turn() -> None:
    bench = Bench()
    alice, bob, carol = bench.join(), bench.join(), bench.join()
    bob.take()
    say(alice, [bob, carol], 1)
    bob.seat.refuse(Refusal.MALFORMED)
    assert [f.kind for f in bob.take()] == [Kind.SEND, Kind.REFUSED]
    bench.turn()
    assert bob.take() == []
    assert Kind.SEND in [f.kind for f in carol.take()]


class Flaky(FakePort):
    """A socket with a transport behind it: it has room for some bytes only, and is read when the test says so."""

    def __init__(self, dice: random.Random, *, sealed: bool) -> None:
        super().__init__()
        self.dice = dice
        self.room_bytes = 0
        self.kept = b""
        self.seat: Seat
        if sealed:
            self.seal = lambda data: data[:]

    def send(self, data: bytes) -> int:
        if self.room_bytes <= 0:
            raise BlockingIOError
        taken = data[: self.room_bytes]
        self.written += taken
        self.room_bytes -= len(taken)
        return len(taken)

    def keep(self, rest: bytes) -> None:
        assert not self.kept
        self.kept = rest
        self.seat.set_way((Flaky._pass, self))
        self.seat.set_behind(True)

    def _pass(self, data: bytes) -> int:
        self.kept += data
        return len(data)

    def read(self) -> None:
        """Have all taken that waits, and room for some more."""
        if self.kept:
            self.written += self.kept
            self.kept = b""
            self.room_bytes = self.dice.randrange(40 * FRAME_SIZE)
            self.seat.set_way(None)
            self.seat.set_behind(False)
        else:
            self.room_bytes = self.dice.randrange(40 * FRAME_SIZE)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_sockets_take_each_reader_gets_all_of_each_sender_in_order(seed: int) -> None:
    dice = random.Random(seed)
    bench = Bench()
    ports = [Flaky(dice, sealed=bool(seed % 2)) for _ in range(5)]
    guests = []
    for port in ports:
        port.seat = bench.switch.open(port)
        port.room_bytes = 1 << 20
        guests.append(Guest(bench, port.seat, port))
        guests[-1].feed(join_frame())
    said = dict.fromkeys((guest.address for guest in guests), 0)
    for _ in range(150):
        for who in dice.sample(guests, dice.randrange(1, 4)):  # in one turn
            others = [guest for guest in guests if guest is not who]
            if dice.random() < 0.2:
                dice.shuffle(others)
            frames = []
            for _ in range(dice.randrange(1, 5)):
                frames += [send_frame(other.address, said[who.address]) for other in others]
                said[who.address] += 1
            data = b"".join(frames)
            who.give(data)
            if dice.random() < 0.3:
                dice.choice(ports).read()
        if dice.random() < 0.1:
            passing = bench.join()
            bench.switch.lost(passing.seat)
        bench.turn()
        for port in dice.sample(ports, 2):
            port.read()
    for _ in range(400):
        for port in ports:
            port.read()
    for guest in guests:
        heard: dict[bytes, list[int]] = {}
        for frame in guest.take():
            if frame.kind is Kind.SEND:
                heard.setdefault(frame.address, []).append(int.from_bytes(frame.block[:4], "big"))
        assert heard == {address: [*range(count)] for address, count in said.items() if address != guest.address}


def test_who_spoke_to_all_keeps_nothing_of_those_who_have_left() -> None:
    bench = Bench()
    alice, bob, carol = bench.join(), bench.join(), bench.join()
    alice.feed(send_frame(bob.address) + send_frame(carol.address))
    gone = weakref.ref(bob.port)
    bench.switch.lost(bob.seat)
    del bob
    bench.turn()
    assert gone() is None


def heard(guest: Guest) -> list[int]:
    """Return the numbers of what one got since the last call."""
    return [int.from_bytes(frame.block[:4], "big") for frame in guest.take() if frame.kind is Kind.SEND]


def test_who_goes_on_speaking_is_written_at_once_and_of_several_all_that_one_turn_read_together() -> None:
    bench = Bench()
    alice, bob, carol, dave = (bench.join() for _ in range(4))
    dave.take()
    say(alice, [bob, carol, dave], 0)
    assert heard(dave) == []  # she might be one of several
    bench.turn()
    assert heard(dave) == [0]
    say(alice, [bob, carol, dave], 1)
    assert heard(dave) == [1]
    before = dave.port.writes
    say(bob, [alice, carol, dave], 2)
    say(alice, [bob, carol, dave], 3)
    say(carol, [alice, bob, dave], 4)
    say(carol, [alice, bob, dave], 5)
    assert dave.port.writes == before
    bench.turn()
    assert heard(dave) == [2, 3, 4, 5]
    assert dave.port.writes == before + 1
    say(carol, [alice, bob, dave], 6)
    assert heard(dave) == [6]
    room = bench.switch.rooms[ROOM]
    bench.switch.lost(carol.seat)
    assert room.speaker is None  # and keeps nothing of her


def mid_speech() -> tuple[Bench, Guest, Guest, Guest]:
    """Return three in a room, the first of whom speaks on and on: her next words would be written at once."""
    bench = Bench()
    alice, bob, carol = (bench.join() for _ in range(3))
    for number in range(2):
        say(alice, [bob, carol], number)
        bench.turn()
    return bench, alice, bob, carol


def test_what_is_written_at_once_overtakes_nothing_that_waits() -> None:
    bench, alice, bob, carol = mid_speech()
    bob.take()
    say(alice, [bob], 2)  # to one only: this waits for the end of the turn
    say(alice, [bob, carol], 3)
    bench.turn()
    assert heard(bob) == [2, 3]


def test_who_is_behind_in_one_room_slows_no_other() -> None:
    bench = Bench()
    behind, alice, bob = bench.join(OTHER_ROOM), bench.join(), bench.join()
    behind.seat.set_behind(True)
    say(alice, [bob], 0)
    bench.turn()
    bob.take()
    say(alice, [bob], 1)
    assert heard(bob) == [1]


def test_a_mistake_in_what_is_written_at_once_costs_the_speaker_nothing() -> None:
    bench = Bench()
    alice, bob, carol = (bench.join() for _ in range(3))

    def fail(_port: object, _data: bytes) -> int:
        raise ValueError("a mistake of ours")

    carol.seat.set_way((fail, None))
    bench.switch.rooms[ROOM].speaker = alice.seat  # as if she had spoken before
    say(alice, [bob, carol], 1)
    assert not alice.port.closed
    with pytest.raises(ValueError, match="ours"):
        bench.turn()
    carol.seat.set_way(None)
    say(alice, [bob, carol], 2)
    bench.turn()
    assert heard(bob)[-2:] == [1, 2]
    assert heard(carol) == [2]


def test_nothing_is_written_at_once_while_somebody_is_behind() -> None:
    bench, alice, bob, carol = mid_speech()
    carol.seat.set_behind(True)
    for number in range(2, 5):  # the second of these would be, were it not for her
        heard(bob)
        say(alice, [bob, carol], number)
        assert heard(bob) == []
        bench.turn()
    assert heard(bob) == [4]
    carol.port.unsent = Limits().max_unsent_bytes_per_seat + 1
    say(alice, [bob, carol], 5)
    bench.turn()
    assert carol.port.was_reset


def test_what_is_very_long_is_never_written_at_once() -> None:
    """It goes in portions, between which a reader that doesn't keep up is noticed."""
    bench = Bench(Limits().unlimited())
    alice, bob = bench.join(), bench.join()
    long = WRITE_BYTES // FRAME_SIZE + 1
    for _ in range(2):
        say(alice, [bob] * long, 0)
        bench.turn()
    before = bob.port.writes
    say(alice, [bob] * long, 1)
    assert bob.port.writes == before
    bench.turn()
    assert bob.port.writes == before + 2
