"""One connection: who speaks first, what is repeated, what the relay can say."""

from __future__ import annotations

import pytest
from attacker import RNG, me
from world import ENGINE, START_MS, World, fp, key

from chatcore.clock import Bucket, Moment
from chatcore.engines import PLAINTEXT_SIZE, acceptable_modulus
from chatcore.link import State
from chatcore.place import KEY_ANSWER_GAP_S, KEY_REPEATS_S
from chatcore.seat import Seat
from chatcore.seatevents import Garbled, Greeted, Seated, SeatEvent, Turned
from chatcore.wire import FRAME_SIZE, Frame, FrameReader, Kind, Refusal, join_block

NOW = Moment(1000.0, START_MS)
THERE, HERE = b"bob's at", b"alice at"


def at(seconds: float) -> Moment:
    return Moment(NOW.s + seconds, NOW.ms + round(seconds * 1000))


def seat(others: int = 0, name: str = "alice", address: bytes = HERE) -> Seat:
    """A seat that has been given, with so many there before it."""
    made = Seat(me(name), ENGINE, (), b"p" * 32)
    (join,) = frames(made)
    assert (join.kind, join.block) == (Kind.JOIN, join_block(bytes(32), b"p" * 32))
    assert give(made, Frame(Kind.WELCOME, others, address=address)) == [Seated(others)]
    return made


def give(to: Seat, frame: Frame, now: Moment = NOW) -> list[SeatEvent]:
    return list(to.receive_data(frame.to_bytes(), now))


def frames(of: Seat) -> list[Frame]:
    return FrameReader().receive_data(of.data_to_send())


def tick(one: Seat, now: Moment) -> list[SeatEvent]:
    return list(one.tick(now))


def known(one: Seat) -> bytes | None:
    """The session key that is known of bob's address."""
    found = one._places[THERE].key
    return found.modulus if found is not None else None


BOBS = key("session bob 1").modulus
BOBS_KEY = Frame(Kind.SEND, address=THERE, block=BOBS)


def test_a_newcomer_says_key_to_those_who_were_there_and_to_nobody_else() -> None:
    one = seat(1)
    give(one, Frame(Kind.PRESENT, address=THERE))
    give(one, Frame(Kind.PRESENT, address=b"somebody"))
    assert [(f.kind, f.address, f.block) for f in frames(one)] == [(Kind.SEND, THERE, key("session alice 1").modulus)]


def test_a_later_seat_is_spoken_to_first_where_the_relay_says_so() -> None:
    """Two who came at the same time by two relays were in nobody's WELCOME: one of them is told to begin."""
    one = seat(0)
    give(one, Frame(Kind.PRESENT, 1, address=THERE))
    give(one, Frame(Kind.PRESENT, 0, address=b"somebody"))
    give(one, Frame(Kind.PRESENT, 2, address=b"anybody "))
    assert [(f.kind, f.address, f.block) for f in frames(one)] == [(Kind.SEND, THERE, key("session alice 1").modulus)]
    give(one, BOBS_KEY)
    assert known(one) == BOBS
    give(one, Frame(Kind.LEFT, address=THERE))
    frames(one)
    give(one, Frame(Kind.PRESENT, 1, address=THERE))
    assert known(one) is None
    assert [(f.kind, f.address) for f in frames(one)] == [(Kind.SEND, THERE)]


def test_a_key_is_repeated_twice() -> None:
    one = seat(1)
    give(one, Frame(Kind.PRESENT, address=THERE))
    frames(one)
    for seconds in KEY_REPEATS_S:
        assert one.next_tick() == NOW.s + seconds
        tick(one, at(seconds - 0.1))
        assert not frames(one)
        tick(one, at(seconds))
        assert len(frames(one)) == 1
    assert one.next_tick() == NOW.s + 60


def test_a_key_is_answered_once_in_a_while() -> None:
    one = seat()
    give(one, Frame(Kind.PRESENT, address=THERE))
    assert one.next_tick() is None  # it is for them to begin
    give(one, BOBS_KEY)
    assert len(frames(one)) == 1
    for seconds in (0.0, KEY_ANSWER_GAP_S - 0.1):
        give(one, BOBS_KEY, at(seconds))
        assert not frames(one)
    give(one, BOBS_KEY, at(KEY_ANSWER_GAP_S))
    assert [frame.block for frame in frames(one)] == [key("session alice 1").modulus]


def test_a_second_key_from_one_address_is_ignored_for_the_attempt_and_forgotten_with_it() -> None:
    one = seat()
    give(one, Frame(Kind.PRESENT, address=THERE))
    give(one, Frame(Kind.SEND, address=THERE, block=key("session carol 1").modulus))
    frames(one)
    give(one, BOBS_KEY, at(5))
    assert not frames(one)
    assert known(one) == key("session carol 1").modulus
    tick(one, at(61))
    give(one, BOBS_KEY, at(62))
    assert len(frames(one)) == 1
    assert known(one) == BOBS


def test_what_is_sealed_for_us_isnt_taken_for_a_key() -> None:
    """One block in four looks like a modulus; their attempt goes on after ours was forgotten."""
    one = seat()
    give(one, Frame(Kind.PRESENT, address=THERE))
    mine = ENGINE.public_key(key("session alice 1").modulus)
    sealed = next(
        block for block in iter(lambda: mine.encrypt(bytes(PLAINTEXT_SIZE)), b"") if acceptable_modulus(block)
    )
    give(one, Frame(Kind.SEND, address=THERE, block=sealed))
    assert known(one) is None
    assert [frame.block for frame in frames(one)] == [mine.modulus]  # to which theirs is the answer
    give(one, Frame(Kind.SEND, address=THERE, block=sealed), at(KEY_ANSWER_GAP_S - 0.1))
    assert not frames(one)
    give(one, BOBS_KEY, at(KEY_ANSWER_GAP_S))
    assert known(one) == BOBS


def test_a_key_that_a_hello_has_shown_to_be_theirs_is_kept_for_the_next_attempts() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(2)
    world.tamper = lambda source, to, block: []
    world.advance(400)
    for one, other in ((alice, bob), (bob, alice)):
        assert one.seat is not None
        assert other.seat is not None
        (place,) = one.seat._places.values()
        assert place.key is not None
        assert place.key.modulus == other.seat.me.session.modulus
        assert place.link is None or place.link.state is not State.UP


def test_two_who_lost_each_other_meet_again_soon_however_their_attempts_lie() -> None:
    """Each had taken a HELLO of the other for a KEY, in turns: that took minutes, and luck."""
    for late in range(6):
        world = World(seed=late + 1)
        alice, bob = world.client("alice"), world.client("bob")
        world.advance(2)
        world.tamper = lambda source, to, block: []
        world.advance(120 + 25 * late)
        world.tamper = lambda source, to, block: [(source, to, block)]
        healed_s = world.now.s
        while not (alice.room._courier.sending and bob.room._courier.sending):
            world.advance(1)
            assert world.now.s < healed_s + 45


def test_a_hello_follows_a_key_that_was_answered() -> None:
    one = seat(1)
    give(one, Frame(Kind.PRESENT, address=THERE))
    frames(one)
    give(one, BOBS_KEY)
    assert len(frames(one)) == 4


def test_two_seats_meet() -> None:
    alice, bob = seat(1), seat(0, "bob", THERE)
    give(alice, Frame(Kind.PRESENT, address=THERE))
    give(bob, Frame(Kind.PRESENT, address=HERE))
    greeted = []
    for _ in range(4):
        for source, to, address in ((alice, bob, HERE), (bob, alice, THERE)):
            for frame in frames(source):
                for event in give(to, Frame(Kind.SEND, address=address, block=frame.block)):
                    if isinstance(event, Greeted):
                        greeted.append(event.greeting.nick)
                        event.link.answer(bytes(88), NOW)
    assert greeted == ["alice", "bob"]
    assert {place.link.state for one in (alice, bob) for place in one._places.values() if place.link} == {State.UP}
    ended = [type(event).__name__ for event in give(alice, Frame(Kind.LEFT, address=THERE))]
    assert ended == ["Gone"]
    assert not give(alice, Frame(Kind.LEFT, address=THERE))
    (link,) = bob.end_all()
    assert link.state is State.ENDED


def test_what_was_said_on_a_link_that_has_ended_stays_here() -> None:
    one = seat(1)
    give(one, Frame(Kind.PRESENT, address=THERE))
    frames(one)
    give(one, BOBS_KEY)  # a HELLO is said at once
    link = one._places[THERE].link
    assert link is not None
    assert len(link.said) == 4
    one.end(link, NOW)
    assert frames(one) == []


def test_after_a_link_either_may_begin_anew() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(2)
    before = len(world.log)
    world.tamper = lambda source, to, block: []
    world.advance(100)  # both fall silent
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(70)
    assert {source for source, _, _ in world.log[before:]} == {"alice", "bob"}
    for client, other in ((alice, "bob"), (bob, "alice")):
        assert [talk.open for talk in client.room._talks if talk.fp == fp(other)] == [True]


def test_a_ping_is_answered_with_what_it_said() -> None:
    one = seat()
    give(one, Frame(Kind.PING, 7, 8))
    assert frames(one) == [Frame(Kind.PONG, 7, 8)]
    give(one, Frame(Kind.PONG, 7, 8))
    assert not frames(one)


@pytest.mark.parametrize("refusal", [*Refusal, 0, 99])
def test_a_refusal_is_told(refusal: int) -> None:
    assert give(seat(), Frame(Kind.REFUSED, refusal, 30)) == [Turned(refusal, 30)]


def test_nonsense_is_said_once_and_again_and_nothing_is_sent() -> None:
    one = seat()
    good = Frame(Kind.PING, 1, 2).to_bytes()
    assert list(one.receive_data(good + bytes(FRAME_SIZE) + good, NOW)) == [Garbled()]
    assert frames(one) == [Frame(Kind.PONG, 1, 2)]  # what came before the nonsense counts
    assert list(one.receive_data(good, NOW)) == [Garbled()]
    assert not frames(one)


@pytest.mark.parametrize("kind", [Kind.JOIN, Kind.WELCOME, Kind.PONG])
def test_what_a_relay_has_no_business_to_say_is_dropped(kind: Kind) -> None:
    one = seat()
    assert not give(one, Frame(kind, 5, 6, b"anything", RNG.randbytes(256)))
    assert one.dropped == 1
    assert one.address == HERE


def test_a_bucket() -> None:
    bucket = Bucket(2, 1)
    assert [bucket.take(NOW) for _ in range(3)] == [True, True, False]
    assert bucket.take(at(1))
    assert not bucket.take(at(0.5))  # time that goes back gives nothing
    assert not bucket.take(at(1.5))
    assert [bucket.take(at(100)) for _ in range(3)] == [True, True, False]
    assert not Bucket(2, 1).take(NOW, 3)
