"""A room moves to another relay: docs/PROTOCOL.md, "Moving to another relay".

The client's side of it, on real sockets, is in test_move.py.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from attacker import Puppet, talk
from hypothesis import given
from hypothesis import strategies as st
from world import ENGINE, Client, World, fp, key

from chatcore.clock import Moment
from chatcore.content import ContentKind
from chatcore.errors import CryptoError, StateError, WireError
from chatcore.events import Alarm, Gap, MemberJoined, MemberLeft, PresenceChanged, RoomMoved
from chatcore.invite import Invite, Mode, RelayAddress
from chatcore.members import Members, StatementType, make_statement, pack_relay, parse_relay, parse_statement
from chatcore.moving import LOOK_OUT_MS, LOOKOUTS, Moving
from chatcore.seal import LABEL
from chatcore.seats import MOST_FAILED, RENEWAL_S
from chatcore.wire import Frame, Kind

OLD, NEW, THIRD = (
    RelayAddress(f"{name}.example", 7256, (name.encode().ljust(32),)) for name in ("old", "new", "third")
)
FULL = RelayAddress("a" * 63 + "." + "b" * 63, 65535, (b"p" * 32, b"q" * 32), b"s" * 32)


def world_at(relay: RelayAddress = OLD, mode: Mode = Mode.OPEN) -> World:
    world = World(mode=mode)
    world.invite = world.invite.at(relay)
    return world


def follow(world: World, seconds: float, *clients: Client) -> None:
    """Let time pass, with connections made as a shell makes them."""
    for _ in range(round(seconds)):
        for client in clients:
            room = client.room
            if room.astray and client.next is None and room.is_member and room.relay.place not in world.dead:
                client.renew()
            if room.outlook is not None and client.post is None and room.outlook.place not in world.dead:
                client.look_out()
        world.advance(1)


def whereabouts(world: World, *clients: Client) -> set[str]:
    return {world.places[client.address] for client in clients if client.address is not None}


def moves(client: Client) -> list[RelayAddress]:
    return [event.relay for event in client.events if isinstance(event, RoomMoved)]


def moved(*names: str) -> tuple[World, list[Client]]:
    """A room that has moved, with all who are named."""
    world = world_at()
    clients = [world.client(name) for name in names]
    world.advance(3)
    clients[0].room.move(NEW, world.now)
    follow(world, 15, *clients)
    assert whereabouts(world, *clients) == {NEW.place}
    return world, clients


def relay_statement(relay: RelayAddress, time_ms: int, signer: str = "alice", invite: Invite | None = None) -> bytes:
    room_id = (invite or world_at().invite).room_id
    identity = key(f"identity {signer}")
    return make_statement(StatementType.RELAY, room_id, identity, fp(signer), time_ms, relay=relay).raw


# -- everybody is there ------------------------------------------------------------------------------------------------


def test_everybody_goes_over_and_nobody_notices_more_than_that_it_was_said() -> None:
    world = world_at()
    clients = [world.client(name) for name in ("alice", "bob", "carol")]
    world.advance(3)
    for client in clients:
        client.events.clear()
    clients[0].room.move(NEW, world.now)
    clients[1].say("while it moves")
    follow(world, 20, *clients)
    assert whereabouts(world, *clients) == {NEW.place}
    for client in clients:
        assert moves(client) == [NEW]
        assert [e.before for e in client.events if isinstance(e, RoomMoved)] == [OLD]
        noise = (PresenceChanged, MemberJoined, MemberLeft, Gap, Alarm)
        assert not [event for event in client.events if isinstance(event, noise)], client.name
    assert ("bob", "while it moves") in clients[2].texts()
    talk(world, "alice", "bob", "carol")
    assert all(client.room.owed == 0 for client in clients)


def test_who_waits_at_the_old_one_carries_no_messages() -> None:
    world, clients = moved("alice", "bob", "carol")
    assert {world.places[client.post.address or b""] for client in clients if client.post} == {OLD.place}
    follow(world, 300, *clients)
    for client in clients:
        assert {talk.link.me.session.modulus for talk in client.room._courier.sending.values()} == {
            client.room._seat.me.session.modulus  # type: ignore[union-attr]
        }
        assert not client.of(Alarm)
    talk(world, "alice", "bob", "carol")


def test_one_who_was_away_learns_it_from_somebody_who_knows() -> None:
    world = world_at()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    world.advance(3)
    carol.disconnect()
    alice.room.move(NEW, world.now)
    alice.say("we are elsewhere")
    follow(world, 20, alice, bob)
    alice.disconnect()  # its owner needn't be there
    carol.connect()
    follow(world, 30, bob, carol)
    assert moves(carol) == [NEW]
    assert whereabouts(world, bob, carol) == {NEW.place}
    alice.connect()
    follow(world, 10, alice, bob, carol)
    assert ("alice", "we are elsewhere") in carol.texts()
    assert all(client.room.owed == 0 for client in (alice, bob, carol))


def test_two_weeks_later_nobody_waits_there_any_more_and_the_dead_relay_is_missed_by_nobody() -> None:
    world, clients = moved("alice", "bob")
    assert all(client.room.outlook == OLD for client in clients)
    world.now = replace(world.now, ms=world.now.ms + LOOK_OUT_MS + 1)
    follow(world, 120, *clients)
    assert [client.room.outlook for client in clients] == [None, None]
    assert [client.post for client in clients] == [None, None]
    assert set(world.places.values()) == {NEW.place}


def test_of_many_a_few_wait_and_always_the_owner() -> None:
    world = world_at()
    everybody = sorted(fp(name) for name in ("alice", "bob", "carol", "dave", "erin", "frank"))
    wait = {}
    for me in everybody:
        members = Members(ENGINE, world.invite.room_id, fp("alice"), Mode.OPEN)
        members.key(key("identity alice").modulus)
        moving = Moving(OLD, members, me)
        now = Moment(0.0, 1000)
        others = set(everybody) - {me}
        assert moving.look_out(OLD, others, now) is None  # it hasn't moved
        members.add(relay_statement(NEW, 1000))
        assert moving.settle(OLD)
        assert not moving.settle(NEW)
        assert moving.look_out(OLD, others, now) is None  # one isn't there oneself
        wait[me] = moving.look_out(NEW, others, now)
        assert moving.look_out(NEW, others, Moment(0.0, 1000 + LOOK_OUT_MS)) is None
        assert moving.look_out(NEW, (), now) is None  # with nobody else in the room
        moving.found_same()
        assert moving.look_out(NEW, others, now) is None
    assert {me for me, relay in wait.items() if relay == OLD} == {fp("alice"), *everybody[:LOOKOUTS]}


def test_whoever_is_alone_looks_back_however_long_ago_it_was() -> None:
    world, (alice, bob) = moved("alice", "bob")
    world.now = replace(world.now, ms=world.now.ms + 10 * LOOK_OUT_MS)
    bob.disconnect()
    follow(world, 5, alice)
    assert alice.room.outlook == OLD
    assert alice.post is not None


def test_an_old_invite_leads_to_the_new_place_as_long_as_somebody_waits_at_the_old_one() -> None:
    world, (alice, bob) = moved("alice", "bob")
    carol = world.client("carol")
    assert carol.relay == OLD.place
    follow(world, 30, alice, bob, carol)
    assert moves(carol) == [NEW]
    assert whereabouts(world, alice, bob, carol) == {NEW.place}
    talk(world, "alice", "bob", "carol")


def test_who_knocks_at_the_old_one_is_let_in_and_told() -> None:
    world, (alice, bob) = moved_asking()
    carol = world.client("carol")
    follow(world, 10, alice, bob, carol)
    assert not moves(carol)  # the address of the room is nothing for those at the door
    alice.room.let_in(fp("carol"), world.now)
    follow(world, 60, alice, bob, carol)
    assert moves(carol) == [NEW]
    assert whereabouts(world, alice, bob, carol) == {NEW.place}
    talk(world, "alice", "bob", "carol")


def moved_asking() -> tuple[World, list[Client]]:
    world = world_at(mode=Mode.ASK)
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    alice.room.let_in(fp("bob"), world.now)
    world.advance(3)
    alice.room.move(NEW, world.now)
    follow(world, 20, alice, bob)
    return world, [alice, bob]


def test_it_is_kept_and_the_next_visit_begins_there() -> None:
    world, (alice, bob) = moved("alice", "bob")
    kept = bob.room.statements()
    bob.disconnect()
    del world.clients["bob"]
    again = world.client("bob", statements=kept)
    assert again.relay == NEW.place
    follow(world, 10, alice, again)
    assert [(e.relay, e.before, e.earlier) for e in again.events if isinstance(e, RoomMoved)] == [(NEW, OLD, True)]
    talk(world, "alice", "bob")


def test_the_same_relay_by_another_name_needs_nobody_at_the_old_one() -> None:
    world = world_at()
    world.names = {NEW.place: OLD.place}
    clients = [world.client(name) for name in ("alice", "bob", "carol")]
    world.advance(3)
    for client in clients:
        client.events.clear()
    clients[0].room.move(NEW, world.now)
    follow(world, 30, *clients)
    assert [client.post for client in clients] == [None, None, None]
    assert len(world.seats) == 3
    assert all(client.room._seat.relay == NEW for client in clients)  # type: ignore[union-attr]
    assert not any(client.of(Alarm) for client in clients)
    talk(world, "alice", "bob", "carol")


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_as_long_as_the_new_one_takes_nobody_they_stay_and_talk() -> None:
    world = world_at()
    world.dead = {NEW.place}
    clients = [world.client(name) for name in ("alice", "bob")]
    world.advance(3)
    clients[0].room.move(NEW, world.now)
    follow(world, 30, *clients)
    assert whereabouts(world, *clients) == {OLD.place}
    talk(world, "alice", "bob")
    world.dead.clear()
    follow(world, 20, *clients)
    assert whereabouts(world, *clients) == {NEW.place}


def test_forward_and_back_ends_where_the_newest_says() -> None:
    world = world_at()
    clients = [world.client(name) for name in ("alice", "bob", "carol")]
    world.advance(3)
    for relay in (NEW, OLD, NEW, OLD):
        clients[0].room.move(relay, world.now)
        follow(world, 1, *clients)
    follow(world, 60, *clients)
    assert whereabouts(world, *clients) == {OLD.place}
    assert all(client.room.before == NEW for client in clients)
    talk(world, "alice", "bob", "carol")


def test_from_a_relay_that_keeps_people_apart_the_owner_brings_them_back() -> None:
    world, (alice, bob, carol) = moved("alice", "bob", "carol")
    for client in (bob, carol):  # there, everybody is alone now
        assert client.address is not None
        for there in (alice, bob, carol):
            if there is not client and there.address is not None:
                world.deliver(there, Frame(Kind.LEFT, address=client.address))
                world.deliver(client, Frame(Kind.LEFT, address=there.address))
        world.places[client.address] = f"a cell for {client.name}"
    alice.room.move(OLD, world.now)
    follow(world, 60, alice, bob, carol)
    assert moves(bob)[-1] == moves(carol)[-1] == OLD


def test_a_relay_that_nobody_could_go_to_is_nowhere_to_look_for_those_who_were_away() -> None:
    world = world_at()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    world.advance(3)
    carol.disconnect()
    world.dead = {THIRD.place}
    alice.room.move(THIRD, world.now)
    follow(world, 10, alice, bob)
    alice.room.move(NEW, world.now)
    follow(world, 20, alice, bob)
    assert whereabouts(world, alice, bob) == {NEW.place}
    assert alice.room.before == bob.room.before == OLD
    carol.connect()
    follow(world, 30, alice, bob, carol)
    assert moves(carol) == [NEW]
    assert whereabouts(world, alice, bob, carol) == {NEW.place}


def test_who_alone_can_go_to_the_new_one_stays_where_the_others_are() -> None:
    world = world_at()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    alice.room.move(NEW, world.now)
    follow(world, (MOST_FAILED + 2) * (RENEWAL_S + 1), alice)  # an address of her own network; bob finds nothing there
    assert whereabouts(world, alice, bob) == {OLD.place}
    talk(world, "alice", "bob")
    follow(world, 20, alice, bob)
    assert whereabouts(world, alice, bob) == {NEW.place}
    talk(world, "alice", "bob")


def test_the_key_of_before_counts_no_more_at_the_same_address() -> None:
    world, (alice, bob) = moved("alice", "bob")
    other_key = replace(NEW, pins=(b"k" * 32,))
    alice.room.move(other_key, world.now)
    follow(world, 20, alice, bob)
    for client in (alice, bob):
        assert client.room.relay == other_key
        assert client.room.before == OLD  # those who were away when it moved still come there
    alice.room.move(replace(OLD, pins=(b"k" * 32,)), world.now)
    follow(world, 20, alice, bob)
    assert alice.room.before == bob.room.before == other_key
    world = world_at()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    alice.room.move(replace(OLD, pins=(b"k" * 32,)), world.now)
    follow(world, 20, alice, bob)
    for client in (alice, bob):
        assert client.room.before == client.room.relay == replace(OLD, pins=(b"k" * 32,))
        assert client.post is None
    talk(world, "alice", "bob")


def test_of_two_moves_who_missed_both_needs_a_new_invite_and_who_missed_one_does_not() -> None:
    world = world_at()
    alice, bob, carol, dave = (world.client(name) for name in ("alice", "bob", "carol", "dave"))
    world.advance(3)
    dave.disconnect()
    alice.room.move(NEW, world.now)
    follow(world, 20, alice, bob, carol)
    carol.disconnect()
    world.now = replace(world.now, ms=world.now.ms + LOOK_OUT_MS // 2)  # a week
    alice.room.move(THIRD, world.now)
    follow(world, 20, alice, bob)
    carol.connect()
    dave.connect()
    assert (carol.relay, dave.relay) == (NEW.place, OLD.place)
    follow(world, 30, alice, bob, carol, dave)
    assert whereabouts(world, alice, bob, carol) == {THIRD.place}
    assert moves(dave) == []
    kept = dave.room.statements()
    dave.disconnect()
    del world.clients["dave"]
    again = world.client("dave", invite=world.invite.at(THIRD), statements=kept)
    follow(world, 30, alice, bob, carol, again)
    assert whereabouts(world, alice, bob, carol, again) == {THIRD.place}
    talk(world, "alice", "bob", "carol", "dave")


def test_one_who_was_away_for_a_week_is_shown_the_way() -> None:
    world = world_at()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    world.advance(3)
    carol.disconnect()
    alice.room.move(NEW, world.now)
    follow(world, 20, alice, bob)
    world.now = replace(world.now, ms=world.now.ms + LOOK_OUT_MS // 2)
    follow(world, 120, alice, bob)
    carol.connect()
    follow(world, 30, alice, bob, carol)
    assert whereabouts(world, alice, bob, carol) == {NEW.place}
    talk(world, "alice", "bob", "carol")


def test_an_owner_who_was_killed_before_it_was_written_down_hears_it_from_the_others() -> None:
    world = world_at()
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    world.advance(3)
    kept = alice.room.statements()
    alice.room.move(NEW, world.now)
    follow(world, 20, alice, bob, carol)
    alice.disconnect()
    del world.clients["alice"]
    again = world.client("alice", statements=kept)
    assert again.relay == OLD.place
    follow(world, 30, again, bob, carol)
    assert moves(again) == [NEW]
    assert whereabouts(world, again, bob, carol) == {NEW.place}
    talk(world, "alice", "bob", "carol")


def test_what_only_a_later_version_can_say_is_left_aside() -> None:
    world = world_at()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    identity = key("identity alice")
    unsigned = b"\x07" + fp("alice") * 2 + world.now.ms.to_bytes(8) + b"news"
    later = unsigned + identity.sign(LABEL + b"stmt" + world.invite.room_id + identity.modulus + unsigned)
    link = next(iter(alice.room._courier.sending.values()))
    before = bob.room.statements()
    for _ in range(3):
        alice.room._send(link, ContentKind.STMT, later, world.now)
        world.advance(1)
    assert bob.room.refused == 3
    assert bob.room.statements() == before
    assert not bob.of(Alarm)
    talk(world, "alice", "bob")


def test_only_the_owner_moves_a_room() -> None:
    world = world_at()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    with pytest.raises(StateError):
        bob.room.move(NEW, world.now)
    with pytest.raises(StateError):
        alice.room.move(RelayAddress("127.0.0.1", 7256), world.now)  # nothing to know it by
    mallory = Puppet(world, "mallory")
    mallory.meet("bob")
    world.advance(2)
    for raw in (relay_statement(NEW, world.now.ms, "mallory"), forged(world)):
        refused = bob.room.refused
        mallory.send("bob", ContentKind.STMT, raw)
        world.advance(1)
        assert bob.room.refused == refused + 1
    assert bob.room.relay == OLD
    assert not moves(bob)


def forged(world: World) -> bytes:
    """Signed by mallory, in alice's name."""
    raw = relay_statement(NEW, world.now.ms)
    return raw[:-256] + key("identity mallory").sign(raw[:-256])


def test_an_older_word_of_the_owner_moves_nobody_back() -> None:
    world, (alice, bob) = moved("alice", "bob")
    first = alice.room._members.moved
    assert first is not None
    alice.room.move(THIRD, world.now)
    follow(world, 20, alice, bob)
    assert bob.room.relay == THIRD
    world.invite = world.invite.at(THIRD)
    mallory = Puppet(world, "mallory")
    mallory.meet("bob")
    world.advance(2)
    mallory.send("bob", ContentKind.STMT, first.raw)
    mallory.send("bob", ContentKind.STMT, relay_statement(NEW, 1))
    world.advance(2)
    assert bob.room.relay == THIRD
    assert moves(bob) == [NEW, THIRD]


def test_what_was_said_in_another_room_moves_nobody() -> None:
    world, (alice, bob) = moved("alice", "bob")
    other = replace(world.invite, secret=b"o" * 32)
    with pytest.raises(CryptoError):
        bob.room._members.add(relay_statement(THIRD, world.now.ms + 1, invite=other))
    assert bob.room.relay == NEW == alice.room.relay


def test_a_relay_that_withholds_it_only_delays_it() -> None:
    world = world_at()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(3)
    world.tamper = lambda source, to, block: []  # from now on
    alice.room.move(NEW, world.now)
    follow(world, 5, alice, bob)
    assert not moves(bob)
    assert whereabouts(world, bob) == {OLD.place}
    world.tamper = lambda source, to, block: [(source, to, block)]
    follow(world, 400, alice, bob)
    assert moves(bob) == [NEW]
    assert whereabouts(world, alice, bob) == {NEW.place}


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "relay", [OLD, FULL, RelayAddress("2001:db8::1", 1, (b"p" * 32,)), RelayAddress("127.0.0.1", 2, (b"p" * 32,))]
)
def test_a_relay_goes_there_and_back(relay: RelayAddress) -> None:
    data = pack_relay(relay)
    assert len(data) == 354
    assert parse_relay(data) == relay
    statement = parse_statement(relay_statement(relay, 5))
    assert statement.relay == relay
    assert len(statement.raw) == 683


def test_a_relay_in_another_form_is_refused() -> None:
    good = bytearray(pack_relay(FULL))
    bad = [bytes(good[:-1]), bytes(good) + b"\0"]
    for at, byte in ((0, 128), (0, 254), (0, 0), (200, 1), (256, 0), (256, 3), (321, 0), (321, 2), (1, 0xC3)):
        other = good.copy()
        other[at] = byte
        bad.append(bytes(other))
    plain = bytearray(pack_relay(OLD))
    plain[254:256] = bytes(2)  # port 0
    bad.append(bytes(plain))
    for data in bad:
        with pytest.raises(WireError):
            parse_relay(data)
    with pytest.raises(ValueError, match="no key"):
        pack_relay(RelayAddress("localhost", 7256))


@given(st.binary(min_size=354, max_size=354))
def test_any_bytes_are_a_relay_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert pack_relay(parse_relay(data)) == data
