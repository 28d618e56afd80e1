"""A room of twenty, over TLS, with a thousand messages: each reaches each other member once, in its sender's order.

The same with every connection broken in the middle.  What was seen is judged by `mistakes`, which is itself shown
wrong histories.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from client_help import Person, room_on, through, tls_config
from judge import Got, Said, mistakes
from proxy import Proxy
from relay_help import RelayThread

from chatcore.cable import Timing
from chatcore.events import Connection, Gap, MessageArrived, MessageReceived, MessageSent, NotDelivered
from chatcore.invite import Invite, RelayAddress

NAMES = [f"member {number:02}" for number in range(20)]
MESSAGES = 1000
CROWD_DEADLINE_S = 110.0
TIMING = Timing(retry_first_s=0.1, retry_most_s=1.0, flush_s=5.0)

SAID: Said = {"a": ["1", "2", "3"], "b": ["x"], "c": []}
RIGHT: Got = {
    "a": [("b", "x")],
    "b": [("a", "1"), ("a", "2"), ("a", "3")],
    "c": [("a", "1"), ("b", "x"), ("a", "2"), ("a", "3")],
}


def test_the_judge_lets_a_right_history_pass() -> None:
    assert mistakes(SAID, RIGHT) == []
    assert mistakes({"a": []}, {"a": []}) == []


@pytest.mark.parametrize(
    ("reader", "history", "verdict"),
    [
        ("b", [("a", "1"), ("a", "2")], "b from a: lost 1"),
        ("b", [], "b from a: lost 3"),
        ("b", [("a", "1"), ("a", "2"), ("a", "2"), ("a", "3")], "b from a: doubled 1"),
        ("b", [("a", "1"), ("a", "3"), ("a", "2")], "b from a: out of order"),
        ("b", [("a", "1"), ("a", "2"), ("a", "4")], "b from a: lost 1, misread 1"),
        ("b", [("a", "1"), ("a", "2"), ("a", "3"), ("a", "0")], "b from a: misread 1"),
        ("a", [("b", "x"), ("a", "1")], "a from a: misread 1"),
        ("a", [("b", "x"), ("d", "?")], "a from d: unknown"),
    ],
)
def test_the_judge_sees_each_mistake(reader: str, history: list[tuple[str, str]], verdict: str) -> None:
    assert mistakes(SAID, {**RIGHT, reader: history}) == [verdict]


@contextlib.contextmanager
def crowd(invite: Invite) -> Iterator[dict[str, Person]]:
    """Everybody in one room, and everybody sees everybody."""
    with contextlib.ExitStack() as stack:
        members = {name: stack.enter_context(Person(name, invite, TIMING)) for name in NAMES}
        end_s = time.monotonic() + CROWD_DEADLINE_S
        for name, member in members.items():
            others = {*NAMES} - {name}
            member.ear.until(
                lambda ear=member.ear, others=others: ear.here() == others,  # type: ignore[misc]
                f"{name} sees everybody",
                end_s - time.monotonic(),
            )
        yield members


def converse(members: dict[str, Person], dice: random.Random, halfway: Callable[[], None]) -> Said:
    """Have random members say all the messages, of random length; returns who said what."""
    said: Said = {name: [] for name in NAMES}
    for number in range(MESSAGES):
        if number == MESSAGES // 2:
            halfway()
        name = dice.choice(NAMES)
        long = dice.random() < 0.02
        text = f"{number} of {name} " + dice.choice("aé漢🙂") * dice.randrange(200 if long else 20)
        said[name].append(text)
        members[name].say(text)
    return said


def settle(members: dict[str, Person], said: Said) -> Got:
    """Wait until everybody knows that everything arrived, or nothing happens any more; returns what they got."""
    owed = {name: len(texts) * (len(NAMES) - 1) for name, texts in said.items()}

    def arrived(person: Person) -> int:
        return sum(len(event.mids) for event in person.ear.of(MessageArrived))

    end_s = time.monotonic() + CROWD_DEADLINE_S
    for name, member in members.items():
        member.ear.until(
            lambda name=name, member=member: arrived(member) >= owed[name],  # type: ignore[misc]
            f"all of {name} acknowledged",
            end_s - time.monotonic(),
        )
    by_fp = {member.fp: name for name, member in members.items()}
    return {
        name: [(by_fp[event.sender], event.text) for event in member.ear.of(MessageReceived)]
        for name, member in members.items()
    }


def judge(members: dict[str, Person], said: Said, got: Got) -> None:
    assert sum(map(len, said.values())) == MESSAGES
    assert mistakes(said, got) == []
    assert sum(map(len, got.values())) == MESSAGES * (len(NAMES) - 1)
    everybody = {member.fp for member in members.values()}
    for name, member in members.items():
        assert [event.text for event in member.ear.of(MessageSent)] == said[name]
        assert all({*event.readers} | {member.fp} == everybody for event in member.ear.of(MessageSent))
        for event in member.ear.of(MessageReceived):
            assert event.readers is not None
            assert {*event.readers} == everybody
        assert not member.ear.of(Gap)
        assert not member.ear.of(NotDelivered)


@pytest.mark.timeout(240)
def test_a_thousand_messages_between_twenty(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line), owner=NAMES[0])
        with crowd(invite) as members:
            said = converse(members, random.Random(20), lambda: None)
            judge(members, said, settle(members, said))
            for member in members.values():
                assert member.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]


@pytest.mark.timeout(240)
def test_a_thousand_messages_with_everybody_cut_off_once(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, Proxy(relay.port) as proxy:
        invite = through(room_on(RelayAddress.parse(relay.server.line), owner=NAMES[0]), proxy.port)
        with crowd(invite) as members:
            said = converse(members, random.Random(21), proxy.reset)
            for member in members.values():
                member.ear.until_state(Connection.CONNECTED, 2)
            judge(members, said, settle(members, said))
            for member in members.values():
                states = member.ear.states()
                assert states.count(Connection.CONNECTED) == 2
                assert states.count(Connection.STOPPED) == 0
