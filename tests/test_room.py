"""A room from the outside: commands, events, and what a person gets to see."""

from __future__ import annotations

import pytest
from attacker import presence, talk
from world import ENGINE, START_MS, Client, World, fp, key

from chatcore import courier, delivery, events
from chatcore.clock import Moment
from chatcore.door import LEFT_S
from chatcore.errors import StateError, TextError
from chatcore.events import (
    Gap,
    Knocked,
    KnockEnded,
    LetIn,
    MemberJoined,
    MemberLeft,
    MessageArrived,
    MessageReceived,
    MessageSent,
    NotDelivered,
    Presence,
    PresenceChanged,
    RosterChanged,
    Waiting,
)
from chatcore.invite import Mode
from chatcore.members import StatementType, make_statement
from chatcore.room import Room
from chatcore.roster import RECONNECT_GRACE_S
from chatcore.text import MAX_TEXT_BYTES
from chatcore.wire import FRAME_SIZE, NO_PASS, Frame, FrameReader, Kind, join_block


def three() -> tuple[World, Client, Client, Client]:
    world = World()
    clients = []
    for name in ("alice", "bob", "carol"):
        clients.append(world.client(name))
        world.settle()
    world.advance(2)
    return world, clients[0], clients[1], clients[2]


def at_the_door() -> tuple[World, Client, Client]:
    world = World(mode=Mode.ASK)
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(2)
    return world, alice, bob


# -- connections and commands ------------------------------------------------------------------------------------------


def test_a_room_asks_for_a_seat_and_nothing_more() -> None:
    world = World()
    room = world.client("alice", connect=False).room
    assert room.data_to_send() == b""
    assert room.next_tick() is None
    room.connect(key("session alice 1"), world.now)
    (join,) = FrameReader().receive_data(room.data_to_send())
    assert join == Frame(Kind.JOIN, block=join_block(world.invite.room_id, NO_PASS))
    assert not room.seated
    with pytest.raises(StateError):
        room.connect(key("session alice 2"), world.now)
    room.receive_data(Frame(Kind.WELCOME, address=b"alice at").to_bytes(), world.now)
    assert room.seated
    room.receive_eof(world.now)
    room.receive_eof(world.now)
    assert not room.seated
    room.receive_data(b"x" * FRAME_SIZE, world.now)  # what is still on its way when the connection is gone
    room.connect(key("session alice 2"), world.now)


def test_what_cant_be_sent_is_refused_with_a_sentence_and_leaves_no_trace() -> None:
    world = World()
    alice = world.client("alice")
    world.settle()
    alice.events.clear()
    for text in ("", " \n\t", "x" * (MAX_TEXT_BYTES + 1), "\u00e9" * (MAX_TEXT_BYTES // 2 + 1), "\ud800"):
        with pytest.raises(TextError, match=r"^[A-Z].*\.$"):
            alice.say(text)
    world.settle()
    assert not alice.events
    assert alice.room.owed == 0
    alice.say("x" * MAX_TEXT_BYTES)
    world.settle()
    assert len(alice.of(MessageSent)) == 1


def test_who_isnt_a_member_cant_speak_and_only_the_owner_lets_in() -> None:
    world, alice, bob = at_the_door()
    with pytest.raises(StateError):
        bob.say("let me in")
    with pytest.raises(StateError):
        bob.room.let_in(fp("bob"), world.now)
    assert alice.room.is_owner
    assert not bob.room.is_owner
    assert (alice.room.is_member, bob.room.is_member) == (True, False)
    alice.room.leave(world.now)
    with pytest.raises(StateError):
        alice.say("from outside")


def test_a_message_names_its_readers_those_away_included() -> None:
    world, alice, bob, carol = three()
    carol.disconnect()
    alice.say("to both")
    world.advance(2)
    (sent,) = [e for e in alice.events if isinstance(e, MessageSent)]
    assert set(sent.readers) == {fp("bob"), fp("carol")}
    assert [e.by for e in alice.events if isinstance(e, MessageArrived)] == [fp("bob")]
    assert alice.room.owed == 1
    (got,) = [e for e in bob.events if isinstance(e, MessageReceived)]
    assert (got.mid, got.sender, got.nick, got.text) == (sent.mid, fp("alice"), "alice", "to both")
    assert got.readers is not None
    assert set(got.readers) == {fp("alice"), fp("bob"), fp("carol")}
    carol.connect()
    world.advance(3)
    assert carol.texts() == [("alice", "to both")]
    assert alice.room.owed == 0
    copies = dict(alice.room.sealed_blocks(sent.mid).blocks)
    assert set(copies) == {fp("bob"), fp("carol")}
    assert set(copies[fp("bob")]) <= {block for _, to, block in world.log if to == "bob"}
    assert dict(bob.room.sealed_blocks(sent.mid).blocks) == {fp("bob"): copies[fp("bob")]}
    assert bob.room.sealed_blocks(b"?" * 16).blocks == ()


def test_who_joins_later_never_gets_what_was_said_before() -> None:
    world, alice, _, carol = three()
    carol.disconnect()
    alice.say("before dave")
    dave = world.client("dave")
    world.advance(3)
    carol.connect()
    world.advance(3)
    assert carol.texts() == [("alice", "before dave")]
    assert not dave.texts()
    talk(world, "alice", "bob", "carol", "dave")


# -- the door ----------------------------------------------------------------------------------------------------------


def test_a_knock_is_told_once_and_who_is_let_in_can_talk() -> None:
    world, alice, bob = at_the_door()
    world.advance(200)  # he knocks again and again
    assert [(e.fp, e.nick) for e in alice.events if isinstance(e, Knocked)] == [(fp("bob"), "bob")]
    assert not alice.of(KnockEnded)
    waiting = [e for e in bob.events if isinstance(e, Waiting)]
    assert (waiting[0].keeper, waiting[0].keeper_fp, waiting[0].keeper_here) == ("", fp("alice"), False)
    assert waiting[-1].keeper == "alice"
    alice.room.let_in(fp("bob"), world.now)
    world.advance(3)
    assert [e.fp for e in alice.events if isinstance(e, KnockEnded)] == [fp("bob")]
    assert [e.by for e in bob.events if isinstance(e, LetIn)] == [fp("alice")]
    assert [e.nick for e in alice.events if isinstance(e, MemberJoined)] == ["bob"]
    talk(world, "alice", "bob")


def test_who_is_turned_away_isnt_heard_any_more() -> None:
    world, alice, bob = at_the_door()
    alice.room.turn_away(fp("bob"), world.now)
    world.advance(300)
    assert len(alice.of(Knocked)) == len(alice.of(KnockEnded)) == 1
    assert not bob.of(LetIn)
    assert presence(alice, fp("bob")) is None


def test_a_knock_ends_when_the_knocker_goes() -> None:
    world, alice, bob = at_the_door()
    bob.disconnect()
    world.advance(LEFT_S + 1)
    assert [e.fp for e in alice.events if isinstance(e, KnockEnded)] == [fp("bob")]
    bob.connect()
    world.advance(2)
    assert len(alice.of(Knocked)) == 2


def test_a_knocker_who_is_back_at_once_is_the_same_knock() -> None:
    world, alice, bob = at_the_door()
    for _ in range(5):
        bob.disconnect()
        world.advance(LEFT_S - 2)
        bob.connect()
        world.advance(LEFT_S + 1)
    assert len(alice.of(Knocked)) == 1
    assert not alice.of(KnockEnded)


def test_eight_can_wait_at_the_door() -> None:
    world = World(mode=Mode.ASK)
    alice = world.client("alice")
    world.settle()
    for at in range(9):
        world.client(f"knocker {at}")
    world.advance(2)
    assert len(alice.of(Knocked)) == 8
    for at in range(8):
        alice.room.turn_away(fp(f"knocker {at}"), world.now)
    world.advance(70)
    assert len(alice.of(Knocked)) == 9


def test_the_owner_who_comes_later_finds_the_knock() -> None:
    world = World(mode=Mode.ASK)
    bob = world.client("bob")
    world.advance(100)
    alice = world.client("alice")
    world.advance(70)
    assert [e.nick for e in alice.events if isinstance(e, Knocked)] == ["bob"]
    alice.room.let_in(fp("bob"), world.now)
    world.advance(3)
    talk(world, "alice", "bob")
    assert bob.room.is_member


# -- coming, going, staying away ---------------------------------------------------------------------------------------


def test_the_roster_says_who_is_here_and_who_is_away() -> None:
    world, alice, bob, _ = three()
    (roster, *_) = [e for e in alice.events[::-1] if isinstance(e, RosterChanged)]
    assert [(m.nick, m.presence, m.is_owner) for m in roster.members] == [
        ("alice", Presence.SELF, True),
        ("bob", Presence.HERE, False),
        ("carol", Presence.HERE, False),
    ]
    bob.disconnect()
    world.advance(1)
    assert presence(alice, fp("bob")) is Presence.AWAY
    told = [(e.nick, e.presence) for e in alice.events if isinstance(e, PresenceChanged)]
    assert told == [("bob", Presence.HERE), ("carol", Presence.HERE), ("bob", Presence.AWAY)]
    bob.connect()
    world.advance(2)
    told = [(e.nick, e.presence) for e in alice.events if isinstance(e, PresenceChanged)]
    assert told[3:] == [("bob", Presence.HERE)]


def test_ones_own_reconnecting_is_no_news_about_others() -> None:
    world, alice, bob, carol = three()
    for client in (alice, bob, carol):
        client.events.clear()
    alice.disconnect()
    world.advance(5)
    alice.connect()
    world.advance(30)
    assert not alice.of(PresenceChanged)
    assert not alice.of(MemberJoined)
    assert presence(alice, fp("bob")) is presence(alice, fp("carol")) is Presence.HERE


def test_who_went_while_one_was_cut_off_is_told_of_after_a_while() -> None:
    world, alice, bob, _ = three()
    alice.events.clear()
    alice.disconnect()
    bob.disconnect()
    alice.connect()
    world.advance(RECONNECT_GRACE_S - 5)
    assert not alice.of(PresenceChanged)
    world.advance(10)
    assert [(e.nick, e.presence) for e in alice.events if isinstance(e, PresenceChanged)] == [("bob", Presence.AWAY)]


def test_messages_said_while_cut_off_arrive_once_and_in_order() -> None:
    world, alice, bob, carol = three()
    said = []
    for at in range(12):
        if at % 3 == 0:
            alice.disconnect()
        alice.say(f"message {at}")
        said.append(("alice", f"message {at}"))
        if at % 3 == 1:
            alice.connect()
        world.advance(0.5)
    world.advance(5)
    assert bob.texts() == carol.texts() == said
    assert not bob.of(Gap)
    assert alice.room.owed == 0


def test_a_member_who_leaves_is_gone_for_everybody_and_what_waited_is_given_up() -> None:
    world, alice, bob, carol = three()
    talk(world, "alice", "bob", "carol")
    carol.disconnect()
    mid = alice.say("carol is away")
    carol.room.connect(key("session carol 9"), world.now)
    carol.room.leave(world.now)
    carol.room.receive_eof(world.now)
    leave = carol.room._members.find(StatementType.LEAVE, fp("carol"))
    assert leave is not None
    alice.room._merge(leave.raw)
    alice.room._settle(world.now)
    world.advance(40)  # bob hears it from alice, with her next heartbeat at the latest
    for client in (alice, bob):
        assert [e.nick for e in client.events if isinstance(e, MemberLeft)] == ["carol"]
        assert presence(client, fp("carol")) is None
    assert [(e.mids, e.to, e.left) for e in alice.events if isinstance(e, NotDelivered)] == [
        ((mid,), fp("carol"), True)
    ]
    assert alice.room.owed == 0
    talk(world, "alice", "bob")


def test_of_the_messages_that_came_the_newest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "MAX_TAKEN", 3)
    world, alice, bob, _ = three()
    for number in range(6):
        alice.say(str(number))
        world.advance(1)
    assert [text for _, text in bob.texts()] == list("012345")
    assert len(bob.room._courier._taken) == 3


def test_who_leaves_and_comes_back_misses_what_was_said_between_and_nothing_after() -> None:
    world, alice, _, carol = three()
    talk(world, "alice", "bob", "carol")
    carol.room.leave(world.now)
    world.advance(1)
    carol.disconnect()
    alice.say("without carol")
    del world.clients["carol"]
    again = world.client("carol")
    world.advance(5)
    assert again.room.is_member
    talk(world, "alice", "bob", "carol")
    assert ("alice", "without carol") not in again.texts()
    assert len([e for e in alice.events if isinstance(e, MemberJoined) and e.nick == "carol"]) == 2


def test_a_leave_that_another_window_said_wedges_nobody() -> None:
    """The same identity, with a LEAVE from a clock that ran ahead: whoever has a window open belongs."""
    world, alice, bob, carol = three()
    ahead = make_statement(
        StatementType.LEAVE, world.invite.room_id, key("identity carol"), fp("carol"), world.now.ms + 10**9
    )
    alice.room._merge(ahead.raw)
    alice.room._settle(world.now)
    world.advance(10)
    assert carol.room.is_member
    for client in (alice, bob):
        assert presence(client, fp("carol")) is Presence.HERE
    talk(world, "alice", "bob", "carol", seconds=8)


def test_who_comes_back_with_a_wrong_clock_is_told_and_gets_in() -> None:
    world, alice, _, carol = three()
    carol.disconnect()
    del world.clients["carol"]
    ahead = make_statement(
        StatementType.LEAVE, world.invite.room_id, key("identity carol"), fp("carol"), world.now.ms + 10**9
    )
    alice.room._merge(ahead.raw)
    world.advance(40)
    world.client("carol")  # remembers nothing: her JOIN is older than that LEAVE
    world.advance(10)
    talk(world, "alice", "bob", "carol", seconds=8)


@pytest.mark.parametrize("kind", [StatementType.JOIN, StatementType.LEAVE])
def test_a_statement_of_ones_own_from_the_end_of_time_crashes_nothing(kind: StatementType) -> None:
    """Whoever has a copy of an identity key can sign it; no later time exists to answer it with."""
    world, alice, bob, carol = three()
    last = make_statement(kind, world.invite.room_id, key("identity carol"), fp("carol"), 2**64 - 1, "carol")
    for client in (carol, alice):
        client.room._merge(last.raw)
        client.room._settle(world.now)
    world.advance(40)
    carol.room.leave(world.now)
    world.advance(5)
    talk(world, "alice", "bob")
    carol.disconnect()
    world.client("carol again", identity="carol", statements=carol.room.statements())
    world.advance(2)
    talk(world, "alice", "bob")
    assert bob.texts()


def test_a_member_without_memory_is_shown_a_gap_of_an_earlier_visit() -> None:
    world, alice, bob, carol = three()
    for at in range(3):
        alice.say(str(at))
    world.advance(2)
    bob.disconnect()
    del world.clients["bob"]
    again = world.client("bob")
    world.advance(3)
    gaps = [(e.nick, e.count, e.before_visit) for e in again.events if isinstance(e, Gap)]
    assert gaps == [("alice", 3, True)]
    talk(world, "alice", "bob", "carol")
    assert not carol.of(Gap)


def test_more_than_the_outbox_holds_is_given_up_oldest_first_and_shown_as_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "MAX_OUTBOX_MESSAGES", 200)
    world, alice, bob, carol = three()
    carol.disconnect()
    mids = []
    for at in range(delivery.MAX_OUTBOX_MESSAGES + 3):
        mids.append(alice.say(f"m{at}"))
        if at % 100 == 0:
            world.advance(0.5)
    world.advance(5)
    lost = [mid for e in alice.events if isinstance(e, NotDelivered) for mid in e.mids]
    assert lost == mids[:3]
    assert len(bob.texts()) == len(mids)
    carol.connect()
    world.advance(20)
    assert [text for _, text in carol.texts()] == [f"m{at}" for at in range(3, len(mids))]
    assert [(e.count, e.before_visit) for e in carol.events if isinstance(e, Gap)] in ([(3, False)], [(3, True)])
    assert alice.room.owed == 0


def test_statements_are_kept_for_the_next_visit() -> None:
    world, alice, bob, _ = three()
    kept = alice.room.statements()
    assert len(kept) == 3
    digest = alice.room.set_digest
    alice.disconnect()
    del world.clients["alice"]
    again = world.client("alice", statements=kept)
    world.settle()
    assert again.room.set_digest == digest
    assert not again.of(MemberJoined)
    assert {m.nick for e in again.events if isinstance(e, RosterChanged) for m in e.members} == {
        "alice",
        "bob",
        "carol",
    }
    world.advance(2)
    talk(world, "alice", "bob", "carol")
    assert not bob.of(MemberLeft)


def test_statements_that_were_damaged_on_disk_are_left_out() -> None:
    world, alice, _, _ = three()
    kept = [raw[:-1] + bytes((raw[-1] ^ 1,)) for raw in alice.room.statements()]
    room = Room(world.invite, key("identity dave"), "dave", ENGINE, world.now, world.rng.randbytes, [*kept, b"", b"x"])
    assert room.refused == len(kept) + 2
    assert room.is_member


def test_a_change_of_name_is_heard() -> None:
    world, alice, bob, _ = three()
    bob.disconnect()
    del world.clients["bob"]
    renamed = Client(world, "bob", world.invite, "bob", bob.room.statements())
    renamed.room = Room(
        world.invite, key("identity bob"), "robert", ENGINE, world.now, world.rng.randbytes, bob.room.statements()
    )
    world.clients["bob"] = renamed
    renamed.connections = 5
    renamed.connect()
    world.advance(3)
    nicks = [m.nick for e in alice.events if isinstance(e, RosterChanged) for m in e.members if m.fp == fp("bob")]
    assert nicks[-1] == "robert"
    renamed.say("hello")
    world.advance(1)
    assert alice.texts() == [("robert", "hello")]


def test_differences_are_mended_again_and_again() -> None:
    """Each time two find that they differ they ask soon, however often they had to before."""
    world, alice, bob, _ = three()
    for at in range(12):
        stranger = key(f"identity stranger {at % 4}")
        join = make_statement(
            StatementType.JOIN, world.invite.room_id, stranger, fp(f"stranger {at % 4}"), world.now.ms, f"s{at}"
        )
        alice.room._merge(join.raw)
        alice.room._settle(world.now)
        world.advance(40)
        assert bob.room.set_digest == alice.room.set_digest


def test_what_cant_go_out_is_not_said_again_and_again() -> None:
    """A relay that reads slowly: nobody takes what the room has to send, and it mustn't heap up."""
    world, alice, bob, _ = three()
    alice.say("x" * 40_000)
    assert alice.room._seat is not None
    said = alice.room._seat._said
    heaped = len(said)
    assert heaped > 400
    now = world.now
    for _ in range(200):
        now = Moment(now.s + 0.25, now.ms + 250)
        alice.room.tick(now)
    assert len(said) < heaped + 20
    world.now = now
    world.advance(3)
    assert bob.texts() == [("alice", "x" * 40_000)]


def test_a_quiet_room_says_little() -> None:
    world, _, _, _ = three()
    before = len(world.log)
    world.advance(300)
    beats = len(world.log) - before
    assert 6 * 8 <= beats <= 6 * 13  # a heartbeat each 25 to 35 s on each of three links, in both directions


def test_a_room_is_never_due_in_the_past() -> None:
    """A shell that waits for `next_tick` mustn't be kept busy."""
    world, alice, _, carol = three()
    carol.disconnect()
    alice.say("hello")
    for _ in range(200):
        world.advance(1.0)
        for client in world.clients.values():
            due = client.room.next_tick()
            assert due is None or due > world.now.s - 1.0
            client.room.tick(world.now)
            after = client.room.next_tick()
            assert after is None or after > world.now.s
        world.settle()


def test_every_event_is_one_of_those_that_windows_know() -> None:
    world, alice, bob, _ = three()
    talk(world, "alice", "bob")
    for event in (*alice.events, *bob.events):
        assert isinstance(event, events.RoomEvent)
    assert Moment(0.0, START_MS).ms == START_MS
