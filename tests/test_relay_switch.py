"""The switch without sockets: rooms, seats, refusals, bounds."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_help import OTHER_ROOM, ROOM, Bench, Guest, frames_in, join_frame, send_frame

from chatcore.wire import EMPTY_BLOCK, FRAME_SIZE, NO_ADDRESS, Frame, Kind, Refusal, join_block
from relay.intake import INTAKE_BYTES, LEAST_BYTES, budget
from relay.lanes import WRITE_BYTES
from relay.limits import WAIT_RELAY_FULL_S, Limits
from relay.seat import FAREWELL_S, STUCK_S
from relay.switch import GONE_PER_TURN, LAGGARDS_PER_TURN, WAIT_ROOM_FULL_S, WAIT_SHUTDOWN_S
from relay.waiting import PORTION_FRAMES

PASS = b"p" * 32


def refusal_of(guest: Guest) -> tuple[int, int]:
    """Return reason and seconds of the one refusal a guest got as its last frame, and check that it was closed."""
    last = guest.take()[-1]
    assert last.kind is Kind.REFUSED
    assert guest.port.finished
    assert not guest.port.was_reset
    return last.argument, last.number


def test_join_is_answered_with_a_seat_and_the_seats_already_there() -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    (welcome,) = alice.take()[:1]
    assert (welcome.kind, welcome.argument, welcome.address) == (Kind.WELCOME, 0, alice.address)
    welcome, present = bob.take()
    assert (welcome.kind, welcome.argument, welcome.address) == (Kind.WELCOME, 1, bob.address)
    assert (present.kind, present.address) == (Kind.PRESENT, alice.address)
    assert alice.address != bob.address


def test_those_in_the_room_hear_who_comes_and_who_goes() -> None:
    bench = Bench()
    alice = bench.join()
    alice.take()
    bob = bench.join()
    assert [(f.kind, f.address) for f in alice.take()] == [(Kind.PRESENT, bob.address)]
    bench.switch.lost(bob.seat)
    bench.turn()
    assert [(f.kind, f.address) for f in alice.take()] == [(Kind.LEFT, bob.address)]


def test_a_join_in_the_middle_of_a_room_hears_each_seat_once() -> None:
    bench = Bench()
    guests = [bench.join() for _ in range(20)]
    last = bench.join()
    welcome, *present = last.take()
    assert welcome.argument == len(present) == 20
    assert {f.address for f in present} == {guest.address for guest in guests}


def test_a_frame_reaches_its_address_alone_with_the_senders_seat() -> None:
    bench = Bench()
    alice, bob, carol = (bench.join() for _ in range(3))
    for guest in (alice, bob, carol):
        guest.take()
    alice.feed(send_frame(bob.address, 7))
    (got,) = bob.take()
    assert got == Frame(Kind.SEND, 0, 0, alice.address, (7).to_bytes(4, "big") * 64)
    assert carol.take() == []
    assert alice.take() == []


def test_argument_and_number_of_a_forwarded_frame_are_zeroed() -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    bob.take()
    alice.feed(send_frame(bob.address, 1, argument=513, number=99) + send_frame(bob.address, 2))
    assert [(f.argument, f.number, f.block[:4]) for f in bob.take()] == [
        (0, 0, b"\0\0\0\1"),
        (0, 0, b"\0\0\0\2"),
    ]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 1000, 5000])
def test_many_frames_at_once_keep_their_order(count: int) -> None:
    bench = Bench()
    alice, *readers = (bench.join() for _ in range(4))
    for reader in readers:
        reader.take()
    alice.feed(b"".join(send_frame(readers[mark % 3].address, mark) for mark in range(count)))
    for at, reader in enumerate(readers):
        got = reader.take()
        assert [int.from_bytes(f.block[:4], "big") for f in got] == list(range(at, count, 3))
        assert all(f.address == alice.address for f in got)


@pytest.mark.parametrize("seats", [2, 3, 5])
@pytest.mark.parametrize(
    "pattern", [[0], [0, 0], [0, 1], [0, 0, 1], [0, 1, 1, 0], [0, 1, 2, 3], [9], [9, 0], [0, 1, 2, 9]]
)
def test_any_repeated_pattern_of_addresses_keeps_each_readers_order(seats: int, pattern: list[int]) -> None:
    """What is dealt out member by member must be what one by one would be; 9 is nobody."""
    bench = Bench()
    alice, *readers = (bench.join() for _ in range(seats))
    addresses = [reader.address for reader in readers] + [b"nobody%02d" % n for n in range(10)]
    for reader in readers:
        reader.take()
    sent = [addresses[pattern[mark % len(pattern)]] for mark in range(150)]
    alice.feed(b"".join(send_frame(address, mark) for mark, address in enumerate(sent)))
    for reader in readers:
        marks = [int.from_bytes(f.block[:4], "big") for f in reader.take()]
        assert marks == [mark for mark, address in enumerate(sent) if address == reader.address]
    assert len(bench.switch.rooms[ROOM]) == seats
    assert bench.switch.rooms[ROOM].nowhere == []


def test_the_frames_of_one_turn_are_one_write() -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    before = bob.port.writes
    alice.feed(b"".join(send_frame(bob.address, mark) for mark in range(WRITE_BYTES // FRAME_SIZE)))
    assert bob.port.writes == before + 1


def test_an_unknown_address_is_dropped_without_a_word() -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    alice.take()
    bob.take()
    alice.feed(send_frame(b"nobody!!") + send_frame(NO_ADDRESS) + send_frame(bob.address, 3))
    assert [f.block[:4] for f in bob.take()] == [b"\0\0\0\3"]
    assert alice.take() == []
    assert not alice.seat.closing


def test_rooms_cannot_reach_each_other() -> None:
    bench = Bench()
    alice, stranger = bench.join(ROOM), bench.join(OTHER_ROOM)
    alice.take()
    assert [f.kind for f in stranger.take()] == [Kind.WELCOME]
    stranger.feed(send_frame(alice.address) * 3 + send_frame(alice.address, 1, number=5))
    bench.switch.lost(stranger.seat)
    bench.turn()
    assert alice.take() == []


def test_a_seat_that_left_is_reached_no_more() -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    bob.take()
    bench.switch.lost(bob.seat)
    alice.feed(send_frame(bob.address))
    assert bob.take() == []


def test_an_empty_room_is_forgotten() -> None:
    bench = Bench()
    alice = bench.join()
    assert list(bench.switch.rooms) == [ROOM]
    bench.switch.lost(alice.seat)
    bench.turn()
    assert not bench.switch.rooms
    assert not bench.switch.seats


def test_a_ping_is_answered_with_its_argument_and_number() -> None:
    bench = Bench()
    alice = bench.join()
    alice.take()
    alice.feed(Frame(Kind.PING, 7, 70_000, b"whatever", b"x" * 256).to_bytes())
    assert alice.take() == [Frame(Kind.PONG, 7, 70_000, NO_ADDRESS, EMPTY_BLOCK)]


def test_a_pong_is_taken_and_not_answered() -> None:
    bench = Bench()
    alice = bench.join()
    alice.take()
    alice.feed(Frame(Kind.PONG, 1, 2).to_bytes())
    assert alice.take() == []
    assert not alice.seat.closing


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.JOIN])
def test_whoever_does_not_begin_with_a_join_is_refused(kind: Kind) -> None:
    guest = Bench().guest()
    guest.feed(Frame(kind).to_bytes())
    assert refusal_of(guest) == (Refusal.MALFORMED, 0)


@pytest.mark.parametrize("kind", [Kind.JOIN, Kind.WELCOME, Kind.PRESENT, Kind.LEFT, Kind.REFUSED])
def test_a_kind_that_is_not_the_clients_is_refused(kind: Kind) -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    bob.take()
    alice.feed(Frame(kind, address=bob.address).to_bytes() + send_frame(bob.address))
    assert refusal_of(alice) == (Refusal.MALFORMED, 0)
    assert [(f.kind, f.address) for f in bob.take()] == [(Kind.LEFT, alice.address)]


@pytest.mark.parametrize("number", [0, 9, 255])
def test_an_unknown_kind_is_refused(number: int) -> None:
    bench = Bench()
    alice = bench.join()
    alice.feed(bytes([1, number]) + bytes(270))
    assert refusal_of(alice) == (Refusal.MALFORMED, 0)


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", b"\x02" + bytes(271), b"\0", b"SSH-2.0-x\r\n", b"\x16\x03\x01"]
)
def test_another_version_is_refused_at_its_first_byte(first: bytes) -> None:
    guest = Bench().guest()
    guest.feed(first)
    assert refusal_of(guest) == (Refusal.VERSION, 0)


def test_another_version_after_the_join_is_refused() -> None:
    bench = Bench()
    alice = bench.join()
    alice.feed(b"\x02" + Frame(Kind.PING).to_bytes()[1:])
    assert refusal_of(alice) == (Refusal.VERSION, 0)


@pytest.mark.parametrize(
    "change",
    [{"argument": 1}, {"number": 1}, {"address": b"12345678"}, {"block": join_block(ROOM)[:-1] + b"\1"}],
)
def test_a_join_with_anything_in_its_spare_bytes_is_refused(change: dict[str, Any]) -> None:
    guest = Bench().guest()
    guest.feed(dataclasses.replace(Frame(Kind.JOIN, block=join_block(ROOM)), **change).to_bytes())
    assert refusal_of(guest) == (Refusal.MALFORMED, 0)


def test_a_refusal_comes_after_what_was_waiting() -> None:
    bench = Bench()
    alice = bench.join()
    alice.take()
    alice.feed(Frame(Kind.PING, 1, 1).to_bytes() + Frame(Kind.LEFT).to_bytes())
    assert [f.kind for f in alice.take()] == [Kind.PONG, Kind.REFUSED]


def test_attack_53_a_flood_of_seats_ends_at_the_cap_with_seconds_to_wait() -> None:
    bench = Bench(Limits(max_seats_per_room=8))
    seated = [bench.join() for _ in range(8)]
    for _ in range(100):
        late = bench.join()
        assert refusal_of(late) == (Refusal.ROOM_FULL, WAIT_ROOM_FULL_S)
    assert WAIT_ROOM_FULL_S > 0
    assert len(bench.switch.rooms[ROOM]) == 8
    bench.switch.lost(seated[0].seat)
    assert bench.join().take()[0].kind is Kind.WELCOME


@pytest.mark.parametrize(
    "doom",
    [None, (Refusal.RELAY_FULL, WAIT_RELAY_FULL_S), (Refusal.TOO_FAST, 12)],
    ids=["pass", "full", "fast"],
)
def test_who_is_not_let_in_cannot_tell_a_room_that_exists_from_one_that_does_not(
    doom: tuple[Refusal, int] | None,
) -> None:
    bench = Bench(Limits(max_seats_per_room=1), PASS)
    assert bench.join(ROOM, PASS).take()[0].kind is Kind.WELCOME  # and this room is full
    answers = set()
    for room in (ROOM, OTHER_ROOM):
        for relay_pass in (bytes(32), b"q" * 32, b"p" * 31 + b"\0", *([PASS] if doom else [])):
            guest = bench.guest()
            guest.seat.doom = doom
            guest.feed(join_frame(room, relay_pass))
            answers.add(bytes(guest.port.written))
            assert refusal_of(guest) == (doom or (Refusal.RELAY_PASS, 0))
    assert len(answers) == 1


def test_nobody_is_refused_for_the_count_of_rooms() -> None:
    """Refusing new rooms, but not joins to those there are, would say which room numbers are in use."""
    bench = Bench()
    guests = [bench.join(n.to_bytes(32, "big")) for n in range(5000)]
    assert {guest.take()[0].kind for guest in guests} == {Kind.WELCOME}
    assert len(bench.switch.rooms) == len(bench.switch.seats) == 5000
    for guest in guests:
        bench.switch.lost(guest.seat)
    bench.turn()
    assert not bench.switch.rooms


@pytest.mark.parametrize("ended", [False, True], ids=["said goodbye", "connection lost"])
def test_those_who_go_by_the_hundred_are_let_go_some_in_each_turn(ended: bool) -> None:
    """Else those who stay would wait until all are closed, and until that has been told to everybody."""
    bench = Bench()
    alice, *crowd = (bench.join() for _ in range(1 + 3 * GONE_PER_TURN))
    alice.take()
    for guest in crowd:
        (bench.switch.lost if ended else bench.switch.hang_up)(guest.seat)
        guest.seat.buffer_updated(FRAME_SIZE)  # is not even looked at
    for turn in range(1, 4):
        assert sum(guest.port.closed for guest in crowd) == turn * GONE_PER_TURN
        assert len(bench.switch.rooms[ROOM]) == 1 + (3 - turn) * GONE_PER_TURN
        due, bench.pending[:] = bench.pending[:], []
        for call in due:
            call()
    bench.turn()
    assert [f.address for f in alice.take()] == [guest.address for guest in crowd]
    assert not bench.pending
    for guest in crowd:
        bench.switch.lost(guest.seat)
    assert [*bench.switch.seats] == [alice.seat]
    assert not bench.pending
    bench.switch.lost(alice.seat)
    assert not bench.switch.rooms


def test_who_is_to_be_let_go_and_goes_twice_or_is_dropped_meanwhile_goes_once() -> None:
    bench = Bench()
    alice, bob, *crowd = (bench.join() for _ in range(2 + 2 * GONE_PER_TURN))
    alice.take()
    for guest in [*crowd, bob]:
        bench.switch.hang_up(guest.seat)
    bench.switch.hang_up(bob.seat)  # goodbye under TLS, then the end of the connection
    bench.switch.lost(bob.seat)  # which the peer resets before its turn has come
    bob.seat.drop("silent")
    bench.turn()
    assert [f.address for f in alice.take()].count(bob.address) == 1
    assert bob.seat not in bench.switch.seats


def test_who_is_to_be_let_go_is_sent_nothing_more() -> None:
    bench = Bench()
    alice, bob, *crowd = (bench.join() for _ in range(2 + 2 * GONE_PER_TURN))
    alice.feed(send_frame(bob.address, 1))
    assert bob.take()[-1].kind is Kind.SEND
    for guest in [*crowd, bob]:
        bench.switch.hang_up(guest.seat)
    assert not bob.port.closed
    alice.feed(send_frame(bob.address, 2))
    assert bob.port.closed
    assert bob.take() == []


def test_for_who_is_to_be_let_go_nothing_waits_any_more() -> None:
    bench = Bench()
    alice, bob, *crowd = (bench.join() for _ in range(2 + GONE_PER_TURN))
    bob.seat.set_behind(True)
    alice.feed(send_frame(bob.address, 1) * 9)
    assert bench.switch.unsent_bytes() == 9 * FRAME_SIZE
    bob.take()
    for guest in [*crowd, bob]:
        bench.switch.hang_up(guest.seat)
    assert bench.switch.unsent_bytes() == 0
    bob.seat.set_way(None)  # its port is empty again, as what was in it has been taken
    bob.seat.set_behind(False)
    alice.give(send_frame(bob.address, 2))
    bench.switch.flush()
    assert bob.take() == []
    assert not bob.port.closed
    bench.turn()
    assert bob.port.closed
    assert not bench.pending


def test_a_connection_that_is_closed_and_has_not_ended_after_a_moment_is_reset() -> None:
    """Its peer said goodbye and reads nothing: what waits for it would keep it for ever."""
    bench = Bench()
    guest = bench.join()
    bench.switch.hang_up(guest.seat)
    bench.beat(FAREWELL_S)
    assert not guest.port.was_reset
    bench.beat()
    assert guest.port.was_reset


def test_a_relay_without_a_pass_does_not_ask_for_one() -> None:
    assert Bench().join(ROOM, PASS).take()[0].kind is Kind.WELCOME


def test_a_doomed_guest_hears_why_in_answer_to_its_join() -> None:
    bench = Bench()
    guest = bench.guest()
    guest.seat.doom = (Refusal.TOO_FAST, 12)
    guest.feed(join_frame()[:-1])
    assert guest.take() == []
    guest.feed(join_frame()[-1:])
    assert refusal_of(guest) == (Refusal.TOO_FAST, 12)
    assert not bench.switch.rooms


def test_seats_are_never_zeros_and_never_taken() -> None:
    bench = Bench()
    bench.drawn = [NO_ADDRESS, b"abcdefgh", b"abcdefgh", b"hgfedcba"]
    assert [bench.join().address, bench.join().address] == [b"abcdefgh", b"hgfedcba"]


def test_a_relay_keeps_nothing_of_a_stranger_but_the_beginning_of_a_frame() -> None:
    bench = Bench()
    guest = bench.guest()
    guest.feed(join_frame()[:200])
    assert not bench.switch.rooms
    assert len(guest.seat.tail) == 200
    assert guest.seat.out == []


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 271, 272, 273, 545])
def test_pieces_of_any_size_are_the_same_as_the_whole(piece_bytes: int) -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    bob.take()
    data = b"".join(send_frame(bob.address, mark) for mark in range(5)) + Frame(Kind.PONG).to_bytes()
    alice.feed(data, piece_bytes)
    assert [int.from_bytes(f.block[:4], "big") for f in bob.take()] == list(range(5))


def test_two_streams_cut_at_every_byte_do_not_mix_in_the_shared_buffer() -> None:
    for cut in range(1, FRAME_SIZE):
        bench = Bench()
        alice, bob = bench.guest(), bench.guest()
        for guest in (alice, bob):
            guest.feed(join_frame()[:cut])
        for guest in (alice, bob):
            guest.feed(join_frame()[cut:])
        bob.take()
        frame = send_frame(bob.address, cut)
        alice.feed(frame[:cut])
        bob.feed(Frame(Kind.PING, 5).to_bytes()[:-1])
        alice.feed(frame[cut:])
        assert [f.block[:4] for f in bob.take()] == [cut.to_bytes(4, "big")]


def test_join_and_first_frames_glued_together() -> None:
    bench = Bench()
    bob = bench.join()
    bob.take()
    alice = bench.guest()
    alice.feed(
        join_frame() + Frame(Kind.PING, 3).to_bytes() + send_frame(bob.address, 9) + send_frame(bob.address)[:100]
    )
    assert [f.kind for f in alice.take()] == [Kind.WELCOME, Kind.PRESENT, Kind.PONG]
    assert [f.kind for f in bob.take()] == [Kind.PRESENT, Kind.SEND]
    assert len(alice.seat.tail) == 100


def test_a_stranger_has_so_long_to_join_and_trickling_buys_no_time() -> None:
    bench = Bench(Limits(join_deadline_s=5))
    guest = bench.guest()
    for at in range(5):
        assert not guest.port.was_reset
        guest.feed(join_frame()[at : at + 1])
        bench.beat()
    assert guest.port.was_reset
    assert guest.take() == []


def test_a_silent_seat_is_pinged_and_then_dropped() -> None:
    bench = Bench(Limits(ping_after_s=30, silence_s=75))
    alice, bob = bench.join(), bench.join()
    alice.take()
    bob.take()
    bench.beat(29)
    assert alice.take() == []
    bench.beat()
    assert [f.kind for f in alice.take()] == [Kind.PING]
    alice.feed(Frame(Kind.PONG).to_bytes())
    bench.beat(45)
    assert not alice.port.was_reset
    assert bob.port.was_reset
    assert (Kind.LEFT, bob.address) in [(f.kind, f.address) for f in alice.take()]


def test_a_refused_peer_that_does_not_go_is_dropped() -> None:
    bench = Bench()
    guest = bench.guest()
    guest.feed(b"GET")
    bench.beat(FAREWELL_S)
    assert not guest.port.was_reset
    bench.beat()
    assert guest.port.was_reset


def test_what_comes_after_a_refusal_is_thrown_away() -> None:
    bench = Bench()
    guest = bench.guest()
    guest.feed(b"GET")
    guest.take()
    for piece in (join_frame(), b"x" * 271, bytes(4000)):
        guest.give(piece)
    bench.turn()
    assert guest.take() == []
    assert guest.seat.tail == b""
    assert not bench.switch.rooms


def test_a_laggard_with_too_much_waiting_is_reset_and_the_others_go_on() -> None:
    bench = Bench(Limits(max_unsent_bytes_per_seat=1000))
    alice, bob, carol = (bench.join() for _ in range(3))
    bob.seat.set_behind(True)
    bob.port.unsent = 1000 - FRAME_SIZE
    alice.feed(send_frame(bob.address))
    assert not bob.port.was_reset
    bob.port.unsent = 1001  # in a port nothing can be dropped any more
    carol.take()
    alice.feed(send_frame(bob.address) + send_frame(carol.address, 4))
    assert bob.port.was_reset
    assert [f.kind for f in carol.take()] == [Kind.SEND, Kind.LEFT]


def test_a_bound_below_what_a_port_holds_costs_the_laggard_its_seat_though_nothing_else_waits() -> None:
    bench = Bench(Limits(max_unsent_bytes_per_seat=1000))
    alice, bob, carol = (bench.join() for _ in range(3))
    bob.seat.set_behind(True)
    bob.port.unsent = 1001
    alice.feed(send_frame(carol.address, 4))
    assert bob.port.was_reset
    assert not carol.port.was_reset


def test_a_crowd_of_laggards_is_weighed_now_and_then_and_each_second() -> None:
    bench = Bench()
    alice, bob = bench.join(), bench.join()
    weighed: list[Guest] = []

    def weigh(guest: Guest) -> int:
        weighed.append(guest)
        return guest.port.unsent

    crowd = [bench.join(OTHER_ROOM) for _ in range(200)]
    for guest in crowd:
        guest.port.unsent_bytes = partial(weigh, guest)  # type: ignore[method-assign]
        guest.seat.set_behind(True)
    for number in range(10):  # by turns, so that it waits for the end of the turn
        speaker, listener = (alice, bob) if number % 2 else (bob, alice)
        speaker.feed(send_frame(listener.address))
    assert 200 <= len(weighed) <= 10 * LAGGARDS_PER_TURN + 200
    weighed.clear()
    crowd[7].port.unsent = Limits().max_unsent_bytes_per_seat + 1
    bench.beat()
    assert set(weighed) == set(crowd)
    assert [guest for guest in crowd if guest.port.was_reset] == [crowd[7]]


def test_a_mistake_while_one_room_is_written_to_holds_up_no_other() -> None:
    bench = Bench()
    rooms = [[bench.join(bytes([number]) * 32) for _ in range(2)] for number in range(3)]

    def fail(_port: Any, _data: bytes) -> int:
        raise ValueError("a mistake of ours")

    rooms[0][1].seat.set_way((fail, None))
    for alice, bob in rooms:
        bob.take()
        alice.give(send_frame(bob.address))
    with pytest.raises(ValueError, match="ours"):
        bench.turn()
    bench.turn()
    assert [[f.kind for f in bob.take()] for _, bob in rooms] == [[], [Kind.SEND], [Kind.SEND]]


def test_a_seat_that_stays_behind_is_reset_and_one_that_catches_up_is_not() -> None:
    bench = Bench(Limits(laggard_s=5))
    alice, bob = bench.join(), bench.join()
    alice.seat.set_behind(True)
    bob.seat.set_behind(True)
    bench.beat(5)
    bob.seat.set_behind(False)
    bench.beat()
    assert alice.port.was_reset
    assert not bob.port.was_reset
    assert not bench.switch.laggards - {alice.seat}


def behind(bench: Bench) -> Guest:
    """Return a seat whose port is full from the first frame on, and that has read all before."""
    guest = bench.join()
    bench.turn()
    guest.take()
    guest.seat.set_behind(True)
    return guest


def drain(guest: Guest, most: int = 1 << 30) -> list[Frame]:
    """Let the port empty, and fill again at once, until nothing waits; return what came."""
    frames: list[Frame] = []

    def fill(_port: Any, data: bytes) -> int:
        guest.seat.set_behind(True)
        return guest.port.send(data)

    guest.seat.set_way((fill, None))
    while guest.seat.waiting is not None and len(frames) < most:
        guest.seat.set_behind(False)
        frames += guest.take()
    guest.seat.set_way(None)
    return frames


def test_who_pours_does_not_delay_what_others_say_to_a_slow_reader() -> None:
    bench = Bench()
    slow = behind(bench)
    talker, pourer = bench.join(), bench.join()
    for number in range(20):
        pourer.feed(send_frame(slow.address, number) * 500)
    talker.feed(b"".join(send_frame(slow.address, number) for number in range(3)))
    came = drain(slow)
    assert len(came) == 10_005  # with the news of both
    of_talker = [at for at, frame in enumerate(came) if frame.address == talker.address]
    assert of_talker[-1] < 10
    for guest, count in ((talker, 3), (pourer, 20)):
        marks = [f.block[:4] for f in came if f.address == guest.address and f.kind is Kind.SEND]
        assert marks == sorted(marks)
        assert len(set(marks)) == count
    assert slow.seat.behind_s == -1
    assert not bench.switch.laggards


def test_too_much_for_a_reader_costs_the_newest_blocks_of_who_pours_and_not_the_reader_its_seat() -> None:
    bench = Bench(Limits(max_unsent_bytes_per_seat=100 * FRAME_SIZE, laggard_s=1000))
    slow = behind(bench)
    talker, pourer = bench.join(), bench.join()
    for number in range(30):
        pourer.feed(b"".join(send_frame(slow.address, 100 * number + at) for at in range(100)))
        if number < 10:
            talker.feed(send_frame(slow.address, number))
        assert bench.switch.unsent_bytes() <= 100 * FRAME_SIZE
    came = [f for f in drain(slow) if f.kind is Kind.SEND]
    assert [f.block[:4] for f in came if f.address == talker.address] == [n.to_bytes(4, "big") for n in range(10)]
    poured = [int.from_bytes(f.block[:4], "big") for f in came if f.address == pourer.address]
    assert 80 <= len(poured) < 100
    assert poured[:80] == list(range(80))  # what came first is of use; what is missing is the end
    assert not slow.port.was_reset
    assert set(bench.words) == {"overflow"}
    slow.seat.set_behind(True)
    bench.beat(STUCK_S)
    pourer.feed(send_frame(slow.address) * 101)
    assert slow.port.was_reset  # nothing was read for so long: this one is no slow reader but none


def test_a_reader_that_reads_a_portion_now_and_then_keeps_its_seat() -> None:
    bench = Bench(Limits(laggard_s=5))
    slow = behind(bench)
    talker = bench.join()
    talker.feed(send_frame(slow.address) * 10 * PORTION_FRAMES)
    for _ in range(5):
        bench.beat(4)
        drain(slow, PORTION_FRAMES)
        assert slow.seat.waiting is not None
    assert not slow.port.was_reset
    bench.beat(6)
    assert slow.port.was_reset


def test_who_may_send_only_so_much_is_read_in_sips() -> None:
    bench = Bench(Limits(max_bytes_per_second_per_seat=2**20, max_bytes_per_second_per_reader=2**16))
    alice = bench.join()
    read = [len(alice.seat.get_buffer())]
    for seats in (9, 17, 64):
        while len(bench.switch.rooms[ROOM]) < seats:
            bench.join()
        read.append(len(alice.seat.get_buffer()))
    assert read == [16 * FRAME_SIZE, 2**15, 2**16, 2**16]


def test_a_port_that_fills_up_holds_little_of_a_long_write() -> None:
    bench = Bench(Limits().unlimited())
    reader, talker = bench.join(), bench.join()
    reader.take()

    def fill(_port: Any, data: bytes) -> int:
        if reader.port.writes >= 5:
            reader.seat.set_behind(True)
        return reader.port.send(data)

    reader.seat.set_way((fill, None))
    reader.port.writes = 3
    for number in range(5):  # all in one turn
        talker.give(send_frame(reader.address, number) * 481)
    bench.turn()
    assert reader.port.writes == 6
    assert len(reader.port.written) == 3 * WRITE_BYTES
    marks = [f.block[0:4] for f in [*reader.take(), *drain(reader)]]
    assert marks == [n.to_bytes(4, "big") for n in range(5) for _ in range(481)]


def test_what_waits_goes_out_before_a_refusal() -> None:
    bench = Bench()
    slow = behind(bench)
    talker = bench.join()
    talker.feed(send_frame(slow.address) * 3)
    bench.switch.shut_down()
    assert [f.kind for f in slow.take()] == [Kind.PRESENT, Kind.SEND, Kind.SEND, Kind.SEND, Kind.REFUSED]
    slow.seat.set_behind(False)
    assert not bench.switch.laggards


def test_when_all_together_have_too_much_waiting_the_worst_goes_first() -> None:
    bench = Bench(Limits(max_unsent_bytes_per_seat=1500, max_unsent_bytes=3000))
    sender, *guests = (bench.join() for _ in range(5))
    for guest, unsent in zip(guests, (300, 1400, 700, 600), strict=True):
        guest.seat.set_behind(True)
        guest.port.unsent = unsent
    sender.feed(send_frame(guests[0].address))
    assert [guest.port.was_reset for guest in guests] == [False, True, False, False]


def test_shutting_down_tells_everybody_to_come_back_at_different_times() -> None:
    bench = Bench()
    guests = [bench.join(bytes([n]) * 32) for n in range(40)]
    stranger = bench.guest()
    bench.switch.shut_down()
    bench.turn()
    assert stranger.take() == []  # it has not spoken yet, and under TLS it might not even be able to hear
    stranger.feed(join_frame())
    answers = [refusal_of(guest) for guest in [*guests, stranger]]
    assert {reason for reason, _ in answers} == {Refusal.SHUTTING_DOWN}
    least, most = WAIT_SHUTDOWN_S
    assert all(least <= wait <= most for _, wait in answers)
    assert len({wait for _, wait in answers}) > 5
    assert not bench.switch.rooms
    late = bench.join()  # it was on its way in when the end began
    reason, wait_s = refusal_of(late)
    assert reason == Refusal.SHUTTING_DOWN
    assert least <= wait_s <= most


def test_shutting_down_flushes_what_waits_and_does_not_tell_each_about_each() -> None:
    bench = Bench()
    guests = [bench.join() for _ in range(50)]
    alice, bob = guests[0], guests[-1]
    for guest in guests:
        guest.take()
    for mark in range(3):
        bench.switch.rooms[ROOM][bob.seat.word].append(send_frame(alice.address, mark))  # read, and not yet written
    bench.switch.shut_down()
    bench.turn()
    assert [frame.kind for frame in bob.take()] == [Kind.SEND] * 3 + [Kind.REFUSED]
    assert all([frame.kind for frame in guest.take()] == [Kind.REFUSED] for guest in guests[:-1])


def test_the_shared_buffer_carries_a_message_to_a_full_room_in_one_read() -> None:
    assert 15 * Limits().max_seats_per_room * FRAME_SIZE <= INTAKE_BYTES
    assert budget(0) == budget(2) == LEAST_BYTES  # who talks to few gets no more of a turn than it takes
    assert budget(Limits().max_seats_per_room) == budget(65_535) == INTAKE_BYTES


pieces = st.lists(st.binary(min_size=1, max_size=700), max_size=8)


@given(pieces)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_answered_with_whole_frames_or_nothing(data: list[bytes]) -> None:
    bench = Bench()
    guest = bench.guest()
    for piece in data:
        guest.feed(piece)
    frames_in(guest.port.written)
    assert len(guest.seat.tail) < FRAME_SIZE


headers = st.builds(
    lambda version, kind, argument, number: bytes([version, kind]) + argument + number,
    st.sampled_from([1, 1, 1, 1, 1, 1, 1, 2]),
    st.sampled_from([1, 5, 5, 5, 5, 5, 5, 6, 7, 8, 200]),
    st.sampled_from([bytes(2), b"\1\2"]),
    st.sampled_from([bytes(4), b"\1\2\3\4"]),
)
known = st.sampled_from([(n + 1).to_bytes(8, "big") for n in range(4)])


plain = st.just(b"\1\5" + bytes(6))
mixed = st.lists(st.tuples(headers, known, st.binary(min_size=4, max_size=4)), max_size=40)
sends = st.lists(st.tuples(plain, known, st.binary(min_size=4, max_size=4)), min_size=1, max_size=8)
streams = st.one_of(mixed, st.builds(lambda some, times, rest: some * times + rest, sends, st.integers(1, 12), mixed))


@given(
    streams,
    st.lists(st.integers(1, 2000), max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_any_frames_cut_anywhere_do_what_a_slow_reader_of_the_rules_would(
    frames: list[tuple[bytes, bytes, bytes]], cuts: list[int]
) -> None:
    """The quick way over whole reads against the rules applied to one frame after the other."""
    bench = Bench()
    members = {guest.address: guest for guest in (bench.join() for _ in range(3))}
    sender = next(iter(members.values()))
    expected: dict[bytes, list[Frame]] = {address: [] for address in members}
    refused = None
    for header, address, mark in frames:
        if header[0] != 1:
            refused = Refusal.VERSION
        elif header[1] not in (5, 6, 7):
            refused = Refusal.MALFORMED
        if refused is not None:
            break
        if header[1] == 5 and address in members:
            expected[address].append(Frame(Kind.SEND, 0, 0, sender.address, mark * 64))
        elif header[1] == 6:
            argument, number = int.from_bytes(header[2:4], "big"), int.from_bytes(header[4:8], "big")
            expected[sender.address].append(Frame(Kind.PONG, argument, number))
    if refused is not None:
        expected[sender.address].append(Frame(Kind.REFUSED, refused))
        for address in members:
            if address != sender.address:
                expected[address].append(Frame(Kind.LEFT, 0, 0, sender.address))
    for guest in members.values():
        guest.take()
    stream = b"".join(header + address + mark * 64 for header, address, mark in frames)
    for cut in cuts:
        sender.feed(stream[:cut])
        stream = stream[cut:]
    sender.feed(stream)
    assert {address: guest.take() for address, guest in members.items()} == expected


def test_how_much_is_read_at_once_follows_the_room_and_the_limits() -> None:
    bench = Bench(Limits(max_bytes_per_second_per_reader=1 << 20, max_bytes_per_second_per_seat=0))
    guests = [bench.join() for _ in range(3)]
    reader = guests[0].seat
    for seats in (3, 2):
        assert len(reader.get_buffer()) == reader.most_bytes() == (seats - 1) * (1 << 16)
        bench.switch.lost(guests[seats - 1].seat)
    bench.join()
    bench.switch.limits = Limits(max_bytes_per_second_per_reader=1 << 19)
    assert len(reader.get_buffer()) == reader.most_bytes() == 1 << 15
    reader.buffer_updated(100)
    assert len(reader.get_buffer()) == (1 << 15) - 100
