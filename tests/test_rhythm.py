"""Steady mode: whoever counts blocks can't tell talk from silence (docs/PROTOCOL.md, "Steady mode")."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from attacker import Puppet, talk
from hypothesis import given
from hypothesis import strategies as st
from world import Client, World, fp, key

from chatcore import rhythm
from chatcore.clock import Moment
from chatcore.content import ContentKind
from chatcore.errors import CryptoError, StateError, WireError
from chatcore.events import GoesOut, MemberLeft, MessageArrived, Noticed, PresenceChanged, SteadyChanged
from chatcore.invite import Mode
from chatcore.lists import NOW, ask_list
from chatcore.members import Members, StatementType, make_statement, parse_statement
from chatcore.rhythm import DAY_S, MOST_PERIOD_S, Backlog, Rhythm, bytes_a_day
from chatcore.seal import parse_body
from chatcore.wire import FRAME_SIZE

NAMES = ("alice", "bob", "carol")


def steady(period_s: int, *names: str) -> tuple[World, list[Client]]:
    """A room whose owner has set a rhythm that everybody has taken up."""
    world = World()
    clients = [world.client(name) for name in names or NAMES]
    world.advance(3)
    clients[0].room.keep_steady(period_s, world.now)
    world.advance(3 * period_s)
    for client in clients:
        assert [e.period_s for e in client.events if isinstance(e, SteadyChanged)] == [period_s]
    world.log.clear()
    world.beats.clear()
    return world, clients


def sent(world: World) -> Counter[tuple[str, str]]:
    """How many blocks went from whom to whom."""
    return Counter((source, to) for source, to, _ in world.log)


# -- what the relay sees -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period_s", [1, 5, 30])
def test_talk_and_silence_are_the_same_number_of_blocks(period_s: int) -> None:
    counts, gaps = [], []
    for talking in (False, True):
        world, clients = steady(period_s)
        for beat in range(20):
            if talking and beat % 4 == 0:
                for client in clients:
                    client.say(f"{beat} " + "x" * (beat * 20))
            world.advance(period_s)
        counts.append(sent(world))
        assert set(counts[-1]) == {(a, b) for a in NAMES for b in NAMES if a != b}
        assert {count for count in counts[-1].values()} <= {19, 20, 21}
        times = [at for name, at, _ in world.beats if name == "bob"]
        gaps.append({round(later - earlier, 6) for earlier, later in pairwise(times)})
        assert {size for _, _, size in world.beats} == {2 * FRAME_SIZE}
    assert counts[0] == counts[1]
    assert gaps == [{float(period_s)}, {float(period_s)}]


def test_without_it_talk_shows() -> None:
    counts = []
    for talking in (False, True):
        world = World()
        clients = [world.client(name) for name in NAMES]
        world.advance(3)
        world.log.clear()
        for beat in range(20):
            if talking and beat % 4 == 0:
                for client in clients:
                    client.say(f"{beat}")
            world.advance(5)
        counts.append(sent(world))
    assert all(counts[1][pair] >= counts[0][pair] + 5 for pair in counts[0])


def test_what_is_said_arrives_once_and_in_order() -> None:
    world, (alice, bob, carol) = steady(2)
    said = [f"{number} " + "é" * (number * 40) for number in range(12)]
    for text in said:
        alice.say(text)
    bob.say("meanwhile")
    world.advance(200)
    for reader in (bob, carol):
        assert [text for who, text in reader.texts() if who == "alice"] == said
    assert ("bob", "meanwhile") in alice.texts()
    assert alice.room.owed == bob.room.owed == 0
    blocks = sum(1 for source, to, _ in world.log if (source, to) == ("alice", "bob"))
    assert 99 <= blocks <= 101


def test_how_long_it_takes_is_said_and_true() -> None:
    world, (alice, bob, _) = steady(3)
    alice.say("x" * 1000)  # 7 parts
    alice.say("short")
    world.settle()
    first, second = [event.in_s for event in alice.events if isinstance(event, GoesOut)]
    assert first == 7 * 3
    assert second == 8 * 3
    world.advance(second + 2 * 3)  # a heartbeat may have taken a beat
    assert [text for _, text in bob.texts()] == ["x" * 1000, "short"]


@pytest.mark.parametrize("period_s", [1, 30])
def test_nothing_runs_out_of_patience(period_s: int) -> None:
    world, clients = steady(period_s)
    for client in clients:
        client.events.clear()
    world.advance(200)
    talk(world, *NAMES, seconds=12 * period_s)
    world.advance(400)
    for client in clients:
        assert not [e for e in client.events if isinstance(e, PresenceChanged | MemberLeft | Noticed)], client.name
        assert client.room.owed == 0
        arrived = [e for e in client.events if isinstance(e, MessageArrived)]
        assert len(arrived) == 2
    repeats = [client.room._courier._outbox(fp(other)).head for client in clients for other in NAMES]
    assert max(repeats) == 1


def test_lost_blocks_are_made_good_within_the_rhythm() -> None:
    world, (alice, bob, carol) = steady(1)
    lose = world.rng
    world.tamper = lambda source, to, block: [] if lose.random() < 0.1 else [(source, to, block)]
    said = [f"{number} " + "y" * 200 for number in range(10)]
    for text in said:
        alice.say(text)
    world.advance(300)
    assert [text for _, text in bob.texts()] == said
    assert [text for _, text in carol.texts()] == said
    assert set(sent(world).values()) <= {299, 300, 301}


def test_a_newcomer_is_taken_into_the_rhythm() -> None:
    world, _ = steady(2)
    dave = world.client("dave")
    world.advance(10)
    assert [e.period_s for e in dave.events if isinstance(e, SteadyChanged)] == [2]
    talk(world, *NAMES, "dave", seconds=20)
    world.log.clear()
    world.advance(20)
    assert len(sent(world)) == 12
    assert set(sent(world).values()) == {10}


def test_a_connection_takes_the_place_of_another_in_the_rhythm() -> None:
    world, (alice, bob, carol) = steady(1)
    for client in (alice, bob, carol):
        client.events.clear()
    old = alice.address
    alice.say("before " + "z" * 2000)
    alice.renew()
    world.advance(40)
    assert alice.address != old
    talk(world, *NAMES, seconds=30)
    assert [text[:6] for _, text in bob.texts()] == ["before", "alice ", "carol "] or len(bob.texts()) == 3
    assert not [e for e in carol.events if isinstance(e, PresenceChanged)]
    world.log.clear()
    world.advance(20)
    assert set(sent(world).values()) == {20}


def test_it_ends_and_what_waited_comes_whole() -> None:
    world, (alice, bob, _) = steady(5)
    alice.say("w" * 5000)
    world.advance(12)
    alice.room.keep_steady(0, world.now)
    world.advance(90)
    assert [text for _, text in bob.texts()] == ["w" * 5000]
    assert [e.period_s for e in bob.events if isinstance(e, SteadyChanged)] == [5, 0]
    world.log.clear()
    talk(world, *NAMES)
    assert bob.room._courier._sending[fp("alice")].link.backlog is None
    world.log.clear()
    world.advance(10)
    assert len(world.log) <= 6


def test_a_relay_that_does_not_read_makes_nothing_pile_up() -> None:
    world, (alice, *_) = steady(1)
    held = alice.room.data_to_send
    alice.room.beat_to_send = lambda seat: None  # type: ignore[method-assign]
    world.advance(60)
    seat = alice.room._seat
    assert seat is not None
    assert len(seat._beaten) == 2
    assert held() == b""


# -- the setting -------------------------------------------------------------------------------------------------------


def test_who_asks_faster_than_the_beats_makes_no_answers_pile_up() -> None:
    world = World()
    alice = world.client("alice")
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    world.advance(2)
    alice.room.keep_steady(30, world.now)
    alice.say("given up before it came")
    world.now = Moment(
        world.now.s + 15 * DAY_S, world.now.ms + 15 * DAY_S * 1000
    )  # a clock that only jumps isn't believed
    (on_link,) = [on_link for on_link in alice.room._talks if on_link.fp == mallory.fp]
    assert on_link.link.backlog is not None
    mallory.ack("alice", 0)
    alice.room._courier.resend(world.now)
    for _ in range(30):
        mallory.ack("alice", 0)  # never came: each is answered with a READY that says it is gone
        mallory.send("alice", ContentKind.LIST, ask_list(NOW))
        world.now = Moment(world.now.s + 11, world.now.ms + 11_000)
    assert alice.room._courier._outbox(mallory.fp).low == 2
    assert on_link.link.backlog.others <= 5


def test_only_the_owner_sets_it() -> None:
    _, (alice, bob, _) = steady(5)
    for client, period_s in ((bob, 5), (alice, 31), (alice, -1)):
        with pytest.raises(StateError):
            client.room.keep_steady(period_s, Moment(0.0, 0))


ROOM_ID = bytes(range(32))


def said(who: str, period_s: int, time_ms: int) -> bytes:
    identity = key(f"identity {who}")
    return make_statement(StatementType.STEADY, ROOM_ID, identity, fp(who), time_ms, period_s=period_s).raw


def members(mode: Mode = Mode.ASK) -> Members:
    from world import ENGINE

    made = Members(ENGINE, ROOM_ID, fp("alice"), mode)
    made.key(key("identity alice").modulus)
    return made


@given(st.permutations([(3, 5), (7, 2), (7, 9), (1, 30), (9, 0)]), st.integers(1, 5))
def test_the_latest_counts_in_whatever_order_they_come(order: list[tuple[int, int]], count: int) -> None:
    room, told = members(), order[:count]
    raws = {(time_ms, period_s): said("alice", period_s, time_ms) for time_ms, period_s in told}
    for raw in raws.values():
        room.add(raw)
        room.add(raw)
    latest = max(told, key=lambda one: (one[0], parse_statement(raws[one]).hash))
    assert room.period_s == latest[1]
    assert len(room.hashes()) == 1
    assert room.fps() == {fp("alice")}  # it makes nobody a member


def test_what_is_no_setting_is_refused() -> None:
    room = members(Mode.OPEN)
    with pytest.raises(CryptoError):
        room.add(said("bob", 5, 1))  # not the owner
    raw = said("alice", 5, 1)
    assert len(raw) == 330
    for wrong in (raw[:-1], raw[:73] + b"\x1f" + raw[74:], raw[:33] + fp("bob") + raw[65:]):
        with pytest.raises(WireError):
            room.add(wrong)
    with pytest.raises(CryptoError):
        room.add(raw[:73] + b"\x06" + raw[74:])
    assert room.period_s == 0
    assert MOST_PERIOD_S == 30


# -- the parts ---------------------------------------------------------------------------------------------------------


def test_messages_and_the_rest_take_turns_and_nothing_comes_between_the_parts_of_one() -> None:
    backlog = Backlog(ContentKind.DUMMY, (ContentKind.ACK,))
    assert parse_body(backlog.take()[0]).kind == ContentKind.DUMMY
    backlog.put(ContentKind.MSG, b"m" * 400, message=True)
    for number in range(3):
        backlog.put(ContentKind.STMT, bytes((number,)), message=False)
    for number in range(3):
        backlog.put(ContentKind.ACK, bytes((number,)), message=False)
    assert backlog.parts == 7
    bodies = [parse_body(backlog.take()[0]) for _ in range(9)]
    kinds = [body.kind for body in bodies]
    at = kinds.index(ContentKind.MSG)
    assert kinds[at : at + 3] == [ContentKind.MSG] * 3
    assert sorted(kinds) == sorted([2] * 3 + [4] * 3 + [3] + [7] * 2)
    assert kinds[-2:] == [7, 7]
    assert [body.content for body in bodies if body.kind == ContentKind.ACK] == [b"\x02"]  # the newest is enough


def test_a_missed_beat_is_not_made_up_for() -> None:
    beats = Rhythm(lambda size: bytes(size))
    beats.set(10, Moment(100.0, 0))
    assert beats.next_tick() == 100.0
    assert beats.due(Moment(100.0, 0)) == 100.25
    assert beats.due(Moment(100.1, 0)) is None
    assert beats.due(Moment(137.0, 0)) == 110.25  # one, late
    assert beats.due(Moment(137.0, 0)) is None
    assert beats.due(Moment(140.0, 0)) == 140.25  # and the next where it would have been anyway
    beats.set(0, Moment(141.0, 0))
    assert beats.due(Moment(150.0, 0)) == 150.25
    assert beats.next_tick() is None


def test_what_it_costs() -> None:
    frames, beats = 2 * (5 - 1), DAY_S // 5
    assert bytes_a_day(5, 5) == beats * (frames * FRAME_SIZE + (1 + 4) * rhythm.TLS_OVERHEAD)
    assert bytes_a_day(1, 5) == 0
    assert bytes_a_day(256, 1) > 10**9
