"""Rooms over several relays, without sockets: who sees whom, what is repaired, and how little anybody can do to it."""

from __future__ import annotations

import random

import pytest
from cluster_help import Item, Relays, View, Way, agree
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_help import OTHER_ROOM, ROOM, send_frame

from chatcore.wire import FRAME_SIZE, Kind, Refusal
from relay.across import EVERYBODY, MAX_BLOCKS, RECORD, About, Message, token_of
from relay.cluster import (
    CHANGES_PER_SECOND,
    FAR_SEATS_PER_CONNECTION,
    GRACE_BEATS,
    LISTS_PER_BEAT,
    MAX_LIVES,
    MAX_RELAYS,
    ROUND_BEATS,
    SILENT_BEATS,
)
from relay.limits import Limits
from relay.switch import WAIT_ELSEWHERE_S, WAIT_SHUTDOWN_S

TOKEN = token_of(ROOM)
STRANGE = b"stranger"
GONE_BEATS = SILENT_BEATS + GRACE_BEATS + 1


def record(address: int, since_ms: int = 1) -> bytes:
    return RECORD.pack(since_ms, address.to_bytes(8))


def whole(relays: Relays, *where: int) -> list[View]:
    """People at these relays, one after the other."""
    return [View(relays.join(at)) for at in where]


def mark(view: View) -> list[int]:
    return [number for _, number in view.look().blocks]


# -- seeing each other -------------------------------------------------------------------------------------------------


def test_people_at_three_relays_see_each_other_and_the_later_of_two_speaks_first() -> None:
    views = whole(Relays(3), 0, 1, 2, 0, 1, 2)
    agree(views)
    for at, view in enumerate(views):
        for other in range(6):
            if other != at:
                assert view.first[views[other].guest.address] == (at > other)


def test_a_welcome_counts_those_at_other_relays() -> None:
    relays = Relays(2)
    whole(relays, 0, 0, 1)
    guest = relays.join(1)
    welcome, *present = guest.take()
    assert (welcome.argument, [frame.kind for frame in present]) == (3, [Kind.PRESENT] * 3)


def test_two_who_come_in_the_same_moment_by_two_relays_find_each_other() -> None:
    relays = Relays(2)
    views = [View(relays.benches[0].join()), View(relays.benches[1].join())]
    relays.hub.run()
    agree(views)
    assert sum(view.first[other.guest.address] for view, other in (views, views[::-1])) == 1


@pytest.mark.parametrize("slow", [0, 1])
def test_who_is_new_speaks_first_though_the_clocks_of_the_relays_differ(slow: int) -> None:
    """Else a knocker at a relay whose clock is behind would be told the names of all who are there."""
    relays = Relays(2)
    old = whole(relays, slow, 1 - slow)
    relays.clocks[slow] -= 500_000
    views = whole(relays, slow)
    assert all(views[0].look().first.values())
    assert not any(view.look().first[views[0].guest.address] for view in old)
    before = View(relays.join(1 - slow)).look()
    assert all(before.first.values())
    assert not views[0].look().first[before.guest.address]


def test_a_list_of_before_is_no_news() -> None:
    relays = Relays(1)
    relays.join(0)
    cluster, seats = relays.cluster(0), (record(7), record(8))
    for told, seen in (
        (Message(About.CHANGE, STRANGE, 5, 0, come=seats), 2),
        (Message(About.LIST, STRANGE, 4, come=seats[:1]), 2),
        (Message(About.LIST, STRANGE, 5, come=seats[:1]), 1),
    ):
        cluster.take_word(TOKEN, "other", told.to_bytes())
        assert cluster.far_seats == seen


def test_a_clock_of_another_time_makes_no_mistake_of_ours() -> None:
    relays = Relays(1)
    view = View(relays.join(0))
    far = Message(About.CHANGE, STRANGE, 1, 0, come=(record(99, 2**64 - 1),))
    relays.cluster(0).take_word(TOKEN, "other", far.to_bytes())
    relays.hub.run()
    assert view.look().first == {(99).to_bytes(8): False}
    later = View(relays.join(0)).look()
    assert later.first.keys() == {(99).to_bytes(8), view.guest.address}


def test_rooms_stay_apart() -> None:
    relays = Relays(2)
    here, there = View(relays.join(0, ROOM)), View(relays.join(1, OTHER_ROOM))
    here.guest.feed(send_frame(there.guest.address, 1))
    relays.hub.run()
    assert (here.look().first, there.look().first, there.blocks) == ({}, {}, [])
    assert relays.hub.log[-1][0] != "blocks"


def test_more_is_read_at_once_when_others_come_at_another_relay_and_less_when_they_go() -> None:
    relays = Relays(2)
    alice = relays.join(0)
    alone = len(alice.seat.get_buffer())
    others = [relays.join(1) for _ in range(20)]
    assert len(alice.seat.get_buffer()) > 10 * alone
    for guest in others[1:]:
        relays.benches[1].switch.lost(guest.seat)
        for _ in range(4):
            relays.benches[1].turn()
    relays.hub.run()
    assert len(alice.seat.get_buffer()) == alone


def test_who_leaves_is_seen_to_leave_and_an_empty_room_is_forgotten() -> None:
    relays = Relays(2)
    views = whole(relays, 0, 1, 1)
    for gone in views[1:]:
        relays.benches[1].switch.lost(gone.guest.seat)
        relays.benches[1].turn()
        relays.hub.run()
    assert views[0].look().first == {}
    assert relays.benches[1].switch.rooms == {}
    assert relays.way(1).rooms == set()
    assert (relays.cluster(1).far_seats, relays.cluster(1)._kept) == (0, 0)
    agree([views[0], *whole(relays, 1)])


def test_who_comes_and_goes_in_one_turn_leaves_no_trace() -> None:
    relays = Relays(2)
    view = View(relays.join(0))
    relays.join(1)
    guest = relays.benches[1].guest()
    relays.benches[1].switch.join(guest.seat, bytes([1, 1]) + bytes(14) + ROOM + bytes(224))
    relays.benches[1].switch.lost(guest.seat)
    relays.beat(5)
    assert len(view.look().first) == 1
    assert view.left == 0


# -- blocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, MAX_BLOCKS, MAX_BLOCKS + 1, 1000])
def test_blocks_arrive_in_their_order_with_the_address_of_their_sender(count: int) -> None:
    relays = Relays(2)
    alice, bob, carol = whole(relays, 0, 1, 1)
    both = (bob.guest.address, carol.guest.address)
    alice.guest.feed(b"".join(send_frame(both[at % 2], at) for at in range(count)))
    relays.hub.run()
    assert mark(bob) == list(range(0, count, 2))
    assert mark(carol) == list(range(1, count, 2))
    assert [bench.switch.said for bench in relays.benches] == [count, count]  # strangers wait for either
    assert {source for source, _ in bob.blocks} == {alice.guest.address}
    batches = [len(data) for what, _, _, data in relays.hub.log if what == "blocks"]
    assert sum(batches) == count * FRAME_SIZE
    assert max(batches) <= MAX_BLOCKS * FRAME_SIZE
    assert len(batches) == -(-count // MAX_BLOCKS)


def test_here_and_there_get_the_same_from_one_message_to_all() -> None:
    relays = Relays(3)
    views = whole(relays, 0, 0, 1, 1, 2)
    agree(views)
    for number in range(3):
        views[0].guest.feed(b"".join(send_frame(address, number) for address in views[0].first))
    relays.hub.run()
    assert [mark(view) for view in views[1:]] == [[0, 1, 2]] * 4


def test_blocks_go_to_seats_of_ours_and_come_from_seats_that_were_announced() -> None:
    relays = Relays(3)
    alice, bob, carol = whole(relays, 0, 1, 2)
    cluster, addresses = relays.cluster(0), [view.guest.address for view in (alice, bob, carol)]
    before = len(relays.hub.log)

    def batch(where: bytes, source: bytes) -> bytes:
        return where + source + bytes(256)

    cluster.take_blocks(TOKEN, batch(addresses[2], addresses[1]))  # to a far seat: it must not go round
    cluster.take_blocks(TOKEN, batch(addresses[0], b"unknown "))
    cluster.take_blocks(TOKEN, batch(b"unknown ", addresses[1]))
    cluster.take_blocks(TOKEN, batch(addresses[0], addresses[0]))  # in our own name
    cluster.take_blocks(token_of(OTHER_ROOM), batch(addresses[0], addresses[1]))
    relays.hub.run()
    assert [mark(view) for view in (alice, bob, carol)] == [[], [], []]
    assert len(relays.hub.log) == before
    assert cluster.blocks_in == 0
    cluster.take_blocks(TOKEN, batch(addresses[0], addresses[1]))
    relays.benches[0].turn()
    assert alice.look().blocks == [(addresses[1], 0)]


@pytest.mark.parametrize("size", [0, 1, 271, 273, (MAX_BLOCKS + 1) * FRAME_SIZE])
def test_a_batch_of_another_size_is_refused(size: int) -> None:
    relays = Relays(1)
    relays.join(0)
    relays.cluster(0).take_blocks(TOKEN, bytes(size))
    assert relays.cluster(0).refused == 1


# -- losing and repairing ----------------------------------------------------------------------------------------------


def test_a_relay_that_dies_is_given_up_after_its_grace_and_not_before() -> None:
    relays = Relays(2)
    view = whole(relays, 0, 1)[0]
    relays.kill(1)
    relays.beat(SILENT_BEATS + 1)
    assert relays.cluster(0).others() == 0
    relays.beat(GONE_BEATS - SILENT_BEATS - 2)
    assert len(view.look().first) == 1
    relays.beat(1)
    assert view.look().first == {}
    assert (relays.cluster(0).relays, relays.cluster(0)._kept) == ({}, 0)


def test_who_comes_back_by_another_relay_is_there_before_the_ghost_goes() -> None:
    relays = Relays(3)
    view, _ = whole(relays, 0, 1)
    relays.kill(1)
    relays.beat(8)
    back = View(relays.join(2))
    view.look()
    assert back.guest.address in view.first
    assert view.left == 0
    relays.beat(GONE_BEATS)
    assert view.look().first.keys() == {back.guest.address}
    assert view.left == 1
    agree([view, back])


def test_a_relay_that_says_bye_counts_as_gone_at_once_and_its_seats_have_their_grace() -> None:
    relays = Relays(2)
    view = whole(relays, 0, 1)[0]
    relays.cluster(1).leave()
    relays.benches[1].switch.shut_down()
    relays.hub.run()
    assert relays.cluster(0).others() == 0
    relays.kill(1)
    relays.beat(GRACE_BEATS - 1)
    assert len(view.look().first) == 1
    relays.beat(2)
    assert view.look().first == {}


def test_those_who_are_told_to_come_back_are_told_to_be_quick_where_others_serve_them() -> None:
    for count, (least, most) in ((1, WAIT_SHUTDOWN_S), (2, WAIT_ELSEWHERE_S)):
        relays = Relays(count)
        guests = [relays.join(0) for _ in range(40)]
        relays.beat()
        for guest in guests:
            guest.take()
        relays.benches[0].switch.shut_down()
        waits = {guest.take()[-1].number for guest in guests}
        assert min(waits) >= least
        assert max(waits) <= most < SILENT_BEATS + GRACE_BEATS + (5 if count == 1 else 0)
        assert len(waits) > 3


def test_a_relay_that_was_started_again_is_another_one() -> None:
    relays = Relays(1)
    view = View(relays.join(0))
    relays.start("twice")
    relays.join(1)
    relays.kill(1)
    relays.start("twice")
    back = View(relays.join(2))
    assert len(view.look().first) == 2
    relays.beat(GONE_BEATS)
    assert view.look().first.keys() == {back.guest.address}


@pytest.mark.parametrize("about", [About.CHANGE, About.LIST, About.ASK])
def test_what_was_lost_is_noticed_by_the_next_round_and_repaired(about: About) -> None:
    relays = Relays(2)
    views = whole(relays, 0, 1)
    relays.hub.loses = lambda _from, _to, item: item[0] == "word" and item[3][1] == about
    views += whole(relays, 1, 0)
    relays.benches[0].switch.lost(views.pop(0).guest.seat)
    relays.benches[0].turn()
    relays.hub.run()
    relays.hub.loses = lambda _from, _to, _item: False
    relays.beat(2 * ROUND_BEATS)
    agree(views)


def test_a_lost_farewell_of_a_room_leaves_no_ghost_for_long() -> None:
    relays = Relays(2)
    views = whole(relays, 0, 1)
    relays.hub.loses = lambda _from, _to, item: item[0] == "word"
    relays.benches[1].switch.lost(views[1].guest.seat)
    relays.hub.run()
    relays.hub.loses = lambda _from, _to, _item: False
    relays.beat(5 * ROUND_BEATS)
    assert views[0].look().first == {}
    assert relays.cluster(0).others() == 1


@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "one way"])
@pytest.mark.parametrize("beats", [2, 8, GONE_BEATS, 40])
def test_a_partition_heals_and_both_ends_begin_anew_or_neither_does(beats: int, one_way: bool) -> None:
    """Where one end has lost sight of the other, the other must, too: a link that is up at one end only is deaf."""
    relays = Relays(2)
    views = whole(relays, 0, 1, 0, 1)
    agree(views)

    def parted(sender: Way, hearer: Way, _item: Item) -> bool:
        at = (relays.hub.ways.index(sender), relays.hub.ways.index(hearer))
        return at == (0, 1) or (at == (1, 0) and not one_way)

    relays.hub.loses = parted
    relays.beat(beats)
    for view in views:
        view.look()
    relays.hub.loses = lambda _from, _to, _item: False
    relays.beat(3 * ROUND_BEATS)
    agree(views)
    losses = {view.left for view in views}
    assert losses == ({0} if beats < GONE_BEATS else {2})


def test_an_engine_that_is_found_again_is_told_at_once_what_is_so() -> None:
    relays = Relays(2)
    views = whole(relays, 0, 1)
    relays.hub.loses = lambda sender, hearer, _item: sender is not hearer
    views += whole(relays, 0, 1)
    relays.beat(2)
    relays.hub.loses = lambda _from, _to, _item: False
    for at in (0, 1):
        relays.cluster(at).engine_is_up()
    relays.hub.run()
    agree(views)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.5]))
def test_whatever_is_lost_all_agree_in_the_end(seed: int, loss: float) -> None:
    """Comings, goings, relays that die and are started, partitions and lost messages, in any order; then quiet."""
    dice = random.Random(seed)
    relays = Relays(3)
    alive = [0, 1, 2]
    views: list[tuple[int, View]] = []
    parted: set[tuple[Way, Way]] = set()
    relays.hub.loses = lambda sender, hearer, _item: (
        sender is not hearer and ((sender, hearer) in parted or dice.random() < loss)
    )
    for _ in range(dice.randrange(5, 40)):
        match dice.choice(["join", "join", "join", "leave", "beat", "beat", "restart", "part", "heal"]):
            case "join":
                at = dice.choice(alive)
                views.append((at, View(relays.join(at))))
            case "leave" if views:
                at, view = views.pop(dice.randrange(len(views)))
                relays.benches[at].switch.lost(view.guest.seat)
                relays.benches[at].turn()
                relays.hub.run()
            case "beat":
                relays.beat(dice.choice([1, 3, 15]))
            case "restart" if dice.random() < 0.3:
                at = alive.pop(dice.randrange(len(alive)))
                relays.kill(at)
                views = [(where, view) for where, view in views if where != at]
                alive.append(len(relays.benches))
                relays.start(f"relay{at}" if dice.random() < 0.5 else "")
            case "part":
                parted.add(tuple(dice.sample(relays.hub.ways, 2)))  # type: ignore[arg-type]
            case "heal":
                parted.clear()
        for _, view in views:
            view.look()
    relays.hub.loses = lambda _from, _to, _item: False
    relays.beat(GONE_BEATS + 4 * ROUND_BEATS)
    agree([view for _, view in views])
    here = [len(relays.benches[at].switch.seats) for at in alive]
    for at, seats in zip(alive, here, strict=True):
        assert relays.cluster(at).far_seats == (sum(here) - seats if seats else 0)
        assert len(relays.cluster(at).relays) == 2


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_the_limit_of_a_room_counts_those_at_other_relays() -> None:
    relays = Relays(2, max_seats_per_room=3)
    whole(relays, 0, 0, 1)
    late = relays.benches[1].join()
    (last,) = late.take()
    assert (last.kind, last.argument) == (Kind.REFUSED, Refusal.ROOM_FULL)


def test_a_room_that_two_relays_filled_at_once_shows_each_no_more_than_the_limit_and_the_rest_when_there_is_place() -> (
    None
):
    relays = Relays(2, max_seats_per_room=3)
    views = [View(relays.benches[at].join()) for at in (0, 0, 1, 1)]
    relays.hub.run()
    for view in views:
        assert len(view.look().first) == 2
    relays.benches[0].switch.lost(views.pop(0).guest.seat)
    relays.benches[0].turn()
    relays.beat(2 * ROUND_BEATS)
    agree(views)


def test_an_address_that_is_ours_stays_ours() -> None:
    relays = Relays(1)
    alice, bob = whole(relays, 0, 0)
    forged = Message(About.LIST, STRANGE, 9, come=tuple(sorted((alice.guest.seat.address, b"another!"))))
    forged = Message(About.CHANGE, STRANGE, 1, 0, come=tuple(sorted(RECORD.pack(1, a) for a in forged.come)))
    relays.cluster(0).take_word(TOKEN, "other", forged.to_bytes())
    relays.cluster(0).take_word(TOKEN, "third", forged.to_bytes())
    relays.benches[0].turn()
    assert bob.look().first.keys() == {alice.guest.address, b"another!"}
    assert relays.cluster(0).far_seats == 1
    assert relays.cluster(0).refused == 3
    bob.guest.feed(send_frame(alice.guest.address, 5))
    assert mark(alice) == [5]
    gone = Message(About.CHANGE, STRANGE, 2, 1, gone=(RECORD.pack(1, alice.guest.address),))
    relays.cluster(0).take_word(TOKEN, "other", gone.to_bytes())
    assert alice.guest.address in bob.look().first


def test_relays_that_do_not_exist_are_remembered_up_to_a_number() -> None:
    relays = Relays(1, max_seats_per_room=2048)
    relays.join(0)
    cluster = relays.cluster(0)
    for number in range(1, 500):
        cluster.take_heart(f"name-{number % 100}", Message(About.HERE, number.to_bytes(8)).to_bytes())
    assert len(cluster.relays) == MAX_RELAYS
    lives = Relays(1).cluster(0)
    for number in range(1, 500):
        lives.take_heart("name", Message(About.HERE, number.to_bytes(8)).to_bytes())
    assert len(lives.relays) == MAX_LIVES
    relays.beat(GONE_BEATS)
    assert cluster.relays == {}


def test_what_is_kept_of_others_has_a_bound_in_all_rooms_together() -> None:
    relays = Relays(1, max_connections=8)
    for room in range(8):
        relays.join(0, bytes([room]) * 32)
        for name in range(4):
            seats = tuple(record(1 + name * 1000 + n) for n in range(200))
            word = Message(About.CHANGE, STRANGE, 1, 0, come=tuple(sorted(seats)))
            relays.cluster(0).take_word(token_of(bytes([room]) * 32), f"name-{name}", word.to_bytes())
    assert relays.cluster(0)._kept <= 8 * FAR_SEATS_PER_CONNECTION
    rooms = relays.benches[0].switch.rooms.values()
    assert sum(len(room.far) for room in rooms) == relays.cluster(0).far_seats <= 8 * FAR_SEATS_PER_CONNECTION


def test_comings_and_goings_are_rationed_and_come_right_later() -> None:
    relays = Relays(1)
    view = View(relays.join(0))
    cluster, limits = relays.cluster(0), Limits()
    told = number = 0
    for turn in range(200):
        seats = tuple(record(1000 + n) for n in range(100))
        come, gone = ((), seats) if turn % 2 else (seats, ())
        word = Message(About.CHANGE, STRANGE, number + 1, number, gone, come)
        cluster.take_word(TOKEN, "other", word.to_bytes())
        number += 1
    relays.benches[0].turn()
    told = len([frame for frame in view.guest.take() if frame.kind in (Kind.PRESENT, Kind.LEFT)])
    assert told <= 4 * limits.max_seats_per_room + 100
    view.first = {far.address: True for far in relays.benches[0].switch.rooms[ROOM].far.values()}
    cluster.take_word(TOKEN, "other", Message(About.LIST, STRANGE, number, come=(record(7),)).to_bytes())
    assert cluster.far_seats in (0, 100)
    relays.beat(2 * limits.max_seats_per_room // CHANGES_PER_SECOND)
    cluster.take_word(TOKEN, "other", Message(About.LIST, STRANGE, number, come=(record(7),)).to_bytes())
    relays.benches[0].turn()
    assert view.look().first.keys() == {(7).to_bytes(8)}


def test_who_asks_again_and_again_gets_few_lists() -> None:
    relays = Relays(1)
    relays.join(0)
    relays.hub.run()
    relays.hub.log.clear()
    for number in range(100):
        ask = Message(About.ASK, (number % 3 + 1).to_bytes(8), whom=EVERYBODY, anew=number % 2 == 0)
        relays.cluster(0).take_word(TOKEN, f"name-{number % 5}", ask.to_bytes())
    relays.beat()
    lists = [item for item in relays.hub.log if item[0] == "word" and item[3][1] == About.LIST]
    assert len(lists) == LISTS_PER_BEAT + 1


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["word", "blocks", "heart", "beat", "join", "leave"]),
            st.sampled_from(["relay0", "one", "two"]),
            st.one_of(
                st.binary(max_size=600),
                st.builds(
                    lambda *fields: Message(*fields).to_bytes(),
                    st.sampled_from(list(About)),
                    st.sampled_from([STRANGE, b"another!", (1).to_bytes(8)]),
                    st.integers(0, 5),
                    st.integers(0, 5),
                    st.lists(st.integers(1, 6).map(record), unique=True).map(lambda found: tuple(sorted(found))),
                    st.lists(st.integers(1, 6).map(record), unique=True).map(lambda found: tuple(sorted(found))),
                    st.integers(0, 2**64 - 1),
                    st.sampled_from([EVERYBODY, (1).to_bytes(8)]),
                    st.booleans(),
                ),
            ),
        ),
        max_size=40,
    )
)
def test_whatever_an_engine_says_nothing_breaks_and_our_own_seats_are_untouched(
    said: list[tuple[str, str, bytes]],
) -> None:
    relays = Relays(1)
    bench, cluster = relays.benches[0], relays.cluster(0)
    bench._count = 0  # our addresses are among those that it forges
    views = [View(bench.join()), View(bench.join())]
    for view in views:
        view.look()
    room = bench.switch.rooms[ROOM]
    for what, name, data in said:
        if what == "word":
            cluster.take_word(TOKEN, name, data)
        elif what == "blocks":
            cluster.take_blocks(TOKEN, data)
        elif what == "heart":
            cluster.take_heart(name, data)
        elif what == "join":
            views.append(View(bench.join()))
        elif what == "leave" and len(views) > 2:
            bench.switch.lost(views.pop().guest.seat)
        relays.beat() if what == "beat" else bench.turn()
        assert room.seats.keys() == {view.guest.seat.word for view in views}
        assert not room.far.keys() & room.seats.keys()
        assert room.keys() == room.far.keys() | room.seats.keys()
        assert cluster.far_seats == len(room.far)
        for view in views:
            view.look()
    here = {view.guest.address for view in views} | {far.address for far in room.far.values()}
    for view in views:
        assert view.first.keys() == here - {view.guest.address}
    views[0].guest.feed(send_frame(views[1].guest.address, 77))
    assert 77 in mark(views[1])
