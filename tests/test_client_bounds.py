"""What a client takes in, sends out and waits for at most, on real sockets."""

from __future__ import annotations

import asyncio
import threading
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
    Nobody,
    Person,
    frames,
    friends,
    people,
    plain,
    receive,
    room_on,
    stay,
    take_join,
    tls_config,
    until,
    welcome,
)
from relay_help import RelayThread
from world import World

from chatcore import cable as cables
from chatcore.cable import Cable, End
from chatcore.clock import Moment
from chatcore.events import (
    Connection,
    ConnectionChanged,
    ConnectionReport,
    MessageArrived,
    MessageReceived,
    MessageSent,
    Noticed,
    RoomEvent,
    SealedBlocks,
)
from chatcore.invite import RelayAddress
from chatcore.visit import Visit
from chatcore.wire import FRAME_SIZE, Frame, Kind
from chatcore.worker import Worker


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
    with friends(tmp_path) as (alice, bob):
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
                assert visit.now().s <= came_s
                before = len(seen)
            finally:
                free.set()
            alice.until_text("two")
            assert seen[before] <= came_s
            assert seen == sorted(seen)


def test_a_room_that_was_behind_does_not_make_up_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time would run faster than the clock, and what had just been heard would have been silent for too long."""
    visit = Visit(room_on(RelayAddress("127.0.0.1", 7256)), bytes(32), Worker(), Mock(), Mock())
    clock, cable = Mock(), Mock()
    visit.cables[cable] = Mock()
    monkeypatch.setattr("chatcore.visit.time", clock)
    seen = []
    for now_s, came_s in ((100, None), (110, 105), (165, 105), (166, 165.5), (167, None), (200, None)):
        clock.monotonic.return_value, cable.waiting_since_s = now_s, came_s
        seen.append(visit.now().s)
    assert seen == [100, 105, 105, 106, 107, 140]


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
    with friends(tmp_path) as (alice, _):
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
