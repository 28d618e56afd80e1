"""The client on real sockets: TLS and the pin, refusals, relays that lie or fall silent, coming back, and stopping."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import hashlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from client_help import (
    HASTY,
    Ear,
    FakeRelay,
    Heard,
    Person,
    free_port,
    identity,
    people,
    pin_in,
    receive,
    receive_all,
    room_on,
    stay,
    through,
    tls_config,
    until,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from proxy import Proxy
from relay_help import RelayThread
from vault_help import make_vault, room_in
from world import World

from chatcore import cable as cables
from chatcore import dial as dials
from chatcore import worker as workers
from chatcore.cable import Cable, End, Timing, is_pinned
from chatcore.client import NOT_IN_YET, Client
from chatcore.clock import Moment
from chatcore.errors import StateError, TextError, VaultError
from chatcore.events import (
    Connection,
    ConnectionChanged,
    ConnectionReport,
    Knocked,
    KnockEnded,
    LetIn,
    MemberJoined,
    MemberLeft,
    MessageArrived,
    MessageReceived,
    MessageSent,
    Noticed,
    RoomEvent,
    SealedBlocks,
    Waiting,
)
from chatcore.invite import Mode, RelayAddress
from chatcore.kept import Changes, Kept
from chatcore.members import parse_statement
from chatcore.seat import refusal_sentence
from chatcore.upkeep import CLOSED, LEFT, MAX_WAIT_S, retry_wait_s
from chatcore.visit import UNKEPT, Visit
from chatcore.wire import FRAME_SIZE, Frame, FrameReader, Kind, Refusal
from relay.config import Config
from relay.keys import ensure_keys, pin_of
from relay.limits import Limits

SEAT = b"seat no1"
PLAIN = RelayAddress("127.0.0.1", 7256)


def plain(port: int) -> RelayAddress:
    return dataclasses.replace(PLAIN, port=port)


def welcome() -> bytes:
    return Frame(Kind.WELCOME, address=SEAT).to_bytes()


def take_join(heard: Heard) -> bytes:
    return receive(heard, FRAME_SIZE)


def seat_and_stay(heard: Heard) -> None:
    """What a relay does with the only one in a room."""
    take_join(heard)
    heard.sendall(welcome())
    stay(heard)


def frames(data: bytes | bytearray) -> list[Frame]:
    return FrameReader().receive_data(bytes(data))


def threads() -> set[str]:
    """The threads of clients.  (The engine keeps one of its own for all of them, as long as the program runs.)"""
    own = {"parley-io", "parley-worker", "parley-aside"}
    return {thread.name for thread in threading.enumerate() if thread.name in own}


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


@pytest.mark.parametrize(("senders", "taken"), [(0, 3), (1, 3), (9, 9), (49, 16)])
def test_in_one_go_a_block_of_each_who_waits_is_opened(senders: int, taken: int) -> None:
    asked: list[int] = []

    def take(most: int) -> list[bytes]:
        asked.append(most)
        return []

    cable: Any = Mock(take=take, senders=senders)
    none: Any = None
    Visit(room_on(RelayAddress("127.0.0.1", 7256)), b"", none, lambda *_: None, lambda *_: None).pump(cable)
    assert asked == [taken]


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


# -- the pin -----------------------------------------------------------------------------------------------------------


def no_retry(one: Person, room: RelayAddress) -> None:
    """Show that a room is left alone: meanwhile another one on the same client connects again and again."""
    one.client.open_room(room_on(room, owner="bob"), one.identity, "x")
    one.ear.until_state(Connection.RECONNECTING, 6)


def hang_up(heard: Heard) -> None:
    take_join(heard)


def test_attack_51_another_key_gets_not_one_byte(tmp_path: Path) -> None:
    """Attack 51: a wrong pin, and no application byte is sent."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    with FakeRelay(receive_all, other) as fake, FakeRelay(hang_up) as busy:
        line = RelayAddress("127.0.0.1", fake.port, (pin_in(ours),))
        with people(room_on(line), "alice") as (alice,):
            stopped = alice.ear.until_state(Connection.STOPPED)
            assert stopped == ConnectionChanged(Connection.STOPPED, dials.NOT_THE_RELAY)
            assert stopped.reason == (
                "What answers at the relay's address is not the relay of this invite, so nothing was sent to it. "
                "Ask whoever made the room for a new invite; "
                "if that is you, make a new room with the line that the relay prints."
            )
            no_retry(alice, plain(busy.port))
            assert fake.accepted == 1
    assert fake.got == [b""]


def test_the_second_pin_counts_as_much(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        line = RelayAddress("127.0.0.1", relay.port, (b"x" * 32, pin_in(tmp_path)))
        with people(room_on(line), "alice") as (alice,):
            alice.ear.until_state(Connection.CONNECTED)


def test_a_relay_without_tls_gets_no_plain_text(tmp_path: Path) -> None:
    with FakeRelay(receive_all) as fake, FakeRelay(lambda heard: heard.sendall(b"SSH-2.0-x\r\n")) as other:
        for port, sentence in ((other.port, dials.NO_TLS), (fake.port, "")):
            line = RelayAddress("127.0.0.1", port, (b"p" * 32,))
            invite = room_on(line)
            with people(invite, "alice", timing=dataclasses.replace(HASTY, dial_s=0.3)) as (alice,):
                assert alice.ear.until_state(Connection.RECONNECTING).reason in (sentence, cables.NO_ANSWER)
                alice.ear.until_state(Connection.RECONNECTING, 4)
    got = [*fake.got, *other.got]
    assert any(got)
    for data in got:
        assert data == b"" or data.startswith(b"\x16\x03")  # a TLS handshake
        assert invite.room_id not in data


def test_an_older_tls_is_refused(tmp_path: Path) -> None:
    with FakeRelay(receive_all, tmp_path) as fake:
        assert fake.context is not None
        fake.context.minimum_version = ssl.TLSVersion.TLSv1_2
        fake.context.maximum_version = ssl.TLSVersion.TLSv1_2
        line = RelayAddress("127.0.0.1", fake.port, (pin_in(tmp_path),))
        with people(room_on(line), "alice") as (alice,):
            assert alice.ear.until_state(Connection.RECONNECTING).reason == dials.NO_TLS
    assert set(fake.got) == {b""}


def test_nothing_but_tls_goes_out(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, Proxy(relay.port) as proxy:
        invite = through(room_on(RelayAddress.parse(relay.server.line)), proxy.port)
        with people(invite, "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            proxy.reset()
            for one in (alice, bob):
                one.ear.until_state(Connection.CONNECTED, 2)
            alice.say("after all")
            bob.until_text("after all")
    assert len(proxy.recorded) >= 4
    for data in proxy.recorded:
        assert data.startswith(b"\x16\x03")
        assert invite.room_id not in data


def certificates() -> list[tuple[bytes, bytes]]:
    """Certificates of several kinds, each with its public key as the library sees it."""
    made = []
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n" * 60)] * 3)  # long enough for two length bytes
    keys: list[Any] = [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ]
    for key in keys:
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        )
        encoding = serialization.Encoding.DER
        info = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        made.append((certificate.public_bytes(encoding), info))
    return made


CERTIFICATES = certificates()


def pin_of_key(info: bytes) -> bytes:
    return hashlib.sha256(info).digest()


@pytest.mark.parametrize(("certificate", "info"), CERTIFICATES, ids=["EC", "Ed25519", "RSA"])
def test_the_key_in_a_certificate_is_known_by_its_pin(certificate: bytes, info: bytes) -> None:
    pin = pin_of_key(info)
    assert info in certificate
    assert is_pinned(certificate, (pin,))
    assert is_pinned(certificate, (b"p" * 32, pin))
    for pins in ((), (b"p" * 32,), (pin[:-1] + bytes((pin[-1] ^ 1,)),), (pin[:16],), (b"",)):
        assert not is_pinned(certificate, pins)


def test_a_pin_that_the_relay_prints_is_the_one_that_is_looked_for(tmp_path: Path) -> None:
    certificate, _ = ensure_keys(tmp_path)
    assert is_pinned(ssl.PEM_cert_to_DER_cert(certificate.read_text()), (pin_of(certificate),))


@given(which=st.sampled_from(CERTIFICATES), data=st.data())
def test_a_certificate_altered_in_its_key_is_not_pinned(which: tuple[bytes, bytes], data: st.DataObject) -> None:
    certificate, info = which
    start = certificate.index(info)
    at = data.draw(st.integers(start, start + len(info) - 1))
    altered = certificate[:at] + bytes([certificate[at] ^ data.draw(st.integers(1, 255))]) + certificate[at + 1 :]
    assert not is_pinned(altered, (pin_of_key(info),))


@given(which=st.sampled_from(CERTIFICATES), data=st.data())
def test_a_certificate_altered_anywhere_shows_no_key_but_its_own(
    which: tuple[bytes, bytes], data: st.DataObject
) -> None:
    certificate, info = which
    at = data.draw(st.integers(0, len(certificate) - 1))
    altered = certificate[:at] + bytes([data.draw(st.integers(0, 255))]) + certificate[at + 1 :]
    assert info in altered or not is_pinned(altered, (pin_of_key(info),))


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.one_of(st.none(), st.binary(max_size=400)))
def test_what_is_no_certificate_is_not_pinned(junk: bytes | None) -> None:
    assert not is_pinned(junk, (pin_of_key(b""), pin_of_key(junk or b"")))


def test_a_certificate_in_another_form_is_not_pinned() -> None:
    certificate, info = CERTIFICATES[0]
    size = len(certificate) - 4
    assert certificate[:4] == bytes((0x30, 0x82)) + size.to_bytes(2)
    rest = certificate[4:]
    forms = [certificate[:cut] for cut in (0, 1, 2, 3, 50, 200, len(certificate) - 1)]
    forms += [certificate + b"\0", certificate + certificate]
    forms += [
        head + rest
        for head in (
            b"\x30\x80",  # of no stated length
            b"\x30\x83" + size.to_bytes(3),  # longer than need be
            b"\x30\x84" + size.to_bytes(4),
            b"\x31\x82" + size.to_bytes(2),  # another kind
            b"\x30\x82" + (size + 1).to_bytes(2),  # beyond the end
        )
    ]
    for form in forms:
        assert not is_pinned(form, (pin_of_key(info),))


# -- refusals ----------------------------------------------------------------------------------------------------------


def refusing(refusal: int, wait_s: int, version: int = 1) -> Callable[[Heard], None]:
    def script(heard: Heard) -> None:
        take_join(heard)
        frame = Frame(Kind.REFUSED, refusal, wait_s).to_bytes()
        heard.sendall(bytes((version,)) + frame[1:])
        receive_all(heard)

    return script


@pytest.mark.parametrize(
    ("refusal", "version", "sentence"),
    [
        (Refusal.VERSION, 1, "The relay speaks another version of Parley: one of the two needs an update."),
        (Refusal.VERSION, 2, "The relay speaks another version of Parley: one of the two needs an update."),
        (Refusal.RELAY_PASS, 1, "The relay wants a pass that this invite doesn't have: ask for a new invite."),
        (Refusal.MALFORMED, 1, "The relay didn't understand us: Parley here or the relay needs an update."),
    ],
)
def test_attack_58_a_refusal_for_good_is_said_once(
    tmp_path: Path, refusal: Refusal, version: int, sentence: str
) -> None:
    """Attack 58: another protocol version gets a clean message, and no fallback."""
    with FakeRelay(refusing(refusal, 0, version), tmp_path) as fake, FakeRelay(hang_up) as busy:
        line = RelayAddress("127.0.0.1", fake.port, (pin_in(tmp_path),))
        with people(room_on(line), "alice") as (alice,):
            assert alice.ear.until_state(Connection.STOPPED) == ConnectionChanged(Connection.STOPPED, sentence)
            assert alice.ear.states() == [Connection.CONNECTING, Connection.STOPPED]
            no_retry(alice, plain(busy.port))
            assert fake.accepted == 1
    (got,) = fake.got
    assert [frame.kind for frame in frames(got)] == [Kind.JOIN]
    assert got[0] == 1  # our version, and no other was tried


@pytest.mark.parametrize(
    "refusal", [Refusal.ROOM_FULL, Refusal.RELAY_FULL, Refusal.TOO_FAST, Refusal.SHUTTING_DOWN, 0, 99]
)
def test_a_refusal_for_now_is_tried_again(refusal: int) -> None:
    turns = iter([refusing(refusal, 0), refusing(refusal, 0), seat_and_stay])
    with FakeRelay(lambda heard: next(turns)(heard)) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        said = alice.ear.until_state(Connection.RECONNECTING)
        assert said.reason.endswith("Parley will try again shortly.")
        assert said.retry_s > 0
        alice.ear.until_state(Connection.CONNECTED)
        assert fake.accepted == 3
        reported = [event for event in alice.ear.of(ConnectionChanged) if event.state is Connection.RECONNECTING]
        assert [bool(event.retry_s) for event in reported] == [True, False, True, False]


def test_the_relay_says_how_long_to_wait() -> None:
    with FakeRelay(refusing(Refusal.TOO_FAST, 40)) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        said = alice.ear.until_state(Connection.RECONNECTING)
        assert 40 <= said.retry_s <= 50
        assert said.reason == (
            "The relay wants fewer connections from this address. "
            f"Parley will try again in {round(said.retry_s)} seconds."
        )


def test_the_relay_can_not_send_us_away_for_ever() -> None:
    with FakeRelay(refusing(99, 2**32 - 1)) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        assert alice.ear.until_state(Connection.RECONNECTING).retry_s <= MAX_WAIT_S * 1.25


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(max_seats_per_room=1), "This room is full on the relay. Parley will try again in"),
        (Limits(max_connections=1), "The relay is full just now. Parley will try again in"),
        (Limits(max_connections_per_address=1), "The relay wants fewer connections from this address. Parley will"),
    ],
)
def test_a_real_relay_that_is_full(tmp_path: Path, limits: Limits, sentence: str) -> None:
    with RelayThread(tls_config(tmp_path, limits)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice") as (alice,):
            alice.ear.until_state(Connection.CONNECTED)
            with people(invite, "bob") as (bob,):
                assert bob.ear.until_state(Connection.RECONNECTING).reason.startswith(sentence)


def test_every_refusal_has_one_sentence() -> None:
    sentences = {refusal_sentence(refusal, 0) for refusal in [*Refusal, 99]}
    assert len(sentences) == len(Refusal) + 1
    assert "in 5 seconds" in refusal_sentence(Refusal.ROOM_FULL, 5)
    assert "shortly" in refusal_sentence(Refusal.ROOM_FULL, 1)


# -- relays that are off, lie, or fall silent --------------------------------------------------------------------------


def test_a_relay_that_is_off_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    line = RelayAddress("127.0.0.1", port, (pin_in(tmp_path),))
    with people(room_on(line), "alice", "bob") as (alice, bob):
        said = alice.ear.until_state(Connection.RECONNECTING)
        assert said.reason == "The relay is off, or can't be reached at its address. Parley keeps trying."
        alice.ear.until(lambda: bool(alice.ear.of(LetIn)), "alice is in her own room")
        alice.say("written before there was a relay")
        with RelayThread(tls_config(tmp_path, port=port)):
            for one in (alice, bob):
                one.ear.until_state(Connection.CONNECTED)
            alice.until_here("bob")
            bob.until_here("alice")
            alice.say("and after")
            bob.until_text("and after")


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (socket.gaierror(-2, "Name or service not known"), dials.NO_NAME),
        (OSError(101, "Network is unreachable"), dials.NO_WAY),
        (TimeoutError(), cables.NO_ANSWER),
    ],
)
def test_a_network_that_is_not_there(monkeypatch: pytest.MonkeyPatch, failure: OSError, sentence: str) -> None:
    lookups = []

    def look_up(*arguments: object) -> list[Any]:
        lookups.append(arguments)
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    line = RelayAddress("relay.example.org", 7256, (b"p" * 32,))
    with people(room_on(line), "alice") as (alice,):
        assert alice.ear.until_state(Connection.RECONNECTING).reason == sentence
        alice.ear.until_state(Connection.RECONNECTING, 4)
        assert len(lookups) >= 2
        assert {arguments[0] for arguments in lookups} == {"relay.example.org"}


def test_a_relay_that_never_answers(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections into its queue, and that is all
    patience = dataclasses.replace(HASTY, dial_s=0.2)
    line = RelayAddress("127.0.0.1", silent.getsockname()[1], (b"p" * 32,))
    with silent, people(room_on(line), "alice", timing=patience) as (alice,):
        assert alice.ear.until_state(Connection.RECONNECTING).reason == cables.NO_ANSWER


def test_a_relay_that_gives_no_seat() -> None:
    patience = dataclasses.replace(HASTY, welcome_s=0.1, ping_after_s=0.2)
    with FakeRelay(receive_all) as fake, people(room_on(plain(fake.port)), "alice", timing=patience) as (alice,):
        assert alice.ear.until_state(Connection.RECONNECTING).reason == cables.NO_ANSWER
        alice.ear.until_state(Connection.RECONNECTING, 3)
        assert Connection.CONNECTED not in alice.ear.states()


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20, b"\x01\xee" + bytes(270), b"\xff" * 272])
def test_garbage_instead_of_a_welcome_is_no_relay(garbage: bytes) -> None:
    def script(heard: Heard) -> None:
        heard.sendall(garbage)
        receive_all(heard)

    with FakeRelay(script) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        assert alice.ear.until_state(Connection.STOPPED).reason == refusal_sentence(Refusal.VERSION, 0)
        assert fake.accepted == 1


def test_garbage_after_the_welcome_costs_the_connection_and_no_more() -> None:
    def garble(heard: Heard) -> None:
        take_join(heard)
        heard.sendall(welcome() + b"\x01\xee" + bytes(270))
        receive_all(heard)

    turns = iter([garble, seat_and_stay])
    with FakeRelay(lambda heard: next(turns)(heard)) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        assert alice.ear.until_state(Connection.RECONNECTING).reason == cables.GARBLED
        alice.ear.until_state(Connection.CONNECTED, 2)


def test_frames_that_make_no_sense_change_nothing() -> None:
    """Kinds in the wrong place, addresses that nobody has, blocks of noise: dropped, and the next PING is answered."""
    done = threading.Event()
    noise = [
        Frame(kind, 7, 9, address, bytes([fill]) * 256).to_bytes()
        for kind in (Kind.JOIN, Kind.WELCOME, Kind.PRESENT, Kind.LEFT, Kind.SEND, Kind.PONG)
        for address in (bytes(8), SEAT, b"somebody")
        for fill in (0, 1, 255)
    ]

    def script(heard: Heard) -> None:
        take_join(heard)
        heard.sendall(welcome() + b"".join(noise) + Frame(Kind.PING, 5, 77).to_bytes())
        answer = frames(receive(heard, FRAME_SIZE))[0]
        assert (answer.kind, answer.argument, answer.number) == (Kind.PONG, 5, 77)
        done.set()
        stay(heard)

    with FakeRelay(script) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        until(done.is_set, "the PONG")
        alice.ear.until(lambda: bool(alice.ear.of(LetIn)), "alice")
        alice.say("still alive")
        alice.ear.until(lambda: bool(alice.ear.of(MessageSent)), "the message")
        assert alice.ear.states() == [Connection.CONNECTING, Connection.CONNECTED]


@pytest.mark.parametrize("size", [0, 1, 271, 272 + 100])
def test_a_relay_that_hangs_up_in_the_middle_of_a_frame(size: int) -> None:
    def script(heard: Heard) -> None:
        take_join(heard)
        heard.sendall((welcome() * 2)[:size])

    turns = iter([script, seat_and_stay])
    with FakeRelay(lambda heard: next(turns)(heard)) as fake, people(room_on(plain(fake.port)), "alice") as (alice,):
        assert alice.ear.until_state(Connection.RECONNECTING).reason == cables.LOST
        alice.ear.until_state(Connection.CONNECTED, 1 + (size >= FRAME_SIZE))


def test_a_connection_cut_in_the_middle_of_a_message_loses_nothing(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, Proxy(relay.port) as proxy:
        line = RelayAddress.parse(relay.server.line)
        direct = room_on(line)
        with people(direct, "alice") as (alice,), people(through(direct, proxy.port), "bob") as (bob,):
            alice.until_here("bob")
            bob.until_here("alice")
            proxy.cut_after(10_000)
            alice.say("x" * 40_000)
            bob.ear.until_state(Connection.CONNECTED, 2)
            bob.until_text("x" * 40_000)
            assert len(bob.ear.texts()) == 1


def test_the_network_in_small_pieces() -> None:
    with RelayThread(Config(port=0)) as relay, Proxy(relay.port) as proxy:
        proxy.piece_bytes = 7
        with people(room_on(plain(proxy.port)), "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            alice.say("in pieces")
            bob.until_text("in pieces")


def test_a_network_that_falls_silent_is_noticed(tmp_path: Path) -> None:
    patience = dataclasses.replace(HASTY, ping_after_s=0.15, silence_s=0.6, dial_s=0.5)
    with RelayThread(tls_config(tmp_path)) as relay, Proxy(relay.port) as proxy:
        invite = through(room_on(RelayAddress.parse(relay.server.line)), proxy.port)
        with people(invite, "alice", timing=patience) as (alice,):
            alice.ear.until_state(Connection.CONNECTED)
            # Three times the patience without a frame but the PONGs, and the connection stands.
            until(lambda: len(proxy.recorded[0]) > 8_000, "pings")
            assert Connection.RECONNECTING not in alice.ear.states()
            proxy.hold()
            assert alice.ear.until_state(Connection.RECONNECTING).reason == cables.SILENT
            proxy.go_on()
            alice.ear.until_state(Connection.CONNECTED, 2)


def test_each_connection_has_its_own_session_key() -> None:
    with RelayThread(Config(port=0)) as relay, Proxy(relay.port) as proxy:
        line = plain(relay.port)
        direct = room_on(line)
        with people(direct, "bob") as (bob,):
            bob.ear.until_state(Connection.CONNECTED)
            with people(through(direct, proxy.port), "alice") as (alice,):
                for times in range(1, 4):
                    alice.ear.until_state(Connection.CONNECTED, times)
                    alice.until_here("bob")
                    proxy.reset()
                    alice.ear.until_state(Connection.RECONNECTING, 2 * times)
                alice.ear.until_state(Connection.CONNECTED, 4)
    shown = [[frame.block for frame in frames(data) if frame.kind is Kind.SEND][:1] for data in proxy.recorded]
    keys = [block for blocks in shown for block in blocks]  # the first block to anybody is the session key
    assert len(keys) >= 3
    assert len(set(keys)) == len(keys)
    assert identity("alice").modulus not in keys
    joins = {bytes(data[:FRAME_SIZE]) for data in proxy.recorded if data}
    assert len(joins) == 1


def test_the_time_between_tries_doubles_and_starts_anew() -> None:
    for tries, (least, most) in enumerate([(1, 1), (1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30)]):
        waits = [retry_wait_s(Timing(), tries, End()) for _ in range(200)]
        assert least <= min(waits)
        assert max(waits) <= most
        assert tries == 0 or len(set(waits)) > 100
    assert 15 <= retry_wait_s(Timing(), 10_000, End()) <= 30
    assert 25 <= retry_wait_s(Timing(), 0, End("", Refusal.TOO_FAST, 25)) <= 32


def test_a_connection_that_lasted_starts_the_back_off_anew() -> None:
    """With `stable_s` 0 every connection counts as stable, and the waits stay at the first."""

    def script(heard: Heard) -> None:
        take_join(heard)
        heard.sendall(welcome())

    waits = {}
    for stable_s in (0.0, 1e6):
        patience = dataclasses.replace(HASTY, stable_s=stable_s, retry_first_s=0.01, retry_most_s=0.32)
        with FakeRelay(script) as fake, people(room_on(plain(fake.port)), "alice", timing=patience) as (alice,):
            alice.ear.until_state(Connection.CONNECTED, 7)
            waits[stable_s] = [event.retry_s for event in alice.ear.of(ConnectionChanged) if event.retry_s]
    assert max(waits[0.0]) == 0.01
    assert max(waits[1e6]) >= 0.16


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_pings_are_answered_while_the_worker_is_busy() -> None:
    """So that the time to a PONG tells nothing of what blocks were worth."""
    busy, free, answered = threading.Event(), threading.Event(), threading.Event()

    class Stuck(Ear):
        def __call__(self, room_id: bytes, event: RoomEvent) -> None:
            super().__call__(room_id, event)
            if isinstance(event, ConnectionChanged) and event.state is Connection.CONNECTED:
                busy.set()
                free.wait(20)

    def script(heard: Heard) -> None:
        take_join(heard)
        heard.sendall(welcome())
        busy.wait(20)
        heard.sendall(Frame(Kind.PING, 0, 42).to_bytes())
        while frames(receive(heard, FRAME_SIZE))[0].number != 42:
            pass
        answered.set()
        stay(heard)

    with FakeRelay(script) as fake, Person("alice", room_on(plain(fake.port)), emit=Stuck()):
        try:
            until(answered.is_set, "the PONG of a busy client")
        finally:
            free.set()


def test_what_comes_in_too_fast_waits_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that floods us while the worker is busy fills the network, not our memory; nothing is lost by it."""
    monkeypatch.setattr(cables, "READ_HIGH_BYTES", 100 * FRAME_SIZE)
    busy, free, done = threading.Event(), threading.Event(), threading.Event()
    sent = [0]

    class Stuck(Ear):
        def __call__(self, room_id: bytes, event: RoomEvent) -> None:
            super().__call__(room_id, event)
            if isinstance(event, ConnectionChanged) and event.state is Connection.CONNECTED:
                busy.set()
                free.wait(20)

    flood = Frame(Kind.SEND, address=b"somebody", block=b"x" * 256).to_bytes() * 1000

    def script(heard: Heard) -> None:
        take_join(heard)
        heard.sendall(welcome())
        busy.wait(20)
        for _ in range(80):  # 22 MB, more than the network keeps
            heard.sendall(flood)
            sent[0] += 1
        heard.sendall(Frame(Kind.PING, 0, 42).to_bytes())
        while frames(receive(heard, FRAME_SIZE))[0].number != 42:
            pass
        done.set()
        stay(heard)

    with FakeRelay(script) as fake, Person("alice", room_on(plain(fake.port)), emit=Stuck()) as alice:
        try:
            visit = alice.client._visit(alice.room_id)
            until(lambda: visit.cable is not None and not visit.cable._reading, "the client reads no more")
            cable = visit.cable
            assert cable is not None
            assert cable.waiting * FRAME_SIZE <= 100 * FRAME_SIZE + 256 * 1024  # and what one read brings
            assert not done.is_set()
        finally:
            free.set()
        until(done.is_set, "all of it")
        until(lambda: not cable.waiting, "the worker has taken it")
        assert sent == [80]
        assert Connection.RECONNECTING not in alice.ear.states()


def test_what_the_relay_does_not_read_stays_in_the_room(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            bob.until_here("alice")
            cable = alice.client._visit(alice.room_id).cable
            assert cable is not None
            written: list[int] = []
            write, cable.write = cable.write, lambda data: written.append(len(data))  # type: ignore[method-assign]
            alice.client._loop.call_soon_threadsafe(cable.pause_writing)
            until(lambda: not cable.open_to_write, "the relay reads no more")
            alice.say("waits")
            alice.ear.until(lambda: bool(alice.ear.of(MessageSent)), "it is taken")
            alice.client.ask_sealed_blocks(alice.room_id, alice.ear.of(MessageSent)[0].mid)
            alice.ear.until(lambda: bool(alice.ear.of(SealedBlocks)), "the worker has come round")
            assert written == []
            cable.write = write  # type: ignore[method-assign]
            alice.client._loop.call_soon_threadsafe(cable.resume_writing)
            bob.until_text("waits")


def test_what_was_counted_of_the_relay_is_told_with_the_way_to_it(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice", "bob", timing=replace(HASTY, ping_after_s=0.2, measure_s=0.1)) as (alice, bob):
            alice.until_here("bob")
            bob.until_here("alice")
            alice.say("hello")
            alice.ear.until(lambda: bool(alice.ear.of(MessageArrived)), "the acknowledgement")

            def timed() -> bool:
                alice.client.ask_report(alice.room_id)
                told = alice.ear.of(ConnectionReport)
                return bool(told) and len(told[-1].times) > 1

            until(timed, "the way was measured")
            told = alice.ear.of(ConnectionReport)[-1]
            assert told.total.odd == ()
            assert 0 <= told.round_trip_ms <= told.slowest_ms
            assert told.total.answer_ms > 0
            assert [peer.nick for peer in told.peers] == ["bob"]
            assert (len(told.visits), told.reconnects) == (1, 0)
            assert not alice.ear.of(Noticed)
            assert not bob.ear.of(Noticed)


def test_nothing_is_sent_again_while_an_acknowledgement_may_be_waiting() -> None:
    world = World()
    alice, _ = world.client("alice"), world.client("bob")
    world.advance(3)
    world.tamper = lambda source, to, block: []
    alice.say("hello")
    world.settle()
    sent = len(world.log)
    for seconds in (6, 12, 18):
        later = Moment(world.now.s + seconds, world.now.ms + seconds * 1000)
        alice.room.tick(later, more_waits=True)
        world.settle()
    again = [hop for hop in world.log[sent:] if hop[0] == "alice"]
    alice.room.tick(later)
    world.settle()
    assert len([hop for hop in world.log[sent:] if hop[0] == "alice"]) == len(again) + 1


def test_a_room_that_is_behind_lives_in_the_time_of_what_it_reads(tmp_path: Path) -> None:
    """So that it doesn't run out of patience for what has come already."""
    busy, free = threading.Event(), threading.Event()

    class Stuck(Ear):
        def __call__(self, room_id: bytes, event: RoomEvent) -> None:
            super().__call__(room_id, event)
            if isinstance(event, MessageReceived) and not busy.is_set():
                busy.set()
                free.wait(20)

    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with Person("alice", invite, emit=Stuck()) as alice, Person("bob", invite) as bob:
            alice.until_here("bob")
            bob.until_here("alice")
            visit = alice.client._visit(alice.room_id)
            room, cable = visit.room, visit.cable
            assert room is not None
            assert cable is not None
            seen: list[float] = []
            receive_data = room.receive_data

            def look(data: bytes, now: Moment, seat: Any = None) -> None:
                seen.append(now.s)
                receive_data(data, now, seat)

            room.receive_data = look  # type: ignore[method-assign]
            try:
                bob.say("one")
                until(busy.is_set, "the worker is busy")
                bob.say("two")
                until(lambda: bool(cable.waiting), "something waits")
                came_s = cable.waiting_since_s
                assert came_s is not None
                assert visit.now().s == came_s
            finally:
                free.set()
            alice.until_text("two")
            assert came_s in seen
            assert seen == sorted(seen)


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


class Nobody:
    def frames_came(self, cable: Cable) -> None:
        pass

    def seat_given(self) -> None:
        pass

    def writable_again(self) -> None:
        pass

    def round_trip(self, seconds: float) -> None:
        pass


def test_a_relay_that_pings_and_does_not_read_gets_no_heap_of_pongs() -> None:
    async def flood() -> None:
        cable, transport = Cable((), Nobody()), FakeTransport()
        cable.connection_made(transport)
        ping = Frame(Kind.PING, 1, 2).to_bytes()
        cable.data_received(ping * 3)
        assert len(transport.written) == 3 * FRAME_SIZE
        cable.pause_writing()
        cable.data_received(ping * 1000)
        assert len(transport.written) == 3 * FRAME_SIZE
        cable.resume_writing()
        cable.data_received(ping)
        assert frames(transport.written)[-1] == Frame(Kind.PONG, 1, 2)
        cable.drop(End())
        cable.data_received(ping)
        assert len(transport.written) == 4 * FRAME_SIZE

    asyncio.run(flood())


def test_a_timer_that_does_not_move_is_no_endless_loop(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            bob.until_here("alice")
            room = alice.client._visit(alice.room_id).room
            assert room is not None
            times: list[float] = []
            done = threading.Event()

            def tick(now: Any, *, more_waits: bool = False) -> None:
                times.append(now.s)
                if len(times) > 20:
                    done.set()

            room.next_tick = lambda: 0.0  # type: ignore[method-assign]
            room.tick = tick  # type: ignore[method-assign]
            alice.say("wake up")
            until(done.is_set, "ticks")
            gaps = [later - earlier for earlier, later in pairwise(times[1:])]
            assert min(gaps) >= 0.005


# -- mistakes, and the end ---------------------------------------------------------------------------------------------


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the client logs, kept out of the log of the test."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    logger = logging.Logger("faults")
    logger.addHandler(Keep())
    monkeypatch.setattr(workers, "LOG", logger)
    return said


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


def test_a_mistake_of_our_own_costs_the_connection_and_not_the_client(tmp_path: Path, faults: list[str]) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        invite = room_on(RelayAddress.parse(relay.server.line))
        with people(invite, "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            bob.until_here("alice")
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
