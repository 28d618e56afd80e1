"""Replies: what they carry, what they quote, and attack 36: other things are written to other people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import Client, Memory, World, fp

from chatcore import answers
from chatcore.answers import MAX_HELD, MAX_WAITING, WAIT_S, Answers
from chatcore.clock import Moment
from chatcore.content import ContentKind
from chatcore.errors import TextError
from chatcore.events import MessageReceived, MessageSent, OtherVersion, Quote
from chatcore.invite import Mode
from chatcore.talk import Talk
from chatcore.text import MAX_TEXT_BYTES, pack_text, parse_quote, parse_text

MID, AUTHOR = b"m" * 16, b"a" * 32
QUOTE = Quote(MID, AUTHOR, 1_790_000_000_000)


# -- the bytes ---------------------------------------------------------------------------------------------------------


def test_a_reply_comes_back_as_it_was() -> None:
    app = pack_text("Yes", QUOTE)
    assert app == b"\x02" + MID + AUTHOR + (1_790_000_000_000).to_bytes(8) + b"Yes"
    assert (parse_text(app), parse_quote(app)) == ("Yes", QUOTE)
    assert parse_quote(pack_text("Yes")) is None


def test_the_longest_reply_fits_into_one_content() -> None:
    assert 64 + len(pack_text("x" * MAX_TEXT_BYTES, QUOTE)) <= 41_310
    with pytest.raises(TextError, match="too long"):
        pack_text("x" * (MAX_TEXT_BYTES + 1), QUOTE)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_as_something(app: bytes) -> None:
    text, quote = parse_text(app), parse_quote(app)
    if quote is not None and text is not None:
        assert text == "" or not text.strip() or pack_text(text, quote) == app
    for cut in range(57):
        assert parse_text(pack_text("x", QUOTE)[:cut]) is None


# -- what is held ------------------------------------------------------------------------------------------------------


class Desk:
    """Answers at a clock of its own."""

    def __init__(self, since_ms: int = 1_000) -> None:
        self.told: list[OtherVersion] = []
        self.answers = Answers(since_ms, self.told.append)
        self.now = Moment(100.0, 100_000)

    def read(self, mid: bytes, came_ms: int = 50_000, reply: bytes = b"r" * 16) -> None:
        self.answers.read(Quote(mid, AUTHOR, came_ms), reply, b"c" * 32, "carol", self.now)

    def wait(self, seconds: float) -> list[OtherVersion]:
        self.now = Moment(self.now.s + seconds, self.now.ms + round(seconds * 1000))
        self.answers.tick(self.now)
        return self.told


def test_what_is_held_is_quoted_with_its_author_and_when_it_came() -> None:
    desk = Desk()
    desk.answers.hold(MID, AUTHOR, 7)
    assert desk.answers.quote(MID) == Quote(MID, AUTHOR, 7)
    assert desk.answers.quote(b"") is None
    desk.read(MID)
    assert desk.answers.next_tick() is None


def test_what_should_be_here_and_isnt_is_told_once_after_a_while() -> None:
    desk = Desk()
    desk.read(MID)
    assert desk.answers.next_tick() == 100.0 + WAIT_S
    assert desk.wait(WAIT_S - 1) == []
    assert desk.wait(1) == [OtherVersion(b"r" * 16, b"c" * 32, "carol", AUTHOR, 100_000)]
    assert len(desk.wait(100)) == 1


def test_while_the_author_is_away_it_may_come_yet_and_is_told_again_if_it_doesnt() -> None:
    desk = Desk()
    here: set[bytes] = set()
    desk.answers = Answers(1_000, desk.told.append, here.__contains__)
    desk.read(MID)
    (told,) = desk.wait(WAIT_S)
    assert told.away
    assert desk.answers.next_tick() is None
    assert len(desk.wait(10_000)) == 1
    here.add(AUTHOR)
    desk.answers.here(AUTHOR, desk.now)
    assert len(desk.wait(WAIT_S - 1)) == 1
    assert [event.away for event in desk.wait(1)] == [True, False]
    assert len(desk.wait(10_000)) == 2


def test_an_author_who_comes_back_and_sends_it_is_not_told_again() -> None:
    desk = Desk()
    desk.answers = Answers(1_000, desk.told.append, lambda fp: False)
    desk.read(MID)
    desk.wait(WAIT_S)
    desk.answers.here(AUTHOR, desk.now)
    desk.answers.hold(MID, AUTHOR, desk.now.ms)
    assert len(desk.wait(10 * WAIT_S)) == 1


def test_what_comes_in_time_was_only_late() -> None:
    desk = Desk()
    desk.read(MID)
    desk.answers.hold(MID, AUTHOR, 101_000)
    assert desk.wait(2 * WAIT_S) == []


def test_what_was_said_before_one_came_is_no_news() -> None:
    desk = Desk(since_ms=60_000)
    desk.read(MID, came_ms=59_999)
    assert desk.wait(2 * WAIT_S) == []
    desk.answers.begin(200_000)
    desk.read(MID, came_ms=199_999)
    assert desk.wait(2 * WAIT_S) == []
    desk.read(MID, came_ms=200_000)
    assert len(desk.wait(2 * WAIT_S)) == 1


def test_becoming_a_member_again_forgets_nothing() -> None:
    desk = Desk()
    desk.answers.hold(b"x" * 16, AUTHOR, 2_000)
    desk.answers.begin(90_000)
    desk.read(MID)
    assert len(desk.wait(WAIT_S)) == 1


def test_what_is_held_and_what_waits_is_bounded() -> None:
    desk = Desk()
    for number in range(MAX_HELD + 10):
        desk.answers.hold(number.to_bytes(16), AUTHOR, 2_000 + number)
    assert desk.answers.quote((9).to_bytes(16)) is None
    assert desk.answers.quote((10).to_bytes(16)) is not None
    desk.read((9).to_bytes(16), came_ms=2_009)  # forgotten here, not withheld
    assert desk.answers.next_tick() is None
    for number in range(3 * MAX_WAITING):
        desk.read(b"q" * 16, reply=number.to_bytes(16))
    assert len(desk.wait(WAIT_S)) == MAX_WAITING


# -- through real rooms ------------------------------------------------------------------------------------------------


def three(world: World, **more: object) -> tuple[Client, Client, Client]:
    alice, bob, carol = (world.client(name) for name in ("alice", "bob", "carol"))
    world.advance(3)
    return alice, bob, carol


def heard(client: Client, text: str) -> MessageReceived:
    return next(e for e in client.events if isinstance(e, MessageReceived) and e.text == text)


def lie(client: Client, to: str, change: Callable[[bytes], bytes]) -> None:
    """Let a member write something else to one of the readers, with everything else as it should be."""
    courier = client.room._courier
    honest = courier._send

    def send(talk: Talk, kind: ContentKind, data: bytes, now: Moment) -> list[bytes]:
        return honest(talk, kind, change(data) if kind is ContentKind.MSG and talk.fp == fp(to) else data, now)

    courier._send = send


def test_a_reply_names_what_it_answers_to_everybody() -> None:
    world = World()
    alice, bob, carol = three(world)
    mid = alice.say("Shall we?")
    world.advance(2)
    carol.room.say("Yes", world.now, mid)
    world.advance(2)
    for client in (alice, bob):
        quote = heard(client, "Yes").answers
        assert quote is not None
        assert (quote.mid, quote.author) == (mid, fp("alice"))
    (sent,) = carol.of(MessageSent)
    assert isinstance(sent, MessageSent)
    assert sent.answers == heard(bob, "Yes").answers
    world.advance(2 * WAIT_S)
    assert not [client for client in (alice, bob, carol) if client.of(OtherVersion)]


def test_a_reply_to_what_isnt_held_is_said_without_it() -> None:
    world = World()
    _, bob, carol = three(world)
    carol.room.say("Yes", world.now, b"?" * 16)
    world.advance(2)
    assert heard(bob, "Yes").answers is None


def test_attack_36_different_text_to_two_readers_comes_out_with_a_reply() -> None:
    world = World()
    alice, bob, carol = three(world)
    lie(alice, "carol", lambda data: data.replace(b"Pay Bob", b"Pay Eve"))
    alice.say("Pay Bob")
    world.advance(2)
    assert (bob.texts(), carol.texts()) == ([("alice", "Pay Bob")], [("alice", "Pay Eve")])
    carol.room.say("Done", world.now, heard(carol, "Pay Eve").mid)
    world.advance(WAIT_S - 3)
    assert not bob.of(OtherVersion)
    world.advance(5)
    reply = heard(bob, "Done")
    (told,) = bob.of(OtherVersion)
    assert told == OtherVersion(reply.mid, fp("carol"), "carol", fp("alice"), reply.received_ms)
    assert alice.of(OtherVersion), "she sees it too, and knows why"
    assert not carol.of(OtherVersion)


def test_attack_36_also_when_the_lie_is_dated_back_to_before_one_came() -> None:
    world = World()
    alice, bob, carol = three(world)
    long_ago = (world.now.ms - 86_400_000).to_bytes(8)
    lie(alice, "carol", lambda data: (data[:24] + long_ago + data[32:]).replace(b"Pay Bob", b"Pay Eve"))
    alice.say("Pay Bob")
    world.advance(2)
    carol.room.say("Done", world.now, heard(carol, "Pay Eve").mid)
    world.advance(WAIT_S + 2)
    assert len(bob.of(OtherVersion)) == 1


def test_attack_36_also_when_nothing_at_all_was_sent_to_one_of_them() -> None:
    world = World()
    alice, bob, carol = three(world)
    lie(alice, "bob", lambda data: data[:7])  # no message at all
    alice.say("For Carol alone")
    world.advance(2)
    carol.room.say("Thanks", world.now, heard(carol, "For Carol alone").mid)
    world.advance(WAIT_S + 2)
    assert len(bob.of(OtherVersion)) == 1


def test_attack_36_from_the_other_side_a_reply_to_what_nobody_wrote() -> None:
    world = World()
    alice, bob, carol = three(world)
    alice.say("Hello")
    world.advance(2)
    mid = heard(carol, "Hello").mid
    lie(carol, "bob", lambda data: data.replace(mid, b"?" * 16))
    carol.room.say("Indeed", world.now, mid)
    world.advance(WAIT_S + 2)
    assert len(bob.of(OtherVersion)) == 1
    assert not alice.of(OtherVersion)


def test_who_came_later_is_not_alarmed_by_replies_to_what_was_before() -> None:
    world = World()
    alice, _, carol = three(world)
    mid = alice.say("Before Dave")
    world.advance(5)
    dave = world.client("dave")
    world.advance(5)
    carol.room.say("Yes", world.now, mid)
    world.advance(2 * WAIT_S)
    assert heard(dave, "Yes").answers is not None
    assert not dave.of(OtherVersion)


def test_who_waited_at_the_door_is_not_alarmed_either() -> None:
    world = World(mode=Mode.ASK)
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(1)
    alice.room.let_in(fp("bob"), world.now)
    carol = world.client("carol")
    world.advance(3)
    mid = alice.say("While Carol waits")
    world.advance(2)
    alice.room.let_in(fp("carol"), world.now)
    world.advance(5)
    bob.room.say("Yes", world.now, mid)
    world.advance(2 * WAIT_S)
    assert heard(carol, "Yes").answers is not None
    assert not carol.of(OtherVersion)


def test_a_quoted_message_that_comes_later_than_its_reply_is_no_alarm() -> None:
    world = World()
    alice, bob, carol = three(world)
    world.tamper = lambda source, to, block: [] if (source, to) == ("alice", "bob") else [(source, to, block)]
    mid = alice.say("Slowly")
    world.advance(1)
    carol.room.say("Quickly", world.now, mid)
    world.advance(1)
    assert heard(bob, "Quickly").answers is not None
    world.tamper = lambda source, to, block: [(source, to, block)]
    world.advance(2 * WAIT_S)
    assert heard(bob, "Slowly").mid == mid
    assert not bob.of(OtherVersion)


def test_a_reply_that_comes_before_what_it_answers_because_its_author_is_away_is_no_alarm() -> None:
    world = World()
    alice, bob, carol = three(world)
    bob.disconnect()
    world.advance(2)
    mid = alice.say("Bob, this waits for you")
    world.advance(2)
    carol.room.say("I have it", world.now, mid)
    alice.disconnect()
    world.advance(2)
    bob.connect()
    world.advance(WAIT_S + 5)
    (told,) = bob.of(OtherVersion)
    assert isinstance(told, OtherVersion)
    assert told.away
    alice.connect()
    world.advance(3 * WAIT_S)
    assert heard(bob, "Bob, this waits for you").mid == mid
    assert len(bob.of(OtherVersion)) == 1


def test_a_reply_to_what_is_longer_ago_than_a_room_shows_is_no_alarm_when_it_is_opened_again() -> None:
    """It came to the one who replies later than to us, when more had been said since than is told again."""
    world, store = World(), Memory()
    alice, carol, bob = world.client("alice"), world.client("carol"), world.client("bob", store=store)
    world.advance(3)
    carol.disconnect()
    mid = alice.say("Long ago")
    world.advance(5)
    alice.say("Since then")
    world.advance(5)
    carol.connect()
    world.advance(5)
    carol.room.say("Yes", world.now, mid)
    world.advance(5)
    assert [text for _, text in bob.texts()] == ["Long ago", "Since then", "Yes"]
    statements = bob.room.statements()
    world.leave(bob)
    del store.kept.lines[mid]
    for older, told in (((mid,), 0), ((), 1)):  # it is this that keeps us from saying so
        store.kept.older = older
        bob = world.client("bob", statements=statements, store=store, connect=False)
        world.advance(WAIT_S + 5)
        assert [text for _, text in bob.texts()] == ["Since then", "Yes"]
        assert len(bob.of(OtherVersion)) == told


def test_attack_36_also_when_the_liar_has_gone_and_comes_back() -> None:
    world = World()
    alice, bob, carol = three(world)
    lie(alice, "carol", lambda data: data.replace(b"Pay Bob", b"Pay Eve"))
    alice.say("Pay Bob")
    world.advance(2)
    alice.disconnect()
    carol.room.say("Done", world.now, heard(carol, "Pay Eve").mid)
    world.advance(WAIT_S + 5)
    alice.connect()
    world.advance(WAIT_S + 10)
    assert [e.away for e in bob.of(OtherVersion) if isinstance(e, OtherVersion)] == [True, False]


def test_quotes_and_what_was_found_out_are_told_again_after_a_restart() -> None:
    world = World()
    store = Memory()
    alice, carol = world.client("alice"), world.client("carol")
    bob = world.client("bob", store=store)
    world.advance(3)
    first = bob.say("So that there is a past")
    lie(alice, "carol", lambda data: data.replace(b"Pay Bob", b"Pay Eve"))
    alice.say("Pay Bob")
    world.advance(2)
    carol.room.say("Done", world.now, heard(carol, "Pay Eve").mid)
    carol.room.say("Good", world.now, first)
    world.advance(2)
    bob.disconnect()
    again = world.client("bob", store=store, statements=bob.room.statements())
    world.advance(WAIT_S + 3)
    good = heard(again, "Good").answers
    assert good is not None
    assert good.mid == first
    assert [e.mid for e in again.of(OtherVersion) if isinstance(e, OtherVersion)] == [heard(again, "Done").mid]


def test_the_bounds_are_those_of_the_paper() -> None:
    assert (answers.WAIT_S, answers.MAX_HELD) == (30.0, 8192)
