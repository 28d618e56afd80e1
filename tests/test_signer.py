"""What one signs: who may, when nothing is to be said, and that it counts under a clock that was set back."""

from __future__ import annotations

import pytest
from world import ENGINE, START_MS, fp, key

from chatcore.clock import Moment
from chatcore.errors import StateError
from chatcore.invite import Mode, RelayAddress
from chatcore.members import Members, StatementType
from chatcore.signer import MAX_TIME_MS, Signer

ROOM_ID = b"r" * 32
NOW, BEFORE = Moment(1000.0, START_MS), Moment(1060.0, START_MS - 86_400_000)
HERE, THERE = (RelayAddress(host, 7256, (b"p" * 32,)) for host in ("one.example.org", "two.example.org"))


def _signer(name: str, nick: str = "") -> tuple[Signer, Members]:
    members = Members(ENGINE, ROOM_ID, fp("alice"), Mode.ASK)
    for one in ("alice", "bob"):
        members.key(key(f"identity {one}").modulus)
    return Signer(ROOM_ID, key(f"identity {name}"), nick or name, members), members


def test_one_joins_once_and_anew_under_another_nick_or_after_a_leave() -> None:
    signer, members = _signer("alice")
    join = signer.join(NOW)
    assert join is not None
    assert members.add(join.raw)
    assert signer.join(NOW) is None
    signer.nick = "alice the second"
    other = signer.join(BEFORE)
    assert other is not None
    assert (other.nick, other.time_ms) == ("alice the second", join.time_ms + 1)
    assert members.add(other.raw)
    assert members.add(signer.leave(BEFORE).raw)
    assert not members.is_member(fp("alice"))
    again = signer.join(BEFORE)
    assert again is not None
    assert again.time_ms == join.time_ms + 3
    assert members.add(again.raw)
    assert members.is_member(fp("alice"))


def test_no_time_is_later_than_the_last() -> None:
    signer, members = _signer("alice")
    assert members.add(signer.sign(StatementType.LEAVE, fp("alice"), MAX_TIME_MS).raw)
    assert signer.leave(NOW).time_ms == MAX_TIME_MS


def test_the_rhythm_is_said_when_it_is_another_and_counts_after_the_clock_was_set_back() -> None:
    signer, members = _signer("alice")
    assert signer.keep_steady(0, NOW) is None
    for period_s, now in ((5, NOW), (3, BEFORE), (0, BEFORE)):
        said = signer.keep_steady(period_s, now)
        assert said is not None
        assert members.add(said.raw)
        assert members.period_s == period_s
        assert signer.keep_steady(period_s, now) is None


def test_the_relay_is_said_when_it_is_another_and_counts_after_the_clock_was_set_back() -> None:
    signer, members = _signer("alice")
    assert signer.move(HERE, HERE, NOW) is None
    for at, relay, now in ((HERE, THERE, NOW), (THERE, HERE, BEFORE)):
        said = signer.move(relay, at, now)
        assert said is not None
        assert members.add(said.raw)
        assert members.moved is not None
        assert members.moved.relay == relay


def test_only_the_owner_signs_what_is_about_others_or_the_room() -> None:
    bob, _ = _signer("bob")
    with pytest.raises(StateError, match="only the owner"):
        bob.admit(fp("carol"), NOW)
    for period_s in (5, 0):
        with pytest.raises(StateError, match="the owner of the room"):
            bob.keep_steady(period_s, NOW)
    with pytest.raises(StateError, match="the owner of the room"):
        bob.move(THERE, HERE, NOW)


def test_the_owner_signs_no_rhythm_to_die_of_and_no_relay_without_a_key() -> None:
    alice, _ = _signer("alice")
    for period_s in (31, -1):
        with pytest.raises(StateError, match="at most 30 s"):
            alice.keep_steady(period_s, NOW)
    with pytest.raises(StateError, match="known by its key"):
        alice.move(RelayAddress("127.0.0.1", 7256), HERE, NOW)
    assert alice.admit(fp("bob"), NOW).subject == fp("bob")
