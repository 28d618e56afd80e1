"""A room moves from one real relay to another, over TLS; somebody is away; and what can be wrong with the new one.

The core's side of it is in test_moving.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from client_help import HASTY, NIMBLE, RELAY_PASS, Ear, Person, free_port, room_on, two_relays, until

from chatcore.cable import End
from chatcore.engines import PrivateKey
from chatcore.errors import StateError
from chatcore.events import Alarm, Connection, Gap, MemberLeft, RoomMoved
from chatcore.invite import RelayAddress
from chatcore.upkeep import Upkeep
from chatcore.visit import Visit
from chatcore.worker import Worker


def places(person: Person) -> list[int]:
    """The ports to which somebody is connected: of the connection that carries messages, and of the lookout."""
    room = person.client._visit(person.room_id).room
    return [seat.relay.port for seat in room.seats if seat.relay is not None] if room is not None else []


def settled(person: Person, port: int) -> None:
    until(lambda: places(person)[:1] == [port], f"{person.name} is connected to the room's relay alone")


def test_a_room_moves_and_who_was_away_is_shown_the_way(tmp_path: Path) -> None:
    with two_relays(tmp_path) as (old, before, new, there), contextlib.ExitStack() as stack:
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
        assert there.relay_pass == RELAY_PASS

        kept = back.client.statements(back.room_id)
        back.client.close_room(back.room_id)
        again = stack.enter_context(Person("carol", invite, NIMBLE, Ear(), kept))
        again.until_here("alice", "bob")
        assert [e.earlier for e in again.ear.of(RoomMoved)] == [True]
        assert places(again)[0] == new.port
        assert again.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]


@pytest.mark.parametrize("what", ["nobody listens", "another key", "another pass"])
def test_to_a_relay_that_is_none_nobody_goes(tmp_path: Path, what: str) -> None:
    with two_relays(tmp_path) as (old, before, new, there), contextlib.ExitStack() as stack:
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
        assert places(again)[:1] == [old.port]
        alice.client.move(alice.room_id, there)
        for person in (alice, again):
            settled(person, new.port)
        alice.say("at last")
        again.until_text("at last")


def session(person: Person) -> bytes:
    room = person.client._visit(person.room_id).room
    return room.seats[0].me.session.modulus if room is not None else b""


def test_while_nobody_can_go_over_the_key_is_renewed_where_they_are(tmp_path: Path) -> None:
    timing = replace(NIMBLE, renew_s=0.5, renew_again_s=0.2)
    with two_relays(tmp_path) as (old, before, _, there), contextlib.ExitStack() as stack:
        alice = stack.enter_context(Person("alice", room_on(before), NIMBLE))
        bob = stack.enter_context(Person("bob", room_on(before), timing))
        alice.until_here("bob")
        bob.until_here("alice")
        alice.client.move(alice.room_id, replace(there, port=free_port()))
        bob.ear.until(lambda: bool(bob.ear.of(RoomMoved)), "it was said")
        first = session(bob)
        until(lambda: session(bob) not in (b"", first) and places(bob) == [old.port], "bob has a fresh key")
        bob.say("still here")
        alice.until_text("still here")
        assert bob.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]


class Tries(Upkeep):
    """Notes where it would connect; each connection lasts as long as is said."""

    def __init__(self, lasting: list[float]) -> None:
        super().__init__(HASTY, cast(Worker, None), lambda *_: None, cast("Callable[[], Awaitable[PrivateKey]]", None))
        self.lasting, self.tried = lasting, list[str]()

    def on_worker(self, visit: Visit, job: Callable[[], None]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def _connect(self, visit: Visit, relay: RelayAddress) -> tuple[End | None, float]:
        self.tried.append(relay.host)
        return (End(), self.lasting.pop(0)) if self.lasting else (None, 0.0)


def test_where_the_room_is_comes_first_whenever_a_connection_has_held() -> None:
    new, old = (RelayAddress(f"{name}.example", 1, (b"p" * 32,)) for name in ("new", "old"))
    visit = Visit(room_on(new), b"", cast(Worker, SimpleNamespace(post=lambda *_: None)), lambda *_: None, Ear())
    visit.before = old
    lasted_s = HASTY.stable_s
    tries = Tries([0.0, 0.0, lasted_s, lasted_s, 0.0, lasted_s])
    asyncio.run(asyncio.wait_for(tries.keep(visit, lambda: None, None), 30))
    assert tries.tried == [f"{name}.example" for name in ("new", "old", "new", "new", "new", "old", "new")]
