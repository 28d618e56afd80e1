"""The relay on trial: what it does to blocks is mended or refused, counted, and told in one event while it lasts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from world import Client, Hop, World, fp

from chatcore.clock import Moment
from chatcore.events import ConnectionReport, Gap, Noticed, Oddity
from chatcore.report import CALM_S, MAX_PEERS, MAX_TIMES, MAX_VISITS, Report
from chatcore.seal import FP_SIZE
from chatcore.wire import Frame, Kind


def room(*names: str) -> tuple[World, list[Client]]:
    world = World()
    clients = [world.client(name) for name in names]
    world.advance(3)
    return world, clients


def honest(source: str, to: str, block: bytes) -> list[Hop]:
    return [(source, to, block)]


def report(client: Client) -> ConnectionReport:
    return client.room.report(client.world.now)


def noticed(client: Client) -> list[Noticed]:
    return [e for e in client.events if isinstance(e, Noticed)]


def seen(client: Client) -> set[Oddity]:
    return {what for event in noticed(client) for what, _ in event.seen}


def from_alice_to_bob(world: World, act: object) -> None:
    """Tamper with the next blocks from alice to bob: `act` gets a block and returns the blocks that come instead."""
    assert callable(act)

    def tamper(source: str, to: str, block: bytes) -> list[Hop]:
        if (source, to) != ("alice", "bob"):
            return [(source, to, block)]
        return [(source, to, one) for one in act(block)]

    world.tamper = tamper


def everything_came(world: World, alice: Client, *readers: Client, texts: list[str]) -> None:
    """Whatever was done, it is mended: all is there once and in order, and after a while nothing is told any more."""
    world.tamper = honest
    world.advance(60)
    for reader in readers:
        assert [text for nick, text in reader.texts() if nick == "alice"] == texts
        assert not reader.of(Gap)
        if noticed(reader):
            assert noticed(reader)[-1].mended
    world.advance(CALM_S + 5)
    for client in (alice, *readers):
        if noticed(client):
            assert noticed(client)[-1].over


def test_a_relay_that_does_its_work_isnt_mentioned() -> None:
    """Nor is one whose members come, go, reconnect and renew their keys."""
    world, (alice, bob, carol) = room("alice", "bob", "carol")
    for number in range(30):
        for client in (alice, bob, carol):
            client.say(f"{client.name} {number} " + "x" * (number * 40))
        world.advance(0.3)
        if number % 7 == 3:
            bob.disconnect()
            world.advance(1)
            bob.connect()
    carol.disconnect()
    world.advance(200)
    carol.connect()
    world.advance(100)
    for client in (alice, bob, carol):
        assert noticed(client) == []
        assert report(client).total.odd == ()
    assert report(bob).reconnects == 4
    assert len(report(bob).visits) == 5
    assert [peer.nick for peer in sorted(report(bob).peers, key=lambda one: one.nick)] == ["alice", "carol"]
    assert 0 < report(alice).total.answer_ms < 2000


def test_dropped_blocks_are_sent_again_and_told() -> None:
    world, (alice, bob) = room("alice", "bob")
    drops = iter([True, False, True])
    from_alice_to_bob(world, lambda block: [] if next(drops, False) else [block])
    before_ms = world.now.ms
    for text in ("one", "two", "three"):
        alice.say(text)
    world.advance(2)
    (event,) = noticed(bob)[-1:]
    assert dict(event.seen) == {Oddity.MISSING: 1}
    assert (event.by, event.mended, event.over) == ((fp("alice"),), False, False)
    assert before_ms <= event.from_ms <= event.to_ms <= world.now.ms
    everything_came(world, alice, bob, texts=["one", "two", "three"])
    told = report(alice)
    assert told.total.resent == 3
    assert told.total.mended == 3
    assert report(bob).total.of(Oddity.MISSING) == 2
    assert noticed(alice) == []  # mended by the first repetition: there is nothing to say


def test_doubled_and_replayed_blocks_are_refused_and_told() -> None:
    world, (alice, bob) = room("alice", "bob")
    kept: list[bytes] = []

    def double(block: bytes) -> list[bytes]:
        kept.append(block)
        return [block, block]

    from_alice_to_bob(world, double)
    alice.say("one")
    world.advance(2)
    doubled = len(kept)
    for block in kept:
        world.inject("alice", "bob", block)
    world.advance(2)
    assert dict(noticed(bob)[-1].seen) == {Oddity.REPEATED: 2 * doubled}
    assert noticed(bob)[-1].mended
    everything_came(world, alice, bob, texts=["one"])


def test_blocks_out_of_their_order_are_mended_and_told() -> None:
    world, (alice, bob) = room("alice", "bob")
    held: list[bytes] = []

    def swap(block: bytes) -> list[bytes]:
        held.append(block)
        return [] if len(held) == 1 else [block, held[0]] if len(held) == 2 else [block]

    from_alice_to_bob(world, swap)
    alice.say("one")
    alice.say("two")
    world.advance(2)
    assert dict(noticed(bob)[-1].seen) == {Oddity.MISSING: 1, Oddity.LATE: 1}
    everything_came(world, alice, bob, texts=["one", "two"])


def test_blocks_that_lead_somewhere_else_are_refused_where_they_come_and_mended_where_they_dont() -> None:
    world, (alice, bob, carol) = room("alice", "bob", "carol")
    world.tamper = lambda source, to, block: [(source, "carol" if (source, to) == ("alice", "bob") else to, block)]
    alice.say("for bob and carol")
    world.advance(1)
    world.tamper = honest
    world.advance(1)
    assert dict(noticed(carol)[-1].seen)[Oddity.FORGED] >= 1
    assert noticed(carol)[-1].by == (fp("alice"),)
    alice.say("and on")
    world.advance(1)
    assert dict(noticed(bob)[-1].seen)[Oddity.MISSING] >= 1
    everything_came(world, alice, bob, carol, texts=["for bob and carol", "and on"])


def test_blocks_under_a_false_name_and_altered_ones_are_refused_and_told() -> None:
    world, (alice, bob, carol) = room("alice", "bob", "carol")
    world.tamper = lambda source, to, block: [("carol" if (source, to) == ("alice", "bob") else source, to, block)]
    alice.say("one")
    world.advance(1)
    assert dict(noticed(bob)[-1].seen)[Oddity.FORGED] >= 1
    assert noticed(bob)[-1].by == (fp("carol"),)  # all that can be said: over the link with her it came
    from_alice_to_bob(world, lambda block: [bytes((block[0], block[1] ^ 1)) + block[2:]])
    alice.say("two")
    world.advance(1)
    assert set(noticed(bob)[-1].by) == {fp("alice"), fp("carol")}
    assert carol.texts() == [("alice", "one"), ("alice", "two")]
    everything_came(world, alice, bob, carol, texts=["one", "two"])


def test_one_who_is_heard_and_doesnt_hear_is_told_of() -> None:
    world, (alice, bob) = room("alice", "bob")
    from_alice_to_bob(world, lambda block: [])
    alice.say("one")
    world.advance(8)
    bob.say("what is going on over there")
    world.advance(20)
    (event,) = noticed(alice)[-1:]
    assert dict(event.seen) == {Oddity.HELD: 1}
    assert (event.by, event.mended) == ((fp("bob"),), False)
    everything_came(world, alice, bob, texts=["one"])
    assert noticed(alice)[-1].mended
    assert report(alice).total.mended == 1


@pytest.mark.parametrize("away_s", [20, CALM_S + 20])
def test_what_is_missing_of_one_who_goes_is_not_said_to_have_been_sent_again(away_s: float) -> None:
    world, (alice, bob) = room("alice", "bob")
    drops = iter([True])
    from_alice_to_bob(world, lambda block: [] if next(drops, False) else [block])
    for text in ("one", "two"):
        alice.say(text)
    world.advance(2)
    alice.disconnect()
    world.advance(away_s)
    (event,) = noticed(bob)[-1:]
    assert dict(event.seen) == {Oddity.MISSING: 1}
    assert (event.mended, event.over) == (False, away_s > CALM_S)
    alice.connect()
    world.advance(20)
    assert [text for _, text in bob.texts()] == ["one", "two"]
    assert noticed(bob)[-1].mended is (away_s < CALM_S)
    world.advance(CALM_S + 5)
    assert noticed(bob)[-1].over
    assert not bob.of(Gap)


def test_a_clock_that_is_set_meanwhile_makes_no_break_longer_and_nothing_end_before_it_began() -> None:
    told: list[Any] = []
    counted = Report(Moment(0, 10_000_000), told.append)
    counted.connected(Moment(1, 10_001_000))
    counted.odd(Oddity.FORGED, b"", 1, Moment(2, 10_002_000))
    counted.odd(Oddity.FORGED, b"", 1, Moment(3, 3_000))
    counted.disconnected(Moment(4, 4_000))
    counted.connected(Moment(6, 10_006_000))
    counted.tick(Moment(7, 10_007_000))
    assert told[-1].from_ms <= told[-1].to_ms
    assert counted.told(lambda fp: "", Moment(8, 10_008_000)).longest_break_ms == 2000


def test_a_long_delay_is_told_and_over_when_all_has_come() -> None:
    world, (alice, bob) = room("alice", "bob")
    held: list[bytes] = []

    def hold(block: bytes) -> list[bytes]:
        held.append(block)
        return []

    from_alice_to_bob(world, hold)
    alice.say("one")
    world.advance(10)
    bob.say("hello?")
    world.advance(20)
    assert seen(alice) == {Oddity.HELD}
    world.tamper = honest
    for block in held:
        world.inject("alice", "bob", block)
    world.advance(5)
    assert bob.texts() == [("alice", "one")]
    assert noticed(alice)[-1].mended
    assert report(alice).total.slowest_answer_ms == 0  # what went out several times tells no time
    everything_came(world, alice, bob, texts=["one"])


def test_who_falls_silent_though_the_relay_says_they_are_there_is_told_of() -> None:
    world, (alice, bob) = room("alice", "bob")
    world.tamper = lambda source, to, block: [] if source == "bob" else [(source, to, block)]
    world.advance(100)
    assert dict(noticed(alice)[-1].seen) == {Oddity.SILENT: 1}
    alice.say("are you there")
    world.tamper = honest
    world.advance(120)  # bob has heard alice all the time: he gives the link up in his turn
    everything_came(world, alice, bob, texts=["are you there"])


def test_a_computer_that_slept_blames_nobody() -> None:
    world, (alice, _bob) = room("alice", "bob")
    world.now = Moment(world.now.s + 600, world.now.ms + 600_000)
    alice.room.tick(world.now)
    world.advance(3)
    assert noticed(alice) == []


def test_a_seat_that_the_relay_hides_is_told_of_when_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    alice = world.client("alice")
    world.advance(1)
    deliver = World.deliver

    def hiding(world: World, client: Client, frame: Frame, *rest: Any) -> None:
        if frame.kind is not Kind.PRESENT or client is not alice:
            deliver(world, client, frame, *rest)

    monkeypatch.setattr(World, "deliver", hiding)
    bob = world.client("bob")
    world.advance(3)
    assert seen(alice) == {Oddity.HIDDEN}
    assert noticed(alice)[-1].mended
    alice.say("I see you all the same")
    everything_came(world, alice, bob, texts=["I see you all the same"])


def test_what_somebody_said_last_may_come_after_they_went(monkeypatch: pytest.MonkeyPatch) -> None:
    world, (alice, bob) = room("alice", "bob")
    address, block = bob.address, bytes(256)
    bob.disconnect()
    assert address is not None
    world.deliver(alice, Frame(Kind.SEND, address=address, block=block))
    world.advance(3)
    assert noticed(alice) == []


def test_it_is_told_once_and_renewed_and_what_comes_later_is_another_matter() -> None:
    world, (alice, bob) = room("alice", "bob")
    from_alice_to_bob(world, lambda block: [block, block])
    for number in range(20):
        alice.say(str(number))
        world.advance(0.5)
    first = noticed(bob)
    assert 1 <= len(first) <= 12  # gathered for a second each
    assert len({event.from_ms for event in first}) == 1
    world.tamper = honest
    world.advance(CALM_S + 20)
    assert noticed(bob)[-1].over
    from_alice_to_bob(world, lambda block: [block, block])
    alice.say("again")
    world.advance(2)
    last = noticed(bob)[-1]
    assert last.from_ms > first[0].from_ms
    assert sum(count for _, count in last.seen) < 10


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_relay_does_at_random_is_mended_and_told(seed: int) -> None:
    rng = random.Random(seed)
    world, (alice, bob, carol) = room("alice", "bob", "carol")
    old: list[Hop] = []

    def wild(source: str, to: str, block: bytes) -> list[Hop]:
        old.append((source, to, block))
        match rng.randrange(14):
            case 0:
                return []
            case 1:
                return [old[-1]] * 2
            case 2:
                return [old[-1], rng.choice(old)]
            case 3:
                return [(rng.choice(("alice", "bob", "carol")), to, block)]
            case 4:
                return [(source, rng.choice(("alice", "bob", "carol")), block)]
            case 5:
                return [(source, to, rng.randbytes(256))]
            case _:
                return [old[-1]]

    world.tamper = wild
    texts = [str(number) for number in range(25)]
    for text in texts:
        alice.say(text)
        world.advance(1)
    world.advance(10)
    assert seen(bob) | seen(carol) >= {Oddity.MISSING, Oddity.FORGED}
    world.tamper = honest
    world.advance(400)
    for reader in (bob, carol):
        assert [text for nick, text in reader.texts() if nick == "alice"] == texts
        assert not reader.of(Gap)
        assert noticed(reader)[-1].over
        told = report(reader)
        assert {what: sum(peer.of(what) for peer in told.peers) for what, _ in told.total.odd} == dict(told.total.odd)
        assert sum(visit.of(Oddity.MISSING) for visit in told.visits) == told.total.of(Oddity.MISSING)


def test_memory_is_bounded() -> None:
    now = Moment(0.0, 1_000_000)
    counts = Report(now, lambda event: None)
    for number in range(MAX_PEERS * 3):
        counts.connected(now)
        counts.odd(Oddity.FORGED, number.to_bytes(FP_SIZE), 1, now)
        counts.answered(number.to_bytes(FP_SIZE), 1.0)
        counts.round_trip(0.03, now)
        counts.disconnected(now)
    told = counts.told(lambda fp: "", now)
    assert (len(told.peers), len(told.visits)) == (MAX_PEERS, MAX_VISITS)
    assert told.total.of(Oddity.FORGED) == MAX_PEERS * 3
    for _ in range(MAX_TIMES * 2):
        counts.round_trip(0.02, now)
    assert len(counts.told(lambda fp: "", now).times) == MAX_TIMES


def test_round_trips_have_a_median_and_a_worst() -> None:
    counts = Report(Moment(0.0, 1_000), lambda event: None)
    assert (counts.told(lambda fp: "", Moment(1.0, 2_000)).round_trip_ms) == 0
    for seconds in (0.010, 0.030, 0.500):
        counts.round_trip(seconds, Moment(1.0, 2_000))
    told = counts.told(lambda fp: "", Moment(1.0, 2_000))
    assert (told.round_trip_ms, told.slowest_ms) == (30, 500)
    assert told.times == ((2_000, 10), (2_000, 30), (2_000, 500))


def test_breaks_are_counted_with_the_longest() -> None:
    def at(ms: int) -> Moment:
        return Moment(ms / 1000, ms)

    counts = Report(at(0), lambda event: None)
    for lost_ms, back_ms in ((1_000, 2_000), (5_000, 46_000), (50_000, 51_000)):
        counts.connected(at(lost_ms - 500))
        counts.disconnected(at(lost_ms))
        counts.disconnected(at(lost_ms + 1))
        counts.connected(at(back_ms))
        counts.disconnected(at(back_ms + 1))
    told = counts.told(lambda fp: "", Moment(0.0, 60_000))
    assert told.longest_break_ms == 41_000
