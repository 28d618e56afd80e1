"""One link: its states, its repeats, its end."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from attacker import NOW, me, sealed_blocks, take_sealed, two_links
from world import ENGINE, START_MS, key

from chatcore.clock import Moment
from chatcore.content import Content, ContentKind
from chatcore.delivery import Ready
from chatcore.errors import CryptoError, StateError, WireError
from chatcore.events import Oddity
from chatcore.hello import HELLO_COUNTER, MAX_HELLOS, Greeting, nonce_of
from chatcore.link import (
    ATTEMPT_S,
    COUNTER_LIMIT,
    HELLO_REPEATS_S,
    KNOCK_S,
    MAX_EARLY_BLOCKS,
    SILENCE_S,
    TRANSITIONS,
    Link,
    State,
    Step,
)
from chatcore.seal import MAX_PARTS, Body, seal

READY = Ready(clock_ms=START_MS).to_bytes()


def at(seconds: float) -> Moment:
    return Moment(NOW.s + seconds, NOW.ms + round(seconds * 1000))


def ends() -> tuple[Link, Link]:
    """Alice, who speaks first, and bob; nothing has been said."""
    alice, bob = me("alice"), me("bob")
    return (
        Link(alice, ENGINE.public_key(bob.session.modulus), NOW, first=True),
        Link(bob, ENGINE.public_key(alice.session.modulus), NOW, first=False),
    )


def state_of(link: Link) -> State:
    return link.state


def pass_on(source: Link, to: Link, now: Moment = NOW) -> list[Greeting | Content]:
    heard = []
    for block in sealed_blocks(source):
        with contextlib.suppress(CryptoError):
            news = to.receive(block, now)
            heard += [news] if news is not None else []
    return heard


@pytest.mark.parametrize(("state", "step"), list(itertools.product(State, Step)))
def test_every_step_is_lawful_or_a_state_error(state: State, step: Step) -> None:
    link, _ = ends()
    link.state = state
    if (state, step) in TRANSITIONS:
        link._step(step)
        assert link.state is TRANSITIONS[state, step]
    else:
        with pytest.raises(StateError, match=step.value):
            link._step(step)
        assert link.state is state


def test_the_lawful_steps_are_those_of_the_protocol() -> None:
    assert {state for (state, step) in TRANSITIONS if step is Step.END} == set(State) - {State.ENDED}
    assert {state for (state, step) in TRANSITIONS if step is Step.HELLO} == set(State) - {State.ENDED}
    assert [state for (state, step) in TRANSITIONS if step is Step.ANSWER] == [State.GREETED]
    assert [state for (state, step) in TRANSITIONS if step is Step.READY] == [State.SHAKING]


def test_a_handshake_step_by_step() -> None:
    alice, bob = ends()
    alice.greet(NOW)
    (greeting,) = pass_on(alice, bob)
    assert isinstance(greeting, Greeting)
    assert (greeting.nick, greeting.identity, greeting.caps) == ("alice", key("identity alice").modulus, 0)
    assert state_of(bob) is State.GREETED
    assert not bob.said  # who may be answered is for others to say
    bob.answer(READY, NOW)
    assert state_of(bob) is State.SHAKING
    (greeting,) = pass_on(bob, alice)  # his READY comes with it, and can't be opened yet: it comes again
    assert isinstance(greeting, Greeting)
    alice.answer(READY, NOW)
    (content,) = pass_on(alice, bob)
    assert isinstance(content, Content)
    assert (content.kind, content.data) == (ContentKind.READY, READY)
    assert state_of(bob) is State.UP
    bob.tick(at(HELLO_REPEATS_S[0]))
    assert len(bob.said) == 5
    (content,) = pass_on(bob, alice)
    assert isinstance(content, Content)
    assert state_of(alice) is State.UP
    assert bob.greeting is not None
    assert alice.greeting is not None


def test_nothing_can_be_said_before_a_link_is_up_or_after_its_end() -> None:
    alice, bob = ends()
    alice.greet(NOW)
    pass_on(alice, bob)
    bob.answer(READY, NOW)
    for link in (alice, bob):
        with pytest.raises(StateError):
            link.send(ContentKind.MSG, b"too early")
    with pytest.raises(StateError):
        alice.answer(READY, NOW)
    one, other = two_links()
    one.end()
    one.end()
    for act in (lambda: one.send(ContentKind.MSG, b"too late"), lambda: one.greet(NOW), lambda: one.answer(READY, NOW)):
        with pytest.raises(StateError):
            act()
    assert state_of(other) is State.UP


def test_an_end_erases_what_the_link_knew() -> None:
    one, _ = two_links()
    one.send(ContentKind.MSG, b"unsent")
    one.end()
    assert state_of(one) is State.ENDED
    assert (one._own_hello, one._hellos.newest, one._keys_in, one._keys_out) == (b"", b"", None, None)
    assert not one.said
    assert not one._hellos._pieces


def test_hello_and_ready_are_repeated_until_the_other_is_seen_to_be_up() -> None:
    alice, _ = ends()
    alice.greet(NOW)
    said = take_sealed(alice)
    for seconds in HELLO_REPEATS_S:
        assert alice.next_tick() == NOW.s + seconds
        alice.tick(at(seconds - 0.01))
        assert not take_sealed(alice)
        alice.tick(at(seconds))
        assert take_sealed(alice) == said  # byte for byte
    assert alice.next_tick() == NOW.s + ATTEMPT_S
    alice.tick(at(ATTEMPT_S))
    assert state_of(alice) is State.ENDED
    one, other = two_links()
    other.send(ContentKind.ACK, b"")
    pass_on(other, one)
    for seconds in HELLO_REPEATS_S:
        one.tick(at(seconds))
    assert not one.said  # only an up link says an ACK: nothing need be repeated


def test_whoever_is_behind_repeats_a_handshake_only_at_last() -> None:
    alice, _ = ends()
    alice.greet(NOW)
    said = take_sealed(alice)
    for seconds in HELLO_REPEATS_S[:-1]:
        alice.tick(at(seconds), more_waits=True)
        assert not take_sealed(alice)
    assert alice.next_tick() == NOW.s + HELLO_REPEATS_S[-1]
    alice.tick(at(HELLO_REPEATS_S[-1]), more_waits=True)
    assert take_sealed(alice) == said


def test_an_up_link_that_is_silent_ends() -> None:
    one, other = two_links()
    other.send(ContentKind.ACK, b"")
    for block in sealed_blocks(other):
        one.receive(block, at(50))
    one.tick(at(50 + SILENCE_S - 0.1))
    assert state_of(one) is State.UP
    one.tick(at(50 + SILENCE_S))
    assert state_of(one) is State.ENDED


def test_a_hello_that_is_not_answered_is_kept_for_a_quarter_of_an_hour() -> None:
    alice, bob = ends()
    alice.greet(NOW)
    pass_on(alice, bob)
    bob.tick(at(KNOCK_S - 0.1))
    assert state_of(bob) is State.GREETED
    bob.tick(at(KNOCK_S))
    assert state_of(bob) is State.ENDED


def test_a_hello_counts_once_and_a_newer_one_replaces_it() -> None:
    alice, bob = ends()
    alice.greet(NOW)
    first = sealed_blocks(alice)
    assert [news for block in first for news in [bob.receive(block, NOW)] if news]
    assert not [news for block in first for news in [bob.receive(block, NOW)] if news]
    again, _ = ends()
    again.greet(NOW)
    second = sealed_blocks(again)
    assert [news for block in second for news in [bob.receive(block, NOW)] if news]
    assert not [news for block in first for news in [bob.receive(block, NOW)] if news]  # the old one is no news
    assert bob._hellos.newest == again._own_hello
    assert nonce_of(again._own_hello) != nonce_of(alice._own_hello)


def test_an_attempt_takes_so_many_newer_hellos_and_no_more() -> None:
    _, bob = ends()
    taken = 0
    for _ in range(MAX_HELLOS + 4):
        alice, _ = ends()
        alice.greet(NOW)
        taken += len(pass_on(alice, bob))
    assert taken == MAX_HELLOS


def test_an_attempt_looks_at_so_many_blocks_and_no_more() -> None:
    alice, bob = ends()
    for _ in range(MAX_EARLY_BLOCKS):
        assert not bob.tired
        with pytest.raises(CryptoError):
            bob.receive(bytes(256), NOW)
    assert bob.tired
    alice.greet(NOW)
    for block in sealed_blocks(alice):
        with pytest.raises(CryptoError):
            bob.receive(block, NOW)


@pytest.mark.parametrize(("provisional", "confirmed"), [(True, True), (False, False)])
def test_an_up_link_that_carries_messages_ignores_hellos(provisional: bool, confirmed: bool) -> None:
    """But not while nothing shows that the other is up, too: perhaps they never were, and begin anew."""
    one, other = two_links()
    other.provisional, other.confirmed = False, True
    fresh = Link(one.me, one.other, NOW, first=True)
    fresh.greet(NOW)
    assert pass_on(fresh, other) == []
    assert state_of(other) is State.UP
    other.provisional, other.confirmed = provisional, confirmed
    fresh.greet(NOW)
    assert isinstance(pass_on(fresh, other)[0], Greeting)
    assert state_of(other) is State.GREETED


def test_an_admit_can_go_with_a_hello() -> None:
    alice, bob = ends()
    alice.carried = bytes(range(256)) + bytes(73)
    alice.greet(NOW)
    assert len(alice.said) == 7
    greeting, content = pass_on(alice, bob)
    assert isinstance(greeting, Greeting)
    assert isinstance(content, Content)
    assert (content.kind, content.data) == (ContentKind.STMT, alice.carried)


def test_what_is_carried_says_nothing_before_the_hello_is_verified() -> None:
    alice, bob = ends()
    alice.carried = bytes(range(256)) + bytes(73)
    alice.greet(NOW)
    blocks = sealed_blocks(alice)
    heard = [bob.receive(block, NOW) for block in (*blocks[4:], *blocks[:4])]
    assert [type(news) for news in heard] == [type(None)] * 6 + [Greeting]


@pytest.mark.parametrize(
    ("index", "body"),
    [
        (0, Body(ContentKind.HELLO, 2, 4, b"x" * 162)),
        (1, Body(ContentKind.HELLO, 1, 4, b"x" * 162)),
        (0, Body(ContentKind.READY, 1, 4, b"x" * 162)),
        (0, Body(ContentKind.HELLO, 1, 5, b"x" * 162)),
        (4, Body(ContentKind.HELLO, 1, 3, b"x" * 162)),
        (4, Body(ContentKind.STMT, 1, 4, b"x" * 162)),
        (7, Body(ContentKind.STMT, 1, 3, b"x" * 162)),
        (2**63 - 1, Body(ContentKind.STMT, 1, 3, b"x" * 162)),
    ],
)
def test_what_isnt_where_it_belongs_in_a_hello_is_refused(index: int, body: Body) -> None:
    alice, bob = ends()
    block = alice.other.encrypt(seal(alice._hello_keys, HELLO_COUNTER + index, body.to_bytes()))
    with pytest.raises(WireError):
        bob.receive(block, NOW)
    assert state_of(bob) is State.KEYED
    assert not bob._hellos._pieces


def test_a_gap_in_the_counters_is_counted_and_costs_no_more_than_itself() -> None:
    one, other = two_links()
    for content in (b"one", b"two" * 100, b"three"):
        one.send(ContentKind.MSG, content)
    blocks = sealed_blocks(one)
    heard = [other.receive(block, NOW) for block in (blocks[0], blocks[1], blocks[3])]
    assert isinstance(heard[0], Content)
    assert other.odd == [(Oddity.MISSING, 1)]
    assert heard[1] is None
    assert [news.data for news in heard if isinstance(news, Content)][-1] == b"three"
    assert other.receive(blocks[2], NOW) is None  # what is late is too late
    assert other.receive(blocks[2], NOW) is None
    assert other.odd == [(Oddity.MISSING, 1), (Oddity.LATE, 1), (Oddity.REPEATED, 1)]


def test_the_beginning_of_one_content_and_the_end_of_another_make_no_third() -> None:
    """Which is what a relay would like that leaves out what is between them."""
    one, other = two_links()
    for letter in (b"a", b"b"):
        one.send(ContentKind.MSG, letter * 300)
    beginning, _, _, end = sealed_blocks(one)
    assert [other.receive(block, NOW) for block in (beginning, end)] == [None, None]
    assert other.odd == [(Oddity.MISSING, 2)]


def test_a_direction_that_is_used_up_says_so() -> None:
    one, _ = two_links()
    one._next_out = COUNTER_LIMIT - MAX_PARTS
    with pytest.raises(StateError, match="used up"):
        one.send(ContentKind.ACK, b"")


def test_a_counter_that_nobody_gets_to_opens_to_nothing() -> None:
    one, other = two_links()
    for counter in (COUNTER_LIMIT, HELLO_COUNTER - 1):
        one._next_out = counter
        assert one._keys_out is not None
        block = one.other.encrypt(seal(one._keys_out, counter, Body(ContentKind.ACK, 1, 1, b"").to_bytes()))
        with pytest.raises(CryptoError):
            other.receive(block, NOW)
    assert not other.odd
    one._next_out = COUNTER_LIMIT - MAX_PARTS - 1
    one.send(ContentKind.MSG, b"the last")
    (block,) = sealed_blocks(one)
    news = other.receive(block, NOW)
    assert isinstance(news, Content)
    assert news.data == b"the last"


def test_before_the_ready_nothing_counts() -> None:
    one, other = two_links()
    one.send(ContentKind.MSG, b"hello")
    one.send(ContentKind.READY, READY)  # nor one of later, for it stands for another state of things
    other.state = State.SHAKING
    other._next_in = 0
    assert [other.receive(block, NOW) for block in sealed_blocks(one)] == [None, None]
    assert state_of(other) is State.SHAKING


def test_a_link_between_the_same_two_is_never_the_same_twice() -> None:
    keys = {two_links()[0]._keys_out.tag for _ in range(3)}  # type: ignore[union-attr]
    assert len(keys) == 3
