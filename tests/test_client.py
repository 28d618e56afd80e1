"""The client on real sockets: people talk, knock, leave and come back; mistakes; and how it stops."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    HASTY,
    NIMBLE,
    Ear,
    FakeRelay,
    Person,
    free_port,
    friends,
    hang_up,
    identity,
    people,
    pin_in,
    plain,
    room_on,
    seat_and_stay,
    threads,
    tls_config,
    until,
)
from relay_help import RelayThread

from chatcore import upkeep
from chatcore.client import NOT_IN_YET, Client
from chatcore.errors import StateError, TextError
from chatcore.events import (
    Connection,
    ConnectionChanged,
    Knocked,
    KnockEnded,
    LetIn,
    MemberLeft,
    MessageArrived,
    MessageSent,
    RoomEvent,
    SealedBlocks,
    Waiting,
)
from chatcore.invite import Mode, RelayAddress
from chatcore.upkeep import CLOSED, LEFT, MISHAP
from chatcore.visit import Visit

# -- it works ----------------------------------------------------------------------------------------------------------


def test_two_talk_over_tls(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        line = RelayAddress.parse(relay.server.line)
        assert line.pins == (pin_in(tmp_path),)
        with people(room_on(line), "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            bob.until_here("alice")
            alice.say("hello")
            bob.until_text("hello")
            bob.say("ü" * 20_500)
            alice.until_text("ü" * 20_500)
            alice.ear.until(lambda: bool(alice.ear.of(MessageArrived)), "the acknowledgement")
            mid = alice.ear.of(MessageSent)[0].mid
            assert alice.ear.of(MessageArrived)[0].mids == (mid,)
            for one, other in ((alice, bob), (bob, alice)):
                one.client.ask_sealed_blocks(one.room_id, mid)
                one.ear.until(lambda ear=one.ear: bool(ear.of(SealedBlocks)), "the blocks")  # type: ignore[misc]
                ((reader, blocks),) = one.ear.of(SealedBlocks)[0].blocks
                assert reader == bob.fp
                assert [len(block) for block in blocks] == [256]
                assert other.ear.texts()
            assert alice.ear.of(SealedBlocks)[0].blocks == bob.ear.of(SealedBlocks)[0].blocks
            assert alice.ear.states() == bob.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]
            assert alice.ear.threads == {"parley-worker"}
    assert alice.ear.states()[-1] is Connection.STOPPED


def test_somebody_knocks_and_is_let_in_or_not(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line), mode=Mode.ASK)
        with people(invite, "alice", "bob", "carol") as (alice, bob, carol):
            alice.ear.until(lambda: len(alice.ear.of(Knocked)) == 2, "two knocks")
            bob.ear.until(lambda: bool(bob.ear.of(Waiting)), "bob waits")
            with pytest.raises(TextError, match=r"^You can write as soon as you have been let in\.$"):
                bob.say("hello?")
            with pytest.raises(StateError):
                bob.client.let_in(bob.room_id, carol.fp)
            alice.client.let_in(alice.room_id, bob.fp)
            alice.client.turn_away(alice.room_id, carol.fp)
            bob.ear.until(lambda: bool(bob.ear.of(LetIn)), "bob is in")
            alice.ear.until(lambda: len(alice.ear.of(KnockEnded)) == 2, "nobody at the door")
            alice.until_here("bob")
            bob.until_here("alice")
            bob.say("thank you")
            alice.until_text("thank you")
            # And perhaps the JOIN of one who was turned away: whoever got it passes it on.
            until(lambda: len(bob.client.statements(bob.room_id)) >= 3, "two JOINs and an ADMIT")
            assert not carol.ear.of(LetIn)
            with pytest.raises(TextError):
                carol.say("and I?")


def test_rooms_side_by_side_share_two_threads(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        line = RelayAddress.parse(relay.server.line)
        ours, theirs = room_on(line), room_on(line, owner="bob")
        heard: list[tuple[bytes, RoomEvent]] = []
        ear = Ear()

        def emit(room_id: bytes, event: RoomEvent) -> None:
            heard.append((room_id, event))
            ear(room_id, event)

        client = Client(emit, timing=HASTY)
        client.start()
        try:
            rooms = [client.open_room(invite, identity("alice"), "alice") for invite in (ours, theirs)]
            assert rooms == [ours.room_id, theirs.room_id]
            ear.until_state(Connection.CONNECTED, 2)
            until(lambda: threads() == {"parley-io", "parley-worker"}, f"two threads, not {threads()}")
            for room, text in zip(rooms, ("to us", "to them"), strict=True):
                client.say(room, text)
            ear.until(lambda: len(ear.of(MessageSent)) == 2, "both")
            said = [(room, event.text) for room, event in heard if isinstance(event, MessageSent)]
            assert said == [(ours.room_id, "to us"), (theirs.room_id, "to them")]
            client.close_room(ours.room_id)
            ear.until_state(Connection.STOPPED)
            client.say(theirs.room_id, "still here")
            ear.until(lambda: len(ear.of(MessageSent)) == 3, "the other room")
        finally:
            client.stop()


def test_leaving_and_closing(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice", "bob", "carol") as (alice, bob, carol):
            alice.until_here("bob", "carol")
            bob.until_here("alice", "carol")
            carol.until_here("alice", "bob")
            until(lambda: len(carol.client.statements(carol.room_id)) == 3, "all three JOINs")
            kept = carol.client.statements(carol.room_id)
            bob.client.leave(bob.room_id)
            assert bob.ear.until_state(Connection.STOPPED).reason == LEFT == "You have left this room."
            for one in (alice, carol):
                one.ear.until(lambda ear=one.ear: bool(ear.of(MemberLeft)), "bob has left")  # type: ignore[misc]
            carol.say("last words")
            carol.client.close_room(carol.room_id)  # what was said before goes out first
            assert carol.ear.until_state(Connection.STOPPED).reason == CLOSED == "You have closed this room."
            alice.until_text("last words")
            alice.ear.until(lambda: alice.ear.here() == set(), "nobody else is here")
            assert len(alice.ear.of(MemberLeft)) == 1
            alice.say("are you there?")
            with pytest.raises(StateError):
                carol.say("no")
            carol.client.open_room(invite, carol.identity, "carol", kept)
            carol.until_text("are you there?")


def test_a_room_closed_and_opened_at_once_does_not_meet_itself(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice") as (alice,):
            for times in range(1, 4):
                alice.ear.until_state(Connection.CONNECTED, times)
                alice.client.close_room(alice.room_id)
                alice.client.open_room(invite, alice.identity, "alice")
            alice.ear.until_state(Connection.CONNECTED, 4)
            assert alice.ear.states() == [Connection.CONNECTING, Connection.CONNECTED, Connection.STOPPED] * 3 + [
                Connection.CONNECTING,
                Connection.CONNECTED,
            ]
            assert not [event for event in alice.ear.events if type(event).__name__ == "Alarm"]


def test_what_can_not_be_said_is_said_at_once(tmp_path: Path) -> None:
    client = Client(lambda *_: None)
    with pytest.raises(StateError):
        client.open_room(room_on(plain(free_port())), identity("alice"), "alice")
    client.stop()
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice") as (alice,):
            alice.ear.until(lambda: bool(alice.ear.of(LetIn)), "alice is in")
            with pytest.raises(TextError, match="nothing to send yet"):
                alice.say("  ")
            with pytest.raises(TextError, match="too long"):
                alice.say("x" * 41_001)
            with pytest.raises(StateError):
                alice.client.say(bytes(32), "hello")
            with pytest.raises(StateError):
                alice.client.open_room(invite, alice.identity, "alice")
            with pytest.raises(StateError):
                alice.client.start()
            with pytest.raises(TextError, match="This name can't be used"):
                alice.client.open_room(invite, alice.identity, "x" * 65)
        with pytest.raises(StateError):
            alice.client.open_room(invite, alice.identity, "alice")
        with pytest.raises(StateError):
            alice.say("gone")


# -- mistakes, and the end ---------------------------------------------------------------------------------------------


def test_an_emit_that_raises_costs_nothing(tmp_path: Path, faults: list[str]) -> None:
    class Hostile(Ear):
        def __call__(self, room_id: bytes, event: RoomEvent) -> None:
            super().__call__(room_id, event)
            raise RuntimeError(f"secret {event}")

    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with Person("alice", invite, emit=Hostile()) as alice, Person("bob", invite) as bob:
            alice.until_here("bob")
            bob.until_here("alice")
            alice.say("hello")
            bob.until_text("hello")
            bob.say("hello yourself")
            alice.until_text("hello yourself")
            assert alice.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]
    assert set(faults) == {faults[0]}
    assert faults[0].startswith("fault RuntimeError at test_client.py:")


@pytest.mark.parametrize("place", ["dial", "_serve", "_dial_next", "_look_out"])
def test_a_mistake_of_our_own_in_what_keeps_a_room_connected_costs_the_connection_and_not_the_room(
    place: str, tmp_path: Path, faults: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = upkeep if place == "dial" else upkeep.Upkeep
    right = getattr(owner, place)
    gone_wrong = threading.Event()

    async def stumble(*args: Any) -> Any:
        if not gone_wrong.is_set():
            gone_wrong.set()
            raise ZeroDivisionError("secret")
        return await right(*args)

    monkeypatch.setattr(owner, place, stumble)
    with friends(tmp_path) as (alice, bob):
        alice.say("still here")
        bob.until_text("still here")
        assert [state.reason for one in (alice, bob) for state in one.ear.of(ConnectionChanged) if state.retry_s] == [
            MISHAP
        ]
    (fault,) = faults
    assert fault.startswith("fault ZeroDivisionError at test_client.py:")


def test_a_mistake_of_our_own_at_the_relay_of_before_costs_the_present_connection_nothing(
    tmp_path: Path, faults: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is made."""
    tried: list[RelayAddress] = []

    async def stumble(self: upkeep.Upkeep, visit: Visit, outlook: RelayAddress) -> None:
        tried.append(outlook)
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(upkeep.Upkeep, "_stay_before", stumble)
    monkeypatch.setattr(Visit, "_look_where", lambda visit, room: None)
    with friends(tmp_path) as (alice, bob):
        visit, alice.client._upkeep._timing = alice.client._visit(alice.room_id), NIMBLE
        visit.outlook = visit.relay
        alice.client._soon(visit.looking.set)
        until(lambda: len(tried) >= 3, "it was tried again")
        alice.say("still here")
        bob.until_text("still here")
        assert alice.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]
    assert len(faults) == len(tried)


def test_a_mistake_of_our_own_costs_the_connection_and_not_the_client(tmp_path: Path, faults: list[str]) -> None:
    with friends(tmp_path) as (alice, bob):
        room = alice.client._visit(alice.room_id).room
        assert room is not None
        receive_data = room.receive_data

        def stumble(data: bytes, now: Any, seat: Any = None) -> None:
            room.receive_data = receive_data  # type: ignore[method-assign]
            raise ZeroDivisionError("secret")

        room.receive_data = stumble  # type: ignore[method-assign]
        bob.say("one")
        alice.ear.until_state(Connection.CONNECTED, 2)
        alice.until_text("one")
        assert [text for _, text in alice.ear.texts()] == ["one"]
    (fault,) = faults
    assert fault.startswith("fault ZeroDivisionError at test_client.py:")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, FakeRelay(hang_up) as busy:
        silent = socket.create_server(("127.0.0.1", 0))
        before = open_files() if Path("/proc/self/fd").exists() else 0
        line = RelayAddress.parse(relay.server.line)
        ear = Ear()
        client = Client(ear, timing=dataclasses.replace(HASTY, retry_first_s=30.0, retry_most_s=60.0))
        client.start()
        client.open_room(room_on(line), identity("alice"), "alice")
        client.open_room(room_on(plain(busy.port), owner="bob"), identity("alice"), "alice")  # waits to try again
        stuck = RelayAddress("127.0.0.1", silent.getsockname()[1], (b"p" * 32,))
        client.open_room(room_on(stuck, owner="carol"), identity("alice"), "alice")  # hangs in its TLS handshake
        ear.until_state(Connection.CONNECTED)
        ear.until_state(Connection.RECONNECTING)
        client.stop()
        client.stop()
        assert threads() == set()
        assert ear.states().count(Connection.STOPPED) == 3
        silent.close()
        if before:
            until(lambda: open_files() <= before, "every socket is closed")
        until(lambda: not relay.server.switch.seats, "the relay has seen us go")


def test_stop_brings_out_what_was_said_last(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice", "bob", "carol") as (alice, bob, carol):
            for one in (alice, bob, carol):
                one.until_here(*{"alice", "bob", "carol"} - {one.name})
            for number in range(20):
                alice.say(f"quick {number} " + "x" * 2000)
            alice.client.stop()
            bob.client.leave(bob.room_id)
            bob.client.stop()
            carol.ear.until(lambda: len(carol.ear.texts()) == 20, "all twenty")
            carol.ear.until(lambda: [left.nick for left in carol.ear.of(MemberLeft)] == ["bob"], "bob's LEAVE")


def test_stop_from_inside_of_emit() -> None:
    class Quits(Ear):
        client: Client | None = None

        def __call__(self, room_id: bytes, event: RoomEvent) -> None:
            super().__call__(room_id, event)
            if isinstance(event, ConnectionChanged) and event.state is Connection.CONNECTED and self.client:
                self.client.stop()

    ear = Quits()
    with FakeRelay(seat_and_stay) as fake:
        ear.client = Client(ear, timing=dataclasses.replace(HASTY, flush_s=0.2))
        ear.client.start()
        ear.client.open_room(room_on(plain(fake.port)), identity("alice"), "alice")
        ear.until_state(Connection.STOPPED)
        until(lambda: threads() == set(), "both threads end")


def test_stop_does_not_wait_for_a_name_that_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, free = threading.Event(), threading.Event()

    def look_up(*_arguments: object) -> list[Any]:
        asked.set()
        free.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    client = Client(Ear(), timing=HASTY)
    client.start()
    client.open_room(room_on(RelayAddress("relay.example.org", 1, (b"p" * 32,))), identity("alice"), "alice")
    until(asked.is_set, "the name is asked for")
    client.stop(timeout_s=0.5)
    assert threads() <= {"parley-aside"}
    free.set()
    until(lambda: threads() == set(), "the last thread")


def test_stop_leaves_an_emit_behind_that_never_returns(faults: list[str]) -> None:
    free = threading.Event()

    def never(_room_id: bytes, _event: RoomEvent) -> None:
        free.wait(20)

    client = Client(never, timing=dataclasses.replace(HASTY, flush_s=0.1))
    client.start()
    client.open_room(room_on(plain(free_port())), identity("alice"), "alice")
    client.stop(timeout_s=0.5)
    assert threads() <= {"parley-worker", "parley-aside"}  # a session key may still be in the making
    free.set()
    until(lambda: threads() == set(), "both")


def test_not_in_yet_is_one_sentence() -> None:
    assert NOT_IN_YET.count(".") == 1
