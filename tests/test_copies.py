"""Two copies of one profile, open at once: on two computers, or from a folder that was copied."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TypeVar

from client_help import Person, room_on, tls_config
from relay_help import RelayThread
from test_kept import texts
from vault_help import make_vault, open_vault, room_in
from world import Client, Memory, World, fp

from chatcore.events import Alarm, AlarmKind, Gap, MessageArrived, MessageSent
from chatcore.invite import RelayAddress
from gui import sentences

E = TypeVar("E")
OWN = AlarmKind.OWN_IDENTITY_ELSEWHERE


def of(client: Client, kind: type[E]) -> list[E]:
    return [event for event in client.events if isinstance(event, kind)]


def copied() -> tuple[World, Client, list[Client]]:
    """Bob and alice have talked; then what is kept of alice is copied, and two clients begin with it."""
    world = World()
    alice, bob = world.client("alice", store=Memory()), world.client("bob", store=Memory())
    world.advance(5)
    alice.say("before")
    bob.say("hello")
    world.advance(5)
    world.leave(alice)
    del world.clients["alice"]
    copies, statements = [], alice.room.statements()
    for name in ("one", "other"):
        store = Memory()
        assert isinstance(alice.store, Memory)
        store.kept = alice.store.load()
        copies.append(world.client(name, identity="alice", statements=statements, store=store, connect=False))
    return world, bob, copies


def live(world: World, seconds: int) -> None:
    """Let time pass; whose log is new connects anew, as the shell has it do."""
    for _ in range(seconds):
        world.advance(1)
        for client in world.clients.values():
            if client.room.stale:
                client.disconnect()
                client.connect()


def test_both_are_told_of_each_other() -> None:
    world, bob, copies = copied()
    for client in copies:
        client.connect()
        live(world, 10)
    for client in copies:
        assert {alarm.kind for alarm in of(client, Alarm)} == {OWN}
        assert {alarm.fp for alarm in of(client, Alarm)} == {fp("alice")}
    assert not of(bob, Alarm)


def test_who_came_later_is_told_of_a_copy_that_needs_no_new_log() -> None:
    world = World()
    first, bob = world.client("alice"), world.client("bob")
    world.advance(5)
    later = world.client("later", identity="alice")
    world.advance(5)
    assert [alarm.kind for alarm in of(first, Alarm)] == [OWN]
    assert [alarm.kind for alarm in of(later, Alarm)] == [OWN]
    sent = len([hop for hop in world.log if {hop[0], hop[1]} == {"alice", "later"}])
    live(world, 600)
    assert len(of(first, Alarm)) == len(of(later, Alarm)) == 1
    more = len([hop for hop in world.log if {hop[0], hop[1]} == {"alice", "later"}]) - sent
    assert more < 40 * 11  # a KEY, and HELLO with its repeats, each minute
    assert not of(bob, Alarm)


def test_nothing_that_either_says_is_lost_or_doubled() -> None:
    """Both went on with the numbers of their log: of two messages with one number the second was taken for the first.

    And had its tick: it was never sent again.
    """
    world, bob, copies = copied()
    for client in copies:
        client.connect()
    live(world, 10)
    said = []
    for number in range(6):
        for client in copies:
            said.append(f"{client.name} {number}")
            client.say(said[-1])
        live(world, 4)
    live(world, 30)
    assert sorted(texts(bob)) == sorted(["before", "hello", *said])
    for client in copies:
        assert client.room.owed == 0
        arrived = {mid for event in of(client, MessageArrived) for mid in event.mids}
        assert {event.mid for event in of(client, MessageSent) if event.text.startswith(client.name)} <= arrived


def test_what_was_said_before_they_met_is_told_apart_as_well() -> None:
    """The one that comes later learns by the others' READY that its numbers are out."""
    world, bob, (one, other) = copied()
    one.connect()
    live(world, 5)
    one.say("only in one")
    live(world, 5)
    other.say("typed while offline")
    other.connect()
    live(world, 30)
    assert sorted(texts(bob)) == sorted(["before", "hello", "only in one", "typed while offline"])
    assert one.room.owed == other.room.owed == 0


def test_what_others_say_reaches_one_of_them_and_the_other_says_what_it_lacks() -> None:
    world, bob, (one, other) = copied()
    one.connect()
    live(world, 10)
    other.connect()
    live(world, 10)
    for number in range(3):
        bob.say(f"bob {number}")
        live(world, 2)
    live(world, 10)
    having = [client for client in (one, other) if "bob 2" in texts(client)]
    assert len(having) == 1
    (lacking,) = {one, other} - {*having}
    having[0].disconnect()
    del world.clients[having[0].name]
    live(world, 40)
    bob.say("to the one that is left")
    live(world, 20)
    assert sum(gap.count for gap in of(lacking, Gap)) == 3
    assert texts(lacking)[-1] == "to the one that is left"
    assert bob.room.owed == 0


def until_alarmed(person: Person) -> None:
    person.ear.until(lambda: OWN in [alarm.kind for alarm in person.ear.of(Alarm)], "the alarm")


def test_two_real_clients_of_one_vault(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path / "relay")) as relay, contextlib.ExitStack() as stack:
        invite = room_on(RelayAddress.parse(relay.server.line), owner="bob")
        bob = stack.enter_context(Person("bob", invite))
        vault = make_vault(tmp_path / "0")
        with Person("alice", invite, store=room_in(vault, invite.room_id)) as alice:
            alice.until_here("bob")
            alice.say("before")
            bob.until_text("before")
        vault.close()
        shutil.copy(tmp_path / "0", tmp_path / "1")
        copies = []
        for number in range(2):
            vault = stack.enter_context(contextlib.closing(open_vault(tmp_path / f"{number}")))
            store = room_in(vault, invite.room_id)
            copies.append(stack.enter_context(Person("alice", invite, store=store)))
        for copy in copies:
            until_alarmed(copy)
        said = []
        for number in range(3):
            for at, copy in enumerate(copies):
                said.append(f"{number} of {at}")
                copy.say(said[-1])
        for text in said:
            bob.until_text(text)
        assert sorted(text for _, text in bob.ear.texts()) == sorted(["before", *said])


def test_it_is_one_sentence_that_says_what_to_do() -> None:
    banner = sentences.alarm(OWN, "Alice")
    assert banner.title == "Your identity is in use elsewhere, too"
    assert banner.text == (
        "If that is you, close Parley in one of the two places: what others write reaches only one of them. "
        "If it isn't, leave this room, and ask for a new invite with a new identity."
    )
