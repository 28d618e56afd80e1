"""A relay that says of somebody who is here that they have left: what it can do with that, and for how long."""

from __future__ import annotations

import pytest
from attacker import presence, talk
from world import Client, World, fp

from chatcore import seat
from chatcore.events import MessageArrived, Noticed, Oddity, Presence, PresenceChanged
from chatcore.link import SILENCE_S
from chatcore.seat import MAX_ADDRESSES
from chatcore.talk import HEARTBEAT_S
from chatcore.wire import Frame, Kind


def two() -> tuple[World, Client, Client]:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(5)
    return world, alice, bob


def say(world: World, to: Client, of: Client, *kinds: Kind) -> None:
    """Have the relay say something of a seat."""
    for kind in kinds:
        assert of.address is not None
        world.deliver(to, Frame(kind, address=of.address))


def here(viewer: Client, of: Client) -> bool:
    return presence(viewer, fp(of.name)) is Presence.HERE


def comings(client: Client) -> list[Presence]:
    return [event.presence for event in client.events if isinstance(event, PresenceChanged)]


def test_said_to_both_at_once_it_keeps_nobody_apart() -> None:
    world, alice, bob = two()
    for one, other in ((alice, bob), (bob, alice)):
        say(world, one, other, Kind.LEFT)
        assert not here(one, other)
    alice.say("said while he seems to be away")
    for one, other in ((alice, bob), (bob, alice)):
        say(world, one, other, Kind.PRESENT)
        assert here(one, other)
    talk(world, "alice", "bob")
    assert bob.texts()[0] == ("alice", "said while he seems to be away")


def test_that_they_are_back_is_told_as_often_as_that_they_went() -> None:
    world, alice, bob = two()
    for one, other in ((alice, bob), (bob, alice)):
        before = len(comings(one))
        say(world, one, other, Kind.LEFT, Kind.PRESENT)
        assert comings(one)[before:] == [Presence.AWAY, Presence.HERE]


def test_without_a_word_of_their_return_a_heartbeat_shows_it() -> None:
    world, alice, bob = two()
    for one, other in ((alice, bob), (bob, alice)):
        say(world, one, other, Kind.LEFT)
    alice.say("waits")
    assert not alice.of(MessageArrived)
    world.advance(HEARTBEAT_S[1] + 1)
    assert here(alice, bob)
    assert here(bob, alice)
    assert bob.texts() == [("alice", "waits")]
    for one in (alice, bob):
        assert {what for event in one.of(Noticed) if isinstance(event, Noticed) for what, _ in event.seen} == {
            Oddity.HIDDEN
        }


def test_what_they_say_shows_it_at_once() -> None:
    world, alice, bob = two()
    say(world, alice, bob, Kind.LEFT)
    bob.say("but I am here")
    world.settle()
    assert here(alice, bob)
    assert alice.texts() == [("bob", "but I am here")]


def test_before_there_is_a_link_each_keeps_the_part_they_had() -> None:
    """Else both would wait for the other to begin, until one of them connects anew."""
    world = World()
    alice = world.client("alice")
    world.settle()
    world.tamper = lambda source, to, block: []
    bob = world.client("bob")
    world.settle()
    for one, other in ((alice, bob), (bob, alice)):
        say(world, one, other, Kind.LEFT, Kind.PRESENT)
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(10)
    talk(world, "alice", "bob")


def test_who_has_really_gone_is_away_at_once_and_forgotten_soon() -> None:
    world, alice, bob = two()
    (link,) = (talk_.link for talk_ in alice.room._talks)
    bob.disconnect()
    assert presence(alice, fp("bob")) is Presence.AWAY
    events, sent = len(alice.events), len(world.log)
    world.advance(SILENCE_S + 1)
    assert not len(alice.room._talks)
    assert alice.room._seat is not None
    assert alice.room._seat._places == {}
    assert link.state.value == "ended"
    assert alice.events[events:] == []  # that it falls silent is no news
    assert world.log[sent:] == []
    assert alice.room.next_tick() is None


def test_who_renews_leaves_nothing_behind() -> None:
    world, alice, bob = two()
    bob.renew()
    world.advance(15)
    assert len(alice.room._talks) == 1
    assert alice.room._seat is not None
    assert len(alice.room._seat._places) == 1


def test_a_relay_that_says_it_again_and_again_shows_no_more_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "RETURN_BUDGET", (5.0, 1.0))
    world, alice, bob = two()
    before = len(comings(alice))
    for _ in range(100):
        say(world, alice, bob, Kind.LEFT, Kind.PRESENT)
    assert len(comings(alice)) - before <= 2 * 5 + 1
    world.advance(HEARTBEAT_S[1] + 1)
    talk(world, "alice", "bob")


def test_those_who_are_said_to_be_gone_make_way_for_newcomers() -> None:
    world, alice, bob = two()
    say(world, alice, bob, Kind.LEFT)
    for number in range(MAX_ADDRESSES - 1):
        world.deliver(alice, Frame(Kind.PRESENT, address=number.to_bytes(8)))
    carol = world.client("carol")
    world.advance(2)
    assert here(carol, alice)
    assert here(alice, carol)
    assert alice.room._seat is not None
    assert len(alice.room._seat._places) <= MAX_ADDRESSES
    world.advance(300)
    assert here(bob, carol)
