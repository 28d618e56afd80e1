"""Session keys are renewed on real sockets, over TLS, while people talk; and what goes wrong with it is no loss.

The core's side of it is in test_seats.py.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from client_help import HASTY, Person, room_on, through, tls_config, until
from judge import Got, Said, mistakes
from proxy import Proxy
from relay_help import RelayThread

from chatcore.cable import Timing
from chatcore.events import (
    Alarm,
    Connection,
    Gap,
    MemberLeft,
    MessageArrived,
    MessageReceived,
    NotDelivered,
    Noticed,
    Presence,
    PresenceChanged,
    RosterChanged,
)
from chatcore.invite import RelayAddress
from relay import limits as doors
from relay import switch
from relay.limits import Limits

NAMES = ("alice", "bob", "carol", "dave", "erin")
OFTEN = replace(HASTY, renew_s=0.4, renew_again_s=0.3)
LATER = replace(OFTEN, renew_s=4.0)  # everybody is here by then
RENEWALS = 4  # by everybody, while they talk


class Keys:
    """The session keys that were seen in use."""

    def __init__(self, people: list[Person]) -> None:
        self.people = people
        self.seen: dict[str, set[bytes]] = {person.name: set() for person in people}

    def look(self) -> None:
        for person in self.people:
            room = person.client._visit(person.room_id).room
            seat = room._seat if room is not None else None
            if seat is not None:
                self.seen[person.name].add(seat.me.session.modulus)

    def fewest(self) -> int:
        self.look()
        return min(map(len, self.seen.values()))


@contextlib.contextmanager
def room_of(port: int, relay: RelayThread, timing: Timing = OFTEN) -> Iterator[list[Person]]:
    invite = through(room_on(RelayAddress.parse(relay.server.line)), port)
    with contextlib.ExitStack() as stack:
        people = [stack.enter_context(Person(name, invite, timing)) for name in NAMES]
        for person in people:
            person.until_here(*{*NAMES} - {person.name})
        yield people


def converse(people: list[Person], enough: Callable[[], bool]) -> Said:
    """Have everybody talk until it is enough."""
    said: Said = {person.name: [] for person in people}
    dice = random.Random(7)
    end_s = time.monotonic() + 90
    while not enough():
        assert time.monotonic() < end_s, "never enough"
        time.sleep(0.01)
        person = dice.choice(people)
        room = person.client._visit(person.room_id).room
        if room is None or room.owed > 40:  # a slow machine catches up
            continue
        text = f"{len(said[person.name])} of {person.name} " + "." * dice.choice((0, 30, 600))
        said[person.name].append(text)
        person.say(text)
    return said


def got(people: list[Person], said: Said) -> Got:
    """Wait until everything was acknowledged; returns what everybody was shown."""
    for person in people:
        wanted = len(said[person.name]) * (len(people) - 1)
        person.ear.until(
            lambda person=person, wanted=wanted: (  # type: ignore[misc]
                sum(len(event.mids) for event in person.ear.of(MessageArrived)) >= wanted
            ),
            f"all of {person.name} has arrived",
            60,
        )
    by_fp = {person.fp: person.name for person in people}
    return {
        person.name: [(by_fp[event.sender], event.text) for event in person.ear.of(MessageReceived)]
        for person in people
    }


def unmoved(people: list[Person], begun: dict[str, int]) -> None:
    """Nobody's window showed anybody come, go, or be missed since then, nor that anything was being connected."""
    for person in people:
        since = person.ear.events[begun[person.name] :]
        quiet = (PresenceChanged, MemberLeft, Alarm, Gap, NotDelivered, RosterChanged, Noticed)
        assert [event for event in since if isinstance(event, quiet)] == [], person.name
        assert person.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]


@pytest.mark.timeout(180)
def test_five_renew_all_the_time_while_they_talk_and_nobody_notices(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path), unlimited=True) as relay, room_of(relay.port, relay) as people:
        keys = Keys(people)
        begun = {person.name: len(person.ear.events) for person in people}
        said = converse(people, lambda: keys.fewest() > RENEWALS)
        history = got(people, said)
        assert mistakes(said, history) == []
        unmoved(people, begun)
        until(lambda: len(relay.server.switch.seats) <= 2 * len(NAMES), "no seat is left behind")


@pytest.mark.timeout(180)
def test_connections_are_cut_in_the_midst_of_it(tmp_path: Path) -> None:
    with (
        RelayThread(tls_config(tmp_path), unlimited=True) as relay,
        Proxy(relay.port) as proxy,
        room_of(proxy.port, relay) as people,
    ):
        keys, dice = Keys(people), random.Random(3)
        cuts = [0]

        def cut_now_and_then() -> bool:
            if dice.random() < 0.005 and cuts[0] < 4:
                cuts[0] += 1
                proxy.reset()
            return cuts[0] == 4 and keys.fewest() > 4

        said = converse(people, cut_now_and_then)
        assert mistakes(said, got(people, said)) == []
        for person in people:
            assert Connection.STOPPED not in person.ear.states()
            assert not person.ear.of(Alarm)
            person.until_here(*{*NAMES} - {person.name})


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "limits", [Limits(max_seats_per_room=5), Limits(max_connections_per_address=5)], ids=["room", "address"]
)
def test_a_relay_with_no_seat_to_spare_costs_nothing_but_the_renewal(
    tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "WAIT_ROOM_FULL_S", 1)
    monkeypatch.setattr(doors, "WAIT_TOO_FAST_S", 1)
    limits = replace(limits, max_joins_per_minute_per_address=0)
    with RelayThread(tls_config(tmp_path, limits)) as relay, room_of(relay.port, relay, LATER) as people:
        keys = Keys(people)
        begun = {person.name: len(person.ear.events) for person in people}
        end_s = time.monotonic() + 7
        said = converse(people, lambda: time.monotonic() > end_s)
        assert mistakes(said, got(people, said)) == []
        keys.look()
        unmoved(people, begun)
        assert keys.fewest() == 1
        erin = people.pop()
        erin.client.close_room(erin.room_id)
        keys.people = people

        def renewed() -> bool:
            keys.look()
            return any(len(keys.seen[person.name]) > 1 for person in people)

        until(renewed, "a place is free")


@pytest.mark.timeout(120)
def test_a_relay_that_dies_and_comes_back_during_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "WAIT_SHUTDOWN_S", (0, 1))
    relay = RelayThread(tls_config(tmp_path), unlimited=True)
    with relay:
        port = relay.port
        invite = room_on(RelayAddress.parse(relay.server.line))
        people = [Person(name, invite, OFTEN) for name in NAMES[:3]]
        for person in people:
            person.until_here(*{*NAMES[:3]} - {person.name})
    with contextlib.ExitStack() as stack:
        for person in people:
            stack.enter_context(person)
            person.ear.until_state(Connection.RECONNECTING)
            person.say(f"{person.name} while it is off")
        with RelayThread(tls_config(tmp_path, port=port), unlimited=True):
            said = {person.name: [f"{person.name} while it is off"] for person in people}
            assert mistakes(said, got(people, said)) == []
            keys = Keys(people)
            until(lambda: keys.fewest() > 2, "they renew again")
            for person in people:
                gone = [event for event in person.ear.of(PresenceChanged) if event.presence is Presence.AWAY]
                assert gone == []
