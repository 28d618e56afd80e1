"""A room moves from one real relay to another, over TLS; somebody is away; and what can be wrong with the new one.

The core's side of it is in test_moving.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from client_help import HASTY, Ear, Person, free_port, room_on, tls_config, until
from relay_help import RelayThread

from chatcore.errors import StateError
from chatcore.events import Alarm, Connection, Gap, MemberLeft, RoomMoved
from chatcore.invite import RelayAddress
from relay.keys import pin_of

NIMBLE = replace(HASTY, renew_again_s=0.5, look_out_s=0.05)
PASS = b"w" * 32


@contextlib.contextmanager
def relays(tmp_path: Path) -> Iterator[tuple[RelayThread, RelayAddress, RelayThread, RelayAddress]]:
    """Two relays, the second with a pass, and how they are reached."""
    configs = tls_config(tmp_path / "old"), replace(tls_config(tmp_path / "new"), relay_pass=PASS)
    with RelayThread(configs[0], unlimited=True) as old, RelayThread(configs[1], unlimited=True) as new:
        yield old, address(old), new, address(new, PASS)


def address(relay: RelayThread, relay_pass: bytes = b"") -> RelayAddress:
    certificate = relay.server.config.certificate
    assert certificate is not None
    return RelayAddress("127.0.0.1", relay.port, (pin_of(certificate),), relay_pass)


def seats(relay: RelayThread) -> int:
    return len(relay.server.switch.seats)


def places(person: Person) -> list[int]:
    """The ports to which somebody is connected: of the connection that carries messages, and of the lookout."""
    room = person.client._visit(person.room_id).room
    return [seat.relay.port for seat in room.seats if seat.relay is not None] if room is not None else []


def settled(person: Person, port: int) -> None:
    until(lambda: places(person)[:1] == [port], f"{person.name} is connected to the room's relay alone")


def test_a_room_moves_and_who_was_away_is_shown_the_way(tmp_path: Path) -> None:
    with relays(tmp_path) as (old, before, new, there), contextlib.ExitStack() as stack:
        invite = room_on(before)
        alice, bob, carol = (stack.enter_context(Person(name, invite, NIMBLE)) for name in ("alice", "bob", "carol"))
        for person in (alice, bob, carol):
            person.until_here(*{"alice", "bob", "carol"} - {person.name})
        kept = carol.client.statements(carol.room_id)
        carol.client.close_room(carol.room_id)
        alice.ear.until(lambda: "carol" not in alice.ear.here(), "carol is away")

        with pytest.raises(StateError):
            bob.client.move(bob.room_id, there)
        alice.client.move(alice.room_id, there)
        for person in (alice, bob):
            person.ear.until(lambda person=person: bool(person.ear.of(RoomMoved)), "it was said")  # type: ignore[misc]
            settled(person, new.port)
            until(lambda person=person: places(person) == [new.port, old.port], "and looks out")  # type: ignore[misc]
        alice.say("we have moved")
        bob.until_text("we have moved")
        assert bob.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]  # it was never lost
        for person in (alice, bob):
            assert not [e for e in person.ear.events if isinstance(e, MemberLeft | Gap | Alarm)]

        back = stack.enter_context(Person("carol", invite, NIMBLE, Ear(), kept))
        back.ear.until(lambda: [e.relay for e in back.ear.of(RoomMoved)] == [there], "carol is shown the way")
        settled(back, new.port)
        back.until_here("alice", "bob")
        back.say("found you")
        bob.until_text("found you")
        assert there.relay_pass == PASS

        kept = back.client.statements(back.room_id)
        back.client.close_room(back.room_id)
        again = stack.enter_context(Person("carol", invite, NIMBLE, Ear(), kept))
        again.until_here("alice", "bob")
        assert [e.earlier for e in again.ear.of(RoomMoved)] == [True]
        assert places(again)[0] == new.port
        assert again.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]


@pytest.mark.parametrize("what", ["nobody listens", "another key", "another pass"])
def test_to_a_relay_that_is_none_nobody_goes(tmp_path: Path, what: str) -> None:
    with relays(tmp_path) as (old, before, new, there), contextlib.ExitStack() as stack:
        bad = {
            "nobody listens": replace(there, port=free_port()),
            "another key": replace(there, pins=before.pins),
            "another pass": replace(there, relay_pass=b"x" * 32),
        }[what]
        alice, bob = (stack.enter_context(Person(name, room_on(before), NIMBLE)) for name in ("alice", "bob"))
        alice.until_here("bob")
        bob.until_here("alice")
        alice.client.move(alice.room_id, bad)
        bob.ear.until(lambda: [e.relay for e in bob.ear.of(RoomMoved)] == [bad], "bob heard of it")
        bob.say("still here")
        alice.until_text("still here")
        statements = bob.client.statements(bob.room_id)
        bob.client.close_room(bob.room_id)
        again = stack.enter_context(Person("bob", room_on(before), NIMBLE, Ear(), statements))
        again.until_here("alice")  # there is nobody where the room should be: back to where it was
        assert Connection.STOPPED not in again.ear.states()
        assert places(again) == [old.port]
        alice.client.move(alice.room_id, there)
        for person in (alice, again):
            settled(person, new.port)
        alice.say("at last")
        again.until_text("at last")
