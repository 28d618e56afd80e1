"""A connection takes the place of another, and nobody notices: docs/PROTOCOL.md, "Make before break"."""

from __future__ import annotations

import pytest
from attacker import Puppet, talk
from world import ENGINE, Client, World, key

from chatcore import link as links
from chatcore.errors import StateError
from chatcore.events import (
    Alarm,
    AlarmKind,
    Gap,
    Knocked,
    KnockEnded,
    LetIn,
    MemberJoined,
    MemberLeft,
    MessageArrived,
    Noticed,
    Presence,
    PresenceChanged,
    RosterChanged,
    Waiting,
)
from chatcore.invite import Mode
from chatcore.link import State
from chatcore.seats import MOST_FAILED, RENEWAL_S
from chatcore.wire import Frame, Kind

NOISE = (PresenceChanged, RosterChanged, MemberJoined, MemberLeft, Gap, Alarm, KnockEnded, Knocked, Waiting, Noticed)


def room_of(*names: str, mode: Mode = Mode.OPEN) -> tuple[World, list[Client]]:
    """People who are all here for each other."""
    world = World(mode=mode)
    clients = [world.client(name) for name in names]
    world.advance(3)
    for client in clients:
        assert len(client.room._courier.sending) == len(names) - 1
    return world, clients


def heard_nothing(*clients: Client) -> None:
    """Nothing about who is here, nor anything unheard of, was told since `forget`."""
    for client in clients:
        assert [event for event in client.events if isinstance(event, NOISE)] == [], client.name


def forget(*clients: Client) -> None:
    for client in clients:
        client.events.clear()


def session(client: Client) -> bytes:
    assert client.room._seat is not None
    return client.room._seat.me.session.modulus


def test_the_key_is_another_and_nobody_notices() -> None:
    world, clients = room_of("alice", "bob", "carol")
    alice = clients[0]
    forget(*clients)
    before, old = session(alice), alice.address
    alice.renew()
    world.settle()
    world.advance(2)
    assert session(alice) != before
    assert alice.address != old
    assert old not in world.seats
    assert len(world.seats) == 3
    talk(world, "alice", "bob", "carol")
    world.advance(200)
    heard_nothing(*clients)


def test_what_is_said_meanwhile_comes_once_and_in_order() -> None:
    world, (alice, bob) = room_of("alice", "bob")
    said: list[str] = []
    back: list[str] = []

    def between(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        if len(said) < 40:  # at every block of the renewal both say something
            said.append(f"a{len(said)}")
            back.append(f"b{len(back)}")
            alice.say(said[-1])
            bob.say(back[-1])
        return [(source, to, block)]

    world.tamper = between
    alice.renew()
    world.advance(3)
    assert len(said) == 40
    assert [text for _, text in bob.texts()] == said
    assert [text for _, text in alice.texts()] == back
    assert alice.room.owed == bob.room.owed == 0
    assert sum(len(e.mids) for e in alice.of(MessageArrived) if isinstance(e, MessageArrived)) == 40


def test_everybody_at_once() -> None:
    names = ("alice", "bob", "carol", "dave")
    world, clients = room_of(*names)
    forget(*clients)
    for _ in range(5):
        before = [session(client) for client in clients]
        for client in clients:
            client.renew()
        talk(world, *names, seconds=15)
        assert all(session(client) != old for client, old in zip(clients, before, strict=True))
        assert len(world.seats) == 4
    heard_nothing(*clients)


def test_it_is_left_only_when_everybody_is_there() -> None:
    world, (alice, bob, carol) = room_of("alice", "bob", "carol")
    forget(alice, bob, carol)
    old = alice.address
    new_key = key("session alice 2").modulus

    def cut_off(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        return [] if block == new_key and to == "carol" else [(source, to, block)]

    world.tamper = cut_off  # carol never gets the new key
    alice.renew()
    world.advance(RENEWAL_S - 10)
    assert alice.address == old
    talk(world, "alice", "bob", "carol")
    world.advance(12)
    assert alice.address == old
    assert alice.next is None
    assert len(world.seats) == 3
    talk(world, "alice", "bob", "carol")
    heard_nothing(alice, bob, carol)


def test_one_who_never_comes_over_cannot_keep_an_old_key_alive() -> None:
    world, (alice, *_) = room_of("alice", "bob", "carol")
    world.tamper = lambda source, to, block: (
        []
        if to == "carol" and block in [key(f"session alice {n}").modulus for n in (2, 3, 4)]
        else [(source, to, block)]
    )
    old = alice.address
    for _ in range(MOST_FAILED):
        alice.renew()
        world.advance(RENEWAL_S + 1)
        assert alice.address == old
    alice.renew()
    world.advance(RENEWAL_S + 1)
    assert alice.address not in (None, old)
    talk(world, "alice", "bob")


def test_a_link_whose_other_end_is_gone_holds_nobody_up() -> None:
    world, (alice, *_) = room_of("alice", "bob", "carol")
    world.tamper = lambda source, to, block: [] if "carol" in (source, to) else [(source, to, block)]  # the seat stays
    old = alice.address
    alice.renew()
    world.advance(RENEWAL_S - 2)
    assert alice.address not in (None, old)
    assert alice.next is None


def test_a_second_seat_of_ones_own_is_neither_met_nor_an_alarm() -> None:
    world, (alice, bob) = room_of("alice", "bob")
    alice.renew()
    world.settle()
    world.advance(30)
    assert alice.of(Alarm) == bob.of(Alarm) == []
    assert not [hop for hop in world.log if hop[0] == hop[1]]  # nothing went from one seat to the other


def test_a_foreigner_with_the_same_identity_is_an_alarm_before_while_and_after() -> None:
    for when in range(3):
        world, (alice, _) = room_of("alice", "bob")
        if when == 1:
            alice.renew()
        if when == 2:
            alice.renew()
            world.advance(3)
        world.client("thief", identity="alice")
        world.advance(5)
        (alarm,) = alice.of(Alarm)
        assert isinstance(alarm, Alarm)
        assert alarm.kind is AlarmKind.OWN_IDENTITY_ELSEWHERE
        world.advance(200)
        assert len(alice.of(Alarm)) == 1


def test_a_mirror_of_the_second_key_gets_no_answer() -> None:
    world, (alice, _) = room_of("alice", "bob")
    mallory = Puppet(world, "mallory")
    alice.renew()
    world.settle()
    sent = len(mallory.blocks["alice"])
    for number in (1, 2):
        world.inject("mallory", "alice", key(f"session alice {number}").modulus)
    world.settle()
    assert len(mallory.blocks["alice"]) == sent


def test_the_new_connection_dies_meanwhile() -> None:
    world, (alice, bob) = room_of("alice", "bob")
    forget(alice, bob)
    old = alice.address
    alice.renew()
    count = 0

    def cut(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        nonlocal count
        count += 1
        if count == 5 and alice.next is not None:
            line, alice.next = alice.next, None
            world.vacate(line.address)
            line.address = None
            alice.room.receive_eof(world.now, line.seat)
        return [(source, to, block)]

    world.tamper = cut
    world.advance(3)
    assert alice.address == old
    talk(world, "alice", "bob")
    alice.renew()
    world.advance(3)
    assert alice.address != old
    heard_nothing(alice, bob)


@pytest.mark.parametrize("after", [2, 5, 10, 20])
def test_the_old_connection_dies_meanwhile(after: int) -> None:
    world, (alice, _) = room_of("alice", "bob")
    forget(alice)
    alice.renew()
    count = 0

    def cut(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        nonlocal count
        count += 1
        if count == after and alice.next is not None:
            old, alice.address = alice.address, None
            assert old is not None
            world.seats.pop(old)
            alice.room.receive_eof(world.now, alice.seat)
            alice.keep_up()
            for there, other in list(world.seats.items()):
                world.deliver(other, Frame(Kind.LEFT, address=old), there)
        return [(source, to, block)]

    world.tamper = cut
    world.advance(3)
    assert len(alice.room.seats) == 1
    assert alice.room.seated
    talk(world, "alice", "bob")
    assert [event for event in alice.events if isinstance(event, PresenceChanged)] == []


def test_both_die() -> None:
    world, (alice, _) = room_of("alice", "bob")
    alice.renew()  # and the relay never answers
    line = alice.next
    assert line is not None
    alice.disconnect()
    assert alice.room.seats == ()
    alice.room.receive_eof(world.now, line.seat)
    alice.next = None
    alice.connect()
    world.advance(3)
    talk(world, "alice", "bob")


def test_a_newcomer_during_the_change_meets_one_alice() -> None:
    world, (alice, bob) = room_of("alice", "bob")
    forget(alice, bob)
    count = 0

    def arrive(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        nonlocal count
        count += 1
        if count == 4:
            world.client("carol")
        return [(source, to, block)]

    world.tamper = arrive
    alice.renew()
    world.advance(15)
    assert alice.next is None
    talk(world, "alice", "bob", "carol")
    for client in (alice, bob):
        assert [type(e) for e in client.events if isinstance(e, MemberJoined | PresenceChanged | MemberLeft)] == [
            MemberJoined,
            PresenceChanged,
        ]
    seen = [event for event in world.clients["carol"].events if isinstance(event, PresenceChanged)]
    assert Presence.AWAY not in [event.presence for event in seen]


def test_a_knock_outlasts_the_change_and_the_knocker_gets_in() -> None:
    world, (alice,) = room_of("alice", mode=Mode.ASK)
    nina = world.client("nina")
    world.advance(3)
    assert len(alice.of(Knocked)) == 1
    forget(alice, nina)
    old = alice.address
    alice.renew()
    world.advance(40)
    assert alice.address != old
    heard_nothing(alice, nina)
    alice.room.let_in(nina.room.fp, world.now)
    world.advance(5)
    assert nina.of(LetIn)
    talk(world, "alice", "nina")


def test_one_who_comes_to_knock_during_the_change() -> None:
    world, (alice,) = room_of("alice", mode=Mode.ASK)
    alice.renew()
    nina = world.client("nina")
    world.advance(60)
    assert len(alice.of(Knocked)) == 1
    assert alice.of(KnockEnded) == []
    alice.room.let_in(nina.room.fp, world.now)
    world.advance(5)
    talk(world, "alice", "nina")


def test_one_at_the_door_does_not_learn_from_renewals_who_is_inside() -> None:
    world, (alice,) = room_of("alice", mode=Mode.ASK)
    bob = world.client("bob")
    world.advance(3)
    alice.room.let_in(bob.room.fp, world.now)
    world.advance(5)
    talk(world, "alice", "bob")
    mallory = Puppet(world, "mallory")
    world.advance(2)
    nina = world.client("nina")
    world.advance(3)
    old = bob.address
    mallory.blocks.clear()
    nina_heard = len([hop for hop in world.log if hop[:2] == ("bob", "nina")])
    bob.renew()
    world.advance(30)
    assert bob.address != old
    assert mallory.blocks["bob"] == []
    assert len([hop for hop in world.log if hop[:2] == ("bob", "nina")]) == nina_heard
    alice.room.let_in(nina.room.fp, world.now)  # and once she is in, they do meet
    world.advance(10)
    talk(world, "alice", "bob", "nina")


def test_there_is_a_time_for_it() -> None:
    world = World(mode=Mode.ASK)
    alice = world.client("alice", connect=False)
    with pytest.raises(StateError):
        alice.room.renew(ENGINE.generate(), world.now)  # no connection
    alice.connect()
    with pytest.raises(StateError):
        alice.room.renew(ENGINE.generate(), world.now)  # no seat yet
    world.settle()
    alice.renew()
    with pytest.raises(StateError):
        alice.room.renew(ENGINE.generate(), world.now)  # one at a time
    nina = world.client("nina")
    world.advance(3)
    with pytest.raises(StateError):
        nina.renew()  # who waits at the door has no key worth it


def test_a_link_that_has_carried_much_wants_another(monkeypatch: pytest.MonkeyPatch) -> None:
    world, (alice, bob) = room_of("alice", "bob")
    assert not alice.room.worn
    monkeypatch.setattr(links, "WORN_COUNTER", alice.room._courier.sending[bob.room.fp].link._next_out + 3)
    for number in range(3):
        alice.say(f"{number}")
    assert alice.room.worn
    alice.renew()
    world.advance(1)
    assert not alice.room.worn
    assert alice.room._courier.sending[bob.room.fp].link.state is State.UP
