"""What is kept between runs: a client that is killed at any moment says and takes everything once."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_help import make_vault, open_vault, room_in
from world import Client, Hop, Memory, World, fp

from chatcore.clock import Moment
from chatcore.events import Damaged, Gap, MessageArrived, MessageReceived, MessageSent, NotDelivered, TakenBack
from chatcore.kept import Changes, Kept, Line, Standing, Store
from chatcore.roomvault import RoomVault
from chatcore.vault import Vault
from chatcore.wire import Frame, Kind


def texts(client: Client) -> list[str]:
    """All lines that a window shows, in their order."""
    return [e.text for e in client.events if isinstance(e, (MessageSent, MessageReceived))]


class Stores:
    """Makes stores of one sort, and copies of them as they are now."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.vaults: list[Vault] = []

    def new(self) -> Store:
        if self.directory is None:
            return Memory()
        path = self.directory / f"{len(self.vaults)}"
        self.vaults.append(open_vault(path) if path.exists() else make_vault(path))
        return room_in(self.vaults[-1])

    def backup(self, store: Store) -> Store:
        """Return a store as it would be after its disk was put back to this moment."""
        if isinstance(store, Memory):
            return copy.deepcopy(store)
        assert self.directory is not None
        assert isinstance(store, RoomVault)
        path = self.directory / f"{len(self.vaults)}"
        store._vault._base.execute("VACUUM INTO ?", (str(path),))
        path.chmod(0o600)
        return self.new()


@pytest.fixture(params=["memory", "disk"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path if request.param == "disk" else None)
    yield made
    for vault in made.vaults:
        vault.close()


class Kill(Exception):
    """The process ends here."""


def again(world: World, old: Client, store: Store | None = None) -> Client:
    """Kill a client without a word, and start it again from what it kept."""
    world.leave(old)
    statements = old.room.statements()
    client = world.client(old.name, statements=statements, store=store or old.store, connect=False)
    client.connections = old.connections + 100
    client.connect()
    return client


def two(stores: Stores) -> tuple[World, Client, Client]:
    world = World()
    alice, bob = world.client("alice", store=stores.new()), world.client("bob", store=stores.new())
    world.advance(2)
    return world, alice, bob


def kept_of(client: Client) -> Kept:
    assert client.store is not None
    return client.store.load()


def test_the_lines_of_an_earlier_run_are_told_first(stores: Stores) -> None:
    world, alice, bob = two(stores)
    alice.say("one")
    bob.say("two")
    world.advance(2)
    for old in (alice, bob):
        seen = [e for e in old.events if isinstance(e, (MessageSent, MessageReceived, MessageArrived))]
        old = again(world, old)
        told = [e for e in old.room.events_received() if isinstance(e, (MessageSent, MessageReceived, MessageArrived))]
        assert sorted(told, key=repr) == sorted(seen, key=repr)
        assert [e for e in told if not isinstance(e, MessageArrived)] == [
            e for e in seen if not isinstance(e, MessageArrived)
        ]


def test_what_was_owed_is_said_by_the_next_run(stores: Stores) -> None:
    world, alice, bob = two(stores)
    bob.disconnect()
    mid = alice.say("while you were away")
    world.settle()
    alice = again(world, alice)
    world.advance(2)
    assert alice.room.owed == 1
    bob.connect()
    world.advance(3)
    assert bob.texts() == [("alice", "while you were away")]
    assert alice.room.owed == 0
    assert [e.by for e in alice.events if isinstance(e, MessageArrived) and e.mids == (mid,)] == [fp("bob")]


def test_attack_27_one_who_is_killed_between_taking_and_acknowledging_shows_a_message_once(stores: Stores) -> None:
    world, alice, bob = two(stores)
    alice.say("once")
    world.settle()  # bob has taken it; his acknowledgement waits for its tick
    assert alice.room.owed == 1
    assert texts(bob) == ["once"]
    bob = again(world, bob)
    world.advance(10)
    assert alice.room.owed == 0
    assert texts(bob) == ["once"]  # told from what was kept


@pytest.mark.parametrize("seed", range(12))
def test_attack_28_whoever_is_killed_whenever_says_and_takes_everything_once(seed: int, stores: Stores) -> None:
    """Kill both at random frames, before and after the commit; what wasn't committed was never seen by anybody."""
    rng = random.Random(seed)
    world, alice, bob = two(stores)
    people = {"alice": alice, "bob": bob}
    said: list[str] = []
    kills = 0

    def deadly(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        if rng.random() < 0.08:
            raise Kill(rng.choice((source, to)))
        return [(source, to, block)]

    world.tamper = deadly
    for number in range(60):
        name = rng.choice(("alice", "bob"))
        try:
            text = f"{name} {number}"
            people[name].say(text)
            people[name].commit()  # from here on it is said
            said.append(text)
            world.advance(rng.random())
        except Kill as kill:
            dead = str(kill)
            people[dead] = again(world, people[dead])
            kills += 1
    assert kills > 3
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(400)
    for client in people.values():
        assert sorted(texts(client)) == sorted(said)
        for name in people:
            assert [text for text in texts(client) if text.startswith(name)] == [t for t in said if t.startswith(name)]
        assert client.room.owed == 0


def lose_five(world: World, alice: Client, stores: Stores) -> Store:
    """Have one message said, and five more after the disk was copied; returns the copy."""
    alice.say("one")
    world.advance(2)
    assert alice.store is not None
    backup = stores.backup(alice.store)
    for number in range(5):
        alice.say(f"lost with the disk {number}")
    world.advance(2)
    return backup


def test_attack_32_a_disk_that_was_put_back_begins_a_new_log_and_new_messages_arrive(stores: Stores) -> None:
    world, alice, bob = two(stores)
    backup = lose_five(world, alice, stores)
    alice = again(world, alice, backup)
    alice.say("after")
    world.advance(3)
    assert alice.room.stale
    alice.disconnect()
    alice.connect()
    assert not alice.room.stale
    world.advance(3)
    assert [text for _, text in bob.texts()][-1] == "after"
    assert [text for _, text in bob.texts()].count("after") == 1
    assert alice.room.owed == 0
    alice = again(world, alice)  # and the new one is kept
    alice.say("and on")
    world.advance(3)
    assert not alice.room.stale
    assert [text for _, text in bob.texts()][-2:] == ["after", "and on"]


def test_attack_32_what_was_written_before_the_peers_were_met_again_arrives_too(stores: Stores) -> None:
    """More is written on the disk that was put back than was lost with it, so no cursor is above our head."""
    world, alice, bob = two(stores)
    backup = lose_five(world, alice, stores)
    world.leave(alice)
    statements = alice.room.statements()
    alice = world.client("alice", statements=statements, store=backup, connect=False)
    alice.connections = 100
    for number in range(7):
        alice.say(f"offline {number}")
    alice.connect()
    world.advance(3)
    assert alice.room.stale
    alice.say("on a link that knows the old log")
    world.advance(3)
    assert [text for _, text in bob.texts()][-1] == "lost with the disk 4"
    alice.disconnect()
    alice.connect()
    world.advance(5)
    after = [*(f"offline {number}" for number in range(7)), "on a link that knows the old log"]
    assert [text for _, text in bob.texts()][6:] == after
    assert alice.room.owed == 0


def offline(world: World, old: Client, store: Store, count: int) -> Client:
    """Start a client from a store, have it write while nobody is there, and close it."""
    client = world.client(old.name, statements=old.room.statements(), store=store, connect=False)
    client.connections = old.connections + 100
    for number in range(count):
        client.say(f"offline {number}")
    client.commit()
    return client


def test_attack_32_what_was_written_offline_in_an_earlier_run_arrives_too(stores: Stores) -> None:
    """After the disk was put back it is written on, and closed: what was never sent isn't taken for sent."""
    world, alice, bob = two(stores)
    backup = lose_five(world, alice, stores)
    world.leave(alice)
    alice = again(world, offline(world, alice, backup, 7))
    world.advance(3)
    assert alice.room.stale
    alice.disconnect()
    alice.connect()
    world.advance(5)
    assert [text for _, text in bob.texts()][6:] == [f"offline {number}" for number in range(7)]
    assert alice.room.owed == 0


@pytest.mark.parametrize("count", [2, 7])
def test_attack_32_a_disk_that_is_put_back_twice_loses_nothing(stores: Stores, count: int) -> None:
    """Those who were there remember the first log better than we do, and speak of the second."""
    world, alice, bob = two(stores)
    first = lose_five(world, alice, stores)
    second = stores.backup(first)
    alice = again(world, alice, first)
    world.advance(3)
    alice.disconnect()
    alice.connect()
    alice.say("in the second log")
    world.advance(3)
    world.leave(alice)
    alice = again(world, offline(world, alice, second, count))
    for _ in range(3):
        world.advance(3)
        if alice.room.stale:
            alice.disconnect()
            alice.connect()
    assert [text for _, text in bob.texts()][6:] == ["in the second log", *(f"offline {n}" for n in range(count))]
    assert alice.room.owed == 0


# -- taking back -----------------------------------------------------------------------------------------------------


def taken_back(client: Client) -> dict[bytes, tuple[bytes, ...]]:
    """What a window was told was taken back, and from whom."""
    return {e.mid: e.spared for e in client.events if isinstance(e, TakenBack)}


def test_what_was_typed_while_nobody_was_there_is_taken_back_before_it_goes(stores: Stores) -> None:
    world, alice, bob = two(stores)
    alice.say("one")
    world.advance(2)
    alice.disconnect()
    first, back, last = (alice.say(text) for text in ("two", "never mind", "three"))
    world.settle()
    alice.room.take_back(back)
    world.settle()
    assert taken_back(alice) == {back: (fp("bob"),)}
    assert alice.room.owed == 2
    alice.say("four")
    alice.commit()
    alice = again(world, alice)
    told = alice.room.events_received()
    assert [e for e in told if isinstance(e, TakenBack)] == [TakenBack(back, (fp("bob"),), earlier=True)]
    world.advance(3)
    assert [text for _, text in bob.texts()] == ["one", "two", "three", "four"]
    assert not bob.of(Gap)
    assert alice.room.owed == 0
    for mid in (first, last, b"unknown" + bytes(9)):
        alice.room.take_back(mid)
    world.settle()
    assert set(taken_back(alice).values()) == {()}  # too late


def test_what_has_gone_to_some_is_taken_back_from_the_others(stores: Stores) -> None:
    world, alice, bob = two(stores)
    carol = world.client("carol", store=stores.new())
    world.advance(2)
    carol.disconnect()
    mid = alice.say("for bob alone, as it turns out")
    world.settle()
    alice.room.take_back(mid)
    carol.connect()
    world.advance(5)
    assert taken_back(alice) == {mid: (fp("carol"),)}
    assert [text for _, text in bob.texts()] == ["for bob alone, as it turns out"]
    assert carol.texts() == []
    assert not carol.of(Gap)
    assert alice.room.owed == 0


def test_what_was_on_a_link_that_broke_cant_be_taken_back_though_it_may_be_lost(stores: Stores) -> None:
    world, alice, bob = two(stores)
    world.tamper = lambda source, to, block: []
    mid = alice.say("lost on its way, or not")
    world.settle()
    alice = again(world, alice)
    alice.room.take_back(mid)
    world.settle()
    assert taken_back(alice) == {mid: ()}
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(60)
    assert [text for _, text in bob.texts()] == ["lost on its way, or not"]


def test_taken_back_after_it_was_written_and_before_it_was_kept(stores: Stores) -> None:
    world, alice, bob = two(stores)
    bob.disconnect()
    back, stays = alice.say("one"), alice.say("two")
    alice.room.take_back(back)
    alice = again(world, alice)
    bob.connect()
    world.advance(3)
    assert texts(bob) == []  # it was killed before anything was committed
    bob.disconnect()
    back, stays = alice.say("three"), alice.say("four")
    alice.room.take_back(back)
    alice.commit()
    alice = again(world, alice)
    bob.connect()
    world.advance(3)
    assert texts(bob) == ["four"]
    assert kept_of(alice).taken_back == {back: {fp("bob")}}
    assert list(kept_of(alice).arrived) == [stays]


@pytest.mark.parametrize("seed", range(2, 14))  # in each of which something is taken back in time
def test_whoever_takes_back_whatever_whenever_harms_no_other_message(seed: int, stores: Stores) -> None:
    """Kills, reconnects, and things taken back in any order: each copy arrives once, or was taken back."""
    rng = random.Random(seed)
    world, alice, bob = two(stores)
    people = {"alice": alice, "bob": bob, "carol": world.client("carol", store=stores.new())}
    world.advance(2)
    said: dict[bytes, str] = {}
    connected = set(people)

    def deadly(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        if rng.random() < 0.02:
            raise Kill(rng.choice((source, to)))
        return [(source, to, block)] if rng.random() < 0.97 else []

    world.tamper = deadly
    for number in range(80):
        name = rng.choice(("alice", "bob", "carol"))
        try:
            client = people[name]
            match rng.randrange(6):
                case 0 if name in connected:
                    connected.discard(name)
                    client.disconnect()
                case 0 | 1 if name not in connected:
                    connected.add(name)
                    client.connect()
                case 2 if said:
                    client.room.take_back(rng.choice(list(said)[-5:]))
                    client.commit()
                case _:
                    mid = client.say(f"{name} {number}")
                    client.commit()
                    said[mid] = f"{name} {number}"
            world.advance(rng.random() / 2)
        except Kill as kill:
            dead = str(kill)
            people[dead] = again(world, people[dead])
            connected.add(dead)
    world.tamper = lambda source, to, block: [(source, to, block)]
    for name, client in people.items():
        if name in connected:  # a JOIN may have been lost with what was killed: World has no TCP
            client.disconnect()
        client.connect()
    world.advance(700)
    stood = {name: kept_of(client) for name, client in people.items()}
    spared = {(mid, fp) for kept in stood.values() for mid, from_whom in kept.taken_back.items() for fp in from_whom}
    assert spared
    for name, client in people.items():
        for sender in people:
            due = [text for mid, text in said.items() if text.startswith(sender) and (mid, fp(name)) not in spared]
            assert [text for text in texts(client) if text.startswith(sender)] == due
        assert not client.of(Gap)
        assert client.room.owed == 0


@pytest.mark.parametrize("shown_again", [1, 2000])
def test_attack_32_what_is_said_again_in_a_new_log_is_shown_once(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, shown_again: int
) -> None:
    monkeypatch.setattr("chatcore.roomvault.KEPT_LINES", shown_again)  # of a room that is opened again
    world, alice, bob = two(stores)
    alice.say("one")
    world.advance(2)
    bob.disconnect()
    alice.say("owed when the disk was copied")
    world.settle()
    assert alice.store is not None
    backup = stores.backup(alice.store)
    bob.connect()
    world.advance(3)
    alice.say("lost with the disk")
    world.advance(3)
    alice = again(world, alice, backup)
    bob = again(world, bob)
    world.advance(3)
    assert alice.room.stale
    alice.disconnect()
    alice.connect()
    world.advance(5)
    assert texts(bob)[-shown_again:] == ["one", "owed when the disk was copied", "lost with the disk"][-shown_again:]
    assert alice.room.owed == 0


def test_a_number_that_was_out_when_the_power_was_cut_isnt_used_again(stores: Stores) -> None:
    """The disk knows of the first of two lines; the second is on its way, and comes on the old link after all."""
    world, alice, bob = two(stores)
    alice.say("one")
    world.settle()
    assert alice.store is not None
    disk, log = stores.backup(alice.store), alice.store.load().log
    held: list[bytes] = []

    def hold(source: str, to: str, block: bytes) -> list[Hop]:
        if source != "alice":
            return [(source, to, block)]
        held.append(block)
        return []

    world.tamper = hold
    alice.say("two")
    world.settle()
    world.tamper = lambda source, to, block: [(source, to, block)]
    old_seat = alice.address
    assert old_seat is not None
    alice = world.client("alice", statements=alice.room.statements(), store=disk, connect=False)
    alice.connections = 100
    alice.connect()
    world.advance(3)
    assert kept_of(alice).log != log
    for block in held:
        world.deliver(bob, Frame(Kind.SEND, address=old_seat, block=block), bob.address)
    alice.say("three")
    world.advance(5)
    assert texts(bob) == ["one", "two", "three"]
    assert alice.room.owed == 0
    assert not alice.of(Damaged)


def test_what_went_out_later_isnt_taken_back_after_a_power_cut(stores: Stores) -> None:
    world, alice, bob = two(stores)
    bob.disconnect()
    mid = alice.say("goes out when bob is back")
    world.advance(2)
    assert alice.store is not None
    assert not alice.store.load().unsettled
    bob.connect()
    world.advance(0.4)
    assert "goes out when bob is back" in texts(bob)
    assert alice.store.load().unsettled
    alice = again(world, alice)
    alice.room.take_back(mid)
    assert not kept_of(alice).taken_back
    world.advance(5)
    assert alice.room.owed == 0
    assert texts(bob) == ["goes out when bob is back"]


def test_whoever_says_nothing_for_a_while_goes_on_with_the_log(stores: Stores) -> None:
    world, alice, _ = two(stores)
    alice.say("one")
    world.advance(2)
    log = kept_of(alice).log
    alice = again(world, alice)
    world.advance(2)
    assert kept_of(alice).log == log


def test_a_time_that_was_claimed_is_bounded_after_a_restart_too(stores: Stores) -> None:
    world, alice, bob = two(stores)
    alice.room.say("from the future", Moment(world.now.s, world.now.ms + 10**9))
    world.advance(2)
    (live,) = [e for e in bob.events if isinstance(e, MessageReceived)]
    bob = again(world, bob)
    (told,) = [e for e in bob.room.events_received() if isinstance(e, MessageReceived)]
    assert told == live
    assert told.time_ms == told.received_ms


def test_what_was_given_up_stays_given_up(monkeypatch: pytest.MonkeyPatch, stores: Stores) -> None:
    monkeypatch.setattr("chatcore.delivery.MAX_OUTBOX_MESSAGES", 3)
    world, alice, bob = two(stores)
    bob.disconnect()
    for number in range(5):
        alice.say(str(number))
    world.settle()
    alice = again(world, alice)
    given_up = [mid for e in alice.room.events_received() if isinstance(e, NotDelivered) for mid in e.mids]
    assert len(given_up) == 2
    bob.connect()
    world.advance(5)
    assert [text for _, text in bob.texts()] == ["2", "3", "4"]


def test_what_a_new_log_lacks_isnt_said_to_be_of_before_one_knew_its_sender(
    monkeypatch: pytest.MonkeyPatch, stores: Stores
) -> None:
    monkeypatch.setattr("chatcore.delivery.MAX_OUTBOX_MESSAGES", 3)
    world, alice, bob = two(stores)
    alice.say("he has this")
    world.advance(2)
    bob.disconnect()
    alice.room._courier._begin_log()  # as after a kill, or a disk that was put back
    alice.disconnect()
    for number in range(5):
        alice.say(str(number))
    alice.connect()
    bob.connect()
    world.advance(5)
    assert [text for _, text in bob.texts()] == ["he has this", "2", "3", "4"]
    assert [(e.count, e.before_visit) for e in bob.events if isinstance(e, Gap)] == [(2, False)]


def test_without_anything_to_keep_nothing_gathers() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(2)
    alice.say("one")
    bob.say("two")
    assert not alice.room.changes()
    world.advance(2)
    assert not alice.room.changes()


def test_changes_are_all_that_is_needed(stores: Stores) -> None:
    """What a store holds after each commit is what the room would tell if it were asked for everything."""
    world, alice, bob = two(stores)
    for number in range(4):
        alice.say(f"a{number}")
        bob.say(f"b{number}")
        world.advance(1)
    bob.disconnect()
    alice.say("last")
    world.settle()
    kept = kept_of(alice)
    assert len(kept.lines) == 9
    assert [kept.lines[mid].sender for mid in kept.owed[fp("bob")].values()] == [fp("alice")]
    standing = kept.standings[fp("bob")]
    assert (standing.cursor, standing.low) == (4, 5)
    assert list(kept.owed[fp("bob")]) == [5]
    assert [cursor for _, cursor in standing.logs] == [4]


def test_a_commit_forgets_what_is_no_longer_owed() -> None:
    kept = Kept()
    line = Line(b"m" * 16, b"a" * 32, b"rest", 5, None)
    kept.commit(Changes(log=b"the log!", lines=[line], owed=[(b"bob", 1, line.mid)], standings={b"bob": Standing(1)}))
    assert kept.owed == {b"bob": {1: line.mid}}
    kept.commit(Changes(standings={b"bob": Standing(1, 1, 2)}, arrived=[(line.mid, b"bob", 7)]))
    assert kept.owed == {b"bob": {}}
    assert kept.arrived == {line.mid: {b"bob": 7}}
    assert not Changes()
    assert Changes(arrived=[(line.mid, b"bob", 7)])
    assert "rest" not in repr(line)
