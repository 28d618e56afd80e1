"""Delivery to the end, without a network: relays that die, disks in other hands, days between; attacks by number."""

from __future__ import annotations

import copy
import random

from world import Client, Memory, World, fp

from chatcore.clock import STEADY_S, Moment
from chatcore.courier import EXPIRE_S
from chatcore.delivery import MAX_OUTBOX_AGE_MS
from chatcore.events import Alarm, AlarmKind, Gap, MessageArrived, MessageReceived, MessageSent, NotDelivered, NotSaid

DAY_MS = 24 * 3600 * 1000


def again(world: World, old: Client) -> Client:
    """Start a client from what it kept."""
    if old.address is not None:
        world.leave(old)
    client = world.client(old.name, statements=old.room.statements(), store=old.store, connect=False)
    client.connections = old.connections + 100
    client.connect()
    return client


def days_pass(world: World, days: float) -> None:
    """Nobody is there for so long."""
    ms = round(days * DAY_MS)
    world.now = Moment(world.now.s + ms / 1000, world.now.ms + ms)


def heard(client: Client) -> list[str]:
    return [event.text for event in client.events if isinstance(event, MessageReceived)]


def test_attack_29_a_relay_that_dies_a_hundred_times_loses_and_doubles_nothing() -> None:
    """At any moment, also in the middle of what somebody says, and for some longer than for others."""
    rng = random.Random(29)
    world = World()
    people = {name: world.client(name, store=Memory()) for name in ("alice", "bob")}
    world.advance(2)
    said: dict[str, list[str]] = {name: [] for name in people}
    passed = 0
    dies_at = 0

    def mortal(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        nonlocal passed
        passed += 1
        return [(source, to, block)] if passed < dies_at else []

    world.tamper = mortal
    for death in range(100):
        dies_at = passed + rng.randrange(1, 40)
        for name, client in people.items():
            for number in range(rng.randrange(3)):
                text = f"{name} {death} {number} " + "x" * rng.randrange(400)
                client.say(text)
                said[name].append(text)
        world.advance(rng.random() * 2)
        for client in people.values():
            client.disconnect()
        dies_at = passed + 10**9
        for client in people.values():
            client.connect()
            world.advance(rng.random())
    world.advance(60)
    for name, client in people.items():
        for other in people.keys() - {name}:
            assert [text for text in heard(client) if text.startswith(f"{other} ")] == said[other]
        assert client.room.owed == 0
        assert not client.of(Gap)
        assert not client.of(NotDelivered)
    assert sum(map(len, said.values())) > 150


def test_attack_33_a_thief_who_reads_as_carol_is_found_out_when_carol_returns() -> None:
    world = World()
    alice, store = world.client("alice"), Memory()
    carol = world.client("carol", store=store)
    world.advance(2)
    alice.say("for carol herself")
    world.advance(2)
    world.leave(carol)
    thief = world.client("thief", identity="carol", store=copy.deepcopy(store), statements=carol.room.statements())
    alice.say("carol is thought to be here")
    world.advance(2)
    assert heard(thief)[-1] == "carol is thought to be here"
    thief.disconnect()
    carol = again(world, carol)
    world.advance(3)
    alarms = [event for event in carol.events if isinstance(event, Alarm)]
    assert [(event.kind, event.fp, event.nick) for event in alarms] == [
        (AlarmKind.ACKNOWLEDGED_ELSEWHERE, fp("alice"), "alice")
    ]
    assert [event.count for event in carol.events if isinstance(event, Gap)] == [1]


def test_attack_34_a_message_lists_those_away_and_who_joins_later_never_gets_it() -> None:
    world = World()
    alice, carol = world.client("alice", store=Memory()), world.client("carol", store=Memory())
    world.advance(2)
    world.leave(carol)
    mid = alice.say("for carol, when she is back")
    world.advance(1)
    (sent,) = [event for event in alice.events if isinstance(event, MessageSent)]
    assert (sent.mid, sent.readers) == (mid, (fp("carol"),))
    nina = world.client("nina")
    world.advance(3)
    alice = again(world, alice)
    carol = again(world, carol)
    world.advance(5)
    assert heard(carol) == ["for carol, when she is back"]
    assert heard(nina) == []
    assert not nina.of(Gap)
    assert [e.by for e in alice.events if isinstance(e, MessageArrived) and mid in e.mids] == [fp("carol")]


def test_attack_34_who_comes_between_the_writing_and_the_sending_doesnt_get_it_unseen() -> None:
    """The core knows of her, the window doesn't yet: whoever floods the core could make that take a while."""
    world = World()
    store = Memory()
    alice, bob = world.client("alice", store=store), world.client("bob")
    world.advance(2)
    listed = frozenset((fp("alice"), fp("bob")))
    nina = world.client("nina")
    world.advance(2)
    assert alice.room.say("between the two of us", world.now, listed=listed) == b""
    world.advance(2)
    assert [(event.text, event.others) for event in alice.events if isinstance(event, NotSaid)] == [
        ("between the two of us", (fp("nina"),))
    ]
    assert not alice.of(MessageSent)
    assert heard(bob) == heard(nina) == []
    assert not store.load().lines
    alice.room.say("for all three", world.now, listed=listed | {fp("nina")})
    world.client("dave", connect=False)
    alice.room.say("one may have left meanwhile", world.now, listed=listed | {fp("nina"), fp("dave")})
    world.advance(2)
    assert heard(bob) == heard(nina) == ["for all three", "one may have left meanwhile"]


def test_what_is_owed_is_delivered_days_later_to_the_same_identity() -> None:
    world = World()
    alice, bob = world.client("alice", store=Memory()), world.client("bob", store=Memory())
    world.advance(2)
    bob.disconnect()
    texts = [f"day {day}" for day in range(1, 7)]
    for text in texts:
        alice.say(text)
        world.settle()
        alice.disconnect()
        days_pass(world, 2.3)
        alice = again(world, alice)
        world.advance(1)
    bob = again(world, bob)
    world.advance(5)
    assert heard(bob) == texts
    assert alice.room.owed == 0
    assert not bob.of(Gap)


def test_what_has_waited_for_two_weeks_is_given_up_and_said_so_at_both_ends() -> None:
    world = World()
    alice, bob = world.client("alice", store=Memory()), world.client("bob", store=Memory())
    world.advance(2)
    bob.disconnect()
    old = [alice.say("too old"), alice.say("too old as well")]
    world.settle()
    alice.disconnect()
    days_pass(world, MAX_OUTBOX_AGE_MS / DAY_MS - 1)
    alice = again(world, alice)
    new = alice.say("in time")
    world.settle()
    alice.disconnect()
    days_pass(world, 2)
    alice = again(world, alice)
    world.advance(STEADY_S + EXPIRE_S, step=60)
    assert [event.to for event in alice.events if isinstance(event, NotDelivered)] == [fp("bob")]  # though he is away
    bob = again(world, bob)
    world.advance(20)
    lost = [(event.mids, event.to) for event in alice.events if isinstance(event, NotDelivered)]
    assert [mid for mids, _ in lost for mid in mids] == old
    assert {to for _, to in lost} == {fp("bob")}
    assert heard(bob) == ["in time"]
    assert [event.count for event in bob.events if isinstance(event, Gap)] == [2]
    assert [mid for e in alice.events if isinstance(e, MessageArrived) and e.by == fp("bob") for mid in e.mids] == [new]
    assert alice.room.owed == 0


def set_clock(world: World, days: float) -> None:
    """Somebody, or something, sets the clock on the wall; for timers no time passes."""
    world.now = Moment(world.now.s, max(0, world.now.ms + round(days * DAY_MS)))


def waiting_for_bob() -> tuple[World, Client, Client]:
    world = World()
    alice, bob = world.client("alice", store=Memory()), world.client("bob", store=Memory())
    world.advance(2)
    bob.disconnect()
    alice.say("waits for him")
    world.advance(2)
    return world, alice, bob


def all_came(world: World, alice: Client, bob: Client) -> None:
    bob.connect()
    world.advance(20)
    assert heard(bob) == ["waits for him"]
    assert not alice.of(NotDelivered)
    assert alice.room.owed == 0


def test_a_clock_that_is_wrong_at_the_start_gives_nothing_up() -> None:
    world, alice, bob = waiting_for_bob()
    alice.disconnect()
    set_clock(world, 40)
    alice = again(world, alice)
    world.advance(STEADY_S / 2, step=60)
    set_clock(world, -40)
    world.advance(STEADY_S + 2 * EXPIRE_S, step=60)
    all_came(world, alice, bob)


def test_a_clock_that_jumps_ahead_for_a_while_gives_nothing_up() -> None:
    world, alice, bob = waiting_for_bob()
    world.advance(2 * STEADY_S, step=60)
    set_clock(world, 40)
    world.advance(STEADY_S / 2, step=60)
    set_clock(world, -40)
    world.advance(STEADY_S + 2 * EXPIRE_S, step=60)
    all_came(world, alice, bob)


def test_what_was_written_while_the_clock_said_1970_is_as_old_as_the_line_before_it() -> None:
    world = World()
    alice, bob = world.client("alice", store=Memory()), world.client("bob", store=Memory())
    world.advance(2)
    alice.say("yesterday")
    world.advance(2)
    bob.disconnect()
    true_days = world.now.ms / DAY_MS
    set_clock(world, -true_days)
    alice.say("in 1970")
    world.settle()
    alice.disconnect()
    alice = again(world, alice)
    alice.say("in 1970, too")
    world.advance(60)
    set_clock(world, true_days)
    world.advance(STEADY_S + 2 * EXPIRE_S, step=60)
    alice.disconnect()
    alice = again(world, alice)
    world.advance(STEADY_S + 2 * EXPIRE_S, step=60)
    assert not alice.of(NotDelivered)
    bob.connect()
    world.advance(20)
    assert heard(bob) == ["yesterday", "in 1970", "in 1970, too"]


def test_a_computer_that_sleeps_for_three_weeks_waits_an_hour_before_it_gives_up() -> None:
    world, alice, _ = waiting_for_bob()
    world.advance(2 * STEADY_S, step=60)
    set_clock(world, 21)
    world.advance(STEADY_S - 60, step=60)
    assert not alice.of(NotDelivered)
    world.advance(60 + EXPIRE_S, step=60)
    assert len(alice.of(NotDelivered)) == 1
