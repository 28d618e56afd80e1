"""Whose list of people a message was for: asked once, told by name, and quiet when all are of one mind (attack 35)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attacker import Puppet
from hypothesis import given
from hypothesis import strategies as st
from world import Client, Memory, World, fp

from chatcore import lists
from chatcore.content import ContentKind
from chatcore.delivery import Message
from chatcore.errors import WireError
from chatcore.events import ListsAgree, ListsDiffer, MessageReceived, ReadersLearned
from chatcore.gossip import Gossip
from chatcore.kept import Line
from chatcore.link import State
from chatcore.lists import MAX_LINES, MAX_QUESTIONS, MAX_VIEWS, NOW, ask_list, parse_list, tell_list
from chatcore.members import MAX_MEMBERS, who_digest

EVE = b"eve whom nobody knows ..........".ljust(32)[:32]


def room(*names: str) -> tuple[World, list[Client]]:
    world = World()
    clients = [world.client(name) for name in names]
    world.advance(2)
    return world, clients


def liar(world: World, name: str = "mallory") -> Puppet:
    puppet = Puppet(world, name)
    assert puppet.become_member("alice").state is State.UP
    world.advance(1)
    return puppet


def say(puppet: Puppet, number: int, who: bytes, text: bytes = b"\x01hello", at_ms: int = 0) -> bytes:
    message = Message(number.to_bytes(16), at_ms or puppet.world.now.ms, who, text)
    puppet.send("alice", ContentKind.MSG, number.to_bytes(8) + message.to_bytes())
    return message.mid(puppet.invite.room_id, puppet.fp)


def digest_of(world: World, fps: Iterable[bytes]) -> bytes:
    return who_digest(world.invite.room_id, fps)


def asked(puppet: Puppet) -> list[bytes]:
    """The digests that alice asked for."""
    told = (parse_list(c.data) for c in puppet.contents["alice"] if c.kind == ContentKind.LIST)
    return [who for who, people in told if people is None]


def test_attack_35_a_message_for_other_people_is_told_by_their_names() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    people = {fp("alice"): "alice", mallory.fp: "mallory", EVE: "eve"}
    who = digest_of(world, people)
    mids = [say(mallory, number, who) for number in (1, 2)]
    assert [e.readers for e in alice.events if isinstance(e, MessageReceived)] == [None, None]
    world.advance(8)
    assert asked(mallory) == [who]  # once for both
    mallory.send("alice", ContentKind.LIST, tell_list(who, people))
    readers = tuple(sorted(people))
    assert alice.of(ReadersLearned) == [
        ReadersLearned(tuple(mids), mallory.fp, readers, ((EVE, "eve"),), ((fp("bob"), "bob"),))
    ]
    world.advance(30)
    assert asked(mallory).count(who) == 1


def test_attack_35_lists_that_go_on_differing_are_told_by_name_until_they_agree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the reason: carol joined while alice was away, and bob doesn't pass it on."""
    world, (alice, bob) = room("alice", "bob")
    alice.disconnect()
    carol = world.client("carol")
    world.advance(2)
    carol.disconnect()
    monkeypatch.setattr(Gossip, "on_want", lambda *_: True)
    alice.connect()
    bob.say("hello both of you")
    world.advance(100)
    assert alice.of(ListsDiffer) == [ListsDiffer(fp("bob"), ((fp("carol"), "carol"),), ())]
    assert bob.of(ListsDiffer) == [ListsDiffer(fp("alice"), (), ((fp("carol"), "carol"),))]
    (learned,) = alice.of(ReadersLearned)
    assert isinstance(learned, ReadersLearned)
    assert learned.theirs == ((fp("carol"), "carol"),)
    assert learned.readers == tuple(sorted(map(fp, ("alice", "bob", "carol"))))
    assert not alice.of(ListsAgree)
    world.advance(700)
    assert len(alice.of(ListsDiffer)) == 1  # it is the same news
    monkeypatch.undo()
    world.advance(400)
    assert alice.of(ListsAgree) == [ListsAgree(fp("bob"))]
    assert bob.of(ListsAgree) == [ListsAgree(fp("alice"))]
    world.advance(700)
    assert len(alice.of(ListsDiffer)) == 1


def test_who_doesnt_say_is_asked_a_few_times_and_that_is_told() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    mid = say(mallory, 1, digest_of(world, [EVE]))
    for _ in range(12):
        world.advance(10)
        mallory.ack("alice", 0)
    assert asked(mallory).count(digest_of(world, [EVE])) == lists.MAX_ASKS
    assert alice.of(ReadersLearned) == [ReadersLearned((mid,), mallory.fp, None)]
    assert alice.of(ListsDiffer) == [ListsDiffer(mallory.fp, (), ())]


def test_a_digest_that_no_list_has_is_told_at_once() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    mid = say(mallory, 1, NOW)
    assert alice.of(ReadersLearned) == [ReadersLearned((mid,), mallory.fp, None)]


def test_a_list_that_comes_by_itself_meanwhile_is_not_asked_for() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    everyone = tuple(sorted([*map(fp, ("alice", "bob", "nina")), mallory.fp]))
    mid = say(mallory, 1, digest_of(world, everyone))
    world.advance(1)
    world.client("nina")
    world.advance(5)
    assert alice.of(ReadersLearned) == [ReadersLearned((mid,), mallory.fp, everyone)]
    assert digest_of(world, everyone) not in asked(mallory)


def test_who_came_or_left_since_is_no_difference() -> None:
    world, (alice, bob) = room("alice", "bob")
    mallory = liar(world)
    before_ms = world.now.ms
    world.advance(1)
    world.client("nina")
    world.advance(1)
    bob.room.leave(world.now)
    world.advance(1)
    people = {fp("alice"): "alice", fp("bob"): "bob", mallory.fp: "mallory", EVE: ""}
    del people[EVE]
    alice.room._courier.lists._views.clear()  # as after many changes of members
    mid = say(mallory, 1, digest_of(world, people), at_ms=before_ms)
    world.advance(5)
    mallory.send("alice", ContentKind.LIST, tell_list(digest_of(world, people), people))
    assert alice.of(ReadersLearned) == [ReadersLearned((mid,), mallory.fp, tuple(sorted(people)))]


def test_members_ask_each_other_and_are_answered_within_a_bound() -> None:
    world, (alice, bob) = room("alice", "bob")
    mallory = liar(world)
    view = digest_of(world, [fp("alice"), fp("bob")])
    everyone = {fp("alice"): "alice", fp("bob"): "bob", mallory.fp: "mallory"}
    for who in (NOW, view, b"u" * 32):
        mallory.send("alice", ContentKind.LIST, ask_list(who))
    told = [parse_list(c.data) for c in mallory.contents["alice"] if c.kind == ContentKind.LIST]
    assert told == [(NOW, everyone), (view, {fp("alice"): "alice", fp("bob"): "bob"}), (b"u" * 32, {})]
    ignored = alice.room.ignored
    for _ in range(100):
        mallory.send("alice", ContentKind.LIST, ask_list(NOW))
    told = [parse_list(c.data) for c in mallory.contents["alice"] if c.kind == ContentKind.LIST]
    assert len(told) == 16
    assert alice.room.ignored == ignored + 87
    assert not bob.of(ListsDiffer)


def test_nobody_but_members_is_told_a_list() -> None:
    world, _ = room("alice")
    nobody = Puppet(world, "nobody")
    assert nobody.meet("alice").state is State.UP
    nobody.send("alice", ContentKind.LIST, ask_list(NOW))
    assert ContentKind.LIST not in nobody.kinds("alice")


def test_answers_that_nobody_asked_for_or_that_are_wrong_change_nothing() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    people = {fp("alice"): "alice", mallory.fp: "mallory", EVE: "eve"}
    who = digest_of(world, people)
    mallory.send("alice", ContentKind.LIST, tell_list(who, people))
    mallory.send("alice", ContentKind.LIST, tell_list(NOW, people))
    say(mallory, 1, who)
    world.advance(5)
    for wrong in ({fp("alice"): "alice"}, people | {b"z" * 32: "zoe"}):
        refused = alice.room.refused
        mallory.send("alice", ContentKind.LIST, tell_list(who, wrong))
        assert alice.room.refused == refused + 1
    assert not alice.of(ReadersLearned)
    assert not alice.of(ListsDiffer)
    absent = {fp("alice"): "alice", EVE: "eve"}  # a list that its sender isn't on
    say(mallory, 2, digest_of(world, absent))
    world.advance(5)
    mallory.send("alice", ContentKind.LIST, tell_list(digest_of(world, absent), absent))
    assert not alice.of(ReadersLearned)


def test_a_flood_of_unknown_lists_is_bounded() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    for number in range(1, 200):
        say(mallory, number, number.to_bytes(32))
    for number in range(200, 240):
        say(mallory, number, b"one list".ljust(32))
    questions = alice.room._courier.lists._questions
    assert len([who for _, who in questions if who != NOW]) == MAX_QUESTIONS
    assert len([who for _, who in questions if who == NOW]) <= 1
    assert sum(len(question.lines) for question in questions.values()) <= MAX_QUESTIONS * MAX_LINES
    world.advance(200)
    assert len(asked(mallory)) <= 3 * MAX_QUESTIONS + 3
    untold = [mid for e in alice.events if isinstance(e, ReadersLearned) for mid in e.mids]
    assert len(untold) == len(set(untold)) >= 199


def test_nobody_pushes_out_the_questions_about_another_by_a_flood() -> None:
    world, (alice, _bob) = room("alice", "bob")
    mallory, eve = liar(world), liar(world, "eve")
    people = {fp("alice"): "alice", eve.fp: "eve", EVE: "somebody"}
    who = digest_of(world, people)
    mid = say(eve, 1, who)
    for number in range(1, 3 * MAX_QUESTIONS):
        say(mallory, number, number.to_bytes(32))
    world.advance(5)
    assert asked(eve) == [who]
    assert not [e for e in alice.events if isinstance(e, ReadersLearned) and e.sender == eve.fp]
    eve.send("alice", ContentKind.LIST, tell_list(who, people))
    (learned,) = [e for e in alice.events if isinstance(e, ReadersLearned) and e.sender == eve.fp]
    assert (learned.mids, learned.readers) == ((mid,), tuple(sorted(people)))


def test_what_makes_way_is_told_truly_if_its_list_is_known_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_QUESTIONS", 1)
    world, (alice, _bob) = room("alice", "bob")
    mallory = liar(world)
    everyone = tuple(sorted([*map(fp, ("alice", "bob", "nina")), mallory.fp]))
    mid = say(mallory, 1, digest_of(world, everyone))
    world.client("nina")
    world.advance(1)
    say(mallory, 2, b"another".ljust(32))
    assert alice.of(ReadersLearned) == [ReadersLearned((mid,), mallory.fp, everyone)]


def test_many_whose_lists_differ_for_a_moment_arent_said_to_keep_theirs_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a room of many, one who comes back with news, or finds some, differs from all of them at once."""
    monkeypatch.setattr(lists, "MAX_QUESTIONS", 1)
    world, (alice, *others) = room("alice", "bob", "carol", "dave")
    alice.disconnect()
    nina = world.client("nina")
    world.advance(2)
    nina.disconnect()
    alice.connect()
    world.advance(60)
    for client in (alice, *others):
        assert not client.of(ListsDiffer)
        assert not client.of(ListsAgree)


def test_of_the_lists_that_were_seen_the_newest_are_remembered() -> None:
    world, (alice,) = room("alice")
    seen = alice.room._courier.lists
    others = [number.to_bytes(32) for number in range(MAX_VIEWS + 5)]
    seen.restore(Line(other[:16], fp("alice"), b"", 0, (other,)) for other in others)
    known = [other for other in others if seen.readers(digest_of(world, (fp("alice"), other)))]
    assert known == others[5:]
    assert len(seen._views) == MAX_VIEWS


def test_lists_of_an_earlier_run_are_known() -> None:
    world = World()
    store = Memory()
    alice, bob = world.client("alice", store=store), world.client("bob")
    carol = world.client("carol")
    world.advance(2)
    alice.say("one")
    world.advance(2)
    statements = alice.room.statements()
    world.leave(alice)
    bob.say("while alice was away")
    carol.room.leave(world.now)
    world.advance(2)
    alice = world.client("alice", statements=statements, store=store, connect=False)
    alice.connections = 9
    alice.connect()
    world.advance(4)
    (late,) = [e for e in alice.events if isinstance(e, MessageReceived)]
    assert late.readers == tuple(sorted(map(fp, ("alice", "bob", "carol"))))


def test_what_was_learned_is_kept() -> None:
    world = World()
    store = Memory()
    world.client("alice", store=store)
    world.advance(1)
    mallory = liar(world)
    people = {fp("alice"): "alice", mallory.fp: "mallory", EVE: "eve"}
    mid = say(mallory, 1, digest_of(world, people))
    world.advance(5)
    assert store.kept.lines[mid].readers is None
    mallory.send("alice", ContentKind.LIST, tell_list(digest_of(world, people), people))
    world.settle()
    assert store.kept.lines[mid].readers == tuple(sorted(people))


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.text(max_size=16), max_size=8), st.binary(min_size=32))
def test_what_is_written_is_read(people: dict[bytes, str], who: bytes) -> None:
    assert parse_list(tell_list(who[:32], people)) == (who[:32], dict(sorted(people.items())))
    assert parse_list(ask_list(who[:32])) == (who[:32], None)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_not(data: bytes) -> None:
    try:
        who, people = parse_list(data)
    except WireError:
        return
    assert data == (ask_list(who) if people is None else tell_list(who, people))


def test_a_list_that_cant_be_is_refused() -> None:
    one, other = (tell_list(NOW, {bytes((n,)) * 32: "x"})[33:] for n in (1, 2))
    for wrong in (
        b"",
        bytes(32),
        b"\2" + NOW,
        b"\0" + NOW + one,
        b"\1" + NOW + one[:-1],
        b"\1" + NOW + other + one,
        b"\1" + NOW + one + one,
        b"\1" + NOW + one[:33] + b"\xff" + one[34:],
        tell_list(NOW, {number.to_bytes(32): "" for number in range(MAX_MEMBERS + 1)}),
    ):
        with pytest.raises(WireError):
            parse_list(wrong)
    assert len(tell_list(NOW, {number.to_bytes(32): "" for number in range(MAX_MEMBERS)})) == 33 + 256 * 97


def test_a_quiet_room_asks_for_no_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []

    def noting(who: bytes) -> bytes:
        said.append(who)
        return ask_list(who)

    monkeypatch.setattr(lists, "ask_list", noting)
    world, (alice, bob, carol) = room("alice", "bob", "carol")
    for client in (alice, bob, carol):
        client.say("hello")
    bob.disconnect()
    world.advance(60)
    bob.connect()
    world.advance(120)
    assert said == []
