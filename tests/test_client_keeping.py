"""What a client keeps, on real sockets: nothing is shown, sent or acknowledged before it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from client_help import Ear, Person, people, room_on, tls_config, until
from relay_help import RelayThread
from vault_help import make_vault, room_in

from chatcore.errors import TextError, VaultError
from chatcore.events import Connection, MemberJoined, MessageArrived, MessageSent, RoomEvent
from chatcore.invite import RelayAddress
from chatcore.kept import Changes, Kept
from chatcore.members import parse_statement
from chatcore.visit import UNKEPT


class Keeper(Ear):
    """Looks, whenever somebody joins, what would be kept of the members then."""

    def __init__(self) -> None:
        super().__init__()
        self.person: Person | None = None
        self.unknown: list[str] = []

    def __call__(self, room_id: bytes, event: RoomEvent) -> None:
        if isinstance(event, MemberJoined) and self.person is not None:
            kept = [parse_statement(raw) for raw in self.person.client.statements(room_id)]
            if event.fp not in {one.subject for one in kept}:
                self.unknown.append(event.nick)
        super().__call__(room_id, event)


def test_whoever_is_told_of_as_a_member_is_among_what_is_kept_by_then(tmp_path: Path) -> None:
    """Else a program that is killed forgets the last who joined, and what is said next isn't for them."""
    with RelayThread(tls_config(tmp_path)) as relay:
        invite, keeper = room_on(RelayAddress.parse(relay.server.line)), Keeper()
        with Person("alice", invite, emit=keeper) as alice:
            keeper.person = alice
            with people(invite, "bob", "carol"):
                alice.until_here("bob", "carol")
                keeper.until(lambda: len(keeper.of(MemberJoined)) == 2, "both have joined")
    assert keeper.unknown == []


def test_what_waits_for_somebody_outlives_the_program(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "vault")
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "bob") as (bob,), Person("alice", invite, store=room_in(vault, invite.room_id)) as alice:
            alice.until_here("bob")
            until(lambda: len(alice.client.statements(alice.room_id)) == 2, "both JOINs")
            known = alice.client.statements(alice.room_id)
            bob.client.close_room(bob.room_id)
            alice.ear.until(lambda: alice.ear.here() == set(), "bob is away")
            alice.say("for when you are back")
            alice.ear.until(lambda: bool(alice.ear.of(MessageSent)), "alice has said it")
        with Person("alice", invite, statements=known, store=room_in(vault, invite.room_id)) as alice:
            alice.ear.until(lambda: bool(alice.ear.of(MessageSent)), "alice is told what she said")
            with people(invite, "bob") as (bob,):
                bob.until_text("for when you are back")
                alice.ear.until(lambda: bool(alice.ear.of(MessageArrived)), "bob has it")
    vault.close()


class Full:
    """A store whose disk is full after so many commits."""

    def __init__(self, commits: int) -> None:
        self.commits, self.kept = commits, Kept()

    def load(self) -> Kept:
        if self.commits < 0:
            raise VaultError("The disk can't be read.")
        return self.kept

    def settle(self) -> None:
        pass

    def rest(self) -> None:
        self.settle()
        self.kept.unsettled = False

    def commit(self, changes: Changes) -> None:
        if self.commits == 0:
            raise VaultError("The disk is full.")
        self.commits -= 1
        self.kept.commit(changes)


def test_what_cant_be_kept_is_neither_shown_nor_sent(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        store = Full(1000)
        with people(invite, "bob") as (bob,), Person("alice", invite, store=store) as alice:
            alice.until_here("bob")
            alice.say("one")
            bob.until_text("one")
            store.commits = 0
            alice.say("two")
            assert alice.ear.until_state(Connection.STOPPED).reason == "The disk is full."
            assert [event.text for event in alice.ear.of(MessageSent)] == ["one"]
            with pytest.raises(TextError, match="The disk is full"):
                alice.say("three")
            bob.ear.until(lambda: bob.ear.here() == set(), "alice is away")
            bob.say("what alice doesn't take, she doesn't acknowledge")
            alice.client.close_room(alice.room_id)
            store.commits = 1000
            alice.client.open_room(invite, alice.identity, "alice", (), store)
            alice.until_text("what alice doesn't take, she doesn't acknowledge")
            assert [text for _, text in bob.ear.texts()] == ["one"]


def test_what_a_power_cut_could_still_take_isnt_acknowledged(tmp_path: Path) -> None:
    class Unsettled(Full):
        def settle(self) -> None:
            if any(line.rest.endswith(b"two") for line in self.kept.lines.values()):
                raise VaultError("The disk doesn't take it.")

    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "bob") as (bob,), Person("alice", invite, store=Unsettled(1000)) as alice:
            alice.until_here("bob")
            bob.say("one")
            bob.ear.until(lambda: bool(bob.ear.of(MessageArrived)), "alice has it")
            bob.say("two")
            assert alice.ear.until_state(Connection.STOPPED).reason == "The disk doesn't take it."
            bob.ear.until(lambda: bob.ear.here() == set(), "alice is away")
            assert len(bob.ear.of(MessageArrived)) == 1


def test_what_one_has_said_is_settled_soon(tmp_path: Path) -> None:
    class Settling(Full):
        settled = 0

        def settle(self) -> None:
            self.settled = len(self.kept.lines)

    with RelayThread(tls_config(tmp_path)) as relay:
        invite, store = room_on(RelayAddress.parse(relay.server.line)), Settling(1000)
        with Person("alice", invite, store=store) as alice:
            alice.ear.until_state(Connection.CONNECTED)
            alice.say("to nobody")
            until(lambda: store.settled == 1, "the disk was asked to have it")


def test_what_was_taken_back_stays_so_after_a_power_cut(tmp_path: Path) -> None:
    """Nobody is here, so no acknowledgement has the disk asked: it would go out after all."""

    class Settling(Full):
        settled = 0

        def settle(self) -> None:
            self.settled = len(self.kept.taken_back)

    with RelayThread(tls_config(tmp_path)) as relay:
        invite, store = room_on(RelayAddress.parse(relay.server.line)), Settling(1000)
        with people(invite, "bob") as (bob,), Person("alice", invite, store=store) as alice:
            alice.until_here("bob")
            bob.until_here("alice")
            bob.client.stop()
            alice.ear.until(lambda: alice.ear.here() == set(), "bob is away")
            alice.say("to be taken back")
            until(lambda: bool(store.kept.lines), "it is kept")
            alice.client.take_back(invite.room_id, next(iter(store.kept.lines)))
            until(lambda: store.settled == 1, "the disk was asked to have it")


def test_a_mistake_in_opening_a_room_is_said(tmp_path: Path, faults: list[str]) -> None:
    class Mistaken(Full):
        def load(self) -> Kept:
            raise ValueError

    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with Person("alice", invite, store=Mistaken(1000)) as alice:
            assert alice.ear.until_state(Connection.STOPPED).reason == UNKEPT
            until(lambda: bool(faults), "the mistake is logged")


def test_a_mistake_in_keeping_shows_and_sends_no_more_than_a_full_disk(tmp_path: Path, faults: list[str]) -> None:
    class Mistaken(Full):
        def commit(self, changes: Changes) -> None:
            if self.commits == 0:
                raise ValueError
            super().commit(changes)

    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        store = Mistaken(1000)
        with people(invite, "bob") as (bob,), Person("alice", invite, store=store) as alice:
            alice.until_here("bob")
            store.commits = 0
            alice.say("one")
            assert alice.ear.until_state(Connection.STOPPED).reason == UNKEPT
            until(lambda: bool(faults), "the mistake is logged")
            bob.ear.until(lambda: bob.ear.here() == set(), "alice is away")
            assert not alice.ear.of(MessageSent)
            assert not bob.ear.texts()


def test_a_room_whose_keeping_cant_be_read_says_so_and_stays_shut(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with Person("alice", invite, store=Full(-1)) as alice:
            assert alice.ear.until_state(Connection.STOPPED).reason == "The disk can't be read."
            with pytest.raises(TextError, match="can't be read"):
                alice.say("one")
            alice.client.close_room(alice.room_id)
            alice.client.open_room(invite, alice.identity, "alice")
            alice.ear.until_state(Connection.CONNECTED)


class Watched(Full):
    """A store that notes how often its room had been closed whenever it was read."""

    def __init__(self, ear: Ear) -> None:
        super().__init__(1000)
        self.ear, self.closed = ear, list[int]()

    def load(self) -> Kept:
        self.closed.append(self.ear.states().count(Connection.STOPPED))
        return super().load()


def test_a_room_opened_again_at_once_is_read_when_the_earlier_visit_has_written_its_last(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        store = Watched(ear := Ear())
        with Person("alice", invite, emit=ear, store=store) as alice:
            ear.until_state(Connection.CONNECTED)
            for times in (1, 2):
                alice.client.close_room(alice.room_id)
                alice.client.open_room(invite, alice.identity, "alice", (), store)
                ear.until_state(Connection.CONNECTED, times + 1)
            assert store.closed == [0, 1, 2]
