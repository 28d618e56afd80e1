"""The door: who may come in, how often, and who is told why not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.wire import Refusal
from relay.limits import (
    FORGET_AFTER_S,
    MAX_ADDRESSES,
    TURNED_AWAY,
    WAIT_RELAY_FULL_S,
    WELCOME,
    Bucket,
    Door,
    Limits,
    network_of,
)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_an_ipv6_customer_counts_as_one_address(host: str, network: str) -> None:
    assert network_of(host) == network


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=2, burst=10, now_s=0)
    assert bucket.take(10, 0) == 0
    assert bucket.take(1, 0) == 0.5
    assert bucket.take(1, 0.5) == 0.5
    assert bucket.take(10, 100) == 0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=50))
def test_a_bucket_never_gives_more_than_burst_and_rate(steps: list[tuple[float, float]]) -> None:
    bucket, now_s, given_out = Bucket(rate=3, burst=20, now_s=0), 0.0, 0.0
    for pause_s, amount in steps:
        now_s += pause_s
        wait_s = bucket.take(amount, now_s)
        given_out += amount
        now_s += wait_s
        assert given_out <= 20 + 3 * now_s + 1e-6


def many(door: Door, count: int, network: str = "a", now_s: float = 0.0) -> list[object]:
    """Return what the door said to so many arrivals: True, the refusal, or False."""
    said: list[object] = []
    for _ in range(count):
        verdict = door.arrive(network, now_s)
        said.append(verdict.doom[0] if verdict.doom else verdict.enter)
    return said


def test_one_address_has_so_many_connections_then_is_told_then_is_turned_away() -> None:
    door = Door(Limits(max_connections_per_address=5, max_joins_per_minute_per_address=0), 1000)
    assert many(door, 20) == [True] * 5 + [Refusal.TOO_FAST] * 5 + [False] * 10
    assert many(door, 1, "b") == [True]
    for _ in range(6):
        door.leave("a")
    assert many(door, 1) == [True]


def test_one_address_joins_so_fast_then_is_told_how_long_to_wait_then_is_turned_away() -> None:
    door = Door(Limits(max_connections_per_address=0, max_joins_per_minute_per_address=60), 1000)
    said = many(door, 100)
    assert said == [True] * 30 + [Refusal.TOO_FAST] * 30 + [False] * 40
    verdict = door.arrive("a", 15.0)
    assert verdict.doom == (Refusal.TOO_FAST, 16)
    assert door.arrive("a", 45.0) == WELCOME
    assert many(door, 1, "b") == [True]


def test_the_whole_relay_has_so_many_connections_and_tells_a_few_more() -> None:
    door = Door(Limits().unlimited(), 64)
    said = [many(door, 1, str(n))[0] for n in range(100)]
    assert said == [True] * 64 + [Refusal.RELAY_FULL] * 4 + [False] * 32
    assert door.connections == door.most_connections == 68
    door.leave("67")
    assert door.arrive("x", 0).doom == (Refusal.RELAY_FULL, WAIT_RELAY_FULL_S)


def test_unlimited_lifts_the_limits_of_an_address_only() -> None:
    limits = Limits(max_seats_per_room=7).unlimited()
    door = Door(limits, 10_000)
    assert many(door, 5000) == [True] * 5000
    assert limits.pace(2) == math.inf
    assert (limits.max_seats_per_room, limits.max_connections) == (7, Limits().max_connections)


def test_a_seat_may_send_so_much_to_each_other_and_so_much_in_all() -> None:
    limits = Limits(max_bytes_per_second_per_seat=1000, max_bytes_per_second_per_reader=100)
    assert [limits.pace(seats) for seats in (0, 1, 2, 3, 11, 256)] == [100, 100, 100, 200, 1000, 1000]
    assert replace(limits, max_bytes_per_second_per_seat=0).pace(256) == 25_500
    assert replace(limits, max_bytes_per_second_per_reader=0).pace(2) == 1000


def test_the_door_forgets_an_address_after_a_minute_and_not_before_its_debt() -> None:
    door = Door(Limits(max_joins_per_minute_per_address=60, max_connections_per_address=0), 1000)
    assert many(door, 70)[-1] is False
    for _ in range(60):
        door.leave("a")
    door.beat(FORGET_AFTER_S - 31)
    assert door.arrive("a", FORGET_AFTER_S - 31).doom is not None
    door.leave("a")
    door.beat(10 * FORGET_AFTER_S)
    assert not door._guests
    assert door.arrive("a", 10 * FORGET_AFTER_S) is WELCOME


def test_new_limits_hold_for_addresses_that_are_known_and_begin_anew() -> None:
    door = Door(Limits().unlimited(), 1000)
    assert many(door, 50) == [True] * 50
    for per_minute in (4, 60):  # what one owes by one rule isn't owed by the next
        door.rule(Limits(max_connections_per_address=0, max_joins_per_minute_per_address=per_minute), 1000)
        assert many(door, per_minute // 2 + 1) == [True] * (per_minute // 2) + [Refusal.TOO_FAST]


def test_who_is_turned_away_is_not_counted() -> None:
    door = Door(Limits(max_connections_per_address=1, max_joins_per_minute_per_address=0), 10)
    assert many(door, 2) == [True, Refusal.TOO_FAST]
    assert door.arrive("a", 0) is TURNED_AWAY
    assert door.connections == 2


def test_a_stranger_with_endless_addresses_is_not_remembered_without_end() -> None:
    door = Door(Limits(), 4096)
    assert door.arrive("stays", 0).enter
    for number in range(3 * MAX_ADDRESSES):
        name = f"stranger {number}"
        assert door.arrive(name, number / 10_000).enter
        door.leave(name)
        assert len(door._guests) <= MAX_ADDRESSES
    assert f"stranger {number}" in door._guests  # the newest are kept, and who is here
    door.leave("stays")
    door.beat(1e6)
    assert not door._guests
    assert door.connections == 0
