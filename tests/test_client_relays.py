"""The client on real sockets with relays that refuse, are off, lie or fall silent."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    HASTY,
    SEAT,
    FakeRelay,
    Heard,
    Nobody,
    frames,
    free_port,
    hang_up,
    identity,
    no_retry,
    people,
    pin_in,
    plain,
    receive,
    receive_all,
    room_on,
    seat_and_stay,
    stay,
    take_join,
    through,
    tls_config,
    until,
    welcome,
)
from proxy import Proxy
from relay_help import RelayThread

from chatcore import cable as cables
from chatcore import dial as dials
from chatcore.cable import Cable, End, Timing
from chatcore.dial import dial
from chatcore.events import Connection, ConnectionChanged, LetIn, MessageSent
from chatcore.invite import RelayAddress
from chatcore.upkeep import FINAL, MAX_WAIT_S, refusal_sentence, retry_wait_s
from chatcore.wire import FRAME_SIZE, Frame, Kind, Refusal
from relay.config import Config
from relay.limits import Limits

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
    sentences = {refusal: refusal_sentence(refusal, 0) for refusal in [*Refusal, 99]}
    assert len(set(sentences.values())) == len(Refusal) + 1
    for refusal, sentence in sentences.items():
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert ("30 seconds" in refusal_sentence(refusal, 30)) == (refusal not in FINAL)
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


def test_a_connection_that_is_given_up_as_soon_as_it_is_there_stands_in_the_way_of_no_other(tmp_path: Path) -> None:
    """Its socket's number is the next one's as soon as it is closed, and asyncio must know by then."""

    dialing: asyncio.Task[Cable] | None = None

    class GivenUp(Cable):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert dialing is not None
            dialing.cancel()

    async def give_up_and_begin_again(address: RelayAddress) -> None:
        nonlocal dialing
        for _ in range(5):
            dialing = asyncio.create_task(dial(address, lambda: GivenUp(address.pins, Nobody()), Timing()))
            await asyncio.wait([dialing])
            assert dialing.cancelled()
            cable = await dial(address, lambda: Cable(address.pins, Nobody()), Timing())
            assert cable.ready
            cable.drop(End())
            await cable.gone.wait()

    with RelayThread(tls_config(tmp_path)) as relay:
        asyncio.run(give_up_and_begin_again(RelayAddress.parse(relay.server.line)))
